"""What scripts written for `transformers` pass to `from_pretrained` beside Sightline's own arguments."""

import copy
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

from sightline.errors import CheckpointError, UnknownArgument, UsageError
from sightline.models.config import Config

C = TypeVar("C", bound=Config)

_WITHOUT_EFFECT = frozenset(
    """
    _commit_hash _fast_init _from_auto _from_pipeline adapter_kwargs disable_mmap generation_config low_cpu_mem_usage
    mirror offload_buffers offload_folder offload_state_dict resume_download tqdm_class trust_remote_code use_kernels
    weights_only
    """.split()  # noqa: SIM905 (one name a line would fill a page)
)
"""How the reference reads a file, or what these models lack: whatever their value, the model is the same."""
_LEAVE_OUT = "leave it out"
_REFUSED = {
    "key_mapping": "rename the tensors yourself, and pass them as state_dict=",
    "from_tf": "weights of TensorFlow are not read: convert them with the release of `transformers` that wrote them",
    "from_flax": "weights of Flax are not read: convert them with the release of `transformers` that wrote them",
    "gguf_file": "GGUF files are not read: take the checkpoint that it was made of",
    "max_memory": "the whole model goes to one device: choose it by device_map, 'cuda:0' say",
    "proxies": "set the variable HTTPS_PROXY of the environment",
    "use_auth_token": "its name is token",
    "tp_plan": "the whole model goes to one device: leave it out",
    "tp_size": "the whole model goes to one device: leave it out",
    "device_mesh": "the whole model goes to one device: leave it out",
    "distributed_config": "the whole model goes to one device: leave it out",
    **dict.fromkeys(("kernel_config", "fusion_config", "experts_implementation", "adapter_name"), _LEAVE_OUT),
}
"""What would change the model, with the way out; None and False are accepted."""


def settings_in(further: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the reference without those that change nothing here. Raises `UsageError` for what is refused."""
    for name, value in further.items():
        if name in _REFUSED and value is not None and value is not False:
            raise UsageError(f"{name}: {_REFUSED[name]}")
    return {name: value for name, value in further.items() if name not in _WITHOUT_EFFECT | _REFUSED.keys()}


def changed(config: C, settings: Mapping[str, Any], function: Callable[..., Any]) -> C:
    """The config with `settings` changed; a tower's may name some of its settings. The one given stays as it is.

    Raises `UnknownArgument`, with names of `function`'s arguments, if there is no setting of a name.
    """
    if not settings:
        return config
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if not hasattr(type(config), name) and name not in config:
            known = {*inspect.signature(function).parameters, *config} - {"settings"}
            near = difflib.get_close_matches(name, sorted(known), n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "nor has the config a setting of this name"
            raise UnknownArgument(f"{name}: {function.__name__} has no such argument; {hint}")
        now = getattr(config, name)
        found[name] = now.to_dict() | dict(value) if isinstance(now, Config) and isinstance(value, Mapping) else value
    config = copy.deepcopy(config)
    config.update(found)
    config.validate()
    return config


def given_config(config: Any, kind: type[C], where: Mapping[str, Any]) -> C:
    """A config that is given as such (a copy of it), as its settings, or as the name of a checkpoint. Raises
    `UsageError`."""
    if isinstance(config, kind):
        return copy.deepcopy(config)
    if isinstance(config, Mapping):
        return kind.from_dict(config)
    if isinstance(config, Config):
        parts = [name for name, part in vars(config).items() if isinstance(part, kind)]
        hint = f": pass its {parts[0]}" if parts else ""
        raise UsageError(f"config is a {type(config).__name__}, where {kind.__name__} is wanted{hint}")
    opened: C = kind.from_pretrained(config, **where)
    return opened


def float_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """A torch dtype, or the one of that name. Raises `UsageError` for what is no floating-point type."""
    named = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(named, torch.dtype) or not named.is_floating_point:
        raise UsageError(f'unknown dtype {dtype!r} for a model; try "auto", "float32" or "bfloat16"')
    return named


def model_dtype(asked: torch.dtype | str | None, config: Config, weights: torch.dtype) -> torch.dtype:
    """The dtype that is asked for; for None and "auto" the one that the config names, else that of the weights. Raises
    `UsageError`, and `CheckpointError` for a config that names another kind of numbers."""
    if asked not in (None, "auto"):
        return float_dtype(asked)
    if config.dtype is None:
        return weights
    try:
        return float_dtype(config.dtype)
    except UsageError as error:
        raise CheckpointError(f"{config.model_type} config: {error}") from None


def one_device(device_map: Any) -> torch.device:
    """The device that a `device_map` puts the whole model on. Raises `UsageError` where it names several."""
    places = set(device_map.values()) if isinstance(device_map, Mapping) else {device_map}
    if len(places) != 1:
        names = ", ".join(sorted(str(place) for place in places)) or "none"
        raise UsageError(f"device_map names {names}, but a model goes to one device: write device_map={_best()!r}")
    (place,) = places
    if place in ("auto", "balanced", "balanced_low_0", "sequential"):
        return torch.device(_best())
    try:
        device = torch.device("cuda", place) if isinstance(place, int) else torch.device(place)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type == "meta":
        raise UsageError(f"device_map={device_map!r}: no such device; write 'cpu', 'cuda:0' or 'auto'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"device_map={device_map!r}: this computer has {torch.cuda.device_count()} GPUs of this kind")
    return device


def _best() -> str:
    return "cuda:0" if torch.cuda.is_available() else "cpu"
