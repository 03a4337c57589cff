"""Masks: what the picture shows, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sightline import scenes
from sightline.scenes import Scene, Thing, drawing
from support.examples import examples

SCENES = [scenes.sample(23, i) for i in range(40)]


def changes(scene: Scene, index: int, size: int) -> np.ndarray:
    """Where the picture becomes another when thing `index` changes its color: where one sees it."""
    things = [replace(thing, texture="plain") for thing in scene.things]
    before = replace(scene, things=tuple(things))
    things[index] = replace(things[index], color="white" if things[index].color == "black" else "black")
    after = replace(scene, things=tuple(things))
    return (np.asarray(before.draw(size), int) != np.asarray(after.draw(size), int)).any(axis=2)


def test_is_where_a_change_of_color_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, where every pixel has one thing alone: drawn without smoothing."""
    monkeypatch.setattr(drawing, "OVERSAMPLING", 1)
    touching = 0
    for scene in SCENES:
        seen = scene.mask(96)
        assert seen.dtype == np.uint8
        assert seen.max() <= len(scene.things)
        for i in range(len(scene.things)):
            np.testing.assert_array_equal(seen == i + 1, changes(scene, i, 96))
            touching += any(scene.relation(i, j) in ("behind", "around") for j in range(len(scene.things)) if j != i)
    assert touching > 5, "nothing was covered, so that was not tested"


@examples(20)
@given(st.integers(0, 2**31), st.sampled_from([48, 64, 97]))
def test_of_a_smoothed_picture_it_tells_the_centres(seed: int, size: int) -> None:
    scene = scenes.unseen(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "OVERSAMPLING", 1)
        canvas = scene.mask(3 * size)
    seen = scene.mask(size)
    np.testing.assert_array_equal(seen, canvas[1::3, 1::3])
    for i in range(len(scene.things)):
        assert not ((seen == i + 1) & ~changes(scene, i, size)).any()


def test_what_is_in_a_ring() -> None:
    """A small thing in a ring in the middle of nothing: thing, hole, ring, background."""
    ring = Thing("ring", "red", "large", "plain", 0.5, 0.5, 0.0)
    circle = Thing("circle", "blue", "small", "plain", 0.5, 0.5, 0.0)
    row = Scene((ring, circle), "paper", "day", 1).mask(101)[50, 50:]
    found = [int(row[round(radius * 101)]) for radius in (0.0, 0.10, 0.12, 0.14, 0.22, 0.25)]
    assert found == [2, 2, 0, 1, 1, 0]
    # Painted in the other order, the ring's hole still shows what lies behind.
    assert Scene((circle, ring), "paper", "day", 1).mask(101)[50, 50] == 1


def test_things_cut_off_by_the_edge() -> None:
    """Whatever a scene made by hand holds: partly or wholly outside."""
    for x, y in ((0.0, 0.0), (1.0, 0.5), (0.5, -0.1)):
        thing = Thing("circle", "red", "large", "plain", x, y, 0.0)
        seen = Scene((thing,), "paper", "day", 1).mask(100)
        at = (np.arange(100) + 0.5) / 100
        disc = np.hypot(at[None, :] - x, at[:, None] - y) <= thing.radius
        assert ((seen == 1) != disc).mean() < 0.01
    assert not Scene((replace(thing, x=2.0),), "paper", "day", 1).mask(50).any()
