"""Films through models for pictures and, as a small one stands in for them here, through models for film."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.errors import ImageError, UsageError, VideoError
from sightline.models.tower import Tower
from sightline.processing.video.sampling import frames_at, sample_frames
from sightline.vectors import unit
from support.images import image
from support.videos import film

T = 4


class FilmConfig(sightline.CLIPConfig):
    """Of a model for films of four frames."""

    @property
    def frames(self) -> int:
        return T

    @property
    def takes_videos(self) -> bool:
        return True

    @property
    def image_rows(self) -> int:
        return 100


class FilmTower(Tower):
    """Sees what is in each frame and in which order, and whether pixels come as a film's."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weight = torch.nn.Parameter(torch.randn(T * 3 * 4, dim, generator=generator))

    def embed(self, inputs: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        assert inputs.shape[1:3] == (T, 3)
        pooled = torch.nn.functional.adaptive_avg_pool2d(inputs.flatten(0, 1), 2)
        return pooled.reshape(len(inputs), -1) @ self.weight


@pytest.fixture
def pictures() -> sightline.Encoder:
    return sightline.load("mini", precision="float32")


@pytest.fixture
def films() -> sightline.Encoder:
    """A model for films of four frames."""
    encoder = sightline.load("mini", precision="float32")
    encoder.config = FilmConfig.from_folder(encoder.folder)
    encoder.__dict__["_image"] = FilmTower(encoder.dim).eval()
    return encoder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return film(tmp_path / "film.mp4", [1, 2, 3, 4], size=(96, 64))


def test_a_model_for_pictures_sees_the_mean_of_eight_frames(pictures: sightline.Encoder, path: Path) -> None:
    (vector,) = pictures.encode_videos([path])
    frames = sample_frames(path, 8, short_side=pictures.size_hint)
    np.testing.assert_allclose(vector, unit(pictures.encode_images(frames).mean(axis=0)), atol=1e-6)
    assert pictures.frames == 8
    assert vector.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-6)


def test_every_kind_of_film(pictures: sightline.Encoder, path: Path) -> None:
    frames = sample_frames(path, 8, short_side=pictures.size_hint)
    array = np.stack([np.asarray(frame) for frame in frames])
    given = [path, str(path), path.read_bytes(), (path, 0.0, 4.0), (str(path), 0, 4), frames, array, list(array)]
    vectors = pictures.encode_videos(given)
    np.testing.assert_allclose(vectors, np.broadcast_to(vectors[0], vectors.shape), atol=1e-6)
    (second,) = pictures.encode_videos([(path, 1.0, 2.0)])
    shots = pictures.encode_images([image(seed, (96, 64)) for seed in (1, 2, 3, 4)])
    assert (shots @ second).argmax() == 1
    assert pictures.encode_videos([]).shape == (0, pictures.dim)


def test_frames_that_are_given_are_sampled_evenly(pictures: sightline.Encoder) -> None:
    frames = [image(seed, (96, 64)) for seed in range(16)]
    expected = unit(pictures.encode_images(frames[1::2]).mean(axis=0))
    np.testing.assert_allclose(pictures.encode_videos([frames])[0], expected, atol=1e-6)
    few = unit(pictures.encode_images(frames[:3]).mean(axis=0))
    np.testing.assert_allclose(pictures.encode_videos([frames[:3]])[0], few, atol=1e-6)


def test_a_model_for_film_takes_its_own_count(films: sightline.Encoder, path: Path) -> None:
    assert films.frames == T
    vectors = films.encode_videos([path, sample_frames(path, T), (path, 0, 2)])
    assert vectors.shape == (3, films.dim)
    assert vectors[0] @ vectors[1] > 0.999
    backwards = films.encode_videos([sample_frames(path, T)[::-1]])
    assert (backwards @ vectors[0]).item() < 0.99, "their order counts"
    for count in (1, 3, 8):
        for frames in ([image(1)] * count, np.zeros((count, 32, 32, 3), np.uint8)):
            with pytest.raises(UsageError, match=f"a video of {count} frames, but the checkpoint takes 4"):
                films.encode_videos([path, frames])


def test_a_picture_is_a_still_film(films: sightline.Encoder) -> None:
    picture = image(3, (96, 64))
    np.testing.assert_array_equal(films.encode_images([picture]), films.encode_videos([[picture] * T]))


def test_what_is_no_film(pictures: sightline.Encoder, films: sightline.Encoder, path: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    image(1).save(picture)
    (tmp_path / "empty.mp4").touch()
    for encoder in (pictures, films):
        for wrong, said in (
            (image(1), "an image is not a video"),
            (np.zeros((32, 32, 3), np.uint8), "an image is not a video"),
            ([], "a video without a frame"),
            (np.zeros((0, 32, 32, 3), np.uint8), "a video without a frame"),
            (7, "type int is not a video"),
            ([path, path], "is not a frame of a video"),
            ([None] * T, "type NoneType is not a frame of a video"),
            ((path, 2.0, 1.0), "the end must come after the start"),
            ((path, -1.0, 1.0), "the end must come after the start"),
            ((path, float("nan"), 1.0), "the end must come after the start"),
        ):
            with pytest.raises(UsageError, match=said):
                encoder.encode_videos([path, wrong])
        for one in (path, str(path), path.read_bytes(), image(1), np.zeros((T, 32, 32, 3), np.uint8)):
            with pytest.raises(UsageError, match="list of videos"):
                encoder.encode_videos(one)
        with pytest.raises(VideoError, match=r"empty\.mp4"):
            encoder.encode_videos([path, tmp_path / "empty.mp4"])
        for file in (picture, str(picture)):
            with pytest.raises(
                VideoError, match=r"item 2 of 2, .*picture\.png: an image, not a video: use encode_images"
            ):
                encoder.encode_videos([path, file])
        readable = encoder.encode_videos([picture, path], errors="skip")
        assert (list(readable.rows), list(readable.skipped)) == ([1], [0])
        with pytest.raises(VideoError, match="it ends at"):
            encoder.encode_videos([(path, 2000.0, 2001.0)])
        with pytest.raises(VideoError, match=r"none\.mp4"):
            encoder.encode_videos([tmp_path / "none.mp4"])
        with pytest.raises(VideoError):
            encoder.encode_videos([picture.read_bytes()])


Item = Path | list[Image.Image] | Image.Image


def streamed(encoder: sightline.Encoder, items: list[Item]) -> list[np.ndarray | ImageError]:
    def read(item: Item) -> tuple[Image.Image | list[Image.Image], int]:
        return (Image.open(item).convert("RGB") if isinstance(item, Path) else item), id(item)

    encoded = list(encoder.stream(items, read, lambda item: isinstance(item, list)))
    assert [one.item for one in encoded] == items
    assert all(one.facts == (None if isinstance(one.vector, ImageError) else id(one.item)) for one in encoded)
    return [one.vector for one in encoded]


@pytest.mark.parametrize("kind", ["pictures", "films"])
def test_pictures_and_films_share_batches_and_nothing_else(kind: str, request, path: Path, tmp_path: Path) -> None:
    encoder: sightline.Encoder = request.getfixturevalue(kind)
    stills: list[Item] = [image(seed, (96, 64)) for seed in range(30)]
    moments: list[Item] = [
        frames_at(path, np.linspace(start, start + 1, encoder.frames, endpoint=False).tolist()) for start in range(4)
    ]
    apart = [*streamed(encoder, stills), *streamed(encoder, moments)]
    broken = tmp_path / "broken.png"
    broken.touch()
    order = np.random.default_rng(0).permutation(34)
    mixed: list[Item] = [(stills + moments)[i] for i in order]
    together = streamed(encoder, [broken, *mixed[:9], broken, *mixed[9:]])
    assert isinstance(together.pop(10), ImageError)
    assert isinstance(together.pop(0), ImageError)
    for i, vector in zip(order, together, strict=True):
        np.testing.assert_array_equal(vector, apart[i])


def test_films_fill_batches(pictures: sightline.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    embed = type(pictures._image).embed
    monkeypatch.setattr(type(pictures._image), "embed", lambda self, x: passes.append(len(x)) or embed(self, x))
    moments: list[Item] = [[image(seed, (96, 64))] * 8 for seed in range(pictures.batch)]
    streamed(pictures, moments)
    assert passes == [pictures.batch] * 8, "no row is left black"


def test_the_next_films_are_cut_while_the_model_works(pictures: sightline.Encoder) -> None:
    """And never many more than there is room for."""
    made, threads = [], set()

    def cut():
        for number in range(200):
            made.append(number)
            threads.add(threading.current_thread())
            yield [image(number, (96, 64))] * 8

    stream = pictures.stream(cut(), lambda frames: (frames, None), lambda frames: True)
    next(stream)
    until = time.monotonic() + 30
    while len(made) < 2 * pictures.batch // 8 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(made) >= 2 * pictures.batch // 8
    assert threading.current_thread() not in threads
    most = (2 * pictures._workers.count + 3) * pictures.batch // 8
    assert len(made) <= most
    stream.close()
    assert not [thread for thread in threads if thread.is_alive()]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animated_image_is_a_video(pictures: sightline.Encoder, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    frames = [image(seed) for seed in range(8)]
    options = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=200, **options)
    expected = pictures.encode_videos([frames])
    for source in (path, str(path), path.read_bytes(), (path, 0.0, 1.6)):
        assert float((pictures.encode_videos([source]) * expected).sum()) > 0.98


@pytest.mark.parametrize("times", [("0", "1"), (0, None), ("b.png", "c.png")])
def test_times_are_numbers(pictures: sightline.Encoder, path: Path, times: tuple[object, object]) -> None:
    with pytest.raises(UsageError, match="with times in seconds, not"):
        pictures.encode_videos([(path, *times)])
