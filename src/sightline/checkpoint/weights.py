"""Weights on disk: opening any of the layouts in use without copying them, and writing ours safely."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sightline.errors import CheckpointError
from sightline.files import replacing


class Weights:
    """Named tensors in one or more files, memory-mapped: `shapes` costs a header, `get` the pages it touches."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, torch.dtype] = {}
        self._sources: dict[str, Any] = {}
        for path in paths:
            for key, source, shape, dtype in (
                _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)
            ):
                if key in self.shapes:
                    raise CheckpointError(f"{path}: the tensor {key} is in another shard too")
                self.shapes[key], self.dtypes[key], self._sources[key] = shape, dtype, source

    def get(self, key: str) -> torch.Tensor:
        """The tensor under `key`, on the CPU, in the file's dtype."""
        source = self._sources[key]
        if isinstance(source, torch.Tensor):
            return source
        tensor: torch.Tensor = source.get_tensor(key)
        return tensor

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point dtype that most of the numbers have."""
        counts: dict[torch.dtype, int] = {}
        for key, dtype in self.dtypes.items():
            if dtype.is_floating_point:
                size = 1
                for n in self.shapes[key]:
                    size *= n
                counts[dtype] = counts.get(dtype, 0) + size
        return max(counts, key=lambda d: counts[d], default=torch.float32)


def write_weights(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Tensors to a safetensors file, whole or not at all."""
    with replacing(path) as file:
        save_file(dict(tensors), file, metadata={"format": "pt"})


def _open_safetensors(path: Path) -> list[tuple[str, Any, tuple[int, ...], torch.dtype]]:
    try:
        file: Any = safe_open(path, framework="pt")
        entries = []
        for key in file.keys():  # noqa: SIM118 (no mapping)
            part = file.get_slice(key)
            entries.append((key, file, tuple(part.get_shape()), _DTYPES[part.get_dtype()]))
        return entries
    except KeyError as error:
        raise CheckpointError(f"{path}: tensors of type {error} cannot be read") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); fetch it again") from error


_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def _open_pickle(path: Path) -> list[tuple[str, Any, tuple[int, ...], torch.dtype]]:
    """A `.bin`/`.pt` state dict. Only tensors are unpickled; whatever wants more is refused."""
    try:
        zipped = zipfile.is_zipfile(path)
        names: list[str] = []
        if zipped:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
            raise CheckpointError(
                f"{path}: a TorchScript archive, which holds code. Convert it where you trust it: "
                "torch.save(torch.jit.load(FILE).state_dict(), 'pytorch_model.bin')"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols, for files that are refused in the end
            # Files of the old format (before torch 1.6) cannot be memory-mapped.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than tensors, and nothing else is unpickled. If you trust it, convert it to "
            "safetensors with the program that wrote it"
        ) from error
    except Exception as error:  # damaged bytes trip the unpickler in any way there is
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a whole torch file ({first}); fetch it again") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]  # a training checkpoint of open_clip
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    ):
        raise CheckpointError(f"{path}: not a plain dictionary of tensors")
    return [(k.removeprefix("module."), v, tuple(v.shape), v.dtype) for k, v in state.items()]
