"""Layouts drawn. All lengths are shares of the picture's side, so a layout looks the same at every size."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from sightline.scenes.backdrops import BACKDROPS, Pixels
from sightline.scenes.kinds import COLORS, LIGHTS, RGB, Light
from sightline.scenes.layout import Layout, Thing
from sightline.scenes.outlines import OUTLINES

OVERSAMPLING = 3
"""A picture is drawn so many times larger and then averaged, which smooths the edges."""

SHADOW_REACH, SHADOW_BLUR, SHADOW_DEPTH = 0.035, 0.014, 0.5
BEVEL = 0.012
STRIPE, SPOT, CHECK = 0.075, 0.085, 0.068
"""Periods of the textures."""


@dataclass(frozen=True)
class Patch:
    """A square part of the canvas, in pixels, with room for a thing and its shadow; it may reach over the edges."""

    left: int
    top: int
    side: int

    def on_canvas(self, canvas: int) -> tuple[slice, slice]:
        """Rows and columns of the patch's pixels that lie on a canvas of `canvas` pixels a side."""
        top, left = max(0, self.top), max(0, self.left)
        return slice(top, min(canvas, self.top + self.side)), slice(left, min(canvas, self.left + self.side))

    def on_patch(self, canvas: int) -> tuple[slice, slice]:
        """The same pixels, counted from the patch's top left corner."""
        rows, columns = self.on_canvas(canvas)
        return (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )


def draw(layout: Layout, size: int) -> Image.Image:
    """An "RGB" picture, `size` pixels square."""
    return Stage(layout, size).picture


class Stage:
    """A drawn layout in front of which a moving thing can be drawn: `picture` is the layout without it."""

    def __init__(self, layout: Layout, size: int) -> None:
        side = size * OVERSAMPLING
        self.light = LIGHTS[layout.light]
        self.canvas = BACKDROPS[layout.background](np.random.default_rng(layout.grain), side).astype(np.float32)
        for thing in layout.things:
            _paint(self.canvas, thing, self.light)
        self.illumination = _brightness(self.light, side)[:, :, None] * np.array(self.light.tint, np.float32)
        self.picture = self._develop(self.canvas, slice(side), slice(side))

    def with_thing(self, thing: Thing) -> Image.Image:
        """The picture that `draw` makes of the layout with `thing` as its last; only what changes is drawn again."""
        canvas, side = self.canvas.copy(), len(self.canvas)
        _paint(canvas, thing, self.light)
        rows, columns = (
            slice(part.start // OVERSAMPLING * OVERSAMPLING, -(-part.stop // OVERSAMPLING) * OVERSAMPLING)
            for part in around(thing, side).on_canvas(side)
        )
        picture = self.picture.copy()
        picture.paste(self._develop(canvas, rows, columns), (columns.start // OVERSAMPLING, rows.start // OVERSAMPLING))
        return picture

    def _develop(self, canvas: Pixels, rows: slice, columns: slice) -> Image.Image:
        """Part of the canvas, cut along the picture's pixels, in the light and at the picture's size."""
        lit = canvas[rows, columns] * self.illumination[rows, columns]
        return Image.fromarray((lit.clip(0, 1) * 255 + 0.5).astype(np.uint8)).reduce(OVERSAMPLING)


def mask(layout: Layout, size: int) -> NDArray[np.uint8]:
    """What is visible at each pixel's center, (size, size): 0 the background, i + 1 `layout.things[i]`.

    Painted as `draw` paints, the same pixels in the same order: a later thing covers an earlier thing, and the hole of
    a ring shows what lies behind it. A shadow belongs to what it falls on.
    """
    side = size * OVERSAMPLING
    visible = np.zeros((side, side), np.uint8)
    for number, thing in enumerate(layout.things, 1):
        patch = around(thing, side)
        solid = np.asarray(silhouette(thing, side, patch)) > 0
        visible[patch.on_canvas(side)][solid[patch.on_patch(side)]] = number
    middle = slice(OVERSAMPLING // 2, None, OVERSAMPLING)
    return visible[middle, middle].copy()


def around(thing: Thing, side: int) -> Patch:
    """The part of a canvas, `side` pixels square, that a thing and its shadow can change."""
    reach = thing.radius + SHADOW_REACH + 2 * SHADOW_BLUR
    return Patch(round((thing.x - reach) * side), round((thing.y - reach) * side), round(2 * reach * side))


def outline(thing: Thing) -> list[NDArray[np.float64]]:
    """The thing's polygons, each (points, 2) as shares of the picture's side; all after the first are holes."""
    cos, sin = math.cos(thing.angle), math.sin(thing.angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    return [polygon * thing.radius @ turn + (thing.x, thing.y) for polygon in OUTLINES[thing.shape]]


def silhouette(thing: Thing, side: int, patch: Patch | None = None) -> Image.Image:
    """ "L", 255 where the thing is, 0 elsewhere: the patch of a picture `side` pixels square; None: all of it."""
    patch = patch or Patch(0, 0, side)
    mask = Image.new("L", (patch.side, patch.side))
    pen = ImageDraw.Draw(mask)
    for fill, polygon in zip((255, 0, 0), outline(thing), strict=False):
        pen.polygon([(x * side - patch.left, y * side - patch.top) for x, y in polygon.tolist()], fill=fill)
    return mask


def _paint(canvas: Pixels, thing: Thing, light: Light) -> None:
    """Paints the thing and its shadow onto the canvas."""
    side = len(canvas)
    patch = around(thing, side)
    view, inner = canvas[patch.on_canvas(side)], patch.on_patch(side)
    mask = silhouette(thing, side, patch)
    solid = np.asarray(mask, dtype=np.float32)[:, :, None] / 255
    shadow = _shadow(mask, light, side)[:, :, None]
    body = _body(thing, mask, light, side, patch)
    view *= 1 - SHADOW_DEPTH * shadow[inner]
    view += (body[inner] - view) * solid[inner]


def _shadow(mask: Image.Image, light: Light, side: int) -> Pixels:
    """How deep the shadow is, 0..1, of a thing with this mask."""
    shift = tuple(-SHADOW_REACH * along * side for along in light.towards)
    moved = mask.transform(mask.size, Image.Transform.AFFINE, (1, 0, shift[0], 0, 1, shift[1]))
    return np.asarray(moved.filter(ImageFilter.GaussianBlur(SHADOW_BLUR * side)), dtype=np.float32) / 255


def _body(thing: Thing, mask: Image.Image, light: Light, side: int, patch: Patch) -> Pixels:
    """The thing's pixels in the light: texture, a slope from light to dark, bevelled edges, a dark rim."""
    at = np.arange(patch.side, dtype=np.float32) + 0.5
    x, y = (at[None, :] + patch.left) / side - thing.x, (at[:, None] + patch.top) / side - thing.y
    pattern = _pattern(thing, x, y)[:, :, None]
    base = np.array(COLORS[thing.color], np.float32)
    second = np.array(_second_color(COLORS[thing.color]), np.float32)
    slope = 1 - 0.16 * (x * light.towards[0] + y * light.towards[1]) / thing.radius
    height = np.asarray(mask.filter(ImageFilter.GaussianBlur(BEVEL * side)), dtype=np.float32) / 255
    down, right = np.gradient(height, 1 / (side * BEVEL))
    edge = (right * light.towards[0] + down * light.towards[1]).clip(-0.5, 0.5)
    rim = 1 - 0.35 * (height < 0.62)
    return (base + (second - base) * pattern) * (slope * rim)[:, :, None] + 0.45 * edge[:, :, None]


def _pattern(thing: Thing, x: Pixels, y: Pixels) -> Pixels:
    """1 where the texture's second color shows, 0 elsewhere; it turns and grows with the thing."""
    cos, sin = math.cos(thing.angle) / thing.scale, math.sin(thing.angle) / thing.scale
    u, v = x * cos + y * sin, y * cos - x * sin
    if thing.texture == "striped":
        return (((u + v) / math.sqrt(2) / STRIPE) % 1 < 0.42).astype(np.float32)
    if thing.texture == "dotted":
        row = np.floor(v / SPOT + 0.5)
        across, down = (u / SPOT + 0.5 * (row % 2) + 0.5) % 1 - 0.5, v / SPOT - row
        return (across**2 + down**2 < 0.29**2).astype(np.float32)
    if thing.texture == "checkered":
        return ((np.floor(u / CHECK) + np.floor(v / CHECK)) % 2).astype(np.float32)
    return np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)


def _second_color(color: RGB) -> RGB:
    """A texture's second color: cream on dark colors, a deep shade of themselves on light ones."""
    red, green, blue = color
    if 0.3 * red + 0.59 * green + 0.11 * blue < 0.6:
        return (0.97, 0.95, 0.90)
    return (0.42 * red, 0.36 * green, 0.36 * blue)


def _brightness(light: Light, side: int) -> Pixels:
    """How bright the light is at each pixel, 0..1, (side, side): less towards the far side, or around a spotlight."""
    position = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    x, y = position[None, :], position[:, None]
    if light is LIGHTS["spot"]:
        distance: Pixels = (np.sqrt(x**2 + y**2) - 0.32) / 0.32
    else:
        distance = (x * light.towards[0] + y * light.towards[1]) * 0.8 + 0.4
    bright: Pixels = 1 - light.falloff * distance.clip(0, 1)
    return bright
