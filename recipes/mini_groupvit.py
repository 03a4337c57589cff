"""The recipe of "mini-groupvit": a GroupViT of 1.5 M parameters that learned from captions alone what is where.

    python recipes/mini_groupvit.py train FOLDER [--cache FOLDER]
    python recipes/mini_groupvit.py shuffled FOLDER [--cache FOLDER]    the control: all captions are of other pictures
    python recipes/mini_groupvit.py evaluate FOLDER [CONTROL]

The scenes, their pictures and their captions are the mini's, and so is the text tower, as it is: it knows the words of
scenes. All else begins from nothing, and no mask and no box is ever seen. Beside the loss of pictures and captions,
there is one of nouns and places. Xu et al. (2022), section 3.3, take nouns out of each caption as more texts that match
its picture; here they must match places in it. Each noun of the caption must have a few patches that say it, and each
patch must say one of the caption's nouns, where a patch says what its groups say: what `segmentation_logits` gives.
From that alone the groups find the things, as nothing else is as good a sign of a word as the thing it names.
"""

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from training import CLIP_PIXELS, SEED, Batches, Stage, arguments, as_asked, fit, padded, save, scene
from vocabulary import END, clip_settings, number_of

import sightline
from sightline import CLIPModel, CLIPProcessor, GroupViTConfig, GroupViTModel, GroupViTTextConfig, scenes
from sightline.metrics import confusion, iou, mean_iou
from sightline.nn.loss import contrastive_loss

MINI = Path(sightline.__file__).parent / "pretrained" / "mini"
SIZE, PATCH = 60, 5  # pixels
TOKENS = 64  # the mini's longest text
GROUPS = 8
PLACES = 4  # so many patches must say a noun
HONESTY = 0.3  # the weight of "each patch must say one of the caption's nouns"

# 1,600 steps were worse, at 128 wide: groups learn to say the whole picture's nouns wherever there is a thing.
STAGE = Stage(300, 60, 2e-3, batch_size=128)


# --- nouns: three ways to name a thing, and the backgrounds

BACKGROUNDS = [background.phrase for background in scenes.BACKGROUNDS.values()]


def an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def names(color: str, shape: str) -> dict[str, str]:
    return {"color and shape": an(f"{color} {shape}"), "color": f"something {color}", "shape": an(shape)}


# {"color": ["something red", ...], ...}
NAMES = {
    way: list(dict.fromkeys(names(color, shape)[way] for color in scenes.COLORS for shape in scenes.SHAPES))
    for way in ("color and shape", "color", "shape")
}
NOUNS = [*BACKGROUNDS, *(name for each in NAMES.values() for name in each)]
PLACE = {noun: i for i, noun in enumerate(NOUNS)}
# Of each way, the numbers of its names and of the backgrounds: what one patch can't say two of.
RIVALS = [torch.tensor([*range(len(BACKGROUNDS)), *map(PLACE.__getitem__, each)]) for each in NAMES.values()]
PAIR = re.compile(rf"({'|'.join(scenes.COLORS)}) ({'|'.join(scenes.SHAPES)})")


def nouns(caption: str) -> list[int]:
    """Of a full caption, read from its words."""
    found = [PLACE[phrase] for phrase in BACKGROUNDS if phrase in caption]
    return found + [PLACE[name] for pair in PAIR.findall(caption) for name in names(*pair).values()]


class Captioned(Batches):
    """Batches as the mini's, with the nouns of each scene's caption (scenes, nouns); `shuffled`: of another scene's."""

    def __init__(self, stage: Stage, tokenizer: Tokenizer, cache: Path, shuffled: bool) -> None:
        super().__init__(stage, tokenizer, number_of(END, tokenizer), cache)
        order = np.random.default_rng(SEED).permutation(self.scenes) if shuffled else np.arange(self.scenes)
        self.texts = [self.texts[i] for i in order]
        self.nouns = torch.zeros(self.scenes, len(NOUNS), dtype=torch.bool)
        for row, i in enumerate(order):
            self.nouns[row, nouns(scene(int(i)).caption)] = True


def placed(logits: Tensor, named: Tensor) -> Tensor:
    """`logits` (B, T, N) of T patches saying N rival nouns, `named` (B, N): those of the captions -> the loss."""
    said = logits.log_softmax(-1)
    noun_has_places = said.topk(PLACES, dim=1).values.logsumexp(1) - math.log(PLACES)
    patch_has_noun = said.masked_fill(~named[:, None], -math.inf).logsumexp(-1)
    return -noun_has_places[named].mean() - HONESTY * patch_has_noun.mean()


# --- model and training


def config(text: dict[str, object]) -> GroupViTConfig:
    vision = {
        "hidden_size": 96,
        "intermediate_size": 384,
        "depths": [2, 1],
        "num_hidden_layers": 3,
        "num_group_tokens": [GROUPS, 0],
        "num_output_groups": [GROUPS, 0],
        "num_attention_heads": 2,
        "image_size": SIZE,
        "patch_size": PATCH,
        "hidden_act": "gelu",
    }
    sizes = {"projection_dim": 128, "projection_intermediate_dim": 512}
    return GroupViTConfig.from_dict({"text_config": text, "vision_config": vision, **sizes})


def begin() -> GroupViTModel:
    """The mini's text tower, no longer to be trained, and all else from nothing."""
    mini = CLIPModel.from_pretrained(MINI, dtype="float32")
    shared = GroupViTTextConfig().settings()
    text = {key: value for key, value in mini.config.text_config.settings().items() if key in shared}
    del text["model_type"]
    model = GroupViTModel(config(text))
    model.text_model.load_state_dict(mini.text_model.state_dict())
    # Groups that start far apart: among the first values that the config gives, the first patches find no difference.
    nn.init.normal_(model.vision_model.encoder.stages[0].group_token)
    return model


def train(folder: Path, stage: Stage, cache: Path, shuffled: bool) -> None:
    torch.manual_seed(stage.seed)
    tokenizer = Tokenizer.from_file(str(MINI / "tokenizer.json"))
    model = begin()
    model.train().set_attn_implementation("eager")  # as in the mini's recipe
    model.text_model.requires_grad_(False)
    print(f"{model.num_parameters():,} parameters")
    batches = Captioned(stage, tokenizer, cache, shuffled)
    asked = padded([e.ids for e in tokenizer.encode_batch(NOUNS)], batches.pad)
    with torch.no_grad():
        asked = model.text_model(asked).pooler_output

    def losses(step: int) -> tuple[Tensor, dict[str, float]]:
        batch = batches(step)
        seen = F.interpolate(batch.pixels, (SIZE, SIZE), mode="bilinear", antialias=True)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                read = model.text_model(batch.ids).pooler_output
            texts = model.text_projection(torch.cat([read, asked]))
            vision = model.vision_model(seen, output_attentions=True)
            # The whole picture and its groups go through one batch norm together, as they will through its means.
            tokens = torch.cat([vision.pooler_output[:, None], vision.last_hidden_state], 1)
            views = model.visual_projection.of_each(tokens)
        captions, words = torch.split(F.normalize(texts.float(), dim=-1), [len(read), len(asked)])
        views = F.normalize(views.float(), dim=-1)
        scale, rows = model.scale, batch.rows
        pairs = contrastive_loss(scale * captions @ views[:, 0].T)
        said = vision.attentions[0].float().transpose(1, 2) @ (scale * views[:, 1:] @ words.T)
        places = [placed(said[..., rivals], batches.nouns[rows][:, rivals]) for rivals in RIVALS]
        figures = dict(zip(NAMES, (value.item() for value in places), strict=True))
        return pairs + sum(places) / len(places), {batch.kind: pairs.item(), **figures, "scale": scale.item()}

    fit(model, stage, losses, bound=lambda: model.logit_scale.clamp_(max=math.log(100)))
    pixels = {**CLIP_PIXELS, "size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}
    save(model, tokenizer, folder, words=clip_settings(TOKENS), pixels=pixels)


# --- evaluation: scenes that training never drew, half of them with a held-out pair of shape and color


@torch.no_grad()
def segmentations(folder: Path, drawn: list[Image.Image]) -> Iterator[Tensor]:
    """`segmentation_logits` of all nouns in each picture, (nouns, SIZE, SIZE)."""
    model, processor = GroupViTModel.from_pretrained(folder, dtype="float32"), CLIPProcessor.from_pretrained(folder)
    ids = processor(text=NOUNS, padding=True, return_tensors="pt").input_ids
    for first in range(0, len(drawn), 20):
        shown = processor(images=drawn[first : first + 20], return_tensors="pt").pixel_values
        yield from model(ids, shown, output_segmentation=True).segmentation_logits


def mean_ious(tests: list[scenes.Scene], logits: Iterable[Tensor]) -> dict[str, float]:
    """Of each way to name things: the mIoU over all its names and the background, which is where the phrase of one of
    the backgrounds wins. "own nouns": asked for what the picture has, things and background; the mean over pictures.
    """
    matrices = {way: np.zeros((len(each) + 1,) * 2, np.int64) for way, each in NAMES.items()}
    pictures: list[float] = []
    things: list[float] = []
    for one, scores in zip(tests, logits, strict=True):
        mask, named = one.mask(SIZE), [names(thing.color, thing.shape) for thing in one.things]
        for way, each in NAMES.items():
            background, own = scores[: len(BACKGROUNDS)].amax(0, keepdim=True), [PLACE[name] for name in each]
            found = torch.cat([background, scores[own]]).argmax(0).numpy()
            true = np.array([0, *(1 + each.index(name[way]) for name in named)])[mask]
            matrices[way] += confusion(true, found, len(each) + 1)
        own = [PLACE[scenes.BACKGROUNDS[one.background].phrase], *(PLACE[name["color and shape"]] for name in named)]
        matrix = confusion(mask, scores[own].argmax(0).numpy(), len(own))
        pictures.append(mean_iou(matrix))
        things.extend(iou(matrix)[1:])
    results = {way: mean_iou(matrix) for way, matrix in matrices.items()}
    results |= {f"{way}, background alone": float(iou(matrix)[0]) for way, matrix in matrices.items()}
    return {**results, "own nouns": float(np.mean(pictures)), "own nouns, things alone": float(np.nanmean(things))}


def evaluate(folder: Path, control: Path | None, count: int | None) -> None:
    tests = scenes.distinct(count or 500, seed=1)
    drawn = [one.draw(224) for one in tests]
    ours = mean_ious(tests, segmentations(folder, drawn))
    theirs = mean_ious(tests, segmentations(control, drawn)) if control else {}
    for name, value in ours.items():
        print(f"mIoU by {name}: {value:.3f}", end="")
        print(f", {value / theirs[name]:.1f} times the control's {theirs[name]:.3f}" if theirs else "")


def main() -> None:
    parser = arguments(__doc__, ["train", "shuffled", "evaluate"])
    parser.add_argument("control", type=Path, nargs="?", help="what `shuffled` made, to compare with")
    given = parser.parse_args()
    if given.task != "evaluate":
        train(given.folder, as_asked(STAGE, given), given.cache, shuffled=given.task == "shuffled")
    evaluate(given.folder, given.control, given.tests)


if __name__ == "__main__":
    main()
