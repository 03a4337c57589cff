"""The recipe of "mini", the CLIP that ships in the package: 3 M parameters, learned from drawn scenes.

    python recipes/mini_clip.py train FOLDER [--cache FOLDER]
    python recipes/mini_clip.py evaluate FOLDER

Three stages, each opening what the one before saved. In the first the model learns to tell scenes apart, and does so by
colors, backgrounds and places: shapes are not needed for it, and are not learned. In the others, half of the batches
hold siblings, scenes in which nothing but the shapes differs, and a linear head, one for both towers' vectors and
thrown away in the end, has to name the shapes. The same seed on the same kind of machine gives the same weights. On two
cores the whole run takes about an hour and a quarter; the scenes are drawn once and kept in the cache.
"""

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from training import CLIP_PIXELS, SEED, SIZE, Batches, Stage, arguments, as_asked, drawn, evaluate, fit, save, scene
from vocabulary import END, byte_pairs, clip_settings, number_of

from sightline import CLIPConfig, CLIPModel, scenes

SCENES_A_FAMILY, SIBLINGS = 12, 8  # a family is drawn for so many scenes: 5,000
TOKENS = 64
NAMING = 5.0  # the weight of the head that names shapes
SCHOOL = ("siblings", "any", "siblings", "alike")

STAGES = {
    "scenes": Stage(2_600, 200, 1.2e-3),
    "shapes": Stage(1_300, 60, 8e-4, SCHOOL),
    "shapes-2": Stage(900, 60, 8e-4, SCHOOL, seed=SEED + 1),
}


# --- siblings: SIBLINGS by SIBLINGS


def sibling(index: int) -> scenes.Scene:
    family, member = divmod(index, SIBLINGS)
    rng = Random(f"siblings/{SEED}/{family}/{member}")
    attempt = 0
    while True:
        # A shape may only be exchanged where nothing depends on it: where no two things touch.
        base = scenes.sample(SEED + 1, family * 100 + attempt)
        pairs = combinations(range(len(base.things)), 2)
        if not any(base.relation(a, b) in ("inside", "around", "front", "behind") for a, b in pairs):
            break
        attempt += 1
    while True:
        things = tuple(replace(thing, shape=rng.choice(scenes.SHAPES)) for thing in base.things)
        kinds = {(thing.shape, thing.color) for thing in things}
        if len(kinds) == len(things) and not kinds & scenes.HELD_OUT:
            return replace(base, things=things)


def draw_sibling(index: int) -> np.ndarray:
    return np.asarray(sibling(index).draw(SIZE))


class SiblingBatches(Batches):
    """Batches of a third kind: whole families of siblings, whose captions all name the shapes. Siblings have the
    numbers after those of the scenes."""

    def __init__(self, stage: Stage, tokenizer: Tokenizer, cache: Path) -> None:
        super().__init__(stage, tokenizer, number_of(END, tokenizer), cache)
        self.families = self.scenes // SCENES_A_FAMILY
        numbers = range(self.families * SIBLINGS)
        self.siblings = drawn(cache / f"mini-{SEED}-{self.scenes}-{len(numbers)}.npy", draw_sibling, numbers)
        described = [sibling(i) for i in numbers]
        self.texts += [[e.ids for e in tokenizer.encode_batch(list(one.captions))] for one in described]
        described = [scene(i) for i in range(self.scenes)] + described
        self.shapes = torch.tensor(
            [[float(any(t.shape == shape for t in one.things)) for shape in scenes.SHAPES] for one in described]
        )

    def choose(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        if kind != "siblings":
            return super().choose(kind)
        families = np.sort(self.rng.choice(self.families, self.batch // SIBLINGS, replace=False))
        places = (families[:, None] * SIBLINGS + np.arange(SIBLINGS)).ravel()
        return places + self.scenes, self.siblings[places]

    def text(self, row: int, kind: str, whole: bool) -> list[int]:
        texts = self.texts[row]
        if kind == "siblings" and not whole:
            return texts[self.rng.integers(4, len(texts) - 1)]  # the last need not name a shape
        return super().text(row, kind, whole)


# --- model and training


def config(vocab_size: int) -> CLIPConfig:
    return CLIPConfig.from_dict(
        {
            "text_config": {
                "vocab_size": vocab_size,
                "hidden_size": 128,
                "intermediate_size": 512,
                "num_hidden_layers": 3,
                "num_attention_heads": 2,
                "max_position_embeddings": TOKENS,
                "hidden_act": "gelu",
                "bos_token_id": vocab_size - 2,
                "eos_token_id": vocab_size - 1,
                "pad_token_id": vocab_size - 1,
                "projection_dim": 128,
            },
            "vision_config": {
                "hidden_size": 192,
                "intermediate_size": 768,
                "num_hidden_layers": 5,
                "num_attention_heads": 3,
                "image_size": SIZE,
                "patch_size": 8,
                "hidden_act": "gelu",
                "projection_dim": 128,
            },
            "projection_dim": 128,
        }
    )


def train(folder: Path, name: str, stage: Stage, cache: Path) -> None:
    """One stage: the first from nothing, others from what lies in `folder`."""
    torch.manual_seed(stage.seed)
    if name == next(iter(STAGES)):
        tokenizer = byte_pairs([text for i in range(min(10_000, stage.scenes)) for text in scene(i).captions], TOKENS)
        model = CLIPModel(config(tokenizer.get_vocab_size())).train()
        batches = Batches(stage, tokenizer, number_of(END, tokenizer), cache)
    else:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = CLIPModel.from_pretrained(folder, dtype="float32").train()
        batches = SiblingBatches(stage, tokenizer, cache)
    # For these short sequences torch's fused attention takes three times as long backwards on a processor.
    model.set_attn_implementation("eager")
    print(f"{name}: {model.num_parameters():,} parameters, {tokenizer.get_vocab_size()} tokens")
    head = nn.Linear(model.projection_dim, len(scenes.SHAPES))

    def losses(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        batch = batches(step)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(batch.ids, batch.pixels, return_loss=True)
        figures = {batch.kind: out.loss.item(), "scale": model.logit_scale.exp().item()}
        if not isinstance(batches, SiblingBatches):
            return out.loss, figures
        seen = head(out.vision_model_output.pooler_output.float())
        read = head(out.text_model_output.pooler_output.float())[batch.complete]
        shapes = batches.shapes[batch.rows]
        bce = nn.functional.binary_cross_entropy_with_logits
        named = bce(seen, shapes), bce(read, shapes[batch.complete])
        figures["naming seen"], figures["naming read"] = (value.item() for value in named)
        return out.loss + NAMING * sum(named), figures

    naming = head.parameters() if "siblings" in stage.kinds else ()
    fit(model, stage, losses, bound=lambda: model.logit_scale.clamp_(max=math.log(100)), undecayed=naming)
    save(model, tokenizer, folder, words=clip_settings(TOKENS), pixels=CLIP_PIXELS)


def main() -> None:
    given = arguments(__doc__, ["train", *STAGES, "evaluate"]).parse_args()
    for name in STAGES if given.task == "train" else [given.task] if given.task in STAGES else []:
        train(given.folder, name, as_asked(STAGES[name], given), given.cache)
    evaluate(given.folder, given.tests)


if __name__ == "__main__":
    main()
