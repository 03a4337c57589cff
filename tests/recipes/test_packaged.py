"""Every model in the package: small enough, in half precision, and no text is beyond it."""

import numpy as np
import pytest
from safetensors import safe_open

from sightline.checkpoint.names import PACKAGED, packaged
from sightline.processing.tokenizer import Tokenizer


@pytest.mark.parametrize("name", packaged())
def test_small_and_half_precision(name: str) -> None:
    weights = PACKAGED / name / "model.safetensors"
    assert weights.stat().st_size <= 8_000_000
    with safe_open(weights, "pt") as file:
        slices = [file.get_slice(key) for key in file.keys()]  # noqa: SIM118, it is no mapping
        assert sum(int(np.prod(part.get_shape())) for part in slices) <= 4_000_000
        # A batch norm counts its batches.
        assert {part.get_dtype() for part in slices} <= {"F16", "I64"}


@pytest.mark.parametrize("name", packaged())
@pytest.mark.parametrize("text", ["", "a red circle", "Δοκιμή", "灰色の魚", "🐟🏠", "e\u0301", "a\tb", "x" * 10_000])
def test_any_text_has_ids(name: str, text: str) -> None:
    tokenizer = Tokenizer.from_folder(PACKAGED / name)
    (ids,) = tokenizer.encode([text])
    assert len(ids) <= 64
    assert ids[0] == tokenizer.bos_id
    assert ids[-1] == tokenizer.eos_id
    assert (ids == tokenizer.eos_id).sum() == 1  # CLIP's is its unknown token as well: nothing is unknown
