"""Both modes against their definitions, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from sightline import Segmenter, scenes
from sightline.checkpoint.names import PACKAGED
from sightline.errors import ImageError, UsageError
from sightline.models.tower import Segments
from sightline.segment.maps import by_windows

CLASSES = ["red circle", "blue square", "green star", "sky"]


@pytest.fixture(scope="module")
def segmenter(checkpoint: Path) -> Segmenter:
    return Segmenter(checkpoint, device="cpu")


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    return scenes.sample(seed).draw(max(width, height, 32)).resize((width, height))


def test_transformers_mode_is_the_reference_s_segmentation(segmenter: Segmenter, checkpoint: Path) -> None:
    picture = photo(150, 150)
    found = segmenter(picture, CLASSES, mode="transformers")
    model = transformers.GroupViTModel.from_pretrained(checkpoint)
    pixels = transformers.CLIPImageProcessorPil.from_pretrained(checkpoint)(picture, return_tensors="pt")
    tokenizer = segmenter.encoder.tokenizer
    ids, mask = tokenizer.pad(tokenizer.encode([f"a photo of a {name}." for name in CLASSES]), None)
    with torch.no_grad():
        out = model(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            pixel_values=pixels["pixel_values"],
            output_segmentation=True,
        )
    logits = out.segmentation_logits
    assert np.allclose(found.maps, logits[0].numpy(), rtol=1e-3, atol=1e-3)
    assert found.mapped.tolist() == [0, 1, 2, 3]
    large = torch.nn.functional.interpolate(logits, (150, 150), mode="bilinear")[0]
    assert (found.labels == large.argmax(0).numpy()).mean() > 0.999
    assert np.allclose(found.scores, large.softmax(0).amax(0).numpy(), atol=1e-2)
    assert np.unique(found.labels).size > 1  # else equal labels say little


def test_shapes_shares_and_background(segmenter: Segmenter) -> None:
    picture = photo(91, 70)
    for mode in ("paper", "transformers"):
        found = segmenter(picture, CLASSES, mode=mode)
        assert found.labels.shape == found.scores.shape == (70, 91)
        assert found.shares.shape == (4,)
        assert found.shares.sum() == pytest.approx(1)
        assert found.labels.min() >= 0
        for i in range(4):
            assert found.shares[i] == (found.labels == i).mean()
        assert 0 < found.scores.min() <= found.scores.max() <= 1 + 1e-6
        threshold = float(np.median(found.scores))
        some = segmenter(picture, CLASSES, mode=mode, background=threshold)
        assert 0 < (some.labels == -1).mean() < 1
        assert some.shares.sum() == pytest.approx(1 - (some.labels == -1).mean())
    assert ((some.labels == -1) == (found.scores < threshold)).all()
    kept = some.labels >= 0
    assert (some.labels[kept] == found.labels[kept]).all()


class Groups:
    """An encoder whose groups, for each window, are random but known."""

    def __init__(self, groups: int, dim: int, scale: float) -> None:
        self.config: Any = transformers.GroupViTConfig(vision_config={"image_size": 32, "patch_size": 8})
        self.profile, self.windows = self, []
        self.shape, self.scale = (groups, dim), scale
        self.random = torch.Generator().manual_seed(0)

    def normalize(self, pixels: Any) -> Any:
        return np.moveaxis(pixels, -1, 1).astype(np.float32)

    def segments(self, pixels: Any) -> Segments:
        n, (groups, dim) = len(pixels), self.shape
        rows, columns = pixels.shape[2] // 8, pixels.shape[3] // 8
        images = torch.nn.functional.normalize(torch.randn(n, dim, generator=self.random), dim=-1)
        each = torch.nn.functional.normalize(torch.randn(n, groups, dim, generator=self.random), dim=-1)
        shares = torch.rand(n, groups, rows, columns, generator=self.random).softmax(1)
        self.windows += [(images[i], each[i], shares[i], pixels.shape[2:]) for i in range(n)]
        return Segments(images, each, shares, self.scale)


@pytest.mark.parametrize("background", [None, 0.3, 0.95])
@pytest.mark.parametrize(("size", "count", "scale"), [((70, 64), 9, 14.0), ((64, 170), 3, 300.0), ((64, 400), 9, 14.0)])
def test_paper_mode_is_the_protocol_step_by_step(
    background: float | None, size: tuple[int, int], count: int, scale: float
) -> None:
    """Computed once more with every array in full: all classes, all pixels, one window after another."""
    encoder = Groups(6, 8, scale)
    texts = torch.nn.functional.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(1)), dim=-1)
    height, width = size
    maps = by_windows(encoder, photo(width, height), texts, background)  # type: ignore[arg-type]
    high, wide = maps.values.shape[1:]
    if max(size) / min(size) > 2048 / 448:
        assert (high, wide) == (round(64 * 2048 / 448 * height / width), round(64 * 2048 / 448))
    else:
        assert min(high, wide) == 64
    window_high, window_wide = min(64, high), min(64, wide)
    grid_high, grid_wide = (max(n - 64 + 32 - 1, 0) // 32 + 1 for n in (high, wide))
    sums, visits = torch.zeros(count + 1, high, wide), torch.zeros(high, wide)
    windows = iter(encoder.windows)
    for row in range(grid_high):
        for column in range(grid_wide):
            image, groups, shares, seen = next(windows)
            assert tuple(seen) == (window_high, window_wide)
            y, x = min(row * 32, max(high - 64, 0)), min(column * 32, max(wide - 64, 0))
            limited = min(scale, 100)
            every = (groups @ texts.T * limited).softmax(-1)
            fits = (image @ texts.T).argsort(descending=True)[:5]
            few = torch.zeros_like(every)
            few[:, fits] = (groups @ texts.T * limited)[:, fits].softmax(-1)
            product = every * few
            soft = torch.nn.functional.interpolate(shares[None], (window_high, window_wide), mode="bilinear")[0]
            one_hot = torch.nn.functional.one_hot(soft.argmax(0), 6).float()
            chances = one_hot @ product
            part = torch.zeros(count + 1, window_high, window_wide)
            part[1:] = chances.permute(2, 0, 1)
            if background is not None:
                part[0] = (chances.amax(-1) < min(background, float(product.max()))).float()
            sums[:, y : y + window_high, x : x + window_wide] += part
            visits[y : y + window_high, x : x + window_wide] += 1
    assert next(windows, None) is None
    want = sums / visits
    got = torch.zeros_like(want)
    got[maps.kept + 1] = maps.values
    assert torch.allclose(got, want, atol=1e-6)
    assert (-1 in maps.kept) == (background is not None)


def test_a_thousand_classes(segmenter: Segmenter) -> None:
    names = [f"thing {a}{b}{c}" for a in "abcdefghij" for b in "klmnopqrst" for c in "uvwxyzabcd"]
    for mode in ("paper", "transformers"):
        found = segmenter(photo(40, 64), names, mode=mode)
        assert found.shares.shape == (1000,)
        assert found.shares.sum() == pytest.approx(1)
        assert (found.shares > 0).sum() < 100
    found = segmenter(photo(40, 64), names, mode="paper")
    assert len(found.mapped) <= 5 * 5  # five classes a window have a map


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        ([], {}, "no class at all tells nothing apart"),
        (["cat"], {}, "'cat' alone tells nothing apart"),
        (["cat", "dog", "cat"], {}, "'cat' is given twice"),
        (["cat", "dog", "Cat "], {}, "'Cat ' and 'cat' are the same to the model"),
        (["cat", " "], {}, "' ' is not a class"),
        ("cat", {}, "takes a list of words, not one word"),
        (None, {}, "takes a list of words, not None"),
        (["cat", "dog"], {"mode": "best"}, "mode 'best' is not known: choose paper or transformers"),
        (["cat", "dog"], {"background": 1.5}, "background is 1.5"),
        (["cat", "dog"], {"prompt": "a photo"}, "needs one"),
    ],
)
def test_what_cannot_be_answered(segmenter: Segmenter, classes: Any, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        segmenter(photo(20, 20), classes, **options)


@pytest.mark.system
def test_odd_pictures(segmenter: Segmenter, tmp_path: Path) -> None:
    for size in ((1, 1), (3, 700), (700, 3)):
        for mode in ("paper", "transformers"):
            assert segmenter(photo(*size), CLASSES, mode=mode).labels.shape == size[::-1]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        segmenter(broken, CLASSES)


def test_another_family_is_refused() -> None:
    with pytest.raises(
        UsageError, match="a clip model does not group pixels; segmentation needs a model of type groupvit"
    ):
        Segmenter(PACKAGED / "mini")


def test_words_that_the_vocabulary_lacks_are_said_whatever_the_prompt(caplog: pytest.LogCaptureFixture) -> None:
    segmenter, image = Segmenter("mini-groupvit", device="cpu"), scenes.sample(3).draw(64)
    with caplog.at_level("WARNING", "sightline"):
        segmenter(image, ["red circle", "green grass"])
        assert not caplog.records
        segmenter(image, iter(["red circle", "狗"]))
    assert "spells byte by byte, such as “狗”" in caplog.text
