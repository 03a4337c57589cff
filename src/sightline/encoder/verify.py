"""Does a checkpoint give on this machine what the reference gives? `verify` compares both, step by step.

Golden values are in `pretrained/golden.json`: for each name, what the reference computed in float32 through the
checkpoint's processor, and the image that it saw. A public checkpoint's image is a file that the caller names. For the
models in the package, and where no file is named, the image is a drawn scene: the package then carries no image file,
and the hash of the drawn pixels proves that they are those of the golden values before anything is compared with them.
A checkpoint without golden values is checked against itself.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sightline import scenes
from sightline.checkpoint.fingerprint import file_hash
from sightline.checkpoint.hub import sha256
from sightline.checkpoint.names import PACKAGED
from sightline.checkpoint.rules import plan, read, write
from sightline.checkpoint.weight_files import weight_paths
from sightline.checkpoint.weights import Weights
from sightline.encoder.encoder import Encoder, load
from sightline.encoder.options import DEFAULTS, EncoderOptions
from sightline.encoder.rescorer import Rescorer
from sightline.encoder.source import Vectors
from sightline.processing.image.reading import open_image

TEXTS = ("a photo of a cat", "a photo of a dog", "Ein Hund läuft, 犬が走る! 🐕")
DIFFERENT = ("a dog", "a red bus", "two people on a beach", "the sky at night")
FLOAT32 = 1e-5
"""Relative: what float32 leaves of a sum of a few thousand terms in another order."""


@dataclass(frozen=True)
class Check:
    """`what` was compared `against` ("golden values ..." or "itself"), with this `result` in words."""

    what: str
    against: str
    result: str
    passed: bool


def verify(
    name_or_folder: str | os.PathLike[str], image: Path | None = None, options: EncoderOptions = DEFAULTS
) -> Iterator[Check]:
    """Opens a checkpoint and checks it, step by step, in float32 on the processor; at the end as `options` say.

    `image`: the file that the golden values of a public checkpoint were computed on. Without it, or with another file,
    pixels, vectors and logits are checked against the checkpoint itself. Raises what `load` raises.
    """
    encoder = load(name_or_folder, device="cpu", precision="float32")
    encoder.is_quiet = True  # the texts are in several scripts, and long, on purpose
    golden = _golden(str(name_or_folder), encoder)
    yield _weights(encoder)
    yield _tokens(encoder, golden)
    picture, proof = _image(golden, image)
    yield Check("image", proof or "itself", _which_image(picture, golden, proof, drawn=image is None), True)
    expected = golden if proof else {}
    yield _pixels(encoder, picture, expected)
    texts = list(golden.get("texts", TEXTS[:2]))
    vectors = encoder.encode_images([picture]), encoder.encode_text(texts)
    yield _vectors(encoder, picture, *vectors, expected)
    cosines = vectors[0].astype(np.float64) @ vectors[1].T.astype(np.float64)
    yield _logits(encoder, picture, texts, cosines, expected)
    yield _differences(encoder, picture, vectors[0][0])
    yield _precision(encoder, picture, vectors[0], options)


def _golden(name: str, encoder: Encoder) -> dict[str, Any]:
    """The golden values of this name or, for a copy in another place, of weights with the same hash; {} if none are."""
    goldens: dict[str, dict[str, Any]] = json.loads((PACKAGED / "golden.json").read_text(encoding="utf-8"))
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


def _weights(encoder: Encoder) -> Check:
    """Each tensor of the file, renamed to the model's names and back, is the same bit for bit."""
    model = encoder.family.model
    paths = weight_paths(encoder.path)
    weights = Weights(paths)
    table = model.table(weights)
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
        return Check("vectors", golden["source"], f"largest difference {difference:.1e}", difference < FLOAT32)
    beside = encoder.encode_images([image.rotate(90), image, image.rotate(180)])[1]
    unit = float(np.abs(np.linalg.norm(np.concatenate([images, texts]), axis=1) - 1).max())
    difference = float(np.linalg.norm(beside - images[0]))
    result = f"lengths 1 to {unit:.1e}, beside other images the same to {difference:.1e}"
    return Check("vectors", "itself", result, unit < 1e-6 and difference < FLOAT32)


def _logits(
    encoder: Encoder, image: Image.Image, texts: list[str], cosines: NDArray[Any], golden: dict[str, Any]
) -> Check:
    """`cosines` (1, t) are those of the vectors."""
    model: Any = encoder.family.model.from_pretrained(encoder.path, dtype=torch.float32)
    ids, mask = (torch.from_numpy(array) for array in encoder.tokenizer.pad(encoder.tokenizer.encode(texts), None))
    pixels = torch.from_numpy(encoder.profile.normalize(encoder.profile.resize_and_crop(image)[None]))
    is_rescored = encoder.family.is_rescored
    if is_rescored:  # a video model: the image as a still video
        pixels = pixels.expand(encoder.frames, -1, -1, -1)[None]
    with torch.inference_mode():
        out = model(input_ids=ids, attention_mask=mask, pixel_values=pixels)
    logits = (out.logits_per_video if is_rescored else out.logits_per_image)[0].double().numpy()
    listed = ", ".join(f"{value:.4f}" for value in logits)
    if golden.get("logits_per_image"):
        expected = np.array(golden["logits_per_image"])
        # The tolerance is that of the digits that were published.
        passed = bool(np.abs(logits - expected).max() <= golden["logits_tolerance"])
        return Check("logits", golden["source"], f"{listed}; expected {', '.join(map(str, expected))}", passed)
    if is_rescored:
        cosines = _rescored(encoder, pixels, texts)
    scale = float(model.scale.detach())
    difference = float(np.abs(logits - scale * cosines[0]).max() / scale)
    of = "the rescorer's" if is_rescored else "the vectors'"
    result = f"{listed}: the scale {scale:.4g} times {of} cosines, to {difference:.1e}"
    return Check("logits", "itself", result, difference < FLOAT32)


def _rescored(encoder: Encoder, pixels: torch.Tensor, texts: list[str]) -> Vectors:
    """The cosines (1, t) that a search with rescoring gives."""
    tower: Any = encoder.family.image.from_pretrained(encoder.path, dtype=torch.float32)
    with torch.inference_mode():
        vectors, rescoring = tower.embed_with_extras(pixels)
    return Rescorer(encoder).cosines(encoder.embed_text(texts), vectors.numpy(), rescoring.numpy())


def _precision(encoder: Encoder, image: Image.Image, images: Vectors, options: EncoderOptions) -> Check:
    """Whether the device and the precision that are asked for, or that "auto" chooses here, stay near float32."""
    auto = load(encoder.path, **asdict(options))
    auto.is_quiet = True
    cosines = [float((auto.encode_images([image]) * images).sum())]
    cosines += (auto.encode_text(TEXTS[:2]) * encoder.encode_text(TEXTS[:2])).sum(axis=1).tolist()
    result = f"{auto.precision} on {auto.device}: cosine to float32 on the processor at least {min(cosines):.5f}"
    return Check("precision", "itself", result, min(cosines) > 0.998)
