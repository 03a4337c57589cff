"""Two towers of one's choice against `transformers`, through files on disk, on 50 random configs whose every parameter
is random: BERT, RoBERTa or CLIP's text tower beside CLIP's vision tower."""

import copy
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

import sightline as ours
from sightline.checkpoint.rules import write
from sightline.models.dual.layouts import table_for
from sightline.models.dual.towers import DualImageTower, DualTextTower
from support.configs.dual import random_config, random_inputs
from support.parity import both_ways, close, compare, compare_gradients, gradients_of
from support.weights import randomise

pytestmark = pytest.mark.parity

OUTPUTS = ["loss", "logits_per_image", "logits_per_text", "text_embeds", "image_embeds"]
TOWER = ["last_hidden_state", "pooler_output", "hidden_states", "attentions"]


@pytest.mark.parametrize("seed", range(50))
def test_parity(seed: int, tmp_path: Path) -> None:
    config = random_config(seed)
    reference = randomise(transformers.VisionTextDualEncoderModel(config), seed).eval()
    model = both_ways(
        reference, ours.VisionTextDualEncoderModel, tmp_path, attn_implementation=["sdpa", "eager"][seed % 2]
    )
    reference.set_attn_implementation("eager")
    inputs = random_inputs(config, seed)
    pixels, texts = inputs["pixel_values"], {k: v for k, v in inputs.items() if k != "pixel_values"}
    want = {"output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        a, b = model(**inputs, return_loss=True, **want), reference(**inputs, return_loss=True, **want)
        assert list(a.keys()) == list(b.keys())
        compare(a, b, OUTPUTS)
        compare(a.text_model_output, b.text_model_output, TOWER)
        compare(a.vision_model_output, b.vision_model_output, TOWER)
        compare(model.get_text_features(**texts), reference.get_text_features(**texts), TOWER[:2])
        compare(model.get_image_features(pixels), reference.get_image_features(pixels), TOWER[:2])
        bare = {"input_ids": inputs["input_ids"]}  # then a BERT reads padding, and RoBERTa counts its places as before
        compare(model.get_text_features(**bare), reference.get_text_features(**bare), TOWER[:2])

        folder = tmp_path / "theirs"  # as an encoder opens the towers
        text, image = DualTextTower.from_pretrained(folder), DualImageTower.from_pretrained(folder)
        plain = {key: inputs[key] for key in ("input_ids", "attention_mask")}
        close(text.embed(*plain.values()), reference.get_text_features(**plain).pooler_output)
        close(image.embed(pixels), b_features(reference, pixels))

    # In float64, in evaluation and then in training, where dropout draws the same numbers in the same places.
    pair = [copy.deepcopy(m).double() for m in (model, reference)]
    pair[0].set_attn_implementation("sdpa")
    pair[1].set_attn_implementation("sdpa")  # its eager softmax is computed in float32, whatever it is given
    wide = inputs | {"pixel_values": pixels.double()}
    table = table_for(config.text_config.model_type, "clip_vision_model")
    for training in (False, True):
        gradients = [gradients_of(m.train(training), lambda m: seeded(m, wide).loss) for m in pair]
        compare_gradients(*gradients, table)


def b_features(reference, pixels: Tensor) -> Tensor:
    return reference.get_image_features(pixels).pooler_output


def seeded(model: torch.nn.Module, inputs: dict[str, Tensor]):
    torch.manual_seed(0)
    return model(**inputs, return_loss=True)


@pytest.mark.parametrize("text", [transformers.BertConfig(), transformers.RobertaConfig(max_position_embeddings=514)])
def test_base_towers_have_the_same_tensors(text: transformers.PreTrainedConfig) -> None:
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(transformers.CLIPVisionConfig(), text)
    with torch.device("meta"):
        reference = transformers.VisionTextDualEncoderModel(config).state_dict()
        mine = ours.VisionTextDualEncoderModel(ours.VisionTextDualEncoderConfig.from_dict(config.to_dict()))
    found = write(mine.layout, mine.state_dict())
    assert {k: t.shape for k, t in found.items()} == {k: t.shape for k, t in reference.items()}
