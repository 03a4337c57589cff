"""The model card (README.md) of a checkpoint: the model, its training, its results, how to open it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.checkpoint.selection import Selection
from sightline.distribution import VERSION
from sightline.models.pairs import PairModel
from sightline.train.log import figure_shown
from sightline.train.recipe import Recipe, describe


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run up to a checkpoint: the name of its data and their `fingerprint`, if they have one; `images` trained on,
    counted again in every epoch; images `skipped`, as they could not be read; the `results` of evaluations by step;
    what was changed on the way; by which data this checkpoint was chosen, if it was."""

    data: str
    fingerprint: str | None
    step: int
    steps: int
    images: int
    skipped: int
    results: Mapping[int, Mapping[str, float]]
    changes: str = ""
    selection: Selection | None = None


def model_card(model: PairModel, recipe: Recipe, summary: RunSummary) -> str:
    """Markdown with the front matter of a Hugging Face model card. The license is for the model's author to choose."""
    parts = [
        _front_matter(model, recipe),
        _description(model, recipe, summary),
        _results(summary.results),
        _OPENING.format(model=_name(model), other="transformers"),
        _recipe(recipe),
        f"Sightline {VERSION}, torch {torch.__version__}.\n",
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(model: PairModel, recipe: Recipe) -> str:
    from huggingface_hub import ModelCardData

    kind = model.config.model_type
    about = ModelCardData(
        library_name="sightline",
        pipeline_tag=model.hub_task,
        tags=["sightline", kind, "contrastive"],
        base_model=_hub_name(recipe.model),
    )
    return f"---\n# license: yours to choose, with an eye on the data's and the base model's\n{about.to_yaml()}\n---\n"


def _name(model: PairModel) -> str:
    return model.architecture.removeprefix("FSDP")  # which it puts before the name of what it shards


def _hub_name(model: Any) -> str | None:
    """The name of a model on the Hub; None for a folder, a file, a packaged model or a function."""
    is_name = isinstance(model, str) and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model) and not Path(model).exists()
    return model if is_name else None


def _description(model: PairModel, recipe: Recipe, summary: RunSummary) -> str:
    start = "from scratch" if callable(recipe.model) else f"from `{_one_line(recipe.model)}`"
    if recipe.text_model is not None:
        start += f" and the text tower of `{_one_line(recipe.text_model)}`"
    # The checkpoint holds the adapters merged into its weights.
    parameters = sum(p.numel() for name, p in model.named_parameters() if ".lora_" not in name)
    whole = "" if summary.step == summary.steps else f" of {summary.steps:,}: training is not over"
    fingerprint = f"`{summary.fingerprint}`" if summary.fingerprint else "none: made by a function"
    lines = [
        f"# {_name(model)}, {parameters:,} parameters\n",
        f"Trained {start} with Sightline.\n",
        "| | |",
        "|---|---|",
        f"| data | `{_one_line(summary.data)}` |",
        f"| fingerprint of the data | {fingerprint} |",
        f"| steps | {summary.step:,}{whole} |",
        f"| images or videos seen, with repetitions | {summary.images:,} |",
        f"| left out, as they could not be read | {summary.skipped:,} |",
    ]
    if summary.changes:
        lines.append(f"| changed on the way | {_cell(summary.changes)} |")
    if (chosen := summary.selection) is not None:
        hashed = "" if chosen.data_fingerprint is None else f", fingerprint `{chosen.data_fingerprint}`"
        lines.append(
            f"| chosen by | `{_one_line(chosen.metric)}` on `{_one_line(chosen.data)}`{hashed}: its figures there are "
            "too good |"
        )
    if recipe.ema_decay is not None:
        lines.append(f"| weights | the moving average over steps, decay {recipe.ema_decay} |")
    if recipe.freeze:
        lines.append(f"| frozen | {', '.join(f'the {tower} tower' for tower in recipe.freeze)} |")
    return "\n".join(lines) + "\n"


def _results(results: Mapping[int, Mapping[str, float]]) -> str:
    if not results:
        return ""
    names = sorted({name for figures in results.values() for name in figures}, key=_in_order)
    lines = ["## Results\n", f"| step | {' | '.join(map(_cell, names))} |", "|---" * (len(names) + 1) + "|"]
    for step, figures in sorted(results.items()):
        values = [figure_shown(name, figures[name]) if name in figures else "" for name in names]
        lines.append(f"| {step:,} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _in_order(name: str) -> list[str]:
    """R@5 before R@10."""
    return [part.zfill(9) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


_OPENING = """\
## How to open it

```python
import sightline

encoder = sightline.load("this folder, or the model's name")
texts = encoder.encode_text(["a photo of a dog", "a photo of a cat"])
```

```python
from {other} import AutoModel, AutoProcessor

model = AutoModel.from_pretrained("this folder, or the model's name")  # a {model}
processor = AutoProcessor.from_pretrained("this folder, or the model's name")
```
"""


def _recipe(recipe: Recipe) -> str:
    settings = recipe.settings()
    rows = [f"| {name} | `{_one_line(describe(value))}` |" for name, value in settings.items() if value is not None]
    table = "\n".join(["## Recipe\n", "| setting | value |", "|---|---|", *rows]) + "\n"
    if recipe.source is None:
        return table
    longest = max(map(len, re.findall("`+", recipe.source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{table}\nThe recipe's file. Options of the command line are in the table alone:\n\n" + (
        f"{fence}python\n{recipe.source.rstrip()}\n{fence}\n"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _one_line(value: Any) -> str:
    """For backticks in a table: without backticks and line ends, which would end them."""
    return _cell(str(value)).replace("`", "'")
