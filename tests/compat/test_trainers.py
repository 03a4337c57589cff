"""`transformers.Trainer` and a loop with `accelerate` train each family as our own trainer does."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader, Dataset

import sightline
from sightline.train.batch import Batch
from sightline.train.loss import ContrastiveLoss
from sightline.train.parallel import Parallel
from sightline.train.step import backward
from support import twins
from support.contrastive import Recorder
from support.twins import ALL, WHOLE

RATE, STEPS, ROWS = 1e-3, 2, 4


@pytest.fixture(autouse=True)
def _accelerators_of_one_s_own() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)


class Pairs(Dataset[dict[str, Any]]):
    """Eight pairs, four a step, and a column that no model reads."""

    def __init__(self, name: str) -> None:
        self.given = twins.inputs(name, STEPS * ROWS)
        self.column_names = [*self.given, "file"]

    def __len__(self) -> int:
        return STEPS * ROWS

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {name: tensor[row] for name, tensor in self.given.items()} | {"file": f"{row}.jpg"}


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("input_ids", "attention_mask", "pixel_values")
    return {name: torch.stack([row[name] for row in rows]) for name in names} | {"return_loss": True}


def model_of(name: str, ours: bool = True) -> Any:
    """A model, ours or the reference's, that draws the same noise (GroupViT's) at each call."""
    model = twins.twins(name)[0 if ours else 1]
    model.register_forward_pre_hook(_seed)
    return model.train()


def _seed(*_: Any) -> None:
    torch.manual_seed(0)


def by_our_trainer(name: str) -> tuple[list[float], dict[str, torch.Tensor]]:
    """The losses of two steps of ours, and the parameters after them."""
    model = model_of(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    losses, data = [], Pairs(name).given
    for step in range(STEPS):
        rows = slice(step * ROWS, (step + 1) * ROWS)
        texts = (data[key][rows] for key in ("input_ids", "attention_mask"))
        batch = Batch(data["pixel_values"][rows], *texts, torch.arange(ROWS))
        optimizer.zero_grad()
        torch.manual_seed(0)
        loss = ContrastiveLoss(model.label_smoothing)
        losses.append(float(backward(model, batch, loss, parallel=Parallel("cpu")).loss))
        optimizer.step()
    return losses, dict(model.named_parameters())


def same_parameters(found: nn.Module, expected: dict[str, torch.Tensor]) -> None:
    for name, parameter in found.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def trainer(name: str, folder: Path, ours: bool = True, **options: Any) -> Recorder:
    arguments = {
        "output_dir": folder,
        "max_steps": STEPS,
        "per_device_train_batch_size": ROWS,
        "per_device_eval_batch_size": ROWS,
        "learning_rate": RATE,
        "optim": "sgd",
        "train_sampling_strategy": "sequential",
        "lr_scheduler_type": "constant",
        "max_grad_norm": 0.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }
    arguments = transformers.TrainingArguments(**arguments | options)
    return Recorder(model_of(name, ours), arguments, collate, Pairs(name), Pairs(name))


@pytest.mark.system
@pytest.mark.parametrize("name", WHOLE)
def test_the_reference_s_trainer(name: str, tmp_path: Path) -> None:
    expected, parameters = by_our_trainer(name)
    trained = trainer(name, tmp_path, remove_unused_columns=name != "CLIPModel")
    trained.train()
    assert trained.losses == pytest.approx(expected, rel=1e-5)
    same_parameters(trained.model, parameters)
    assert trained.state.total_flos > 0
    assert trained.evaluate()["eval_loss"] > 0
    trained.save_model(tmp_path / "state")
    again, _ = twins.twins(name)
    again.load_state_dict(load_file(tmp_path / "state/model.safetensors"))
    same_parameters(again, parameters)
    trained.model.save_pretrained(tmp_path / "saved")  # by which the config is saved, and the reference's names
    same_parameters(getattr(sightline, name).from_pretrained(tmp_path / "saved"), parameters)


@pytest.mark.system
@pytest.mark.parametrize("name", WHOLE)
def test_the_reference_s_own_losses(name: str, tmp_path: Path) -> None:
    """With what the reference's trainer does where nothing is said: AdamW, gradients clipped, fewer weights decayed."""
    options = {"optim": "adamw_torch", "max_grad_norm": 1.0, "weight_decay": 0.1, "max_steps": 4}
    ours, theirs = (trainer(name, tmp_path, is_ours, **options) for is_ours in (True, False))
    ours.train()
    theirs.train()
    assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
    norms = [
        [entry["grad_norm"] for entry in each.state.log_history if "grad_norm" in entry] for each in (ours, theirs)
    ]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_the_same_weights_are_decayed(name: str) -> None:
    """The reference's trainer decides it by the names of parameters and the classes of their modules."""
    ours, theirs = twins.twins(name)
    decayed = set(transformers.Trainer.get_decay_parameter_names(None, ours))  # type: ignore[arg-type]
    expected = set(transformers.Trainer.get_decay_parameter_names(None, theirs))  # type: ignore[arg-type]
    # These two of the reference leave out in memory what the files' names begin with.
    prefix = {"CLIPTextModel": "text_model.", "CLIPVisionModel": "vision_model."}.get(name, "")
    found = {file for key in dict(ours.named_parameters()) if key in decayed for file in ours.file_names(key)}
    assert 0 < len(found) < len(theirs.state_dict())
    assert found == {prefix + key for key, _ in theirs.named_parameters() if key in expected}


def test_evaluation_and_prediction(tmp_path: Path) -> None:
    trained = trainer("CLIPModel", tmp_path)
    expected = trained.model.eval()(**collate([Pairs("CLIPModel")[row] for row in range(ROWS)]))
    assert trained.evaluate()["eval_loss"] > 0
    found = trained.predict(Pairs("CLIPModel"))
    assert found.metrics["test_loss"] > 0
    torch.testing.assert_close(torch.tensor(found.predictions[0][:ROWS, :ROWS]), expected.logits_per_image.detach())


@pytest.mark.system
def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    expected, parameters = by_our_trainer("CLIPModel")
    trainer("CLIPModel", tmp_path, max_steps=1, save_strategy="steps", save_steps=1).train()
    assert (tmp_path / "checkpoint-1").is_dir()
    more = trainer("CLIPModel", tmp_path, save_strategy="steps", save_steps=1)
    more.train(resume_from_checkpoint=True)
    assert more.losses == pytest.approx(expected[1:], rel=1e-5)
    same_parameters(more.model, parameters)


@pytest.mark.system
def test_gradients_of_several_batches_and_checkpointing(tmp_path: Path) -> None:
    plain = trainer("CLIPModel", tmp_path, max_steps=1, gradient_accumulation_steps=2)
    kept = trainer("CLIPModel", tmp_path, max_steps=1, gradient_accumulation_steps=2, activation_checkpointing=True)
    plain.train()
    kept.train()
    assert plain.losses == kept.losses == pytest.approx(_each(), rel=1e-5)
    assert [entry["loss"] for entry in plain.state.log_history[:1]] == pytest.approx([sum(_each()) / 2], rel=1e-5)
    same_parameters(kept.model, dict(plain.model.named_parameters()))


def _each() -> list[float]:
    model, data = model_of("CLIPModel"), Pairs("CLIPModel")
    halves = ([data[row] for row in range(start, start + ROWS)] for start in (0, ROWS))
    return [model(**collate(rows)).loss.item() for rows in halves]


@pytest.mark.system
@pytest.mark.parametrize("name", WHOLE)
def test_accelerate(name: str, tmp_path: Path) -> None:
    expected, parameters = by_our_trainer(name)
    accelerator = Accelerator(cpu=True)
    model = model_of(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    loader = DataLoader(Pairs(name), ROWS, collate_fn=collate)  # type: ignore[arg-type]
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    losses = []
    for batch in loader:
        out = model(**batch)
        accelerator.backward(out.loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    same_parameters(accelerator.unwrap_model(model), parameters)
    accelerator.save_state(tmp_path / "state")
    for parameter in model.parameters():
        parameter.data.zero_()
    accelerator.load_state(tmp_path / "state")
    same_parameters(accelerator.unwrap_model(model), parameters)


@pytest.mark.parametrize("name", WHOLE)
def test_accelerate_in_bfloat16(name: str) -> None:
    expected = model_of(name)(**collate([Pairs(name)[row] for row in range(ROWS)]))
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    model = accelerator.prepare(model_of(name))
    out = model(**collate([Pairs(name)[row] for row in range(ROWS)]))
    assert type(out) is type(expected)
    assert out.loss.dtype == out.text_model_output.last_hidden_state.dtype == torch.float32
    assert out.loss.item() == pytest.approx(expected.loss.item(), abs=0.1)
    accelerator.backward(out["loss"])


@pytest.mark.system
def test_a_classifier(tmp_path: Path) -> None:
    rows = [
        {"pixel_values": picture, "labels": row % 2}
        for row, picture in enumerate(Pairs("CLIPModel").given["pixel_values"])
    ]
    arguments = {"output_dir": tmp_path, "max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1}
    arguments |= {"train_sampling_strategy": "sequential", "gradient_accumulation_steps": 2, "max_grad_norm": 0.0}
    quiet = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "save_strategy": "no"}
    ours, theirs = twins.twins("CLIPForImageClassification")
    theirs.accepts_loss_kwargs = False  # as its losses are means; else it would not divide them by the batches
    trained = []
    for model in (ours, theirs):
        options = transformers.TrainingArguments(**arguments, **quiet)
        trained.append(Recorder(model, options, train_dataset=rows, eval_dataset=rows))
        trained[-1].train()
    assert trained[0].losses == pytest.approx(trained[1].losses, rel=1e-4)
    mine, expected = (one.predict(rows) for one in trained)
    torch.testing.assert_close(torch.tensor(mine.predictions), torch.tensor(expected.predictions), atol=1e-4, rtol=1e-3)
    assert mine.label_ids.tolist() == [0, 1] * 4
