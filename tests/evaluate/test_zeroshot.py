"""Zero-shot classification of drawn pictures and films, against a plain computation."""

import numpy as np
import pytest
import torch

import sightline
from sightline import XCLIPModel, scenes
from sightline.data import labelled
from sightline.data.classes import Classes
from sightline.errors import UsageError
from sightline.evaluate import compare, video, zeroshot
from sightline.evaluate.classification import measure
from support.videos import film

SHAPES = ("circle", "moon", "triangle")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Four pictures of each of three shapes, and one that is broken."""
    root, index = tmp_path_factory.mktemp("shapes"), 0
    wanted = dict.fromkeys(SHAPES, 4)
    while any(wanted.values()):
        scene = scenes.unseen(1, index)
        shape = scene.things[0].shape
        if len(scene.things) == 1 and wanted.get(shape):
            (root / shape).mkdir(exist_ok=True)
            scene.draw(64).save(root / shape / f"{index:03d}.png")
            wanted[shape] -= 1
        index += 1
    (root / "circle" / "000.png").write_bytes(b"nothing")
    return root


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    for i, name in enumerate(("going up", "going down")):
        for j in range(2):
            film(root / name.replace(" ", "_") / f"{j}.mp4", [10 * i + j, 10 * i + j + 1])
    return root


def ranked(scores, label):
    return [
        int((row > row[one]).sum() + (row[:one] == row[one]).sum()) + 1 for row, one in zip(scores, label, strict=True)
    ]


def test_pictures_with_an_ensemble_and_more_classes(mini, folders):
    known = Classes(("star", "Triangle", "circle", "moon", "house", "drop", "arrow"), tuple(range(7)), ("one {}",))
    templates = ["a {}", "a drawing of a {}."]
    heard = []
    result = zeroshot(mini, labelled(folders), known, templates, heard.append, settings={"split": None})
    files = [file for shape in SHAPES for file in sorted((folders / shape).iterdir()) if file.name != "000.png"]
    label = [2] * 4 + [3] * 4 + [1] * 4
    words = []
    for name in known.names:
        mean = mini.encode_text([template.replace("{}", name) for template in templates]).mean(0)
        words.append(mean / np.linalg.norm(mean))
    scores = mini.encode_images(files).astype(np.float64) @ np.stack(words).T
    rank = ranked(scores, label)
    assert result.samples == {
        "key": [str(file.relative_to(folders)) for file in files],
        "label": label,
        "rank": rank,
        "predicted": scores.argmax(1).tolist(),
    }
    assert result.figures["top-1"] == np.mean(np.array(rank) == 1)
    assert result.figures["top-5"] == np.mean(np.array(rank) <= 5)
    assert result.figures["mean_per_class"] == pytest.approx(
        np.mean([result.details["classes"][name]["top-1"] for name in ("circle", "moon", "Triangle")])
    )
    assert result.details["classes"]["moon"]["samples"] == 4
    assert result.details["without_samples"] == ["star", "house", "drop", "arrow"]
    assert [one.source for one in result.skipped] == [str(folders / "circle" / "000.png")]
    assert result.settings == {"classes": list(known.names), "templates": templates, "split": None}
    assert {progress.stage for progress in heard} == {"encoding", "reading texts", "ranking"}
    with pytest.raises(UsageError, match="differ in their classes"):
        compare(result, zeroshot(mini, labelled(folders)))
    assert compare(result, zeroshot(mini, labelled(folders), known), draws=20).details["samples"] == 12


def test_templates_left_out(mini, folders):
    assert zeroshot(mini, labelled(folders)).settings["templates"] == ["a photo of a {}."]
    known = Classes(SHAPES, (0, 1, 2), ("one {}",))
    assert zeroshot(mini, labelled(folders), known).settings["templates"] == ["one {}"]


def test_films_by_the_whole_model(mini_xclip, clips):
    result = video(mini_xclip, labelled(clips), None, ["{}", "something {}"])
    films = [clips / name / f"{j}.mp4" for name in ("going_down", "going_up") for j in range(2)]
    assert result.kind == "video"
    assert result.settings["classes"] == ["going down", "going up"]
    from sightline.encoder.inputs import video_frames

    profile = mini_xclip.profile
    frames = [video_frames(one, mini_xclip.frames, mini_xclip.size_hint) for one in films]
    pixels = np.stack([profile.normalize(np.stack([profile.resize_and_crop(one) for one in each])) for each in frames])
    texts = ["going down", "something going down", "going up", "something going up"]
    model = XCLIPModel.from_pretrained(mini_xclip.path, dtype=torch.float32)
    ids, mask = mini_xclip.tokenizer.pad(mini_xclip.tokens(texts), None)
    with torch.inference_mode():
        logits = model(torch.from_numpy(ids), torch.from_numpy(pixels), torch.from_numpy(mask)).logits_per_video
    scores = logits.numpy().reshape(4, 2, 2).mean(2)
    assert result.samples["rank"] == ranked(scores, [0, 0, 1, 1])


def test_a_model_for_pictures_sees_films_too(mini, clips):
    result = video(mini, labelled(clips))
    assert result.settings["templates"] == ["{}"]
    scores = mini.encode_videos([clips / name / f"{j}.mp4" for name in ("going_down", "going_up") for j in range(2)])
    scores = scores @ mini.encode_text(["going down", "going up"]).T
    assert result.samples["rank"] == ranked(scores, [0, 0, 1, 1])


def test_the_wrong_kind_of_data(mini, folders, clips):
    with pytest.raises(UsageError, match=r"000\.png is an image: `sightline eval zeroshot`"):
        video(mini, labelled(folders))
    with pytest.raises(UsageError, match=r"\.mp4 is a video: `sightline eval video`"):
        zeroshot(mini, labelled(clips))
    with pytest.raises(UsageError, match="'circle' is not among"):
        zeroshot(mini, labelled(folders), Classes(("moon", "triangle"), (0, 1)))


def test_a_sample_may_count_more_than_once():
    rng = np.random.default_rng(0)
    samples = {"label": rng.integers(0, 4, 40).tolist(), "rank": rng.integers(1, 8, 40).tolist()}
    weights = rng.integers(0, 3, (4, 40))
    found = measure(samples, weights.astype(float))
    for row, each in enumerate(weights):
        label, rank = (np.repeat(samples[name], each) for name in ("label", "rank"))
        assert found["top-1"][row] == pytest.approx((rank == 1).mean())
        assert found["top-5"][row] == pytest.approx((rank <= 5).mean())
        of_classes = [(rank[label == i] == 1).mean() for i in np.unique(label)]
        assert found["mean_per_class"][row] == pytest.approx(np.mean(of_classes))


def test_names_that_the_vocabulary_lacks_are_said_whatever_the_template(folders, caplog):
    known = Classes((*SHAPES, "狗"), tuple(range(4)))
    with caplog.at_level("WARNING", "sightline"):
        zeroshot(sightline.load("mini", device="cpu"), labelled(folders), known)
    assert "1 of 4 texts is mostly words that mini spells byte by byte, such as “狗”" in caplog.text
