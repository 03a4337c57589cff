"""Whatever a decoder raises is an error of this one video, and nothing is written to standard error."""

import io

import pytest

from sightline.errors import VideoError
from sightline.processing.video import reader
from sightline.processing.video.moments import moments
from sightline.processing.video.sampling import frames_at
from support.videos import film


@pytest.mark.parametrize("work", [lambda path: list(moments(path, 2)), lambda path: frames_at(path, [0.5])])
@pytest.mark.parametrize("error", [ValueError("odd"), KeyError(3), RuntimeError(), AssertionError(), TypeError("odd")])
def test_any_error_of_a_decoder_is_one_of_its_video(tmp_path, monkeypatch, work, error):
    path = tmp_path / "a.mp4"
    film(path, [1, 2])

    def broken(*_):
        raise error

    monkeypatch.setattr(reader.VideoReader, "decode", broken)
    with pytest.raises(VideoError, match=r"a\.mp4: broken, or of an unusual kind"):
        work(path)


@pytest.mark.parametrize("place", [(-5, 0), (1 << 70, 0)])
def test_a_place_outside_a_file_is_no_error(tmp_path, place):
    path = tmp_path / "a"
    path.write_bytes(b"video")
    with path.open("rb") as file:
        for source in (file, io.BytesIO(b"video")):
            assert reader._Seekable(source).seek(*place) == -1
