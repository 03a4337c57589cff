"""Batches: each a function of its step, as the processor would make them, whoever works on them."""

import io
import json
import signal
import subprocess
import sys
import threading
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

from sightline import CLIPProcessor, XCLIPProcessor
from sightline.data import Sample, captions
from sightline.errors import DataError, UsageError
from sightline.processing.video.sampling import sample_frames
from sightline.train.loader import Loader
from sightline.train.sampler import BatchSampler
from support.datasets import shard, tar
from support.examples import examples
from support.videos import film


@pytest.fixture(scope="module")
def folder(vocabulary, tmp_path_factory):
    """A processor's folder for pictures of 16 pixels."""
    folder = tmp_path_factory.mktemp("processor")
    for name in ("vocab.json", "merges.txt"):
        (folder / name).write_bytes((vocabulary / name).read_bytes())
    settings = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 16}, "crop_size": 16}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def processor(folder):
    return CLIPProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """50 of them in 5 shards."""
    folder = tmp_path_factory.mktemp("shards")
    for number in range(5):
        shard(folder / f"{number}.tar", range(10 * number, 10 * number + 10), captions=1 + number)
    return captions(folder / "*.tar").samples


def same(one, other):
    for name in ("pixel_values", "input_ids", "attention_mask", "owner"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0)
    assert one.skipped == other.skipped


# --- order


@examples(60)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**40))
def test_every_sample_once_an_epoch_and_never_twice_in_a_batch(count, batch, files, seed):
    batch = min(batch, count)
    order = BatchSampler([number % files for number in range(count)], batch, seed)
    rows = [order.batch(step) for step in range(4 * count // batch + 1)]
    for epoch in range(4):
        assert sorted(number for b in rows for e, number in b if e == epoch) == list(range(count))
    if count >= 2 * batch or count % batch == 0:
        assert all(len({number for _, number in b}) == batch for b in rows)
    # Nothing but the step counts, not what was asked for before.
    assert BatchSampler([number % files for number in range(count)], batch, seed).batch(len(rows) - 1) == rows[-1]


def test_large_sets_are_read_shard_by_shard():
    files = [number // 1_000 for number in range(200_000)]
    order = BatchSampler(files, 1_000, 0)
    touched = [{files[number] for step in range(at, at + 16) for _, number in order.batch(step)} for at in (0, 80)]
    assert all(len(some) <= 34 for some in touched)  # two windows' shards, and the ends of those before and after
    assert len({files[number] for _, number in order.batch(3)}) > 10
    assert order.batch(0) != BatchSampler(files, 1_000, 1).batch(0)
    assert [number for _, number in order.batch(0)] != [number for _, number in order.batch(200)]


def test_files_of_their_own_are_shuffled_as_a_whole():
    order = BatchSampler(range(100_000), 1_000, 0)
    first = np.array([number for _, number in order.batch(0)])
    assert abs(np.mean(first) - 50_000) < 4_000
    assert first.min() < 1_000
    assert first.max() > 99_000


# --- batches


def test_pixels_and_tokens_are_the_processors(samples, processor):
    loader = Loader(samples, processor, batch_size=20, seed=3, workers=2)
    (batch,) = loader.stream(1, 2)
    keys = [samples[number].key for _, number in BatchSampler([s.file for s in samples], 20, 3).batch(1)]
    by_key = {sample.key: sample for sample in samples}
    pictures = [Image.open(io.BytesIO(by_key[key].content())).convert("RGB") for key in keys]
    expected = processor(images=pictures, return_tensors="pt").pixel_values
    torch.testing.assert_close(batch.pixel_values, expected, rtol=0, atol=0)
    texts = processor.batch_decode(batch.input_ids, skip_special_tokens=True)
    assert all(text in by_key[key].captions for text, key in zip(texts, keys, strict=True))
    again = processor(text=texts, padding=True, return_tensors="pt")
    torch.testing.assert_close(batch.input_ids, again.input_ids)
    torch.testing.assert_close(batch.attention_mask, again.attention_mask)
    assert batch.owner.tolist() == list(range(20))


VARIED = {"crop": (0.3, 1.0), "flip": True, "color_jitter": 0.4, "captions_per_image": 2}


@pytest.mark.parametrize("options", [{}, VARIED], ids=["as they are", "varied"])
def test_batches_are_a_function_of_the_step(samples, processor, options):
    one = list(Loader(samples, processor, batch_size=8, seed=3, workers=1, **options).stream(0, 15))
    two = list(Loader(samples, processor, batch_size=8, seed=3, workers=3, **options).stream(9, 15))
    for first, second in zip(one[9:], two, strict=True):
        same(first, second)
    (other,) = Loader(samples, processor, batch_size=8, seed=4, workers=1, **options).stream(9, 10)
    assert not torch.equal(other.pixel_values, two[0].pixel_values)


@pytest.mark.parametrize("options", [{}, VARIED], ids=["as they are", "varied"])
def test_processes_share_the_rows_of_one_batch(samples, processor, options):
    for step in (0, 6):
        (whole,) = Loader(samples, processor, batch_size=8, seed=3, **options).stream(step, step + 1)
        for rank in range(4):
            mine = Loader(samples, processor, batch_size=8, seed=3, rank=rank, world_size=4, **options)
            (own,) = mine.stream(step, step + 1)
            same(own, whole.part(2 * rank, 2 * rank + 2))


def test_a_sample_is_varied_alike_wherever_it_stands_and_anew_each_epoch(samples, processor):
    def seen(batch, steps):
        loader = Loader(samples, processor, batch_size=batch, seed=3, workers=2, crop=(0.2, 0.6), flip=True)
        rows = {}
        order = BatchSampler([sample.file for sample in samples], batch, 3)
        for step, made in enumerate(loader.stream(0, steps)):
            for (epoch, number), values in zip(order.batch(step), made.pixel_values, strict=True):
                rows[epoch, number] = values
        return rows

    by_five, by_ten = seen(5, 20), seen(10, 10)
    assert by_five.keys() == by_ten.keys()
    assert all(torch.equal(by_five[place], by_ten[place]) for place in by_five)
    assert not any(torch.equal(by_five[0, number], by_five[1, number]) for number in range(50))


def test_several_captions_each(samples, processor):
    batches = list(Loader(samples, processor, batch_size=10, captions_per_image=3).stream(0, 5))
    counts = Counter(int(count) for batch in batches for count in batch.owner.bincount(minlength=10))
    assert counts == {1: 10, 2: 10, 3: 30}
    for batch in batches:
        texts = [tuple(row.tolist()) for row in batch.input_ids]
        assert len(set(texts)) == len(texts)
        assert batch.input_ids.shape == batch.attention_mask.shape
        assert batch.attention_mask.sum(1).max() == batch.input_ids.shape[1]
        assert (batch.owner.diff() >= 0).all()


def test_what_cannot_be_read_is_left_out_and_counted(tmp_path, samples, processor):
    tar(tmp_path / "a.tar", [("bad.jpg", b"no picture"), ("bad.txt", b"words"), ("film.mp4", b"1"), ("film.txt", b"a")])
    mixed = (*samples[:8], *captions(tmp_path / "a.tar").samples, Sample("gone", tmp_path / "gone.png", ("a",)))
    loader = Loader(mixed, processor, batch_size=11, workers=2, captions_per_image=2)
    (batch,) = loader.stream(0, 1)
    assert (len(batch), batch.skipped) == (8, 3)
    assert batch.owner.unique().tolist() == list(range(8))
    assert loader.unreadable.keys() == {"bad", "film", "gone"}
    assert "the model takes images" in loader.unreadable["film"]
    assert "no such file" in loader.unreadable["gone"]
    same(batch, next(loader.stream(0, 1)))
    with pytest.raises(DataError, match=r"step 3: none of 2 samples can be read: .*(bad|gone)"):
        list(Loader(mixed[-3::2], processor, batch_size=2).stream(3, 4))


def test_whoever_stops_early_leaves_no_thread_behind(samples, processor):
    before = set(threading.enumerate())
    stream = Loader(samples, processor, batch_size=4, workers=3).stream(0, 10**9)
    next(stream)
    assert set(threading.enumerate()) != before
    stream.close()
    assert set(threading.enumerate()) == before


FOREVER = """
import sys
from sightline import CLIPProcessor
from sightline.data import captions
from sightline.train.loader import Loader

loader = Loader(captions(sys.argv[1]).samples, CLIPProcessor.from_pretrained(sys.argv[2]), batch_size=4, workers=3)
for batch in loader.stream(0, 10**9):
    print("batch", flush=True)
"""


@pytest.mark.system
def test_ctrl_c_ends_it(samples, folder):
    command = [sys.executable, "-c", FOREVER, str(samples[0].file), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(3):
            assert process.stdout.readline() == "batch\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert told.splitlines()[-1] == "KeyboardInterrupt"


def test_no_more_than_a_few_batches_are_made_ahead(samples, processor):
    loader = Loader(samples, processor, batch_size=5, workers=2)
    opened = []
    whole = loader._open
    loader._open = lambda sample: (opened.append(sample), whole(sample))[1]
    stream = loader.stream(0, 10**9)
    for _ in range(3):
        next(stream)
    stream.close()
    assert 15 <= len(opened) <= 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 51}, "batch_size is 51, but there are only 50 samples: --batch-size 50 takes all"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 4, "world_size": 3}, "does not divide among 3"),
        ({"batch_size": 4, "world_size": 2, "rank": 2}, "number 2"),
        ({"batch_size": 4, "captions_per_image": 0}, "captions_per_image=0"),
        ({"batch_size": 4, "workers": 0}, "workers=0"),
        ({"batch_size": 4, "seed": -1}, "seed=-1"),
        ({"batch_size": 4, "crop": (0.5, 0.2)}, "crop="),
        ({"batch_size": 4, "color_jitter": 1.0}, "color_jitter="),
    ],
)
def test_options_that_make_no_sense(samples, processor, options, message):
    with pytest.raises(UsageError, match=message):
        Loader(samples, processor, **options)


# --- films


def test_films_come_with_as_many_frames_as_the_model_takes(folder, tmp_path, samples):
    (folder / "config.json").write_text(json.dumps({"model_type": "xclip", "vision_config": {"num_frames": 4}}))
    processor = XCLIPProcessor.from_pretrained(folder)
    path = film(tmp_path / "a.mp4", [1, 2, 3, 4])
    inside = tar(tmp_path / "a.tar", [("b.mp4", path.read_bytes()), ("b.txt", b"a film")])
    given = (Sample("a", path, ("one",)), *captions(inside).samples, samples[0])
    loader = Loader(given, processor, batch_size=3)
    (batch,) = loader.stream(0, 1)
    assert batch.pixel_values.shape == (3, 4, 3, 16, 16)
    order = [given[number].key for _, number in BatchSampler([s.file for s in given], 3, 0).batch(0)]
    expected = processor(videos=sample_frames(path, 4), return_tensors="pt").pixel_values[0]
    for key in ("a", "b"):
        torch.testing.assert_close(batch.pixel_values[order.index(key)], expected, rtol=0, atol=0)
    still = batch.pixel_values[order.index(samples[0].key)]
    assert torch.equal(still[0], still[3])
    (varied,) = Loader(given[2:], processor, batch_size=1, crop=(0.2, 0.5), flip=True).stream(0, 1)
    assert torch.equal(varied.pixel_values[0, 0], varied.pixel_values[0, 3])
