"""GroupViT beyond parity: configs, what is refused, files, other sizes of picture, training's switches."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import sightline
from sightline import (
    GroupViTConfig,
    GroupViTModel,
    GroupViTTextConfig,
    GroupViTTextModel,
    GroupViTVisionConfig,
    GroupViTVisionModel,
)
from sightline.checkpoint.rules import write
from sightline.errors import CheckpointError, UsageError
from sightline.models.groupvit.grouping import GroupViTAssignAttention, gumbel_noise
from sightline.models.groupvit.layouts import HUGGING_FACE
from sightline.models.groupvit.text import GroupViTTextTower
from sightline.models.groupvit.vision import GroupViTImageTower
from sightline.nn.patches import interpolate_positions
from support.weights import randomise, same_weights

CONFIG = GroupViTConfig(
    text_config={
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 9,
        "eos_token_id": 63,
    },
    vision_config={
        "hidden_size": 24,
        "intermediate_size": 32,
        "depths": [1, 1, 1],
        "num_hidden_layers": 3,
        "num_group_tokens": [6, 3, 0],
        "num_output_groups": [6, 3, 3],
        "num_attention_heads": 2,
        "image_size": 24,
        "patch_size": 4,
    },
    projection_dim=8,
    projection_intermediate_dim=12,
)
IDS = torch.tensor([[5, 9, 63, 0, 0], [7, 8, 9, 10, 63]])


@pytest.fixture(scope="module")
def model() -> GroupViTModel:
    return randomise(GroupViTModel(CONFIG), 0).eval()


@pytest.fixture
def folder(model: GroupViTModel, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path)
    return tmp_path


def pixels(height: int = 24, width: int = 24, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(height))


def test_defaults_are_the_reference_s() -> None:
    for ours, reference in (
        (GroupViTTextConfig(), transformers.GroupViTTextConfig()),
        (GroupViTVisionConfig(), transformers.GroupViTVisionConfig()),
        (GroupViTConfig(), transformers.GroupViTConfig()),
    ):
        for key, value in ours.settings().items():
            if not key.endswith("_config"):
                theirs = getattr(reference, key)
                assert (list(theirs) if isinstance(theirs, tuple) else theirs) == value, key


def test_the_public_configuration_has_the_reference_s_tensors() -> None:
    """groupvit-gcc-yfcc's sizes are the defaults; no weights are made."""
    with torch.device("meta"):
        ours, reference = GroupViTModel(GroupViTConfig()), transformers.GroupViTModel(transformers.GroupViTConfig())
    found = {key: tuple(tensor.shape) for key, tensor in write(HUGGING_FACE, ours.state_dict()).items()}
    assert found == {key: tuple(tensor.shape) for key, tensor in reference.state_dict().items()}
    assert ours.num_parameters() == sum(p.numel() for p in reference.parameters())


def test_a_script_with_only_the_import_changed(folder: Path) -> None:
    def script(library) -> tuple[torch.Tensor, torch.Tensor]:
        model = library.GroupViTModel.from_pretrained(folder)
        inputs = {"input_ids": IDS, "pixel_values": pixels()}
        with torch.no_grad():
            outputs = model(**inputs, output_segmentation=True)
        return outputs.segmentation_logits, outputs.logits_per_image

    for a, b in zip(script(sightline), script(transformers), strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-4)


def test_towers_open_from_the_whole_and_alone(model: GroupViTModel, folder: Path, tmp_path: Path) -> None:
    text, image = GroupViTTextTower.from_pretrained(folder), GroupViTImageTower.from_pretrained(folder)
    assert torch.allclose(text.embed(IDS), model.get_text_features(IDS).pooler_output, atol=1e-5)
    assert torch.allclose(image.embed(pixels()), model.get_image_features(pixels()).pooler_output, atol=1e-5)
    for kind, args in ((GroupViTTextModel, (IDS,)), (GroupViTVisionModel, (pixels(),))):
        tower = kind.from_pretrained(folder)
        assert same_weights(tower, model.text_model if kind is GroupViTTextModel else model.vision_model)
        name = kind.__name__
        tower.save_pretrained(tmp_path / name)
        assert same_weights(kind.from_pretrained(tmp_path / name), tower)
        theirs = getattr(transformers, name).from_pretrained(tmp_path / name)
        fresh = getattr(transformers, name)(theirs.config)
        fresh.load_state_dict(theirs.state_dict())
        fresh.save_pretrained(tmp_path / f"{name} by the reference")
        assert same_weights(kind.from_pretrained(tmp_path / f"{name} by the reference"), tower)
        assert torch.allclose(theirs(*args)[0], tower(*args)[0], rtol=1e-4, atol=1e-5)


def test_half_precision_keeps_the_counters_whole(folder: Path) -> None:
    half = GroupViTModel.from_pretrained(folder, dtype="bfloat16")
    assert half.visual_projection[1].running_mean.dtype == torch.bfloat16
    assert half.visual_projection[1].num_batches_tracked.dtype == torch.int64
    out = half(IDS, pixels().bfloat16(), output_segmentation=True)
    assert out.segmentation_logits.dtype == torch.bfloat16


def test_old_files_and_the_authors_second_scale(model: GroupViTModel, folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["text_model.embeddings.position_ids"] = torch.arange(9)[None]
    state["multi_label_logit_scale"] = torch.tensor(2.0)
    save_file(state, folder / "model.safetensors")
    assert same_weights(GroupViTModel.from_pretrained(folder), model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": [1, 1]}, "num_group_tokens is .*, expected one number for each of 2 stages"),
        ({"depths": []}, "depths is .*, expected one number for each of 0 stages, 1 or more"),
        ({"depths": 3}, "depths is 3, expected a list of numbers"),
        ({"num_output_groups": [6, 0, 3]}, "expected 1 or more in stage 1, which has 3 group tokens"),
        ({"num_output_groups": [5, 3, 3]}, "expected 6 in stage 0, as many as its group tokens"),
        ({"num_group_tokens": [6, 0, 3]}, "expected 0 in stage 1"),
        ({"assign_mlp_ratio": [0.5]}, "assign_mlp_ratio is .*, expected two numbers above 0"),
        ({"hidden_size": 25}, "25 is no multiple of 2 heads"),
        ({"patch_size": 25}, "patch_size 25 of 24"),
        ({"dropout": 2}, r"dropout is 2\.0, not in \[0, 1\)"),
        ({"attention_dropout": -0.1}, r"attention_dropout is -0\.1, not in"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is nan, expected a finite number"),
        ({"num_group_tokens": [7, 3, 0], "num_output_groups": [7, 3, 3]}, "group_token has shape"),
    ],
)
def test_configs_that_do_not_fit_are_refused_by_name(folder: Path, change: dict, message: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        GroupViTModel.from_pretrained(folder)


def test_what_is_refused(model: GroupViTModel) -> None:
    with pytest.raises(UsageError, match="needs input_ids and pixel_values"):
        model(IDS)
    with pytest.raises(UsageError, match="2 texts and 3 images"):
        model(IDS, pixels(n=3), return_loss=True)
    with pytest.raises(UsageError, match="28 x 24 pixels, but the model was made for 24 x 24"):
        model(IDS, pixels(28))
    with pytest.raises(UsageError, match="smaller than one patch"):
        model.get_image_features(pixels(3, 30), interpolate_pos_encoding=True)
    plain = GroupViTModel(
        GroupViTConfig(
            text_config=CONFIG.text_config.to_dict(),
            vision_config=CONFIG.vision_config.to_dict() | {"num_group_tokens": [0] * 3, "num_output_groups": [0] * 3},
        )
    )
    with pytest.raises(UsageError, match="no stage of this model groups anything"):
        plain(IDS, pixels(), output_segmentation=True)


def test_any_size_with_interpolated_positions(model: GroupViTModel) -> None:
    """Twice the size, as the paper's protocol has it; the reference's `forward` cannot."""
    vision = model.vision_model
    for height, width in ((48, 48), (40, 61)):
        out = model(IDS, pixels(height, width), interpolate_pos_encoding=True, output_segmentation=True)
        assert out.segmentation_logits.shape == (2, 2, height, width)
        rows, columns = height // 4, width // 4
        table = vision.embeddings.position_embeddings.reshape(1, 6, 6, 24).permute(0, 3, 1, 2)
        want = torch.nn.functional.interpolate(table, (rows, columns), mode="bicubic", align_corners=False)
        got = interpolate_positions(vision.embeddings.position_embeddings[0], 6, rows, columns)
        assert torch.equal(got, want.permute(0, 2, 3, 1).reshape(rows * columns, 24))
    # A picture at its own size is the same with and without.
    a = model.get_image_features(pixels()).pooler_output
    assert torch.equal(a, model.get_image_features(pixels(), interpolate_pos_encoding=True).pooler_output)


def test_evaluation_assigns_each_token_to_one_group_and_training_by_chance() -> None:
    torch.manual_seed(0)
    assign = GroupViTAssignAttention(CONFIG.vision_config).eval()
    groups, tokens = torch.randn(2, 5, 24), torch.randn(2, 40, 24)
    with torch.no_grad():
        assign.q_proj.weight *= 3
        out, soft = assign(groups, tokens)
        assert torch.equal(out, assign(groups, tokens)[0])
        assert torch.allclose(soft.sum(1), torch.ones(2, 40))
        owner = soft.argmax(1)
        values = assign.kv(tokens)[..., 24:]
        for b in range(2):
            for g in range(5):
                mine = values[b][owner[b] == g]
                want = assign.proj(mine.sum(0) / (len(mine) + 1))
                assert torch.allclose(out[b, g], want, atol=1e-5)
        assign.train()
        (first, same), (second, _) = assign(groups, tokens), assign(groups, tokens)
        assert not torch.allclose(first, second)
        assert torch.equal(same, soft)  # what is returned has no noise in it


def test_gumbel_noise() -> None:
    """Mean Euler's constant, variance pi^2 / 6, and nothing infinite."""
    torch.manual_seed(0)
    noise = gumbel_noise(torch.empty(400_000))
    assert noise.isfinite().all()
    assert abs(float(noise.mean()) - 0.5772) < 0.01
    assert abs(float(noise.var()) - 1.6449) < 0.02
    assert gumbel_noise(torch.empty(3, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_fresh_group_tokens_differ_and_training_learns() -> None:
    """A few pairs are told apart after a few steps; group tokens that start alike would stay alike."""
    torch.manual_seed(0)
    model = GroupViTModel(CONFIG).train()
    assert model.vision_model.encoder.stages[0].group_token.std() > 0.01
    ids = torch.randint(3, 62, (8, 6))
    ids[:, -1] = 63
    x = pixels(n=8)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = model(ids, x, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3
    assert all(p.grad is not None for p in model.parameters())
    assert model.visual_projection[1].num_batches_tracked == 25


def test_gradient_checkpointing_changes_nothing(model: GroupViTModel) -> None:
    def gradients(on: bool) -> list[torch.Tensor]:
        model.gradient_checkpointing_enable() if on else model.gradient_checkpointing_disable()
        torch.manual_seed(1)
        model.train().zero_grad()
        model(IDS, pixels(), return_loss=True).loss.backward()
        model.eval()
        return [p.grad.clone() for p in model.parameters()]

    state = {key: value.clone() for key, value in model.state_dict().items()}
    for a, b in zip(gradients(True), gradients(False), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    model.load_state_dict(state)
