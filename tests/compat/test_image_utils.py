"""`sightline.image_utils` against the reference's."""

import numpy as np
import pytest
import torch
import transformers.image_utils as theirs
from PIL import Image

import sightline
from sightline import image_utils as ours
from sightline.errors import UsageError
from support.processors import IMAGES, picture

NAMES = sorted(set(ours.__all__) - {"ImageInput", "SizeDict", "ChannelDimension", "PILImageResampling", "load_image"})
FUNCTIONS = [name for name in NAMES if name.islower()]
INPUTS = {
    **IMAGES,
    "lists": [[picture()], [picture(), picture()]],
    "batches": [np.stack([picture()] * 2)],
    "video": np.stack([np.stack([picture()] * 2)] * 3),
    "text": "a",
    "number": 3,
    "texts": ["a"],
}


def plain(value):
    """What can be compared: arrays by shape and values."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return np.asarray(value).tolist() if hasattr(value, "shape") or isinstance(value, Image.Image) else value


def outcome(function, value):
    """What a function gives, or that it refuses."""
    try:
        return plain(function(value))
    except (ValueError, TypeError, AttributeError, IndexError):
        return "refused"


@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "load_images"])
def test_functions_give_the_same(name, given):
    assert outcome(getattr(ours, name), INPUTS[given]) == outcome(getattr(theirs, name), INPUTS[given])


@pytest.mark.parametrize("name", [name for name in NAMES if name.isupper()])
def test_constants_are_the_same(name):
    assert getattr(ours, name) == getattr(theirs, name)


def test_enumerations_and_sizes_are_interchangeable():
    assert [*ours.ChannelDimension] == [*theirs.ChannelDimension] == ["channels_first", "channels_last"]
    assert ours.PILImageResampling is theirs.PILImageResampling
    assert dict(ours.SizeDict(height=3, width=4)) == dict(theirs.SizeDict(height=3, width=4))
    assert ours.load_image is sightline.load_image


def test_pictures_are_loaded_in_lists_of_lists(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(picture()).save(path)
    for images in (path, [path, path], [[path], [path, path]]):
        assert plain(ours.load_images(images)) == plain(theirs.load_images(images))


def test_where_channels_are():
    array = torch.zeros(2, 4, 6, 3)
    for library in (ours, theirs):
        assert library.infer_channel_dimension_format(array) == "channels_last"
        assert library.infer_channel_dimension_format(array, num_channels=4) == "channels_first"
        assert library.get_image_size(array, channel_dim=library.ChannelDimension.FIRST) == (6, 3)
    with pytest.raises(UsageError, match=r"shape \(4, 6, 5\) has no axis of 1 or 3 channels"):
        ours.infer_channel_dimension_format(np.zeros((4, 6, 5)))
