"""X-CLIP: videos and texts in one space, the texts with a prompt for each video. Ni et al. (2022), figure 2.

Shapes: V videos, T texts, F frames, C channels, P projection.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sightline.models.pairs import PairEmbeddings, ProjectedTexts, Similarities
from sightline.models.xclip.config import XCLIPConfig
from sightline.models.xclip.prompts import XCLIPPromptGenerator, similarity
from sightline.models.xclip.text import XCLIPTextModel
from sightline.models.xclip.vision import XCLIPVideoTower
from sightline.nn.calls import answer
from sightline.nn.initial import normal
from sightline.nn.outputs import BaseModelOutputWithPooling, ModelOutput, absent


@dataclass
class XCLIPOutput(ModelOutput):
    """Scaled cosines (T, V) and (V, T), unit vectors (V, T, P) and (V, P), the loss if asked for.

    Texts are as each video prompts them. The towers' outputs are their own: pooled, not projected.
    """

    loss: Tensor | None = None
    logits_per_text: Tensor = absent
    text_embeds: Tensor = absent
    text_model_output: BaseModelOutputWithPooling = absent
    vision_model_output: BaseModelOutputWithPooling = absent
    logits_per_video: Tensor = absent
    video_embeds: Tensor = absent
    mit_output: BaseModelOutputWithPooling = absent


class XCLIPModel(ProjectedTexts, XCLIPVideoTower):
    """The video tower, the text tower and the prompts that the one gives the other."""

    base_model_prefix: ClassVar[str] = "x_clip"
    parts: ClassVar[tuple[str, ...]] = ("",)
    hub_task: ClassVar[str] = "video-classification"
    lora_targets: ClassVar[tuple[str, ...]] = (*ProjectedTexts.lora_targets, "message_fc")

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__(config)
        text, vision = config.text_config, config.vision_config
        self.text_embed_dim = text.hidden_size
        self.vision_embed_dim = vision.hidden_size
        self.projection_dim = config.projection_dim
        self.text_model = XCLIPTextModel(text)
        self.text_projection = nn.Linear(text.hidden_size, config.projection_dim, bias=False)
        self.prompts_generator = XCLIPPromptGenerator(config)
        self.logit_scale = nn.Parameter(torch.tensor(config.logit_scale_init_value))
        normal(self.text_projection.weight, config.initializer_factor * text.hidden_size**-0.5)

    def get_video_features(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> BaseModelOutputWithPooling:
        """The vision tower's outputs with the videos' features as `pooler_output` (V, P), not of unit length."""
        self._check(pixel_values)
        options = self.options(output_attentions, output_hidden_states)
        out: BaseModelOutputWithPooling = self.vision_model(pixel_values, interpolate_pos_encoding, **options)
        out.pooler_output = self.integrate(out.pooler_output).pooler_output
        return answer(out, return_dict, self.config)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_loss: bool | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> XCLIPOutput:
        """`input_ids` (T, L) and `pixel_values` (V, F, C, H, W) -> similarities of all pairs.

        F is the checkpoint's number of frames. The loss takes the i-th text and the i-th video as a pair, so V = T.
        Raises `UsageError` otherwise.
        """
        input_ids, pixel_values = self.check_inputs(input_ids, pixel_values)
        self._check(pixel_values)
        options = self.options(output_attentions, output_hidden_states)
        vision = self.vision_model(pixel_values, interpolate_pos_encoding, **options)
        mit = self.integrate(vision.pooler_output)
        text = self.text_model(input_ids, attention_mask, position_ids, **options)
        plain = self.text_projection(text.pooler_output)
        videos = mit.pooler_output, self.summarise(vision.last_hidden_state)
        pairs = self.match(PairEmbeddings(videos, (plain,)))
        loss, logits = self.loss(pairs) if return_loss else None, pairs.logits_per_image
        out = XCLIPOutput(loss, logits.t(), pairs.text_embeds, text, vision, logits, pairs.image_embeds, mit)
        return answer(out, return_dict, self.config)

    def encode(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor | None = None) -> PairEmbeddings:
        """Of videos the vectors and the summaries, of texts the vectors before any prompt."""
        texts = self.text_projection(self.text_model.pool(input_ids))
        return PairEmbeddings(self.embed_with_extras(pixel_values), (texts,))

    def similarities(self, embeddings: PairEmbeddings) -> Similarities:
        """Each video prompts all texts; `logits_per_image` are those per video."""
        (videos, summaries), (texts,) = embeddings.images, embeddings.texts
        cosines, prompted, videos = similarity(texts + self.prompts_generator(texts, summaries), videos)
        return Similarities(self.scale * cosines, videos, prompted)
