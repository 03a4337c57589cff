"""Each of the drawn files gives the metadata that was written into it."""

import pytest

from sightline.processing.metadata import read_image_metadata, read_video_metadata
from sightline.processing.suffixes import is_video
from support.photos import made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return made(tmp_path_factory.mktemp("photos"))


def test_there_are_many(files):
    assert len(files) >= 40
    assert len({path.stem + path.suffix for path, _ in files}) == len(files)


def test_each_field_is_right(files):
    wrong = {}
    for path, right in files:
        read = read_video_metadata if is_video(path) else read_image_metadata
        metadata = read(path)
        wrong |= {
            f"{path.name}: {name}": (value, vars(right)[name])
            for name, value in vars(metadata).items()
            if not is_same(value, vars(right)[name])
        }
    assert not wrong


def is_same(value, right):
    if isinstance(value, float) and isinstance(right, float):
        return value == pytest.approx(right, rel=1e-6)
    return value == right and type(value) is type(right)


def test_bytes_in_memory_say_the_same(files):
    for path, _ in files:
        if not is_video(path):
            assert read_image_metadata(path, path.read_bytes()) == read_image_metadata(path)
