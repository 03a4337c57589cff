"""Which texts a vocabulary spells for want of words, and how texts that were cut or spelled are said."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from sightline.checkpoint.hub import PACKAGED
from sightline.processing.spelling import SpelledWord
from sightline.processing.text_counts import TextCounts
from sightline.processing.tokenizer import Tokenizer
from support.examples import examples


def counts_of(tokenizer: Tokenizer, *texts: str) -> TextCounts:
    counts = TextCounts()
    tokenizer.encode(texts, counts)
    return counts


@pytest.fixture(scope="module")
def mini_tokenizer() -> Tokenizer:
    return Tokenizer.from_folder(PACKAGED / "mini", 64)


@pytest.fixture(scope="module")
def words(word_pieces: Path) -> Tokenizer:
    return Tokenizer.from_folder(word_pieces, 64)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("一只狗在草地上奔跑", "一只狗在草地上奔跑"),
        ("犬が走る", "犬が走る"),
        ("собака бежит", "собака"),
        ("ένας σκύλος", "ένας"),
        ("หมาวิ่ง", "หมาวิ่ง"),
        ("कुत्ता दौड़ रहा है", "कुत्ता"),
        ("강아지가 달린다", "강아지가"),
        ("כלב רץ", "כלב"),
        ("zażółć gęślą jaźń", "zażółć"),
        ("elephant", "elephant"),
    ],
)
def test_a_text_that_a_vocabulary_spells_is_counted_with_its_first_word(
    mini_tokenizer: Tokenizer, text: str, word: str
) -> None:
    counts = counts_of(mini_tokenizer, "a red circle", text, text)
    assert (counts.texts, counts.spelled) == (3, 2)
    assert counts.word is not None
    assert counts.word.text == word


@pytest.mark.parametrize(
    "text",
    [
        "a red circle on green grass",
        "two small yellow hearts",
        "",
        " ",
        "🐕🐕🦖",
        "a red circle 🐕",
        "12 345",
        "VW T4",
        "...!?",
        "a red circle on grass, 犬",
        "un été à la plage, où ça va",
        "an elephant on grass",
    ],
)
def test_other_texts_are_not(mini_tokenizer: Tokenizer, text: str) -> None:
    assert counts_of(mini_tokenizer, text).spelled == 0


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("a photo of a cat", False),
        ("猫", False),
        ("猫犬猫犬", False),  # each character is a word of this vocabulary
        ("一只狗", True),
        ("猫一只狗", True),
        ("猫犬猫犬猫犬猫犬一", False),  # one rare character
        ("강아지", True),
        ("🐕", False),
        ("кошка", True),  # letter by letter
    ],
)
def test_words_that_a_vocabulary_without_bytes_lacks(words: Tokenizer, text: str, spelled: bool) -> None:
    assert counts_of(words, text).spelled == spelled


@pytest.mark.shared
@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("一只狗", True),
        ("кот", True),
        ("собака бежит по траве", True),
        ("หมาวิ่ง", True),
        ("कुत्ता दौड़ रहा है", True),
        ("كلب يركض", True),
        ("un élève à l'école où ça brûle", False),
        ("Ein Hund läuft über die Straße", False),
        ("un niño pequeño jugando al fútbol", False),
        ("São Paulo", False),
        ("smörgåsbord", False),
        ("asdf IKEA xylophone", False),
    ],
)
def test_the_vocabulary_of_clip(shared: Path, text: str, spelled: bool) -> None:
    tokenizer = Tokenizer.from_folder(shared / "checkpoints" / "clip-flickr8k")
    assert counts_of(tokenizer, text).spelled == spelled


@examples(60)
@given(st.text(max_size=30), st.sampled_from(["mini", "words"]))
def test_any_text_can_be_counted(mini_tokenizer: Tokenizer, words: Tokenizer, text: str, which: str) -> None:
    tokenizer = {"mini": mini_tokenizer, "words": words}[which]
    counts = TextCounts()
    rows = tokenizer.encode([text], counts)
    assert [row.tolist() for row in rows] == [row.tolist() for row in tokenizer.encode([text])]
    assert counts.texts == 1
    assert (counts.word is None) == (counts.spelled == 0)
    assert counts.cut == (len(tokenizer.token_ids([text])[0]) > 64)


def test_what_is_said(mini_tokenizer: Tokenizer) -> None:
    assert list(TextCounts().cut_warning()) == list(TextCounts().spelled_warning("m")) == []
    long = "red " * 100
    assert list(counts_of(mini_tokenizer, long).cut_warning()) == ["the text was longer than 64 tokens and was cut"]
    two = counts_of(mini_tokenizer, long, "red", long)
    assert list(two.cut_warning("captions")) == ["2 of 3 captions were longer than 64 tokens and were cut"]
    two.add(counts_of(mini_tokenizer, *["一只狗"] * 1000))
    assert list(two.cut_warning()) == ["2 of 1,003 texts were longer than 64 tokens and were cut"]
    (many,) = two.spelled_warning("mini", "captions")
    assert many.startswith("1,000 of 1,003 captions are mostly words that mini spells byte by byte, such as “一只狗”: ")
    assert "Chinese BERT" in many
    (one,) = counts_of(mini_tokenizer, "一只狗").spelled_warning("mini")
    assert one.startswith("mini spells “一只狗” byte by byte: ")
    (word,) = counts_of(mini_tokenizer, "elephant").spelled_warning("mini")
    assert word.startswith("the vocabulary of mini has no “elephant”: ")
    assert "…" in next(TextCounts(1, spelled=1, word=SpelledWord("狗" * 400, 400, 900)).spelled_warning("mini"))
