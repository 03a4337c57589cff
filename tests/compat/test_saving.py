"""Saving: the files that both libraries open, and what is sent to the Hub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file

import sightline
from sightline.errors import CheckpointError, HubError, UnknownArgument, UsageError
from support import tiny
from support.hub import FakeHub, use


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(params=tiny.FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    return tiny.model(request.param, dtype=torch.float32)


def theirs(folder: Path, model: Any, **options: Any) -> Any:
    return getattr(transformers, type(model).__name__).from_pretrained(folder, **options)


@pytest.mark.parametrize(
    ("options", "opened", "files"),
    [
        ({}, {}, {"model.safetensors"}),
        ({"safe_serialization": False}, {}, {"pytorch_model.bin"}),
        ({"variant": "fp16"}, {"variant": "fp16"}, {"model.fp16.safetensors"}),
        ({"max_shard_size": "5GB"}, {}, {"model.safetensors"}),
        ({"max_shard_size": 20_000}, {}, None),
        ({"max_shard_size": "20KB", "variant": "fp16"}, {"variant": "fp16"}, None),
        ({"max_shard_size": "20KB", "safe_serialization": False}, {}, None),
    ],
    ids=str,
)
def test_both_libraries_open_what_is_saved(
    model: Any, tmp_path: Path, options: dict[str, Any], opened: dict[str, Any], files: set[str] | None
) -> None:
    model.save_pretrained(tmp_path, **options)
    names = {path.name for path in tmp_path.iterdir()} - {"config.json"}
    if files is None:
        (index,) = (name for name in names if name.endswith(".json"))
        files = {index, *json.loads((tmp_path / index).read_text())["weight_map"].values()}
        assert len(files) > 2
    assert names == files
    assert same(type(model).from_pretrained(tmp_path, **opened).state_dict(), model.state_dict())
    assert same(theirs(tmp_path, model, **opened).state_dict(), model.reference_state_dict())


@pytest.mark.parametrize("first", [{}, {"max_shard_size": 20_000}, {"safe_serialization": False}], ids=str)
@pytest.mark.parametrize(
    "second", [{}, {"max_shard_size": 30_000}, {"safe_serialization": False}, {"max_shard_size": "4MB"}], ids=str
)
def test_an_earlier_save_is_never_opened_in_its_place(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    old, new = tiny.model("clip", dtype=torch.float32), tiny.model("clip", dtype=torch.float32)
    new.logit_scale.data.fill_(3)
    old.save_pretrained(tmp_path, **first)
    (tmp_path / "README.md").write_text("stays")
    new.save_pretrained(tmp_path, **second)
    assert sightline.CLIPModel.from_pretrained(tmp_path).logit_scale == 3
    assert transformers.CLIPModel.from_pretrained(tmp_path).logit_scale == 3
    names = {path.name for path in tmp_path.iterdir()}
    assert "README.md" in names
    shards = {name for name in names if "-of-" in name}
    indexes = [json.loads((tmp_path / name).read_text()) for name in names if name.endswith("index.json")]
    assert shards == {shard for index in indexes for shard in index["weight_map"].values()}


def test_tensors_in_place_of_the_model_s(model: Any, tmp_path: Path) -> None:
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()
    }
    model.save_pretrained(tmp_path / "ours", state_dict=half)
    named = {f"module.{name}": tensor for name, tensor in model.reference_state_dict().items()}
    model.save_pretrained(tmp_path / "theirs", state_dict=named)
    assert type(model).from_pretrained(tmp_path / "ours").dtype == torch.float16
    assert same(type(model).from_pretrained(tmp_path / "theirs").state_dict(), model.state_dict())
    with pytest.raises(UsageError, match="state_dict: nonsense is no tensor of a"):
        model.save_pretrained(tmp_path, state_dict=named | {"module.nonsense": torch.ones(1)})


def test_a_tower_alone_is_opened_by_both(tmp_path: Path) -> None:
    tower = sightline.CLIPVisionModel.from_pretrained("mini")
    tower.save_pretrained(tmp_path, max_shard_size="500KB")
    assert same(transformers.CLIPVisionModel.from_pretrained(tmp_path).state_dict(), tower.reference_state_dict())


def test_arguments(tmp_path: Path) -> None:
    model = tiny.model("clip", dtype=torch.float32)
    model.save_pretrained(tmp_path / "nothing", is_main_process=False, save_function=torch.save, save_peft_format=False)
    assert not (tmp_path / "nothing").exists()
    written: list[int] = []
    model.save_pretrained(
        tmp_path,
        safe_serialization=False,
        save_function=lambda state, path: written.append(torch.save(state, path) or 1),
    )
    assert written == [1]
    with pytest.raises(UnknownArgument, match="max_shard: no such argument"):
        model.save_pretrained(tmp_path, max_shard="5GB")
    with pytest.raises(ValueError, match="max_shard_size='5 apples': give a number of bytes, or '5GB'"):
        model.save_pretrained(tmp_path, max_shard_size="5 apples")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file: name a folder"):
        model.save_pretrained(tmp_path / "file")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub({})
    use(monkeypatch, fake.url)
    yield fake
    fake.close()


def test_a_model_is_sent_to_the_hub(hub: FakeHub, tmp_path: Path) -> None:
    model = tiny.model("clip", dtype=torch.float32)
    sent = model.push_to_hub(
        "owner/new", token="hf_mine", private=True, commit_message="Better", revision="dev", max_shard_size=20_000
    )
    assert sent.commit_url.startswith(f"{hub.url}/owner/new/commit/")
    (commit,) = hub.commits
    assert (commit["repo"], commit["private"], commit["summary"], commit["revision"]) == (
        "owner/new", True, "Better", "dev",
    )  # fmt: skip
    for name, content in commit["files"].items():
        (tmp_path / name).write_bytes(content)
    assert same(sightline.CLIPModel.from_pretrained(tmp_path).state_dict(), model.state_dict())


@pytest.mark.parametrize("kind", ["model", "config", "processor"])
def test_everything_that_is_saved_can_be_sent(hub: FakeHub, kind: str) -> None:
    what = {"model": sightline.CLIPModel, "config": sightline.CLIPConfig, "processor": sightline.CLIPProcessor}[kind]
    opened = what.from_pretrained("mini")
    opened.push_to_hub("owner/new", token="hf_mine", create_pr=True, tags=["cats", "dogs"])
    (commit,) = hub.commits
    assert (commit["summary"], commit["revision"]) == (f"Upload CLIP{kind.title()}", "refs/pr/1")
    wanted = {"model": "model.safetensors", "config": "config.json", "processor": "tokenizer.json"}[kind]
    assert wanted in commit["files"]
    assert b"- cats\n- dogs\n" in commit["files"]["README.md"]


def test_saved_and_sent(hub: FakeHub, tmp_path: Path) -> None:
    model = tiny.model("clip", dtype=torch.float32)
    model.save_pretrained(tmp_path / "my-clip", push_to_hub=True, token="hf_mine")
    assert (tmp_path / "my-clip/model.safetensors").is_file()
    assert hub.commits[0]["repo"] == "somebody/my-clip"
    assert set(hub.commits[0]["files"]) == {"config.json", "model.safetensors"}


def test_what_goes_wrong_is_one_error(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    config = sightline.CLIPConfig.from_pretrained("mini")
    with pytest.raises(HubError, match=r"owner/new: could not be sent .*401.*hf auth login"):
        config.push_to_hub("owner/new", token=False)
    with pytest.raises(HubError, match="owner/new/x: Repo id must be"):
        config.push_to_hub("owner/new/x", token="hf_mine")
    use(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(OSError, match="could not be sent to the Hub") as caught:
        config.push_to_hub("owner/new", token="hf_mine")
    assert isinstance(caught.value, HubError)
    assert caught.value.reason == "offline"


@pytest.mark.parametrize("options", [{}, {"max_shard_size": "50KB"}, {"safe_serialization": False}])
def test_a_save_that_fails_leaves_the_earlier_one(tmp_path: Path, options: dict[str, Any]) -> None:
    model: Any = sightline.CLIPModel.from_pretrained("mini")
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    model.logit_scale.data.zero_()
    model.config.my_note = object()  # which JSON cannot hold
    with pytest.raises(UsageError, match="JSON cannot hold"):
        model.save_pretrained(tmp_path, **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("named", ["CLIPModel", "CLIPVisionModel", "CLIPTextModelWithProjection"])
def test_a_trainer_s_folder(tmp_path: Path, named: str) -> None:
    model: Any = sightline.CLIPModel.from_pretrained("mini")
    save_file(model.state_dict(), tmp_path / "model.safetensors")  # as `transformers.Trainer.save_model` does
    with pytest.raises(CheckpointError, match=r"model\.config\.save_pretrained\("):
        getattr(sightline, named).from_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    opened, wanted = (getattr(sightline, named).from_pretrained(place) for place in (tmp_path, "mini"))
    assert same(opened.state_dict(), wanted.state_dict())
