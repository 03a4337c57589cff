"""What scripts do with a model of quantised weights, by the reference's names."""

from typing import Any, Self, cast

import torch
from torch import nn

from sightline.errors import UsageError
from sightline.nn.quantized import Quantizer


class Quantized(nn.Module):
    """A model that may be quantised. A base of `PretrainedModel`."""

    config: Any
    hf_quantizer: Quantizer | None = None
    """How its linear maps are quantised; None: they are not."""

    @property
    def is_quantized(self) -> bool:
        """Whether linear maps are quantised."""
        return self.hf_quantizer is not None

    @property
    def quantization_method(self) -> str | None:
        """ "bitsandbytes" or "torchao"; None: no quantised weights."""
        return None if self.hf_quantizer is None else self.hf_quantizer.method

    @property
    def is_loaded_in_4bit(self) -> bool:
        """Whether it is by bitsandbytes in 4 bits."""
        return bool(self._flag("load_in_4bit"))

    @property
    def is_loaded_in_8bit(self) -> bool:
        """Whether it is by bitsandbytes in 8 bits."""
        return bool(self._flag("load_in_8bit"))

    def _flag(self, name: str) -> Any:
        return getattr(getattr(self.hf_quantizer, "quantization_config", None), name, False)

    def check_plain(self, place: object) -> Self:
        """The model, if its weights are plain. Raises `UsageError`, which begins with `place`, for quantised ones:
        there is nothing in them to be trained, pruned or quantised in another way."""
        if self.is_quantized:
            raise UsageError(
                f"{place}: its weights were quantised by {self.quantization_method}; make a checkpoint of plain ones "
                "before: sightline.AutoModel.from_pretrained(NAME).dequantize().save_pretrained(FOLDER)"
            )
        return self

    def dequantize(self, dtype: torch.dtype | None = None) -> Self:
        """Makes the quantised maps linear maps again, in the model's dtype or `dtype`: what was lost stays so. Raises
        `UsageError` for a model that is not quantised."""
        if (quantizer := self.hf_quantizer) is None:
            raise UsageError("dequantize is for a model that was opened with a quantization_config")
        for name, layer in list(self.named_modules()):
            if isinstance(layer, nn.Linear) and quantizer.is_quantized(layer):
                plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
                plain.weight = nn.Parameter(quantizer.plain_weight(layer).to(dtype or self.config.dtype))
                plain.bias = layer.bias
                self.set_submodule(name, plain.train(layer.training))
        self.hf_quantizer = None
        del self.config.quantization_config
        return self.to(dtype or self.config.dtype)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As torch's. Raises `UsageError` for another dtype where bitsandbytes has quantised the weights."""
        named = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, torch.dtype)]
        if named and self.quantization_method == "bitsandbytes":
            raise _no_cast(f"to({named[0]})")
        return super().to(*args, **kwargs)

    def half(self) -> Self:
        """As torch's. Raises `UsageError` for quantised weights, as the next ones do."""
        return self._cast("half")

    def float(self) -> Self:
        """As torch's."""
        return self._cast("float")

    def bfloat16(self) -> Self:
        """As torch's."""
        return self._cast("bfloat16")

    def double(self) -> Self:
        """As torch's."""
        return self._cast("double")

    def _cast(self, name: str) -> Self:
        if self.is_quantized:
            raise _no_cast(f"{name}()")
        return cast(Self, getattr(super(), name)())


def _no_cast(call: str) -> UsageError:
    return UsageError(
        f"{call}: quantised weights have no other dtype; open the model with dtype=, or call dequantize() first"
    )
