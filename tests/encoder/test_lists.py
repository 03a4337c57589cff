"""What calls take as lists of texts, images and videos, and how they refuse what is none."""

import io
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image

import sightline
from sightline.encoder.inputs import check_images, check_videos
from sightline.encoder.lists import check_texts
from sightline.errors import ImageError, UsageError, VideoError
from support.columns import NA, DataFrame, Series
from support.images import as_bytes, draw, image

PATHS = ["a.png", "b.png", "c.png"]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return draw(tmp_path_factory.mktemp("lists") / "a.png", 1)


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        iter,
        np.array,
        lambda items: np.array(items, object),
        Series,
        lambda items: Series(items, index=[7, 3, 9]),
        lambda items: Series(items, index=["x", "y", "z"]),
        pyarrow.array,
        lambda items: pyarrow.chunked_array([items[:1], items[1:]]),
        lambda items: dict.fromkeys(items).keys() and (item for item in items),
    ],
)
def test_lists_of_every_kind(make) -> None:
    for check in (check_texts, check_images):
        listed = check(make(PATHS))
        assert listed == PATHS
        assert all(isinstance(item, str) for item in listed)


@pytest.mark.parametrize(
    ("items", "says"),
    [
        (None, "not None"),
        ("a.png", "put it into a list"),
        (b"a", "put it into a list"),
        (Path("a.png"), "put it into a list"),
        (np.array("a.png"), "0 dimensions"),
        (np.array([PATHS, PATHS]), "2 dimensions"),
        (np.array([b"a"]), "bytes, which lose zeros"),
        ({"a.png": 1}, "not a dict"),
        ({"a.png"}, "no order"),
        (frozenset(PATHS), "no order"),
        (DataFrame({"path": PATHS}), "one column"),
        (5, "not one int"),
        (io.BytesIO(b"x"), "put it into a list"),
    ],
    ids=str,
)
def test_what_is_no_list(items, says: str) -> None:
    for check in (check_texts, check_images, lambda videos: check_videos(videos, None)):
        with pytest.raises(UsageError, match=says):
            check(items)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (None, "item 3 of 3 is missing"),
        (float("nan"), "item 3 of 3 is missing"),
        (NA, "item 3 of 3 is missing"),
        (b"a", "item 3 of 3 is of type bytes: decode it"),
        (["a"], "item 3 of 3 is of type list: give a flat list"),
        (5, "item 3 of 3 is of type int"),
    ],
    ids=str,
)
def test_an_item_that_is_no_text_is_named_with_its_place(item, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_texts(["a", "b", item])


@pytest.mark.parametrize("item", [5, ["a.png"], ("a.png",), {}, torch.nn.Linear, object()], ids=str)
def test_an_item_that_is_no_image_is_named_with_its_place(item) -> None:
    with pytest.raises(UsageError, match=r"item 2 of 2: type \w+ is not an image"):
        check_images(["a.png", item])


@pytest.mark.parametrize(
    "one",
    [
        image(1),
        np.zeros((4, 5, 3), np.uint8),
        np.zeros((3, 4, 5)),
        np.zeros((4, 5)),
        torch.zeros(3, 4, 5),
        torch.zeros(4, 5),
    ],
    ids=str,
)
def test_one_image_is_no_list_of_images(one) -> None:
    with pytest.raises(UsageError, match="takes a list of images, not one image"):
        check_images(one)


PIXELS = np.asarray(image(1))
CHANNELS_FIRST = PIXELS.transpose(2, 0, 1).copy()
FRACTIONS = PIXELS / 255


@pytest.mark.parametrize(
    "same",
    [
        str,
        Path.read_bytes,
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: path.open("rb"),
        Image.open,
        lambda path: Image.open(path).convert("RGBA"),
        lambda path: PIXELS,
        lambda path: CHANNELS_FIRST,
        lambda path: PIXELS.astype(np.int64),
        lambda path: PIXELS.astype(np.float32),
        lambda path: np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)]),
        lambda path: np.asfortranarray(PIXELS),
        lambda path: torch.from_numpy(PIXELS.copy()),
        lambda path: torch.from_numpy(CHANNELS_FIRST),
        lambda path: torch.from_numpy(PIXELS.astype(np.float32)).requires_grad_(),
    ],
)
def test_an_image_in_every_form_gives_the_same_vector(mini: sightline.Encoder, file: Path, same) -> None:
    given = same(file)
    try:
        assert np.array_equal(mini.encode_images([given]), mini.encode_images([file]))
    finally:
        if hasattr(given, "close"):
            given.close()


@pytest.mark.parametrize("make", [np.float64, np.float32, torch.from_numpy, lambda f: torch.from_numpy(f).bfloat16()])
def test_fractions_give_nearly_the_same_vector(mini: sightline.Encoder, make) -> None:
    expected = mini.encode_images([PIXELS])
    for fractions in (FRACTIONS, FRACTIONS.transpose(2, 0, 1)):
        assert (mini.encode_images([make(fractions.copy())]) * expected).sum() > 0.999


@pytest.mark.parametrize("batch", [np.stack([PIXELS] * 2), torch.from_numpy(np.stack([CHANNELS_FIRST] * 2))])
def test_a_batch_is_a_list_of_its_images(mini: sightline.Encoder, batch) -> None:
    vectors = mini.encode_images(batch)
    assert vectors.shape == (2, mini.dim)
    assert np.array_equal(vectors, mini.encode_images([PIXELS, PIXELS]))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("https://example.com/a.jpg", "item 2 of 2, https://example.com/a.jpg: an address, not a file: download it"),
        ("s3://bucket/a.jpg", "an address, not a file"),
        ("data:image/png;base64,AAAA", "an address, not a file"),
        (Image.new("RGB", (0, 10)), "0 x 10 pixels: there is nothing in it"),
        (np.zeros((0, 10, 3), np.uint8), "item 2 of 2, an array of shape .0, 10, 3."),
        (np.zeros((0, 10, 3)), "item 2 of 2, an array of shape .0, 10, 3."),
        (torch.zeros(2, 3, 4, 5), "item 2 of 2, a tensor of shape .2, 3, 4, 5."),
        (torch.full((3, 4, 5), -1.0), "values from -1"),
        ("none.jpg", "item 2 of 2, none.jpg: no such file"),
        (io.BytesIO(b""), "item 2 of 2, an open file: empty file"),
        (io.StringIO("text"), 'open as text: open it with "rb"'),
        (None, "item 2 of 2, None: there is nothing in its place"),
        (NA, "item 2 of 2, None: there is nothing in its place"),
        (b"", "empty file"),
    ],
    ids=str,
)
def test_an_image_that_cannot_be_read_is_named_with_its_place(mini: sightline.Encoder, bad, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        mini.encode_images([PIXELS, bad])


def test_a_file_that_is_closed_or_open_as_text(mini: sightline.Encoder, file: Path) -> None:
    with file.open("rb") as opened:
        opened.read(3)
        assert np.array_equal(mini.encode_images([opened]), mini.encode_images([file]))
    with pytest.raises(ImageError, match="closed"):
        mini.encode_images([opened])
    with file.open(encoding="utf-8") as text, pytest.raises(ImageError, match="open as text"):
        mini.encode_images([text])


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16"]
)
def test_pil_pictures_of_every_mode_and_narrow_ones(mini: sightline.Encoder, mode: str) -> None:
    assert np.isfinite(mini.encode_images([Image.new(mode, (5, 7)), Image.new("RGB", (1, 10_000))])).all()


@pytest.mark.parametrize(
    "frames",
    [
        lambda frames: frames,
        lambda frames: frames.transpose(0, 3, 1, 2),
        list,
        tuple,
        torch.from_numpy,
        lambda frames: torch.from_numpy(frames.transpose(0, 3, 1, 2).copy()),
        lambda frames: [torch.from_numpy(frame) for frame in frames],
    ],
)
def test_a_video_in_every_form_gives_the_same_vector(mini: sightline.Encoder, frames) -> None:
    array = np.stack([np.asarray(image(seed)) for seed in range(8)])
    assert np.array_equal(mini.encode_videos([frames(array)]), mini.encode_videos([array]))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (None, "item 2 of 2, None"),
        ("https://example.com/a.mp4", "item 2 of 2, https://example.com/a.mp4: an address, not a file: download it"),
        (b"nothing", "item 2 of 2, "),
        (io.BytesIO(b"nothing"), "item 2 of 2, "),
    ],
    ids=str,
)
def test_a_video_that_cannot_be_read_is_named_with_its_place(mini: sightline.Encoder, bad, says: str) -> None:
    good = [image(seed) for seed in range(8)]
    with pytest.raises(ImageError if bad is None else VideoError, match=says):
        mini.encode_videos([good, bad])
    with pytest.raises(UsageError, match="item 2 of 2: type int is not a video"):
        mini.encode_videos([good, 5])


def test_retrieve_takes_what_the_encoder_takes_and_vectors_of_torch(mini: sightline.Encoder, file: Path) -> None:
    images, texts = Series([str(file)] * 2), Series(["red", "blue"])
    by_lists = sightline.retrieve(mini, [file, file], ["red", "blue"], 1)
    by_columns = sightline.retrieve(mini, images, texts, 1)
    vectors = [torch.from_numpy(mini.encode_images(images)), torch.from_numpy(mini.encode_text(texts))]
    by_vectors = sightline.retrieve(None, *vectors, 1)
    for found in (by_columns, by_vectors):
        assert np.array_equal(found.text_to_image.index, by_lists.text_to_image.index)
        assert np.array_equal(found.image_to_text.score, by_lists.image_to_text.score)
    for k in (0, True, 1.5, "1"):
        with pytest.raises(UsageError, match="ask for at least 1"):
            sightline.retrieve(mini, images, texts, k)
    with pytest.raises(UsageError, match="a list of images, not None"):
        sightline.retrieve(mini, None, texts)


@pytest.mark.parametrize(
    "make",
    [str, Image.open, lambda path: as_bytes(Image.open(path)), lambda path: io.BytesIO(path.read_bytes()),
     lambda path: PIXELS, lambda path: torch.from_numpy(CHANNELS_FIRST)],
)  # fmt: skip
def test_load_image_takes_more_than_the_reference(file: Path, make) -> None:
    assert np.array_equal(np.asarray(sightline.load_image(make(file))), PIXELS)


@pytest.mark.parametrize("bad", [None, 5, ["a.png"], {}], ids=str)
def test_load_image_says_what_it_takes(bad) -> None:
    with pytest.raises(UsageError, match="load_image takes a path, an address"):
        sightline.load_image(bad)
