"""The model card of a checkpoint: what Hugging Face reads of it, and what people do."""

import re

import pytest
import yaml
from huggingface_hub import ModelCard

import sightline
from sightline.checkpoint.selection import Selection
from sightline.models import FAMILIES
from sightline.train import open_recipe, train
from sightline.train.model_card import RunSummary, model_card
from support.models import PACKAGED
from support.runs import Numbers, recipe

SUMMARY = RunSummary(
    data="captions|.csv",
    fingerprint="f" * 64,
    step=20,
    steps=40,
    images=320,
    skipped=3,
    results={10: {"R@1": 0.25, "a|b": 1.0}, 20: {"R@1": 0.5}},
    changes="after step 10: total_steps 40",
    selection=Selection(data="val|.csv", data_fingerprint="e" * 64, metric="R@1", checkpoints=2),
)


def written(family="clip", summary=SUMMARY, **changes):
    opened = FAMILIES[family].model.from_pretrained(PACKAGED[family])
    return model_card(opened, recipe(**changes), summary)


@pytest.mark.parametrize("family", PACKAGED)
def test_front_matter(family):
    text = written(family, model="openai/clip-vit-base-patch32")
    about = yaml.safe_load(text.split("---\n")[1])
    assert (
        about.pop("pipeline_tag")
        == {
            "clip": "zero-shot-image-classification",
            "align": "zero-shot-image-classification",
            "groupvit": "image-segmentation",
            "xclip": "video-classification",
        }[family]
    )
    assert about == {
        "library_name": "sightline",
        "base_model": "openai/clip-vit-base-patch32",
        "tags": ["sightline", family, "contrastive"],
    }
    assert "# license: yours" in text.split("---\n")[1]


def test_folders_and_functions_are_no_base_models(tmp_path, monkeypatch):
    assert ModelCard(written()).data.base_model is None
    assert "Trained from scratch" in written()
    (tmp_path / "runs/last").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for start in ("mini", tmp_path / "runs/last", "runs/last"):
        text = written(model=start)
        assert ModelCard(text).data.base_model is None
        assert f"Trained from `{start}`" in text


def test_tables():
    text = written(ema_decay=0.99, freeze=("image",), betas=(0.9, 0.95))
    for row in (
        r"| data | `captions\|.csv` |",
        f"| fingerprint of the data | `{'f' * 64}` |",
        "| steps | 20 of 40: training is not over |",
        "| images or videos seen, with repetitions | 320 |",
        "| left out, as they could not be read | 3 |",
        "| weights | the moving average over steps, decay 0.99 |",
        "| frozen | the image tower |",
        r"| step | R@1 | a\|b |",
        "| 10 | 25.00% | 1 |",
        "| 20 | 50.00% |  |",
        "| changed on the way | after step 10: total_steps 40 |",
        rf"| chosen by | `R@1` on `val\|.csv`, fingerprint `{'e' * 64}`: its figures there are too good |",
        "| betas | `[0.9, 0.95]` |",
        "| data | `Numbers` |",
    ):
        assert row in text.splitlines(), row
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):  # as many cells in each row
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1, table


def test_the_recipe_stands_in_it_whatever_is_in_the_recipe(tmp_path):
    file = tmp_path / "mine.py"
    source = '"""Mine.\n\n```python\nx = 1\n```\n"""\nfrom sightline.train import Recipe\n\n'
    source += 'recipe = Recipe(model="mini", data="x.csv", steps=5)\n'
    file.write_text(source)
    opened = open_recipe(file, steps=7)
    text = model_card(FAMILIES["clip"].model.from_pretrained("mini"), opened, SUMMARY)
    assert f"\n````python\n{source}````\n" in text
    assert "| steps | `7` |" in text
    assert "source" not in opened.settings()


class Torn(Numbers):
    """With a fingerprint, and a picture in each batch that could not be read."""

    fingerprint = "abc"

    def at(self, step):
        whole = super().at(step)
        return type(whole)(whole.pixel_values, whole.input_ids, whole.attention_mask, whole.owner, skipped=1)


def test_every_checkpoint_has_one_and_opens_as_it_says(tmp_path):
    from transformers import AutoModel, AutoProcessor

    run = recipe(data=Torn, steps=14, evaluate=lambda folder: {"good": 0.125})
    outcome = train(run, tmp_path / "run")
    text = (outcome.path / "README.md").read_text()
    for row in (
        "| steps | 14 |",
        "| fingerprint of the data | `abc` |",
        f"| images or videos seen, with repetitions | {14 * 16} |",
        "| left out, as they could not be read | 14 |",
        "| 7 | 0.125 |",
        "| 14 | 0.125 |",
    ):
        assert row in text.splitlines(), row
    first = (tmp_path / "run/best/README.md").read_text()
    assert "| 7 | 0.125 |" in first
    assert "| 14 |" not in first
    assert "| steps | 7 of 14: training is not over |" in first
    model = AutoModel.from_pretrained(outcome.path)
    assert "\nfrom transformers import AutoModel, AutoProcessor\n" in text
    assert f"# a {type(model).__name__}" in text
    assert type(AutoProcessor.from_pretrained(outcome.path)).__name__ == "CLIPProcessor"
    assert sightline.CLIPModel.from_pretrained(outcome.path).config.projection_dim == 24


@pytest.mark.system
def test_what_was_seen_is_counted_over_stops(tmp_path):
    class Stopped(Exception):
        pass

    def stops(folder):
        if folder.name == "step-00000014":
            raise Stopped
        return {"good": 1.0}

    def goes_on(folder):
        return {"good": 1.0}

    goes_on.__qualname__ = stops.__qualname__
    with pytest.raises(Stopped):
        train(recipe(data=Torn, evaluate=stops), tmp_path / "run")
    outcome = train(recipe(data=Torn, evaluate=goes_on), tmp_path / "run")
    text = (outcome.path / "README.md").read_text()
    assert f"| images or videos seen, with repetitions | {40 * 16} |" in text
    assert "| left out, as they could not be read | 40 |" in text
    log = (tmp_path / "run/log.csv").read_text().splitlines()
    assert [line.rsplit(",", 1)[1] for line in log[1:]] == ["1"] * 40


def test_other_data_of_the_same_name_are_refused(tmp_path):
    train(recipe(data=Torn, steps=2), tmp_path / "run")

    class Other(Torn):
        fingerprint = "def"

    Other.__qualname__ = Torn.__qualname__
    with pytest.raises(sightline.SightlineError, match="fingerprint of the data: abc, now def"):
        train(recipe(data=Other, steps=2), tmp_path / "run")
