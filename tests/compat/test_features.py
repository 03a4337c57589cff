"""What processors give, as scripts use it, in both libraries."""

import copy
import pickle

import numpy as np
import pytest
import torch
import transformers

from sightline import BatchFeature
from sightline.errors import UsageError

VALUES = {"ids": [[1, 2], [3, 4]], "pixels": [np.ones((3, 2), np.float32)] * 2, "texts": ["a", "b"], "none": None}


def both(**options):
    return BatchFeature(dict(VALUES), **options), transformers.BatchFeature(dict(VALUES), **options)


@pytest.mark.parametrize("kind", [None, "pt", "np", transformers.TensorType.PYTORCH, transformers.TensorType.NUMPY])
def test_values_become_tensors(kind):
    for ours, theirs in (both(tensor_type=kind), [feature.convert_to_tensors(kind) for feature in both()]):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert type(ours[name]) is type(value)
            assert getattr(ours[name], "dtype", None) == getattr(value, "dtype", None)
            assert np.array_equal(ours[name], value)


def test_it_is_a_dictionary_with_attributes():
    for feature in both():
        assert feature.ids == feature["ids"] == feature.data["ids"]
        assert "ids" in feature
        assert list(feature) == list(VALUES)
        assert {**feature}.keys() == dict(feature).keys() == VALUES.keys()
        assert len(feature) == 4
        assert feature.get("absent", 3) == 3
        feature["more"] = 1
        feature.update({"ids": 2})
        assert feature.more == 1
        for again in (copy.copy(feature), copy.deepcopy(feature), pickle.loads(pickle.dumps(feature))):
            assert type(again) is type(feature)
            assert again.ids == 2
        with pytest.raises(AttributeError):
            _ = feature.absent
        with pytest.raises(KeyError):
            feature[0]
        assert feature.pop("ids") == 2


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("cpu",), {}),
        ((torch.float16,), {}),
        (("cpu", torch.bfloat16), {}),
        ((torch.device("meta"),), {}),
        (("meta", torch.float16), {}),
        ((), {"device": "meta", "non_blocking": True}),
        ((), {"dtype": torch.float64}),
    ],
)
def test_a_dtype_is_for_floating_tensors_and_a_device_for_all(args, kwargs):
    found = []
    for feature in both():
        feature["pixels"], feature["ids"] = [torch.ones(2), torch.ones(3)], torch.ones(2, dtype=torch.int64)
        assert feature.to(*args, **kwargs) is feature
        tensors = [*feature.pixels, feature.ids]
        found.append([(tensor.device, tensor.dtype) for tensor in tensors])
        assert feature.texts == ["a", "b"]
    assert found[0] == found[1]


def test_what_makes_no_tensor():
    for feature in (BatchFeature({"a": [[1], [1, 2]]}), transformers.BatchFeature({"a": [[1], [1, 2]]})):
        with pytest.raises((ValueError, UsageError), match="padding=True"):
            feature.convert_to_tensors("pt")
        with pytest.raises((ValueError, UsageError), match=r"3\.5"):
            feature.to(3.5)
    with pytest.raises(UsageError, match="return_tensors='tf' is not known"):
        BatchFeature({}, tensor_type="tf")
