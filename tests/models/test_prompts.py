"""X-CLIP's short way to the prompts goes the long way where something waits on a part that it would not call."""

import pytest
import torch
from torch import nn

from sightline.models.xclip.prompts import XCLIPPromptGenerator
from support import tiny


class Twice(nn.Linear):
    """What stands in a linear map's place, as an adapter does."""

    def forward(self, x):
        return 2 * super().forward(x)


def hook(model, path):
    model.get_submodule(path).register_forward_hook(lambda module, args, out: out / 2)


def hook_values(model, path):
    getattr(model.get_submodule(path), "v_proj").register_forward_hook(lambda module, args, out: out / 2)  # noqa: B009


def adapt(model, path):
    old = model.get_submodule(path)
    new = Twice(old.in_features, old.out_features, bias=False)
    new.weight = old.weight
    model.set_submodule(path, new)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        *((hook, path) for path in ("0", "0.cross_attn", "0.cross_attn.kv", "0.cross_attn.proj_drop")),
        *((hook, path) for path in ("0.cross_attn.q_proj", "0.mlp.0")),
        (hook_values, "0.cross_attn"),
        (adapt, "0.cross_attn.kv"),
    ],
)
def test_a_change_of_any_part_is_seen(change, path):
    torch.manual_seed(0)
    model = XCLIPPromptGenerator(tiny.config("xclip", 0.0)).double().eval()
    text, videos = torch.randn(2, 16, dtype=torch.float64), torch.randn(3, 4, 16, dtype=torch.float64)
    before = model.short(text, videos)
    change(model.decoder, path)
    found = model.short(text, videos)
    assert not torch.allclose(found, before)
    torch.testing.assert_close(found, model(text, videos))
