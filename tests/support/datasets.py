"""Small data sets of captioned pictures, drawn from random numbers."""

import io
import json
import tarfile

import numpy as np
from PIL import Image


def picture(seed, size=(40, 30), kind="PNG"):
    """The bytes of a picture of 4 x 3 random colors."""
    colors = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(colors).resize(size, Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


def word(number):
    """Its digits as letters: tokenizers take digits apart."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def tar(path, files):
    """A tar of (name, bytes) in this order."""
    with tarfile.open(path, "w") as out:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def shard(path, numbers, captions=2):
    """A shard of pictures with these numbers, each with so many captions."""
    files = []
    for number in numbers:
        said = {"captions": [f"picture {word(number)} a{'b' * caption}" for caption in range(captions)]}
        files += [(f"{number:04d}.png", picture(number)), (f"{number:04d}.json", json.dumps(said).encode())]
    return tar(path, files)
