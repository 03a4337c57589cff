"""Models of pairs: an embedding of each image (or video) and of each text, and the similarities of all of them.

Shapes: B images or videos, T texts, P projection.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.pretrained import PretrainedModel
from sightline.nn.calls import answer
from sightline.nn.loss import contrastive_loss
from sightline.nn.outputs import BaseModelOutputWithPooling, ModelOutput, absent


@dataclass(frozen=True)
class PairEmbeddings:
    """What a model computes of each image and of each text alone: tensors with B rows, tensors with T rows.

    A row depends on its image or text alone (but see a model's batch norms). So embeddings can be computed in parts, in
    several processes too, and be concatenated.
    """

    images: tuple[Tensor, ...]
    texts: tuple[Tensor, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same embeddings, each tensor changed."""
        return type(self)(tuple(map(change, self.images)), tuple(map(change, self.texts)))


@dataclass(frozen=True)
class Similarities:
    """Scaled similarities (B, T) and the unit vectors that they come from: (B, P) and (T, P), or (B, T, P) where each
    video prompts the texts."""

    logits_per_image: Tensor
    image_embeds: Tensor
    text_embeds: Tensor


@dataclass
class CLIPOutput(ModelOutput):
    """Scaled cosines (B, T) and (T, B), unit vectors (T, P) and (B, P), the loss if asked for, the towers' outputs."""

    loss: Tensor | None = None
    logits_per_image: Tensor = absent
    logits_per_text: Tensor = absent
    text_embeds: Tensor = absent
    image_embeds: Tensor = absent
    text_model_output: BaseModelOutputWithPooling = absent
    vision_model_output: BaseModelOutputWithPooling = absent


class PairModel(PretrainedModel):
    """A whole model, which is trained on pairs of images (or videos) and texts."""

    input_layer: ClassVar[str] = "text_model.embeddings.token_embedding"
    main_input_name: ClassVar[str] = "input_ids"
    label_smoothing: ClassVar[float] = 0.0
    """The label smoothing that the family was trained with."""
    towers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "image": ("vision_model", "visual_projection"),
        "text": ("text_model", "text_projection"),
    }
    """The modules that make the embedding of an image (or of a video's frames) and of a text. Freezing a tower freezes
    all of its modules."""
    hub_task: ClassVar[str] = "zero-shot-image-classification"
    """The task under which the Hub lists the model."""
    lora_targets: ClassVar[tuple[str, ...]] = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
    """Names of the towers' linear maps and dense convolutions that can have a LoRA adapter."""
    batch_modules: ClassVar[tuple[str, ...]] = ()
    """The modules that `project_batch` uses, on all rows of a batch. The others compute each row alone."""

    @property
    def scale(self) -> Tensor:
        """The factor by which cosines are multiplied."""
        raise NotImplementedError

    @property
    def scale_parameter(self) -> nn.Parameter:
        """The parameter that `scale` is computed from: its logarithm or its inverse."""
        raise NotImplementedError

    def clamp_logit_scale(self, maximum: float) -> None:
        """Lowers the scale to `maximum` where training has raised it above."""
        raise NotImplementedError

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        """Images (B, C, H, W) or videos (B, F, C, H, W) and texts (T, L), padded on the right, to embeddings.

        For less work than `forward`: of each tower's last block only what is pooled is computed.
        """
        raise NotImplementedError

    def match(self, embeddings: PairEmbeddings) -> Similarities:
        """The similarities of all images and all texts of a batch, from what `encode` returns."""
        return self.similarities(self.project_batch(embeddings))

    def project_batch(self, embeddings: PairEmbeddings) -> PairEmbeddings:
        """Applies the `batch_modules` to the whole batch's embeddings; the default model has none.

        `similarities` takes what this returns.
        """
        return embeddings

    def similarities(self, embeddings: PairEmbeddings) -> Similarities:
        """The similarities of any images and any texts. By default cosines of the only tensor of each side."""
        (images,), (texts,) = embeddings.images, embeddings.texts
        return self.cosines(images, texts)

    def cosines(self, images: Tensor, texts: Tensor) -> Similarities:
        """Vectors (B, P) and (T, P) of any length -> their scaled cosines."""
        images = images / images.norm(dim=-1, keepdim=True)
        texts = texts / texts.norm(dim=-1, keepdim=True)
        return Similarities((texts @ images.t() * self.scale).t(), images, texts)

    def check_inputs(self, input_ids: Tensor | None, pixel_values: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both inputs of `forward`. Raises `UsageError` if one is missing."""
        if input_ids is None or pixel_values is None:
            kind = "video" if hasattr(self, "get_video_features") else "image"
            raise UsageError(
                f"{type(self).__name__} needs input_ids and pixel_values; for one alone: get_text_features or "
                f"get_{kind}_features"
            )
        return input_ids, pixel_values

    def loss(self, similarities: Similarities) -> Tensor:
        """The contrastive loss of B = T pairs. Raises `UsageError` for different numbers of images and texts."""
        images, texts = similarities.logits_per_image.shape
        if images != texts:
            raise UsageError(f"the loss needs pairs, not {texts} texts and {images} images or videos")
        return contrastive_loss(similarities.logits_per_image, label_smoothing=self.label_smoothing)


class LogitScale(PairModel):
    """A model whose scale is learned as its logarithm, `logit_scale`."""

    logit_scale: nn.Parameter

    @property
    def scale(self) -> Tensor:
        return self.logit_scale.exp()

    @property
    def scale_parameter(self) -> nn.Parameter:
        return self.logit_scale

    def clamp_logit_scale(self, maximum: float) -> None:
        self.logit_scale.data.clamp_(max=math.log(maximum))


class ProjectedTexts(LogitScale):
    """A model whose text tower pools a state that is then projected (X-CLIP's, before any prompt)."""

    text_model: Any
    text_projection: Any

    def get_text_features(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """The text tower's outputs with `pooler_output` (T, P) projected, not of unit length."""
        options = self.options(output_attentions, output_hidden_states)
        out: BaseModelOutputWithPooling = self.text_model(input_ids, attention_mask, position_ids, **options)
        out.pooler_output = self.text_projection(out.pooler_output)
        return answer(out, return_dict, self.config)


class ProjectedImages(PretrainedModel):
    """A model whose vision tower pools a state that is then projected."""

    vision_model: Any
    visual_projection: Any

    def get_image_features(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """The vision tower's outputs with `pooler_output` (B, P) projected, not of unit length."""
        options = self.options(output_attentions, output_hidden_states)
        out: BaseModelOutputWithPooling = self.vision_model(
            pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **options
        )
        out.pooler_output = self.visual_projection(out.pooler_output)
        return answer(out, return_dict, self.config)
