"""A script as people write it for `transformers`: it trains a pair of two towers on pictures with captions, as that
library's example of contrastive training does.

python benchmarks/run_clip.py --image_model FOLDER --text_model FOLDER --train_file PAIRS.json --output_dir FOLDER \\
    --do_train --max_steps 20 --per_device_train_batch_size 32 --learning_rate 5e-5 --remove_unused_columns False

PAIRS.json has a line for each pair: {"image_path": "...", "caption": "..."}. All arguments of `TrainingArguments` hold.
For Sightline one line changes, the last import: `from sightline import ...`. `contrastive_example.py` runs both.
"""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset
from transformers.hf_argparser import HfArgumentParser
from transformers.trainer import Trainer
from transformers.trainer_utils import get_last_checkpoint
from transformers.training_args import TrainingArguments

# isort: split
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    VisionTextDualEncoderModel,
    VisionTextDualEncoderProcessor,
    set_seed,
)

logger = logging.getLogger(__name__)


@dataclass
class ModelArguments:
    """Which model is trained, and what of it."""

    model_name_or_path: str | None = field(default=None, metadata={"help": "a pair to be trained further"})
    image_model: str | None = field(default=None, metadata={"help": "a CLIP, for the image tower of a new pair"})
    text_model: str | None = field(default=None, metadata={"help": "a RoBERTa or BERT, for its text tower"})
    freeze_vision_model: bool = field(default=False)
    freeze_text_model: bool = field(default=False)


@dataclass
class DataArguments:
    """The pairs, and how they are read."""

    train_file: str | None = field(default=None)
    validation_file: str | None = field(default=None)
    image_column: str = field(default="image_path")
    caption_column: str = field(default="caption")
    max_seq_length: int = field(default=128)


class Transform:
    """An RGB picture to the model's input: resized, cropped and normalized."""

    def __init__(self, size: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self.size = size
        self.mean, self.std = (torch.tensor(list(values)).view(3, 1, 1) for values in (mean, std))

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        size, (width, height) = self.size, picture.size
        short = min(width, height)
        picture = picture.resize((size * width // short, size * height // short), Image.Resampling.BICUBIC)
        left, top = (round((side - size) / 2) for side in picture.size)
        picture = picture.crop((left, top, left + size, top + size))
        pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(size, size, 3)
        return (pixels.permute(2, 0, 1) / 255 - self.mean) / self.std


class Pairs(Dataset[dict[str, Any]]):
    """Pictures with their tokenized captions. Files that are no picture are left out."""

    def __init__(self, file: str, data: DataArguments, tokenizer: Any, transform: Transform) -> None:
        rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
        kept = [row for row in rows if is_picture(row[data.image_column])]
        logger.info("%d pairs, %d of %s left out", len(kept), len(rows) - len(kept), file)
        self.paths = [row[data.image_column] for row in kept]
        self.texts = tokenizer(
            [row[data.caption_column] for row in kept],
            max_length=data.max_seq_length,
            padding="max_length",
            truncation=True,
        )
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> dict[str, Any]:
        with Image.open(self.paths[row]) as picture:
            pixels = self.transform(picture.convert("RGB"))
        return {
            "pixel_values": pixels,
            "input_ids": self.texts.input_ids[row],
            "attention_mask": self.texts.attention_mask[row],
        }


def is_picture(path: str) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
    except OSError:
        return False
    return True


def collate_fn(examples: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "pixel_values": torch.stack([example["pixel_values"] for example in examples]),
        "input_ids": torch.tensor([example["input_ids"] for example in examples], dtype=torch.long),
        "attention_mask": torch.tensor([example["attention_mask"] for example in examples], dtype=torch.long),
        "return_loss": True,
    }


def new_pair(image_model: str, text_model: str, folder: Path) -> None:
    """Two towers, their projections new, and their processor, in one folder."""
    model = VisionTextDualEncoderModel.from_vision_text_pretrained(image_model, text_model)
    tokenizer = AutoTokenizer.from_pretrained(text_model)
    image_processor = AutoImageProcessor.from_pretrained(image_model)
    processor = VisionTextDualEncoderProcessor(image_processor, tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def freeze(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        parameter.requires_grad = False


def main(arguments: list[str], trainer_class: type[Trainer] = Trainer) -> Trainer:
    parser = HfArgumentParser((ModelArguments, DataArguments, TrainingArguments))
    chosen, data, training = parser.parse_args_into_dataclasses(arguments)
    output = Path(training.output_dir)
    last_checkpoint = get_last_checkpoint(output) if output.is_dir() else None
    set_seed(training.seed)

    name = chosen.model_name_or_path or output / "pair"
    if chosen.model_name_or_path is None and not name.is_dir():
        new_pair(chosen.image_model, chosen.text_model, name)
    tokenizer = AutoTokenizer.from_pretrained(name, cache_dir=None, use_fast=True, revision="main", token=None)
    image_processor = AutoImageProcessor.from_pretrained(name, revision="main", trust_remote_code=False)
    model = AutoModel.from_pretrained(name, cache_dir=None, revision="main", token=None, trust_remote_code=False)
    config = model.config
    if chosen.freeze_vision_model:
        freeze(model.vision_model)
    if chosen.freeze_text_model:
        freeze(model.text_model)
    set_seed(training.seed)

    transform = Transform(config.vision_config.image_size, image_processor.image_mean, image_processor.image_std)
    files = {"train": data.train_file, "eval": data.validation_file}
    pairs = {part: Pairs(file, data, tokenizer, transform) for part, file in files.items() if file}
    trainer = trainer_class(
        model=model,
        args=training,
        train_dataset=pairs.get("train"),
        eval_dataset=pairs.get("eval"),
        data_collator=collate_fn,
    )
    if training.do_train:
        result = trainer.train(resume_from_checkpoint=training.resume_from_checkpoint or last_checkpoint)
        trainer.save_model()
        tokenizer.save_pretrained(training.output_dir)
        image_processor.save_pretrained(training.output_dir)
        trainer.log_metrics("train", result.metrics)
        trainer.save_metrics("train", result.metrics)
        trainer.save_state()
    if training.do_eval:
        metrics = trainer.evaluate()
        trainer.log_metrics("eval", metrics)
        trainer.save_metrics("eval", metrics)
    trainer.create_model_card(
        finetuned_from=str(name), tasks="contrastive-image-text-modeling", dataset="pictures with captions"
    )
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
