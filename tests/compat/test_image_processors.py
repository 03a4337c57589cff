"""Image processors as scripts make, change, call and save them, in both libraries."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import sightline
from sightline.errors import CheckpointError, ImageError, UsageError
from sightline.models import publishing
from support.processors import agree, picture

CLASSES = ("CLIP", "EfficientNet", "VideoMAE")
SMALL = {"size": {"height": 40, "width": 32}, "crop_size": {"height": 24, "width": 28}}


def both(kind, **settings):
    """The class of this kind in both libraries, made of `settings`."""
    ours = getattr(sightline, f"{kind}ImageProcessor")
    return ours(**settings), getattr(transformers, f"{kind}ImageProcessorPil")(**settings)


def given(kind):
    """What a processor of this kind is called with."""
    images = [Image.fromarray(picture(seed=seed)) for seed in range(2)]
    return [images] if kind == "VideoMAE" else images


def same(ours, theirs, kind, **options):
    """Both give the same values for the same call."""
    mine, other = ours(given(kind), **options), theirs(given(kind), **options)
    if kind == "VideoMAE" and isinstance(other.pixel_values, list):
        mine, other = ({"pixel_values": feature.pixel_values[0]} for feature in (mine, other))
    agree(mine, other)


def plain(settings):
    """Settings as a file holds them; without RGB, which ours always says."""
    return {name: value for name, value in json.loads(json.dumps(settings)).items() if name != "do_convert_rgb"}


CHANGES = [
    {"size": {"shortest_edge": 20}},
    {"size": {"height": 20, "width": 33}},
    {"size": 20},
    {"size": [20, 33]},
    {"size": (20, 33)},
    {"crop_size": {"height": 10, "width": 12}},
    {"crop_size": 10},
    {"crop_size": [10, 12]},
    {"crop_size": 80},
    {"do_resize": False},
    {"do_center_crop": False},
    {"do_rescale": False},
    {"do_normalize": False},
    {"do_normalize": None, "do_center_crop": None},
    {"resample": 0},
    {"resample": Image.Resampling.LANCZOS},
    {"rescale_factor": 1 / 127.5},
    {"image_mean": [0.1, 0.2, 0.3], "image_std": (0.4, 0.5, 0.6)},
    {"image_mean": 0.25, "image_std": 0.5},
    {"do_convert_rgb": True},
    {"return_tensors": "pt"},
    {"size": 20, "crop_size": 12, "do_rescale": False, "return_tensors": "np"},
]
FURTHER = [{"rescale_offset": True, "do_normalize": False}, {"include_top": False}, {"do_center_crop": True}]
CASES = [(kind, change) for kind in CLASSES for change in CHANGES] + [("EfficientNet", change) for change in FURTHER]


@pytest.mark.parametrize(("kind", "change"), CASES, ids=str)
def test_a_setting_counts_in_a_call_when_made_and_when_assigned(kind, change, tmp_path):
    start = {} if "size" in change and "crop_size" in change else SMALL
    ours, theirs = both(kind, **start)
    same(ours, theirs, kind, **change)
    same(*both(kind, **(start | change)), kind)
    for name, value in change.items():
        setattr(ours, name, value)
        setattr(theirs, name, value)
    same(ours, theirs, kind)
    for again in (copy.deepcopy(ours), copy.copy(ours), pickle.loads(pickle.dumps(ours))):
        assert again == ours
        same(again, theirs, kind)
    ours.save_pretrained(tmp_path)
    same(type(ours).from_pretrained(tmp_path), type(theirs).from_pretrained(tmp_path), kind)


@pytest.mark.parametrize("kind", CLASSES)
def test_settings_read_back_and_go_to_files_as_the_reference_s(kind, tmp_path):
    for start in ({}, SMALL, {"size": 20, "crop_size": 12, "resample": 0}):
        ours, theirs = both(kind, **start)
        for name in [*theirs.to_dict(), "do_pad", "pad_size", "data_format", "return_tensors", "device"]:
            if name != "image_processor_type":
                assert getattr(ours, name) == getattr(theirs, name), name
        assert plain(ours.to_dict()) == plain(theirs.to_dict())
        assert plain(json.loads(ours.to_json_string())) == plain(json.loads(theirs.to_json_string()))
    for mine, other in ((ours, "ours"), (theirs, "theirs")):
        (folder := tmp_path / other).mkdir()
        assert mine.save_pretrained(folder) == [str(folder / "preprocessor_config.json")]
        again = type(ours).from_pretrained(folder)
        assert again == ours
        assert type(ours).from_pretrained(folder / "preprocessor_config.json") == ours
        assert type(ours).from_json_file(folder / "preprocessor_config.json") == ours
        assert type(ours).from_dict(mine.to_dict()) == ours
        assert type(ours)(**mine.to_dict()) == ours
        assert sightline.AutoImageProcessor.from_pretrained(folder) == ours
        settings, rest = type(ours).get_image_processor_dict(folder, foo=1)
        assert plain(settings) == plain(theirs.to_dict())
        assert rest == {"foo": 1}
        same(type(theirs).from_pretrained(folder), again, kind)
    assert repr(ours).startswith(f"{kind}ImageProcessor {{")
    assert type(ours).__name__ == f"{kind}ImageProcessor"
    assert ours.model_input_names == theirs.model_input_names
    for name in ("Fast", "Pil"):
        assert getattr(sightline, f"{kind}ImageProcessor{name}") is type(ours)


def test_a_size_is_read_by_name_and_by_attribute():
    ours, theirs = both("CLIP")
    for size in (ours.size, theirs.size):
        assert size["shortest_edge"] == size.shortest_edge == 224
        assert size["height"] is size.height is size.get("height") is size.longest_edge is None
        assert "shortest_edge" in size
        assert "height" not in size
        assert size == {"shortest_edge": 224}
        with pytest.raises(KeyError):
            size["depth"]
        with pytest.raises(AttributeError):
            _ = size.depth
    assert ours.crop_size["height"] == ours.crop_size.width == theirs.crop_size.width == 224
    assert dict(ours.size) == dict(theirs.size)


def test_a_side_that_is_set_counts():
    ours, theirs = both("CLIP")
    for processor in (ours, theirs):
        processor.size["shortest_edge"] = 20
        processor.crop_size["height"] = processor.crop_size["width"] = 12
    same(ours, theirs, "CLIP")
    assert ours.to_dict()["size"] == {"shortest_edge": 20}
    ours.size.shortest_edge = theirs.size.shortest_edge = 30
    same(ours, theirs, "CLIP")
    assert both("CLIP")[0].size == {"shortest_edge": 224}
    with pytest.raises(UsageError, match="shortest_edge is 'big'"):
        ours.size["shortest_edge"] = "big"
    with pytest.raises(UsageError, match="no side 'hight'; there is height, width, shortest_edge"):
        ours.size["hight"] = 3
    ours.size["height"] = 20
    with pytest.raises(UsageError, match=r"size is .*expected"):
        ours(picture())


def test_a_negative_factor_is_a_call_s_affair(tmp_path):
    ours, theirs = both("CLIP", rescale_factor=-1.0)
    same(ours, theirs, "CLIP")
    ours.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"rescale_factor is -1\.0, expected a number above 0"):
        sightline.CLIPImageProcessor.from_pretrained(tmp_path)


def test_an_array_is_three_numbers():
    ours, theirs = both("CLIP")
    for processor in (ours, theirs):
        processor.image_mean = np.array([0.1, 0.2, 0.3])
    same(ours, theirs, "CLIP")
    assert ours.image_mean == (0.1, 0.2, 0.3)


def test_a_script_s_own_attribute_is_kept():
    ours = sightline.CLIPImageProcessor()
    before = ours.to_dict()
    ours.is_mine = True
    assert ours.is_mine is pickle.loads(pickle.dumps(ours)).is_mine is True
    assert ours.to_dict() == before | {"is_mine": True}


def test_default_to_square_says_what_a_number_means():
    ours, theirs = both("CLIP", do_center_crop=False)
    for square in (True, False, None):
        same(ours, theirs, "CLIP", size=20, default_to_square=square)
    assert ours.default_to_square is theirs.default_to_square is False
    assert sightline.EfficientNetImageProcessor().default_to_square is True
    assert sightline.CLIPImageProcessor(size=20, default_to_square=True).size == {"height": 20, "width": 20}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("size", "big", "size is 'big', expected"),
        ("size", {"shortest_edge": 20, "longest_edge": 30}, "size is .*expected .*shortest_edge"),
        ("size", {"longest_edge": 30}, "size is .*expected .*shortest_edge"),
        ("size", {"shortest_edge": 0}, "size is 0"),
        ("crop_size", [1, 2, 3], "crop_size is"),
        ("crop_size", 2.5, "crop_size is 2.5"),
        ("do_resize", "yes", "do_resize is 'yes', expected true or false"),
        ("do_convert_rgb", 3, "do_convert_rgb is 3"),
        ("resample", 99, "resample is 99"),
        ("rescale_factor", "x", "rescale_factor is 'x', expected a number"),
        ("image_mean", [0.5], "image_mean is .*three numbers"),
        ("image_std", [0.5, 0.5, 0.0], "image_std is .*above 0"),
        ("data_format", "first", "data_format is 'first', expected \"channels_first\""),
        ("return_tensors", "tf", "return_tensors is 'tf', expected \"pt\""),
        ("pad_size", {"height": 3}, "pad_size is"),
        ("sise", 3, "sise: no such setting; did you mean size"),
    ],
)
def test_a_wrong_value_is_refused_and_the_old_one_stays(name, value, says):
    processor = sightline.CLIPImageProcessor(**SMALL)
    before = processor.to_dict()
    for call in (
        lambda: setattr(processor, name, value),
        lambda: processor(picture(), **{name: value}),
        lambda: sightline.CLIPImageProcessor(**{name: value}),
        lambda: sightline.CLIPImageProcessor.from_pretrained("mini", **{name: value}),
    ):
        with pytest.raises(UsageError, match=says):
            call()
    assert processor.to_dict() == before
    with pytest.raises(AttributeError, match="size_divisor"):
        _ = processor.size_divisor


def test_what_there_is_none_of_is_refused_in_calls():
    for name in ("segmentation_maps", "masks", "text"):
        with pytest.raises(UsageError, match=f"{name}: no such setting"):
            sightline.CLIPImageProcessor()(picture(), **{name: picture()})


def test_none_when_made_is_off_or_the_class_s():
    same(*both("CLIP", do_resize=None, do_rescale=None, return_tensors=None), "CLIP")
    assert sightline.CLIPImageProcessor(size=None, image_mean=None, resample=None) == sightline.CLIPImageProcessor()


def test_settings_of_a_file_are_overridden(tmp_path):
    both("CLIP")[0].save_pretrained(tmp_path)
    changes = {"size": {"shortest_edge": 20}, "crop_size": {"height": 12, "width": 12}, "do_normalize": False}
    for kind in ("CLIPImageProcessor", "AutoImageProcessor"):
        ours = getattr(sightline, kind).from_pretrained(tmp_path, use_fast=False, trust_remote_code=False, **changes)
        theirs = getattr(transformers, kind).from_pretrained(tmp_path, **changes)
        same(ours, theirs, "CLIP")
    kept = {"do_resize": False, "foo": 1, "return_unused_kwargs": True}
    (ours, unused), (_, others) = (
        kind.from_pretrained(tmp_path, **kept)
        for kind in (sightline.CLIPImageProcessor, transformers.CLIPImageProcessorPil)
    )
    assert unused == {"foo": 1}
    assert others["foo"] == 1
    assert ours.do_resize is False


def test_a_file_s_wrong_value_is_named_with_the_file(tmp_path):
    path = tmp_path / "preprocessor_config.json"
    for settings, says in (
        ({"size": "big"}, "size is 'big'"),
        ({"image_processor_type": "ViltImageProcessor"}, "ViltImageProcessor"),
    ):
        path.write_text(json.dumps(settings))
        with pytest.raises(CheckpointError, match=f"preprocessor_config.json: .*{says}"):
            sightline.AutoImageProcessor.from_pretrained(tmp_path)
    path.write_text(json.dumps({"size": 20, "feature_extractor_type": "CLIPFeatureExtractor", "unheard_of": 3}))
    ours = sightline.AutoImageProcessor.from_pretrained(tmp_path)
    assert ours.size == {"shortest_edge": 20}
    assert type(ours) is sightline.CLIPImageProcessor
    # Another class may open it: with that class's settings.
    assert sightline.EfficientNetImageProcessor.from_pretrained(tmp_path).size == {"height": 20, "width": 20}
    with pytest.raises(UsageError, match=r"write AutoImageProcessor\.from_pretrained"):
        sightline.AutoImageProcessor()


@pytest.mark.parametrize("spelling", [str, transformers.image_utils.ChannelDimension], ids=["text", "enumeration"])
def test_where_arrays_have_their_channels(spelling):
    ours, theirs = both("CLIP", size=32, crop_size=30)
    rows = picture(3, 60)  # three rows of three channels: which are which?
    for place in ("channels_first", "channels_last"):
        options = {"input_data_format": spelling(place), "return_tensors": "np"}
        agree(ours(rows, **options), theirs(rows, **options))
    with pytest.raises(ImageError, match=r"shape \(40, 60, 3\) has no channels_first"):
        ours(picture(), input_data_format="channels_first")
    first = ours(picture(), return_tensors="np", data_format=spelling("channels_first")).pixel_values
    last = ours(picture(), return_tensors="np", data_format=spelling("channels_last")).pixel_values
    assert last.shape == (1, 30, 30, 3)
    np.testing.assert_array_equal(last.transpose(0, 3, 1, 2), first)
    frames = sightline.VideoMAEImageProcessor(size=32, crop_size=30)([picture()] * 2, data_format="channels_last")
    assert np.shape(frames.pixel_values) == (1, 2, 30, 30, 3)


def test_images_are_filled_up_to_the_largest_or_to_a_size():
    ours, theirs = both("CLIP", size=32, do_center_crop=False)
    images = [Image.fromarray(picture(40, width)) for width in (40, 60)]
    for size in (None, {"height": 50, "width": 60}, 70):
        options = {"do_pad": True, "pad_size": size, "return_tensors": "pt"}
        agree(ours(images, **options), theirs(images, **options))
    with pytest.raises(UsageError, match="pad_size, 20 x 20"):
        ours(images, do_pad=True, pad_size=20)
    with pytest.raises(UsageError, match="do_pad is for images"):
        sightline.VideoMAEImageProcessor()([picture()], do_pad=True)
    ours.do_pad = True
    assert (
        sightline.CLIPImageProcessor.from_dict(ours.to_dict())(images, return_tensors="np").pixel_values.shape[0] == 2
    )


def test_a_device_is_where_the_tensors_go():
    ours, theirs = both("CLIP", size=32, crop_size=30)
    same(ours, theirs, "CLIP", device="cpu", return_tensors="pt", disable_grouping=True)
    same(ours, theirs, "CLIP", device=torch.device("cpu"))
    assert ours(picture(), device="meta", return_tensors="pt").pixel_values.device.type == "meta"


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_all_modes_become_rgb_or_are_refused(mode):
    image = Image.fromarray(picture())
    image = Image.fromarray(picture(channels=4)) if mode == "RGBA" else image.convert(mode)
    ours, theirs = both("CLIP", size=32, crop_size=30)
    agree(ours(image), theirs(image))
    with pytest.raises(ImageError, match="leave do_convert_rgb on"):
        ours(image, do_convert_rgb=False)
    agree(ours(image.convert("RGB"), do_convert_rgb=False), theirs(image.convert("RGB"), do_convert_rgb=False))


def test_lists_in_lists_and_single_frames():
    ours, theirs = both("CLIP", size=32, crop_size=30)
    nested = [[picture(), picture(seed=1)], [picture(seed=2)]]
    agree(ours(nested, return_tensors="pt"), theirs(nested, return_tensors="pt"))
    ours, theirs = both("VideoMAE", size=32, crop_size=30)
    for given in (picture(), Image.fromarray(picture()), [picture()], [[picture()], [picture()]]):
        agree(ours(given, return_tensors="pt"), theirs(given, return_tensors="pt"))


@pytest.mark.parametrize("kind", CLASSES)
def test_single_steps(kind):
    ours, theirs = both(kind)
    array = picture().transpose(2, 0, 1)
    steps = [
        ("resize", {"size": theirs.size}),
        ("resize", {"size": theirs.crop_size, "resample": 3}),
        ("center_crop", {"size": type(theirs.size)(height=30, width=70)}),
        ("rescale", {"scale": 0.5}),
        ("normalize", {"mean": [0.1, 0.2, 0.3], "std": 0.5}),
    ]
    for name, options in steps:
        expected = getattr(theirs, name)(array, **options)
        size = {"size": dict(options["size"])} if "size" in options else {}
        found = getattr(ours, name)(array, **(options | size))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_paths_are_fetched(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(picture()).save(path)
    ours, theirs = both("CLIP", size=32, crop_size=30)
    agree(ours(ours.fetch_images([path])), theirs(theirs.fetch_images([path])))
    found = ours.fetch_images([[path], [picture()]])
    assert np.array_equal(np.asarray(found[0][0]), found[1][0])


def test_two_are_equal_by_their_settings():
    ours = sightline.CLIPImageProcessor
    assert ours() == ours(size=224)
    assert ours() != ours(size=20)
    assert ours() != sightline.VideoMAEImageProcessor()
    assert ours() != 3


def test_a_folder_is_sent_to_the_hub_when_asked(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(publishing, "upload", lambda folder, name, message, **options: sent.append((name, message)))
    ours = sightline.CLIPImageProcessor()
    ours.save_pretrained(tmp_path / "a", push_to_hub=True)
    ours.save_pretrained(tmp_path / "b", push_to_hub=True, repo_id="me/mine", commit_message="New")
    ours.push_to_hub("me/mine")
    upload = "Upload CLIPImageProcessor"
    assert sent == [("a", upload), ("me/mine", "New"), ("me/mine", upload)]
    with pytest.raises(UsageError, match="repo: no such argument; did you mean repo_id"):
        ours.save_pretrained(tmp_path, repo="me/mine")
    with pytest.raises(UsageError, match="is a file: name a folder"):
        ours.save_pretrained(tmp_path / "a" / "preprocessor_config.json")


@pytest.mark.parametrize("size", [(0, 10), (10, 0)])
def test_an_empty_picture_is_named(size):
    with pytest.raises(ImageError, match=f"image 1: an image of {size[0]} x {size[1]} pixels is empty"):
        sightline.CLIPImageProcessor()([Image.new("RGB", (9, 9)), Image.new("RGB", size)])


def test_a_scripts_own_attributes_are_saved_and_opened(tmp_path):
    ours = sightline.CLIPImageProcessor()
    ours.label, ours._scratch = {"by": "me"}, object()
    ours.save_pretrained(tmp_path)
    assert sightline.CLIPImageProcessor.from_pretrained(tmp_path).label == {"by": "me"}
    assert transformers.CLIPImageProcessorPil.from_pretrained(tmp_path).label == {"by": "me"}
    assert "num_frames" not in sightline.XCLIPProcessor.from_pretrained("mini-xclip").image_processor.to_dict()
