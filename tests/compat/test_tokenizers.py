"""Tokenizers in both libraries, side by side: calls, tokens, attributes that are assigned, files."""

import copy
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers

import sightline
from sightline.errors import CheckpointError, UsageError
from support.processors import agree
from support.texts import strings

KINDS = {"CLIPTokenizer": "vocabulary", "BertTokenizer": "word_pieces", "RobertaTokenizer": "byte_pairs"}
COUNT = 60
TEXTS = [*strings(COUNT), "a photo of a red cat, isn't it?", "the dogs", "", "café <|endoftext|> [SEP] </s>", "a" * 60]
SECONDS = [*TEXTS[7:], *TEXTS[:7]]
WORDS = [text.split() for text in TEXTS]


@pytest.fixture(scope="module", params=KINDS)
def folder(request):
    return request.param, request.getfixturevalue(KINDS[request.param])


@pytest.fixture
def both(folder):
    """(ours, the reference's), new ones for each test."""
    kind, path = folder
    return tuple(getattr(library, kind).from_pretrained(path) for library in (sightline, transformers))


def same(ours, theirs):
    assert list(ours) == list(theirs)
    agree(ours, theirs)
    assert [row.tokens for row in ours.encodings] == [row.tokens for row in theirs.encodings]


CALLS = {
    "plain": {},
    "pairs": {"text_pair": SECONDS},
    "bare": {"add_special_tokens": False},
    "filled": {"padding": True},
    "filled on the left": {"padding": "longest", "padding_side": "left"},
    "filled up to": {"padding": "max_length", "max_length": 400, "pad_to_multiple_of": 16},
    "no limit": {"padding": "max_length", "truncation": True},
    "cut": {"truncation": True, "max_length": 9},
    "cut by length alone": {"max_length": 9},
    "cut and filled": {"truncation": "longest_first", "padding": "max_length", "max_length": 12},
    "cut, bare": {"truncation": True, "max_length": 3, "add_special_tokens": False},
    "pairs, cut": {"text_pair": SECONDS, "truncation": True, "max_length": 11, "padding": True},
    "pairs, bare": {"text_pair": SECONDS, "truncation": True, "max_length": 8, "add_special_tokens": False},
    "what overflows": {"truncation": True, "max_length": 10, "stride": 3, "return_overflowing_tokens": True},
    "pairs, what overflows": {
        "text_pair": SECONDS,
        "truncation": True,
        "max_length": 12,
        "stride": 1,
        "return_overflowing_tokens": True,
        "padding": "max_length",
    },
    "specials split": {"split_special_tokens": True},
    "types, no mask": {"return_token_type_ids": True, "return_attention_mask": False},
}
EXTRAS = {"return_special_tokens_mask": True, "return_offsets_mapping": True, "return_length": True}


@pytest.mark.filterwarnings("ignore:`max_length` is ignored")
@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_calls(both, options):
    first = 12 if "stride" in options else len(TEXTS)
    shorter = {name: value[:first] if name == "text_pair" else value for name, value in options.items()}
    same(*(tokenizer(TEXTS[-first:], **shorter, **EXTRAS) for tokenizer in both))
    if options.get("padding"):
        single = {name: value for name, value in options.items() if name != "text_pair"}
        for kind in ("np", "pt"):
            same(*(tokenizer(TEXTS[0], return_tensors=kind, **single, **EXTRAS) for tokenizer in both))


@pytest.mark.parametrize("strategy", ["only_first", "only_second"])
def test_one_text_of_two_is_cut(both, strategy):
    texts = ["a red cat " * 9, "the dog's ball " * 8]
    for pair in (texts, texts[::-1]):
        limit = len(both[1](*pair).input_ids) - 9
        same(*(tokenizer(*pair, truncation=strategy, max_length=limit) for tokenizer in both))


def test_words_that_are_split_already(folder):
    kind, path = folder
    options = {"add_prefix_space": True} if kind == "RobertaTokenizer" else {}
    both = [getattr(library, kind).from_pretrained(path, **options) for library in (sightline, transformers)]
    ours, theirs = (t(WORDS, is_split_into_words=True, padding=True, **EXTRAS) for t in both)
    same(ours, theirs)
    assert [ours.word_ids(row) for row in range(9)] == [theirs.word_ids(row) for row in range(9)]
    same(*(t(WORDS[0], WORDS[1], is_split_into_words=True, **EXTRAS) for t in both))
    same(*(t(list(zip(TEXTS, SECONDS, strict=True)), **EXTRAS) for t in both))


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("cleans", [None, False, True])
def test_back_to_text(both, skips, cleans):
    ours, theirs = both
    ids = theirs(TEXTS, padding=True, return_tensors="pt").input_ids
    options = {"skip_special_tokens": skips, "clean_up_tokenization_spaces": cleans}
    expected = theirs.batch_decode(ids, **options)
    assert ours.batch_decode(ids, **options) == ours.decode(ids.tolist(), **options) == expected
    assert ours.batch_decode(list(ids.numpy()), **options) == expected
    assert ours.decode(ids[0], **options) == expected[0]
    assert ours.decode(int(ids[0, 1])) == theirs.decode(int(ids[0, 1]))


def test_tokens(both):
    ours, theirs = both
    for text, second in zip(TEXTS[-20:], SECONDS, strict=False):
        tokens = theirs.tokenize(text)
        assert ours.tokenize(text) == tokens
        assert ours.tokenize(text, second, add_special_tokens=True) == theirs.tokenize(
            text, second, add_special_tokens=True
        )
        assert ours.encode(text, second, max_length=8, truncation=True) == theirs.encode(
            text, second, max_length=8, truncation=True
        )
        assert ours.convert_tokens_to_ids(tokens) == theirs.convert_tokens_to_ids(tokens)
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)
        ids = theirs.encode(text)
        for skips in (False, True):
            assert ours.convert_ids_to_tokens(ids, skips) == theirs.convert_ids_to_tokens(ids, skips)
        assert ours.get_special_tokens_mask(ids, already_has_special_tokens=True) == theirs.get_special_tokens_mask(
            ids, already_has_special_tokens=True
        )
    assert ours.convert_tokens_to_ids("no such token") == theirs.convert_tokens_to_ids("no such token")


NAMES = [f"{name}_token{end}" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask") for end in ("", "_id")]
NAMES += ["all_special_tokens", "all_special_ids", "special_tokens_map", "extra_special_tokens", "vocab_size", "vocab"]
NAMES += ["model_input_names", "model_max_length", "padding_side", "truncation_side", "is_fast", "name_or_path"]
NAMES += ["max_len_single_sentence", "max_len_sentences_pair", "added_tokens_encoder", "pad_token_type_id"]
NAMES += ["clean_up_tokenization_spaces", "split_special_tokens", "chat_template", "extra_special_tokens_ids"]


def test_attributes(both):
    ours, theirs = both
    for name in NAMES:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert repr(ours) == repr(theirs)
    assert len(ours) == len(theirs)
    assert ours.get_added_vocab() == theirs.get_added_vocab()
    assert [ours.num_special_tokens_to_add(pair) for pair in (False, True)] == [
        theirs.num_special_tokens_to_add(pair) for pair in (False, True)
    ]


def test_where_tokens_lie(both):
    texts = ["a red cat, isn't it?", "dogs and  balls"]
    ours, theirs = (tokenizer(texts, texts[::-1], return_tensors=None) for tokenizer in both)
    looks = "token_to_chars token_to_word token_to_sequence char_to_token char_to_word word_to_tokens word_to_chars"
    for row in range(2):
        for name in ("tokens", "word_ids", "sequence_ids"):
            assert getattr(ours, name)(row) == getattr(theirs, name)(row)
        for name in looks.split():
            for number in (0, 1, 3):
                try:
                    expected = getattr(theirs, name)(row, number)
                except TypeError:  # the reference's, for a word that is not there
                    expected = None
                assert getattr(ours, name)(row, number) == expected
    assert ours.char_to_token(1, 2, sequence_index=1) == theirs.char_to_token(1, 2, sequence_index=1)
    assert ours.token_to_chars(2) == theirs.token_to_chars(2)
    assert ours[0].tokens == theirs[0].tokens
    assert (ours.n_sequences, ours.is_fast) == (theirs.n_sequences, theirs.is_fast) == (2, True)


def test_a_batch_is_a_dictionary(both):
    ours, theirs = (tokenizer(["a cat", "a"], padding=True) for tokenizer in both)
    assert dict(**ours) == dict(**theirs)
    assert ours.keys() == theirs.keys()
    again = pickle.loads(pickle.dumps(ours))
    assert again == ours
    assert again.tokens(1) == theirs.tokens(1)
    agree(ours.convert_to_tensors("pt"), theirs.convert_to_tensors("pt"))
    assert {value.device.type for value in ours.to("meta").values()} == {"meta"}
    bare = sightline.BatchEncoding({"input_ids": [1, 2]}, tensor_type="np", prepend_batch_axis=True)
    agree(bare, transformers.BatchEncoding({"input_ids": [1, 2]}, tensor_type="np", prepend_batch_axis=True))
    assert bare[:1]["input_ids"].tolist() == [[1, 2]]
    with pytest.raises(UsageError, match="only what a tokenizer gave"):
        bare.tokens()


ROWS = {
    "by name": {"input_ids": [[1, 2, 3], [4]], "labels": [0, 1]},
    "one by one": [{"input_ids": [1, 2, 3], "token_type_ids": [0, 0, 1]}, {"input_ids": [4], "token_type_ids": [1]}],
    "one row": {"input_ids": [5, 6], "special_tokens_mask": [1, 0], "attention_mask": [1, 1]},
    "tensors": [{"input_ids": torch.tensor([1, 2, 3])}, {"input_ids": torch.tensor([4])}],
    "arrays": {"input_ids": [np.array([1, 2, 3]), np.array([4])]},
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "max_length", "max_length": 5, "pad_to_multiple_of": 4, "padding_side": "left"},
        {"return_tensors": "pt"},
        {"return_attention_mask": False},
        {"padding": False},
    ],
    ids=str,
)
def test_rows_are_filled_up_afterwards(both, rows, options):
    if options.get("padding") is False and rows is not ROWS["one row"]:
        options = options | {"return_tensors": None}
        rows = {"input_ids": [[1, 2], [3, 4]]}
    ours, theirs = (tokenizer.pad(copy.deepcopy(rows), **options) for tokenizer in both)
    agree(ours, theirs)


ASSIGNED = [
    ("padding_side", "left"),
    ("truncation_side", "left"),
    ("model_max_length", 7),
    ("model_input_names", ["input_ids"]),
    ("pad_token", "!"),
    ("pad_token_id", 9),
    ("split_special_tokens", True),
    ("extra_special_tokens", ["!"]),
]


@pytest.mark.parametrize(("name", "value"), ASSIGNED)
def test_what_is_assigned_is_obeyed_and_saved(both, tmp_path, name, value):
    for tokenizer in both:
        setattr(tokenizer, name, value)
    ours, theirs = both
    options = {"padding": True, "truncation": True}
    expected = theirs(TEXTS, **options)
    same(ours(TEXTS, **options), expected)
    skipped = {"skip_special_tokens": True}
    assert ours.batch_decode(expected.input_ids, **skipped) == theirs.batch_decode(expected.input_ids, **skipped)
    assert [Path(file).name for file in ours.save_pretrained(tmp_path / "ours")] == [
        Path(file).name for file in theirs.save_pretrained(tmp_path / "theirs")
    ]
    tmp_path = tmp_path / "ours"
    for again in (type(ours).from_pretrained(tmp_path), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert getattr(again, name) == getattr(ours, name) == value
    # A token that was only named is a special one when the files are read again.
    reopened = type(theirs).from_pretrained(tmp_path)(TEXTS, **options)
    same(type(ours).from_pretrained(tmp_path)(TEXTS, **options), reopened)
    same(pickle.loads(pickle.dumps(ours))(TEXTS, **options), expected)


def test_new_tokens(both, tmp_path):
    ours, theirs = both
    shared = ours.tokenizer
    before = shared.vocabulary()
    steps = [
        lambda t: t.add_tokens(["newword", tokenizers.AddedToken("other", single_word=True), "a"]),
        lambda t: t.add_tokens("more", special_tokens=True),
        lambda t: t.add_special_tokens({"pad_token": "<fill>", "extra_special_tokens": ["<x>", "<y>"]}),
        lambda t: t.add_special_tokens({"extra_special_tokens": ["<y>", "<z>"]}, replace_extra_special_tokens=False),
        lambda t: t.add_special_tokens({"additional_special_tokens": ["<w>"]}),
    ]
    text = ["a newword cat<x> others <Y> <y>", "<fill> MORE more <w>"]
    for step in steps:
        assert step(ours) == step(theirs)
        assert (len(ours), ours.get_vocab()) == (len(theirs), theirs.get_vocab())
        assert ours.all_special_ids == theirs.all_special_ids
        same(ours(text, padding=True), theirs(text, padding=True))
    assert shared.vocabulary() == before
    assert len(ours.tokenizer) == len(theirs)
    assert [row.tolist() for row in ours.tokenizer.token_ids(text)] == theirs(text).input_ids
    ours.save_pretrained(tmp_path)
    for library in (sightline, transformers):
        again = library.AutoTokenizer.from_pretrained(tmp_path)
        same(again(text, padding=True), theirs(text, padding=True))
        assert again.extra_special_tokens == theirs.extra_special_tokens


OVERRIDES = [
    {"pad_token": "<new>"},
    {"padding_side": "left", "truncation_side": "left"},
    {"model_max_length": 9},
    {"extra_special_tokens": ["cat"]},
    {"model_input_names": ["input_ids"]},
    {"unk_token": "a"},
    {"eos_token": "!", "sep_token": "!"},
]


@pytest.mark.parametrize("whole", [False, True], ids=["vocabulary", "tokenizer.json"])
@pytest.mark.parametrize("changes", OVERRIDES, ids=str)
def test_opened_with_other_settings(folder, tmp_path, changes, whole):
    kind, path = folder
    if whole:
        getattr(transformers, kind).from_pretrained(path).save_pretrained(tmp_path)
        path = tmp_path
    both = [getattr(library, kind).from_pretrained(path, **changes) for library in (sightline, transformers)]
    ours, theirs = both
    same(*(t(TEXTS, padding=True, truncation=True) for t in both))
    assert (len(ours), ours.special_tokens_map) == (len(theirs), theirs.special_tokens_map)
    assert ours.all_special_ids == theirs.all_special_ids


def test_made_of_a_vocabulary(folder, tmp_path):
    kind, path = folder
    made = getattr(sightline, kind)
    expected = getattr(transformers, kind).from_pretrained(path)
    if kind == "BertTokenizer":
        words = {word: number for number, word in enumerate((path / "vocab.txt").read_text().split("\n")[:-1])}
        ways = [{"vocab": words}, {"vocab": path / "vocab.txt"}, {"vocab_file": str(path / "vocab.txt")}]
        cased = getattr(transformers, kind)(vocab=words, do_lower_case=False)
        assert made(words, do_lower_case=False).tokenize("Hund CAFÉ") == cased.tokenize("Hund CAFÉ")
        assert made(words).do_lower_case is True
    else:
        words = json.loads((path / "vocab.json").read_text())
        merges = (path / "merges.txt").read_text().split("\n")[1:-1]
        files = {"vocab_file": path / "vocab.json", "merges_file": path / "merges.txt"}
        pairs = [tuple(merge.split()) for merge in merges]
        ways = [{"vocab": words, "merges": merges}, {"vocab": words, "merges": pairs}, files]
    for way in ways:
        same(made(**way)(TEXTS, padding=True), expected(TEXTS, padding=True))
    files = made(**ways[0]).save_vocabulary(str(tmp_path), "small")
    assert all((tmp_path / file).is_file() for file in files)
    assert {file.split("/")[-1] for file in files} <= {"small-vocab.json", "small-merges.txt", "small-vocab.txt"}


def test_made_of_a_pipeline(tmp_path, word_pieces):
    built = transformers.BertTokenizer.from_pretrained(word_pieces).backend_tokenizer
    built.save(str(tmp_path / "tokenizer.json"))
    for source in ({"tokenizer_object": built}, {"tokenizer_file": str(tmp_path / "tokenizer.json")}):
        both = [
            library.PreTrainedTokenizerFast(**source, pad_token="[PAD]", unk_token="[UNK]")
            for library in (sightline, transformers)
        ]
        ours, theirs = both
        same(*(t(TEXTS, SECONDS, padding=True) for t in both))
        assert ours.special_tokens_map == theirs.special_tokens_map
        ours.save_pretrained(tmp_path / "saved")
        again = [library.AutoTokenizer.from_pretrained(tmp_path / "saved") for library in (sightline, transformers)]
        same(*(t(TEXTS, padding=True) for t in again))
        assert type(again[0]) is sightline.PreTrainedTokenizerFast
    with pytest.raises(CheckpointError, match="no start and end"):
        sightline.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()))


@pytest.mark.parametrize("name", ["mini", "mini-align", "mini-groupvit", "mini-xclip"])
def test_any_packaged_tokenizer(name):
    ours = sightline.AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
    kind = "BertTokenizer" if name == "mini-align" else "CLIPTokenizer"
    assert type(ours) is getattr(sightline, kind) is getattr(sightline, f"{kind}Fast")
    assert isinstance(ours, sightline.PreTrainedTokenizerFast)
    processor = sightline.AutoProcessor.from_pretrained(name)
    assert type(processor.tokenizer) is type(ours)
    same(ours(TEXTS, padding=True, truncation=True), processor.tokenizer(TEXTS, padding=True, truncation=True))


@pytest.mark.parametrize(("family", "theirs"), [("mini", "CLIPModel"), ("mini-align", "AlignModel")])
def test_texts_filled_on_the_left_have_the_references_vectors(family, theirs):
    folder = sightline.checkpoint.names.PACKAGED / family
    tokenizer = sightline.AutoTokenizer.from_pretrained(family)
    tokenizer.padding_side = "left"
    inputs = tokenizer(["a red circle", "a", "two blue squares on a table"], padding=True, return_tensors="pt")
    ours = getattr(sightline, theirs).from_pretrained(family)
    reference = getattr(transformers, theirs).from_pretrained(folder)
    with torch.no_grad():
        mine, other = (model.float().get_text_features(**inputs) for model in (ours, reference))
    torch.testing.assert_close(*(getattr(x, "pooler_output", x) for x in (mine, other)), rtol=1e-5, atol=1e-5)


def test_threads_share_a_tokenizer(both):
    ours, theirs = both
    lengths = [5, 9, 30]
    expected = [theirs(TEXTS, padding=True, truncation=True, max_length=n).input_ids for n in lengths]
    start = threading.Barrier(6)

    def work(n):
        start.wait()
        ours.add_tokens(["nowhere to be found"])
        return ours(TEXTS, padding=True, truncation=True, max_length=n).input_ids

    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            assert list(pool.map(work, lengths * 2)) == expected * 2


WRONG = [
    ({"text_target": "a"}, "text_target: these models write no text"),
    ({"truncation_side": "left"}, 'tokenizer.truncation_side = "left"'),
    ({"return_tensors": "tf"}, "return_tensors='tf'"),
    ({"return_tensors": "jax"}, "return_tensors='jax'"),
    ({"paddin": True}, "paddin: no such argument.*padding"),
    ({"padding_side": "middle", "padding": True}, "padding_side='middle'"),
    ({"truncation": "only_second", "max_length": 4}, "needs a text_pair"),
    ({"truncation": True, "max_length": 1}, "max_length=1 leaves no room"),
    ({"truncation": True, "max_length": 4, "stride": 2}, "room for 2 tokens"),
    ({"truncation": True, "max_length": 9, "padding": True, "pad_to_multiple_of": 4}, "no multiple"),
    ({"text_pair": "b"}, "1 texts need a list"),
    ({"text_pair": ["a", "b"]}, "1 texts need a list"),
]


@pytest.mark.parametrize(("options", "says"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_a_wrong_call_says_what_to_write(both, options, says):
    with pytest.raises(UsageError, match=says):
        both[0](["a photo of a cat"], **options)


def test_what_is_refused_says_what_to_write(both, tmp_path):
    ours = both[0]
    with pytest.raises(UsageError, match="is_split_into_words=True"):
        ours([["a", "b", "c"]])
    with pytest.raises(UsageError, match="no chat template"):
        ours.apply_chat_template([])
    with pytest.raises(UsageError, match="already_has_special_tokens=True"):
        ours.get_special_tokens_mask([1, 2])
    for name, says in (("encode_plus", "call the tokenizer"), ("additional_special_tokens", "extra_special_tokens")):
        with pytest.raises(AttributeError, match=says):
            getattr(ours, name)
    for name, value in (("padding_side", "up"), ("pad_token", 3), ("extra_special_tokens", "a")):
        with pytest.raises(UsageError, match=name):
            setattr(ours, name, value)
    ours.pad_token = None
    with pytest.raises(UsageError, match=r"tokenizer\.pad_token = tokenizer\.eos_token"):
        ours(["a", "b c"], padding=True)
    with pytest.raises(UsageError, match="no such special token"):
        ours.add_special_tokens({"image_token": "<image>"})
    with pytest.raises(UsageError, match=r"pad_tokn: no such setting.*pad_token"):
        type(ours).from_pretrained("mini", pad_tokn="a")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        ours.save_pretrained(tmp_path / "file")
    with pytest.raises(UsageError, match="from_pretrained"):
        type(ours)()
    with pytest.raises(UsageError, match=r"AutoTokenizer\.from_pretrained"):
        sightline.AutoTokenizer()


def test_a_tokenizer_of_another_kind_is_named():
    with pytest.raises(CheckpointError, match="holds a BertTokenizer, no CLIPTokenizer; AutoTokenizer"):
        sightline.CLIPTokenizer.from_pretrained("mini-align")


PADDED = {"padding": "max_length", "max_length": 30, "padding_side": "left", "truncation": True, "return_tensors": "pt"}


def test_encodings_are_those_of_the_call_whenever_they_are_asked_for(both):
    """They are made then: what is done to the tokenizer in between does not change them."""
    ours, theirs = (tokenizer(TEXTS, **PADDED) for tokenizer in both)
    both[0].add_tokens(["cat", "photo"])
    both[0].padding_side, both[0].pad_token = "right", both[0].unk_token
    sent = pickle.loads(pickle.dumps(ours))
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda row: ours.tokens(row), range(len(TEXTS))))
    assert seen == [theirs.tokens(row) for row in range(len(TEXTS))]
    for name in ("ids", "offsets", "attention_mask", "special_tokens_mask", "type_ids", "word_ids"):
        wanted = [getattr(row, name) for row in theirs.encodings]
        for mine in (ours, sent):
            assert [getattr(row, name) for row in mine.encodings] == wanted
    assert (ours.is_fast, ours.n_sequences) == (theirs.is_fast, theirs.n_sequences)


@pytest.mark.parametrize("kind", ["np", "pt", None])
@pytest.mark.parametrize("side", ["left", "right"])
def test_everything_is_filled_up(both, kind, side):
    options = EXTRAS | {"padding": True, "pad_to_multiple_of": 8, "padding_side": side, "return_tensors": kind}
    same(*(tokenizer(TEXTS, SECONDS, **options) for tokenizer in both))


@pytest.mark.parametrize("ids", ["5", ["5", "6"], [1.5], None])
def test_ids_that_are_no_numbers_are_named(both, ids):
    for tokenizer in both:
        with pytest.raises(TypeError):
            tokenizer.decode(ids)


def test_ids_that_no_token_has_are_named(both):
    with pytest.raises(UsageError, match=r"no token has the id -100: fill the places .* with pad_token_id"):
        both[0].decode([-100, 5])


def test_saving_takes_what_changes_nothing_and_writes_nothing_after_a_slip(both, tmp_path):
    both[0].save_pretrained(tmp_path / "a", legacy_format=False)
    with pytest.raises(UsageError, match="legacy_formt: no such argument; did you mean legacy_format"):
        both[0].save_pretrained(tmp_path / "b", legacy_formt=False)
    assert not (tmp_path / "b").exists()


@pytest.mark.system
def test_many_texts(both):
    texts = strings(2000)
    same(*(tokenizer(texts, [*texts[9:], *texts[:9]], **EXTRAS) for tokenizer in both))
    same(*(tokenizer(texts, padding=True, truncation=True, max_length=16, **EXTRAS) for tokenizer in both))
