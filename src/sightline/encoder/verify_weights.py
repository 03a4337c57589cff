"""The checks of a checkpoint that take its weights in torch: the tensors themselves, and the whole model's logits."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sightline.checkpoint.rules import plan, read, write
from sightline.checkpoint.weight_files import weight_paths
from sightline.checkpoint.weights import Weights
from sightline.encoder.check import FLOAT32, Check
from sightline.encoder.encoder import Encoder
from sightline.encoder.rescorer import Rescorer
from sightline.encoder.source import Vectors


def check_weights(encoder: Encoder) -> Check:
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


def check_logits(
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
