"""Models under torch's transformations: export, compilation, tensors that have shapes and no numbers."""

import copy
import io

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim, export
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from support import tiny
from support.models import inputs


def call(model: torch.nn.Module, texts: int, images: int) -> dict[str, torch.Tensor]:
    pixels, ids, mask = inputs(model, 5)
    return {"input_ids": ids[:texts], "pixel_values": pixels[:images].float(), "attention_mask": mask[:texts]}


def close(found: object, expected: object) -> bool:
    pairs = zip(tree_leaves(found), tree_leaves(expected), strict=True)
    return all(a is b is None or torch.allclose(a, b, atol=1e-5) for a, b in pairs)


@pytest.mark.system
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_model_is_exported_with_any_number_of_texts_and_images(family: str) -> None:
    model = tiny.model(family, dtype=torch.float32).eval()
    texts, images, length = Dim("texts"), Dim("images"), Dim("length", min=2, max=12)
    shapes = {"input_ids": (texts, length), "pixel_values": (images,), "attention_mask": (texts, length)}
    dynamic = {name: dict(enumerate(dims)) for name, dims in shapes.items()}
    with torch.no_grad():
        program = export(model, (), call(model, 3, 2), dynamic_shapes=dynamic)
        if family == "clip":  # through a file
            buffer = io.BytesIO()
            torch.export.save(program, buffer)
            buffer.seek(0)
            program = torch.export.load(buffer)
        exported = program.module()
        for counts in ((5, 4), (1, 1), (2, 5)):
            given = call(model, *counts)
            out, expected = exported(**given), model(**given)
            assert type(out) is type(expected)
            assert close(out, expected)


@pytest.mark.system
@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.* should not be instantiated")  # torch's own
@pytest.mark.parametrize("family", ["clip", "groupvit"])
def test_a_model_is_compiled_into_one_graph(family: str) -> None:
    model = tiny.model(family, dtype=torch.float32).eval()
    given = call(model, 3, 3)
    for with_gradients in (True, False):
        torch.compiler.reset()
        # With gradients, torch cannot yet keep the batch open: the MLP's are written by hand.
        compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=None if with_gradients else True)
        with torch.set_grad_enabled(with_gradients):
            out = compiled(**given, return_loss=True)
        assert close(out, model(**given, return_loss=True))
        assert out.loss.requires_grad == with_gradients


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_outputs_are_trees_of_their_fields(family: str) -> None:
    model = tiny.model(family, dtype=torch.float32).eval()
    out = model(**call(model, 2, 2), output_hidden_states=True)
    leaves, spec = tree_flatten(out)
    again = tree_unflatten(leaves, spec)
    assert type(again) is type(out)
    assert again.keys() == out.keys()
    moved = tree_map(lambda leaf: None if leaf is None else leaf.double(), out)
    assert moved.text_model_output.hidden_states[0].dtype == torch.float64


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_on_meta_there_are_shapes_forwards_and_backwards(family: str, training: bool, attention: str) -> None:
    model = tiny.model(family, dtype=torch.float32)
    given = call(model, 3, 3)
    expected = model.eval()(**given)
    shapes = [None if leaf is None else leaf.shape for leaf in tree_leaves(expected)]
    meta = copy.deepcopy(model).to("meta").train(training)
    with torch.device("meta"):
        built = type(model)(model.config).train(training)
    for other in (meta, built):
        other.set_attn_implementation(attention)
        there = {name: tensor.to("meta") for name, tensor in given.items()}
        out = other(**there)
        assert [None if leaf is None else leaf.shape for leaf in tree_leaves(out)] == shapes
        loss = other(**there, return_loss=True).loss
        loss.backward()
        assert loss.is_meta
        assert all(p.grad is None or p.grad.is_meta for p in other.parameters())
        assert all(t.is_meta for t in other.encode(there["pixel_values"], there["input_ids"]).texts)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_with_fake_tensors(family: str, training: bool) -> None:
    real = tiny.model(family, dtype=torch.float32)
    given = call(real, 2, 2)
    expected = real(**given).text_embeds.shape
    with FakeTensorMode() as mode:
        fake = {name: mode.from_tensor(tensor) for name, tensor in given.items()}
        model = type(real)(real.config).train(training)
        assert model(**fake).text_embeds.shape == expected
        assert model.encode(**fake).texts[0].shape[0] == 2


def test_a_device_that_autocast_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def enabled(kind: str) -> bool:
        raise RuntimeError("unknown device type for autocast")

    model = tiny.model("clip", dtype=torch.float32)
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda kind: False)
    monkeypatch.setattr(torch, "is_autocast_enabled", enabled)
    model(**call(model, 2, 2), return_loss=True).loss.backward()
