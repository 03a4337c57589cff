"""Loops over parameters by the reference's names, and what models of a script's own are told."""

import pytest
import torch
import transformers
from torch import nn

import sightline
from sightline.errors import UsageError


@pytest.mark.parametrize("wanted", ["encoder.layers.1.", "layer_norm", "projection", "bias", "embeddings"])
@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("CLIPModel", "clip"),
        ("CLIPTextModel", "clip"),
        ("AlignModel", "align"),
        ("GroupViTModel", "groupvit"),
        ("XCLIPModel", "xclip"),
    ],
)
def test_a_choice_by_the_reference_names_is_the_reference_choice(name, of, wanted, checkpoints):
    model = getattr(sightline, name).from_pretrained(checkpoints[of])
    with torch.device("meta"):
        theirs = getattr(transformers, name)(getattr(transformers, name).config_class.from_pretrained(checkpoints[of]))
    chosen = [
        parameter
        for ours, parameter in model.named_parameters()
        if any(wanted in each for each in model.reference_names(ours))
    ]
    expected = [parameter for each, parameter in theirs.named_parameters() if wanted in each]
    assert sum(map(torch.numel, chosen)) == sum(map(torch.numel, expected))


def test_every_reference_name_is_one_of_the_reference(checkpoints):
    model = sightline.CLIPModel.from_pretrained(checkpoints["clip"])
    found = {each for ours, _ in model.named_parameters() for each in model.reference_names(ours)}
    assert found == set(model.reference_state_dict())


def test_a_class_of_ones_own_must_name_its_config(checkpoints):
    class Mine(sightline.PreTrainedModel):
        pass

    with pytest.raises(UsageError, match="config_class = CLIPConfig"):
        Mine.from_pretrained(checkpoints["clip"])


def test_new_layers_of_a_subclass_are_told(checkpoints):
    class Mine(sightline.CLIPModel):
        def __init__(self, config):
            super().__init__(config)
            self.extra = nn.Linear(config.projection_dim, 2)

    with pytest.warns(UserWarning, match=r"new and to be trained: extra\.bias, extra\.weight"):
        model = Mine.from_pretrained(checkpoints["clip"])
    assert model.extra.weight.std() > 0


def test_second_derivatives_are_right_or_refused(checkpoints):
    model = sightline.CLIPVisionModel.from_pretrained(checkpoints["clip"], attn_implementation="eager").double()
    pixels = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def value(pixels, **options):
        return model(pixels, **options).pooler_output.sum()

    along, step = torch.ones_like(pixels), 1e-5
    variable = pixels.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(variable, output_attentions=True), variable, create_graph=True)
    (product,) = torch.autograd.grad((gradient * along).sum(), variable)
    ends = []
    for sign in (1, -1):
        moved = (pixels + sign * step * along).requires_grad_()
        ends += torch.autograd.grad(value(moved), moved)
    torch.testing.assert_close(product, (ends[0] - ends[1]) / (2 * step), rtol=1e-4, atol=1e-6)
    with pytest.raises(UsageError, match="output_attentions=True"):
        torch.autograd.grad(value(variable), variable, create_graph=True)
