"""What scripts written for `transformers` do with any model: a mixin of every model's base."""

import warnings
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.embeddings import resize
from sightline.nn.aliases import Aliased
from sightline.nn.quantized import nbytes, numbers
from sightline.nn.transformer import Transformer

# The arguments of `torch.utils.checkpoint.checkpoint` that one can set.
_CHECKPOINT = ("use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug", "early_stop")


class Reference(Aliased):
    """The reference's names for a model's parts and settings."""

    base_model_prefix: ClassVar[str] = ""
    """The part that the heads of the model stand on; "" or a name that is no part: the model itself."""
    main_input_name: ClassVar[str] = "input_ids"
    input_layer: ClassVar[str] = "embeddings.token_embedding"
    """Where the layer lies that the input goes through first, dotted."""
    supports_gradient_checkpointing: ClassVar[bool] = True
    _supports_sdpa: ClassVar[bool] = True
    _supports_flash_attn: ClassVar[bool] = True
    """Whether attention can be computed so, and be chosen: False where there is none."""
    accepts_loss_kwargs: ClassVar[bool] = False
    """Losses are means over a batch: `transformers.Trainer` divides them by the batches of a step."""
    config: Any
    name_or_path: str = ""
    """Where the model was opened from."""
    model_tags: list[str] | None = None

    def __init__(self, config: Any = None) -> None:
        """`config`: of a model of one's own, whose class then adds its parts."""
        super().__init__()
        if config is not None:
            self.config = config

    def post_init(self) -> None:
        """The last step of making a model of one's own: `init_weights`."""
        self.init_weights()

    def init_weights(self) -> None:
        """Gives the parts of a model of one's own their first values, by the `_init_weights(module)` that its class may
        have. The models in it, and all that is made here, have theirs."""
        set_values = getattr(self, "_init_weights", None)
        if set_values is None:
            return
        models = [part for part in self.modules() if isinstance(part, Reference) and part is not self]
        inner = {part for model in models for part in model.modules()}
        for part in self.modules():
            if part not in inner:
                set_values(part)

    @property
    def base_model(self) -> nn.Module:
        """The part that the heads of the model stand on."""
        return cast(nn.Module, getattr(self, self.base_model_prefix, self)) if self.base_model_prefix else self

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' dtype."""
        return next(p.dtype for p in self.parameters() if p.is_floating_point())

    @property
    def dummy_inputs(self) -> dict[str, Tensor]:
        """Three texts of five tokens."""
        return {"input_ids": torch.tensor([[7, 6, 0, 0, 1], [1, 2, 3, 0, 0], [0, 0, 0, 4, 5]])}

    @classmethod
    def _can_set_attn_implementation(cls) -> bool:
        return cls._supports_sdpa

    @property
    def vocab_size(self) -> int:
        """Rows of the table of tokens."""
        table = self.get_input_embeddings()
        if not isinstance(table, nn.Embedding):
            raise AttributeError(f"a {type(self).__name__} has no tokens")
        return table.num_embeddings

    @classmethod
    def can_generate(cls) -> bool:
        """No model here writes text."""
        return False

    def options(self, output_attentions: bool | None, output_hidden_states: bool | None) -> dict[str, bool | None]:
        """What a call asks of the model's towers. What it leaves open is as their configs say, unless the model's own
        config asks for it."""
        asked = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        for name, value in asked.items():
            if value is None and getattr(self.config, name):
                asked[name] = True
        return asked | {"return_dict": True}

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """The number of parameters: all, or those that are trained, or those outside of tables of tokens."""
        tables = [m.weight for m in self.modules() if isinstance(m, nn.Embedding)] if exclude_embeddings else []
        left_out = set(map(id, tables))
        counted = (p for p in self.parameters() if p.requires_grad or not only_trainable)
        return sum(numbers(p) for p in counted if id(p) not in left_out)

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Bytes of the parameters and, unless `return_buffers` is False, of the buffers."""
        tensors = [*self.parameters(), *(self.buffers() if return_buffers else ())]
        return sum(map(nbytes, tensors))

    def get_input_embeddings(self) -> nn.Module:
        """The layer that the input goes through first: of a whole model the table of tokens."""
        return cast(nn.Module, attrgetter(self.input_layer)(self))

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Puts another layer in the place of `get_input_embeddings`'."""
        parent, _, name = self.input_layer.rpartition(".")
        setattr(attrgetter(parent)(self) if parent else self, name, value)

    def get_output_embeddings(self) -> None:
        """None: no model here writes text."""

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> nn.Embedding:
        """Gives the table of tokens another number of rows, a multiple of `pad_to_multiple_of`; the config follows.

        New rows lie around the mean of the others or, with `mean_resizing=False`, around 0 as those of a new model.
        Raises `UsageError` for a model without tokens.
        """
        table = self.get_input_embeddings()
        if not isinstance(table, nn.Embedding):
            raise UsageError(f"a {type(self).__name__} has no table of tokens whose size could change")
        rows = table.num_embeddings if new_num_tokens is None else new_num_tokens
        if pad_to_multiple_of is not None:
            if not isinstance(pad_to_multiple_of, int):
                raise UsageError(f"pad_to_multiple_of is a number of rows, not {pad_to_multiple_of!r:.60}")
            rows += -rows % pad_to_multiple_of
        config = self.config.get_text_config()
        if rows > table.num_embeddings and getattr(config, "pools_at_highest", False):
            warnings.warn(
                "this model ends a text at its highest token, and the new ones are higher: texts with them end there",
                stacklevel=2,
            )
        resize(table, rows, None if mean_resizing else config.initializer_range)
        config.vocab_size = rows
        return table

    def tie_weights(self, **kwargs: Any) -> None:
        """Nothing: no weight of a model here is another's as well."""

    def gradient_checkpointing_enable(
        self, gradient_checkpointing_kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """`activation_checkpointing_enable` by the name that it has in most scripts."""
        self.activation_checkpointing_enable(gradient_checkpointing_kwargs, **options)

    def gradient_checkpointing_disable(self) -> None:
        """Undoes `gradient_checkpointing_enable`."""
        for module in self._transformers():
            module.gradient_checkpointing = False

    def activation_checkpointing_enable(
        self,
        activation_checkpointing_kwargs: Mapping[str, Any] | None = None,
        every_n_layers: int = 1,
        offload: bool = False,
    ) -> None:
        """In training, keep each block's input alone and compute the rest again: less memory, more time.

        `activation_checkpointing_kwargs`: arguments of `torch.utils.checkpoint.checkpoint`, `use_reentrant=False` by
        default. Raises `UsageError` for others, and for a model without such blocks.
        """
        options = {"use_reentrant": False, **(activation_checkpointing_kwargs or {})}
        if not self.supports_gradient_checkpointing or not self._transformers():
            raise UsageError(f"a {type(self).__name__} has no blocks to be computed again; train smaller batches")
        if unknown := sorted(set(options) - set(_CHECKPOINT)):
            raise UsageError(f"gradient checkpointing knows no {', '.join(unknown)}; there is {', '.join(_CHECKPOINT)}")
        if every_n_layers != 1 or offload:
            raise UsageError("gradient checkpointing is of each block and in place: every_n_layers=1, offload=False")
        for module in self._transformers():
            module.gradient_checkpointing, module.checkpoint_options = True, options
        if options["use_reentrant"]:  # by which torch loses the gradients of blocks whose input has none
            self.enable_input_require_grads()

    def activation_checkpointing_disable(self) -> None:
        """Undoes `activation_checkpointing_enable`."""
        self.gradient_checkpointing_disable()

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether `gradient_checkpointing_enable` holds."""
        return any(module.gradient_checkpointing for module in self._transformers())

    @property
    def is_activation_checkpointing(self) -> bool:
        """`is_gradient_checkpointing` by the reference's newer name."""
        return self.is_gradient_checkpointing

    def _transformers(self) -> list[Transformer]:
        return [module for module in self.modules() if isinstance(module, Transformer)]

    def enable_input_require_grads(self) -> None:
        """Gradients flow back to the outputs of the layers that inputs go through first, even where these are frozen:
        for adapters under gradient checkpointing."""
        self.disable_input_require_grads()
        models = [module for module in self.modules() if isinstance(module, Reference)]
        layers = {id(layer): layer for layer in (model.get_input_embeddings() for model in models)}
        self._input_hooks = [layer.register_forward_hook(_require_grad) for layer in layers.values()]

    def disable_input_require_grads(self) -> None:
        """Undoes `enable_input_require_grads`."""
        for hook in getattr(self, "_input_hooks", ()):
            hook.remove()
        self._input_hooks = []

    def add_model_tags(self, tags: list[str] | str) -> None:
        """Adds to `model_tags`, which no tag is in twice."""
        known = self.model_tags or []
        self.model_tags = list(dict.fromkeys([*known, *([tags] if isinstance(tags, str) else tags)]))


def _require_grad(module: nn.Module, inputs: Any, output: Tensor) -> None:
    output.requires_grad_(True)
