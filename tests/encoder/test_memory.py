"""Out of memory: batches are halved, that is said once, and vectors stay independent of their neighbours."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.encoder.memory import BatchLimit, TooLarge, is_out_of_memory
from sightline.errors import ImageError, SightlineError
from support.images import draw, image

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("could not create a primitive"),
]
OTHERS = [
    RuntimeError("shapes cannot be multiplied"),
    RuntimeError("could not create a primitive descriptor for a matmul primitive"),
    ValueError("out of memory"),
]


@pytest.fixture
def encoder() -> sightline.Encoder:
    return sightline.load("mini", device="cpu", precision="float32", batch_size=8)


@pytest.fixture
def sizes(encoder: sightline.Encoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The sizes of the batches that went through either tower, which raises `MemoryError` above `sizes[0]`."""
    seen, lock = [1 << 30], threading.Lock()

    def limited(tower: torch.nn.Module) -> None:
        embed = tower.embed

        def watched(inputs: torch.Tensor, *rest: object, **options: object) -> object:
            if len(inputs) > seen[0]:
                raise MemoryError
            with lock:
                seen.append(len(inputs))
            return embed(inputs, *rest, **options)

        monkeypatch.setattr(tower, "embed", watched)

    limited(encoder._image)
    limited(encoder._text)
    return seen


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_memory_that_runs_out_is_recognized(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)):
        BatchLimit(sightline.load("mini", device="cpu").engine).split([1, 2], 2, lambda part, size: raises(error))


def raises(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_batch_is_halved_until_it_fits_and_stays_so(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    limit = BatchLimit(sightline.load("mini", device="cpu").engine)

    def forward(part: list[int], size: int) -> list[int]:
        if size > 3:
            raise error
        return part

    with caplog.at_level(logging.WARNING, "sightline"):
        assert limit.split(list(range(7)), 16, forward) == [[0, 1], [2, 3], [4, 5], [6]]
        assert limit.split(list(range(5)), 16, forward) == [[0, 1], [2, 3], [4]]
        assert limit.split([0], 1, forward) == [[0]]
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert said == [f"not enough memory on cpu for a batch of {size}" for size in (16, 8, 4)]
    with pytest.raises(TooLarge) as caught:
        limit.split([0, 1, 2], 16, lambda part, size: raises(error) if 2 in part else None)
    assert caught.value.position == 2


def test_vectors_of_halved_batches_do_not_depend_on_neighbours(
    encoder: sightline.Encoder, sizes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    images = [image(seed) for seed in range(21)]
    whole = encoder.encode_images(images)
    sizes[:] = [3]
    with caplog.at_level(logging.WARNING, "sightline"):
        halved = encoder.encode_images(images)
        again = encoder.encode_images(images[::-1])[::-1]
    assert set(sizes[1:]) == {2}, "one shape, the last batch filled up"
    assert np.array_equal(halved, again)
    np.testing.assert_allclose(halved, whole, atol=2e-6)
    assert [record.getMessage().split(":")[0][-10:] for record in caplog.records] == ["batch of 8", "batch of 4"]
    assert all("last bits" in record.getMessage() for record in caplog.records)
    stream = encoder.stream(images, lambda picture: (picture, None))
    assert np.array_equal(np.stack([one.vector for one in stream]), halved)


def test_texts_are_halved_as_well(encoder: sightline.Encoder, sizes: list[int]) -> None:
    texts = [f"{number} red circles {'and more ' * (number % 5)}" for number in range(30)]
    whole = encoder.encode_text(texts)
    sizes[:] = [3]
    np.testing.assert_allclose(encoder.encode_text(texts), whole, atol=2e-6)
    assert max(sizes[1:]) <= 3


def test_videos_are_halved_as_well(encoder: sightline.Encoder, sizes: list[int]) -> None:
    videos = [[image(8 * number + frame) for frame in range(8)] for number in range(3)]
    whole = encoder.encode_videos(videos)
    sizes[:] = [3]
    np.testing.assert_allclose(encoder.encode_videos(videos), whole, atol=2e-6)


def test_an_item_that_alone_is_too_much_is_named_with_the_way_out(
    encoder: sightline.Encoder, sizes: list[int], tmp_path: Path
) -> None:
    file = draw(tmp_path / "one.png", 1)
    sizes[:] = [0]
    with pytest.raises(SightlineError, match=r"one\.png: not enough memory on cpu for it alone: .*smaller model"):
        encoder.encode_images([file])
    with pytest.raises(SightlineError, match=r"item 1 of 1, a text of \d+ tokens: not enough memory on cpu"):
        encoder.encode_text(["red"])


def test_a_model_that_does_not_fit_is_named(encoder: sightline.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder.family.text, "to", lambda *_: raises(ERRORS[0]))
    with pytest.raises(SightlineError, match="mini: not enough memory on cpu for the model"):
        encoder.encode_text(["red"])


def test_regions_are_halved_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = sightline.Segmenter("mini-groupvit", device="cpu")
    tower, classes = segmenter.encoder._image, ["red", "blue"]
    wide = Image.effect_noise((200, 60), 50)
    whole = segmenter(wide, classes)
    segments = tower.segments
    monkeypatch.setattr(
        tower, "segments", lambda pixels: raises(MemoryError()) if len(pixels) > 1 else segments(pixels)
    )
    np.testing.assert_allclose(segmenter(wide, classes).maps, whole.maps, atol=1e-5)
    monkeypatch.setattr(tower, "segments", lambda pixels: raises(MemoryError()))
    with pytest.raises(SightlineError, match="not enough memory on cpu for it alone"):
        segmenter(wide, classes)


def test_an_image_that_memory_cannot_decode_is_skipped_alone(
    encoder: sightline.Encoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [draw(tmp_path / f"{number}.png", number) for number in range(3)]
    opened = sightline.Encoder.open_image

    def open_image(self: sightline.Encoder, source: Path, **options: object) -> Image.Image:
        return raises(MemoryError()) if source == files[1] else opened(self, source, **options)

    monkeypatch.setattr(sightline.Encoder, "open_image", open_image)
    vectors, rows, skipped = encoder.encode_images(files, errors="skip")
    assert rows.tolist() == [0, 2]
    assert skipped[1].reason == "not enough memory to read it"
    np.testing.assert_allclose(vectors, encoder.encode_images([files[0], files[2]]), atol=2e-6)
    with pytest.raises(ImageError, match=r"item 2 of 3, .*1\.png: not enough memory"):
        encoder.encode_images(files)
