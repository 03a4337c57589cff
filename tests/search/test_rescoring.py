"""Candidates by cosine, then exact scores: against the whole model, through files and an index on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPTokenizer, XCLIPProcessor
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

import sightline
from sightline import XCLIPConfig, XCLIPModel
from sightline.errors import UsageError
from sightline.index import Table, fsck
from sightline.index.sync import sync
from sightline.processing.video.moments import moments
from sightline.search import Query, open_index
from sightline.search.rescore import rescored
from support.images import image
from support.videos import film
from support.weights import randomise

FRAMES, SIDE, PATCH, DIM = 4, 32, 8, 16
CONFIG = XCLIPConfig(
    text_config={"vocab_size": 1000, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
                 "num_attention_heads": 2},
    vision_config={"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
                   "mit_hidden_size": DIM, "mit_intermediate_size": 16, "mit_num_attention_heads": 2,
                   "image_size": SIDE, "patch_size": PATCH, "num_frames": FRAMES},
    projection_dim=DIM,
    prompt_num_attention_heads=4,
)  # fmt: skip
TEXTS = ["a red cat and two dogs", "the dog's ball", "naïve"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, vocabulary: Path) -> Path:
    folder = tmp_path_factory.mktemp("xclip")
    randomise(XCLIPModel(CONFIG), 0).save_pretrained(folder)
    images = VideoMAEImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    XCLIPProcessor(images, CLIPTokenizer.from_pretrained(vocabulary, model_max_length=77)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> tuple[Path, list[tuple[str, float]]]:
    """An index of three films of ten shots each, and its moments."""
    folder = tmp_path_factory.mktemp("gallery")
    items = []
    for number in range(3):
        path = film(folder / f"films/{number}.mp4", list(range(10 * number, 10 * number + 10)), seconds=0.5)
        items += [(str(path), moment.start) for moment in moments(path, FRAMES)]
    sync(folder / "index", [folder / "films"], sightline.load(checkpoint, precision="float32"))
    return folder / "index", items


def frames_of(items: list[tuple[str, float]]) -> list[list[Image.Image]]:
    paths = dict.fromkeys(path for path, _ in items)
    return [moment.frames for path in paths for moment in moments(path, FRAMES, 192)]


def whole_model(checkpoint: Path, films: list[list[Image.Image]], text: str) -> np.ndarray:
    """The cosines that the model itself gives, film and text together."""
    encoder = sightline.load(checkpoint, precision="float32")
    profile = encoder.profile
    pixels = [profile.normalize(np.stack([profile.resize_and_crop(frame) for frame in frames])) for frames in films]
    model = XCLIPModel.from_pretrained(checkpoint, dtype=torch.float32)
    ids, mask = encoder.tokenizer.pad(encoder.tokenizer.encode([text]), None)
    with torch.inference_mode():
        out = model(torch.from_numpy(ids), torch.from_numpy(np.stack(pixels)), torch.from_numpy(mask))
        return (out.logits_per_video[:, 0] / model.scale).numpy()


@pytest.mark.parametrize("text", TEXTS)
def test_all_equals_full_scoring(checkpoint: Path, gallery, text: str) -> None:
    folder, items = gallery
    assert len(items) == 30
    expected = dict(zip(items, whole_model(checkpoint, frames_of(items), text), strict=True))
    index = open_index(folder)
    found = index.search(text, k=30, rescore="all")
    assert len(found) == 30
    np.testing.assert_allclose([result.score for result in found], [expected[r.uri, r.start] for r in found], atol=2e-3)
    assert [result.score for result in found] == sorted((result.score for result in found), reverse=True)
    plain = index.search(text, k=30, rescore=0)
    assert [result.id for result in plain] != [result.id for result in found], "the prompts matter here"


def test_a_few_are_scored_again(gallery) -> None:
    index = open_index(gallery[0])
    plain = index.search(TEXTS[0], k=30, rescore=0)
    exact = {result.id: result.score for result in index.search(TEXTS[0], k=30, rescore="all")}
    for count, k in ((5, 3), (7, 7), (2, 4)):
        found = index.search(TEXTS[0], k=k, rescore=count)
        candidates = [result.id for result in plain[: max(count, k)]]
        assert [r.id for r in found] == sorted(candidates, key=lambda id: -exact[id])[:k]
        assert [r.score for r in found] == pytest.approx([exact[r.id] for r in found], abs=1e-6)
        assert [r.rank for r in found] == list(range(1, k + 1))
    assert index.search(TEXTS[0], k=5) == index.search(TEXTS[0], k=5, rescore="all"), "a hundred are more than all"
    assert index.search(TEXTS[0], k=5) == index.search(TEXTS[0], k=20)[:5]


def test_conditions_blocks_and_several_texts(gallery) -> None:
    index = open_index(gallery[0])
    whole = index.search(TEXTS[0], k=30)
    ids = np.array([result.id for result in whole])
    again = rescored(Query(TEXTS[0]), index.encoder, index.table, ids, 30, block=4)
    assert again.ids.tolist() == ids.tolist()
    assert again.scores.tolist() == pytest.approx([result.score for result in whole], abs=1e-6)
    late = index.search(TEXTS[0], k=30, where="start >= 4", rescore="all")
    assert [r.id for r in late] == [r.id for r in whole if r.start >= 4]
    one, other = ({r.id: r.score for r in index.search(text, k=30)} for text in TEXTS[:2])
    for result in index.search(Query(tuple(TEXTS[:2])), k=30):
        assert result.score == pytest.approx((one[result.id] + other[result.id]) / 2, abs=1e-6)


def test_a_picture_among_films_is_a_still_film(checkpoint: Path, tmp_path: Path) -> None:
    film(tmp_path / "photos/film.mp4", [1], seconds=0.5)
    image(2).save(tmp_path / "photos/picture.png")
    sync(tmp_path / "index", [tmp_path / "photos"], sightline.load(checkpoint, precision="float32"))
    found = {result.kind: result.score for result in open_index(tmp_path / "index").search(TEXTS[0])}
    (expected,) = whole_model(checkpoint, [[image(2)] * FRAMES], TEXTS[0])
    assert found.keys() == {"image", "moment"}
    assert found["image"] == pytest.approx(expected, abs=2e-3)


def test_an_encoder_of_ones_own_gives_the_same(checkpoint: Path, gallery) -> None:
    own = open_index(gallery[0], sightline.load(checkpoint, precision="float32"))
    for mine, theirs in zip(own.search(TEXTS[1]), open_index(gallery[0]).search(TEXTS[1]), strict=True):
        assert mine.id == theirs.id
        assert mine.score == pytest.approx(theirs.score, abs=1e-5)


@pytest.mark.parametrize("rescore", [None, 0, 7, "all"])
def test_many_queries_are_scored_again_as_each_is_alone(gallery, rescore) -> None:
    index = open_index(gallery[0])
    queries = [TEXTS[0], Query(tuple(TEXTS[:2])), TEXTS[2], TEXTS[0]]
    if rescore in (None, 0):  # others keep to cosines
        queries += [Path(gallery[1][0][0]), Query(TEXTS[0], avoid=TEXTS[1])]
    for where in (None, "start >= 2"):
        alone = [index.search(query, 5, where, rescore=rescore) for query in queries]
        assert index.search_many(queries, 5, where, rescore=rescore) == alone


def test_other_queries_keep_to_cosines(gallery) -> None:
    index = open_index(gallery[0])
    path = Path(gallery[1][0][0])
    assert index.search(path, k=3)[0].score > 0.9
    for query in (path, Query(TEXTS[0], path), Query(TEXTS[0], avoid=TEXTS[1])):
        assert len(index.search(query, k=3)) == len(index.search(query, k=3, rescore=0)) == 3
        with pytest.raises(UsageError, match="words alone"):
            index.search(query, rescore=10)
    for wrong in (-1, "some", True, 2.5):
        with pytest.raises(UsageError, match="rescore is"):
            index.search(TEXTS[0], rescore=wrong)


def test_where_nothing_is_kept_nothing_is_scored_again(make_table, words) -> None:
    index = open_index(make_table(np.eye(16)).folder, words)
    assert len(index.search("dog", rescore=0)) == 10
    with pytest.raises(UsageError, match="leave rescore out"):
        index.search("dog", rescore=5)


def test_summaries_are_in_the_table(checkpoint: Path, gallery) -> None:
    table = Table.open(gallery[0])
    assert (table.model.rescoring, sightline.load(checkpoint).rescoring) == ((SIDE // PATCH) ** 2,) * 2
    assert fsck.check(gallery[0]) == []
    assert sightline.load("mini").rescoring == 0
