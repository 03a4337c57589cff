"""Precision "int8": near float32, fixed grids, one line for what cannot be."""

import copy
import pickle
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import torch

import sightline
from sightline import scenes
from sightline.encoder import int8
from sightline.encoder.hardware import pick_precision
from sightline.encoder.int8 import read_grids, write_grids
from sightline.errors import UsageError
from support.models import PACKAGED

DRAWN = scenes.distinct(8, seed=9)
PICTURES, CAPTIONS = [scene.draw(160) for scene in DRAWN], [scene.caption for scene in DRAWN]
WITH_BLOCKS = [name for family, name in PACKAGED.items() if family != "align"]

needs_kernels = pytest.mark.skipif(
    not torch.backends.cpu.get_cpu_capability().startswith("AVX"), reason="no kernels for int8 on this processor"
)
pytestmark = needs_kernels


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platformdirs, "user_cache_path", lambda name: folder / name)
        yield folder


def least_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum(1).min())


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_images_are_near_float32(name: str) -> None:
    exact, quick = (sightline.load(name, precision=kind).encode_images(PICTURES) for kind in ("float32", "int8"))
    assert 0.997 < least_cosine(exact, quick) < 0.999999


@pytest.mark.parametrize("name", PACKAGED.values())
def test_texts_are_near_float32(name: str) -> None:
    exact, quick = (sightline.load(name, precision=kind).encode_text(CAPTIONS) for kind in ("float32", "int8"))
    assert 0.999 < least_cosine(exact, quick) < 0.999999


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_an_image_does_not_depend_on_its_neighbours(name: str) -> None:
    encoder = sightline.load(name, precision="int8")
    tower = encoder._image
    frames = (encoder.config.frames,) if encoder.config.takes_videos else ()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, *frames, 3, *encoder.profile.crop_size, generator=generator)
    with torch.inference_mode():
        alone = tower.embed(images)
        for others in (torch.zeros_like(images), torch.randn_like(images), torch.full_like(images, 1e30)):
            others[1] = images[1]
            assert torch.equal(tower.embed(others)[1], alone[1])


@pytest.mark.parametrize("name", PACKAGED.values())
def test_a_text_does_not_depend_on_its_neighbours(name: str) -> None:
    encoder = sightline.load(name, precision="int8")
    ids, mask = (torch.from_numpy(a) for a in encoder.tokenizer.pad(encoder.tokens(CAPTIONS), None))
    with torch.inference_mode():
        alone = encoder._text.embed(ids, mask)
        others = ids.roll(1, 0)
        others[2], mask = ids[2], mask.roll(1, 0).index_copy(0, torch.tensor([2]), mask[2:3])
        assert torch.equal(encoder._text.embed(others, mask)[2], alone[2])


def test_bytes_are_the_values_that_they_stand_for() -> None:
    encoder = sightline.load("mini", precision="int8")
    pixels = np.stack([encoder.profile.resize_and_crop(picture) for picture in PICTURES])
    values = torch.from_numpy(encoder.profile.normalize(pixels))
    with torch.inference_mode():
        given = encoder._image.embed(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        assert torch.equal(encoder._image.embed(values), given)


def test_grids_are_measured_once(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    first = sightline.load("mini", precision="int8").encode_text(CAPTIONS)
    monkeypatch.setattr(int8, "measured", None)
    np.testing.assert_array_equal(sightline.load("mini", precision="int8").encode_text(CAPTIONS), first)
    for note in (cache / "sightline" / "int8").iterdir():
        note.write_bytes(note.read_bytes()[:-40])
    monkeypatch.undo()
    np.testing.assert_array_equal(sightline.load("mini", precision="int8").encode_text(CAPTIONS), first)


def test_grids_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(name: str) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(platformdirs, "user_cache_path", no_home)
    assert np.isfinite(sightline.load("mini", precision="int8").encode_text(CAPTIONS)).all()


def test_grids_in_a_file(tmp_path: Path, cache: Path) -> None:
    sightline.load("mini", precision="int8").encode_text(CAPTIONS)
    grids = read_grids(next((cache / "sightline" / "int8").iterdir()))
    write_grids(tmp_path / "grids.safetensors", grids)
    again = read_grids(tmp_path / "grids.safetensors")
    assert again.keys() == grids.keys()
    assert all(
        torch.equal(again[name].steps, grid.steps) and again[name].zero == grid.zero for name, grid in grids.items()
    )


def test_pickled_and_copied() -> None:
    encoder = sightline.load("mini", precision="int8")
    expected = encoder.encode_images(PICTURES)
    for again in (pickle.loads(pickle.dumps(encoder)), copy.deepcopy(encoder)):
        np.testing.assert_array_equal(again.encode_images(PICTURES), expected)


def test_what_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"mini-align: its tower for images is made of convolutions.*bfloat16"):
        sightline.load("mini-align", precision="int8").encode_images(PICTURES)
    with pytest.raises(UsageError, match=r"int8 has no kernels on cuda:0: take --device cpu"):
        pick_precision("int8", torch.device("cuda:0"))
    with pytest.raises(UsageError, match=r"precision 'int7' is not known: choose auto, .*int8"):
        pick_precision("int7", torch.device("cpu"))


def test_a_processor_without_the_instructions(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert pick_precision("int8", torch.device("cpu")) == "int8"
    assert "int8 is slow on this processor" in caplog.text
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with pytest.raises(UsageError, match=r"no quick kernels on this processor"):
        pick_precision("int8", torch.device("cpu"))
