"""Small shards of captioned images."""

import io
import json
import tarfile

from support.images import as_bytes, image


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
        files += [(f"{number:04d}.png", as_bytes(image(number))), (f"{number:04d}.json", json.dumps(said).encode())]
    return tar(path, files)
