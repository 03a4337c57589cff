"""What a tokenizer could not take in of texts: those that it cut, and those that it spells; counted, to be said."""

from collections.abc import Iterator
from dataclasses import dataclass

from sightline.processing.spelling import SpelledWord


@dataclass
class TextCounts:
    """How many texts there were, how many of them were `cut` at `length` tokens, how many are mostly `spelled` for want
    of words in the vocabulary, and the first such `word`."""

    texts: int = 0
    cut: int = 0
    length: int = 0
    spelled: int = 0
    word: SpelledWord | None = None

    def add(self, other: "TextCounts") -> None:
        """Counts the texts of `other` as well."""
        self.texts, self.cut, self.spelled = (
            self.texts + other.texts,
            self.cut + other.cut,
            self.spelled + other.spelled,
        )
        self.length, self.word = other.length or self.length, self.word or other.word

    def cut_warning(self, noun: str = "texts") -> Iterator[str]:
        """A sentence about the texts that were cut, if there are any. `noun`: what the texts are."""
        if self.cut and self.texts == 1:
            yield f"the text was longer than {self.length} tokens and was cut"
        elif self.cut:
            were = "was" if self.cut == 1 else "were"
            yield f"{self.cut:,} of {self.texts:,} {noun} {were} longer than {self.length} tokens and {were} cut"

    def spelled_warning(self, model: str, noun: str = "texts") -> Iterator[str]:
        """A sentence about the texts that are spelled, if there are any, with the way out."""
        if self.word is None:
            return
        are = "is" if self.spelled == 1 else "are"
        many = f"{self.spelled:,} of {self.texts:,} {noun} {are} mostly words that " if self.texts > 1 else ""
        word = f"“{self.word.text}”" if len(self.word.text) <= 40 else f"“{self.word.text[:40]}…”"
        if self.word.text.isascii():
            lacks = f"the vocabulary of {model} does not have" if many else f"the vocabulary of {model} has no {word}"
            example = f", such as {word}" if many else ""
            yield f"{many}{lacks}{example}: it reads single letters there, so expect no sensible scores"
            return
        lacks = f"{model} spells byte by byte, such as {word}" if many else f"{model} spells {word} byte by byte"
        yield (
            f"{many}{lacks}: its vocabulary lacks this script or language, so expect no sensible scores. A model that "
            "reads it has a multilingual text tower, or one of that language, such as a Chinese BERT beside CLIP's "
            "image tower (docs/which-model.md)"
        )
