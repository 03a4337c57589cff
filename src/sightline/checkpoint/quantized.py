"""Files of quantised weights, as bitsandbytes and torchao have `transformers` write them: names of what lies beside or
in place of a weight's numbers."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from sightline.checkpoint.weights import Weights

_NAME = re.compile(
    r"(.+\.)("
    r"weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__\w+)"
    r"|SCB|weight_format"
    r"|_weight_\w+)"
)


def layer_and_rest(key: str) -> tuple[str, str] | None:
    """Of a tensor beside or in place of a weight: its layer's name with the dot, and the rest; None for others.

    "fc1.weight.absmax" is ("fc1.", "weight.absmax"); the weight itself is none of them.
    """
    found = _NAME.fullmatch(key)
    return None if found is None else (found[1], found[2])


class QuantizedWeights(Weights):
    """Weights of which some are quantised: `shapes` has their names alone, `parts` what each is made of."""

    def __init__(self, paths: Sequence[Path] = (), state: Mapping[str, torch.Tensor] | None = None) -> None:
        super().__init__(paths, state)
        for key in list(self.shapes):
            if (found := layer_and_rest(key)) is not None:
                self.shapes.pop(key)
                self.shapes.setdefault(f"{found[0]}weight", ())

    @cached_property
    def _layers(self) -> dict[str, dict[str, str]]:
        layers: dict[str, dict[str, str]] = {}
        for key in self._sources:
            if (found := layer_and_rest(key)) is not None:
                layers.setdefault(found[0], {})[found[1]] = key
        return layers

    @property
    def has_quantized(self) -> bool:
        """Whether any weight is quantised."""
        return bool(self._layers)

    def is_quantized(self, key: str) -> bool:
        """Whether the weight `key` has parts."""
        return key.removesuffix("weight") in self._layers

    def parts(self, key: str) -> dict[str, torch.Tensor]:
        """The tensors of a quantised weight by their names within its layer: "weight", "weight.absmax", "SCB" ..."""
        names = self._layers[key.removesuffix("weight")]
        parts = {name: self.get(source) for name, source in names.items()}
        return parts | ({"weight": self.get(key)} if key in self._sources else {})

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What torchao says of each quantised weight, by the file's names."""
        found: dict[str, Any] = {}
        for path in self.paths:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as file:
                    found |= file.metadata() or {}
        return found

    def described(self, key: str) -> dict[str, str]:
        """The metadata of one weight alone, as torchao reads it; empty where the file has none.

        A tower's file may have the whole model's names and a header by the tower's own: the name's end will do.
        """
        *_, found = (None, *(name for name in self.metadata if f".{self._prefix}{key}".endswith(f".{name}")))
        return {} if found is None else {"tensor_names": json.dumps([key]), key: self.metadata[found]}
