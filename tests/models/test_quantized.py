"""Models of quantised weights, beside the reference's: the same maps, the same bytes, files in both directions."""

import copy
import json
import logging
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn

import sightline
from sightline.errors import CheckpointError, UsageError
from sightline.nn.quantized import load_library
from support import tiny
from support.models import inputs
from support.parity import close

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore:.*SwigPy", "ignore:.*_check_is_size")]

BNB = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_storage": "bfloat16"},
    "some": {"load_in_4bit": True, "llm_int8_skip_modules": ["q_proj", "vision_model", "fc.$"]},
    "8bit": {"load_in_8bit": True},
}
LAYERS = ("Linear4bit", "Linear8bitLt")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each family, of random weights."""
    found = {}
    for family in tiny.FAMILIES:
        found[family] = tmp_path_factory.mktemp(family)
        torch.manual_seed(0)
        tiny.model(family, dtype=torch.float32).save_pretrained(found[family])
    return found


def reference(folder: Path, **options: object):
    """The reference's model, whose layers do not pack their weights anew: not all of these shapes can be."""
    model = transformers.AutoModel.from_pretrained(folder, **options).eval()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False
    return model


def logits(model: nn.Module) -> torch.Tensor:
    """Of the same images, or videos, and texts."""
    torch.manual_seed(1)
    pixels, ids, mask = inputs(model, 2)
    with torch.no_grad():
        return model(input_ids=ids, pixel_values=pixels.float(), attention_mask=mask).logits_per_text


def quantized(model: nn.Module) -> set[str]:
    """The names of the quantised maps."""
    return {name for name, module in model.named_modules() if type(module).__name__ in LAYERS}


def same_bytes(mine: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.equal(mine[name].flatten().view(torch.uint8), tensor.flatten().view(torch.uint8)), name


@pytest.mark.parametrize("kind", BNB)
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_bitsandbytes_as_in_the_reference(family: str, kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    options = BNB[kind]
    theirs = reference(folders[family], quantization_config=transformers.BitsAndBytesConfig(**options))
    mine = sightline.AutoModel.from_pretrained(
        folders[family], quantization_config=sightline.BitsAndBytesConfig(**options)
    )
    assert quantized(theirs)
    same_bytes(mine.reference_state_dict(), theirs.state_dict())
    assert (mine.is_quantized, mine.is_loaded_in_4bit, mine.is_loaded_in_8bit, mine.quantization_method) == (
        True, kind != "8bit", kind == "8bit", "bitsandbytes",
    )  # fmt: skip
    assert mine.num_parameters() == theirs.num_parameters()
    # The reference rounds to float16 what its products give; one rounding the other way is seen in all that follows.
    relative = 2e-2 if kind == "8bit" else 1e-5
    expected = logits(theirs)
    close(logits(mine), expected, relative)

    mine.save_pretrained(tmp_path / "mine")
    theirs.save_pretrained(tmp_path / "theirs")
    again = sightline.AutoModel.from_pretrained(tmp_path / "theirs")
    back = reference(tmp_path / "mine")
    same_bytes(again.reference_state_dict(), theirs.state_dict())
    same_bytes(dict(back.state_dict()), mine.reference_state_dict())
    close(logits(back), expected, relative)
    close(logits(again), expected, relative)
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("mine", "theirs")]
    assert configs[0]["quantization_config"] == configs[1]["quantization_config"]


@pytest.mark.parametrize("name", ["CLIPTextModelWithProjection", "CLIPVisionModelWithProjection", "CLIPTextModel"])
def test_a_tower_alone_as_in_the_reference(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    getattr(sightline, name).from_pretrained(folders["clip"]).save_pretrained(tmp_path)
    ours, theirs = (
        getattr(library, name).from_pretrained(
            tmp_path, quantization_config=library.BitsAndBytesConfig(load_in_4bit=True)
        )
        for library in (sightline, transformers)
    )
    same_bytes(ours.reference_state_dict(), dict(theirs.state_dict()))


def test_a_tower_of_a_whole_quantised_checkpoint(folders: dict[str, Path], tmp_path: Path) -> None:
    whole = sightline.CLIPModel.from_pretrained(folders["clip"], load_in_4bit=True)
    whole.save_pretrained(tmp_path)
    text = sightline.CLIPTextModelWithProjection.from_pretrained(tmp_path)
    assert text.is_quantized
    torch.manual_seed(1)
    _, ids, mask = inputs(whole, 2)
    with torch.no_grad():
        close(text(ids, mask).text_embeds, whole.get_text_features(ids, mask).pooler_output)


def test_a_quantised_align_has_a_plain_image_tower(folders: dict[str, Path], tmp_path: Path) -> None:
    sightline.AlignModel.from_pretrained(folders["align"], load_in_4bit=True).save_pretrained(tmp_path)
    assert not sightline.AlignVisionModel.from_pretrained(tmp_path).is_quantized
    with pytest.raises(UsageError, match="AlignVisionModel has no linear maps, so nothing of it can be quantised"):
        sightline.AlignVisionModel.from_pretrained(folders["align"], load_in_4bit=True)


@pytest.mark.parametrize(
    "kind", ["Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig", "IntxWeightOnlyConfig"]
)
def test_torchao_files_in_both_directions(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    load_library("torchao.quantization")
    config = getattr(sys.modules["torchao.quantization"], kind)
    quant_type = config(weight_dtype=torch.int4) if kind == "IntxWeightOnlyConfig" else config()
    if kind == "IntxWeightOnlyConfig":
        quant_type.granularity = sys.modules["torchao.quantization"].PerAxis(0)
    theirs, mine = (
        library.CLIPTextModel.from_pretrained(folders["clip"], quantization_config=library.TorchAoConfig(quant_type))
        for library in (transformers, sightline)
    )
    ids = torch.tensor([[2, 7, 9, 4]])
    with torch.no_grad():
        expected = theirs(input_ids=ids).last_hidden_state
        close(mine(ids).last_hidden_state, expected, 1e-4)
        mine.save_pretrained(tmp_path / "mine")
        theirs.save_pretrained(tmp_path / "theirs")
        back = transformers.CLIPTextModel.from_pretrained(tmp_path / "mine")
        again = sightline.CLIPTextModel.from_pretrained(tmp_path / "theirs")
        close(back(input_ids=ids).last_hidden_state, expected, 1e-4)
        close(again(ids).last_hidden_state, expected, 1e-4)
    assert again.quantization_method == "torchao"
    assert (
        again.get_memory_footprint() < sightline.CLIPTextModel.from_pretrained(folders["clip"]).get_memory_footprint()
    )


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_torchao_of_a_whole_model(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    load_library("torchao.quantization")
    quant_type = sys.modules["torchao.quantization"].Int8WeightOnlyConfig()
    plain = sightline.AutoModel.from_pretrained(folders[family])
    model = sightline.AutoModel.from_pretrained(
        folders[family], quantization_config=sightline.TorchAoConfig(quant_type)
    )
    expected = logits(model)
    close(expected, logits(plain), 0.1)
    model.save_pretrained(tmp_path)
    close(logits(sightline.AutoModel.from_pretrained(tmp_path)), expected)
    # By torchao itself, on a model that is open already.
    sys.modules["torchao.quantization"].quantize_(plain, quant_type)
    close(logits(plain), logits(model), 2e-2)  # here also the last map is quantised


def test_by_a_config_of_the_reference_and_by_a_dictionary(folders: dict[str, Path]) -> None:
    settings = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    configs = sightline.BitsAndBytesConfig(**settings), transformers.BitsAndBytesConfig(**settings), settings
    models = [sightline.CLIPModel.from_pretrained(folders["clip"], quantization_config=each) for each in configs]
    for other in models[1:]:
        same_bytes(dict(other.state_dict()), dict(models[0].state_dict()))


@pytest.mark.parametrize("settings", [{}, *BNB.values()], ids=["none", *BNB])
def test_a_config_as_the_reference_s(settings: dict[str, object]) -> None:
    mine, theirs = sightline.BitsAndBytesConfig(**settings), transformers.BitsAndBytesConfig(**settings)
    assert mine.to_dict() == theirs.to_dict()
    assert mine.to_diff_dict() == theirs.to_diff_dict()
    assert repr(mine).strip() == repr(theirs).strip()
    assert dict(mine) == dict(theirs)
    assert mine.quantization_method() == theirs.quantization_method()
    assert sightline.BitsAndBytesConfig.from_dict(mine.to_dict()) == mine


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"load_in_4bit": True, "load_in_8bit": True}, "only one can be used at the same time"),
        ({"load_in_4bit": 1}, "load_in_4bit must be a boolean"),
        ({"bnb_4bit_quant_type": "int4"}, "bnb_4bit_quant_type is 'int4'; there are fp4, nf4"),
        ({"bnb_4bit_compute_dtype": "float"}, None),
        ({"bnb_4bit_compute_dtype": "floaty"}, "bnb_4bit_compute_dtype must be a torch dtype"),
        ({"bnb_4bit_quant_storage": "int16"}, "bnb_4bit_quant_storage is torch.int16; there are float16"),
        ({"llm_int8_threshold": 6}, "llm_int8_threshold must be a float"),
        ({"llm_int8_skip_modules": "fc1"}, "llm_int8_skip_modules must be a list of strings"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_config_is_one_line(settings: dict[str, object], message: str | None) -> None:
    if message is None:
        assert sightline.BitsAndBytesConfig(**settings).bnb_4bit_compute_dtype == torch.float32
        return
    with pytest.raises(UsageError, match=message) as told:
        sightline.BitsAndBytesConfig(**settings)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quantization_config": {"quant_method": "gptq"}},
            "no way to quantise by 'gptq'; there are bitsandbytes, torchao",
        ),
        ({"quantization_config": 4}, "quantization_config is a int; write BitsAndBytesConfig"),
        ({"quantization_config": sightline.BitsAndBytesConfig()}, "neither load_in_4bit=True nor load_in_8bit=True"),
        (
            {"quantization_config": {"load_in_4bit": True, "llm_int8_skip_modules": [""]}},
            "so nothing would be quantised",
        ),
        ({"load_in_4bit": True, "quantization_config": {"load_in_4bit": True}}, "name them there alone"),
        ({"load_in_4bit": True, "device_map": {"text_model": "cpu", "vision_model": "cuda:0"}}, "a model goes to one"),
        ({"load_in_4bit": True, "device_map": "vulkan"}, "bitsandbytes has no kernels for vulkan; it has some for cpu"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_quantised_is_one_line(
    options: dict[str, object], message: str, folders: dict[str, Path]
) -> None:
    with pytest.raises(UsageError, match=message) as told:
        sightline.CLIPModel.from_pretrained(folders["clip"], **options)
    assert "\n" not in str(told.value)


def test_without_the_library_it_says_how_to_install_it(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UsageError, match=r"need bitsandbytes .*: pip install \"sightline-search\[quantize\]\""):
        sightline.CLIPModel.from_pretrained(folders["clip"], load_in_4bit=True)


@pytest.fixture
def four_bits(folders: dict[str, Path], tmp_path: Path) -> Path:
    sightline.CLIPModel.from_pretrained(folders["clip"], load_in_4bit=True).save_pretrained(tmp_path / "four")
    return tmp_path / "four"


def test_a_checkpoint_that_is_quantised_already(four_bits: Path) -> None:
    load_library("torchao.quantization")
    ao = sightline.TorchAoConfig(sys.modules["torchao.quantization"].Int8WeightOnlyConfig())
    with pytest.raises(UsageError, match="is quantised already, by bitsandbytes; leave it out"):
        sightline.CLIPModel.from_pretrained(four_bits, quantization_config=ao)
    with pytest.warns(UserWarning, match="its own is used"):
        model = sightline.CLIPModel.from_pretrained(four_bits, load_in_8bit=True)
    assert model.is_loaded_in_4bit


LAYER = "text_model.encoder.layers.0.mlp.fc1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop(f"{LAYER}.weight.absmax"), "fc1.weight is no weight that bitsandbytes quantised"),
        (lambda tensors: tensors.update({f"{LAYER}.weight.absmax": torch.ones(3)}), "not of the lengths"),
        (lambda tensors: tensors.update({f"{LAYER}.weight": tensors[f"{LAYER}.weight"][:4]}), "not of the lengths"),
        (
            lambda tensors: tensors.update(
                {f"{LAYER}.weight.quant_state.bitsandbytes__fp4": torch.zeros(9, dtype=torch.uint8)}
            ),
            "fc1.weight is no weight that bitsandbytes quantised",
        ),
    ],
    ids=["no scales", "few scales", "few numbers", "no state"],
)
def test_damaged_parts_are_told_before_a_kernel_reads_them(change, message: str, four_bits: Path) -> None:
    tensors = load_file(four_bits / "model.safetensors")
    change(tensors)
    save_file(tensors, four_bits / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        sightline.CLIPModel.from_pretrained(four_bits)


def test_a_config_that_says_more_than_the_file(folders: dict[str, Path], four_bits: Path) -> None:
    save_file(load_file(folders["clip"] / "model.safetensors"), four_bits / "model.safetensors")
    with pytest.raises(CheckpointError, match="says that bitsandbytes quantised the weights, but none of them is"):
        sightline.CLIPModel.from_pretrained(four_bits)


@pytest.mark.parametrize("call", ["half", "float", "double", "bfloat16"])
def test_quantised_weights_have_no_other_dtype(call: str, four_bits: Path) -> None:
    model = sightline.CLIPModel.from_pretrained(four_bits)
    with pytest.raises(UsageError, match=rf"{call}\(\): quantised weights have no other dtype"):
        getattr(model, call)()
    with pytest.raises(UsageError, match="call dequantize"):
        model.to(torch.float16)
    expected = logits(model)
    assert logits(copy.deepcopy(model).to("cpu")).equal(expected)
    plain = model.dequantize()
    close(logits(plain), expected)
    assert not plain.is_quantized
    assert not quantized(plain.half())


def test_a_dequantised_model_is_saved_as_a_plain_one(four_bits: Path, tmp_path: Path) -> None:
    model = sightline.CLIPModel.from_pretrained(four_bits)
    expected = logits(model)
    model.dequantize().save_pretrained(tmp_path / "plain")
    assert "quantization_config" not in (tmp_path / "plain" / "config.json").read_text()
    close(logits(sightline.CLIPModel.from_pretrained(tmp_path / "plain")), expected)


def test_saved_in_shards_and_as_bin(four_bits: Path, tmp_path: Path) -> None:
    model = sightline.CLIPModel.from_pretrained(four_bits)
    expected = logits(model)
    for folder, options in {"shards": {"max_shard_size": "10KB"}, "bin": {"safe_serialization": False}}.items():
        model.save_pretrained(tmp_path / folder, **options)
        assert logits(sightline.CLIPModel.from_pretrained(tmp_path / folder)).equal(expected)


def test_adapters_on_four_bits_are_trained(four_bits: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = sightline.CLIPModel.from_pretrained(four_bits)
    before = logits(model)
    prepared = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    adapted = peft.get_peft_model(prepared, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj", "fc1"]))
    layer = adapted.base_model.model.text_model.encoder.layers[0].self_attn.q_proj
    assert type(layer).__name__ == "Linear4bit"
    assert isinstance(layer.base_layer, load_library("bitsandbytes").nn.Linear4bit)
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], 0.05)
    torch.manual_seed(1)
    pixels, ids, mask = inputs(model, 2)
    losses = []
    for _ in range(3):
        loss = adapted(input_ids=ids, pixel_values=pixels.float(), attention_mask=mask, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    adapted.eval()
    trained = logits(model)
    assert not torch.allclose(trained, before)
    adapted.save_pretrained(tmp_path / "adapter")
    fresh = sightline.CLIPModel.from_pretrained(four_bits)
    fresh.load_adapter(tmp_path / "adapter")
    close(logits(fresh), trained)


def test_importing_says_nothing_and_the_loggers_stay(caplog: pytest.LogCaptureFixture) -> None:
    level = logging.getLogger("bitsandbytes").level
    load_library("bitsandbytes")
    load_library("torchao.quantization")
    assert not caplog.records
    assert logging.getLogger("bitsandbytes").level == level
