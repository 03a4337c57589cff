"""Does a checkpoint give on this machine what the reference gives? `verify` compares both, step by step.

Golden values are in `pretrained/golden.json`: for each name, what the reference computed in float32 through the
checkpoint's processor, and the image that it saw. A public checkpoint's image is a file that the caller names. For the
models in the package, and where no file is named, the image is a drawn scene: the package then carries no image file,
and the hash of the drawn pixels proves that they are those of the golden values before anything is compared with them.
A checkpoint without golden values is checked against itself. Of an export the weights and the logits are left out,
which it does not give, and its files are compared with what `export.json` says of them.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sightline import scenes
from sightline.checkpoint.exported import NOTE, most_exact
from sightline.checkpoint.fingerprint import file_hash
from sightline.checkpoint.hub import sha256
from sightline.checkpoint.names import PACKAGED
from sightline.checkpoint.weight_files import weight_paths
from sightline.encoder.check import FLOAT32, Check
from sightline.encoder.encoder import Encoder, load
from sightline.encoder.options import DEFAULTS, EncoderOptions
from sightline.encoder.source import Vectors
from sightline.processing.image.reading import open_image

TEXTS = ("a photo of a cat", "a photo of a dog", "Ein Hund läuft, 犬が走る! 🐕")
EXPORT, COARSE = 1e-4, 0.2
"""How far the unit vectors of an export may be from those of its checkpoint: in float32, and in a precision of fewer
bits (a cosine of 0.98)."""
DIFFERENT = ("a dog", "a red bus", "two people on a beach", "the sky at night")


def verify(
    name_or_folder: str | os.PathLike[str], image: Path | None = None, options: EncoderOptions = DEFAULTS
) -> Iterator[Check]:
    """Opens a checkpoint and checks it, step by step, in float32 on the processor; at the end as `options` say. An
    export is checked in its own precision, without torch.

    `image`: the file that the golden values of a public checkpoint were computed on. Without it, or with another file,
    pixels, vectors and logits are checked against the checkpoint itself. Raises what `load` raises.
    """
    encoder = load(name_or_folder, device="cpu", precision=most_exact(name_or_folder))
    encoder.is_quiet = True  # the texts are in several scripts, and long, on purpose
    golden = _golden(str(name_or_folder), encoder)
    exported = encoder.exported
    if exported is None:
        from sightline.encoder.verify_weights import check_logits, check_weights  # torch

        yield check_weights(encoder)
    else:
        files = ", ".join(str(tower["file"]) for tower in exported.towers.values())
        yield Check("files", NOTE, f"{files} are those that were exported: {encoder.fingerprint[:12]}", True)
    yield _tokens(encoder, golden)
    picture, proof = _image(golden, image)
    yield Check("image", proof or "itself", _which_image(picture, golden, proof, drawn=image is None), True)
    expected = golden if proof else {}
    yield _pixels(encoder, picture, expected)
    texts = list(golden.get("texts", TEXTS[:2]))
    vectors = encoder.encode_images([picture]), encoder.encode_text(texts)
    yield _vectors(encoder, picture, *vectors, expected)
    cosines = vectors[0].astype(np.float64) @ vectors[1].T.astype(np.float64)
    if exported is None:
        yield check_logits(encoder, picture, texts, cosines, expected)
    yield _differences(encoder, picture, vectors[0][0])
    if exported is None:
        yield _precision(encoder, picture, vectors[0], options)


def _tolerance(encoder: Encoder) -> float:
    """How far unit vectors may be from those of float32 in torch."""
    if encoder.exported is None:
        return FLOAT32
    return EXPORT if encoder.precision == "float32" else COARSE


def _golden(name: str, encoder: Encoder) -> dict[str, Any]:
    """The golden values of this name or, for a copy in another place, of weights with the same hash; {} if none are."""
    goldens: dict[str, dict[str, Any]] = json.loads((PACKAGED / "golden.json").read_text(encoding="utf-8"))
    if encoder.exported is not None:
        return goldens.get(encoder.exported.source, {})
    if name in goldens:
        return goldens[name]
    digest = file_hash(weight_paths(encoder.path)[0])
    return next((golden for golden in goldens.values() if golden.get("weights_sha256") == digest), {})


def _image(golden: dict[str, Any], image: Path | None) -> tuple[Image.Image, str]:
    """The image to check with, and what proves that it is that of the golden values; "" if it is another."""
    known = golden.get("image", {})
    if image is None:
        picture = scenes.sample(known.get("scene", 0)).draw(known.get("size", 320))
        drawn = hashlib.sha256(picture.tobytes()).hexdigest()
        return picture, "its hash" if drawn == known.get("pixels_sha256") else ""
    picture = open_image(image)
    if "sha256" in known:
        return picture, "its hash" if sha256(image) == known["sha256"] else ""
    same = (image.name, *picture.size) == (known.get("name"), known.get("width"), known.get("height"))
    return picture, "its name and size, as no hash of it was published" if same else ""


def _which_image(image: Image.Image, golden: dict[str, Any], proof: str, drawn: bool) -> str:
    """What the pixels, vectors and logits are computed of, and what that means for them."""
    what = f"{'a drawn scene' if drawn else 'your image'} of {image.width} x {image.height} pixels"
    if proof:
        return f"{what}, which the golden values were computed on"
    reason = "another image than that of golden values" if golden else "no golden values are known of this checkpoint"
    return f"{what}: {reason}, so pixels, vectors and logits are checked against the checkpoint itself"


def _differences(encoder: Encoder, image: Image.Image, vector: Vectors) -> Check:
    """Whether texts with different words, and different images, get different vectors."""
    texts = encoder.encode_text(DIFFERENT).astype(np.float64)
    negative = encoder.encode_images([ImageOps.invert(image)])[0]
    between_texts = min(float(np.linalg.norm(a - b)) for a, b in combinations(texts, 2))
    between_images = float(np.linalg.norm(vector - negative))
    result = (
        f"vectors of {len(texts)} different texts are at least {between_texts:.5f} apart, "
        f"those of the image and its negative {between_images:.5f}"
    )
    return Check("distinct", "itself", result, min(between_texts, between_images) > 10 * FLOAT32)


def _tokens(encoder: Encoder, golden: dict[str, Any]) -> Check:
    tokenizer = encoder.tokenizer
    if golden:
        ids = [row.tolist() for row in tokenizer.encode(golden["texts"])]
        return Check("token ids", golden["source"], f"{len(ids)} texts", ids == golden["token_ids"])
    rows = tokenizer.encode([*TEXTS, "so long " * tokenizer.max_length])
    longest = max(len(row) for row in rows)
    ends = {int(row[-1]) for row in rows}
    passed = len(ends) == 1 and longest == tokenizer.max_length and all(len(row) >= 2 for row in rows)
    token = ", ".join(map(str, sorted(ends)))
    result = f"each text ends in token {token}, the longest is cut to {longest} with its end kept"
    return Check("token ids", "itself", result, passed)


def _pixels(encoder: Encoder, image: Image.Image, golden: dict[str, Any]) -> Check:
    profile = encoder.profile
    values = profile.normalize(profile.resize_and_crop(image)[None])[0]
    if golden.get("pixels"):
        # Means over patches depend on every pixel, and are few numbers to store.
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
        passed = difference < _tolerance(encoder)
        return Check("vectors", golden["source"], f"largest difference {difference:.1e}", passed)
    beside = encoder.encode_images([image.rotate(90), image, image.rotate(180)])[1]
    unit = float(np.abs(np.linalg.norm(np.concatenate([images, texts]), axis=1) - 1).max())
    difference = float(np.linalg.norm(beside - images[0]))
    result = f"lengths 1 to {unit:.1e}, beside other images the same to {difference:.1e}"
    return Check("vectors", "itself", result, unit < 1e-6 and difference < _tolerance(encoder))


def _precision(encoder: Encoder, image: Image.Image, images: Vectors, options: EncoderOptions) -> Check:
    """Whether the device and the precision that are asked for, or that "auto" chooses here, stay near float32."""
    auto = load(encoder.path, **asdict(options))
    auto.is_quiet = True
    cosines = [float((auto.encode_images([image]) * images).sum())]
    cosines += (auto.encode_text(TEXTS[:2]) * encoder.encode_text(TEXTS[:2])).sum(axis=1).tolist()
    result = f"{auto.precision} on {auto.device}: cosine to float32 on the processor at least {min(cosines):.5f}"
    return Check("precision", "itself", result, min(cosines) > 0.998)
