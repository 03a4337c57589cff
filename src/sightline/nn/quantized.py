"""Linear maps of quantised weights: bitsandbytes' layers, and torch's with a weight of torchao's kind.

Both libraries are imported when they are asked for. What they say while they are imported concerns other machines.
"""

import importlib
import logging
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from sightline.distribution import install
from sightline.errors import UsageError
from sightline.nn.hooks import is_plain_tensor

_NOISE = ("bitsandbytes", "torchao", "torch.utils._pytree")
_FAULTS = (RuntimeError, ValueError, TypeError, AssertionError, ImportError, KeyError, AttributeError)
"""What torchao raises where a config does not fit a weight or a device."""


def load_library(name: str) -> Any:
    """A module of bitsandbytes or torchao. Raises `UsageError` where it is not installed."""
    if (module := sys.modules.get(name)) is not None:
        return module
    try:
        with _quiet():
            return importlib.import_module(name)
    except ImportError as error:
        library = name.partition(".")[0]
        raise UsageError(f"quantised weights need {library} ({error}): {install('quantize')}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _NOISE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class Quantizer(Protocol):
    """A way to quantise linear maps."""

    method: ClassVar[str]
    """Its name in the reference's configs."""

    @property
    def is_trainable(self) -> bool:
        """Whether adapters beside the quantised maps can be trained, as `transformers.Trainer` asks."""

    def layer(self, linear: nn.Linear) -> nn.Linear:
        """What stands in a linear map's place, on the "meta" device."""

    def fill(self, layer: nn.Linear, weight: Tensor, name: str) -> None:
        """Gives a layer its weight, quantised: (out, in) of floating point. `name` is the layer's in the reference."""

    def refill(self, layer: nn.Linear, parts: Mapping[str, Tensor], described: Mapping[str, str]) -> None:
        """Gives a layer the weight that a file has in `parts`. Raises `ValueError` for what is no such weight."""

    def is_quantized(self, layer: nn.Linear) -> bool:
        """Whether a linear map is one of these layers."""

    def plain_weight(self, layer: nn.Linear) -> Tensor:
        """The numbers that a layer's weight stands for, (out, in)."""


def quantizer(config: Any) -> Quantizer:
    """The quantizer of a `BitsAndBytesConfig` or a `TorchAoConfig`. Raises `UsageError`."""
    if config.quant_method == "torchao":
        return TorchAo(config)
    return FourBit(config) if config.load_in_4bit else EightBit(config)


class FourBit:
    """bitsandbytes' 4 bits: two numbers a byte, and a scale for each 64."""

    method: ClassVar[str] = "bitsandbytes"
    is_trainable = True

    def __init__(self, config: Any) -> None:
        self.quantization_config = config
        load_library("bitsandbytes")

    def layer(self, linear: nn.Linear) -> nn.Linear:
        config = self.quantization_config
        with torch.device("meta"):
            layer = load_library("bitsandbytes").nn.Linear4bit(
                linear.in_features,
                linear.out_features,
                linear.bias is not None,
                config.bnb_4bit_compute_dtype,
                compress_statistics=config.bnb_4bit_use_double_quant,
                quant_type=config.bnb_4bit_quant_type,
                quant_storage=config.bnb_4bit_quant_storage,
            )
        # On processors with bfloat16 the first call would pack the weights anew: in a way that cannot be undone, that
        # not all shapes have, and that several threads must not begin at once. It is slower on more than a few rows.
        layer.support_avx512bf16_for_cpu = False
        return layer.requires_grad_(False)  # type: ignore[no-any-return]

    def fill(self, layer: nn.Linear, weight: Tensor, name: str) -> None:
        settings = {key: value for key, value in vars(layer.weight).items() if key != "module"}
        quantized = load_library("bitsandbytes").nn.Params4bit(weight, requires_grad=False, module=layer, **settings)
        layer.weight = quantized.to(weight.device)

    def refill(self, layer: nn.Linear, parts: Mapping[str, Tensor], described: Mapping[str, str]) -> None:
        data = parts["weight"].clone()
        stats = {name: tensor.clone() for name, tensor in parts.items() if name != "weight"}
        weight = load_library("bitsandbytes").nn.Params4bit.from_prequantized(
            data=data, quantized_stats=stats, requires_grad=False, device=data.device, module=layer
        )
        _check(weight, layer)
        layer.weight = weight

    def is_quantized(self, layer: nn.Linear) -> bool:
        return isinstance(layer, load_library("bitsandbytes").nn.Linear4bit)

    def plain_weight(self, layer: nn.Linear) -> Tensor:
        weight: Any = layer.weight
        return load_library("bitsandbytes").functional.dequantize_4bit(weight.data, weight.quant_state)  # type: ignore[no-any-return]


def _check(weight: Any, layer: nn.Linear) -> None:
    """Raises `ValueError` for a weight in 4 bits whose parts do not fit: the kernels would read beyond their ends."""
    state, numbers = weight.quant_state, layer.out_features * layer.in_features
    if tuple(state.shape) != (layer.out_features, layer.in_features):
        raise ValueError(f"its shape is {tuple(state.shape)}, the config asks for {tuple(layer.weight.shape)}")
    if not isinstance(state.blocksize, int) or state.blocksize < 1:
        raise ValueError(f"its blocks have {state.blocksize} numbers")
    blocks = math.ceil(numbers / state.blocksize)
    sizes = [(weight.nbytes, (numbers + 1) // 2), (state.absmax.numel(), blocks), (state.code.numel(), 16)]
    if state.nested:
        inner = state.state2
        sizes += [(inner.absmax.numel(), math.ceil(blocks / inner.blocksize)), (inner.code.numel(), 256)]
    if any(found != wanted for found, wanted in sizes):
        raise ValueError("its parts are not of the lengths that its shape asks for")


class _Once(logging.Filter):
    """Lets each message through once: bitsandbytes says with each product in 8 bits that its input is rounded."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        is_new = text not in self._seen
        self._seen.add(text)
        return is_new


_ONCE = _Once()


class EightBit:
    """bitsandbytes' LLM.int8(): 8 bits, and a scale for each row."""

    method: ClassVar[str] = "bitsandbytes"
    is_trainable = True

    def __init__(self, config: Any) -> None:
        self.quantization_config = config
        load_library("bitsandbytes")
        logging.getLogger("bitsandbytes.autograd._functions").addFilter(_ONCE)

    def layer(self, linear: nn.Linear) -> nn.Linear:
        with torch.device("meta"):
            layer = load_library("bitsandbytes").nn.Linear8bitLt(
                linear.in_features,
                linear.out_features,
                linear.bias is not None,
                has_fp16_weights=self.quantization_config.llm_int8_has_fp16_weight,
                threshold=self.quantization_config.llm_int8_threshold,
            )
        return layer.requires_grad_(False)  # type: ignore[no-any-return]

    def fill(self, layer: nn.Linear, weight: Tensor, name: str) -> None:
        fp16 = self.quantization_config.llm_int8_has_fp16_weight
        quantized = load_library("bitsandbytes").nn.Int8Params(weight, requires_grad=False, has_fp16_weights=fp16)
        layer.weight = quantized.to(weight.device)

    def refill(self, layer: nn.Linear, parts: Mapping[str, Tensor], described: Mapping[str, str]) -> None:
        weight, scales = parts["weight"].clone(), parts["SCB"].clone()
        if weight.dtype != torch.int8 or weight.shape != layer.weight.shape or scales.shape != weight.shape[:1]:
            raise ValueError(f"{weight.dtype} {tuple(weight.shape)} where int8 {tuple(layer.weight.shape)} is wanted")
        layer.weight = load_library("bitsandbytes").nn.Int8Params(weight, requires_grad=False, CB=weight, SCB=scales)

    def is_quantized(self, layer: nn.Linear) -> bool:
        return isinstance(layer, load_library("bitsandbytes").nn.Linear8bitLt)

    def plain_weight(self, layer: nn.Linear) -> Tensor:
        weight: Any = layer.weight
        state: Any = layer.state
        if weight.dtype != torch.int8:
            return weight.data  # type: ignore[no-any-return]
        scales = weight.SCB if weight.SCB is not None else state.SCB
        return load_library("bitsandbytes").functional.int8_vectorwise_dequant(weight.data, scales)  # type: ignore[no-any-return]


class TorchAo:
    """torchao's kinds of tensors, as weights of torch's linear maps."""

    method: ClassVar[str] = "torchao"

    def __init__(self, config: Any) -> None:
        self.quantization_config = config
        load_library("torchao.quantization")

    @property
    def is_trainable(self) -> bool:
        """In 8 bits alone, as the reference says."""
        return "8weight" in type(self.quantization_config.quant_type).__name__.lower()

    def layer(self, linear: nn.Linear) -> nn.Linear:
        return linear

    def fill(self, layer: nn.Linear, weight: Tensor, name: str) -> None:
        config = self._config_of(name)
        if config is None:
            layer.weight = nn.Parameter(weight)
            return
        layer.weight = nn.Parameter(weight, requires_grad=False)
        try:
            with _quiet():
                load_library("torchao.quantization").quantize_(layer, config)
        except _FAULTS as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UsageError(
                f"torchao's {type(config).__name__} does not quantise {name}, {weight.dtype} {tuple(weight.shape)} on "
                f"{weight.device.type}: {reason[0][:160]}"
            ) from error
        if is_plain_tensor(layer.weight):
            raise UsageError(f"torchao's {type(config).__name__} leaves {name} as it is; take a config of weights")

    def _config_of(self, name: str) -> Any:
        """The config for a layer: of a `FqnToConfig` by the weight's or the layer's name, by a pattern after "re:", or
        the default; None: the layer stays as it is."""
        config: Any = self.quantization_config.quant_type
        if not isinstance(config, load_library("torchao.quantization").FqnToConfig):
            return config
        by_name = config.fqn_to_config
        for key in (f"{name}.weight", name):
            if key in by_name:
                return by_name[key]
        patterns = [key for key in by_name if key.startswith("re:")]
        for key in patterns:
            if re.fullmatch(key[3:], f"{name}.weight") or re.fullmatch(key[3:], name):
                return by_name[key]
        return by_name.get("_default")

    def refill(self, layer: nn.Linear, parts: Mapping[str, Tensor], described: Mapping[str, str]) -> None:
        if not described:
            raise ValueError("the file's header does not say what torchao made of it")
        support = load_library("torchao.prototype.safetensors.safetensors_support")
        (name,) = described.keys() - {"tensor_names"}
        owner = name.removesuffix("weight")
        found, left = support.unflatten_tensor_state_dict(
            {f"{owner}{part}": tensor.clone() for part, tensor in parts.items()}, dict(described)
        )
        if left or name not in found:
            raise ValueError(f"not all its parts are there, or too many: {', '.join(parts)}")
        if found[name].shape != layer.weight.shape:
            raise ValueError(
                f"its shape is {tuple(found[name].shape)}, the config asks for {tuple(layer.weight.shape)}"
            )
        layer.weight = nn.Parameter(found[name], requires_grad=False)

    def is_quantized(self, layer: nn.Linear) -> bool:
        return not is_plain_tensor(layer.weight)

    def plain_weight(self, layer: nn.Linear) -> Tensor:
        weight: Any = layer.weight
        return weight.dequantize()  # type: ignore[no-any-return]


def flattened(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors as files hold them, those of torchao's kinds in parts, and what a header says of them. Raises
    `UsageError` for kinds that torchao does not write."""
    support = load_library("torchao.prototype.safetensors.safetensors_support")
    try:
        found: tuple[dict[str, Tensor], dict[str, str]] = support.flatten_tensor_state_dict(dict(tensors))
    except ValueError as error:
        raise UsageError(f"torchao writes no file of such weights ({error}); save the model before it") from error
    return found


def nbytes(tensor: Tensor) -> int:
    """A tensor's bytes: of torchao's kinds those of their parts."""
    if is_plain_tensor(tensor) or not hasattr(tensor, "__tensor_flatten__"):
        return tensor.nbytes
    return sum(getattr(tensor, name).nbytes for name in tensor.__tensor_flatten__()[0])


def numbers(tensor: Tensor) -> int:
    """How many numbers a tensor stands for: of bitsandbytes' 4 bits two in each byte."""
    state = getattr(tensor, "quant_state", None)
    return tensor.numel() if state is None else int(state.shape.numel())
