"""Towers compiled by torch."""

import logging
import pickle

import numpy as np
import pytest

import sightline
from sightline.encoder import compiled
from sightline.scenes import sample


@pytest.fixture
def useful(monkeypatch):
    """As on a device for which compiling can help."""
    monkeypatch.setattr(compiled, "helps", lambda device: True)


def pictures(count):
    return [sample(number).draw(96) for number in range(count)]


def test_is_not_done_where_it_cannot_help(monkeypatch, caplog):
    monkeypatch.setattr(compiled, "helps", lambda device: False)
    with caplog.at_level(logging.WARNING):
        encoder = sightline.load("mini", precision="float32", compile=True, batch_size=2)
    assert "not compiled" in caplog.text
    plain = sightline.load("mini", precision="float32", batch_size=2)
    given = pictures(4)
    assert np.array_equal(encoder.encode_images(given), plain.encode_images(given))


@pytest.mark.system
@pytest.mark.filterwarnings("default")
def test_whole_batches_alone_are_compiled(useful, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    encoder = sightline.load("mini", precision="float32", compile=True, batch_size=2)
    plain, given = sightline.load("mini", precision="float32", batch_size=2), pictures(4)
    with caplog.at_level(logging.WARNING):
        one = encoder.encode_images(given[:1])
        encoder.encode_text(["a red circle"])
        assert "compiling" not in caplog.text
        several = encoder.encode_images(given)
    assert caplog.text.count("compiling") == 1
    assert "cannot be compiled" not in caplog.text
    assert any(tmp_path.rglob("*.so"))
    np.testing.assert_allclose(several, plain.encode_images(given), atol=1e-5)
    np.testing.assert_array_equal(one, plain.encode_images(given[:1]))
    streamed = [item.vector for item in encoder.stream(given[:3], lambda image: (image, None))]
    np.testing.assert_array_equal(streamed, several[:3])  # a batch that is filled up, by the same program
    again = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(again.encode_images(given[:1]), one)


@pytest.mark.filterwarnings("default")
def test_runs_as_it_is_where_it_cannot_be_compiled(useful, monkeypatch, caplog):
    def no_compiler(*args, **options):
        raise RuntimeError("no C++ compiler\nand a page of advice")

    monkeypatch.setattr(compiled.torch, "compile", no_compiler)
    given = pictures(4)
    with caplog.at_level(logging.WARNING):
        found = sightline.load("mini", precision="float32", compile=True, batch_size=2).encode_images(given)
    assert "cannot be compiled here, and runs as it is (no C++ compiler)" in caplog.text
    plain = sightline.load("mini", precision="float32", batch_size=2).encode_images(given)
    assert np.array_equal(found, plain)


def test_where_torch_keeps_it(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(compiled.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    compiled._keep()
    assert compiled.os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "sightline" / "compiled")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
