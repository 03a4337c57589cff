"""AlignProcessor against transformers': the same scripts, inputs and files give the same."""

import pytest
from PIL import Image
from transformers import AlignProcessor as TheirProcessor, BertTokenizer
from transformers.models.efficientnet.image_processing_pil_efficientnet import EfficientNetImageProcessorPil

from sightline import AlignProcessor
from support.processors import IMAGES, agree, picture

pytestmark = pytest.mark.filterwarnings("ignore:`max_length` is ignored")

# What kakaobrain/align-base says of pictures, which is not what the class says.
PUBLIC = {"size": {"height": 346, "width": 346}, "crop_size": {"height": 289, "width": 289}, "resample": 2}
PUBLIC |= {"do_center_crop": True, "rescale_factor": 1 / 127.5, "rescale_offset": True}
PUBLIC |= {"do_normalize": False, "include_top": False}
TEXTS = ["a photo of a cat", "a red dog " * 40, "", "Hund läuft [SEP] café 猫", "!?\t\n"]


@pytest.fixture(scope="module")
def folder(word_pieces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    TheirProcessor(EfficientNetImageProcessorPil(**PUBLIC), BertTokenizer.from_pretrained(word_pieces)).save_pretrained(
        folder
    )
    return folder


@pytest.fixture(scope="module")
def ours(folder):
    return AlignProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def theirs(folder):
    return TheirProcessor.from_pretrained(folder)


@pytest.mark.parametrize("tensors", [None, "pt"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"truncation": True},
        {"padding": True},
        {"padding": True, "truncation": True},
        {"padding": False},
        {"max_length": 12},
        {"max_length": 12, "truncation": True},
        {"padding": "max_length", "max_length": 20, "truncation": "longest_first"},
    ],
    ids=str,
)
@pytest.mark.parametrize("text", [TEXTS, TEXTS[0], TEXTS[1], [TEXTS[3]]], ids=["list", "string", "long", "one"])
def test_text(ours, theirs, text, options, tensors):
    if (
        tensors
        and isinstance(text, list)
        and len(text) > 1
        and not options.get("truncation")
        and not options.get("padding")
    ):
        return  # ragged rows, which neither makes a tensor
    agree(
        ours(text=text, return_tensors=tensors, **options),
        theirs(text=text, return_tensors=tensors, **options),
    )
    bare = {"padding": True, "truncation": True, "max_length": 30}
    agree(ours.tokenizer(text, return_tensors=tensors, **bare), theirs.tokenizer(text, return_tensors=tensors, **bare))


@pytest.mark.parametrize("settings", [{}, {"do_center_crop": False}, {"include_top": True}, {"rescale_offset": False}])
@pytest.mark.parametrize("name", ["PIL", "array", "array, fractions", "tensor", "PILs"])
def test_images(ours, theirs, name, settings):
    agree(
        ours(images=IMAGES[name], return_tensors="np", **settings),
        theirs(images=IMAGES[name], return_tensors="np", **settings),
    )


def test_files_go_both_ways(ours, theirs, tmp_path):
    ours.save_pretrained(tmp_path)
    inputs = {"text": TEXTS[:1] + TEXTS[2:], "images": Image.fromarray(picture(500, 301)), "return_tensors": "pt"}
    again = AlignProcessor.from_pretrained(tmp_path)(**inputs)
    agree(again, TheirProcessor.from_pretrained(tmp_path)(**inputs))
    agree(again, theirs(**inputs))
    assert list(again) == list(theirs(**inputs))
    assert again.pixel_values.shape == (1, 3, 289, 289)
    assert again.pixel_values.abs().max() <= 1
