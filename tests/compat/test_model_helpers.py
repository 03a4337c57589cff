"""What scripts ask of a model besides a call: embeddings, checkpointing of gradients, counts, names."""

import copy
import random
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import sightline
from sightline.checkpoint.names import PACKAGED
from sightline.nn.attention import Attention
from sightline.nn.transformer import Transformer
from support import twins
from support.twins import ALL, TEXT, VISION, WHOLE, same


def test_names_and_counts_are_the_reference_s() -> None:
    for name in ALL:
        ours, theirs = twins.twins(name)
        assert ours.base_model_prefix == theirs.base_model_prefix, name
        assert ours.main_input_name == theirs.main_input_name, name
        assert ours.can_generate() is theirs.can_generate() is False
        assert (type(ours.base_model).__name__, ours.base_model is ours) == (
            type(theirs.base_model).__name__,
            theirs.base_model is theirs,
        )
        for only, without in ((False, False), (True, False), (False, True)):
            assert ours.num_parameters(only, without) == theirs.num_parameters(only, without), name
        assert ours.get_memory_footprint(False) == theirs.get_memory_footprint(False)
        assert ours.device == theirs.device
        assert ours.dtype == theirs.dtype
        assert ours.get_output_embeddings() is None is theirs.get_output_embeddings()
        same(ours.dummy_inputs, theirs.dummy_inputs)


@pytest.mark.parametrize("name", ALL)
def test_dtypes_modes_and_freezing(name: str) -> None:
    ours, _ = twins.twins(name)
    assert ours.half().dtype == torch.float16
    assert ours.bfloat16().dtype == torch.bfloat16
    assert ours.float().train().training
    ours.requires_grad_(False)
    assert ours.num_parameters(only_trainable=True) == 0
    tables = sum(module.weight.numel() for module in ours.modules() if isinstance(module, nn.Embedding))
    assert ours.num_parameters() - ours.num_parameters(exclude_embeddings=True) == tables
    assert ours.tie_weights() is None
    ours.add_model_tags("photos")
    ours.add_model_tags(["photos", "mine"])
    assert ours.model_tags == ["photos", "mine"]
    assert type(ours).model_tags is None


@pytest.mark.parametrize("name", ALL)
def test_the_layer_that_inputs_go_through_first(name: str) -> None:
    ours, theirs = twins.twins(name)
    given = twins.inputs(name)
    layer = ours.get_input_embeddings()
    assert isinstance(layer, nn.Embedding) == (name not in VISION)
    seen = []
    layer.register_forward_hook(lambda *_: seen.append(1))
    ours(**given)
    assert seen
    if name in TEXT:
        assert torch.equal(layer.weight, theirs.get_input_embeddings().weight)
        other = nn.Embedding.from_pretrained(layer.weight.detach() * 2)
        ours.set_input_embeddings(other)
        theirs.set_input_embeddings(other)
        assert ours.get_input_embeddings() is other
        same(ours(**given), theirs(**given))


@pytest.mark.parametrize("name", [*TEXT, *WHOLE])
@pytest.mark.parametrize("mean", [True, False])
def test_more_and_fewer_tokens(name: str, mean: bool, tmp_path: Any) -> None:
    ours, theirs = twins.twins(name)
    text = theirs if name in TEXT else theirs.text_model
    if name == "GroupViTModel":  # whose text tower has no such method in the reference
        return
    given = twins.inputs(name)
    before = ours(**given).to_tuple()
    pooled_at_highest = getattr(ours.config.get_text_config(), "pools_at_highest", False)
    with pytest.warns(UserWarning, match="texts with them end there") if pooled_at_highest else nullcontext():
        table = ours.resize_token_embeddings(310, pad_to_multiple_of=64, mean_resizing=mean)
    assert table is ours.get_input_embeddings()
    text.resize_token_embeddings(310, pad_to_multiple_of=64, mean_resizing=mean)
    assert table.weight.shape == text.get_input_embeddings().weight.shape == (320, 16)
    assert ours.config.get_text_config().vocab_size == table.num_embeddings == 320
    same(ours(**given).to_tuple(), before)  # texts end where they did
    added, old = table.weight.detach()[300:], table.weight.detach()[:300]
    if mean:
        torch.testing.assert_close(added, old.mean(0).expand_as(added), atol=1e-3, rtol=0)
    else:
        assert added.std().item() == pytest.approx(0.02, rel=0.3)
    ours.save_pretrained(tmp_path)
    assert type(ours).from_pretrained(tmp_path).get_input_embeddings().num_embeddings == 320
    assert ours.resize_token_embeddings() is table
    assert ours.resize_token_embeddings(200).weight.shape == (200, 16)
    assert ours.resize_token_embeddings(200).weight.requires_grad


@pytest.mark.parametrize("name", VISION)
def test_pictures_are_no_tokens(name: str) -> None:
    ours, _ = twins.twins(name)
    with pytest.raises(sightline.SightlineError, match="no table of tokens"):
        ours.resize_token_embeddings(310)


def gradients(model: nn.Module, given: dict[str, torch.Tensor], seed: int = 0) -> dict[str, torch.Tensor]:
    model.train()
    model.zero_grad()
    torch.manual_seed(seed)
    out = model(**given)
    sum(part.float().sum() for part in out.values() if isinstance(part, torch.Tensor)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("reentrant", [True, False, None])
@pytest.mark.parametrize("name", [name for name in ALL if name != "AlignVisionModel"])
def test_gradients_are_checkpointed(name: str, reentrant: bool | None) -> None:
    ours, _ = twins.twins(name)
    given = twins.inputs(name)
    for module in ours.modules():  # running statistics that two calls would not share
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.track_running_stats = False
    expected = gradients(ours, given)
    assert not ours.is_gradient_checkpointing
    if reentrant is None:
        ours.gradient_checkpointing_enable()
    else:
        ours.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    assert ours.is_gradient_checkpointing
    assert ours.is_activation_checkpointing
    found = gradients(ours, given)
    assert found.keys() == expected.keys()
    for parameter, gradient in expected.items():
        torch.testing.assert_close(found[parameter], gradient, msg=parameter)
    ours.gradient_checkpointing_disable()
    assert not ours.is_gradient_checkpointing


def test_what_checkpointing_refuses() -> None:
    ours, _ = twins.twins("CLIPModel")
    with pytest.raises(sightline.SightlineError, match="knows no reentrant; there is use_reentrant"):
        ours.gradient_checkpointing_enable({"reentrant": True})
    with pytest.raises(sightline.SightlineError, match="every_n_layers=1"):
        ours.activation_checkpointing_enable(every_n_layers=2)
    with pytest.raises(sightline.SightlineError, match="no blocks"):
        twins.twins("AlignVisionModel")[0].gradient_checkpointing_enable()


@pytest.mark.parametrize("name", [name for name in ALL if name != "AlignVisionModel"])
def test_a_config_asks_for_checkpointing(name: str) -> None:
    ours, _ = twins.twins(name)
    config = copy.deepcopy(ours.config)
    config.gradient_checkpointing = True
    model = type(ours)(config)
    assert all(part.gradient_checkpointing for part in model.modules() if isinstance(part, Transformer))
    assert model.is_gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing


@pytest.mark.parametrize("name", ALL)
def test_flags_of_attention_and_the_number_of_tokens(name: str) -> None:
    ours, _ = twins.twins(name)
    has_attention = any(isinstance(module, Attention) for module in ours.modules())
    assert type(ours)._supports_sdpa is type(ours)._supports_flash_attn is has_attention
    assert type(ours)._can_set_attn_implementation() is has_attention
    if name in VISION:
        assert not hasattr(ours, "vocab_size")
    else:
        ours.resize_token_embeddings(ours.vocab_size - 3)
        assert ours.vocab_size == ours.config.get_text_config().vocab_size == ours.get_input_embeddings().num_embeddings


def test_weights_without_values_are_not_opened() -> None:
    for library in (sightline, transformers):
        with torch.device("meta"), pytest.raises(RuntimeError, match="with a meta device context manager"):
            library.CLIPModel.from_pretrained(PACKAGED / "mini")
    with (
        pytest.raises(ValueError, match=r"no values\. Call it outside; .* write CLIPModel\(config\)"),
        torch.device("meta"),
    ):
        sightline.CLIPModel.from_pretrained("mini")


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_frozen_inputs(name: str) -> None:
    ours, _ = twins.twins(name)
    ours.requires_grad_(False)
    ours.enable_input_require_grads()
    given = twins.inputs(name)
    out = ours(**given)
    assert next(part for part in out.values() if isinstance(part, torch.Tensor)).requires_grad
    ours.disable_input_require_grads()
    out = ours(**given)
    assert not any(part.requires_grad for part in out.values() if isinstance(part, torch.Tensor))


@pytest.mark.parametrize("name", ALL)
def test_the_kind_of_attention(name: str) -> None:
    ours, theirs = twins.twins(name)
    given = twins.inputs(name)
    ours.set_attn_implementation("eager")
    assert ours.config._attn_implementation == "eager"
    with torch.no_grad():
        same(ours(**given), theirs(**given))
    with pytest.raises(sightline.SightlineError, match="is not supported"):
        ours.set_attn_implementation("fast")
    assert ours.config._attn_implementation == "eager"
    again = type(ours)(ours.config)
    assert {module.implementation for module in again.modules() if isinstance(module, Attention)} <= {"eager"}
    if name != "AlignVisionModel":
        config = copy.copy(ours.config)
        config._attn_implementation = "fast"
        with pytest.raises(sightline.SightlineError, match='attn_implementation="fast"'):
            type(ours)(config)


def test_a_model_of_ones_own() -> None:
    class Mine(sightline.PreTrainedModel):
        config_class = sightline.CLIPVisionConfig

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.vision = sightline.CLIPVisionModel(config)
            self.head = nn.Linear(config.hidden_size, 4)
            self.post_init()

        def _init_weights(self, module: nn.Module) -> None:
            if isinstance(module, nn.Linear):
                nn.init.constant_(module.weight, 0.5)

        def forward(self, pixel_values: torch.Tensor) -> Any:
            return self.head(self.vision(pixel_values).pooler_output)

    torch.manual_seed(0)
    config = twins.twins("CLIPVisionModel")[0].config
    model = Mine(config)
    assert model(twins.inputs("CLIPVisionModel")["pixel_values"]).shape == (3, 4)
    assert model.config is config
    assert model.head.weight.unique().tolist() == [0.5]
    assert model.vision.encoder.layers[0].mlp.fc1.weight.std() > 0


def test_seeds_and_loggers() -> None:
    drawn = []
    for _ in range(2):
        sightline.set_seed(7)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
    transformers.set_seed(7)
    assert drawn[0] == (random.random(), np.random.rand(), torch.rand(1).item())
    logger, before = sightline.logging.get_logger("sightline"), sightline.logging.get_verbosity()
    try:
        for name in ("debug", "info", "warning", "error"):
            getattr(sightline.logging, f"set_verbosity_{name}")()
            assert logger.level == sightline.logging.get_verbosity() == getattr(sightline.logging, name.upper())
        assert sightline.logging.get_logger("mine").name == "mine"
    finally:
        sightline.logging.set_verbosity(before)
