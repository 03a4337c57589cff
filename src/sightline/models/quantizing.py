"""A model whose linear maps are quantised while its file is read, or were when it was written."""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from sightline.checkpoint.quantized import QuantizedWeights
from sightline.checkpoint.rules import Piece, read
from sightline.checkpoint.weights import Weights
from sightline.errors import CheckpointError, UsageError
from sightline.models.config import Config
from sightline.models.quantization_config import BitsAndBytesConfig, TorchAoConfig, quantization_config
from sightline.models.state_dicts import StateDicts
from sightline.nn.quantized import Quantizer, load_library, quantizer
from sightline.nn.slices import Slice, WithParts

_FAULTS = (ValueError, KeyError, AssertionError, TypeError, AttributeError)
"""What malformed parts of a quantised weight raise while they are put together."""


def wanted_quantization(asked: Any, config: Config, is_file: bool) -> "Quantization | None":
    """How a model's maps are quantised: as its file says, else as is asked; None: not at all.

    Raises `UsageError` where both name other methods, and for a config by which nothing is quantised.
    """
    stored = getattr(config, "quantization_config", None) if is_file else None
    if asked is None and not stored:
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        return None
    found = quantization_config(stored or asked)
    if stored and asked is not None:
        other = quantization_config(asked)
        if type(other) is not type(found):
            raise UsageError(
                f"quantization_config is a {type(other).__name__}, but the checkpoint is quantised already, by "
                f"{found.quant_method}; leave it out"
            )
        if other != found:
            warnings.warn("quantization_config: the checkpoint is quantised already, and its own is used", stacklevel=3)
    if isinstance(found, BitsAndBytesConfig) and not found.is_quantizable():
        raise UsageError("quantization_config says neither load_in_4bit=True nor load_in_8bit=True")
    config.quantization_config = found
    return Quantization(found, quantizer(found), bool(stored))


@dataclass
class Quantization:
    """How a model's linear maps are quantised. `is_stored`: they are so in the file."""

    config: BitsAndBytesConfig | TorchAoConfig
    quantizer: Quantizer
    is_stored: bool
    layers: dict[str, nn.Linear] = field(default_factory=dict)
    """What is quantised, by the names that its weights have among a family's tensors."""
    names: dict[str, str] = field(default_factory=dict)
    """The reference's names of those layers, likewise."""

    def weights(self, weights: Weights) -> Weights:
        """The weights, by the names that they had before they were quantised."""
        return QuantizedWeights(weights.paths) if self.is_stored else weights

    def put_into(self, model: StateDicts, pieces: Mapping[str, Piece], weights: Weights) -> dict[str, Piece]:
        """Puts layers for quantised weights into a model on the "meta" device, and takes those maps apart whose parts
        are not quantised all together. Returns `pieces`, of the model as it was, as they are of the model as it is.

        Raises `UsageError` for a model without linear maps, and `CheckpointError` for a file without quantised weights.
        """
        named = {
            name: model.reference_names(f"{name}.weight")[0].removesuffix(".weight")
            for name, module in model.named_modules()
            if type(module) in (nn.Linear, Slice)
        }
        if not named and not self.is_stored:
            raise UsageError(
                f"{type(model).__name__} has no linear maps, so nothing of it can be quantised; for half the memory "
                "take bfloat16"
            )
        if isinstance(weights, QuantizedWeights):
            chosen = {name for name in named if weights.is_quantized(_source(model, name, pieces))}
        else:
            left_out = self._left_out(model)
            chosen = {name for name in named if not is_left_out(named[name], left_out)}
        if not chosen and not self.is_stored:
            raise UsageError("quantization_config leaves all linear maps as they are, so nothing would be quantised")
        if isinstance(weights, QuantizedWeights) and not weights.has_quantized:
            raise CheckpointError(
                f"{weights.place}: config.json says that {self.config.quant_method} quantised the weights, but none of "
                "them is; take quantization_config out of it"
            )
        pieces = take_apart(model, chosen, pieces)
        for name in sorted(chosen):
            layer = self.quantizer.layer(model.get_submodule(name))  # type: ignore[arg-type]
            model.set_submodule(name, layer)
            self.layers[f"{model.prefix}{name}.weight"] = layer
            self.names[f"{model.prefix}{name}.weight"] = named[name]
        return pieces

    def _left_out(self, model: StateDicts) -> list[str]:
        """Names and patterns of the maps that stay as they are: those of the config, else the last in the model."""
        config = self.config
        skip = config.llm_int8_skip_modules if isinstance(config, BitsAndBytesConfig) else config.modules_to_not_convert
        if skip is not None:
            return skip
        *_, last = (name for name, _ in model.named_parameters())
        return [(model.last_parameter or model.reference_names(last)[-1]).removesuffix(".weight")]

    def fill(self, target: str, piece: Piece, weights: Weights, dtype: torch.dtype) -> Tensor:
        """The layer of a quantised weight gets it; returns the weight. Raises `CheckpointError`, `UsageError`."""
        layer, place = self.layers[target], str(weights.place)
        if isinstance(weights, QuantizedWeights):
            (source,) = piece.sources
            try:
                self.quantizer.refill(layer, weights.parts(source), weights.described(source))
            except _FAULTS as error:
                raise CheckpointError(
                    f"{place}: {source} is no weight that {self.config.quant_method} quantised: {error}"
                ) from error
            return layer.weight
        tensor = read(piece, weights.get_once, place)
        if not tensor.is_floating_point():
            raise CheckpointError(f"{place}: {piece.sources[0]} holds {tensor.dtype}: it is quantised already")
        if tensor.shape != layer.weight.shape:
            raise CheckpointError(
                f"{place}: {' + '.join(piece.sources)} has shape {tuple(tensor.shape)}, the config asks for "
                f"{tuple(layer.weight.shape)}"
            )
        self.quantizer.fill(layer, tensor.to(dtype), self.names[target])
        return layer.weight


def is_left_out(name: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern has the beginning of a module's name, up to a dot, or is its end, as the reference decides."""
    return any(re.match(rf"(?:{each})(?:(?<=\.)|(?=\.|$))", name) or name.endswith(each) for each in patterns)


def _source(model: StateDicts, name: str, pieces: Mapping[str, Piece]) -> str:
    """The file's name of a linear map's weight; of one that it lacks, the name itself."""
    part, owner = model.get_submodule(name), name.rpartition(".")[0]
    if not isinstance(part, Slice):
        piece = pieces.get(f"{model.prefix}{name}.weight")
        return name if piece is None else piece.sources[0]
    piece = pieces.get(f"{model.prefix}{owner}.{part.fused_name}.weight")
    return name if piece is None else _of_part(piece, part).sources[0]


def _of_part(piece: Piece, part: Slice) -> Piece:
    """What a part of a fused map is made of, by what the whole one is made of."""
    if len(piece.sources) == part.count and not piece.transposed:
        return Piece((piece.sources[part.number],), False)
    return replace(piece, part=(part.number, part.count))


def take_apart(model: StateDicts, names: Iterable[str], pieces: Mapping[str, Piece]) -> dict[str, Piece]:
    """Takes the fused maps apart of which a part is among `names`. Returns `pieces` as they are then."""
    found = dict(pieces)
    for name in names:
        owner_name = name.rpartition(".")[0]
        if not isinstance(part := model.get_submodule(name), Slice):  # or no longer
            continue
        owner, fused = model.get_submodule(owner_name), part.fused_name
        for each, other in owner.named_children():
            if isinstance(other, Slice) and other.fused_name == fused:
                for kind in ("weight", "bias"):
                    if (whole := pieces.get(f"{model.prefix}{owner_name}.{fused}.{kind}")) is not None:
                        found.pop(f"{model.prefix}{owner_name}.{fused}.{kind}", None)
                        found[f"{model.prefix}{owner_name}.{each}.{kind}"] = _of_part(whole, other)
        cast(WithParts, owner).take_apart(fused)
    return found


def flags_as_config(asked: Any, settings: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A `quantization_config`, and arguments without `load_in_4bit` and `load_in_8bit`, which older scripts pass
    beside. Raises `UsageError` for both at once."""
    flags = {name: bool(settings[name]) for name in ("load_in_4bit", "load_in_8bit") if name in settings}
    rest = {name: value for name, value in settings.items() if name not in flags}
    if not any(flags.values()):
        return asked, rest
    if asked is not None:
        raise UsageError("load_in_4bit and load_in_8bit are settings of quantization_config: name them there alone")
    return BitsAndBytesConfig.from_dict(flags), rest


def check_device(quantization: Quantization | None, device: torch.device | None) -> None:
    """Raises `UsageError` for a device on which bitsandbytes computes nothing."""
    if quantization is None or device is None or quantization.quantizer.method != "bitsandbytes":
        return
    known = load_library("bitsandbytes").supported_torch_devices
    if device.type not in known:
        raise UsageError(
            f"bitsandbytes has no kernels for {device.type}; it has some for {', '.join(sorted(known))}, and "
            "dtype=torch.float16 halves the memory everywhere"
        )
