"""A run on shards from end to end: counted, skipped, and taken up in the middle of an epoch."""

import csv
import json

import pytest
import torch

from sightline import CLIPConfig, CLIPModel, CLIPProcessor
from sightline.train import Recipe, train
from support.datasets import shard, tar
from support.images import as_bytes, image

pytestmark = pytest.mark.system


@pytest.fixture
def folder(tmp_path, vocabulary):
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((vocabulary / name).read_bytes())
    settings = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 16}, "crop_size": 16}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    shard(tmp_path / "0.tar", range(10))
    more = [("bad.jpg", b"no picture"), ("bad.txt", b"words"), ("alone.png", as_bytes(image(1)))]
    tar(
        tmp_path / "1.tar",
        [
            *more,
            *((f"{i}.{s}", as_bytes(image(i)) if s == "png" else b"a") for i in range(20, 32) for s in ("png", "txt")),
        ],
    )
    return tmp_path


def test_a_run_that_was_broken_off_gives_the_same_weights(folder, capsys):
    processor = CLIPProcessor.from_pretrained(folder)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": len(processor.tokenizer), "eos_token_id": processor.tokenizer.eos_token_id}
    vision = {"image_size": 16, "patch_size": 8}
    config = CLIPConfig(text_config=tower | text, vision_config=tower | vision, projection_dim=8)

    stops = [0]

    def evaluate(path):
        if stops[0]:
            stops[0] -= 1
            raise KeyboardInterrupt
        return {"good": 0.0}

    def run(name):
        recipe = Recipe(
            model=lambda: (CLIPModel(config), processor), data=str(folder / "{0..1}.tar"), epochs=3, batch_size=8,
            checkpoint_every=4, warmup_steps=2, crop=(0.5, 1.0), flip=True, color_jitter=0.2, captions_per_image=2,
            workers=2, evaluate=evaluate,
        )  # fmt: skip
        return train(recipe, folder / name)

    whole = run("whole")
    assert whole.step == round(3 * 23 / 8)
    told = capsys.readouterr().err
    assert "left out of the data: 1 without a file of captions: " in told
    assert "could not be read, 1 in all: " in told
    assert "1.tar/bad.jpg: not an image" in told
    stops[0] = 2
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run("broken")
    assert run("broken").step == whole.step
    first, second = (CLIPModel.from_pretrained(folder / name / "last").state_dict() for name in ("whole", "broken"))
    assert all(torch.equal(first[key], second[key]) for key in first)
    counts = []
    for name in ("whole", "broken"):
        with (folder / name / "log.csv").open() as file:
            counts.append([int(row["skipped"]) for row in csv.DictReader(file)])
    assert counts[0] == counts[1]
    assert 3 <= sum(counts[0]) <= 4  # once an epoch; three rows are of a fourth
