"""The recipe of "mini-xclip", the X-CLIP that ships in the package: 3.9 M parameters, learned from drawn videos.

    python recipes/mini_xclip.py train FOLDER [--cache FOLDER]
    python recipes/mini_xclip.py evaluate FOLDER

It begins with what "mini" knows of colors, shapes and words, its patches merged four to one, as eight frames cost
eight times a picture. A batch of videos holds the same scenes with several motions each: nothing but the motion tells
them apart. The loss is that of the texts as the videos prompt them plus that of the texts alone, so that a search may
go by plain cosines first. Two linear heads, thrown away after each stage, make the learning quick: one, for both
towers' vectors, has to name the motion; the other has to say of single frames where things are, from the second stage
on also of other pictures, more diverse than the frames of a few videos. Meant for OMP_NUM_THREADS=1, as two threads
wait for one another more than they gain; 20 minutes of one core, and the videos are drawn once and kept in the cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from training import (
    CLIP_PIXELS,
    SEED,
    SIZE,
    Stage,
    arguments,
    as_asked,
    draw_images,
    drawn,
    fit,
    padded,
    save,
    scene,
    varied,
)
from vocabulary import END, byte_pairs, clip_settings, number_of

from sightline import CLIPModel, XCLIPConfig, XCLIPModel, XCLIPProcessor, scenes
from sightline.checkpoint.names import PACKAGED
from sightline.metrics import ranks, recall_at
from sightline.models.xclip.prompts import XCLIPRescorer, similarity
from sightline.nn.loss import contrastive_loss
from sightline.scenes import MOTIONS, distinct_videos, sample_video

SCENES_A_VIDEO = 20  # a video is drawn for so many scenes: 3,000
FRAMES = 8
PATCH = 16
TOKENS = 64
# Each scene is drawn with every motion that is not another one backwards.
DRAWN = ("left", "up", "grows", "appears", "spins", "bounces")
BACKWARDS = {"right": "left", "down": "up", "shrinks": "grows", "vanishes": "appears"}


@dataclass(frozen=True)
class Videos(Stage):
    """`batch_size`: videos; `ways`: with how many motions each scene of a batch comes; `medley`: pictures beside them,
    no two of one scene, from which only layouts are learned."""

    batch_size: int = 32
    ways: int = 2
    medley: int = 64


STAGES = {
    "videos": Videos(1_500, 60, 4e-4, ways=4, medley=0),
    "videos-2": Videos(600, 60, 4e-4, seed=SEED + 1),
    "videos-3": Videos(500, 40, 4e-4, seed=SEED + 2),
}


# --- data


def draw_video(index: int) -> scenes.SceneVideo:
    return sample_video(SEED, index)


def in_every_way(index: int) -> np.ndarray:
    """uint8 (motions, FRAMES, SIZE, SIZE, 3)."""
    ways = [replace(draw_video(index), motion=motion).frames(FRAMES, SIZE) for motion in DRAWN]
    return np.stack([np.stack([np.asarray(frame) for frame in way]) for way in ways])


def layout(things: Sequence[scenes.Thing]) -> tuple[float, ...]:
    """Of a frame's things the sums of 1, of x and y from the middle, and of radii, in units that make them about -1 to
    1. They are easily seen in single frames, and how they change over time tells nearly all motions."""
    parts = [(1.0, (t.x - 0.5) / 0.2, (t.y - 0.5) / 0.2, t.radius / 0.1) for t in things]
    return tuple(map(sum, zip(*parts, strict=True))) if parts else (0.0,) * 4


def over_time(one: scenes.SceneVideo) -> list[tuple[scenes.Thing, ...]]:
    """What is in each frame."""
    moving = [one.at((i + 0.5) / FRAMES) for i in range(FRAMES)]
    return [(*one.scene.things[:-1], thing) if thing else one.scene.things[:-1] for thing in moving]


def by_video(frames: Tensor) -> Tensor:
    """(videos x FRAMES, ...) -> (videos, FRAMES, ...)."""
    return frames.view(-1, FRAMES, *frames.shape[1:])


@dataclass(frozen=True)
class Shown:
    """Videos (B, FRAMES, 3, SIZE, SIZE) in -1..1, their texts (B, length of the longest) and motions' numbers (B,); the
    medley, cut into videos in the same way; the layouts of all frames (videos, FRAMES, 4), first the videos', then the
    medley's."""

    videos: Tensor
    ids: Tensor
    motions: Tensor
    medley: Tensor
    layouts: Tensor


class Batches:
    """Endless batches: some scenes with some motions each, and a medley of pictures."""

    def __init__(self, stage: Videos, tokenizer: Tokenizer, cache: Path) -> None:
        self.stage, self.scenes, self.tokenizer = stage, stage.batch_size // stage.ways, tokenizer
        self.rng = np.random.default_rng(stage.seed)
        count = stage.scenes // SCENES_A_VIDEO
        self.drawn = drawn(cache / f"films-{SEED}-{count}.npy", in_every_way, range(count))
        self.videos = [draw_video(i) for i in range(count)]
        self.images = draw_images(cache, stage.scenes)

    def __call__(self) -> Shown:
        rng = self.rng
        rows = np.sort(rng.choice(len(self.videos), self.scenes, replace=False)).repeat(self.stage.ways)
        ways = [rng.choice(tuple(MOTIONS), self.stage.ways, replace=False) for _ in range(self.scenes)]
        motions = [str(motion) for group in ways for motion in group]
        chosen = [replace(self.videos[row], motion=motion) for row, motion in zip(rows, motions, strict=True)]
        complete = rng.random(len(chosen)) < 0.6
        texts = [
            one.captions[rng.integers(4) if whole else rng.integers(4, len(one.captions))]
            for one, whole in zip(chosen, complete, strict=True)
        ]
        shown = np.concatenate([self.frames(int(row), motion) for row, motion in zip(rows, motions, strict=True)])
        moving = by_video(varied(shown, rng, FRAMES))
        others, medley = np.array([], int), moving[:0]
        if self.stage.medley:
            others = np.sort(rng.choice(len(self.images), self.stage.medley, replace=False))
            medley = by_video(varied(self.images[others], rng))
        places = [layout(things) for one in chosen for things in over_time(one)]
        places += [layout(scene(int(other)).things) for other in others]
        return Shown(
            moving,
            padded([e.ids for e in self.tokenizer.encode_batch(texts)], number_of(END, self.tokenizer)),
            torch.tensor([list(MOTIONS).index(motion) for motion in motions]),
            medley,
            by_video(torch.tensor(places)),
        )

    def frames(self, row: int, motion: str) -> np.ndarray:
        forward = BACKWARDS.get(motion, motion)
        found: np.ndarray = self.drawn[row, DRAWN.index(forward)]
        return found if motion == forward else found[::-1]


# --- model and training


def config(vocab_size: int) -> XCLIPConfig:
    return XCLIPConfig.from_dict(
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
            },
            "vision_config": {
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
            "projection_dim": 128,
            "prompt_layers": 1,
            "prompt_num_attention_heads": 4,
            "prompt_hidden_act": "gelu",
        }
    )


def beginning(tokenizer: Tokenizer) -> XCLIPModel:
    """What "mini" has as well is its own: the first of its layers, the words that both know; the rest is by lot."""
    mini = CLIPModel.from_pretrained("mini", dtype="float32")
    words = Tokenizer.from_file(str(PACKAGED / "mini" / "tokenizer.json")).get_vocab()
    model = XCLIPModel(config(tokenizer.get_vocab_size()))
    state, known = model.state_dict(), mini.state_dict()
    patches = known["vision_model.embeddings.patch_embedding.weight"]
    known["vision_model.embeddings.patch_embedding.weight"] = patches.repeat(1, 1, 2, 2) / 4
    places = known["vision_model.embeddings.position_embedding.weight"]
    grid = places[1:].view(SIZE // 8, SIZE // 8, -1).permute(2, 0, 1)
    known["vision_model.embeddings.position_embedding.weight"] = torch.cat(
        [places[:1], F.avg_pool2d(grid, 2).flatten(1).t()]
    )
    vectors = state["text_model.embeddings.token_embedding.weight"].clone()
    for token, number in tokenizer.get_vocab().items():
        if token in words:
            vectors[number] = known["text_model.embeddings.token_embedding.weight"][words[token]]
    known["text_model.embeddings.token_embedding.weight"] = vectors
    model.load_state_dict({name: known.get(name, value) for name, value in state.items()})
    return model


def train(folder: Path, name: str, stage: Videos, cache: Path) -> None:
    """One stage: the first from "mini", others from what lies in `folder`."""
    torch.manual_seed(stage.seed)
    if name == next(iter(STAGES)):
        count = min(4_000, stage.scenes)
        captions = [text for i in range(count) for text in draw_video(i).captions]
        tokenizer = byte_pairs(captions + [text for i in range(count) for text in scene(i).captions], TOKENS)
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
        batch = batches()
        with torch.autocast("cpu", torch.bfloat16):
            frames = model.vision_model(torch.cat([batch.videos, batch.medley]))
            seen = by_video(model.visual_projection(frames.pooler_output)).float()
            own = len(batch.motions) * FRAMES
            found = model.integrate(frames.pooler_output[:own]).pooler_output.float()
            summaries = model.summarise(frames.last_hidden_state[:own]).float()
            texts = model.get_text_features(batch.ids).pooler_output.float()
        logits = model.scale * similarity(texts + model.prompts_generator(texts, summaries), found)[0]
        prompted = contrastive_loss(logits)
        plain = contrastive_loss(model.scale * F.normalize(found, dim=-1) @ F.normalize(texts, dim=-1).t())
        named, read = F.cross_entropy(naming(found), batch.motions), F.cross_entropy(naming(texts), batch.motions)
        off = (placing(seen) - batch.layouts).square().mean(dim=(0, 1))
        # Of the videos that show the same scene: how often the text with the right motion wins.
        count, ways = len(logits) // stage.ways, stage.ways
        siblings = logits.detach().reshape(count, ways, count, ways).diagonal(dim1=0, dim2=2)
        right = (siblings.argmax(dim=1) == torch.arange(stage.ways)[:, None]).float().mean()
        figures = {"prompted": prompted, "plain": plain, "right of siblings": right, "naming seen": named}
        figures |= {"naming read": read, "scale": model.scale}
        figures |= dict(zip(("count", "x", "y", "size"), off, strict=True))
        return prompted + plain + named + read + 2 * off.sum(), {name: v.item() for name, v in figures.items()}

    fit(model, stage, losses, lambda: model.logit_scale.clamp_(max=math.log(100)), heads)
    pixels = {**CLIP_PIXELS, "image_processor_type": "VideoMAEImageProcessor"}
    save(model, tokenizer, folder, words=clip_settings(TOKENS), pixels=pixels)


# --- evaluation: videos that training never drew, 1,000 if no other number is asked for


@torch.inference_mode()
def evaluate(folder: Path, count: int | None) -> None:
    tests = distinct_videos(count or 1_000, seed=1)
    model = XCLIPModel.from_pretrained(folder, dtype="float32").eval()
    rescorer = XCLIPRescorer.from_pretrained(folder, dtype="float32").eval()
    processor = XCLIPProcessor.from_pretrained(folder)

    def read(captions: Sequence[str]) -> Tensor:
        words = processor(text=list(captions), padding=True, return_tensors="pt")
        return model.get_text_features(**words).pooler_output

    def watch(shown: Sequence[list[Image]]) -> tuple[Tensor, Tensor]:
        parts = []
        for first in range(0, len(shown), 100):
            pixels = processor(videos=shown[first : first + 100], return_tensors="pt").pixel_values
            parts.append(model.embed_with_extras(pixels))
        found, summaries = (torch.cat(part) for part in zip(*parts, strict=True))
        return found, summaries

    shown = [one.frames(FRAMES, SIZE) for one in tests]
    watched = watch(shown)
    ways = [read([replace(one, motion=motion).caption for motion in MOTIONS]) for one in tests]
    right = np.array([list(MOTIONS).index(one.motion) for one in tests])

    def motions(found: Tensor, summaries: Tensor) -> np.ndarray:
        return np.array(
            [
                rescorer(way, video[None], patches[None]).argmax().item()
                for way, video, patches in zip(ways, found, summaries, strict=True)
            ]
        )

    predicted = motions(*watched)
    print(f"the right motion of {len(MOTIONS)}: {np.mean(predicted == right):.1%}; ", end="")
    print(", ".join(f"{motion} {np.mean(predicted[right == i] == i):.0%}" for i, motion in enumerate(MOTIONS)))
    plain = [F.cosine_similarity(way, video[None]).argmax().item() for way, video in zip(ways, watched[0], strict=True)]
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
    full = rescorer(texts, *watched).numpy()
    answers = list(range(len(tests)))
    for name, scores in (("", full), (" without prompts", first)):
        t2v, v2t = ranks(scores.T, answers), ranks(scores, answers)
        print(f"text to video{name}: R@1 {recall_at(t2v, 1):.1%}, R@5 {recall_at(t2v, 5):.1%}; ", end="")
        print(f"video to text: R@1 {recall_at(v2t, 1):.1%}, R@5 {recall_at(v2t, 5):.1%}")
    overlaps = []
    for text in range(len(tests)):
        candidates = np.argsort(-first[:, text])[:100]
        rescored = candidates[np.argsort(-full[candidates, text])[:10]]
        overlaps.append(len(set(rescored) & set(np.argsort(-full[:, text])[:10])) / 10)
    print(
        f"the first 10 of the 100 nearest rescored, against scoring all {len(tests):,}: overlap {np.mean(overlaps):.4f}"
    )


def main() -> None:
    given = arguments(__doc__, ["train", *STAGES, "evaluate"]).parse_args()
    for name in STAGES if given.task == "train" else [given.task] if given.task in STAGES else []:
        train(given.folder, name, as_asked(STAGES[name], given), given.cache)
    evaluate(given.folder, given.tests)


if __name__ == "__main__":
    main()
