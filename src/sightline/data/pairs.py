"""Folders of images or videos with their captions beside them: 1.jpg, and 1.txt, 1.caption or 1.json."""

from pathlib import Path

from sightline.data.left_out import LeftOut
from sightline.data.media import MEDIA_SUFFIXES
from sightline.data.note import MOST_BYTES, NOTE_SUFFIXES, UnreadableNote, captions_in
from sightline.data.paths import SYSTEM_FILES, is_own
from sightline.data.sample import Sample
from sightline.errors import DataError


def read_pairs(root: Path, left_out: LeftOut) -> list[Sample]:
    """The images in a folder, and in the folders inside it, that have a text of the same name; of a text, each line is
    a caption. What lacks a part goes to `left_out`. Raises `DataError` for a folder without any pair."""
    by_stem: dict[Path, dict[str, Path]] = {}
    for path in sorted(root.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() not in MEDIA_SUFFIXES.union(NOTE_SUFFIXES) or is_hidden or not path.is_file():
            continue
        if not is_own(key := path.relative_to(root).as_posix()):
            left_out.add(SYSTEM_FILES, key)
        else:
            by_stem.setdefault(path.with_suffix(""), {})[path.suffix] = path
    samples = []
    for files in by_stem.values():
        media = [path for path in files.values() if path.suffix.lower() in MEDIA_SUFFIXES]
        notes = [path for path in files.values() if path.suffix.lower() in NOTE_SUFFIXES]
        for other in media[1:]:
            left_out.add("images beside another one of the same name", other.relative_to(root).as_posix())
        if media and notes:
            samples += _sample(media[0], sorted(notes, key=_rank), root, left_out)
        elif media:
            left_out.add("without a text beside them", media[0].relative_to(root).as_posix())
        else:
            left_out.add("texts without an image beside them", notes[0].relative_to(root).as_posix())
    if not samples:
        raise DataError(
            f"{root}: no table (.csv, .tsv, .jsonl) and no shards in it, and no images with texts of the same name "
            f"(1.jpg, 1.txt); name the file that is meant; left out: {left_out}"
        )
    return samples


def _rank(note: Path) -> int:
    return NOTE_SUFFIXES.index(note.suffix.lower())


def _sample(media: Path, notes: list[Path], root: Path, left_out: LeftOut) -> list[Sample]:
    """The image with the captions of the first of its texts that has some; [] if none has."""
    key, reason = media.relative_to(root).as_posix(), ""
    for note in notes:
        try:
            with note.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
            return [Sample(key, media, captions_in(note.name, content, left_out, by_line=True))]
        except UnreadableNote as error:
            reason = reason or str(error)
        except OSError as error:
            reason = reason or f"with a text that can't be read ({error.strerror or error})"
    left_out.add(reason, notes[0].relative_to(root).as_posix())
    return []
