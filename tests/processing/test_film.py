"""Films by time, against PyAV's own sequential decode."""

import io

import av
import numpy as np
import pytest

from sightline.errors import FilmError
from sightline.processing.film import duration, frames_at, sample
from sightline.processing.moments import moments


def made(count: int = 30, rate: int = 10) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(count):
            picture = np.full((48, 64, 3), 20 + i * 7 % 200, np.uint8)
            picture[10:30, i % 40 : i % 40 + 20] = 250
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def test_frames_by_time_are_the_sequential_ones() -> None:
    film = made()
    with av.open(io.BytesIO(film)) as container:
        frames = [np.asarray(frame.to_image()) for frame in container.decode(video=0)]
    pictures = frames_at(film, [2.95, 0.0, 0.15, 1.0, 99])
    for picture, index in zip(pictures, [29, 0, 1, 10, 29], strict=True):
        assert np.array_equal(picture, frames[index])
        assert picture.info["full_size"] == (64, 48)
    assert duration(film) == pytest.approx(3)
    assert [np.array_equal(a, frames[i]) for a, i in zip(sample(film, 3), [5, 15, 25], strict=True)] == [True] * 3


def test_moments_cover_the_film() -> None:
    found = list(moments(made(250), 8))
    assert [len(moment.frames) for moment in found] == [8] * len(found)
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(25)


def test_what_is_no_film_is_an_error() -> None:
    for what in (b"", b"nothing of the kind"):
        with pytest.raises(FilmError):
            frames_at(what, [0.0])
