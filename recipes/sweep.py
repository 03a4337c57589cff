"""What width, heads, learning rate and batch size do to a small CLIP: one at a time, around one centre, on scenes.

    python recipes/sweep.py FOLDER

Each run sees the same number of pairs in the same order; the centre is trained with three seeds, which shows what is
chance. FOLDER gets the scenes, a run with its log and checkpoint for each setting, a `retrieval.json` of 500 unseen
scenes beside each, `sweep.csv` and, plotted, `sweep.html`. Broken off, the same command goes on. About 15 minutes of
one core.
"""

import argparse
import csv
import io
import math
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from draw_scenes import draw
from markupsafe import Markup

import sightline
from sightline import CLIPConfig, CLIPModel, CLIPProcessor, scenes
from sightline.data import captions
from sightline.evaluate import Result
from sightline.evaluate.retrieval import measure, retrieval
from sightline.files import write_text
from sightline.report.page import write_page
from sightline.report.plots import check_installed, grid, groups, lines
from sightline.report.tables import table
from sightline.train import Recipe, train

SIZE, PATCH, LAYERS = 64, 16, 2
SCENES, ROUNDS, UNSEEN = 6_400, 5, 500
SEED = 11
FIGURES = {
    "mean_recall": "mean recall",
    "text_to_image_R@10": "text to image R@10",
    "image_to_text_R@10": "image to text R@10",
}


@dataclass(frozen=True)
class Setting:
    """A run: width and heads of both towers, the highest learning rate, pairs in a step."""

    width: int = 128
    heads: int = 4
    lr: float = 1e-3
    batch_size: int = 128
    seed: int = 0

    @property
    def name(self) -> str:
        return "-".join(f"{key}{value:g}" for key, value in asdict(self).items())

    def model(self) -> tuple[CLIPModel, CLIPProcessor]:
        """A new CLIP that reads with mini's vocabulary."""
        processor = CLIPProcessor.from_pretrained("mini")
        words = CLIPModel.from_pretrained("mini").config.text_config
        tower = {
            "hidden_size": self.width,
            "intermediate_size": 4 * self.width,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": self.heads,
            "hidden_act": "gelu",
        }
        ids = {key: getattr(words, key) for key in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")}
        config = CLIPConfig.from_dict(
            {
                "text_config": tower | ids | {"max_position_embeddings": words.max_position_embeddings},
                "vision_config": tower | {"image_size": SIZE, "patch_size": PATCH},
                "projection_dim": 128,
            }
        )
        return CLIPModel(config), processor

    def recipe(self, folder: Path) -> Recipe:
        steps = SCENES * ROUNDS // self.batch_size
        return Recipe(
            model=self.model,
            data=folder / "scenes",
            steps=steps,
            batch_size=self.batch_size,
            lr=self.lr,
            warmup_steps=steps // 10,
            seed=self.seed,
            workers=1,
            checkpoint_every=steps,
            evaluate=partial(evaluate, self, folder),
        )


CENTRE = Setting()
AXES: dict[str, tuple[float, ...]] = {
    "width": (64, 96, 128, 192),
    "heads": (1, 2, 4, 8),
    "lr": (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3),
    "batch_size": (32, 64, 128, 256),
}


def changed(axis: str, value: float) -> Setting:
    """The centre with another value of one of its settings."""
    change: dict[str, Any] = {axis: value}
    return replace(CENTRE, **change)


def settings() -> list[Setting]:
    """The centre, twice more with other seeds, and what differs from it in one thing."""
    others = [changed(axis, value) for axis, values in AXES.items() for value in values]
    return list(dict.fromkeys([CENTRE, replace(CENTRE, seed=1), replace(CENTRE, seed=2), *others]))


def evaluate(setting: Setting, folder: Path, checkpoint: Path) -> dict[str, float]:
    encoder = sightline.load(checkpoint, precision="float32")
    found = retrieval(encoder, captions(folder / "unseen"), settings=asdict(setting))
    found.save(folder / setting.name / "retrieval.json")
    return dict(found.figures)


def sweep(folder: Path) -> None:
    check_installed()
    if not (folder / "scenes/captions.jsonl").exists():
        draw([scenes.sample(SEED, number) for number in range(SCENES)], folder / "scenes", SIZE)
    if not (folder / "unseen/captions.jsonl").exists():
        draw(scenes.distinct(UNSEEN, seed=SEED + 1), folder / "unseen", SIZE)
    results = {}
    for number, setting in enumerate(settings(), 1):
        print(f"{number} of {len(settings())}: {setting}", flush=True)
        if train(setting.recipe(folder), folder / setting.name).stopped:
            return  # by Ctrl-C, say
        results[setting] = Result.open(folder / setting.name / "retrieval.json")
    tell(folder, results)


# --- the table and the page


def tell(folder: Path, results: dict[Setting, Result]) -> None:
    rows = [
        asdict(setting) | {"parameters": parameters(folder / setting.name), "loss": loss(folder / setting.name)[-1]}
        | {name: result.figures[name] for name in FIGURES}
        for setting, result in results.items()
    ]  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "sweep.csv", out.getvalue())
    seeds = [result.figures["mean_recall"] for setting, result in results.items() if replace(setting, seed=0) == CENTRE]
    centre = ", ".join(f"{name} {value:g}" for name, value in asdict(CENTRE).items() if name != "seed")
    note = (
        f"Around one centre ({centre}); {SCENES * ROUNDS:,} pairs each; {UNSEEN} unseen scenes with all their "
        "captions. Bars: middle 95% of the bootstrap over these scenes. By the seed alone, "
        f"{len(seeds)} runs of the centre lie {np.ptp(seeds):.1%} apart in mean recall."
    )
    body = Markup(
        "<header><h1>Width, heads, learning rate and batch size of a small CLIP</h1><p>{}</p></header>\n"
    ).format(note)
    for axis, values in AXES.items():
        own = {f"{value:g}": changed(axis, value) for value in values}
        found = {
            label: [(results[one].figures[name], interval(results[one], name)) for one in own.values()]
            for name, label in FIGURES.items()
        }
        # Of what guessing has, ln(batch_size): the more pairs are in a step, the harder it is to tell them apart.
        curves = {
            f"{axis} {value}": (one.batch_size * np.arange(1, len(of) + 1), np.array(of) / math.log(one.batch_size))
            for value, one in own.items()
            for of in [loss(folder / one.name)]
        }
        drawn = groups(f"Recall by {axis}", list(own), found), lines(f"Loss by {axis}", "pairs seen", "", curves)
        body += Markup("<h2>{}</h2>\n").format(axis.capitalize()) + grid(*drawn)
    cells = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    body += table(list(rows[0]), cells, heading="All runs")
    page = {"title": "Sweep", "style": "report.css", "body": body, "footer": "recipes/sweep.py"}
    write_page(folder / "sweep.html", "page.html.j2", **page)


def interval(result: Result, name: str) -> list[float]:
    """The middle 95% of a figure, were the unseen scenes others: drawn again from themselves (the bootstrap)."""
    count = len(result.samples["key"])
    weights = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), 300).astype(np.float64)
    return [float(value) for value in np.quantile(measure(result.samples, weights)[name], [0.025, 0.975])]


def parameters(run: Path) -> int:
    return CLIPModel.from_pretrained(run / "last").num_parameters()


def loss(run: Path) -> list[float]:
    """Of each step the mean of the twentieth of all steps that ends with it."""
    with (run / "log.csv").open(newline="") as file:
        each = np.array([float(row["loss"]) for row in csv.DictReader(file)])
    most = max(1, len(each) // 20)
    sums = np.concatenate([[0.0], each.cumsum()])
    ends = np.arange(1, len(each) + 1)
    starts = np.maximum(0, ends - most)
    means: list[float] = ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
    return means


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    sweep(parser.parse_args().folder)
