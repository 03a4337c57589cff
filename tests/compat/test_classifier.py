"""CLIP's classifier: files both ways, the three kinds of labels, a head of its own on a plain CLIP."""

from pathlib import Path

import pytest
import torch
import transformers

import sightline
from support import twins
from support.twins import same

NAME = "CLIPForImageClassification"
LABELS = {
    "single_label_classification": torch.tensor([2, 0, 1]),
    "multi_label_classification": torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1]]),
    "regression": torch.tensor([[0.5, 1, 2], [3, 2, 1], [0, 0, 0.25]]),
}


def both(folder: Path, **settings: object) -> tuple[object, object]:
    config = twins.their_config(NAME)
    for name, value in settings.items():
        setattr(config, name, value)
    torch.manual_seed(1)
    theirs = transformers.CLIPForImageClassification(config).eval()
    theirs.save_pretrained(folder)
    return sightline.CLIPForImageClassification.from_pretrained(folder), theirs


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("named", [True, False])
def test_the_loss_of_each_kind_of_labels(kind: str, named: bool, tmp_path: Path) -> None:
    classes = 1 if kind == "regression" and not named else 3
    ours, theirs = both(tmp_path, num_labels=classes, problem_type=kind if named else None)
    assert ours.num_labels == classes
    labels, pixels = LABELS[kind][:, :classes] if classes == 1 else LABELS[kind], twins.inputs(NAME)["pixel_values"]
    mine, expected = ours(pixels, labels), theirs(pixels, labels)
    same(mine, expected)
    assert ours.config.problem_type == theirs.config.problem_type == kind
    same(ours(pixels, labels=labels, return_dict=False), theirs(pixels, labels=labels, return_dict=False))
    mine.loss.backward()
    expected.loss.backward()
    torch.testing.assert_close(ours.classifier.weight.grad, theirs.classifier.weight.grad)
    if kind == "single_label_classification":
        same(ours(pixels, labels.int()).loss, mine.loss)


def test_files_go_both_ways(tmp_path: Path) -> None:
    names = {"id2label": {0: "cat", 1: "dog", 2: "owl"}, "label2id": {"cat": 0, "dog": 1, "owl": 2}}
    ours, theirs = both(tmp_path / "theirs", **names)
    ours.save_pretrained(tmp_path / "ours")
    again = transformers.CLIPForImageClassification.from_pretrained(tmp_path / "ours")
    pixels = twins.inputs(NAME)["pixel_values"]
    same(again(pixels).logits, theirs(pixels).logits)
    assert again.config.id2label == ours.config.id2label == names["id2label"]
    state = again.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in theirs.state_dict().items())


def test_a_plain_clip_gets_a_new_classifier(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="classifier of 2 classes is new") as told:
        model = sightline.CLIPForImageClassification.from_pretrained(twins.folder("CLIPModel"))
    assert len(told) == 1
    out = model(**twins.inputs(NAME))
    assert out.logits.shape == (3, 2)
    assert not out.logits.isnan().any()
    assert model.classifier.bias.abs().sum() == 0
    whole, _ = twins.twins("CLIPModel")
    assert torch.equal(model.vision_model.post_layernorm.weight, whole.vision_model.post_layernorm.weight)
    model.save_pretrained(tmp_path)
    assert sightline.CLIPForImageClassification.from_pretrained(tmp_path).num_labels == 2


def test_another_number_of_classes_than_the_file_s(tmp_path: Path) -> None:
    ours, _ = both(tmp_path, num_labels=3)
    ours.config.num_labels = 5
    ours.config.save_pretrained(tmp_path)
    with pytest.raises(sightline.SightlineError, match=r"classifier\.\w+ has shape"):
        sightline.CLIPForImageClassification.from_pretrained(tmp_path)
