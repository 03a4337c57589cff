"""The recipe of "mini", the CLIP that ships in the package: 3 M parameters, learned from drawn scenes.

    python recipes/mini_clip.py train FOLDER [--cache FOLDER]
    python recipes/mini_clip.py evaluate FOLDER

Three stages, each opening what the one before saved. In the first the model learns to tell scenes apart, and does so by
colours, backgrounds and places: shapes are not needed for it, and are not learned. In the others, half of the batches
hold siblings, scenes in which nothing but the shapes differs, and a linear head, one for both towers' vectors and
thrown away in the end, has to name the shapes. The same seed on the same kind of machine gives the same weights. On two
cores the whole run takes about an hour and a quarter; the scenes are drawn once and kept in the cache.
"""

import argparse
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn

import sightline
from sightline import CLIPConfig, CLIPModel, scenes
from sightline.files import replacing
from sightline.metrics import ranks, recall_at

SEED = 7
SCENES = 60_000
FAMILIES, SIBLINGS = 5_000, 8
SIZE = 64  # pixels
BATCH = 256
DECAY = 0.1
VOCABULARY = 1_024
TOKENS = 64
START, END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class Stage:
    """`kinds` of batches in turn: of any scenes, of scenes alike in background and light, of siblings.

    `naming`: the weight of the head that names shapes.
    """

    steps: int
    warm_up: int
    rate: float
    kinds: tuple[str, ...]
    naming: float = 0.0
    seed: int = SEED


STAGES = {
    "scenes": Stage(2_600, 200, 1.2e-3, ("any", "alike")),
    "shapes": Stage(1_300, 60, 8e-4, ("siblings", "any", "siblings", "alike"), naming=5.0),
    "shapes-2": Stage(900, 60, 8e-4, ("siblings", "any", "siblings", "alike"), naming=5.0, seed=SEED + 1),
}


# --- data: every scene is a function of its number, drawn once


def scene(index: int) -> scenes.Scene:
    """The first SCENES by lot, then the families, SIBLINGS by SIBLINGS."""
    if index < SCENES:
        return scenes.sample(SEED, index)
    family, member = divmod(index - SCENES, SIBLINGS)
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
        kinds = {(thing.shape, thing.colour) for thing in things}
        if len(kinds) == len(things) and not kinds & scenes.HELD_OUT:
            return replace(base, things=things)


def picture(index: int) -> np.ndarray:
    return np.asarray(scene(index).draw(SIZE))


def pictures(cache: Path, first: int, count: int) -> np.ndarray:
    """uint8 (count, SIZE, SIZE, 3)."""
    file = cache / f"mini-{SEED}-{first}-{count}.npy"
    if not file.exists():
        drawn = []
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            for i, pixels in enumerate(pool.map(picture, range(first, first + count), chunksize=100)):
                drawn.append(pixels)
                if i % 1000 == 999:
                    print(f"\rdrawing scenes: {i + 1:,} of {count:,}", end="", flush=True)
        print()
        cache.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as out:
            np.save(out, np.stack(drawn))
    return np.load(file, mmap_mode="r")


def vocabulary(captions: list[str]) -> Tokenizer:
    """CLIP's kind of tokenizer (NFC, white space folded, lower case, byte-level BPE, `</w>`) with words of scenes."""

    def tokenizer(model: models.BPE) -> Tokenizer:
        made = Tokenizer(model)
        made.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        words = rf"{START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+"
        words = words.replace("|>", r"\|>").replace("<|", r"<\|")
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        return made

    learner = tokenizer(models.BPE(end_of_word_suffix="</w>"))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False
    )
    learner.train_from_iterator(captions, trainer)
    merges = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    # Every byte, inside a word and at its end, so that any string has tokens; then what was learned.
    tokens = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(pair) for pair in merges), START, END]
    ids = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    made = tokenizer(models.BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>", unk_token=END))
    made.add_special_tokens([START, END])
    made.post_processor = processors.RobertaProcessing(
        (END, ids[END]), (START, ids[START]), trim_offsets=False, add_prefix_space=False
    )
    made.enable_truncation(TOKENS)
    return made


class Batches:
    """Endless batches of (pixels, ids, shapes that occur, whether the text is complete), their kinds in turn.

    Where scenes are alike in background and light, captions are complete, as only the things tell them apart; of
    siblings they name the shapes; else every second one is complete.
    """

    def __init__(self, stage: Stage, tokenizer: Tokenizer, cache: Path) -> None:
        count = SCENES + (FAMILIES * SIBLINGS if "siblings" in stage.kinds else 0)
        self.kinds = stage.kinds
        self.end = tokenizer.token_to_id(END)
        self.images = pictures(cache, 0, SCENES)
        self.siblings = pictures(cache, SCENES, count - SCENES) if count > SCENES else self.images
        described = [scene(i) for i in range(count)]
        self.texts = [[e.ids for e in tokenizer.encode_batch(list(one.captions))] for one in described]
        self.shapes = torch.tensor(
            [[float(any(t.shape == shape for t in one.things)) for shape in scenes.SHAPES] for one in described]
        )
        settings = np.array([f"{one.background} {one.light}" for one in described[:SCENES]])
        pools = [np.flatnonzero(settings == setting) for setting in np.unique(settings)]
        self.pools = [pool for pool in pools if len(pool) >= BATCH]
        self.rng = np.random.default_rng(stage.seed)

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        kind = self.kinds[step % len(self.kinds)]
        if kind == "siblings":
            families = np.sort(self.rng.choice(FAMILIES, BATCH // SIBLINGS, replace=False))
            places = (families[:, None] * SIBLINGS + np.arange(SIBLINGS)).ravel()
            drawn, rows = self.siblings[places], places + SCENES
        else:
            pool = self.pools[self.rng.integers(len(self.pools))] if kind == "alike" else SCENES
            rows = np.sort(self.rng.choice(pool, BATCH, replace=False))
            drawn = self.images[rows]
        pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255
        # Shifts of a few pixels and slight changes of exposure. No mirror: left is not right.
        dy, dx = self.rng.integers(0, 5, 2)
        pixels = nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")[:, :, dy : dy + SIZE, dx : dx + SIZE]
        gain = torch.from_numpy(self.rng.uniform(0.9, 1.1, (BATCH, 3, 1, 1)).astype(np.float32))
        pixels = (pixels * gain).clamp(0, 1) * 2 - 1
        complete = self.rng.random(BATCH) < (1.0 if kind == "alike" else 0.5)
        chosen = []
        for row, whole in zip(rows, complete, strict=True):
            texts = self.texts[row]
            last = len(texts) - 1 if kind == "siblings" else len(texts)  # the last need not name a shape
            chosen.append(texts[self.rng.integers(4) if whole else self.rng.integers(4, last)])
        ids = torch.full((BATCH, max(map(len, chosen))), self.end)
        for row, text in zip(ids, chosen, strict=True):
            row[: len(text)] = torch.tensor(text)
        return pixels, ids, self.shapes[torch.from_numpy(rows)], torch.from_numpy(complete)


# --- model and training


def config(vocab_size: int) -> CLIPConfig:
    return CLIPConfig(
        text_config={
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
        vision_config={
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 5,
            "num_attention_heads": 3,
            "image_size": SIZE,
            "patch_size": 8,
            "hidden_act": "gelu",
            "projection_dim": 128,
        },
        projection_dim=128,
    )


def rate(step: int, stage: Stage) -> float:
    """Warm-up, then half a cosine."""
    return stage.rate * min(step / stage.warm_up, 0.5 * (1 + math.cos(math.pi * min(1, step / stage.steps))))


def train(folder: Path, name: str, cache: Path) -> None:
    """One stage: the first from nothing, others from what lies in `folder`."""
    stage = STAGES[name]
    torch.manual_seed(stage.seed)
    if name == next(iter(STAGES)):
        tokenizer = vocabulary([text for i in range(10_000) for text in scene(i).captions])
        model = CLIPModel(config(tokenizer.get_vocab_size())).train()
    else:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = CLIPModel.from_pretrained(folder, dtype="float32").train()
    batches = Batches(stage, tokenizer, cache)
    # For these short sequences torch's fused attention takes three times as long backwards on a processor.
    model.set_attn_implementation("eager")
    print(f"{name}: {model.num_parameters():,} parameters, {tokenizer.get_vocab_size()} tokens")
    head = nn.Linear(model.projection_dim, len(scenes.SHAPES))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    if stage.naming:
        others += list(head.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
        lr=stage.rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    start, losses = time.monotonic(), dict.fromkeys(stage.kinds, 6.0)
    for step in range(stage.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, stage)
        pixels, ids, shapes, complete = batches(step)
        with torch.autocast("cpu", torch.bfloat16):
            out = model(ids, pixels, return_loss=True)
        loss = out.loss
        if stage.naming:
            seen = head(out.vision_model_output.pooler_output.float())
            read = head(out.text_model_output.pooler_output.float())[complete]
            bce = nn.functional.binary_cross_entropy_with_logits
            named = bce(seen, shapes), bce(read, shapes[complete])
            losses["naming seen"], losses["naming read"] = (value.item() for value in named)
            loss = loss + stage.naming * sum(named)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))
        kind = stage.kinds[step % len(stage.kinds)]
        losses[kind] += 0.1 * (out.loss.item() - losses[kind])
        if step % 20 == 19:
            spent = time.monotonic() - start
            left = spent / (step + 1) * (stage.steps - step - 1)
            said = ", ".join(f"{kind} {value:.3f}" for kind, value in losses.items())
            print(
                f"step {step + 1} of {stage.steps}: loss of {said}, scale {model.logit_scale.exp().item():.1f}, "
                f"{(step + 1) * BATCH / spent:.0f} pairs/s, {left / 60:.0f} min left",
                flush=True,
            )
    save(model, tokenizer, folder)


def save(model: CLIPModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Hugging Face layout, weights in float16."""
    half = CLIPModel(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "model_max_length": TOKENS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")
    pixels = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": SIZE},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": SIZE, "width": SIZE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels, indent=2) + "\n")


# --- evaluation: 1,000 scenes that training never drew, half of them with a held-out pair of shape and colour


def evaluate(folder: Path) -> None:
    tests = scenes.distinct(1_000, seed=1)
    held_out = np.array([any((t.shape, t.colour) in scenes.HELD_OUT for t in one.things) for one in tests])
    encoder = sightline.load(folder, dtype="float32")
    images = encoder.encode_images([one.draw(224) for one in tests])
    texts = encoder.encode_text([one.caption for one in tests])
    answers = list(range(len(tests)))
    t2i, i2t = ranks(texts @ images.T, answers), ranks(images @ texts.T, answers)
    for name, r in (("text to image", t2i), ("image to text", i2t)):
        print(f"{name}: R@1 {recall_at(r, 1):.1%}, R@5 {recall_at(r, 5):.1%}; ", end="")
        print(f"R@1 with held-out pairs {recall_at(r[held_out], 1):.1%} of {held_out.sum()}, ", end="")
        print(f"without {recall_at(r[~held_out], 1):.1%}")
    hits = []
    for shape in scenes.SHAPES:
        for colour in scenes.COLOURS:
            right = np.array([any((t.shape, t.colour) == (shape, colour) for t in one.things) for one in tests])
            if right.sum() >= 5:
                query = encoder.encode_text([f"a {colour} {shape}"])[0]
                hits.append(right[np.argsort(-(images @ query))[:5]].mean())
    print(f'"a red circle" and {len(hits) - 1} such queries: precision of the first five {np.mean(hits):.1%}')
    # One word exchanged for all its alternatives: does the right one win? For scenes of one thing.
    words = {"shape": scenes.SHAPES, "colour": scenes.COLOURS, "texture": scenes.TEXTURES, "size": scenes.SIZES}
    single = [i for i, one in enumerate(tests) if len(one.things) == 1]
    for part, options in words.items():
        right_ones = []
        for i in single:
            thing = tests[i].things[0]
            choices = [replace(tests[i], things=(replace(thing, **{part: option}),)).caption for option in options]
            scores = encoder.encode_text(choices) @ images[i]
            right_ones.append(list(options)[int(scores.argmax())] == getattr(thing, part))
        print(f"the right {part} of {len(options)}, in the full caption of a scene with one thing: ", end="")
        print(f"{np.mean(right_ones):.1%} of {len(single)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["train", *STAGES, "evaluate"], help="train: all stages")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache/sightline", help="drawn scenes are kept here"
    )
    given = parser.parse_args()
    for name in STAGES if given.task == "train" else [given.task] if given.task in STAGES else []:
        train(given.folder, name, given.cache)
    evaluate(given.folder)
