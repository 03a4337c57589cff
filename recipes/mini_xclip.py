"""The recipe of "mini-xclip", the X-CLIP that ships in the package: 3.9 M parameters, learned from drawn films.

    python recipes/mini_xclip.py train FOLDER [--cache FOLDER]
    python recipes/mini_xclip.py evaluate FOLDER

It begins with what "mini" knows of colours, shapes and words, its patches merged four to one, as eight frames cost
eight times a picture. A batch of films holds the same scenes with several motions each: nothing but the motion tells
them apart. Every fourth batch is of stills, pictures shown for eight frames. The loss is that of the texts as the films
prompt them plus that of the texts alone, so that a search may go by plain cosines first.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from sightline.models.xclip.prompts import score
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from training import (
    CACHE,
    CLIP_PIXELS,
    SEED,
    SIZE,
    Batch,
    Stage,
    drawn,
    fit,
    padded,
    pictures,
    save,
    scene,
    varied,
)
from vocabulary import END, byte_pairs, clip_settings

from sightline import CLIPModel, XCLIPConfig, XCLIPModel, XCLIPProcessor, scenes
from sightline.checkpoint.names import PACKAGED
from sightline.metrics import ranks, recall_at
from sightline.nn.loss import contrastive_loss
from sightline.scenes import MOTIONS, films

FILMS, STILLS = 3_000, 15_000
FRAMES = 8
PATCH = 16
TOKENS = 64
BATCH, WAYS = 64, 4  # films in a batch, and with how many motions each of its scenes is there
# Each scene is drawn with every motion that is not another one backwards.
DRAWN = ("left", "up", "grows", "appears", "spins", "bounces")
BACKWARDS = {"right": "left", "down": "up", "shrinks": "grows", "vanishes": "appears"}

STAGES = {"films": Stage(900, 60, 1.2e-3, ("moving",))}


# --- data


def film(index: int) -> scenes.Film:
    return films.sample(SEED, index)


def in_every_way(index: int) -> np.ndarray:
    """uint8 (motions, FRAMES, SIZE, SIZE, 3)."""
    ways = [replace(film(index), motion=motion).frames(FRAMES, SIZE) for motion in DRAWN]
    return np.stack([np.stack([np.asarray(frame) for frame in way]) for way in ways])


def layout(one: scenes.Film) -> np.ndarray:
    """(FRAMES, 4): of all things in each frame, the sums of 1, of x and y from the middle, and of radii; about -1 to 1.

    These sums are easily seen in single frames, and how they change over time tells all motions.
    """
    still = one.scene.things[:-1]
    rows = []
    for i in range(FRAMES):
        thing = one.at((i + 0.5) / FRAMES)
        things = (*still, thing) if thing else still
        rows.append([(1, (t.x - 0.5) / 0.2, (t.y - 0.5) / 0.2, t.radius / 0.1) for t in things] or [(0,) * 4])
    return np.array([np.sum(row, axis=0) for row in rows], np.float32)


@dataclass(frozen=True)
class Films(Batch):
    """`pixels` (BATCH, FRAMES, 3, SIZE, SIZE); of films that move, the motions' numbers (BATCH,) and the
    layouts of their frames (BATCH, FRAMES, 4)."""

    motions: Tensor
    layouts: Tensor


class Batches:
    """Endless batches, their kinds in turn."""

    def __init__(self, stage: Stage, tokenizer: Tokenizer, cache: Path) -> None:
        self.kinds, self.pad = stage.kinds, tokenizer.token_to_id(END)
        self.rng = np.random.default_rng(stage.seed)
        self.films = drawn(cache / f"films-{SEED}-{FILMS}.npy", in_every_way, range(FILMS))
        self.stills = pictures(cache)

        def encoded(one: scenes.Film | scenes.Scene) -> list[list[int]]:
            return [e.ids for e in tokenizer.encode_batch(list(one.captions))]

        told = [film(i) for i in range(FILMS)]
        self.told = [{motion: encoded(replace(one, motion=motion)) for motion in MOTIONS} for one in told]
        self.layouts = [{motion: layout(replace(one, motion=motion)) for motion in MOTIONS} for one in told]
        self.described = [encoded(scene(i)) for i in range(STILLS)]

    def __call__(self, step: int) -> Films:
        kind = self.kinds[step % len(self.kinds)]
        if kind == "still":
            rows = np.sort(self.rng.choice(STILLS, BATCH, replace=False))
            shown = np.repeat(self.stills[rows], FRAMES, axis=0)
            texts, motions = [self.described[row] for row in rows], []
        else:
            rows = np.sort(self.rng.choice(FILMS, BATCH // WAYS, replace=False)).repeat(WAYS)
            chosen = [self.rng.choice(tuple(MOTIONS), WAYS, replace=False) for _ in range(BATCH // WAYS)]
            motions = [str(motion) for group in chosen for motion in group]
            shown = np.concatenate([self.frames(*pair) for pair in zip(rows, motions, strict=True)])
            texts = [self.told[row][motion] for row, motion in zip(rows, motions, strict=True)]
        complete = self.rng.random(BATCH) < 0.6
        ids = [
            all_of_one[self.rng.integers(4) if whole else self.rng.integers(4, len(all_of_one))]
            for all_of_one, whole in zip(texts, complete, strict=True)
        ]
        pixels = varied(shown, self.rng).unflatten(0, (BATCH, FRAMES))
        layouts = [self.layouts[row][motion] for row, motion in zip(rows, motions, strict=False)]
        return Films(
            kind,
            pixels,
            padded(ids, self.pad),
            torch.from_numpy(rows),
            torch.from_numpy(complete),
            torch.tensor([list(MOTIONS).index(motion) for motion in motions]),
            torch.from_numpy(np.array(layouts)),
        )

    def frames(self, row: int, motion: str) -> np.ndarray:
        forward = BACKWARDS.get(motion, motion)
        found = self.films[row, DRAWN.index(forward)]
        return found if motion == forward else found[::-1]


# --- model and training


def config(vocab_size: int) -> XCLIPConfig:
    return XCLIPConfig(
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
        },
        vision_config={
            "hidden_size": 192,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 3,
            "image_size": SIZE,
            "patch_size": PATCH,
            "num_frames": FRAMES,
            "hidden_act": "gelu",
            "mit_hidden_size": 128,
            "mit_intermediate_size": 256,
            "mit_num_hidden_layers": 2,
            "mit_num_attention_heads": 4,
        },
        projection_dim=128,
        prompt_layers=1,
        prompt_num_attention_heads=4,
        prompt_hidden_act="gelu",
    )


def beginning(tokenizer: Tokenizer) -> XCLIPModel:
    """What "mini" has as well is its own: the first of its layers, the words that both know; the rest is by lot."""
    mini = CLIPModel.from_pretrained("mini", dtype="float32")
    words = Tokenizer.from_file(str(PACKAGED / "mini" / "tokenizer.json")).get_vocab()
    model = XCLIPModel(config(tokenizer.get_vocab_size()))
    state, known = model.state_dict(), mini.state_dict()
    patches = known["vision_model.patch_embedding.weight"]
    known["vision_model.patch_embedding.weight"] = patches.repeat(1, 1, 2, 2) / 4
    places = known["vision_model.position_embedding"]
    grid = places[1:].view(SIZE // 8, SIZE // 8, -1).permute(2, 0, 1)
    known["vision_model.position_embedding"] = torch.cat([places[:1], F.avg_pool2d(grid, 2).flatten(1).t()])
    vectors = state["text_model.token_embedding.weight"].clone()
    for token, number in tokenizer.get_vocab().items():
        if token in words:
            vectors[number] = known["text_model.token_embedding.weight"][words[token]]
    known["text_model.token_embedding.weight"] = vectors
    model.load_state_dict({name: known.get(name, value) for name, value in state.items()})
    return model


def train(folder: Path, name: str, cache: Path) -> None:
    """One stage: the first from "mini", others from what lies in `folder`."""
    stage = STAGES[name]
    torch.manual_seed(stage.seed)
    if name == next(iter(STAGES)):
        told = [text for i in range(4_000) for text in film(i).captions]
        tokenizer = byte_pairs(told + [text for i in range(4_000) for text in scene(i).captions], TOKENS)
        model = beginning(tokenizer).train()
    else:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        model = XCLIPModel.from_pretrained(folder, dtype="float32").train()
    # For these short sequences torch's fused attention takes three times as long backwards on a processor.
    model.set_attn_implementation("eager")
    batches = Batches(stage, tokenizer, cache)
    naming, placing = nn.Linear(model.projection_dim, len(MOTIONS)), nn.Linear(model.projection_dim, 4)
    heads = [*naming.parameters(), *placing.parameters()]
    print(f"{name}: {model.num_parameters():,} parameters, {tokenizer.get_vocab_size()} tokens")

    def losses(step: int) -> tuple[Tensor, dict[str, float]]:
        batch = batches(step)
        with torch.autocast("cpu", torch.bfloat16):
            watched = model.vision_model(batch.pixels)
            seen = model.visual_projection(watched.pooler_output).unflatten(0, (BATCH, FRAMES)).float()
            found = model.integrate(watched.pooler_output).pooler_output.float()
            summaries = model.summarise(watched.last_hidden_state).float()
            texts = model.get_text_features(batch.ids).pooler_output.float()
        logits = score(model.prompts_generator, model.scale, texts, found, summaries)[0]
        prompted = contrastive_loss(logits)
        plain = contrastive_loss(model.scale * F.normalize(found, dim=-1) @ F.normalize(texts, dim=-1).t())
        figures = {batch.kind: prompted.item(), f"{batch.kind} plain": plain.item()}
        loss = prompted + plain
        if batch.kind == "moving":
            named = F.cross_entropy(naming(found), batch.motions), F.cross_entropy(naming(texts), batch.motions)
            off = (placing(seen) - batch.layouts).square().mean(dim=(0, 1))
            loss = loss + sum(named) + 2 * off.sum()
            siblings = logits.detach().view(BATCH // WAYS, WAYS, BATCH // WAYS, WAYS).diagonal(dim1=0, dim2=2)
            right = siblings.argmax(dim=1) == torch.arange(WAYS)[:, None]
            figures["right of siblings"] = right.float().mean().item()
            figures["naming seen"], figures["naming read"] = (value.item() for value in named)
            figures.update(zip(("count", "x", "y", "size"), off.tolist(), strict=True))
        return loss, figures | {"scale": model.scale.item()}

    fit(model, stage, losses, lambda: model.logit_scale.clamp_(max=math.log(100)), heads)
    pixels = {**CLIP_PIXELS, "image_processor_type": "VideoMAEImageProcessor"}
    save(model, tokenizer, folder, words=clip_settings(TOKENS), pixels=pixels)


# --- evaluation: 1,000 films that training never drew


@torch.inference_mode()
def evaluate(folder: Path) -> None:
    tests = films.distinct(1_000, seed=1)
    model = XCLIPModel.from_pretrained(folder, dtype="float32").eval()
    processor = XCLIPProcessor.from_pretrained(folder)

    def read(captions: Sequence[str]) -> Tensor:
        words = processor(text=list(captions), padding=True, return_tensors="pt")
        return model.get_text_features(**words).pooler_output

    def watch(shown: Sequence[list[Image]]) -> tuple[Tensor, Tensor]:
        parts = []
        for first in range(0, len(shown), 100):
            pixels = processor(videos=shown[first : first + 100], return_tensors="pt").pixel_values
            parts.append(model.embed_with_summaries(pixels))
        found, summaries = (torch.cat(part) for part in zip(*parts, strict=True))
        return found, summaries

    shown = [one.frames(FRAMES, SIZE) for one in tests]
    watched = watch(shown)
    ways = [read([replace(one, motion=motion).caption for motion in MOTIONS]) for one in tests]
    right = np.array([list(MOTIONS).index(one.motion) for one in tests])

    def motions(found: Tensor, summaries: Tensor) -> np.ndarray:
        return np.array(
            [
                score(model.prompts_generator, model.scale, way, film[None], patches[None])[0].argmax().item()
                for way, film, patches in zip(ways, found, summaries, strict=True)
            ]
        )

    told = motions(*watched)
    print(f"the right motion of {len(MOTIONS)}: {np.mean(told == right):.1%}; ", end="")
    print(", ".join(f"{motion} {np.mean(told[right == i] == i):.0%}" for i, motion in enumerate(MOTIONS)))
    plain = [F.cosine_similarity(way, film[None]).argmax().item() for way, film in zip(ways, watched[0], strict=True)]
    print(f"without prompts: {np.mean(np.array(plain) == right):.1%}")
    alone = {
        "first": [[frames[0]] * FRAMES for frames in shown],
        "middle": [one.frames(1, SIZE) * FRAMES for one in tests],
        "last": [[frames[-1]] * FRAMES for frames in shown],
    }
    for name, repeated in alone.items():
        print(f"with the {name} frame repeated: {np.mean(motions(*watch(repeated)) == right):.1%}")

    texts = read([one.caption for one in tests])
    first = (F.normalize(watched[0], dim=-1) @ F.normalize(texts, dim=-1).t()).numpy()
    full = torch.cat(
        [
            score(model.prompts_generator, model.scale, texts, *part)[0]
            for part in zip(*(one.split(50) for one in watched), strict=True)
        ]
    ).numpy()
    answers = list(range(len(tests)))
    for name, scores in (("", full), (" without prompts", first)):
        t2v, v2t = ranks(scores.T, answers), ranks(scores, answers)
        print(f"text to film{name}: R@1 {recall_at(t2v, 1):.1%}, R@5 {recall_at(t2v, 5):.1%}; ", end="")
        print(f"film to text: R@1 {recall_at(v2t, 1):.1%}, R@5 {recall_at(v2t, 5):.1%}")
    overlaps = []
    for text in range(len(tests)):
        candidates = np.argsort(-first[:, text])[:100]
        rescored = candidates[np.argsort(-full[candidates, text])[:10]]
        overlaps.append(len(set(rescored) & set(np.argsort(-full[:, text])[:10])) / 10)
    print(f"the first 10 of the 100 nearest rescored, against scoring all 1,000: overlap {np.mean(overlaps):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["train", *STAGES, "evaluate"], help="train: all stages")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=CACHE, help="what was drawn is kept here")
    given = parser.parse_args()
    for name in STAGES if given.task == "train" else [given.task] if given.task in STAGES else []:
        train(given.folder, name, given.cache)
    evaluate(given.folder)
