"""Weights on disk: opening any of the layouts in use without copying them, and writing ours safely."""

import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sightline.errors import CheckpointError
from sightline.files import replacing, wrong_content

_log = logging.getLogger("sightline")

Entry = tuple[str, Any, tuple[int, ...], torch.dtype]
"""A tensor's name, the tensor or the open file that holds it, its shape and its dtype."""


_PASSED = 1 << 26
"""Bytes that `Weights.get_once` reads before it opens a file anew."""
SCALE, STEPS = "_scale", "_steps"
"""Ends of the names of what lies beside an int8 weight: a number for each row (outputs, 1) and for each column
(inputs,). The weight is its whole numbers times the row's over the column's."""


class Weights:
    """Named tensors in one or more files, memory-mapped: `shapes` costs a header, `get` the pages it touches.

    Those that `sightline optimize --to int8` has written are float32, too.
    """

    def __init__(self, paths: Sequence[Path] = (), state: Mapping[str, torch.Tensor] | None = None) -> None:
        """`state`: tensors that are in memory, in place of files."""
        self.place: Path | str = paths[0] if paths else "state_dict"
        self.paths = tuple(paths)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, torch.dtype] = {}
        self._sources: dict[str, Any] = {}
        self._prefix = ""
        self._passing: Weights | None = None
        self._passed = 0
        for key, tensor in (state or {}).items():
            self.shapes[key], self.dtypes[key], self._sources[key] = tuple(tensor.shape), tensor.dtype, tensor
        for path in paths:
            for key, source, shape, dtype in (
                _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)
            ):
                if key in self.shapes:
                    raise CheckpointError(f"{path}: the tensor {key} is in another shard too")
                self.shapes[key], self.dtypes[key], self._sources[key] = shape, dtype, source
        for key in [key for key in self.shapes if key + SCALE in self.shapes and key + STEPS in self.shapes]:
            self.dtypes[key] = torch.float32
            for beside in (key + SCALE, key + STEPS):
                del self.shapes[beside], self.dtypes[beside]

    def get(self, key: str) -> torch.Tensor:
        """The tensor under `key`, on the CPU, in the file's dtype."""
        if key + STEPS in self._sources:
            return self._get(key).float() * self._get(key + SCALE) / self._get(key + STEPS)
        return self._get(key)

    def _get(self, key: str) -> torch.Tensor:
        source = self._sources[key]
        if isinstance(source, torch.Tensor):
            return source
        tensor: torch.Tensor = source.get_tensor(self._prefix + key)
        return tensor

    def get_once(self, key: str) -> torch.Tensor:
        """`get` for a tensor that is read and let go: its pages leave the memory soon after it.

        A mapped file holds all that was ever read of it in memory, so it is opened anew from time to time.
        """
        if isinstance(self._sources[key], torch.Tensor) and not self.paths:
            return self.get(key)
        if self._passing is None or self._passed > _PASSED:
            self._passing, self._passed = Weights(self.paths), 0
        tensor = self._passing.get(self._prefix + key)
        self._passed += tensor.nbytes
        return tensor

    def drop_prefix(self) -> bool:
        """Takes from all names the first part, up to a dot, that they have in common ("_orig_mod." of compiled models,
        "module." of parallel ones, "model." of Lightning's). Returns whether there was one."""
        prefix = next(iter(self.shapes), "").partition(".")[0] + "."
        if not self.shapes or not all(key.startswith(prefix) for key in self.shapes):
            return False
        for name in ("shapes", "dtypes", "_sources"):
            setattr(self, name, {key.removeprefix(prefix): value for key, value in getattr(self, name).items()})
        self._prefix += prefix
        _log.info("%s: all names begin with %s, which is left out", self.place, prefix)
        return True

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
        save_tensors(file, tensors)


def save_tensors(file: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, str] = {}) -> None:
    """Tensors as safetensors, and further words in its header. Raises `CheckpointError` where the disk is full, say."""
    try:
        save_file(dict(tensors), file, metadata={**header, "format": "pt"})
    except SafetensorError as error:
        raise CheckpointError(f"{file.parent}: cannot be written ({error})") from error


def _open_safetensors(path: Path) -> list[Entry]:
    try:
        file: Any = safe_open(path, framework="pt")
        entries = []
        for key in file.keys():  # noqa: SIM118 (no mapping)
            part = file.get_slice(key)
            entries.append((key, file, tuple(part.get_shape()), _DTYPES[part.get_dtype()]))
        return entries
    except KeyError as error:
        raise CheckpointError(
            f"{path}: its tensors are of the type {error}, to which they were quantised; "
            "take the checkpoint that it was made of, in float32, float16 or bfloat16"
        ) from error
    except (SafetensorError, OSError) as error:
        broken = f"not a whole safetensors file ({error}); fetch it again"
        if zipfile.is_zipfile(path):
            broken = "a file as torch.save writes it, not safetensors; give it a name that ends in .bin"
        else:
            broken = wrong_content(path) or broken
        raise CheckpointError(f"{path}: {broken}") from error


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


def _open_pickle(path: Path) -> list[Entry]:
    """A `.bin`/`.pt` state dict. Only tensors are unpickled; whatever wants more is refused."""
    zipped = False
    try:
        zipped = zipfile.is_zipfile(path)
        if zipped:
            _check_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols, for files that are refused in the end
            # Files of the old format (before torch 1.6) cannot be memory-mapped.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except CheckpointError:
        raise
    except Exception as error:  # damaged bytes trip the unpickler in any way there is
        if not zipped and (wrong := _wrong(path)):
            raise CheckpointError(f"{path}: {wrong}") from error
        if isinstance(error, pickle.UnpicklingError):
            raise CheckpointError(_more_than_tensors(path, str(error))) from error
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a whole torch file ({first}); fetch it again") from error
    return [(key, tensor, tuple(tensor.shape), tensor.dtype) for key, tensor in _model_state(path, state).items()]


def _check_archive(path: Path) -> None:
    """Raises `CheckpointError` for a zip that `torch.save` did not write, or that holds code."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise CheckpointError(
            f"{path}: a TorchScript archive, which holds code. Convert it where you trust it: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'pytorch_model.bin')"
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise CheckpointError(f"{path}: a zip archive, not weights: unpack it")


def _wrong(path: Path) -> str | None:
    """What a file that is no zip holds in place of weights. One that begins as a zip was cut short."""
    with path.open("rb") as file:
        head = file.read(4)
    if head == b"GGUF":
        return "a GGUF file of quantised weights; take the checkpoint that it was made of"
    return None if head == b"PK\x03\x04" else wrong_content(path)


def _more_than_tensors(path: Path, message: str) -> str:
    wanted = re.search(r"GLOBAL ([\w.]+)", message)
    found = f"holds more than tensors{f' ({wanted[1]})' if wanted else ''}, and nothing else is unpickled"
    return (
        f"{path}: {found}. If you trust it, convert it to safetensors with the program that wrote it "
        "(safetensors.torch.save_file(model.state_dict(), 'model.safetensors'))"
    )


_STATES = ("state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights")
_AVERAGES = ("ema_state_dict", "model_ema", "ema_model", "ema", "params_ema")
"""Under which names files of a training keep the model's tensors, and the averages of these."""


def _model_state(path: Path, state: Any) -> dict[str, torch.Tensor]:
    """The model's tensors in what `torch.save` wrote: a state dict, or one beside an optimizer's and other things.

    What else there is, averaged weights beside the trained ones too, is left out, and the log says so.
    """
    name = None
    while isinstance(state, dict) and (inner := [key for key in (*_STATES, *_AVERAGES) if _is_state(state.get(key))]):
        name = inner[0]
        if len(inner) > 1:
            _log.warning("%s: holds %s; %s is read", path, ", ".join(inner), name)
        state = state[name]
    tensors = {key: value for key, value in state.items() if _is_tensor(value)} if isinstance(state, dict) else {}
    if not tensors or not all(isinstance(key, str) for key in tensors):
        raise CheckpointError(f"{path}: not a plain dictionary of tensors")
    if len(tensors) < len(state):
        others = ", ".join(str(key) for key in state if key not in tensors)
        _log.info("%s: left out what is no tensor: %s", path, others[:200])
    return tensors


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and any(_is_tensor(inner) or isinstance(inner, dict) for inner in value.values())


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)
