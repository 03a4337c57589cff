"""Pictures ranked by their best region, on a GroupViT of random weights, against what the model says directly."""

import json
import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline import scenes
from sightline.checkpoint.names import PACKAGED
from sightline.cli.main import main
from sightline.encoder.encoder import Encoder, load
from sightline.errors import UsageError
from sightline.index.sync import sync
from sightline.models.regions import packed_rows, unpack
from sightline.processing.image.reading import open_image
from sightline.report.overlay import mark
from sightline.search import Index, open_index
from sightline.search.regions import Region, nearest
from sightline.search.result import Ranked
from support.checkpoints import groupvit_checkpoint

SIZES = [(64, 64), (120, 70), (50, 90), (200, 64), (64, 64), (90, 90)]
TEXTS = ["a red circle", "a blue square", "stars in the sky"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load(groupvit_checkpoint(tmp_path_factory.mktemp("groupvit")), device="cpu", precision="float32")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, size in enumerate(SIZES):
        scenes.sample(number).draw(200).resize(size).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def index(encoder: Encoder, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regions") / "index"
    assert sync(folder, [pictures], encoder, regions=True).added == len(SIZES)
    return folder


def test_items_are_ranked_by_their_best_region(encoder: Encoder, pictures: Path, index: Path) -> None:
    opened = open_index(index, encoder)
    for text, query in zip(TEXTS, encoder.encode_text(TEXTS), strict=True):
        want = {}
        for file in pictures.iterdir():
            pixels = encoder.profile.resize_and_crop(open_image(file))
            seen = encoder.segments(encoder.profile.normalize(pixels[None]))
            owners = seen.shares[0].argmax(0).numpy()
            cosines = {g: float(seen.groups[0, g].numpy() @ query) for g in np.unique(owners)}
            best = max(cosines, key=lambda g: cosines[g])
            want[str(file)] = (cosines[best], owners == best)
        found = opened.search(text, 10, regions=True)
        assert len(found) == len(want)
        for result in found:
            score, mask = want[result.uri]
            assert result.score == pytest.approx(score, abs=2e-3)
            assert result.region is not None
            assert (result.region.mask == mask).all()
        scores = [result.score for result in found]
        assert scores == sorted(scores, reverse=True)
        three = opened.search(text, 3, regions=True)
        assert [r.id for r in three] == [r.id for r in found[:3]]
        wide = opened.search(text, 10, "width > height", regions=True)
        assert [r.id for r in wide] == [r.id for r in found if open_image(r.uri).width > open_image(r.uri).height]
        assert all(r.region is None for r in opened.search(text, 3))


def test_many_queries_have_the_regions_that_each_has_alone(encoder: Encoder, index: Path) -> None:
    opened = open_index(index, encoder)
    queries = [encoder.encode_text([text])[0] for text in TEXTS]
    for where in (None, "width > height"):
        many = nearest_regions(opened, np.stack(queries), where)
        for query, found in zip(queries, many, strict=True):
            (alone,) = nearest_regions(opened, query[None], where)
            assert (found.ids == alone.ids).all()
            assert (found.scores == alone.scores).all()
            assert [region.box for region in found.regions] == [region.box for region in alone.regions]
    results = opened.search_many(TEXTS, 3, regions=True)
    for text, found in zip(TEXTS, results, strict=True):
        alone = opened.search(text, 3, regions=True)
        assert [result.id for result in found] == [result.id for result in alone]
        assert [result.region.box for result in found] == [result.region.box for result in alone]


def test_a_condition_that_no_row_fulfils_finds_nothing(encoder: Encoder, index: Path) -> None:
    opened = open_index(index, encoder)
    assert opened.search(TEXTS[0], where="width > 9999", regions=True) == []
    assert len(opened.search(TEXTS[0], where="width = 120", regions=True)) == 1


def nearest_regions(index: Index, vectors: np.ndarray, where: str | None) -> list[Ranked]:
    allow = None if where is None else index.table.ids_where(where)
    return nearest(vectors, index.table, 4, allow, index.encoder.for_words(index.table).profile)


def test_regions_stay_when_the_index_goes_on(encoder: Encoder, pictures: Path, index: Path) -> None:
    extra = pictures / "later.png"
    scenes.sample(50).draw(80).save(extra)
    try:
        assert sync(index, [pictures], encoder).added == 1
        assert any(r.uri == str(extra) for r in open_index(index, encoder).search("red", 10, regions=True))
    finally:
        extra.unlink()
        sync(index, [pictures], encoder)


def test_boxes_are_in_the_picture_s_pixels(encoder: Encoder) -> None:
    assert encoder.profile.visible_box(100, 200) == (50, 0, 150, 100)
    assert encoder.profile.visible_box(64, 64) == (0, 0, 64, 64)
    mask = np.zeros((8, 8), bool)
    mask[2:4, 1:7] = True
    region = Region((0, 0, 0, 0), mask, encoder.profile.visible_box(100, 200))
    drawn = region.mask_of((200, 100), (100, 50))
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert (rows[0], rows[-1] + 1) == (12, 25)  # 2/8 to 4/8 of 50, to whole pixels
    assert (columns[0], columns[-1] + 1) == (31, 69)  # 25 and 1/8 to 7/8 of 50
    assert not drawn[:, :25].any()


def test_a_box_holds_its_mask(encoder: Encoder, index: Path) -> None:
    for result in open_index(index, encoder).search("red", 10, regions=True):
        width, height = open_image(result.uri).size
        assert result.region is not None
        left, top, right, bottom = result.region.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        drawn = result.region.mask_of((width, height), (width, height))
        inside = drawn[top:bottom, left:right]
        assert drawn.sum() == inside.sum() > 0
        for edge in (inside[:2], inside[-2:], inside[:, :2], inside[:, -2:]):
            assert edge.any()


def test_a_moment_s_region_is_its_middle_frame_s(encoder: Encoder) -> None:
    frames = [scenes.sample(number).draw(64) for number in range(encoder.frames)]
    items = {"film": frames, "picture": frames[len(frames) // 2]}
    stream = encoder.stream(items, lambda name: (items[name], None), lambda name: name == "film", extras=True)
    kept = {encoded.item: encoded.extras for encoded in stream}
    vectors, owners = unpack(np.stack([kept["film"], kept["picture"]]), encoder.regions)
    assert vectors.shape == (2, 5, 16)
    assert owners.shape == (2, 8, 8)
    assert kept["film"].shape == (packed_rows(encoder.regions, encoder.dim), 16)
    assert np.allclose(vectors[0], vectors[1], atol=2e-3)
    assert (owners[0] == owners[1]).all()


def test_what_has_no_regions_says_so(encoder: Encoder, pictures: Path, index: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    sync(plain, [pictures], encoder)
    with pytest.raises(UsageError, match="no regions are kept in it"):
        open_index(plain, encoder).search("red", regions=True)
    with pytest.raises(UsageError, match="was made without regions"):
        sync(plain, [pictures], encoder, regions=True)
    with pytest.raises(UsageError, match="sees no regions in images; that takes a GroupViT"):
        sync(tmp_path / "clip", [pictures], load(PACKAGED / "mini", device="cpu"), regions=True)
    assert not (tmp_path / "clip" / "items.lance").exists()
    with pytest.raises(UsageError, match="nothing is kept in it to score again"):
        open_index(index, encoder).search("red", rescore=3)


def test_the_command_tells_boxes_and_paints_the_sheet(
    encoder: Encoder, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    index, sheet = tmp_path / "index", tmp_path / "sheet.html"
    assert main(["index", str(pictures), "--regions", "--model", encoder.name, "--index", str(index)]) == 0
    capfd.readouterr()
    ask: Callable[..., int] = lambda *more: main(["search", "red", "--regions", "--index", str(index), *more])  # noqa: E731
    assert ask("--html", str(sheet)) == 0
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == len(SIZES)
    assert all(re.search(r"png at \d+,\d+-\d+,\d+$", line) for line in lines)
    assert ask("--json", "-k", "2") == 0
    (left, top, right, bottom), _ = (json.loads(line)["box"] for line in capfd.readouterr().out.splitlines())
    assert left < right
    assert top < bottom
    painted = [b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", sheet.read_text())]
    assert len(painted) == len(SIZES)
    outlined = [np.abs(np.asarray(Image.open(BytesIO(p))).astype(int) - (255, 176, 32)).max(2).min() for p in painted]
    assert sum(off < 40 for off in outlined) >= 3  # a region may fill a picture that is a square


def test_marks() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:20] = True
    pixels = np.asarray(mark(Image.new("RGB", (30, 20), (200, 200, 200)), mask))
    assert (pixels[10, 15] == 200).all()
    assert (pixels[2, 2] == 80).all()
    assert (pixels[5, 12] == (255, 176, 32)).all()
