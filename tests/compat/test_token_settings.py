"""Settings with which tokenizers and processors are opened: tokens under names of one's own, arguments of calls."""

import copy
import pickle

import pytest
import transformers
from PIL import Image

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore:`max_length` is ignored")

KINDS = {"CLIPTokenizer": "mini", "BertTokenizer": "mini-align"}
OWN = {"image_token": "<image>", "thing": "<thing>"}
TEXT = "a <image> of <thing>"


@pytest.fixture(params=KINDS)
def opened(request):
    """Opens the kind's packaged tokenizer, or a folder's, by a library."""

    def of(library, folder=PACKAGED / KINDS[request.param], **settings):
        return getattr(library, request.param).from_pretrained(folder, **settings)

    return of


def test_tokens_under_names_of_one_s_own(opened, tmp_path) -> None:
    ours, theirs = (opened(library, extra_special_tokens=OWN) for library in (sightline, transformers))
    for name in ("image_token", "thing"):
        assert getattr(ours, name) == getattr(theirs, name) == OWN[name]
        assert getattr(ours, f"{name}_id") == getattr(theirs, f"{name}_id")
    assert list(ours.SPECIAL_TOKENS_ATTRIBUTES) == theirs.SPECIAL_TOKENS_ATTRIBUTES
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.all_special_tokens == theirs.all_special_tokens
    assert ours.extra_special_tokens == theirs.extra_special_tokens == []
    assert ours(TEXT).input_ids == theirs(TEXT).input_ids
    ours.save_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")
    again = opened(transformers, tmp_path / "ours")
    assert (again.image_token_id, again(TEXT).input_ids) == (theirs.image_token_id, theirs(TEXT).input_ids)
    for read in (opened(sightline, tmp_path / "theirs"), opened(sightline, tmp_path / "ours"), copy.deepcopy(ours)):
        assert {name: getattr(read, name) for name in OWN} == OWN
        assert read(TEXT).input_ids == theirs(TEXT).input_ids
    loaded = pickle.loads(pickle.dumps(ours))
    loaded.image_token = "<thing>"
    assert loaded.image_token_id == ours.thing_id
    assert loaded.special_tokens_map["image_token"] == "<thing>"
    assert ours.image_token == "<image>"


@pytest.mark.parametrize("settings", [{"max_length": 9, "padding": "max_length"}, {"max_length": 5}, {"padding": True}])
def test_arguments_of_a_processor_s_calls(opened, settings, tmp_path) -> None:
    texts = ["a dog", "a photo of a red cat beside a bicycle"]
    found = []
    for library in (sightline, transformers):
        tokenizer = opened(library, **settings)
        assert {name: tokenizer.init_kwargs[name] for name in settings} == settings
        folder, name = (
            (PACKAGED / "mini-align", "Align") if "Bert" in type(tokenizer).__name__ else (PACKAGED / "mini", "CLIP")
        )
        images = library.AutoImageProcessor.from_pretrained(folder)
        processors = [getattr(library, f"{name}Processor")(images, tokenizer)]
        processors.append(getattr(library, f"{name}Processor").from_pretrained(folder, **settings))
        processors[0].save_pretrained(tmp_path / library.__name__)
        processors.append(getattr(library, f"{name}Processor").from_pretrained(tmp_path / library.__name__))
        calls = [processor(text=texts, images=Image.new("RGB", (9, 9))).input_ids for processor in processors]
        calls += [processor(text=texts, padding=False).input_ids for processor in processors]
        found.append([*calls, tokenizer(texts).input_ids])
    assert found[0] == found[1]


def test_ids_of_tokens_without_a_name_are_assigned(opened) -> None:
    for library in (sightline, transformers):
        tokenizer = opened(library)
        tokenizer.extra_special_tokens_ids = [7, 9]
        assert tokenizer.extra_special_tokens == tokenizer.convert_ids_to_tokens([7, 9])
        assert list(tokenizer.extra_special_tokens_ids) == [7, 9]
        assert tokenizer.backend == "tokenizers"
        tokenizer.extra_special_tokens_ids = []
        assert tokenizer.extra_special_tokens == []


@pytest.mark.parametrize("asked", [True, False])
def test_start_and_end_stay(opened, asked) -> None:
    plain = opened(sightline)("a dog").input_ids
    for library in (sightline, transformers):
        tokenizer = opened(library, add_bos_token=asked, add_eos_token=asked, add_prefix_space=asked)
        assert tokenizer("a dog").input_ids == plain
        assert tokenizer.add_prefix_space is asked
    ours = opened(sightline)
    for name in ("add_bos_token", "add_eos_token"):
        has = getattr(ours, name)
        assert has is (type(ours) is sightline.CLIPTokenizer)
        setattr(ours, name, has)
        with pytest.raises(UsageError, match="add_special_tokens=False"):
            setattr(ours, name, not has)


@pytest.mark.parametrize("trims", [True, False])
def test_offsets_of_roberta_s(byte_pairs, tmp_path, trims) -> None:
    files = {"vocab": str(byte_pairs / "vocab.json"), "merges": str(byte_pairs / "merges.txt")}
    found = []
    for library in (sightline, transformers):
        made = library.RobertaTokenizer(**files, trim_offsets=trims, errors="replace")
        found.append(made("a dog  runs", return_offsets_mapping=True).offset_mapping)
    opened = sightline.RobertaTokenizer.from_pretrained(byte_pairs, trim_offsets=trims)
    opened.save_pretrained(tmp_path)
    again = sightline.AutoTokenizer.from_pretrained(tmp_path)
    found += [t("a dog  runs", return_offsets_mapping=True).offset_mapping for t in (opened, again)]
    assert found[0] == found[1] == found[2] == found[3]


def test_images_count_where_videos_are_given_too() -> None:
    black, white = ([Image.new("RGB", (64, 64), level) for _ in range(8)] for level in ("black", "white"))
    for library in (sightline, transformers):
        processor = library.XCLIPProcessor.from_pretrained(PACKAGED / "mini-xclip")
        both = processor(images=black, videos=white, return_tensors="pt").pixel_values
        assert both.equal(processor(videos=black, return_tensors="pt").pixel_values)
