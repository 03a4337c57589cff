"""Nouns of captions as further texts. Xu et al., "GroupViT" (2022), section 3.3: nouns of each caption, each set into a
sentence such as "a photo of a {}", also match its image."""

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np

from sightline.errors import UsageError

CAPTION = -1
"""In place of a noun's number: the text is a caption."""
TEMPLATES = (
    "a photo of a {}.",
    "a picture of a {}.",
    "an image of a {}.",
    "a close-up photo of a {}.",
    "there is a {} in the scene.",
    "this is a {}.",
)


def number(noun: str) -> int:
    """The number of a noun in batches and in masks, 0 or more: the same in every process and every run."""
    return int.from_bytes(blake2b(noun.encode(), digest_size=8).digest()) >> 1


class Nouns:
    """At most `count` nouns of a caption as prompts.

    `known`: a list of nouns (of one or more words), which are looked for as whole words, in lower or upper case, in
    singular or with an s; or a function from a caption to its nouns, such as a tagger's.
    The longest counts: of "hot dog" not also "dog". Raises `UsageError`.
    """

    def __init__(
        self,
        known: Sequence[str] | Callable[[str], Iterable[str]],
        *,
        count: int = 3,
        templates: Sequence[str] = TEMPLATES,
    ) -> None:
        if count < 1:
            raise UsageError(f"count={count} nouns of each caption; at least 1")
        if not templates or not all("{}" in template for template in templates):
            raise UsageError("templates must have {} where the noun goes, and at least one is needed")
        if not callable(known) and not any(known):
            raise UsageError("no nouns: give a list of words, or a function that finds them in a caption")
        self.count, self.templates = count, tuple(templates)
        self._find = known if callable(known) else _listed(known)

    def in_caption(self, caption: str) -> list[str]:
        """All nouns of a caption, each once, in their order."""
        return list(dict.fromkeys(self._find(caption)))

    def prompts(self, caption: str, rng: np.random.Generator) -> list[tuple[str, int]]:
        """At most `count` nouns of a caption, each in a random template, with its number."""
        nouns = self.in_caption(caption)
        chosen = rng.permutation(len(nouns))[: self.count]
        sentences = rng.integers(len(self.templates), size=len(chosen))
        return [
            (self.templates[sentence].replace("{}", nouns[i]), number(nouns[i]))
            for i, sentence in zip(chosen, sentences, strict=True)
        ]


def _listed(known: Sequence[str]) -> Callable[[str], list[str]]:
    spelt = {noun.lower(): noun for noun in known if noun}
    either = "|".join(re.escape(noun) for noun in sorted(spelt, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)({either})(?:e?s)?(?!\w)")
    return lambda caption: [spelt[noun] for noun in pattern.findall(caption.lower())]
