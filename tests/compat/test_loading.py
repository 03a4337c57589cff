"""Opening checkpoints with what scripts for the reference pass to `from_pretrained`, in both libraries."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.errors import CheckpointError, UnknownArgument, UsageError
from support import tiny
from support.hub import FakeHub, use
from support.models import PACKAGED as NAMES

MODELS = {"clip": "CLIPModel", "align": "AlignModel", "groupvit": "GroupViTModel", "xclip": "XCLIPModel"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP, in safetensors, beside others in .bin, in float16 and below."""
    folder = tmp_path_factory.mktemp("clip")
    model = tiny.model("clip", dtype=torch.float32)
    model.config.text_config.projection_dim = model.config.vision_config.projection_dim = 16
    model.half().save_pretrained(folder, variant="fp16")
    model.save_pretrained(folder / "inner/deep")
    model.float().save_pretrained(folder)  # the config's dtype
    torch.save(model.reference_state_dict() | {"logit_scale": torch.tensor(1.5)}, folder / "pytorch_model.bin")
    return folder


def state(model: Any) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = (
        model.reference_state_dict() if hasattr(model, "reference_state_dict") else model.state_dict()
    )
    return found


def opened(folder: Any, *arguments: Any, **options: Any) -> list[Any]:
    """Ours and the reference's."""
    return [library.CLIPModel.from_pretrained(folder, *arguments, **options) for library in (sightline, transformers)]


@pytest.mark.parametrize(
    "options",
    [
        {"token": None, "cache_dir": None, "force_download": False, "revision": "main", "local_files_only": True},
        {"low_cpu_mem_usage": True, "trust_remote_code": True, "weights_only": True},
        {"torch_dtype": torch.bfloat16},
        {"torch_dtype": "float16"},
        {"dtype": "auto"},
        {"dtype": torch.float64},
        {"device_map": "cpu"},
        {"device_map": {"": "cpu"}},
        {"device_map": torch.device("cpu")},
        {"device_map": "auto", "offload_folder": "/tmp/unused", "offload_state_dict": True},
        {"use_safetensors": True},
        {"variant": "fp16", "dtype": torch.float16},
        {"subfolder": "inner/deep"},
        {"output_attentions": True, "output_hidden_states": True},
        {"text_config": {"attention_dropout": 0.25}},
        {"logit_scale_init_value": 1.5, "num_labels": 7},
        {"attn_implementation": "eager"},
        {"attn_implementation": {"text_config": "sdpa", "vision_config": "eager"}},
        {"attn_implementation": {"": "eager", "text_config": "sdpa"}},
        {"quantization_config": None, "key_mapping": None, "from_tf": False, "max_memory": None, "proxies": None},
    ],
    ids=lambda options: "-".join(options),
)
def test_arguments_do_what_they_do_in_the_reference(folder: Path, options: dict[str, Any]) -> None:
    ours, theirs = opened(folder, **options)
    mine, reference = state(ours), state(theirs)
    assert mine.keys() == reference.keys()
    assert all(torch.equal(mine[name], tensor) for name, tensor in reference.items())
    assert (ours.dtype, ours.device, ours.training) == (theirs.dtype, theirs.device, theirs.training)
    for name in ("output_attentions", "output_hidden_states", "logit_scale_init_value", "num_labels", "name_or_path"):
        assert getattr(ours.config, name) == getattr(theirs.config, name), name
    assert ours.name_or_path == theirs.name_or_path
    if "output_attentions" in options:  # for which the reference goes over to eager
        return
    assert ours.config._attn_implementation == theirs.config._attn_implementation
    for part in ("text_config", "vision_config"):
        for name in ("attention_dropout", "_attn_implementation"):
            assert getattr(getattr(ours.config, part), name) == getattr(getattr(theirs.config, part), name), name


def test_bin_first(folder: Path) -> None:
    assert sightline.CLIPModel.from_pretrained(folder, use_safetensors=False).logit_scale == 1.5


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"device_map": "nope"}, ValueError),
        ({"dtype": "float99"}, ValueError),
        ({"attn_implementation": "blah"}, ValueError),
        ({"variant": "x"}, OSError),
        ({"subfolder": "nowhere"}, OSError),
        ({"projection_dimm": 8}, TypeError),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value.__name__,
)
def test_both_raise(folder: Path, options: dict[str, Any], kind: type[Exception]) -> None:
    for library in (sightline, transformers):
        with pytest.raises(kind):
            library.CLIPModel.from_pretrained(folder, **options)


@pytest.mark.parametrize("name", ["/no/such/folder", "no such name", "owner/nowhere", ""])
def test_a_wrong_name_is_an_oserror_in_both(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for library in (sightline, transformers):
        with pytest.raises((OSError, ValueError)):
            library.CLIPModel.from_pretrained(name, cache_dir=tmp_path)
    with pytest.raises((OSError, ValueError)):  # a folder without a config
        sightline.CLIPModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"projection_dimm": 8}, "projection_dimm: from_pretrained has no such argument; did you mean projection_dim"),
        ({"low_memory_usage_of_cpus": 1}, "no such argument; nor has the config a setting"),
        ({"tokn": "x"}, "did you mean token"),
        ({"from_tf": True}, "from_tf: weights of TensorFlow are not read"),
        ({"key_mapping": {"a": "b"}}, "key_mapping: rename the tensors yourself, and pass them as state_dict="),
        ({"max_memory": {0: "1GB"}}, "max_memory: the whole model goes to one device"),
        ({"proxies": {"https": "x"}}, "proxies: set the variable HTTPS_PROXY"),
        ({"use_auth_token": True}, "use_auth_token: its name is token"),
        ({"device_map": {"text_model": "cpu", "vision_model": "cuda:0"}}, "names cpu, cuda:0, but a model goes to one"),
        ({"device_map": "meta"}, "no such device"),
        ({"attn_implementation": {"text": "eager"}}, "CLIPModel has no 'text'; it has text_config, vision_config"),
        ({"attn_implementation": "flex_attention"}, "there are sdpa, eager, flash_attention_2"),
        ({"dtype": {"text_config": "float16"}}, "unknown dtype"),
        ({"config": sightline.CLIPTextConfig()}, "config is a CLIPTextConfig, where CLIPConfig is wanted"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_refused_says_what_to_write(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sightline.CLIPModel.from_pretrained(folder, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(folder: Path) -> None:
    for device in (0, "cuda:0", "cuda"):
        with pytest.raises(UsageError, match="this computer has 0 GPUs"):
            sightline.CLIPModel.from_pretrained(folder, device_map=device)


def test_a_config_in_place_of_the_checkpoint_s(folder: Path, tmp_path: Path) -> None:
    config = sightline.CLIPConfig.from_pretrained(folder)
    config.logit_scale_init_value = 3.5
    config.save_pretrained(tmp_path)
    for given in (config, config.to_dict(), tmp_path, str(tmp_path)):
        model = sightline.CLIPModel.from_pretrained(folder, config=given, output_attentions=True)
        assert (model.config.logit_scale_init_value, model.config.output_attentions) == (3.5, True)
    assert not config.output_attentions  # the caller's stays as it is
    with pytest.raises(UsageError, match="where CLIPTextConfig is wanted: pass its text_config"):
        sightline.CLIPTextModel.from_pretrained(folder, config=config)


@pytest.mark.parametrize("named", ["reference_state_dict", "state_dict"])
def test_tensors_in_place_of_the_checkpoint_s(folder: Path, named: str) -> None:
    model = sightline.CLIPModel.from_pretrained(folder)
    model.logit_scale.data.fill_(7)
    given = getattr(model, named)()
    for name, config in ((folder, None), (None, model.config)):
        assert sightline.CLIPModel.from_pretrained(name, config=config, state_dict=given).logit_scale == 7
    with pytest.raises(UsageError, match="both config and state_dict are wanted"):
        sightline.CLIPModel.from_pretrained(None, state_dict=given)


@pytest.mark.parametrize("named", ["text_model", "vision_model"])
def test_a_tower_of_our_own_names_in_place_of_its_checkpoint(named: str) -> None:
    kind = {"text_model": sightline.CLIPTextModel, "vision_model": sightline.CLIPVisionModel}[named]
    tower = kind.from_pretrained("mini")
    again = kind.from_pretrained(None, config=tower.config, state_dict=tower.state_dict())
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in tower.state_dict().items())


def test_other_shapes_are_new_where_that_is_asked_for(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"text_projection\.weight has shape \(16, 16\)"):
        sightline.CLIPModel.from_pretrained(folder, projection_dim=7)
    with pytest.warns(UserWarning, match=r"of other shapes.*text_projection\.weight \(16, 16\) for \(7, 16\), visual_"):
        ours, said = sightline.CLIPModel.from_pretrained(
            folder, projection_dim=7, ignore_mismatched_sizes=True, output_loading_info=True, dtype="bfloat16"
        )
    theirs, reference = transformers.CLIPModel.from_pretrained(
        folder, projection_dim=7, ignore_mismatched_sizes=True, output_loading_info=True
    )
    assert said == reference
    assert ours.text_projection.weight.shape == theirs.text_projection.weight.shape
    assert ours.text_projection.weight.float().std() > 0
    assert {tensor.dtype for tensor in ours.state_dict().values()} == {torch.bfloat16}
    assert torch.equal(ours.logit_scale, theirs.logit_scale.bfloat16())


@pytest.mark.parametrize("name", ["CLIPModel", "CLIPTextModel", "CLIPVisionModelWithProjection"])
def test_what_a_file_and_a_model_do_not_share(folder: Path, name: str) -> None:
    ours, said = getattr(sightline, name).from_pretrained(folder, output_loading_info=True)
    theirs, reference = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert type(ours).__name__ == type(theirs).__name__
    assert said == reference
    assert said["missing_keys"] == set()


@pytest.mark.parametrize("family", NAMES)
def test_towers_of_every_family_and_new_models(family: str) -> None:
    whole = getattr(sightline, MODELS[family]).from_pretrained(NAMES[family], torch_dtype="float32", device_map="auto")
    assert (whole.name_or_path, whole.config.name_or_path) == (NAMES[family], NAMES[family])
    for part in ("Text", "Vision"):
        kind = getattr(sightline, MODELS[family].replace("Model", f"{part}Model"))
        tower, said = kind.from_pretrained(NAMES[family], output_loading_info=True, dtype="float32")
        own = tower.reference_state_dict()
        held = whole.reference_state_dict()
        assert all(torch.equal(tensor, held.get(name, held.get(kind.prefix + name))) for name, tensor in own.items())
        assert len(said["unexpected_keys"]) == len(held) - len(own)
    new = type(whole)._from_config(whole.config, dtype=torch.float16, attn_implementation="eager")
    assert (new.training, new.dtype, new.config._attn_implementation) == (True, torch.float16, "eager")


def test_a_model_of_a_part_of_a_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    sightline.CLIPVisionModel.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="the config says model_type 'clip_vision_model', not 'clip'"):
        sightline.CLIPModel.from_pretrained(tmp_path)


def test_forms_of_a_folder_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(PACKAGED / "mini", tmp_path / "a model")
    for name in (
        "a model",
        "a model/",
        "./a model",
        tmp_path / "a model",
        "local-dir:a model",
        "a model/model.safetensors",
    ):
        assert sightline.CLIPModel.from_pretrained(name).name_or_path == str(name)
    assert sightline.CLIPModel.from_pretrained(pretrained_model_name_or_path="a model").config.projection_dim == 128
    with pytest.raises(OSError, match="nowhere: no such file or folder"):
        sightline.CLIPModel.from_pretrained("local-dir:nowhere")


def test_a_token_and_a_folder_go_to_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = FakeHub({f"small/{file.name}": file.read_bytes() for file in (PACKAGED / "mini").iterdir() if file.is_file()})
    use(monkeypatch, hub.url)
    try:
        options = {"token": "hf_mine", "subfolder": "small", "cache_dir": tmp_path, "revision": "main"}
        model = sightline.CLIPModel.from_pretrained("owner/model", force_download=True, **options)
        assert model.config.settings() == sightline.CLIPConfig.from_pretrained("owner/model", **options).settings()
        assert hub.tokens == {"Bearer hf_mine"}
    finally:
        hub.close()


def test_an_unknown_argument_is_a_wrong_type_too(folder: Path) -> None:
    with pytest.raises(UnknownArgument) as caught:
        sightline.CLIPModel._from_config(sightline.CLIPConfig(), dtipe="float16")
    assert isinstance(caught.value, TypeError | ValueError)
    assert "_from_config has no such argument; did you mean dtype" in str(caught.value)


class WithHead(sightline.CLIPModel):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.head = torch.nn.Linear(config.projection_dim, 3)


class Around(sightline.PreTrainedModel):
    config_class = sightline.CLIPConfig
    base_model_prefix = "clip"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.clip = sightline.CLIPModel(config)
        self.head = torch.nn.Linear(config.projection_dim, 3)


@pytest.mark.parametrize("kind", [WithHead, Around])
def test_what_a_class_of_the_caller_adds_is_new_and_kept(kind: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"new and to be trained: head\.bias, head\.weight"):
        model, info = kind.from_pretrained("mini", output_loading_info=True)
    assert info["missing_keys"] == {"head.bias", "head.weight"}
    clip: Any = getattr(model, "clip", model)
    plain: Any = sightline.CLIPModel.from_pretrained("mini")
    assert all(torch.equal(clip.state_dict()[name], tensor) for name, tensor in plain.state_dict().items())
    model.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_a_model_of_the_caller_finds_nothing_of_it_in_a_file(tmp_path: Path) -> None:
    save_file({"other": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="no Around in it; it holds other"):
        Around.from_pretrained(tmp_path, config=sightline.CLIPConfig.from_pretrained("mini"))


@pytest.mark.parametrize("asked", [None, "auto"])
def test_the_config_s_dtype_comes_before_the_file_s(asked: Any, tmp_path: Path) -> None:
    sightline.CLIPModel.from_pretrained("mini", dtype="float32").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"dtype": "float32"', '"dtype": "bfloat16"'))
    model: Any = sightline.CLIPModel.from_pretrained(tmp_path, dtype=asked)
    assert model.dtype == model.config.dtype == model.config.text_config.dtype == torch.bfloat16
    path.write_text(path.read_text().replace('"dtype": "bfloat16"', '"dtype": "int8"'))
    with pytest.raises(CheckpointError, match="unknown dtype"):
        sightline.CLIPModel.from_pretrained(tmp_path, dtype=asked)
    assert sightline.CLIPModel.from_pretrained(tmp_path, dtype="float32").dtype == torch.float32


@pytest.mark.parametrize("name", ["mini", "mini-align"])
def test_a_tower_says_what_it_does_not_know_in_a_whole_file(name: str, tmp_path: Path) -> None:
    shutil.copytree(PACKAGED / name, tmp_path / "model")
    file = tmp_path / "model/model.safetensors"
    save_file(load_file(file) | {"vision_model.another": torch.zeros(2)}, file)
    kind = sightline.CLIPVisionModel if name == "mini" else sightline.AlignVisionModel
    with pytest.raises(CheckpointError, match=r"unknown tensors vision_model\.another"):
        kind.from_pretrained(tmp_path / "model")
