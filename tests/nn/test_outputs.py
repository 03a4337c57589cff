"""An output reads as a dictionary of the fields that are not None."""

import pytest
import torch

from sightline.nn.outputs import BaseModelOutputWithPooling


def test_an_output_reads_as_a_dictionary() -> None:
    tokens, pooled, maps = torch.zeros(1, 2, 3), torch.ones(1, 3), (torch.ones(1),)
    out = BaseModelOutputWithPooling(last_hidden_state=tokens, pooler_output=pooled, attentions=maps)
    expected = {"last_hidden_state": tokens, "pooler_output": pooled, "attentions": maps}
    assert list(out.keys()) == list(out) == list(expected)
    assert all(value is given for value, given in zip(out.values(), expected.values(), strict=True))
    assert all(value is given for value, given in zip(out.to_tuple(), expected.values(), strict=True))
    assert [name for name, _ in out.items()] == list(expected)
    assert all(value is expected[name] for name, value in out.items())
    assert all(out.get(name) is out[name] is value for name, value in expected.items())
    assert len(out) == len(out.items()) == 3


@pytest.mark.parametrize("name", ["hidden_states", "loss", "keys"])
def test_what_an_output_has_not(name: str) -> None:
    out = BaseModelOutputWithPooling(torch.zeros(1, 2, 3), torch.ones(1, 3))
    assert out.get(name) is None
    assert out.get(name, 7) == 7
    with pytest.raises(KeyError, match=name):
        out[name]
