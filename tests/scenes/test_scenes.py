"""Scenes: the same everywhere, and every word about them true."""

import hashlib
import re
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sightline import scenes
from sightline.scenes import BACKGROUNDS, COLORS, HELD_OUT, LIGHTS, SHAPES, SIZES, TEXTURES, Scene
from sightline.scenes.captions import RELATIONS
from sightline.scenes.drawing import silhouette
from sightline.scenes.layout import distance
from support.examples import examples

SEEDS = st.integers(0, 2**31)
MANY = [scenes.sample(11, i) for i in range(1500)]
TESTS = scenes.distinct(300, seed=5)
GOLDEN_MEANS = [[201.1, 205.0, 218.8], [96.7, 116.3, 33.6], [28.4, 26.2, 66.4]]


def test_the_dictionary_is_large_enough() -> None:
    assert len(SHAPES) >= 12
    assert len(COLORS) >= 12
    assert len(SIZES) >= 3
    assert min(len(TEXTURES), len(BACKGROUNDS), len(LIGHTS)) >= 4


@pytest.mark.system
def test_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from sightline import scenes;"
        "print(hashlib.sha256(repr([(s, s.captions) for s in (scenes.sample(3, i) for i in range(20))]).encode())"
        ".hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = repr([(s, s.captions) for s in (scenes.sample(3, i) for i in range(20))])
    assert runs == {hashlib.sha256(here.encode()).hexdigest()}


def test_drawings_are_what_they_were() -> None:
    """The shipped model learned from them. Coarse means, as another Pillow may smooth an edge otherwise."""
    means = [np.asarray(scenes.sample(7, i).draw(64), float).mean(axis=(0, 1)).round(1).tolist() for i in range(3)]
    for found, expected in zip(means, GOLDEN_MEANS, strict=True):
        assert found == pytest.approx(expected, abs=0.5)


def test_one_picture_at_every_size() -> None:
    for scene in MANY[:3]:
        small = np.asarray(scene.draw(48), float)
        large = np.asarray(scene.draw(192).resize((48, 48), resample=4), float)
        assert np.abs(small - large).mean() < 8


def test_everything_occurs() -> None:
    things = [thing for scene in MANY for thing in scene.things]
    assert {t.shape for t in things} == set(SHAPES)
    assert {t.color for t in things} == set(COLORS)
    assert {t.size for t in things} == set(SIZES)
    assert {t.texture for t in things} == set(TEXTURES)
    assert {s.background for s in MANY} == set(BACKGROUNDS)
    assert {s.light for s in MANY} == set(LIGHTS)
    assert {len(s.things) for s in MANY} == {1, 2, 3, 4}
    relations = {s.relation(a, b) for s in MANY for a in range(len(s.things)) for b in range(len(s.things)) if a != b}
    assert relations - {None} == set(RELATIONS)


def test_training_never_sees_what_is_held_out() -> None:
    assert not [t for s in MANY for t in s.things if (t.shape, t.color) in HELD_OUT]
    with_pair = [any((t.shape, t.color) in HELD_OUT for t in s.things) for s in TESTS]
    assert 0.4 < np.mean(with_pair) < 0.6
    assert {shape for shape, _ in HELD_OUT} == set(SHAPES)


def test_distinct_captions() -> None:
    assert len({scene.caption for scene in TESTS}) == len(TESTS) == 300
    assert TESTS[:50] == scenes.distinct(50, seed=5)


@examples(200)
@given(SEEDS, st.integers(0, 10_000))
def test_geometry(seed: int, index: int) -> None:
    for scene in (scenes.sample(seed, index), scenes.unseen(seed, index)):
        for thing in scene.things:
            assert thing.radius <= thing.x <= 1 - thing.radius
            assert thing.radius <= thing.y <= 1 - thing.radius
            assert thing.color not in BACKGROUNDS[scene.background].clashes
        assert len({(t.shape, t.color) for t in scene.things}) == len(scene.things)
        for a, b in combinations(range(len(scene.things)), 2):
            apart = distance(scene.things[a], scene.things[b])
            touching = apart < scene.things[a].radius + scene.things[b].radius
            assert touching == (scene.relation(a, b) in ("inside", "around", "front", "behind"))


def test_what_is_drawn_overlaps_only_where_it_is_said() -> None:
    """In pixels, not discs: nothing covers anything unless said, and what is inside nowhere sticks out."""
    side, pairs = 96, 0
    at = (np.arange(side) + 0.5) / side
    for scene in MANY[:400]:
        drawn = [np.asarray(silhouette(thing, side)) > 0 for thing in scene.things]
        for a, b in combinations(range(len(drawn)), 2):
            told = scene.relation(a, b)
            if told == "around":
                thing = scene.things[a]
                disc = np.hypot(at[None, :] - thing.x, at[:, None] - thing.y) <= thing.radius
                assert not (drawn[b] & ~disc).any()
                pairs += 1
            elif told != "behind":
                assert told not in ("inside", "front"), "a later thing is painted over an earlier one"
                assert not (drawn[a] & drawn[b]).any()
    assert pairs > 20


OPPOSITE = {"left": "right", "above": "below", "inside": "around", "front": "behind"}


@examples(200)
@given(SEEDS)
def test_relations_are_symmetric_and_true(seed: int) -> None:
    scene = scenes.sample(seed)
    both = OPPOSITE | {b: a for a, b in OPPOSITE.items()}
    for a, b in combinations(range(len(scene.things)), 2):
        there, back = scene.relation(a, b), scene.relation(b, a)
        assert (there is None) == (back is None)
        if there:
            assert back == both[there]
        first, second = scene.things[a], scene.things[b]
        if there == "left":
            assert first.x < second.x
        if there == "above":
            assert first.y < second.y


def parse(caption: str, scene: Scene) -> None:
    """Reads a full caption with a grammar of its own and holds each claim against the scene."""
    kinds = f"(?:{'|'.join(SIZES)}) (?:{'|'.join(TEXTURES)}) (?:{'|'.join(COLORS)}) (?:{'|'.join(SHAPES)})"
    relations = {phrase: name for name, phrase in RELATIONS.items()}
    found = re.findall(rf"\ban? ({kinds})", caption)
    by_words = {f"{t.size} {t.texture} {t.color} {t.shape}": i for i, t in enumerate(scene.things)}
    assert sorted(found) == sorted(by_words)
    said = re.findall(rf"({'|'.join(sorted(relations, key=len, reverse=True))}) an? ({kinds})", caption)
    assert len(said) == len(found) - 1
    for first, (phrase, second) in zip(found, said, strict=False):
        assert scene.relation(by_words[first], by_words[second]) == relations[phrase]
    assert caption.endswith(f", {BACKGROUNDS[scene.background].phrase}, {LIGHTS[scene.light].phrase}")


@examples(100)
@given(SEEDS)
def test_full_captions_tell_the_truth(seed: int) -> None:
    for scene in (scenes.sample(seed), scenes.unseen(seed)):
        parse(scene.caption, scene)
        assert scene.captions[0] == scene.caption
        assert all(caption.strip() == caption and caption for caption in scene.captions)
