"""Embeddings, computed apart and in parts, have the similarities and gradients that `forward` has."""

import pytest
import torch

from sightline.errors import UsageError
from sightline.models import FAMILIES
from sightline.models.pairs import PairEmbeddings, Similarities
from support.models import PACKAGED, inputs
from support.weights import randomise


def at_random(family):
    """The packaged model's config, every number at random, no batch norm over the batch at hand."""
    model = FAMILIES[family].model.from_pretrained(PACKAGED[family], dtype="float64")
    return randomise(model, 3).double().eval()


@pytest.mark.parametrize("family", PACKAGED)
def test_embeddings_in_parts_match_as_in_forward(family):
    torch.manual_seed(0)
    model = at_random(family)
    pixels, ids, mask = inputs(model, 5)
    out = model(input_ids=ids, pixel_values=pixels, attention_mask=mask, return_loss=True)
    logits = out["logits_per_video" if family == "xclip" else "logits_per_image"]
    names = [name for name, p in model.named_parameters() if "pooler" not in name]  # BERT's is in no embedding
    parameters = dict(model.named_parameters())
    expected = torch.autograd.grad(out.loss, [parameters[name] for name in names], allow_unused=True)

    parts = [model.encode(pixels[a:b], ids[a:b], mask[a:b]) for a, b in ((0, 2), (2, 3), (3, 5))]
    similarities = model.match(
        PairEmbeddings(
            tuple(map(torch.cat, zip(*(part.images for part in parts), strict=True))),
            tuple(map(torch.cat, zip(*(part.texts for part in parts), strict=True))),
        )
    )
    torch.testing.assert_close(similarities.logits_per_image, logits, rtol=1e-9, atol=1e-9)
    found = torch.autograd.grad(model.loss(similarities), [parameters[name] for name in names], allow_unused=True)
    largest = max(float(g.abs().max()) for g in expected if g is not None)
    for name, a, b in zip(names, found, expected, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10 * largest, msg=name)


def test_unequal_numbers_are_no_pairs():
    model = at_random("clip")
    with pytest.raises(UsageError, match="3 texts and 2 images"):
        model.loss(Similarities(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(3, 4)))
