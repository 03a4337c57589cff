"""Any two towers, one space, trained as CLIP is. Radford et al. (2021), figure 3.

Shapes: B pictures, T texts, P projection.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.dual.config import VisionTextDualEncoderConfig
from sightline.models.dual.towers import Pair, open_tower, tower
from sightline.models.pairs import CLIPOutput, LogitScale, PairEmbeddings, ProjectedImages
from sightline.models.pretrained import PretrainedModel
from sightline.nn.bert import BertTransformer
from sightline.nn.calls import answer
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutputWithPooling


class VisionTextDualEncoderModel(Pair, LogitScale, ProjectedImages):
    """Both towers with their projections and the learned scale of the logits."""

    base_model_prefix: ClassVar[str] = "vision_text_dual_encoder"
    lora_targets: ClassVar[tuple[str, ...]] = (
        *LogitScale.lora_targets,
        *("query", "key", "value", "output.dense", "intermediate.dense"),
    )
    # The projections of two towers that are paired for the first time are new and must be trained.
    towers: ClassVar[Mapping[str, tuple[str, ...]]] = {"image": ("vision_model",), "text": ("text_model",)}

    def __init__(
        self,
        config: VisionTextDualEncoderConfig | None = None,
        vision_model: PretrainedModel | None = None,
        text_model: PretrainedModel | None = None,
    ) -> None:
        """A tower that is left out is new; without a config, it is made of those of the two towers. The projections'
        first values are the reference's. Raises UsageError where neither is given."""
        super().__init__()
        if config is None:
            if vision_model is None or text_model is None:
                raise UsageError("a model of two towers needs config=, or both vision_model= and text_model=")
            config = VisionTextDualEncoderConfig.from_vision_text_configs(vision_model.config, text_model.config)
        self.config = config
        self.projection_dim = config.projection_dim
        self.text_embed_dim = config.text_config.hidden_size  # type: ignore[attr-defined]
        self.vision_embed_dim = config.vision_config.hidden_size  # type: ignore[attr-defined]
        self.vision_model: Any = vision_model or tower(config.vision_config)
        self.text_model: Any = text_model or tower(config.text_config)
        self.visual_projection = nn.Linear(self.vision_embed_dim, config.projection_dim, bias=False)
        self.text_projection = nn.Linear(self.text_embed_dim, config.projection_dim, bias=False)
        for projection in (self.visual_projection, self.text_projection):
            normal(projection.weight, config.text_config.initializer_range)  # type: ignore[attr-defined]
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))

    @classmethod
    def from_towers(
        cls,
        image: str | os.PathLike[str],
        text: str | os.PathLike[str],
        *,
        projection_dim: int = 512,
        logit_scale_init_value: float = 2.6592,
        **options: Any,
    ) -> Self:
        """The image tower of a checkpoint and the text tower of another, with new projections, to be trained.

        `image`: a CLIP, or its vision tower alone; `text`: a BERT or RoBERTa, in whatever it was trained, or a CLIP or
        its text tower. Folders, packaged models or Hub names; `options` are `from_pretrained`'s, for both, but that
        the dtype is float32 where none is named. The new model is in `eval()` mode; its processor is
        `VisionTextDualEncoderProcessor.from_towers`'. Raises `CheckpointError` for a tower of another kind.
        """
        pair = cls.from_vision_text_pretrained(
            image, text, projection_dim=projection_dim, logit_scale_init_value=logit_scale_init_value, **options
        )
        with torch.no_grad():
            for projection in (pair.visual_projection, pair.text_projection):  # CLIP's spread
                projection.weight *= projection.in_features**-0.5 / pair.config.text_config.initializer_range  # type: ignore[attr-defined]
        return pair

    @classmethod
    def from_vision_text_pretrained(
        cls,
        vision_model_name_or_path: str | os.PathLike[str] | None = None,
        text_model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        projection_dim: int = 512,
        logit_scale_init_value: float = 2.6592,
        **options: Any,
    ) -> Self:
        """As `from_towers`, but that the projections are those that the reference draws with the same seed.

        Options whose names begin with `vision_` or `text_` are for one tower; `vision_model` or `text_model` is the
        tower itself, in place of a checkpoint.
        """
        options = {"dtype": options.pop("torch_dtype", "float32")} | options
        own = {side: _own_options(options, side) for side in ("vision_", "text_")}
        names = {"vision_": vision_model_name_or_path, "text_": text_model_name_or_path}
        towers: dict[str, PretrainedModel] = {}
        for side, name in names.items():
            given = own[side].pop("model", None)
            if given is not None:
                towers[side] = given
            elif name is not None:
                towers[side] = open_tower(name, f"{side}config", options | own[side])
            else:
                raise UsageError(f"no {side}model_name_or_path, and no {side}model in its place")
        vision_tower, text_tower = towers.values()
        config = VisionTextDualEncoderConfig(
            text_config=text_tower.config,
            vision_config=vision_tower.config,
            projection_dim=projection_dim,
            logit_scale_init_value=logit_scale_init_value,
        )
        return cls(config, vision_tower, text_tower).to(vision_tower.dtype).eval()

    def get_text_features(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """The text tower's outputs with `pooler_output` (T, P) projected, not of unit length."""
        options = self.options(output_attentions, output_hidden_states)
        out = self._read(input_ids, attention_mask, position_ids, token_type_ids, options)
        out.pooler_output = self.text_projection(out.pooler_output)
        return answer(out, return_dict, self.config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_loss: bool | None = None,
        token_type_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        interpolate_pos_encoding: bool = False,
    ) -> CLIPOutput:
        """`input_ids` (T, L) and `pixel_values` (B, C, H, W) -> similarities of all pairs.

        The loss takes the i-th text and the i-th picture as a pair, so B = T. The other arguments are the towers';
        `token_type_ids` are for those that have them.
        """
        input_ids, pixel_values = self.check_inputs(input_ids, pixel_values)
        options = self.options(output_attentions, output_hidden_states)
        vision: BaseModelOutputWithPooling = self.vision_model(
            pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **options
        )
        text = self._read(input_ids, attention_mask, position_ids, token_type_ids, options)
        images, texts = self.visual_projection(vision.pooler_output), self.text_projection(text.pooler_output)
        pairs = self.match(PairEmbeddings((images,), (texts,)))
        loss, logits = self.loss(pairs) if return_loss else None, pairs.logits_per_image
        out = CLIPOutput(loss, logits, logits.t(), pairs.text_embeds, pairs.image_embeds, text, vision)
        return answer(out, return_dict, self.config)

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        images = self.visual_projection(self.vision_model.pool(pixel_values))
        return PairEmbeddings((images,), (self.text_projection(self.text_model.pool(input_ids, attention_mask)),))

    def _read(
        self,
        ids: Tensor,
        mask: Tensor | None,
        positions: Tensor | None,
        types: Tensor | None,
        options: Mapping[str, bool | None],
    ) -> BaseModelOutputWithPooling:
        typed = {"token_type_ids": types} if isinstance(self.text_model, BertTransformer) else {}
        out: BaseModelOutputWithPooling = self.text_model(ids, mask, position_ids=positions, **typed, **options)
        return out


def _own_options(options: dict[str, Any], side: str) -> dict[str, Any]:
    """Takes out of `options` those whose names begin with `side`, which their names then lack."""
    return {name.removeprefix(side): options.pop(name) for name in list(options) if name.startswith(side)}
