"""Small checkpoints that both libraries open, written by the reference, with the tokenizers of the packaged models."""

import json
import shutil
from pathlib import Path

import torch
import transformers

from sightline.checkpoint.names import PACKAGED
from support.models import PACKAGED as BY_FAMILY

SMALL = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {
    "clip": SMALL | {"image_size": 32, "patch_size": 8},
    "align": {
        "hidden_dim": 32,
        "in_channels": [32, 64],
        "out_channels": [64, 64],
        "kernel_sizes": [3, 3],
        "strides": [2, 2],
        "num_block_repeats": [1, 2],
        "expand_ratios": [1, 2],
        "width_coefficient": 0.5,
        "depthwise_padding": [],
    },
    "groupvit": SMALL
    | {"image_size": 32, "depths": [1, 1], "patch_size": 4, "num_group_tokens": [4, 0], "num_output_groups": [4, 0]},
    "xclip": SMALL
    | {
        "image_size": 32,
        "patch_size": 8,
        "num_frames": 8,
        "mit_hidden_size": 32,
        "mit_intermediate_size": 48,
        "mit_num_attention_heads": 2,
        "mit_num_hidden_layers": 1,
    },
}
MORE = {"groupvit": {"projection_intermediate_dim": 24}, "xclip": {"prompt_layers": 1, "prompt_num_attention_heads": 2}}
WHOLE = {
    "clip": transformers.CLIPModel,
    "align": transformers.AlignModel,
    "groupvit": transformers.GroupViTModel,
    "xclip": transformers.XCLIPModel,
}
PROCESSORS = {
    "clip": "CLIPProcessor",
    "align": "AlignProcessor",
    "groupvit": "CLIPProcessor",
    "xclip": "XCLIPProcessor",
}
# Of these two families the reference opens a whole checkpoint as a tower with random weights, and says so in its log.
TOWERS = {
    "align": (transformers.AlignTextModel, transformers.AlignVisionModel),
    "xclip": (transformers.XCLIPTextModel, transformers.XCLIPVisionModel),
}


def shaken(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Every number off its initial value, so that no two parts are equal."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point() and "scale" not in name:
                tensor.add_(torch.rand_like(tensor) * 0.1)
    return model.eval()


def write_family(family: str, folder: Path) -> Path:
    """The whole model, its tokenizer and its preprocessing. The image processor is made to fit the smaller pictures."""
    packaged = PACKAGED / BY_FAMILY[family]
    config = transformers.AutoConfig.from_pretrained(packaged)
    text = config.text_config.to_dict() | SMALL
    vision = config.vision_config.to_dict() | VISION[family]
    for tower in (text, vision):
        if "projection_dim" in tower:
            tower["projection_dim"] = 32
    config = type(config)(
        text_config=text, vision_config=vision, projection_dim=32, dtype="float32", **MORE.get(family, {})
    )
    shaken(WHOLE[family](config).float()).save_pretrained(folder)
    for file in packaged.iterdir():
        if file.suffix in (".json", ".txt") and file.name != "config.json":
            shutil.copy(file, folder)
    preprocessing = folder / "preprocessor_config.json"
    settings = json.loads(preprocessing.read_text()) | {"processor_class": PROCESSORS[family]}
    for name in ("size", "crop_size"):
        settings[name] = dict.fromkeys(settings[name], vision["image_size"])
    preprocessing.write_text(json.dumps(settings))
    return folder


def write_tower(whole: Path, kind: type, folder: Path) -> Path:
    """A tower alone, with the tokenizer and the preprocessing of the whole."""
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    model = transformers.AutoModel.from_pretrained(whole)
    tower = model.text_model if "Text" in kind.__name__ else model.vision_model
    alone = kind(tower.config)
    inner = getattr(alone, "text_model", None) or getattr(alone, "vision_model", None) or alone
    inner.load_state_dict(tower.state_dict())
    alone.save_pretrained(folder)
    return folder


def write_classifier(whole: Path, folder: Path) -> Path:
    """A CLIP with a head for three classes."""
    config = transformers.CLIPConfig.from_pretrained(whole, num_labels=3)
    shaken(transformers.CLIPForImageClassification(config), 1).save_pretrained(folder)
    shutil.copy(whole / "preprocessor_config.json", folder)
    return folder


def write_dual(clip: Path, align: Path, root: Path) -> dict[str, Path]:
    """A pair of a CLIP vision tower and a BERT with their processor, and each tower alone."""
    found = {name: root / name for name in ("dual", "dual_text", "clip_vision")}
    text = transformers.BertConfig(
        vocab_size=transformers.AlignConfig.from_pretrained(align).text_config.vocab_size,
        max_position_embeddings=64,
        **SMALL,
    )
    vision = transformers.CLIPVisionModel.from_pretrained(clip)
    shaken(transformers.BertModel(text), 3).save_pretrained(found["dual_text"])
    vision.save_pretrained(found["clip_vision"])
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(vision.config, text, projection_dim=16)
    shaken(transformers.VisionTextDualEncoderModel(config), 2).save_pretrained(found["dual"])
    images, tokenizer = transformers.CLIPImageProcessorPil, transformers.BertTokenizer
    processor = transformers.VisionTextDualEncoderProcessor(
        images.from_pretrained(clip), tokenizer.from_pretrained(align)
    )
    processor.save_pretrained(found["dual"])
    processor.tokenizer.save_pretrained(found["dual_text"])
    processor.image_processor.save_pretrained(found["clip_vision"])
    return found


def write_all(root: Path) -> dict[str, Path]:
    """By name: `clip`, `align`, `groupvit`, `xclip`, `dual`, `clip_classifier`, the vocabulary alone, and towers."""
    torch.manual_seed(0)  # of the first values
    found = {family: write_family(family, root / family) for family in WHOLE}
    for family, kinds in TOWERS.items():
        for kind in kinds:
            name = f"{family}_{'text' if 'Text' in kind.__name__ else 'vision'}"
            found[name] = write_tower(found[family], kind, root / name)
    found["clip_classifier"] = write_classifier(found["clip"], root / "clip_classifier")
    found |= write_dual(found["clip"], found["align"], root)
    found["vocabulary"] = root / "vocabulary"
    transformers.CLIPTokenizer.from_pretrained(found["clip"]).save_pretrained(found["vocabulary"])
    return found
