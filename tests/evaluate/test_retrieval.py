"""Recall over a data set, against the whole matrix."""

import dataclasses
import io
import shutil
import tarfile
from itertools import chain

import numpy as np
import pytest
import torch
from PIL import Image

from sightline import XCLIPModel
from sightline.checkpoint.selection import Selection, write_selection
from sightline.data import captions
from sightline.encoder import load
from sightline.errors import DataError
from sightline.evaluate.encode import encode, score_pairs
from sightline.evaluate.notes import notes
from sightline.evaluate.result import Result
from sightline.evaluate.retrieval import measure, retrieval
from sightline.metrics import ranks, recall_at
from support.datasets import tar


def flat(lists):
    return list(chain.from_iterable(lists))


def pictures(shard):
    """The pictures that can be read, and their captions, in order."""
    with tarfile.open(shard) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}
    found = []
    for sample in captions(shard).samples:
        if sample.key != "04":
            image = Image.open(io.BytesIO(content[f"{sample.key}.png"]))
            image.load()  # the same picture is read by several threads, which Pillow does not bear while it is decoded
            found.append((image, list(sample.captions)))
    return [one for one, _ in found], [said for _, said in found]


def check(result, scores, said):
    """`scores` (N, T): the oracle."""
    owner = np.repeat(np.arange(len(said)), [len(one) for one in said])
    i2t = ranks(scores, [np.flatnonzero(owner == i) for i in range(len(said))])
    t2i = ranks(scores.T, owner[:, None])
    assert result.samples["image_to_text"] == (i2t + 1).tolist()
    assert flat(result.samples["text_to_image"]) == (t2i + 1).tolist()
    for way, found in (("image_to_text", i2t), ("text_to_image", t2i)):
        for k in (1, 5, 10):
            assert result.figures[f"{way}_R@{k}"] == pytest.approx(recall_at(found, k), abs=1e-12)
        assert result.figures[f"{way}_median_rank"] == np.median(found + 1)
        assert result.figures[f"{way}_mean_rank"] == pytest.approx(np.mean(found + 1))
    recalls = [figure for name, figure in result.figures.items() if "R@" in name]
    assert result.figures["mean_recall"] == pytest.approx(np.mean(recalls))


def test_as_the_whole_matrix_says(mini, shard, tmp_path):
    heard = []
    result = retrieval(mini, captions(shard), heard.append, settings={"split": None})
    images, said = pictures(shard)
    vectors, texts = mini.encode_images(images), mini.encode_text(flat(said))
    check(result, vectors.astype(np.float64) @ texts.T.astype(np.float64), said)
    assert result.figures["text_to_image_R@5"] > 0.5, "it has learned to see scenes"

    assert (result.kind, result.model, result.precision, result.seed) == ("retrieval", mini.name, "float32", 0)
    assert result.model_fingerprint == mini.fingerprint
    assert result.data_fingerprint == captions(shard).fingerprint
    assert [one.source for one in result.skipped] == [f"{shard}/04.png"]
    assert result.samples["key"] == [f"{i:02d}" for i in range(12) if i != 4]
    details, texts = dict(result.details), sum(map(len, said))
    shown = details.pop("examples")
    assert details == {"images": 11, "texts": texts, "different_texts": texts, "left_out": {}, "pairs_only": {}}
    for one in shown["text_to_image"]:
        assert (one["found"][0] == one["key"]) == (one["rank"] == 1)
        assert {one["key"], *one["found"]} <= shown["images"].keys()
    for name, value in result.figures.items():
        low, high = result.intervals[name]
        assert low <= value <= high, name
    result.save(tmp_path / "result.json")
    assert Result.open(tmp_path / "result.json") == result

    stages = list(dict.fromkeys(progress.stage for progress in heard))
    assert stages == ["encoding", "reading texts", "ranking"]
    assert all(progress.done <= progress.total for progress in heard)
    assert max(progress.skipped for progress in heard) == 1


def test_rows_are_those_of_the_encoder(mini, shard):
    encoded = encode(mini, captions(shard).samples)
    batch = mini.batch
    # The encoder's own batches are as large as these only if there are many.
    rows = mini.encode_images(pictures(shard)[0] * batch)[: len(encoded.vectors)]
    np.testing.assert_array_equal(encoded.vectors, rows)


def test_xclip_scores_by_the_whole_model(mini_xclip, shard):
    result = retrieval(mini_xclip, captions(shard))
    images, said = pictures(shard)
    model = XCLIPModel.from_pretrained(mini_xclip.path, dtype=torch.float32)
    profile = mini_xclip.profile
    stills = [profile.normalize(np.stack([profile.resize_and_crop(image)] * mini_xclip.frames)) for image in images]
    ids, mask = mini_xclip.tokenizer.pad(mini_xclip.tokens(flat(said)), None)
    with torch.inference_mode():
        out = model(torch.from_numpy(ids), torch.from_numpy(np.stack(stills)), torch.from_numpy(mask))
        whole = (out.logits_per_video / model.scale).numpy()
    check(result, whole, said)
    plain = mini_xclip.encode_images(images) @ mini_xclip.encode_text(flat(said)).T
    encoded = encode(mini_xclip, captions(shard).samples)
    scores, _ = score_pairs(mini_xclip, encoded, mini_xclip.embed_text(flat(said)))
    found = scores(slice(None), slice(None))
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-4)
    assert np.abs(found - plain).max() > 1e-3, "the prompts matter here"


def test_nothing_to_be_read(mini, tmp_path):
    broken = tar(tmp_path / "broken.tar", [("a.png", b"no picture"), ("a.txt", b"a cat")])
    with pytest.raises(DataError, match=r"none of 1 .*broken\.tar/a\.png"):
        retrieval(mini, captions(broken))


def test_a_picture_may_count_more_than_once():
    """Weights are as good as the samples repeated."""
    rng = np.random.default_rng(0)
    samples = {
        "image_to_text": rng.integers(1, 20, 30).tolist(),
        "text_to_image": [rng.integers(1, 20, rng.integers(1, 4)).tolist() for _ in range(30)],
    }
    weights = rng.integers(0, 3, (5, 30))
    found = measure(samples, weights.astype(float))
    for row, each in enumerate(weights):
        repeated = {name: [one for one, n in zip(column, each, strict=True) for _ in range(n)]
                    for name, column in samples.items()}  # fmt: skip
        texts = np.array(flat(repeated["text_to_image"]))
        assert found["text_to_image_R@5"][row] == pytest.approx((texts <= 5).mean())
        assert found["text_to_image_median_rank"][row] == np.median(texts)
        assert found["image_to_text_median_rank"][row] == np.median(repeated["image_to_text"])
        alone = measure(repeated, np.ones((1, each.sum())))
        assert {name: value[row] for name, value in found.items()} == pytest.approx(
            {name: value[0] for name, value in alone.items()}
        )


def test_a_checkpoint_that_was_chosen_says_by_what(mini, shard, tmp_path):
    folder = shutil.copytree(mini.folder, tmp_path / "best")
    data = captions(shard)
    assert retrieval(load(folder), data).selection is None
    chosen = Selection(data="val.csv", data_fingerprint=data.fingerprint, metric="mean_recall", checkpoints=11)
    write_selection(folder, chosen)
    result = retrieval(load(folder), data)
    result.save(tmp_path / "result.json")
    assert Result.open(tmp_path / "result.json").selection == dataclasses.asdict(chosen)
    assert result.model_fingerprint == mini.fingerprint
    (said,) = [note for note in notes(result) if "chosen" in note]
    assert "the best of 11 checkpoints" in said
