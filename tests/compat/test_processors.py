"""Whole processors as scripts make, call, change and save them, in both libraries."""

import copy
import json
import pickle

import pytest
import torch
import transformers
from PIL import Image

import sightline
from sightline.checkpoint.hub import PACKAGED
from sightline.errors import CheckpointError, UsageError
from support.processors import agree, picture

pytestmark = pytest.mark.filterwarnings("ignore:`max_length` is ignored")

PACKAGES = {"CLIPProcessor": "mini", "AlignProcessor": "mini-align", "XCLIPProcessor": "mini-xclip"}
TEXTS = ["a photo of a red cat", "two dogs"]


@pytest.fixture(params=PACKAGES)
def both(request):
    """A family's processor of a packaged model, in both libraries."""
    folder = PACKAGED / PACKAGES[request.param]
    return tuple(getattr(library, request.param).from_pretrained(folder) for library in (sightline, transformers))


@pytest.fixture
def clip():
    folder = PACKAGED / "mini"
    return tuple(library.CLIPProcessor.from_pretrained(folder) for library in (sightline, transformers))


def images_for(processor):
    """Two pictures, or as many frames of a video as the packaged model takes."""
    frames = [Image.fromarray(picture(seed=seed)) for seed in range(8)]
    return frames if type(processor).__name__ == "XCLIPProcessor" else frames[:2]


def values(feature):
    """A feature whose values are arrays or lists of numbers; a list of one video as its frames."""
    pixels = feature.get("pixel_values")
    nested = isinstance(pixels, list) and isinstance(pixels[0], list)
    return {**feature, "pixel_values": pixels[0]} if nested else dict(feature)


def same(both, **call):
    """Both give the same for the same call."""
    ours, theirs = both
    call = {name: images_for(theirs) if value is ... else value for name, value in call.items()}
    mine, other = ours(**call), theirs(**call)
    assert list(mine) == list(other)
    agree(values(mine), values(other))


CALLS = [
    {"padding": True},
    {"padding": True, "return_tensors": "pt"},
    {"padding": "max_length", "max_length": 20, "truncation": True, "return_tensors": "np"},
    {"padding": "max_length", "max_length": 5, "truncation": True},
    {"text_kwargs": {"padding": "longest", "truncation": True}, "return_tensors": "pt"},
    {"text_kwargs": {"padding": True, "max_length": 9}, "images_kwargs": {"do_normalize": False}},
    {"text_kwargs": {"padding": True, "return_tensors": "np"}},
    {"images_kwargs": {"return_tensors": "np"}},
    {"images_kwargs": {"size": 50, "crop_size": {"height": 40, "width": 41}}, "padding": True},
    {"common_kwargs": {"return_tensors": "np"}, "padding": True},
    {"common_kwargs": {"return_tensors": "np"}, "padding": True, "return_tensors": "pt"},
    {"size": {"height": 50, "width": 60}, "crop_size": 40, "do_rescale": False, "padding": False},
    {"text_kwargs": {}, "images_kwargs": {}, "common_kwargs": {}, "audio": None, "audio_kwargs": {}},
    {"padding": True, "padding_side": "left", "return_tensors": "pt"},
    {"padding": True, "add_special_tokens": False, "return_tensors": "pt"},
    {"padding": True, "return_attention_mask": False},
    {"padding": True, "return_offsets_mapping": True, "return_special_tokens_mask": True, "return_length": True},
    {"padding": True, "pad_to_multiple_of": 8, "return_tensors": "pt"},
    {"text_pair": ["one", "more"], "padding": True},
    {"text_kwargs": {"text_pair": ["one", "more"], "return_token_type_ids": True, "padding": True}},
]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_arguments_go_to_the_part_that_knows_them(both, call):
    same(both, text=TEXTS, images=..., **call)
    same(both, text=TEXTS, **call)
    same(both, images=..., **call)


def test_positions_and_single_inputs(both):
    ours, theirs = both
    pictures = images_for(theirs)
    options = {"padding": True, "return_tensors": "pt"}
    agree(ours(pictures, TEXTS, **options), theirs(pictures, TEXTS, **options))
    agree(ours(pictures, **options), theirs(pictures, **options))
    agree(ours(None, "a cat"), theirs(None, "a cat"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({}, "needs text, images or both"),
        ({"text": "a", "padding": True, "text_kwargs": {"padding": True}}, "padding: given twice, in text_kwargs"),
        ({"text": "a", "paddding": True}, "paddding: no such argument; did you mean padding"),
        ({"text": "a", "text_kwargs": {"do_resize": True}}, "do_resize: no such argument"),
        ({"text": "a", "images_kwargs": {"padding": True}}, "padding: no such argument"),
        ({"text": "a", "text_kwargs": 3}, "text_kwargs is 3, expected a dictionary"),
        ({"text": "a", "audio": [1.0]}, "audio: no such argument"),
        ({"text": "a", "fps": 3}, "fps: no such argument"),
        ({"images": "a cat", "text": picture()}, "images come first"),
    ],
)
def test_what_neither_part_knows(both, call, says):
    with pytest.raises(UsageError, match=says):
        both[0](**call)


def test_videos_are_for_the_processor_of_videos(clip):
    with pytest.raises(UsageError, match="videos: no such argument"):
        clip[0](videos=[picture()])
    ours = sightline.XCLIPProcessor.from_pretrained("mini-xclip")
    frames = images_for(ours)
    expected = ours(videos=frames, crop_size=40, return_tensors="pt").pixel_values
    assert expected.shape == (1, 8, 3, 40, 40)
    for name in ("videos_kwargs", "images_kwargs"):
        found = ours(videos=frames, return_tensors="pt", **{name: {"crop_size": 40}}).pixel_values
        assert torch.equal(found, expected)


def test_parts_are_given_and_replaced(both):
    ours, theirs = both
    for again in (
        type(ours)(ours.image_processor, ours.tokenizer),
        type(ours)(tokenizer=ours.tokenizer, image_processor=ours.image_processor),
        copy.copy(ours),
        copy.deepcopy(ours),
        pickle.loads(pickle.dumps(ours)),
    ):
        same((again, theirs), text=TEXTS, images=..., padding=True, return_tensors="pt")
    for processor in both:
        processor.image_processor = type(processor.image_processor)(size={"shortest_edge": 40}, crop_size=30)
    same(both, images=..., return_tensors="pt")
    for processor in both:
        processor.image_processor.do_normalize = False
        processor.image_processor.crop_size = {"height": 20, "width": 21}
    same(both, images=..., return_tensors="pt")
    folder = PACKAGED / PACKAGES[type(ours).__name__]
    opened = [type(one).from_pretrained(folder, image_processor=one.image_processor) for one in both]
    same(opened, images=..., text=TEXTS, padding=True, return_tensors="pt")
    assert ours.get_attributes() == theirs.get_attributes()
    with pytest.raises(UsageError, match=r"image_processor is of sightline.*; give one that sightline opened"):
        type(ours)(ours.tokenizer, ours.image_processor)
    with pytest.raises(UsageError, match="tokenizer is of transformers"):
        type(ours)(ours.image_processor, theirs.tokenizer)


def test_tokenizers_obey_assignment(both):
    for processor in both:
        processor.tokenizer.padding_side = "left"
    same(both, text=TEXTS, padding=True, return_tensors="pt")


def test_parts_of_our_own_make_a_processor():
    ours = sightline.CLIPProcessor(
        image_processor=sightline.CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=30),
        tokenizer=sightline.CLIPTokenizer.from_pretrained("mini"),
    )
    theirs = transformers.CLIPProcessor(
        image_processor=transformers.CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size=30),
        tokenizer=transformers.CLIPTokenizer.from_pretrained(PACKAGED / "mini"),
    )
    same((ours, theirs), text=TEXTS, images=..., padding=True, return_tensors="pt")


def test_settings_are_overridden_when_opened(both):
    changes = {"size": {"shortest_edge": 40}, "crop_size": {"height": 30, "width": 30}, "do_normalize": False}
    names = {type(processor).__name__ for processor in both}
    folder = PACKAGED / PACKAGES[names.pop()]
    changed = [type(p).from_pretrained(folder, padding_side="left", **changes) for p in both]
    same(changed, text=TEXTS, images=..., padding=True, return_tensors="pt")
    for wrong, says in (({"sise": 3}, "sise: no such setting; did you mean size"), ({"size": "big"}, "size is 'big'")):
        with pytest.raises(UsageError, match=says):
            type(both[0]).from_pretrained(folder, **wrong)
    for ignored in ({"use_fast": False}, {"trust_remote_code": False}, {"backend": "pil"}):
        assert type(both[0]).from_pretrained(folder, **ignored).to_dict() == both[0].to_dict()
    with pytest.raises(UsageError, match="backend='slow'"):
        type(both[0]).from_pretrained(folder, backend="slow")


def test_what_is_saved_is_opened_by_both(both, tmp_path):
    ours, theirs = both
    ours.image_processor.size = theirs.image_processor.size = {"shortest_edge": 40}
    ours.image_processor.crop_size = theirs.image_processor.crop_size = {"height": 30, "width": 30}
    for processor, name in ((ours, "ours"), (theirs, "theirs")):
        assert processor.save_pretrained(str(tmp_path / name)) == [str(tmp_path / name / "processor_config.json")]
        pair = [type(one).from_pretrained(tmp_path / name) for one in both]
        same(pair, text=TEXTS, images=..., padding=True, return_tensors="pt")
        assert type(sightline.AutoProcessor.from_pretrained(tmp_path / name)) is type(ours)
    mine, other = ours.to_dict(), json.loads(theirs.to_json_string())
    assert list(mine) == list(other)
    assert mine["processor_class"] == other["processor_class"]
    assert json.loads(ours.to_json_string()).keys() == other.keys()
    ours.to_json_file(tmp_path / "file.json")
    assert json.loads((tmp_path / "file.json").read_text()) == json.loads(ours.to_json_string())
    assert repr(ours).startswith(f"{type(ours).__name__}:\n- image_processor: ")
    assert ours.model_input_names == theirs.model_input_names


def test_ids_become_texts(both):
    ours, theirs = both
    ids = ours(text=TEXTS, padding=True, return_tensors="pt").input_ids
    for options in ({}, {"skip_special_tokens": True}):
        assert ours.batch_decode(ids, **options) == theirs.batch_decode(ids, **options)
        assert ours.decode(ids[0], **options) == theirs.decode(ids[0], **options)
    for processor in both:
        with pytest.raises(ValueError, match="chat template"):
            processor.apply_chat_template([{"role": "user", "content": "a cat"}])
        assert not hasattr(processor, "feature_extractor")


@pytest.mark.parametrize("name", ["mini", "mini-align", "mini-groupvit", "mini-xclip"])
def test_auto_processors_open_what_is_there(name, tmp_path):
    opened = sightline.AutoProcessor.from_pretrained(name)
    expected = next((kind for kind, package in PACKAGES.items() if package == name), "CLIPProcessor")
    assert type(opened) is getattr(sightline, expected)
    opened.image_processor.save_pretrained(tmp_path / "images")
    opened.tokenizer.save_pretrained(tmp_path / "texts")
    images = sightline.AutoProcessor.from_pretrained(tmp_path / "images")
    assert images == sightline.AutoImageProcessor.from_pretrained(tmp_path / "images") == opened.image_processor
    texts = sightline.AutoProcessor.from_pretrained(tmp_path / "texts")
    assert texts("a cat") == opened.tokenizer("a cat")


def test_two_towers_processor_is_named_in_its_file(tmp_path):
    parts = sightline.CLIPProcessor.from_pretrained("mini")
    ours = sightline.VisionTextDualEncoderProcessor(parts.image_processor, parts.tokenizer)
    ours.save_pretrained(tmp_path)
    again = sightline.AutoProcessor.from_pretrained(tmp_path)
    assert type(again) is sightline.VisionTextDualEncoderProcessor
    theirs = transformers.VisionTextDualEncoderProcessor.from_pretrained(tmp_path)
    same((again, theirs), text=TEXTS, images=..., padding=True, return_tensors="pt")


def test_auto_processors_name_what_they_cannot_open(tmp_path):
    opened = sightline.CLIPProcessor.from_pretrained("mini")
    opened.save_pretrained(tmp_path)
    (tmp_path / "processor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"name no processor .*one of AlignProcessor, CLIPProcessor"):
        sightline.AutoProcessor.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    assert type(sightline.AutoProcessor.from_pretrained(tmp_path)) is sightline.CLIPProcessor
    with pytest.raises(UsageError, match=r"write AutoProcessor\.from_pretrained"):
        sightline.AutoProcessor()
