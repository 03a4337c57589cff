"""With one seed both libraries draw the same: weights that a checkpoint lacks, and what drops out in training."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import sightline
from support import twins

LIBRARIES = (sightline, transformers)
DROPS = (
    *("attention_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "drop_connect_rate"),
    *("drop_path_rate", "prompt_attention_dropout", "prompt_projection_dropout"),
)


def opened(kind: str, method: str, *names: Path, **options: Any) -> list[Any]:
    models = []
    for library in LIBRARIES:
        library.set_seed(0)
        models.append(getattr(getattr(library, kind), method)(*names, **options))
    return models


def test_projections_of_two_towers(tmp_path: Path) -> None:
    """And the pooler that a RoBERTa lacks which was trained to fill gaps."""
    transformers.RobertaForMaskedLM(twins.their_config("RobertaModel")).save_pretrained(tmp_path)
    names = twins.folder("CLIPModel"), tmp_path
    ours, theirs = opened("VisionTextDualEncoderModel", "from_vision_text_pretrained", *names)
    expected = theirs.state_dict()
    for name, tensor in ours.reference_state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.filterwarnings("ignore:the classifier of 5 classes is new")
def test_a_classifier() -> None:
    options = {"num_labels": 5}
    ours, theirs = opened("CLIPForImageClassification", "from_pretrained", twins.folder("CLIPModel"), **options)
    assert torch.equal(ours.classifier.weight, theirs.classifier.weight)
    assert torch.equal(ours.classifier.bias, theirs.classifier.bias)


def test_two_open_towers() -> None:
    pairs = []
    for library in LIBRARIES:
        towers = {
            "vision_model": library.CLIPVisionModel.from_pretrained(twins.folder("CLIPModel")),
            "text_model": library.RobertaModel.from_pretrained(twins.folder("RobertaModel")),
        }
        library.set_seed(0)
        pairs.append(library.VisionTextDualEncoderModel(**towers))
    assert torch.equal(pairs[0].text_projection.weight, pairs[1].text_projection.weight)


def test_our_own_pairs_have_clip_s_spread() -> None:
    names = twins.folder("CLIPModel"), twins.folder("RobertaModel")
    torch.manual_seed(0)
    pair = sightline.VisionTextDualEncoderModel.from_towers(*names)
    for projection in (pair.visual_projection, pair.text_projection):
        assert projection.weight.std().item() == pytest.approx(16**-0.5, rel=0.05)
        assert projection.weight.requires_grad


@pytest.mark.parametrize("name", twins.WHOLE)
def test_the_same_numbers_drop_out(name: str, tmp_path: Path) -> None:
    config = twins.their_config(name)
    for part in (config, config.text_config, config.vision_config):
        for drop in DROPS:
            if hasattr(part, drop):
                setattr(part, drop, 0.2)
    getattr(transformers, name)(config).save_pretrained(tmp_path)
    losses = []
    for library in LIBRARIES:
        model = getattr(library, name).from_pretrained(tmp_path)
        for module in model.modules():  # ALIGN's batch norms would make another loss as well
            module.training = not isinstance(module, torch.nn.BatchNorm2d)
        given = twins.inputs(name, 4) | {"return_loss": True}
        library.set_seed(0)
        losses.append([model(**given).loss.item(), model(**given).loss.item()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][0] != losses[0][1]  # as something else dropped out
