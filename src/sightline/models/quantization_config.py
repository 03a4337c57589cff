"""How weights are quantised: the arguments of `from_pretrained(quantization_config=...)`, by the reference's names, and
what a `config.json` says of them."""

import copy
import importlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from sightline.errors import CheckpointError, UsageError, WrongType
from sightline.files import write_text
from sightline.models.settings import METHODS, method_of
from sightline.nn.quantized import load_library

_STORAGE = ("float16", "float32", "int8", "uint8", "float64", "bfloat16")
_QUANT_TYPES = ("fp4", "nf4")


class QuantizationConfig:
    """What both methods share: settings as attributes, as a dictionary and as JSON."""

    quant_method: str

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        """A config of a dictionary's settings and of `kwargs`; with `return_unused_kwargs` also those that it lacks."""
        config = cls(**config_dict)
        unused = config.update(**kwargs)
        return (config, unused) if return_unused_kwargs else config

    def update(self, **kwargs: Any) -> dict[str, Any]:
        """Sets those settings that the config has, and returns the others."""
        for name in (known := [name for name in kwargs if hasattr(self, name)]):
            setattr(self, name, kwargs[name])
        return {name: value for name, value in kwargs.items() if name not in known}

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON has them."""
        return copy.deepcopy(vars(self))

    def to_diff_dict(self) -> dict[str, Any]:
        """`to_dict`, or what of it differs from a new config."""
        return self.to_dict()

    def to_json_string(self, use_diff: bool = True) -> str:
        """`to_diff_dict` or `to_dict` as JSON."""
        return json.dumps(self.to_diff_dict() if use_diff else self.to_dict(), indent=2, sort_keys=True) + "\n"

    def to_json_file(self, json_file_path: str | os.PathLike[str]) -> None:
        """Writes all settings as JSON."""
        write_text(Path(json_file_path), self.to_json_string(use_diff=False))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield from copy.deepcopy(vars(self)).items()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string(use_diff=False)}"


class BitsAndBytesConfig(QuantizationConfig):
    """Linear maps in 4 or 8 bits by bitsandbytes: Dettmers et al., "QLoRA" (2023), "LLM.int8()" (2022).

    `load_in_4bit`: weights in blocks of 64 numbers with a scale each; `bnb_4bit_quant_type`: "nf4", whose steps suit
    numbers that are normally distributed, or "fp4"; `bnb_4bit_use_double_quant`: the scales are quantised too;
    `bnb_4bit_compute_dtype`: of the products, float32 by default. `load_in_8bit`: weights by row, inputs by token, but
    for columns with inputs above `llm_int8_threshold`. `llm_int8_skip_modules`: names, ends of names or patterns of
    linear maps that stay as they are. Raises `UsageError`.
    """

    def __init__(
        self,
        load_in_8bit: bool = False,
        load_in_4bit: bool = False,
        llm_int8_threshold: float = 6.0,
        llm_int8_skip_modules: list[str] | None = None,
        llm_int8_enable_fp32_cpu_offload: bool = False,
        llm_int8_has_fp16_weight: bool = False,
        bnb_4bit_compute_dtype: torch.dtype | str | None = None,
        bnb_4bit_quant_type: str = "fp4",
        bnb_4bit_use_double_quant: bool = False,
        bnb_4bit_quant_storage: torch.dtype | str | None = None,
        **further: Any,
    ) -> None:
        self.quant_method = "bitsandbytes"
        self._load_in_8bit, self._load_in_4bit = load_in_8bit, load_in_4bit
        self.llm_int8_threshold = llm_int8_threshold
        self.llm_int8_skip_modules = llm_int8_skip_modules
        self.llm_int8_enable_fp32_cpu_offload = llm_int8_enable_fp32_cpu_offload
        self.llm_int8_has_fp16_weight = llm_int8_has_fp16_weight
        self.bnb_4bit_compute_dtype = _dtype("bnb_4bit_compute_dtype", bnb_4bit_compute_dtype, torch.float32)
        self.bnb_4bit_quant_type = bnb_4bit_quant_type
        self.bnb_4bit_use_double_quant = bnb_4bit_use_double_quant
        self.bnb_4bit_quant_storage = _dtype("bnb_4bit_quant_storage", bnb_4bit_quant_storage, torch.uint8)
        if unknown := sorted(further.keys() - {"quant_method", "_load_in_4bit", "_load_in_8bit"}):
            warnings.warn(f"BitsAndBytesConfig: unknown settings {', '.join(unknown)}", stacklevel=2)
        self.post_init()

    def post_init(self) -> None:
        """Raises `UsageError` for values of another type, and for what excludes each other."""
        flags = (
            "load_in_4bit load_in_8bit llm_int8_enable_fp32_cpu_offload llm_int8_has_fp16_weight "
            "bnb_4bit_use_double_quant"
        )
        for name in flags.split():
            if not isinstance(value := getattr(self, name), bool):
                raise WrongType(f"{name} must be a boolean, not {value!r:.60}")
        if not isinstance(self.llm_int8_threshold, float):
            raise WrongType(f"llm_int8_threshold must be a float, not {self.llm_int8_threshold!r:.60}")
        skip = self.llm_int8_skip_modules
        if skip is not None and not (isinstance(skip, list) and all(isinstance(name, str) for name in skip)):
            raise WrongType(f"llm_int8_skip_modules must be a list of strings, not {skip!r:.60}")
        if not isinstance(self.bnb_4bit_quant_type, str):
            raise WrongType(f"bnb_4bit_quant_type must be a string, not {self.bnb_4bit_quant_type!r:.60}")
        if self.bnb_4bit_quant_type not in _QUANT_TYPES:
            raise UsageError(
                f"bnb_4bit_quant_type is {self.bnb_4bit_quant_type!r}; there are {', '.join(_QUANT_TYPES)}"
            )
        if str(self.bnb_4bit_quant_storage).removeprefix("torch.") not in _STORAGE:
            raise UsageError(
                f"bnb_4bit_quant_storage is {self.bnb_4bit_quant_storage}; there are {', '.join(_STORAGE)}"
            )
        self._refuse_both()

    def _refuse_both(self) -> None:
        if self.load_in_4bit and self.load_in_8bit:
            raise UsageError("load_in_4bit and load_in_8bit are both True, but only one can be used at the same time")

    @property
    def load_in_4bit(self) -> bool:
        """Weights in 4 bits."""
        return self._load_in_4bit

    @load_in_4bit.setter
    def load_in_4bit(self, value: bool) -> None:
        self._set("_load_in_4bit", value)

    @property
    def load_in_8bit(self) -> bool:
        """Weights in 8 bits."""
        return self._load_in_8bit

    @load_in_8bit.setter
    def load_in_8bit(self, value: bool) -> None:
        self._set("_load_in_8bit", value)

    def _set(self, name: str, value: Any) -> None:
        if not isinstance(value, bool):
            raise WrongType(f"{name[1:]} must be a boolean, not {value!r:.60}")
        before = getattr(self, name)
        setattr(self, name, value)
        try:
            self._refuse_both()
        except UsageError:
            setattr(self, name, before)
            raise

    def is_quantizable(self) -> bool:
        """Whether anything is to be quantised."""
        return self.load_in_8bit or self.load_in_4bit

    def quantization_method(self) -> str | None:
        """ "llm_int8", "fp4" or "nf4"; None where nothing is to be quantised."""
        if self.load_in_8bit:
            return "llm_int8"
        return self.bnb_4bit_quant_type if self.load_in_4bit else None

    def to_dict(self) -> dict[str, Any]:
        found = super().to_dict() | {"load_in_4bit": self.load_in_4bit, "load_in_8bit": self.load_in_8bit}
        for name in ("bnb_4bit_compute_dtype", "bnb_4bit_quant_storage"):
            found[name] = str(found[name]).removeprefix("torch.")
        return found

    def to_diff_dict(self) -> dict[str, Any]:
        first = BitsAndBytesConfig().to_dict()
        return {name: value for name, value in self.to_dict().items() if value != first.get(name)}


def _dtype(name: str, value: Any, default: torch.dtype) -> torch.dtype:
    """A torch dtype, or the one of that name. Raises `UsageError`."""
    if value is None:
        return default
    found = getattr(torch, value.removeprefix("torch."), None) if isinstance(value, str) else value
    if not isinstance(found, torch.dtype):
        raise UsageError(f"{name} must be a torch dtype or the name of one, not {value!r:.60}")
    return found


class TorchAoConfig(QuantizationConfig):
    """Linear maps quantised by torchao. `quant_type`: its config, `torchao.quantization.Int8WeightOnlyConfig()` say;
    `modules_to_not_convert`: names, ends of names or patterns of linear maps that stay as they are.

    Embeddings stay as they are, so the two settings about them are refused. Raises `UsageError`.
    """

    def __init__(
        self,
        quant_type: Any,
        modules_to_not_convert: list[str] | None = None,
        include_input_output_embeddings: bool = False,
        untie_embedding_weights: bool = False,
        **further: Any,
    ) -> None:
        self.quant_method = "torchao"
        self.quant_type = quant_type
        self.modules_to_not_convert = modules_to_not_convert
        self.include_input_output_embeddings = include_input_output_embeddings
        self.untie_embedding_weights = untie_embedding_weights
        if unknown := sorted(further.keys() - {"quant_method"}):
            warnings.warn(f"TorchAoConfig: unknown settings {', '.join(unknown)}", stacklevel=2)
        self.post_init()

    def post_init(self) -> None:
        """Raises `UsageError`."""
        load_library("torchao")
        base = importlib.import_module("torchao.core.config").AOBaseConfig
        if not isinstance(self.quant_type, base):
            of = "a string" if isinstance(self.quant_type, str) else type(self.quant_type).__name__
            raise WrongType(
                f"TorchAoConfig: quant_type is {of}, where a config of torchao is wanted: "
                "torchao.quantization.Int8WeightOnlyConfig(), for one"
            )
        skip = self.modules_to_not_convert
        if skip is not None and not (isinstance(skip, list) and all(isinstance(name, str) for name in skip)):
            raise WrongType(f"modules_to_not_convert must be a list of strings, not {skip!r:.60}")
        for name in ("include_input_output_embeddings", "untie_embedding_weights"):
            if getattr(self, name):
                raise UsageError(f"{name}: tables of tokens stay in floating point here; leave it out")

    def get_apply_tensor_subclass(self) -> Any:
        """`quant_type`, by the name that peft asks for."""
        return self.quant_type

    def to_dict(self) -> dict[str, Any]:
        to_dict = importlib.import_module("torchao.core.config").config_to_dict
        return super().to_dict() | {"quant_type": {"default": to_dict(self.quant_type)}}

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], return_unused_kwargs: bool = False, **kwargs: Any) -> Any:
        load_library("torchao")
        settings = dict(config_dict)
        try:
            named = settings["quant_type"]["default"]
            settings["quant_type"] = importlib.import_module("torchao.core.config").config_from_dict(named)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"quantization_config: no config of torchao that this release opens ({str(error)[:200]})"
            ) from error
        return super().from_dict(settings, return_unused_kwargs, **kwargs)


_CLASSES: dict[str, Any] = {"bitsandbytes": BitsAndBytesConfig, "torchao": TorchAoConfig}


def quantization_config(given: Any) -> BitsAndBytesConfig | TorchAoConfig:
    """A config of ours, of the reference's, or a dictionary of either's settings, as ours. Raises `UsageError` for
    methods that are unknown here."""
    if isinstance(given, BitsAndBytesConfig | TorchAoConfig):
        given.post_init()
        return given
    quant_type = getattr(given, "quant_type", None)  # torchao's object need not go through JSON
    settings = given if isinstance(given, Mapping) else getattr(given, "to_dict", dict)()
    if not settings:
        raise WrongType(f"quantization_config is a {type(given).__name__}; write BitsAndBytesConfig(load_in_4bit=True)")
    method = method_of(settings)
    if method not in _CLASSES:
        raise UsageError(f"quantization_config: no way to quantise by {method!r}; there are {', '.join(METHODS)}")
    if quant_type is not None:
        return TorchAoConfig(**{**settings, "quant_type": quant_type})
    found: BitsAndBytesConfig | TorchAoConfig = _CLASSES[method].from_dict(settings)
    return found
