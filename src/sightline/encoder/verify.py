"""Does a checkpoint give here what it gives elsewhere? Checks against golden values where there are some, else within.

Golden values lie in `pretrained/golden.json`: for a name, what the reference computed in float32 through the
checkpoint's own processor, and the picture that it saw.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from sightline import scenes
from sightline.checkpoint.fingerprint import file_hash
from sightline.checkpoint.hub import PACKAGED, sha256, weight_paths
from sightline.checkpoint.rules import plan, read, write
from sightline.checkpoint.weights import Weights
from sightline.encoder.encoder import Encoder, load
from sightline.encoder.rescorer import Rescorer
from sightline.encoder.source import Vectors
from sightline.processing.image.reading import open_image

TEXTS = ("a photo of a cat", "a photo of a dog", "Ein Hund läuft, 犬が走る! 🐕")
FLOAT32 = 1e-5
"""Relative: what float32 leaves of a sum of a few thousand terms in another order."""


@dataclass(frozen=True)
class Check:
    """`what` was compared `against` ("golden values ..." or "itself"); `found` says with which result."""

    what: str
    against: str
    found: str
    passed: bool


def verify(name_or_folder: str | os.PathLike[str], picture: Path | None = None) -> Iterator[Check]:
    """Opens a checkpoint and checks it, one step after another, in float32 on the processor.

    `picture`: the file that the golden values of a public checkpoint were computed on; without it, or with another,
    a drawn scene is used and the checks are of self-consistency. Raises what `load` raises.
    """
    encoder = load(name_or_folder, device="cpu", dtype="float32")
    golden = _golden(str(name_or_folder), encoder)
    yield _weights(encoder)
    yield _tokens(encoder, golden)
    image, by = _picture(golden, picture)
    said = "the one that the golden values were computed on" if by else "not one that golden values are known for"
    yield Check("picture", by or "its hash", said, True)
    known = golden if by else {}
    yield _pixels(encoder, image, known)
    texts = list(golden.get("texts", TEXTS[:2]))
    vectors = encoder.encode_images([image]), encoder.encode_text(texts)
    yield _vectors(encoder, image, *vectors, known)
    yield _logits(encoder, image, texts, *vectors, known)
    yield _precision(encoder, image, vectors[0])


def _golden(name: str, encoder: Encoder) -> dict[str, Any]:
    """By name, or, for a copy of the weights in another place, by their hash."""
    goldens: dict[str, dict[str, Any]] = json.loads((PACKAGED / "golden.json").read_text(encoding="utf-8"))
    if name in goldens:
        return goldens[name]
    digest = file_hash(weight_paths(encoder.path)[0])
    return next((golden for golden in goldens.values() if golden.get("weights_sha256") == digest), {})


def _picture(golden: dict[str, Any], picture: Path | None) -> tuple[Image.Image, str]:
    """The picture to check with, and by what it is known as the golden values' own; "" if it is not."""
    about = golden.get("picture", {})
    if picture is not None:
        image = open_image(picture)
        if "sha256" in about:
            return image, "its hash" if sha256(picture) == about["sha256"] else ""
        same = (picture.name, *image.size) == (about.get("name"), about.get("width"), about.get("height"))
        return image, "its name and size, as no hash of it was published" if same else ""
    image = scenes.sample(about.get("scene", 0)).draw(about.get("size", 320))
    drawn = hashlib.sha256(image.tobytes()).hexdigest()
    return image, "its hash" if drawn == about.get("pixels_sha256") else ""


def _weights(encoder: Encoder) -> Check:
    """Through our names and back: each tensor of the file, bit for bit."""
    model = encoder.family.model
    paths = weight_paths(encoder.path)
    weights = Weights(paths)
    table = model.table(weights, paths[0])
    pieces = plan(table, set(weights.shapes), str(paths[0]))
    back = write(table, {target: read(piece, weights.get, str(paths[0])) for target, piece in pieces.items()})
    same = back.keys() == {source for piece in pieces.values() for source in piece.sources}
    same = same and all(torch.equal(tensor, weights.get(key)) for key, tensor in back.items())
    return Check("weights", "itself", f"{len(back)} tensors read and written back, bit for bit", same)


def _tokens(encoder: Encoder, golden: dict[str, Any]) -> Check:
    tokenizer = encoder.tokenizer
    if golden:
        ids = [row.tolist() for row in tokenizer.encode(golden["texts"])]
        return Check("token ids", golden["source"], f"{len(ids)} texts", ids == golden["token_ids"])
    rows = tokenizer.encode([*TEXTS, "so long " * tokenizer.max_length])
    longest = max(len(row) for row in rows)
    ends = {int(row[-1]) for row in rows}
    passed = len(ends) == 1 and longest == tokenizer.max_length and all(len(row) >= 2 for row in rows)
    found = f"each text ends in token {ends}, the longest is cut to {longest} with its end kept"
    return Check("token ids", "itself", found, passed)


def _pixels(encoder: Encoder, image: Image.Image, golden: dict[str, Any]) -> Check:
    profile = encoder.profile
    values = profile.normalize(profile.resize_and_crop(image)[None])[0]
    if golden.get("pixels"):
        # Sums over patches of the picture pin every pixel down without storing them all.
        difference = float(np.abs(patch_means(values) - np.array(golden["pixels"])).max())
        return Check(
            "pixels", golden["source"], f"largest difference of a patch's mean {difference:.1e}", difference < 1e-6
        )
    buffer = io.BytesIO()
    image.save(buffer, "png")
    again = profile.resize_and_crop(open_image(buffer.getvalue()))
    same = np.array_equal(profile.resize_and_crop(image), again) and bool(np.isfinite(values).all())
    return Check("pixels", "itself", f"{values.shape[2]} x {values.shape[1]}, the same through a PNG file", same)


def patch_means(values: Vectors) -> Vectors:
    """(3, H, W) -> means over an 8 x 8 grid, (192,)."""
    rows = np.array_split(values, 8, axis=1)
    return np.array([c.mean(axis=(1, 2)) for r in rows for c in np.array_split(r, 8, axis=2)], np.float32).ravel()


def _vectors(encoder: Encoder, image: Image.Image, images: Vectors, texts: Vectors, golden: dict[str, Any]) -> Check:
    if golden.get("image_vector"):
        expected = np.concatenate([[golden["image_vector"]], golden["text_vectors"]])
        difference = float(np.linalg.norm(np.concatenate([images, texts]) - expected, axis=1).max())
        return Check("vectors", golden["source"], f"largest difference {difference:.1e}", difference < FLOAT32)
    beside = encoder.encode_images([image.rotate(90), image, image.rotate(180)])[1]
    unit = float(np.abs(np.linalg.norm(np.concatenate([images, texts]), axis=1) - 1).max())
    difference = float(np.linalg.norm(beside - images[0]))
    found = f"lengths 1 to {unit:.1e}, beside other pictures the same to {difference:.1e}"
    return Check("vectors", "itself", found, unit < 1e-6 and difference < FLOAT32)


def _logits(
    encoder: Encoder, image: Image.Image, words: list[str], images: Vectors, texts: Vectors, golden: dict[str, Any]
) -> Check:
    model: Any = encoder.family.model.from_pretrained(encoder.path, dtype=torch.float32)
    ids, mask = (torch.from_numpy(array) for array in encoder.tokenizer.pad(encoder.tokenizer.encode(words), None))
    pixels = torch.from_numpy(encoder.profile.normalize(encoder.profile.resize_and_crop(image)[None]))
    film = encoder.family.rescorer is not None
    if film:  # of the picture, still
        pixels = pixels.expand(encoder.frames, -1, -1, -1)[None]
    with torch.inference_mode():
        out = model(input_ids=ids, attention_mask=mask, pixel_values=pixels)
    logits = (out.logits_per_video if film else out.logits_per_image)[0].double().numpy()
    said = ", ".join(f"{value:.4f}" for value in logits)
    if golden.get("logits_per_image"):
        expected = np.array(golden["logits_per_image"])
        # Published figures have as many digits as they have.
        passed = bool(np.abs(logits - expected).max() <= golden["logits_tolerance"])
        return Check("logits", golden["source"], f"{said}; expected {', '.join(map(str, expected))}", passed)
    cosines = _second_step(encoder, pixels, words) if film else images.astype(np.float64) @ texts.T.astype(np.float64)
    scale = float(model.scale.detach())
    difference = float(np.abs(logits - scale * cosines[0]).max() / scale)
    of = "the second step's" if film else "the vectors'"
    found = f"{said}: the scale {scale:.4g} times {of} cosines, to {difference:.1e}"
    return Check("logits", "itself", found, difference < FLOAT32)


def _second_step(encoder: Encoder, pixels: torch.Tensor, words: list[str]) -> Vectors:
    """What a search gives that scores again: texts read as the film prompts them."""
    tower: Any = encoder.family.image.from_pretrained(encoder.path, dtype=torch.float32)
    with torch.inference_mode():
        vectors, summaries = tower.embed_with_extras(pixels)
    return Rescorer(encoder).cosines(encoder.embed_text(words), vectors.numpy(), summaries.numpy())


def _precision(encoder: Encoder, image: Image.Image, images: Vectors) -> Check:
    """Whether what "auto" chooses on this machine stays near float32."""
    auto = load(encoder.path)
    cosines = [float((auto.encode_images([image]) * images).sum())]
    cosines += (auto.encode_text(TEXTS[:2]) * encoder.encode_text(TEXTS[:2])).sum(axis=1).tolist()
    found = (
        f'dtype "auto" is {str(auto.dtype).removeprefix("torch.")} here: cosine to float32 at least {min(cosines):.5f}'
    )
    return Check("precision", "itself", found, min(cosines) > 0.998)
