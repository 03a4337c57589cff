"""The script `benchmarks/run_clip.py` on drawn pictures: with our classes it does what it does with the reference's."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

import sightline
from sightline.scenes import distinct
from support import twins
from support.contrastive import Recorder, roberta, script

pytestmark = pytest.mark.system

LIBRARIES = ("transformers", "sightline")
PAIRS, STEPS, ROWS = 20, 4, 4
TINY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 20,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several shapes with their captions, one broken; a CLIP; RoBERTas without and with dropout."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("contrastive")
    rows = []
    for number, scene in enumerate(distinct(PAIRS, seed=0)):
        path = folder / f"{number}.png"
        scene.draw(40).resize((40 + number, 31)).save(path)
        rows.append({"image_path": str(path), "caption": scene.caption})
    (folder / "broken.png").write_bytes(b"no picture")
    rows.insert(3, {"image_path": str(folder / "broken.png"), "caption": "nothing"})
    (folder / "pairs.json").write_text("\n".join(map(json.dumps, rows)))
    shutil.copytree(twins.folder("CLIPModel"), folder / "clip")
    size = {"height": 16, "width": 16}
    transformers.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size).save_pretrained(folder / "clip")
    captions = [row["caption"] for row in rows]
    for dropout in (0.0, 0.1):
        roberta(folder / f"roberta {dropout}", captions, 400, dropout, **TINY)
    return folder


def run(library: str, data: Path, output: Path, *words: str, dropout: float = 0.0, **options: Any) -> Recorder:
    """The script's trainer after it has trained."""
    arguments = {
        "image_model": data / "clip",
        "text_model": data / f"roberta {dropout}",
        "train_file": data / "pairs.json",
        "validation_file": data / "pairs.json",
        "output_dir": output / library,
        "max_seq_length": 18,
        "max_steps": STEPS,
        "per_device_train_batch_size": ROWS,
        "learning_rate": 1e-2,
        "weight_decay": 0.1,
        "remove_unused_columns": False,
        "save_strategy": "no",
        "report_to": "none",
        "push_to_hub": False,
        "torch_compile": False,
        "disable_tqdm": True,
        "logging_steps": 1,
        "use_cpu": True,
    }
    given = [word for name, value in (arguments | options).items() for word in (f"--{name}", str(value))]
    return script(library).main([*given, "--do_train", "--do_eval", *words], Recorder)


def both(data: Path, output: Path, *words: str, **options: Any) -> tuple[Recorder, Recorder]:
    """The trainers, ours first, once their losses are known to agree."""
    theirs, ours = (run(library, data, output, *words, **options) for library in LIBRARIES)
    assert type(ours.model).__module__.startswith("sightline.")
    assert all(map(math.isfinite, theirs.losses))
    assert len(set(theirs.losses)) == len(theirs.losses)  # it learns
    assert ours.losses == pytest.approx(theirs.losses, abs=1e-5)
    assert logged(ours) == [pytest.approx(entry, abs=1e-4, rel=1e-4) for entry in logged(theirs)]
    return ours, theirs


def logged(trainer: Recorder) -> list[dict[str, float]]:
    """The log without its times."""
    names = {"loss", "grad_norm", "learning_rate", "eval_loss", "train_loss", "total_flos", "epoch", "step"}
    return [{name: entry[name] for name in names & entry.keys()} for entry in trainer.state.log_history]


def same_weights(ours: Recorder, theirs: Recorder) -> None:
    found, expected = ours.model.reference_state_dict(), theirs.model.state_dict()
    assert found.keys() == {name for name in expected if not name.endswith(("position_ids", "token_type_ids"))}
    for name, tensor in found.items():
        if "k_proj.bias" in name or "key.bias" in name:  # its gradient is 0, but for rounding, which AdamW makes large
            continue
        torch.testing.assert_close(
            tensor, expected[name], atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}"
        )


SETTINGS: dict[str, dict[str, Any]] = {
    "as documented": {},
    "with dropout": {"dropout": 0.1},
    "images frozen, gradients clipped": {"freeze_vision_model": True, "max_grad_norm": 0.01},
    "texts frozen, gradients added up": {"freeze_text_model": True, "gradient_accumulation_steps": 2, "max_steps": 2},
    "another optimizer": {"optim": "rmsprop", "learning_rate": 1e-3, "lr_scheduler_type": "cosine", "warmup_steps": 2},
    "columns removed, labels smoothed": {"remove_unused_columns": True, "label_smoothing_factor": 0.1},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_losses_are_the_reference_s(setting: str, data: Path, tmp_path: Path) -> None:
    ours, theirs = both(data, tmp_path, **SETTINGS[setting])
    same_weights(ours, theirs)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated")
def test_blocks_are_computed_again(data: Path, tmp_path: Path) -> None:
    """Which the reference's pair cannot, but its towers."""
    plain = run("transformers", data, tmp_path, dropout=0.1)
    again = run("sightline", data, tmp_path, dropout=0.1, gradient_checkpointing=True)
    assert again.model.is_gradient_checkpointing
    assert again.losses == pytest.approx(plain.losses, abs=1e-5)


def test_bfloat16(data: Path, tmp_path: Path) -> None:
    theirs, ours = (run(library, data, tmp_path, bf16=True) for library in LIBRARIES)
    assert ours.losses == pytest.approx(theirs.losses, abs=0.05)


def test_the_best_checkpoint_and_a_run_that_goes_on(data: Path, tmp_path: Path) -> None:
    often = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 1, "eval_steps": 1}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": True}
    options = often | best  # the one with the highest loss, which is not the last
    ours, theirs = both(data, tmp_path, **options)
    kept = [Path(trainer.state.best_model_checkpoint).name for trainer in (ours, theirs)]
    assert kept[0] == kept[1] != f"checkpoint-{STEPS}"
    more, _ = both(data, tmp_path, **options | {"max_steps": STEPS + 2})
    assert len(more.losses) == 2  # it went on


def test_what_is_left_on_the_disk(data: Path, tmp_path: Path) -> None:
    ours, theirs = both(data, tmp_path)
    folders = [Path(trainer.args.output_dir) for trainer in (ours, theirs)]
    names = [{path.name for path in folder.iterdir()} for folder in folders]
    assert names[1] - names[0] == {"config.json"}  # the reference's trainer writes it for its own classes alone
    assert load_file(folders[0] / "model.safetensors").keys() == ours.model.state_dict().keys()
    with pytest.raises(OSError, match=r"trainer\.model\.save_pretrained"):
        sightline.AutoModel.from_pretrained(folders[0])
    again = sightline.AutoModel.from_pretrained(folders[0], config=folders[0] / "pair")
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, ours.model.state_dict()[name])
    ours.model.save_pretrained(tmp_path / "saved")
    opened = transformers.AutoModel.from_pretrained(tmp_path / "saved")
    assert type(opened) is type(theirs.model)
