"""`sightline optimize --to int8`: a checkpoint in int8, measured on a folder of images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import sightline
from sightline import scenes
from sightline.cli.calibrating import calibrate_into
from sightline.errors import CheckpointError, SightlineError, UsageError

pytestmark = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith("AVX"), reason="no kernels for int8 on this processor"
)

DRAWN = scenes.distinct(8, seed=4)
PICTURES, CAPTIONS = [scene.draw(160) for scene in DRAWN], [scene.caption for scene in DRAWN]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, scene in enumerate(scenes.distinct(6, seed=1)):
        scene.draw(120).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "texts.txt").write_text("\n".join(scene.caption for scene in scenes.distinct(12, seed=1)))
    return folder


@pytest.fixture(scope="module")
def made(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "int8"
    said = calibrate_into(out, "mini", [str(photos)], photos / "texts.txt")
    assert "measured on 6 images and 12 texts" in said
    return out


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1)


def test_it_opens_in_int8_and_is_near_the_original(made: Path) -> None:
    exact, quick = sightline.load("mini", precision="float32"), sightline.load(made, precision="int8")
    assert cosines(exact.encode_images(PICTURES), quick.encode_images(PICTURES)).min() > 0.999
    assert cosines(exact.encode_text(CAPTIONS), quick.encode_text(CAPTIONS)).min() > 0.998
    assert quick.fingerprint != exact.fingerprint


def test_auto_is_int8_where_that_is_quick(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    assert sightline.load(made).precision == "int8"
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert sightline.load(made).precision in ("bfloat16", "float32")


def test_it_needs_no_cache(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sightline.load(made, precision="int8").encode_images(PICTURES)
    monkeypatch.setattr("sightline.encoder.int8.measured", None)
    np.testing.assert_array_equal(sightline.load(made, precision="int8").encode_images(PICTURES), first)


def test_weights_are_small_and_read_as_floats(made: Path) -> None:
    original = sightline.CLIPModel.from_pretrained("mini", dtype="float32")
    model = sightline.CLIPModel.from_pretrained(made)
    whole = sum(tensor.numel() for tensor in original.parameters()) * 4
    assert (made / "model.safetensors").stat().st_size < 0.5 * whole
    assert model.dtype == torch.float32
    for (name, tensor), expected in zip(model.named_parameters(), original.parameters(), strict=True):
        assert torch.allclose(tensor, expected, atol=float(expected.detach().abs().max()) / 200), name


def test_saved_again_it_is_a_checkpoint_of_floats(made: Path, tmp_path: Path) -> None:
    sightline.CLIPModel.from_pretrained(made).save_pretrained(tmp_path)
    assert "quantization_config" not in json.loads((tmp_path / "config.json").read_text())
    sightline.CLIPModel.from_pretrained(tmp_path)


def test_a_damaged_file_of_grids(made: Path, tmp_path: Path) -> None:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "int8_texts.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"int8_texts.safetensors: damaged"):
        sightline.load(tmp_path, precision="int8").encode_text(CAPTIONS)


@pytest.mark.parametrize(
    ("model", "source", "texts", "message"),
    [
        ("mini", None, None, "give a folder of some that are like yours, --calibrate DIR"),
        ("mini", "none", None, "there is no such folder of images"),
        ("mini", "empty", None, "there are no images in it"),
        ("mini", "unreadable", None, "there is nothing to measure int8 on"),
        ("mini", "photos", "empty.txt", "there are no texts in it"),
        ("mini", "photos", "none.txt", "no such file"),
        ("mini-align", "photos", None, "its tower for images is made of convolutions"),
    ],
)
def test_what_cannot_be(
    model: str, source: str | None, texts: str | None, message: str, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "a.jpg").write_bytes(b"no image")
    (tmp_path / "empty.txt").write_text("\n \n")
    folder = str(photos) if source == "photos" else str(tmp_path / str(source))
    with pytest.raises(SightlineError, match=message):
        calibrate_into(
            tmp_path / "out", model, [] if source is None else [folder], None if texts is None else tmp_path / texts
        )
    assert not [file for file in tmp_path.iterdir() if "out" in file.name]


def test_a_folder_that_is_there(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        calibrate_into(tmp_path, "mini", [str(photos)], None)
