"""CLIP against `transformers`, through files on disk, on 50 random configs whose every parameter is random."""

import random
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor, nn

import sightline as ours
from parity.randomise import randomise

# float32 has 24 bits; a few hundred additions a number and a few layers leave five digits.
VALUES = 1e-5
# float64; what is zero by theory (a key's bias) is noise of the size of the rounding in all gradients.
GRADIENTS, GRADIENT_FLOOR = 1e-9, 1e-12


def random_config(seed: int) -> transformers.CLIPConfig:
    pick = random.Random(seed).choice
    vocab = pick([60, 99, 200])
    text_heads, vision_heads = pick([1, 2, 4]), pick([1, 2, 4])
    eos = pick([2, vocab - 1, vocab - 3])  # 2: pool at the highest id
    return transformers.CLIPConfig(
        text_config={
            "vocab_size": vocab,
            "hidden_size": text_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 4]),
            "num_attention_heads": text_heads,
            "max_position_embeddings": pick([8, 16, 77]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_new", "relu", "silu"]),
            "layer_norm_eps": pick([1e-5, 1e-6, 1e-3]),
            "eos_token_id": eos,
            "bos_token_id": vocab - 2,
            "pad_token_id": pick([0, 1]),
        },
        vision_config={
            "hidden_size": vision_heads * pick([4, 8, 16]),
            "intermediate_size": pick([16, 37, 64]),
            "num_hidden_layers": pick([1, 2, 4]),
            "num_attention_heads": vision_heads,
            "num_channels": pick([1, 3]),
            "image_size": pick([16, 24, 30]),
            "patch_size": pick([4, 7, 8]),
            "hidden_act": pick(["quick_gelu", "gelu", "gelu_pytorch_tanh"]),
            "layer_norm_eps": pick([1e-5, 1e-6]),
        },
        projection_dim=pick([8, 12, 32]),
        logit_scale_init_value=pick([0.0, 2.6592]),
    )


def tokens(config: transformers.CLIPConfig, padding: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Texts of several lengths with their end token, padded on the right with `padding`."""
    text = config.text_config
    end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
    length = min(12, text.max_position_embeddings)
    ids = torch.full((4, length), padding)
    mask = torch.zeros(4, length, dtype=torch.long)
    for row, n in enumerate([2, length // 2, length - 1, length]):
        ids[row, : n - 1] = torch.randint(3, end, (n - 1,), generator=generator)
        ids[row, n - 1] = end
        mask[row, :n] = 1
    return {"input_ids": ids, "attention_mask": mask}


def close(a: Tensor, b: Tensor, relative: float, floor: float = 0.0) -> None:
    difference, size = (a.double() - b.double()).norm().item(), b.double().norm().item()
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    assert difference <= relative * size + floor, f"{difference / max(size, 1e-300):.2e} of its norm"


def compare(mine: object, reference: object, names: list[str]) -> None:
    for name in names:
        a, b = getattr(mine, name), getattr(reference, name)
        if isinstance(b, tuple):
            assert len(a) == len(b)
            for x, y in zip(a, b, strict=True):
                close(x, y, VALUES)
        else:
            close(a, b, VALUES)


@pytest.mark.parametrize("seed", range(50))
def test_parity(seed: int, tmp_path: Path) -> None:
    config = random_config(seed)
    implementation = ["sdpa", "eager"][seed % 2]
    reference = randomise(transformers.CLIPModel(config), seed).eval()
    reference.save_pretrained(tmp_path / "theirs")
    reference.set_attn_implementation("eager")
    model = ours.CLIPModel.from_pretrained(tmp_path / "theirs", attn_implementation=implementation)

    # Both ways, to the last bit.
    model.save_pretrained(tmp_path / "ours")
    again = transformers.CLIPModel.from_pretrained(tmp_path / "ours")
    configs = [transformers.CLIPConfig.from_pretrained(tmp_path / name).to_dict() for name in ("ours", "theirs")]
    assert configs[0] == configs[1]
    for key, tensor in reference.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key

    generator = torch.Generator().manual_seed(seed)
    vision = config.vision_config
    pixels = torch.randn(4, vision.num_channels, vision.image_size, vision.image_size, generator=generator)
    ends = [
        0,
        config.text_config.vocab_size - 1 if config.text_config.eos_token_id == 2 else config.text_config.eos_token_id,
    ]
    outputs = ["loss", "logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
    for padding in ends:
        inputs = tokens(config, padding, generator) | {"pixel_values": pixels}
        want = {"output_hidden_states": True, "output_attentions": True}
        with torch.no_grad():
            a, b = model(**inputs, return_loss=True, **want), reference(**inputs, return_loss=True, **want)
            compare(a, b, outputs)
            for tower in ("text_model_output", "vision_model_output"):
                compare(
                    getattr(a, tower),
                    getattr(b, tower),
                    ["last_hidden_state", "pooler_output", "hidden_states", "attentions"],
                )
            # Causal attention: without a mask the pooled text is the same, so an encoder needs none.
            unmasked = model.get_text_features(inputs["input_ids"]).pooler_output
            close(
                unmasked,
                reference.get_text_features(**{k: inputs[k] for k in ("input_ids", "attention_mask")}).pooler_output,
                VALUES,
            )
            other = torch.randn(
                2, vision.num_channels, vision.image_size + 9, vision.image_size + 2, generator=generator
            )
            close(
                model.get_image_features(other, interpolate_pos_encoding=True).pooler_output,
                reference.get_image_features(other, interpolate_pos_encoding=True).pooler_output,
                VALUES,
            )

    model, reference = model.double(), reference.double()
    reference.set_attn_implementation("sdpa")  # its eager softmax is computed in float32, whatever it is given
    inputs = tokens(config, ends[1], generator) | {"pixel_values": pixels.double()}
    gradients = [gradients_of(m, inputs) for m in (model, reference)]
    compare_gradients(*gradients)


def gradients_of(model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    model(**inputs, return_loss=True).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def compare_gradients(mine: dict[str, Tensor], reference: dict[str, Tensor]) -> None:
    from sightline.checkpoint.rules import write
    from sightline.models.clip.layouts import HUGGING_FACE

    mine = write(HUGGING_FACE, mine)
    assert mine.keys() == reference.keys()
    floor = GRADIENT_FLOOR * torch.cat([g.flatten() for g in reference.values()]).norm().item()
    for name, gradient in reference.items():
        close(mine[name], gradient, GRADIENTS, floor)
