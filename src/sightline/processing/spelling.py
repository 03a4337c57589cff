"""How well a vocabulary knows the words of a text: whether it has tokens for them, or spells them byte by byte.

The measure is taken of the tokenizer, not of a table of languages. In UTF-8 a letter of an alphabet (Latin, Greek,
Cyrillic, Hebrew, Arabic) has one or two bytes: a word in which nearly every letter is a token is spelled. A letter of
three bytes or more may be a token of its own (as Chinese characters are, where a vocabulary knows them): such letters
are spelled where they take more tokens than there are letters. Emoji, digits and punctuation are not letters.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

MOSTLY = 0.5
"""The share of a text's letters in spelled words from which on the text is spelled."""
_LETTER_BY_LETTER = 0.7
"""Tokens for each letter of an alphabet from which on a word is spelled. Words that a vocabulary knows in parts lie
near 0.4. A word of Latin letters with accents may have one for each letter: accents take two bytes in all languages."""
_BYTE_BY_BYTE = 1.2
"""Tokens for each letter of three bytes or more, above which a word is spelled."""
_SHORT = 4
"""Letters from which on a word with Latin letters is judged: names of three are often in no vocabulary."""


@dataclass(frozen=True)
class SpelledWord:
    """A word that the vocabulary has not, its letters, and the tokens that it takes."""

    text: str
    letters: int
    tokens: int


def may_be_spelled(text: str, tokens: int) -> bool:
    """Whether so many tokens are enough for most of the text to be spelled. Quick: nearly all texts end here."""
    return tokens >= MOSTLY * _LETTER_BY_LETTER * (len(text) - text.count(" "))


def spelled_words(text: str, encoding: Any, unknown: int | None) -> list[SpelledWord]:
    """The spelled words of a text if they hold most of its letters, else none.

    `encoding` is what the `tokenizers` library gives for the text; `unknown` the id that stands for any word that a
    vocabulary without bytes lacks.
    """
    tokens_at: list[list[int]] = [[] for _ in text]
    for token, (first, last) in enumerate(encoding.offsets):
        for place in range(first, min(last, len(text))):
            tokens_at[place].append(token)
    spelled, all_letters = list[SpelledWord](), 0
    for match in re.finditer(r"\S+", text):
        places = range(*match.span())
        letters = [place for place in places if text[place].isalpha()]
        # A mark (a vowel of Thai or Hindi) is no letter, but the tokens that it takes are its word's.
        spoken = [place for place in places if text[place].isalpha() or unicodedata.category(text[place])[0] == "M"]
        tokens = {token for place in spoken for token in tokens_at[place]}
        missing = sum(any(encoding.ids[token] == unknown for token in tokens_at[place]) for place in letters)
        if letters and (missing >= MOSTLY * len(letters) or _is_spelled(match[0], len(letters), len(tokens))):
            bare = text[spoken[0] : spoken[-1] + 1]  # without punctuation around it
            spelled.append(SpelledWord(bare, len(letters), len(tokens)))
        all_letters += len(letters)
    return spelled if spelled and sum(word.letters for word in spelled) >= MOSTLY * all_letters else []


def _is_spelled(word: str, letters: int, tokens: int) -> bool:
    if any(char >= "\u0800" and char.isalpha() for char in word):  # three bytes or more
        return tokens > _BYTE_BY_BYTE * letters
    if re.search("[A-Za-z]", word):
        return letters >= _SHORT and tokens >= letters * (_LETTER_BY_LETTER if word.isascii() else 1)
    return letters > 1 and tokens >= _LETTER_BY_LETTER * letters
