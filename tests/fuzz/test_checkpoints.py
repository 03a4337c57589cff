"""Whatever the files of a checkpoint hold: it opens, or a CheckpointError says what is wrong; nothing else happens."""

import json
import os
import struct
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import assume, example, given, strategies as st
from safetensors.torch import load_file, save_file

from sightline import (
    AlignConfig,
    AlignModel,
    CLIPConfig,
    CLIPModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
    VisionTextDualEncoderProcessor,
    XCLIPConfig,
    XCLIPModel,
)
from sightline.checkpoint.hub import resolve
from sightline.checkpoint.weight_files import weight_paths
from sightline.checkpoint.weights import Weights
from sightline.errors import CheckpointError, UsageError
from sightline.files import read_checkpoint_json
from sightline.models.numpy_text import NumpyTextTower
from sightline.processing.image.profile import PixelProfile
from sightline.processing.tokenizer import Tokenizer
from support.examples import VALUES, examples, spoiled

TINY = {
    "text_config": {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    | {"num_attention_heads": 2, "max_position_embeddings": 9, "eos_token_id": 2, "pad_token_id": 0},
    "vision_config": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    | {"image_size": 12, "patch_size": 4},
    "projection_dim": 8,
}
ALIGN = {
    "text_config": {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    | {"num_attention_heads": 2, "max_position_embeddings": 9, "hidden_dropout_prob": 0.1, "pad_token_id": 0},
    "vision_config": {"width_coefficient": 0.5, "depth_coefficient": 1.0, "kernel_sizes": [3, 5], "strides": [1, 2]}
    | {"in_channels": [32, 16], "out_channels": [16, 16], "num_block_repeats": [1, 1], "expand_ratios": [1, 2]}
    | {"depthwise_padding": [1], "pooling_type": "mean", "squeeze_expansion_ratio": 0.25, "drop_connect_rate": 0.2},
    "projection_dim": 8,
}
XCLIP = TINY | {
    "vision_config": TINY["vision_config"] | {"mit_hidden_size": 8, "mit_intermediate_size": 16, "num_frames": 2},
    "prompt_layers": 1,
    "prompt_hidden_act": "gelu",
    "prompt_attention_dropout": 0.1,
}
DUAL = {
    "text_config": {"model_type": "roberta", "vocab_size": 64, "hidden_size": 16, "intermediate_size": 32}
    | {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 9, "pad_token_id": 1},
    "vision_config": TINY["vision_config"] | {"model_type": "clip_vision_model"},
    "projection_dim": 8,
    "model_type": "vision-text-dual-encoder",
}
OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 8,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 12, "layers": 1, "width": 64, "patch_size": 4},
        "text_cfg": {"context_length": 9, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "size": [12, 12]},
}
PREPROCESSING = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 224},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "rescale_factor": 0.1,
    "do_resize": True,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny model."""
    folder = tmp_path_factory.mktemp("model")
    CLIPModel(CLIPConfig.from_dict(TINY)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder whose files each example writes anew."""
    return tmp_path_factory.mktemp("spoiled")


def only(folder, **files):
    """The folder with these files and no others; names with "_json" for ".json"."""
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        path = folder / name.replace("_json", ".json").replace("_safetensors", ".safetensors")
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def opens(folder, read):
    """Whether it does; if not, the error says something."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that are not known
            read()
    except CheckpointError as error:
        said = str(error)
    else:
        return True
    assert said
    return False


@examples(100)
@given(text=st.binary(max_size=40) | st.text(max_size=20).map(json.dumps).map(str.encode))
def test_json(folder, text):
    only(folder, config_json=text)
    opens(folder, lambda: read_checkpoint_json(folder / "config.json"))


@pytest.mark.parametrize("text", ["1" * 5000, '{"a": ' + "1" * 5000 + "}", '{"a":' * 5000, "[" * 200_000])
def test_json_that_is_too_much_for_its_reader(folder, text):
    only(folder, config_json=text.encode())
    assert not opens(folder, lambda: read_checkpoint_json(folder / "config.json"))


HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]},
}


@examples(150)
@given(
    header=spoiled(HEADER, VALUES | st.sampled_from(["F64", "F8_E4M3", "C64", "U64", "BOOL", "F4"])),
    length=st.none() | st.integers(0, 2**64 - 1),
)
def test_headers_of_safetensors(folder, header, length):
    text = json.dumps(header).encode()
    path = only(folder, x_safetensors=struct.pack("<Q", length or len(text)) + text + bytes(32)) / "x.safetensors"

    def read():
        weights = Weights([path])
        assert weights.dtype.is_floating_point
        for key, shape in weights.shapes.items():
            assert tuple(weights.get(key).shape) == shape

    opens(folder, read)


class Calls:
    """Pickled, it calls something when it is opened."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def evil(mark):
    shell = f"touch {mark}"
    calls = [(os.system, shell), (exec, f"open({str(mark)!r}, 'w')"), (eval, f"open({str(mark)!r}, 'w')")]
    calls += [(Path.touch, mark), (os.mkdir, str(mark)), (__import__, "antigravity")]
    return [Calls(*call) for call in calls]


@examples(60)
@given(data=st.data(), zipped=st.booleans(), depth=st.integers(0, 3))
def test_a_pickle_runs_nothing(folder, data, zipped, depth):
    mark = folder.parent / "executed"
    content = data.draw(st.sampled_from(evil(mark)), label="content")
    for _ in range(depth):
        content = data.draw(st.sampled_from([[content], {"state_dict": content}, {"a": torch.ones(2), "b": content}]))
    only(folder)
    torch.save(content, folder / "x.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"x\.bin"):
        Weights([folder / "x.bin"])
    assert not mark.exists()


@examples(100)
@given(index=spoiled({"metadata": {"total_size": 1}, "weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}))
def test_lists_of_shards(folder, index):
    only(folder, x_safetensors=b"", y_safetensors=b"")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    if opens(folder, lambda: weight_paths(folder)):
        assert {path.parent for path in weight_paths(folder)} == {folder}


@pytest.mark.parametrize("name", ["x" * 300, "\0", "", ".", "..", 7, ["x"], {}, None])
def test_a_shard_with_an_odd_name(folder, name):
    only(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name, "b": "y"}}))
    assert not opens(folder, lambda: weight_paths(folder))


@examples(100)
@given(config=spoiled(TINY))
def test_configs_beside_weights_that_are_whole(model, folder, config):
    only(folder, config_json=config, model_safetensors=(model / "model.safetensors").read_bytes())
    opens(folder, lambda: CLIPModel.from_pretrained(folder))


@pytest.fixture(scope="module")
def align(tmp_path_factory):
    """The folder of a tiny model."""
    folder = tmp_path_factory.mktemp("align")
    AlignModel(AlignConfig.from_dict(ALIGN)).save_pretrained(folder)
    return folder


@examples(100)
@given(config=spoiled(ALIGN))
def test_configs_of_align_beside_weights_that_are_whole(align, folder, config):
    only(folder, config_json=config, model_safetensors=(align / "model.safetensors").read_bytes())
    opens(folder, lambda: AlignModel.from_pretrained(folder))


@pytest.fixture(scope="module")
def xclip(tmp_path_factory):
    """The folder of a tiny model."""
    folder = tmp_path_factory.mktemp("xclip")
    XCLIPModel(XCLIPConfig.from_dict(XCLIP)).save_pretrained(folder)
    return folder


@examples(100)
@given(config=spoiled(XCLIP))
def test_configs_of_xclip_beside_weights_that_are_whole(xclip, folder, config):
    only(folder, config_json=config, model_safetensors=(xclip / "model.safetensors").read_bytes())
    opens(folder, lambda: XCLIPModel.from_pretrained(folder))


@pytest.fixture(scope="module")
def dual(tmp_path_factory):
    """The folder of a tiny model."""
    folder = tmp_path_factory.mktemp("dual")
    VisionTextDualEncoderModel(VisionTextDualEncoderConfig.from_dict(DUAL)).save_pretrained(folder)
    return folder


@examples(100)
@given(config=spoiled(DUAL))
def test_configs_of_two_towers_beside_weights_that_are_whole(dual, words, folder, config):
    only(folder, config_json=config, model_safetensors=(dual / "model.safetensors").read_bytes())
    opens(folder, lambda: VisionTextDualEncoderModel.from_pretrained(folder))
    for name, content in words.items():
        (folder / name).write_text(json.dumps(content))
    opens(folder, lambda: VisionTextDualEncoderProcessor.texts(folder))


@examples(100)
@given(config=spoiled(OPEN_CLIP))
def test_configs_of_open_clip(folder, config):
    only(folder, open_clip_config_json=config)
    opens(folder, lambda: CLIPConfig.from_folder(folder))
    opens(folder, lambda: PixelProfile.from_folder(folder))


@examples(60)
@given(data=st.data())
def test_tensors_that_do_not_fit(model, folder, data):
    tensors = load_file(model / "model.safetensors")
    key = data.draw(st.sampled_from(sorted(tensors)))
    match data.draw(st.sampled_from(["missing", "extra", "renamed", "misshapen"])):
        case "missing":
            del tensors[key]
        case "extra":
            tensors[key + data.draw(st.sampled_from([".bias", ".0", "x", "_scale"]))] = torch.zeros(2)
        case "renamed":
            tensors[data.draw(st.text(min_size=1, max_size=8))] = tensors.pop(key)
        case "misshapen":
            shape = tensors[key].shape
            tensors[key] = torch.zeros(data.draw(st.lists(st.integers(0, 3), max_size=3)))
            assume(tensors[key].shape != shape)
    only(folder, config_json=json.loads((model / "config.json").read_text()))
    save_file(tensors, folder / "model.safetensors")
    assert not opens(folder, lambda: CLIPModel.from_pretrained(folder))
    NumpyTextTower.open(CLIPConfig.from_folder(folder), [folder / "model.safetensors"])  # or None: torch says why


@pytest.fixture(scope="module", params=["vocabulary", "word_pieces", "byte_pairs"])
def words(request, tmp_path_factory):
    """tokenizer.json and its settings, as we write them."""
    folder = tmp_path_factory.mktemp("words")
    Tokenizer.from_folder(request.getfixturevalue(request.param), 77).save(folder)
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


def says(folder):
    tokenizer = Tokenizer.from_folder(folder, 77)
    for ids in tokenizer.encode(["a red cat", "", "\ud800 线 \0", "<|endoftext|>"]):
        assert 2 <= len(ids) <= 77


@examples(100)
@given(data=st.data())
def test_tokenizers(words, folder, data):
    small = {**words["tokenizer.json"], "model": {**words["tokenizer.json"]["model"]}}
    model = small["model"]
    if data.draw(st.booleans(), label="shorten"):  # else the vocabulary drowns the rest
        model["vocab"] = dict(list(model["vocab"].items())[:20])
        model |= {"merges": model["merges"][:3]} if "merges" in model else {}
    only(
        folder,
        tokenizer_json=data.draw(spoiled(small), label="tokenizer.json"),
        tokenizer_config_json=data.draw(st.just({}) | spoiled(words["tokenizer_config.json"]), label="config"),
    )
    opens(folder, lambda: says(folder))


@examples(60)
@given(data=st.data())
def test_vocabularies_and_merges(vocabulary, folder, data):
    lines = (vocabulary / "merges.txt").read_text().split("\n")[:20]
    for _ in range(data.draw(st.integers(0, 3))):
        lines.insert(data.draw(st.integers(0, 19)), data.draw(st.text(max_size=6)))
    entries = json.loads((vocabulary / "vocab.json").read_text())
    few = dict(list(entries.items())[: data.draw(st.integers(0, 300))] + list(entries.items())[-2:])
    only(folder, vocab_json=data.draw(st.just(few) | spoiled(few)))
    (folder / "merges.txt").write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    opens(folder, lambda: says(folder))


@examples(60)
@given(data=st.data())
def test_lists_of_word_pieces(word_pieces, folder, data):
    lines = (word_pieces / "vocab.txt").read_text().split("\n")
    for _ in range(data.draw(st.integers(0, 3))):
        lines.insert(data.draw(st.integers(0, len(lines))), data.draw(st.text(max_size=6)))
        del lines[data.draw(st.integers(0, 8))]
    spoilt = {"do_lower_case": True, "strip_accents": False, "model_input_names": ["input_ids"], "cls_token": "a"}
    only(folder, tokenizer_config_json=data.draw(st.just({}) | spoiled(spoilt)))
    (folder / "vocab.txt").write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
    opens(folder, lambda: says(folder))


@examples(150)
@given(config=spoiled(PREPROCESSING) | VALUES, nested=st.booleans())
def test_preprocessor_configs(folder, config, nested):
    files = {"processor_config_json": {"image_processor": config}} if nested else {"preprocessor_config_json": config}
    only(folder, **files)
    opens(folder, lambda: PixelProfile.from_folder(folder))


@examples(100)
@given(name=st.text(max_size=12) | st.from_regex(r"[~./a-z\0-]{1,8}", fullmatch=True))
@example("~nobody-of-that-name/x")
@example("x" * 5000)
@example("x/" * 3000)
@example("a\0b")
@example("~\0")
@example("")
def test_names_of_nothing(name):
    with suppress(CheckpointError, UsageError):
        resolve(name, local_files_only=True)
