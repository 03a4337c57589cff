"""Files of weights: every kind opens, broken and malicious ones are refused by name."""

import argparse
import io
import json
import pickle
import shutil
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, strategies as st
from safetensors.torch import save, save_file

from sightline.checkpoint.fingerprint import fingerprint
from sightline.checkpoint.weight_files import weight_paths
from sightline.checkpoint.weights import Weights, write_weights
from sightline.errors import CheckpointError, ImageError, JsonError
from sightline.files import read_checkpoint_json, read_json, replacing, write_json
from sightline.processing.image.reading import open_image
from sightline.processing.tokenizer import Tokenizer
from sightline.processing.video.sampling import sample_frames
from support.examples import examples

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.float16), "n": torch.arange(3)}


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin", "old.bin", "open_clip.pt"])
def test_opens_every_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if path.suffix == ".safetensors":
        save_file(TENSORS, path)
    elif kind == "open_clip.pt":  # a training checkpoint
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in TENSORS.items()}}, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=kind != "old.bin")
    weights = Weights([path])
    assert weights.drop_prefix() == (kind == "open_clip.pt")
    assert weights.shapes == {"a": (2, 3), "b": (3,), "n": (3,)}
    assert weights.dtype == torch.float32
    for key, tensor in TENSORS.items():
        assert torch.equal(weights.get(key), tensor)


def test_changing_a_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.bin"):
        path = tmp_path / name
        save_file(TENSORS, path) if name.endswith("s") else torch.save(TENSORS, path)
        Weights([path]).get("a").add_(1)
        assert torch.equal(Weights([path]).get("a"), TENSORS["a"])


class Evil:
    """Pickled, it would make a file when opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path: Path, zipped: bool) -> None:
    mark = tmp_path / "executed"
    torch.save({"a": Evil(mark)}, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="nothing else is unpickled"):
        Weights([tmp_path / "x.bin"])
    (tmp_path / "y.bin").write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(CheckpointError, match=r"y\.bin"):
        Weights([tmp_path / "y.bin"])
    assert not mark.exists()


def test_a_torchscript_archive_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ViT-B-32.pt", "w") as archive:
        archive.writestr("ViT-B-32/code/__torch__.py", "print('no')")
        archive.writestr("ViT-B-32/constants.pkl", pickle.dumps(()))
        archive.writestr("ViT-B-32/data.pkl", pickle.dumps({}))
    with pytest.raises(CheckpointError, match=r"TorchScript.*torch\.jit\.load"):
        Weights([tmp_path / "ViT-B-32.pt"])


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {1: torch.ones(1)}, torch.ones(2)])
def test_a_pickle_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match="not a plain dictionary"):
        Weights([tmp_path / "x.bin"])


def _bytes(kind: str) -> bytes:
    if kind == "safetensors":
        return save(TENSORS)
    buffer = io.BytesIO()
    torch.save(TENSORS, buffer, _use_new_zipfile_serialization=kind == "bin")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["safetensors", "bin", "old"])
@examples(150)
@given(data=st.data())
def test_damaged_files_are_named(tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject) -> None:
    """Cut or overwritten anywhere: it opens with the right shapes, or it is refused by name; it never does else."""
    whole = bytearray(_bytes(kind))
    if data.draw(st.booleans(), label="cut"):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        at = data.draw(st.integers(0, len(whole) - 1))
        junk = data.draw(st.binary(min_size=1, max_size=8))
        whole[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("f") / f"model.{'safetensors' if kind == 'safetensors' else 'bin'}"
    path.write_bytes(bytes(whole))
    try:
        weights = Weights([path])
        for key in weights.shapes:
            weights.get(key)
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017 (most examples open)


def test_shards(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "n": "model-2.safetensors"}}
    write_json(tmp_path / "model.safetensors.index.json", index)
    save_file({"a": TENSORS["a"]}, tmp_path / "model-1.safetensors")
    with pytest.raises(CheckpointError, match=r"shard model-2\.safetensors is missing"):
        weight_paths(tmp_path)
    save_file({"b": TENSORS["b"], "n": TENSORS["n"]}, tmp_path / "model-2.safetensors")
    weights = Weights(weight_paths(tmp_path))
    assert all(torch.equal(weights.get(key), tensor) for key, tensor in TENSORS.items())
    save_file(TENSORS, tmp_path / "model-2.safetensors")
    with pytest.raises(CheckpointError, match="a is in another shard too"):
        Weights(weight_paths(tmp_path))


def test_a_shard_never_leaves_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_file(TENSORS, tmp_path / "outside.safetensors")
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"a": "../outside.safetensors"}})
    with pytest.raises(CheckpointError, match="missing"):
        weight_paths(folder)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no weights in it; expected one of model\.safetensors"):
        weight_paths(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff", "[" * 100_000])
def test_json_that_is_no_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(JsonError, match=r"config\.json"):
        read_json(tmp_path / "config.json")
    with pytest.raises(CheckpointError, match=r"config\.json: .*fetch (the file|it) again"):
        read_checkpoint_json(tmp_path / "config.json")


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_weights(path, TENSORS)
    before = path.read_bytes()
    with suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(20_000_000))
    first = fingerprint([path], {"hidden_act": "gelu"})
    assert len(first) == 32
    assert first == fingerprint([path], {"hidden_act": "gelu"})
    assert first != fingerprint([path], {"hidden_act": "quick_gelu"})
    path.write_bytes(bytes(19_999_999) + b"1")
    assert first != fingerprint([path], {"hidden_act": "gelu"})
    assert json.dumps(first)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 605157884\n"
PLACEHOLDERS = {
    "LFS": (POINTER, "a Git LFS pointer, not the file itself: run `git lfs pull` in"),
    "annex": (b"/annex/objects/MD5E-s120--ab.safetensors\n", "a git-annex pointer"),
    "page": (b"\n<!DOCTYPE html>\n<html><title>Sign in</title>", "a web page, not the file itself"),
    "answer": (b"Entry not found", r"a server's answer \('entry not found'\)"),
    "bucket": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a server's answer"),
    "empty": (b"", "an empty file: fetch it again"),
    "zeros": (bytes(4096), "only zeros: a download that did not come to its end"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(range(200)), r"a compressed file \(gzip\)"),
}


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "config.json", "picture.jpg", "film.mp4"])
@pytest.mark.parametrize("kind", PLACEHOLDERS)
def test_what_lies_in_place_of_a_file_is_named(tmp_path: Path, name: str, kind: str) -> None:
    content, message = PLACEHOLDERS[kind]
    path = tmp_path / name
    path.write_bytes(content)
    openers = {
        "config.json": read_checkpoint_json,
        "picture.jpg": open_image,
        "film.mp4": partial(sample_frames, count=1),
    }
    error = ImageError if name.startswith(("picture", "film")) else CheckpointError
    with pytest.raises(error, match=rf"{name}: .*{'empty file' if kind == 'empty' else message}") as raised:
        openers.get(name, lambda path: Weights([path]))(path)
    assert "fetch the file again" not in str(raised.value)
    assert kind != "LFS" or error is ImageError or str(raised.value).endswith(f"`git lfs pull` in {tmp_path}")


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"])
def test_a_pointer_in_place_of_a_tokenizer(tmp_path: Path, vocabulary: Path, word_pieces: Path, file: str) -> None:
    for source in (vocabulary, word_pieces):
        for path in source.iterdir():
            if file != "vocab.txt" or source is word_pieces:
                shutil.copy(path, tmp_path)
    (tmp_path / file).write_bytes(POINTER)
    with pytest.raises(CheckpointError, match=rf"{file}: a Git LFS pointer"):
        Tokenizer.from_folder(tmp_path, 77)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors.part", b"x" * 100, r"model\.safetensors\.part: a download that did not come to its end"),
        ("epoch_10.pt", b"", r"if epoch_10\.pt holds the weights, name that file: /"),
        ("tf_model.h5", b"", r"tf_model\.h5 is written for other libraries"),
    ],
)
def test_a_folder_whose_weights_have_another_name(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        weight_paths(tmp_path)


def test_files_of_other_kinds_under_the_names_of_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save(TENSORS, path)
    with pytest.raises(CheckpointError, match=r"as torch\.save writes it, not safetensors"):
        Weights([path])
    path = tmp_path / "model.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.safetensors", save(TENSORS))
    with pytest.raises(CheckpointError, match="a zip archive, not weights: unpack it"):
        Weights([path])
    path.write_bytes(b"GGUF\x03\0\0\0" + bytes(100))
    with pytest.raises(CheckpointError, match="a GGUF file of quantised weights"):
        Weights([path])
    buffer = io.BytesIO()
    torch.save(TENSORS, buffer)
    path.write_bytes(buffer.getvalue()[:900])
    with pytest.raises(CheckpointError, match="not a whole torch file"):
        Weights([path])


def test_tensors_of_eight_bits_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2).to(torch.float8_e4m3fn)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"type 'F8_E4M3', to which they were quantised"):
        Weights([tmp_path / "model.safetensors"])


OPTIMIZER = {"state": {0: {"step": torch.ones(()), "exp_avg": torch.ones(2, 3)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    "content",
    [
        {"model": TENSORS},
        {"model_state_dict": TENSORS, "optimizer_state_dict": OPTIMIZER, "epoch": 3, "loss": torch.ones(())},
        {"state_dict": TENSORS, "optimizer_states": [OPTIMIZER], "pytorch-lightning_version": "2.4"},
        {"model": {"state_dict": TENSORS}, "rng": torch.ones(4, dtype=torch.uint8)},
        {"ema": {"module": TENSORS}},
        {"module": TENSORS, "optimizer": OPTIMIZER},
        {**TENSORS, "epoch": 3, "optimizer": OPTIMIZER},
    ],
    ids=["model", "model_state_dict", "Lightning", "deeper", "averages", "DeepSpeed", "beside the tensors"],
)
def test_the_model_among_what_a_training_keeps(tmp_path: Path, content: dict[str, object]) -> None:
    torch.save(content, tmp_path / "x.pt")
    weights = Weights([tmp_path / "x.pt"])
    assert weights.shapes.keys() == TENSORS.keys()
    assert all(torch.equal(weights.get(key), tensor) for key, tensor in TENSORS.items())


def test_of_trained_and_averaged_weights_the_trained_are_read_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    averages = {key: tensor + 1 for key, tensor in TENSORS.items()}
    torch.save({"ema": averages, "model": TENSORS}, tmp_path / "x.pt")
    assert torch.equal(Weights([tmp_path / "x.pt"]).get("a"), TENSORS["a"])
    assert "x.pt: holds model, ema; model is read" in caplog.text


@pytest.mark.parametrize("name", ["x.safetensors", "x.bin"])
@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "module.", "model.", "net.", "a.b.c."])
def test_a_beginning_that_all_names_have(tmp_path: Path, name: str, prefix: str) -> None:
    state = {prefix + key: tensor for key, tensor in TENSORS.items()}
    save_file(state, tmp_path / name) if name.endswith("s") else torch.save(state, tmp_path / name)
    weights = Weights([tmp_path / name])
    assert [weights.drop_prefix() for _ in range(prefix.count(".") + 1)] == [True] * prefix.count(".") + [False]
    assert weights.shapes.keys() == TENSORS.keys()
    assert all(torch.equal(weights.get(key), tensor) for key, tensor in TENSORS.items())


def test_what_a_pickle_holds_beside_tensors_is_named(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS, "hyper_parameters": argparse.Namespace(lr=1)}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=r"more than tensors \(argparse\.Namespace\)"):
        Weights([tmp_path / "x.ckpt"])
