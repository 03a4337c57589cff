"""What a name opens: a folder, a packaged model, a repository on the Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sightline.checkpoint.hub import resolve
from sightline.checkpoint.names import PACKAGED
from sightline.checkpoint.weight_files import weight_files, weight_paths
from sightline.errors import CheckpointError, HubError, UsageError
from support.hub import FakeHub, use

FILES = {
    "config.json": b'{"model_type": "clip"}',
    "tokenizer.json": b"{}",
    "model.safetensors": bytes(range(256)) * 40,
    "pytorch_model.bin": b"not to be fetched",
    "flax_model.msgpack": b"nor this",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub(dict(FILES))
    use(monkeypatch, fake.url)
    yield fake
    fake.close()


def test_folders_and_packaged_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(tmp_path) == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clip").mkdir()
    assert resolve("~/clip") == tmp_path / "clip"
    if (PACKAGED / "mini").exists():
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mini").mkdir()
        assert resolve("mini") == PACKAGED / "mini"  # a folder that happens to lie around does not change its meaning
        assert resolve("./mini") == Path("mini")


@pytest.mark.parametrize("name", ["/no/such/folder", "./nor/this", "a/b/c", "-- what?", "~/none"])
def test_what_is_neither_folder_nor_name(name: str) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder"):
        resolve(name)


def test_fetches_what_is_needed_once(hub: FakeHub, tmp_path: Path) -> None:
    folder = resolve("owner/model", cache_dir=tmp_path)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        name: FILES[name] for name in ("config.json", "tokenizer.json", "model.safetensors")
    }
    assert resolve("owner/model", cache_dir=tmp_path) == folder
    assert sorted(hub.downloads) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_without_weights(hub: FakeHub, tmp_path: Path) -> None:
    folder = resolve("owner/model", cache_dir=tmp_path, weights=False)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "tokenizer.json"]


def test_shards_and_bin(hub: FakeHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    folder = resolve("owner/model", cache_dir=tmp_path / "bin")
    assert (folder / "pytorch_model.bin").exists()
    hub.files |= {
        "model.safetensors.index.json": b"{}",
        "model-00001-of-00002.safetensors": b"1",
        "model-00002-of-00002.safetensors": b"2",
    }
    folder = resolve("owner/model", cache_dir=tmp_path / "shards")
    assert sorted(p.name for p in folder.glob("model*")) == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    ]


@pytest.mark.parametrize("local_files_only", [True, False])
def test_the_cache_serves_without_network(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_files_only: bool
) -> None:
    folder = resolve("owner/model", cache_dir=tmp_path)
    hub.close()
    use(monkeypatch, "http://127.0.0.1:9")
    assert resolve("owner/model", cache_dir=tmp_path, local_files_only=local_files_only) == folder


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"no network.*mini") as caught:
        resolve("owner/model", cache_dir=tmp_path)
    assert caught.value.reason == "offline"
    with pytest.raises(HubError, match="not in the cache") as caught:
        resolve("owner/model", cache_dir=tmp_path, local_files_only=True)
    assert caught.value.reason == "offline"


def test_no_such_name_or_revision(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(HubError, match="no such model") as caught:
        resolve("owner/other", cache_dir=tmp_path)
    assert caught.value.reason == "unknown"
    with pytest.raises(HubError, match="no revision 'v9'") as caught:
        resolve("owner/model", cache_dir=tmp_path, revision="v9")
    assert caught.value.reason == "unknown"


def test_no_checkpoint_in_it(hub: FakeHub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    with pytest.raises(HubError, match=r"holds none of model\.safetensors"):
        resolve("owner/model", cache_dir=tmp_path)
    del hub.files["config.json"]
    with pytest.raises(HubError, match=r"holds no config\.json"):
        resolve("owner/model", cache_dir=tmp_path)


def test_gated(hub: FakeHub, tmp_path: Path) -> None:
    hub.gated = True
    with pytest.raises(HubError, match="gated") as caught:
        resolve("owner/model", cache_dir=tmp_path)
    assert caught.value.reason == "gated"


@pytest.mark.system
def test_half_a_download_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.cut = ["model.safetensors"]
    folder = resolve("owner/model", cache_dir=tmp_path)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_download_that_keeps_breaking_off(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits longer each time
    hub.cut = ["model.safetensors"] * 50
    with pytest.raises(HubError, match="broke off") as caught:
        resolve("owner/model", cache_dir=tmp_path)
    assert caught.value.reason == "partial"
    hub.cut = []
    folder = resolve("owner/model", cache_dir=tmp_path)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_truncated_file_in_the_cache_is_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    path = resolve("owner/model", cache_dir=tmp_path) / "model.safetensors"
    path.resolve().write_bytes(b"half")
    assert (resolve("owner/model", cache_dir=tmp_path) / path.name).read_bytes() == FILES["model.safetensors"]


def test_a_file_that_fails_its_hash(hub: FakeHub, tmp_path: Path) -> None:
    hub.spoiled = {"model.safetensors"}
    with pytest.raises(HubError, match=r"model\.safetensors fails its hash, twice") as caught:
        resolve("owner/model", cache_dir=tmp_path)
    assert caught.value.reason == "corrupt"
    assert hub.downloads.count("model.safetensors") == 2
    hub.spoiled = set()
    assert (resolve("owner/model", cache_dir=tmp_path) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_weights_that_are_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blobs")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: a link to nothing"):
        weight_paths(tmp_path)


def test_a_download_that_is_forced_replaces_what_the_cache_has(hub: FakeHub, tmp_path: Path) -> None:
    path = resolve("owner/model", cache_dir=tmp_path) / "config.json"
    path.resolve().write_bytes(b"{}" + b" " * 20)  # of the same length: nothing shows that it was changed
    assert resolve("owner/model", cache_dir=tmp_path).joinpath("config.json").read_bytes() != FILES["config.json"]
    hub.downloads.clear()
    again = resolve("owner/model", cache_dir=tmp_path, force_download=True)
    assert (again / "config.json").read_bytes() == FILES["config.json"]
    assert sorted(hub.downloads) == ["config.json", "model.safetensors", "tokenizer.json"]
    with pytest.raises(UsageError, match="leave one of them out"):
        resolve("owner/model", cache_dir=tmp_path, force_download=True, local_files_only=True)


def test_what_is_forced_is_not_taken_from_the_cache(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve("owner/model", cache_dir=tmp_path)
    use(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(HubError, match="cannot be fetched again: no network") as caught:
        resolve("owner/model", cache_dir=tmp_path, force_download=True)
    assert caught.value.reason == "offline"


@pytest.mark.parametrize(("token", "sent"), [("hf_mine", {"Bearer hf_mine"}), (False, {None})])
def test_the_token_goes_with_every_request(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | bool, sent: set[str | None]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_computer")
    resolve("owner/model", cache_dir=tmp_path, token=token)
    assert hub.tokens == sent


def test_a_folder_within_the_checkpoint(hub: FakeHub, tmp_path: Path) -> None:
    hub.files |= {f"small/{name}": content for name, content in FILES.items()}
    hub.files["small/config.json"] = b'{"model_type": "align"}'
    folder = resolve("owner/model", cache_dir=tmp_path, subfolder="small")
    assert (folder.name, (folder / "config.json").read_bytes()) == ("small", hub.files["small/config.json"])
    assert resolve(folder.parent, subfolder="small/") == folder
    assert resolve("owner/model", cache_dir=tmp_path, subfolder="small", local_files_only=True) == folder
    with pytest.raises(HubError, match=r"owner/model, large: holds no config\.json"):
        resolve("owner/model", cache_dir=tmp_path, subfolder="large")
    with pytest.raises(CheckpointError, match="there is no folder large in it"):
        resolve(folder.parent, subfolder="large")
    with pytest.raises(UsageError, match="does not lie in the checkpoint's folder"):
        resolve(folder, subfolder="../..")


@pytest.mark.parametrize(
    ("names", "options", "wanted"),
    [
        (["model.safetensors", "pytorch_model.bin"], {"use_safetensors": False}, ["pytorch_model.bin"]),
        (["model.safetensors", "model.fp16.safetensors"], {"variant": "fp16"}, ["model.fp16.safetensors"]),
        (
            ["model.safetensors.index.fp16.json", "model.fp16-00001-of-00001.safetensors", "model.safetensors"],
            {"variant": "fp16"},
            ["model.fp16-00001-of-00001.safetensors", "model.safetensors.index.fp16.json"],
        ),
    ],
)
def test_which_weights_are_fetched(
    hub: FakeHub, tmp_path: Path, names: list[str], options: dict[str, Any], wanted: list[str]
) -> None:
    hub.files = {"config.json": b"{}", **dict.fromkeys(names, b"1")}
    folder = resolve("owner/model", cache_dir=tmp_path, weight_files=weight_files(**options))
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", *wanted]


def test_weights_of_another_kind_than_is_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"1")
    with pytest.raises(CheckpointError, match=r"but pytorch_model\.bin: leave out variant and use_safetensors"):
        weight_paths(tmp_path, weight_files(use_safetensors=True))
    with pytest.raises(UsageError, match=r"variant='\.\./x' is no part of a file's name"):
        weight_files(variant="../x")


@pytest.mark.parametrize("name", ["/no/such/folder", "owner/other"])
def test_errors_are_the_system_s_too(hub: FakeHub, tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="no such") as caught:
        resolve(name, cache_dir=tmp_path)
    assert isinstance(caught.value, CheckpointError)
