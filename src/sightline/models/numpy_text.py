"""The shared text tower in numpy, for a query of a few words: importing torch takes longer than all of the rest.

Shapes: L tokens, W width, H heads, P projection. Names of tensors are those of the files (Hugging Face's layout).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

Floats = NDArray[np.float32]


def _quick_gelu(x: Floats) -> Floats:
    with np.errstate(over="ignore"):  # exp overflows to infinity and x / infinity is the 0 that is meant
        return np.asarray(x / (1 + np.exp(np.float32(-1.702) * x)))


def _gelu(x: Floats) -> Floats:
    erf = np.fromiter(map(math.erf, (x * np.float32(2**-0.5)).ravel().tolist()), np.float32, x.size)
    return x * (erf.reshape(x.shape) + np.float32(1)) * np.float32(0.5)


_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {"quick_gelu": _quick_gelu, "gelu": _gelu}


class NumpyTextTower:
    """CLIP's text tower with its projection, as `Tower.embed`, in float32 for one text at a time; weights are read when
    used. `config` is the family's for texts."""

    def __init__(self, config: Any, sources: dict[str, Any]) -> None:
        self._config = config
        self._act = _ACTIVATIONS[config.hidden_act]
        self._sources = sources
        self._read: dict[str, Floats] = {}

    @classmethod
    def open(cls, config: Any, paths: list[Path]) -> Self | None:
        """The tower of a whole model's config in these files, or None where only torch's tower can open them: files of
        another kind or layout, bfloat16, other activations, and damaged files, which torch's tower explains."""
        text = config.text_config
        if text.hidden_act not in _ACTIVATIONS or any(path.suffix != ".safetensors" for path in paths):
            return None
        sources: dict[str, Any] = {}
        try:
            for path in paths:
                file: Any = safe_open(path, framework="numpy")
                sources |= {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError):
            return None
        shapes = _shapes(text, config.projection_dim)
        if any(key.startswith("text_") and key not in shapes and not key.endswith("position_ids") for key in sources):
            return None
        for key, shape in shapes.items():
            source = sources.get(key)
            if source is None or tuple(source.get_shape()) != shape or source.get_dtype() not in ("F32", "F16"):
                return None
        return cls(text, sources)

    def embed(self, ids: NDArray[np.int64]) -> Floats:
        """Token ids (L,), start and end among them -> (P,), not of unit length."""
        tokens, places = (self._sources[f"text_model.embeddings.{n}_embedding.weight"] for n in ("token", "position"))
        x = np.concatenate([tokens[i : i + 1] for i in ids.tolist()]).astype(np.float32) + places[: len(ids)]
        for layer in range(self._config.num_hidden_layers):
            block = f"text_model.encoder.layers.{layer}"
            x = x + self._attention(self._norm(x, f"{block}.layer_norm1"), f"{block}.self_attn")
            hidden = self._act(self._linear(self._norm(x, f"{block}.layer_norm2"), f"{block}.mlp.fc1"))
            x = x + self._linear(hidden, f"{block}.mlp.fc2")
        end = self._norm(x[self._end(ids)], "text_model.final_layer_norm")
        return np.asarray(end @ self._get("text_projection.weight").T)

    def _end(self, ids: NDArray[np.int64]) -> int:
        """Where the text is pooled: as in `TextTransformer`."""
        end = self._config.eos_token_id
        return int(ids.argmax() if end == 2 else (ids == end).argmax())

    def _attention(self, x: Floats, name: str) -> Floats:
        length, width = x.shape
        heads = self._config.num_attention_heads
        q, k, v = (
            self._linear(x, f"{name}.{part}_proj").reshape(length, heads, -1).transpose(1, 0, 2) for part in "qkv"
        )
        scores = q @ k.transpose(0, 2, 1) * np.float32((width // heads) ** -0.5)
        scores[:, np.triu(np.ones((length, length), bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return self._linear((weights @ v).transpose(1, 0, 2).reshape(length, width), f"{name}.out_proj")

    def _linear(self, x: Floats, name: str) -> Floats:
        return x @ self._get(f"{name}.weight").T + self._get(f"{name}.bias")

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self._config.layer_norm_eps))
        return np.asarray(centred / deviation * self._get(f"{name}.weight") + self._get(f"{name}.bias"))

    def _get(self, name: str) -> Floats:
        if name not in self._read:
            self._read[name] = self._sources[name][:].astype(np.float32, copy=False)
        return self._read[name]


def _shapes(config: Any, projection: int) -> dict[str, tuple[int, ...]]:
    width, hidden = config.hidden_size, config.intermediate_size
    maps = {"self_attn.q_proj": (width, width), "mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
    maps |= {f"self_attn.{part}_proj": (width, width) for part in ("k", "v", "out")}
    norms = ["text_model.final_layer_norm"]
    shapes: dict[str, tuple[int, ...]] = {
        "text_model.embeddings.token_embedding.weight": (config.vocab_size, width),
        "text_model.embeddings.position_embedding.weight": (config.max_position_embeddings, width),
        "text_projection.weight": (projection, width),
    }
    for layer in range(config.num_hidden_layers):
        block = f"text_model.encoder.layers.{layer}"
        norms += [f"{block}.layer_norm1", f"{block}.layer_norm2"]
        for name, shape in maps.items():
            shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    return shapes
