"""CLIPProcessor against transformers': the same scripts, inputs and files give the same."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPProcessor as TheirProcessor, CLIPTokenizer

from sightline import CLIPProcessor, load_image
from sightline.errors import CheckpointError, ImageError, UsageError
from sightline.models.features import BatchFeature
from support.processors import IMAGES, agree, picture

pytestmark = pytest.mark.filterwarnings("ignore:`max_length` is ignored")


@pytest.fixture(scope="module")
def folder(vocabulary, tmp_path_factory):
    """A processor's folder as transformers writes it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    tokenizer = CLIPTokenizer.from_pretrained(vocabulary, model_max_length=77)
    images = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    TheirProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ours(folder):
    return CLIPProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def theirs(folder):
    return TheirProcessor.from_pretrained(folder)


TEXTS = ["a photo of a cat", "a red dog " * 40, "", "kitten's ball <|endoftext|> café"]
LONG = TEXTS[1]


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": True},
        {"padding": "longest", "truncation": True},
        {"padding": True, "truncation": True, "max_length": 9},
        {"padding": "max_length"},
        {"padding": "max_length", "truncation": True},
        {"padding": "max_length", "max_length": 12},
        {"padding": "max_length", "max_length": 12, "truncation": "longest_first"},
        {"padding": True, "max_length": 9},
        {"truncation": True},
        {"truncation": True, "max_length": 9},
        {"truncation": False, "max_length": 9},
        {"max_length": 9},
        {"padding": "do_not_pad", "truncation": "do_not_truncate"},
        {"padding": True, "padding_side": "right", "add_special_tokens": True, "return_attention_mask": True},
        {"padding": True, "padding_side": None, "return_attention_mask": None},
    ],
)
@pytest.mark.parametrize("text", [TEXTS, TEXTS[0], LONG, [TEXTS[0]]], ids=["list", "string", "long", "one"])
def test_text(ours, theirs, text, options, tensors):
    try:
        expected = theirs(text=text, return_tensors=tensors, **options)
        ragged = tensors == "np" and expected.input_ids.dtype == object
    except ValueError:
        ragged = True
    if ragged:
        with pytest.raises(UsageError, match="padding=True"):
            ours(text=text, return_tensors=tensors, **options)
        return
    agree(ours(text=text, return_tensors=tensors, **options), expected)
    tokens = ours.tokenizer(text, return_tensors=tensors, **options)
    agree(tokens, theirs.tokenizer(text, return_tensors=tensors, **options))


SETTINGS = [
    {},
    {"do_rescale": False},
    {"do_center_crop": False},
    {"do_resize": False},
    {"do_normalize": False},
    {"size": {"shortest_edge": 20}, "crop_size": 25, "image_mean": [0.5] * 3},
    {"do_resize": False, "do_rescale": False, "do_center_crop": False},
]


@pytest.mark.parametrize("tensors", [None, "np", "pt"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", IMAGES)
def test_images(ours, theirs, name, settings, tensors):
    # The reference's arrays are float64 where a float64 array is neither resized nor rescaled: ours never are.
    agree(
        ours(images=IMAGES[name], return_tensors=tensors, **settings),
        theirs(images=IMAGES[name], return_tensors=tensors, **settings),
    )
    agree(
        ours.image_processor(IMAGES[name], return_tensors=tensors, **settings),
        theirs.image_processor(IMAGES[name], return_tensors=tensors, **settings),
    )


def test_paths_are_loaded_upright_and_open_pictures_are_left_as_they_lie(ours, theirs, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "photo.jpg"
    Image.fromarray(picture()).save(path, exif=exif)
    agree(ours(images=str(path), return_tensors="np"), theirs(images=str(path), return_tensors="np"))
    agree(ours(images=[path], return_tensors="np"), theirs(images=[load_image(path)], return_tensors="np"))
    with Image.open(path) as image:
        agree(ours(images=image, return_tensors="np"), theirs(images=image, return_tensors="np"))


def test_the_script_of_the_readme(ours, theirs, tmp_path):
    Image.fromarray(picture()).save(tmp_path / "cat.png")
    script = {"text": ["a photo of a cat", "a photo of a dog"], "return_tensors": "pt", "padding": True}
    inputs = ours(images=load_image(str(tmp_path / "cat.png")), **script).to(torch.device("cpu"))
    agree(inputs, theirs(images=load_image(str(tmp_path / "cat.png")), **script))
    assert dict(**inputs).keys() == {"input_ids", "attention_mask", "pixel_values"}
    assert inputs.pixel_values is inputs["pixel_values"]
    assert ours.batch_decode(inputs.input_ids) == theirs.batch_decode(inputs.input_ids)
    skipped = ours.batch_decode(inputs.input_ids, skip_special_tokens=True)
    assert skipped == theirs.batch_decode(inputs.input_ids, skip_special_tokens=True) == script["text"]
    assert ours.decode(inputs.input_ids[0]) == theirs.decode(inputs.input_ids[0])


@pytest.mark.parametrize(
    ("args", "kwargs", "floats"),
    [
        (("cpu",), {}, torch.float32),
        ((torch.float16,), {}, torch.float16),
        (("cpu", torch.bfloat16), {}, torch.bfloat16),
        ((), {"device": "cpu", "dtype": torch.float64}, torch.float64),
        ((), {"dtype": torch.float16}, torch.float16),
    ],
)
def test_a_dtype_is_for_the_floating_tensors_alone(ours, args, kwargs, floats):
    inputs = ours(text="a cat", images=picture(), return_tensors="pt").to(*args, **kwargs)
    assert inputs.pixel_values.dtype == floats
    assert inputs.input_ids.dtype == inputs.attention_mask.dtype == torch.int64


def test_to_a_device_moves_everything(ours):
    inputs = ours(text="a cat", images=picture(), return_tensors="pt").to("meta")
    assert {value.device.type for value in inputs.values()} == {"meta"}


def test_a_batch_feature_is_a_plain_dictionary():
    inputs = BatchFeature({"a": 1})
    assert pickle.loads(pickle.dumps(inputs)) == {"a": 1}
    with pytest.raises(AttributeError, match="there is a"):
        _ = inputs.b


def test_files_go_both_ways(ours, folder, tmp_path):
    ours.save_pretrained(tmp_path)
    again, theirs = CLIPProcessor.from_pretrained(tmp_path), TheirProcessor.from_pretrained(tmp_path)
    inputs = {"text": TEXTS, "images": picture(), "padding": "max_length", "truncation": True, "return_tensors": "pt"}
    agree(again(**inputs), theirs(**inputs))
    agree(ours(**inputs), theirs(**inputs))
    assert again.image_processor.to_dict() == ours.image_processor.to_dict()
    (tmp_path / "processor_config.json").unlink()
    agree(CLIPProcessor.from_pretrained(tmp_path)(**inputs), TheirProcessor.from_pretrained(tmp_path)(**inputs))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, 77),
        ({"text_config": {"max_position_embeddings": 40}}, 40),
        ({"text_config": {"max_position_embeddings": 40}, "text_config_dict": {"max_position_embeddings": 30}}, 30),
        ({"text_config": None, "text_config_dict": {}}, 77),
    ],
)
def test_the_length_comes_from_the_models_config(ours, tmp_path, config, expected):
    ours.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del settings["model_max_length"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    if config:
        (tmp_path / "config.json").write_text(json.dumps(config))
    processor = CLIPProcessor.from_pretrained(tmp_path)
    ids = processor(text=LONG, truncation=True, return_tensors="np").input_ids
    assert processor.tokenizer.model_max_length == ids.shape[1] == expected
    assert ids[0, -1] == processor.tokenizer.eos_token_id


def test_settings_are_attributes(ours, theirs):
    for name in ("do_resize", "resample", "rescale_factor", "do_center_crop"):
        assert getattr(ours.image_processor, name) == getattr(theirs.image_processor, name)
    assert ours.image_processor.size["shortest_edge"] == theirs.image_processor.size["shortest_edge"] == 32
    assert ours.image_processor.crop_size["height"] == theirs.image_processor.crop_size["height"] == 32
    assert tuple(ours.image_processor.image_mean) == tuple(theirs.image_processor.image_mean)
    assert ours.tokenizer.model_max_length == theirs.tokenizer.model_max_length
    assert ours.tokenizer.pad_token_id == theirs.tokenizer.pad_token_id
    with pytest.raises(AttributeError, match="patch_size"):
        _ = ours.image_processor.patch_size
    assert pickle.loads(pickle.dumps(ours.image_processor)).to_dict() == ours.image_processor.to_dict()


def test_nothing_of_something(ours):
    assert ours(text=[], return_tensors="np").input_ids.shape == (0, 0)
    assert ours(images=[]).pixel_values == []


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        ({}, UsageError, "text, images or both"),
        ({"text": 3}, UsageError, "text is a string"),
        ({"text": ["a", 3]}, UsageError, "texts are strings"),
        ({"text": ["a", "a b c"], "return_tensors": "pt"}, UsageError, "padding=True"),
        ({"text": "a", "return_tensors": "tf"}, UsageError, "tf"),
        ({"text": "a", "padding": "longer"}, UsageError, "longer"),
        ({"text": "a", "truncation": "shortest"}, UsageError, "shortest"),
        ({"text": "a", "truncation": True, "max_length": 1}, UsageError, "max_length=1"),
        ({"images": 7}, UsageError, "not int"),
        ({"images": [None]}, UsageError, "not NoneType"),
        ({"images": [], "return_tensors": "np"}, UsageError, "the list is empty"),
        ({"images": [picture(), picture(50)], "return_tensors": "np", "do_center_crop": False}, UsageError, "sizes"),
        ({"images": picture(), "sise": 3}, UsageError, "sise"),
        ({"text": "a", "paddding": True}, UsageError, "paddding: no such argument; did you mean padding"),
        ({"text": "a", "padding": True, "padding_side": "middle"}, UsageError, "padding_side='middle'.*\"right\""),
        ({"images": picture(), "size": "big"}, UsageError, "size is 'big'"),
        ({"images": [picture(), picture(channels=2)]}, ImageError, "image 1: .*shape"),
        ({"images": picture() * -1.0}, ImageError, "image 0: values from"),
        ({"images": "no/such/picture.jpg"}, ImageError, "no such file"),
    ],
)
def test_what_makes_no_sense_is_an_error_that_says_so(ours, call, error, says):
    with pytest.raises(error, match=says):
        ours(**call)


def test_the_parts_refuse_unknown_arguments(ours):
    with pytest.raises(UsageError, match="do_resize: no such argument"):
        ours.tokenizer("a", do_resize=False)
    with pytest.raises(UsageError, match="padding: no such setting"):
        ours.image_processor(picture(), padding=True)


def test_image_options_without_images_change_nothing(ours, theirs):
    agree(ours(text="a cat", do_resize=False), theirs(text="a cat", do_resize=False))


@pytest.mark.parametrize("use_fast", [None, False, True])
def test_one_implementation_whatever_is_asked_for(ours, folder, use_fast):
    opened = CLIPProcessor.from_pretrained(folder, use_fast=use_fast)
    agree(opened(text="a", images=picture()), ours(text="a", images=picture()))
    with pytest.raises(UsageError, match="use_fast='slow'"):
        CLIPProcessor.from_pretrained(folder, use_fast="slow")


@pytest.mark.parametrize("added", [False, True], ids=["trained", "with an added token"])
def test_the_tokenizer_of_scripts(folder, tmp_path, added):
    theirs = TheirProcessor.from_pretrained(folder)
    if added:
        theirs.tokenizer.add_special_tokens({"pad_token": "<pad>"})
        theirs.save_pretrained(tmp_path)
        folder = tmp_path
    ours, theirs = CLIPProcessor.from_pretrained(folder).tokenizer, theirs.tokenizer
    assert len(ours) == len(theirs) == ours.vocab_size + added
    for name in ("vocab_size", *(f"{kind}_token{end}" for kind in ("bos", "eos", "pad") for end in ("", "_id"))):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.get_vocab() == theirs.get_vocab()
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == theirs.encode(text)
        assert ours.tokenize(text) == theirs.tokenize(text)
        assert ours.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
        assert ours.convert_ids_to_tokens(np.array(ids)) == theirs.convert_ids_to_tokens(np.array(ids))
    assert ours.convert_ids_to_tokens(ours.eos_token_id) == ours.eos_token
    for wrong in (-1, len(ours), 1 << 40):
        with pytest.raises(UsageError, match=f"no token has the id {wrong}"):
            ours.convert_ids_to_tokens(wrong)
    with pytest.raises(UsageError, match="texts are strings"):
        ours.tokenize(3)


def test_preprocess_is_the_call(ours):
    agree(ours.image_processor.preprocess(picture(), return_tensors="pt"), ours(images=picture(), return_tensors="pt"))


def test_a_folder_without_files_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="tokenizer"):
        CLIPProcessor.from_pretrained(tmp_path)


@pytest.mark.system
def test_processing_needs_no_torch():
    code = (
        "import sys; from sightline.processing import image, tokenizer; from sightline.processing.image import profile;"
        "assert not {'torch', 'transformers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.shared
def test_the_checkpoints_own_processor_on_photos(shared):
    folder = shared / "checkpoints" / "clip-flickr8k"
    ours, theirs = CLIPProcessor.from_pretrained(folder), TheirProcessor.from_pretrained(folder)
    images = [load_image(path) for path in sorted((shared / "data" / "photos" / "images").iterdir())[:8]]
    inputs = {"text": ["a dog running on grass", "一只猫"], "images": images, "padding": True, "return_tensors": "pt"}
    agree(ours(**inputs), theirs(**inputs))
    assert ours.tokenizer.model_max_length == 77


def test_open_files_and_bytes_are_images(ours, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(picture()).save(path)
    expected = ours(images=path, return_tensors="np").pixel_values
    with path.open("rb") as file:
        for source in (file, path.read_bytes(), [path.read_bytes()]):
            assert np.array_equal(ours(images=source, return_tensors="np").pixel_values, expected)
