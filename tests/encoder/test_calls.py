"""What calls return and say beside vectors: items that are skipped, progress, warnings, and how objects are shown."""

import logging
from pathlib import Path

import numpy as np
import pytest

import sightline
from sightline.encoder import TextEncoder
from sightline.encoder.hardware import pick_device
from sightline.encoder.rescorer import Rescorer
from sightline.errors import ImageError, SightlineError, UsageError, VideoError
from sightline.progress import Progress
from support.images import draw, image

FRAMES = [image(seed) for seed in range(8)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five images, the second and the fourth broken."""
    files = [draw(tmp_path / f"{number}.png", number) for number in range(5)]
    files[1].write_bytes(b"")
    files[3].write_bytes(files[3].read_bytes()[:60])
    return files


def test_unreadable_images_are_skipped_and_named(mini: sightline.Encoder, files: list[Path]) -> None:
    given = [*files, None]
    vectors, rows, skipped = mini.encode_images(given, errors="skip")
    assert rows.dtype == np.int64
    assert rows.tolist() == [0, 2, 4]
    assert list(skipped) == [1, 3, 5]
    assert [error.source for error in skipped.values()] == [str(files[1]), str(files[3]), "None"]
    assert all(isinstance(error, ImageError) for error in skipped.values())
    np.testing.assert_allclose(vectors, mini.encode_images([files[row] for row in rows]), atol=2e-6)


def test_a_single_image_is_named_without_its_place(mini: sightline.Encoder, files: list[Path]) -> None:
    with pytest.raises(ImageError) as caught:
        mini.encode_images([files[1]])
    assert str(caught.value) == f"{files[1]}: empty file"


def test_nothing_is_skipped_unasked(mini: sightline.Encoder, files: list[Path]) -> None:
    with pytest.raises(ImageError, match=r"item 2 of 5, .*1\.png: empty file"):
        mini.encode_images(files)
    with pytest.raises(UsageError, match='errors is \'ignore\': choose "raise" or "skip"'):
        mini.encode_images(files, errors="ignore")
    with pytest.raises(UsageError, match="item 1 of 1: type int is not an image"):
        mini.encode_images([5], errors="skip")


def test_skipping_without_anything_left_or_to_skip(mini: sightline.Encoder, files: list[Path]) -> None:
    for given in ([], [files[1]]):
        vectors, rows, skipped = mini.encode_images(given, errors="skip")
        assert vectors.shape == (0, mini.dim)
        assert rows.shape == (0,)
        assert len(skipped) == len(given)
    every = mini.encode_images([files[0], files[2]], errors="skip")
    assert np.array_equal(every.vectors, mini.encode_images([files[0], files[2]]))
    with pytest.raises((ValueError, TypeError)):
        np.asarray(every, np.float32)  # it cannot be taken for the vectors


def test_unreadable_videos_are_skipped(mini: sightline.Encoder, tmp_path: Path) -> None:
    vectors, rows, skipped = mini.encode_videos([FRAMES, tmp_path / "none.mp4", FRAMES[::-1]], errors="skip")
    assert rows.tolist() == [0, 2]
    assert isinstance(skipped[1], VideoError)
    assert np.array_equal(vectors, mini.encode_videos([FRAMES, FRAMES[::-1]]))


def test_progress(mini: sightline.Encoder, files: list[Path]) -> None:
    told: list[Progress] = []
    mini.encode_images(files, errors="skip", progress=told.append)
    assert told[-1] == Progress("encoding", 5, 5, skipped=2)
    assert [progress.done for progress in told] == [1, 2, 3, 4, 5]
    told.clear()
    mini.encode_videos([FRAMES], progress=told.append)
    assert told == [Progress("encoding", 1, 1)]
    told.clear()
    mini.encode_text([f"{number} red circles" for number in range(200)], progress=told.append)
    assert told[-1] == Progress("reading texts", 200, 200)
    assert [progress.done for progress in told] == sorted({progress.done for progress in told})


@pytest.mark.parametrize("load", [sightline.load, TextEncoder])
def test_texts_that_are_cut_or_spelled_are_said(load, caplog: pytest.LogCaptureFixture) -> None:
    encoder = load("mini")
    with caplog.at_level(logging.WARNING, "sightline"):
        encoder.encode_text(["a red circle", "two yellow hearts"])
        assert not caplog.records
        encoder.encode_text(["red", "red " * 100])
        encoder.encode_text(["一只狗"])
        encoder.encode_text(["一只狗"])  # said once
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "1 of 2 texts was longer than 64 tokens and was cut"
    assert second.startswith("mini spells “一只狗” byte by byte")


def test_the_logger_is_silent_unless_asked(capfd: pytest.CaptureFixture[str]) -> None:
    sightline.load("mini").encode_text(["一只狗", "red " * 100])
    assert capfd.readouterr() == ("", "")


def test_the_logger_says_how_a_model_was_opened(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sightline"):
        sightline.load("mini", device="cpu", precision="float32").encode_text(["red"])
    assert [record.getMessage() for record in caplog.records] == ["mini: the tower for texts on cpu in float32"]


def test_objects_show_what_they_are_without_opening_anything(mini_xclip: sightline.Encoder) -> None:
    encoder = sightline.load("mini", device="cpu", precision="bfloat16")
    assert repr(encoder) == 'Encoder("mini", dim=128, device="cpu", precision="bfloat16")'
    assert not {"_text", "_image"} & encoder.__dict__.keys()
    assert repr(TextEncoder("mini")) == 'TextEncoder("mini", dim=128, device="cpu", precision="float32")'
    segmenter = sightline.Segmenter("mini-groupvit", device="cpu")
    assert (
        repr(segmenter) == f'Segmenter("mini-groupvit", dim={segmenter.encoder.dim}, device="cpu", precision="float32")'
    )
    assert repr(Rescorer(mini_xclip)).startswith('Rescorer("mini-xclip", dim=')


@pytest.mark.parametrize(
    ("device", "says"),
    [
        ("gpu", "no device 'gpu': did you mean 'cuda'?"),
        ("GPU:1", "did you mean 'cuda'?"),
        ("CPU", "did you mean 'cpu'?"),
        ("cude", "did you mean 'cuda'?"),
        ("warp", "no device 'warp': choose auto, cpu, cuda, mps, xpu"),
        ("", "choose auto, cpu"),
        ("meta", "computes nothing"),
        ("cuda:999", "no device 'cuda:999' here: "),
        ("xpu:999", "no device 'xpu:999' here: "),
        (None, "no device 'None'"),
    ],
)
def test_a_device_that_is_missing_is_one_line_with_the_way_out(device: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        pick_device(device)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "many", "4"])
def test_a_wrong_batch_size(size: object) -> None:
    with pytest.raises(UsageError, match="batch_size is"):
        sightline.load("mini", batch_size=size)


def test_the_batch_size_is_that_of_the_batches(mini: sightline.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = sightline.load("mini", device="cpu", precision="float32", batch_size=3)
    assert encoder.batch == 3
    sizes, embed = [], encoder._image.embed
    monkeypatch.setattr(encoder._image, "embed", lambda pixels: sizes.append(len(pixels)) or embed(pixels))
    list(encoder.stream(FRAMES, lambda picture: (picture, None)))
    assert sizes == [3, 3, 3]
    np.testing.assert_allclose(encoder.encode_images(FRAMES), mini.encode_images(FRAMES), atol=2e-6)
    np.testing.assert_allclose(encoder.encode_videos([FRAMES]), mini.encode_videos([FRAMES]), atol=2e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_vectors_that_are_no_numbers_are_an_error(precision: str) -> None:
    encoder = sightline.load("mini", device="cpu", precision=precision)
    for tower in (encoder._text, encoder._image):
        parameter = next(tower.parameters())
        parameter.data.fill_(float("nan"))
    says = "are its weights broken" if precision == "float32" else "take --precision float32"
    for work in (lambda: encoder.encode_text(["red"]), lambda: encoder.encode_images(FRAMES[:1], errors="skip")):
        with pytest.raises(SightlineError, match=f"mini: computed in {precision}, it gives .* no numbers: {says}"):
            work()
