"""CLIP's vision tower with a classifier in the projection's place.

Shapes: B pictures, C channels, N classes.
"""

import warnings
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.clip.config import CLIPConfig
from sightline.models.clip.layouts import CLASSIFIER_TABLES
from sightline.models.clip.vision import CLIPVisionModel
from sightline.models.config import Config
from sightline.models.pretrained import PretrainedModel
from sightline.nn.calls import answer
from sightline.nn.initial import normal
from sightline.nn.outputs import ImageClassifierOutput


class CLIPForImageClassification(PretrainedModel):
    """The mean of the patches' states, through one linear layer. A file without one gets a new layer, to be trained."""

    base_model_prefix: ClassVar[str] = "clip"
    main_input_name: ClassVar[str] = "pixel_values"
    input_layer: ClassVar[str] = "vision_model.embeddings.patch_embedding"
    config_class = CLIPConfig
    tables = CLASSIFIER_TABLES
    parts: ClassVar[tuple[str, ...]] = ("vision_model.", "classifier.")
    config: CLIPConfig

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.num_labels = _classes(config)
        self.vision_model = CLIPVisionModel(config.vision_config)
        self.classifier = nn.Linear(config.vision_config.hidden_size, self.num_labels)
        normal(self.classifier.weight, _spread(config))
        nn.init.zeros_(self.classifier.bias)

    @classmethod
    def fresh(cls, config: Config, missing: set[str]) -> dict[str, Tensor]:
        assert isinstance(config, CLIPConfig)
        if not missing >= {"classifier.weight", "classifier.bias"}:
            return {}
        warnings.warn(f"the classifier of {_classes(config)} classes is new and must be trained", stacklevel=3)
        # Numbers are drawn twice, as in the reference: a seed then gives the same classifier.
        weight = torch.randn(_classes(config), config.vision_config.hidden_size)
        normal(weight, _spread(config))
        return {"classifier.weight": weight, "classifier.bias": torch.zeros(len(weight))}

    def forward(
        self,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ImageClassifierOutput:
        """`pixel_values` (B, C, H, W) -> `logits` (B, N), and with `labels` the loss.

        `config.problem_type` says of which kind the labels are; where it is None, they do, and it is set:
        "single_label_classification", (B,) whole numbers; "multi_label_classification", (B, N) 0 or 1 as floats;
        "regression", which N = 1 is, (B, N) or (B,) floats. The other arguments are `CLIPVisionModel.forward`'s.
        """
        options = self.options(output_attentions, output_hidden_states)
        out = self.vision_model(pixel_values, interpolate_pos_encoding=interpolate_pos_encoding, **options)
        logits = self.classifier(out.last_hidden_state[:, 1:].mean(dim=1))
        loss = None if labels is None else self.loss(logits, labels)
        return answer(ImageClassifierOutput(loss, logits, out.hidden_states, out.attentions), return_dict, self.config)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of a batch, by `config.problem_type`."""
        config, labels = self.config, labels.to(logits.device)
        if config.problem_type is None:
            are_numbers = not labels.is_floating_point()
            kind = "single_label_classification" if are_numbers else "multi_label_classification"
            config.problem_type = "regression" if self.num_labels == 1 else kind
        if config.problem_type == "regression":
            return F.mse_loss(logits, labels.to(logits.dtype).view_as(logits))
        if config.problem_type == "single_label_classification":
            return F.cross_entropy(logits, labels.long().flatten())
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def _classes(config: CLIPConfig) -> int:
    return config.num_labels or 2


def _spread(config: CLIPConfig) -> float:
    return float(config.initializer_factor * config.vision_config.hidden_size**-0.5)
