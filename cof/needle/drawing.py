"""A needle scene as pixels: any region of it, at any size, without drawing the rest.

`draw` maps unit coordinates straight to pixels, so an overview and a crop of the same scene agree, and a crop holds real
detail. Shapes are drawn with `SUPERSAMPLE` times the pixels and reduced, which stands in for a lens.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cof.geometry import Box
from cof.needle.scenes import BOARD, COLOURS, Item, Scene
from cof.vision import boxes

SUPERSAMPLE = 3
TILE_LIMIT = 700  # pixels: larger tiles are smooth enough at their own size
TEXTURE = 96  # cells of background noise a unit
OUTLINE = (35, 35, 40)
FACE = (232, 230, 222)
STICKER = 1.45  # side of the white sticker over the letter's height
Point = tuple[float, float]


def draw(scene: Scene, region: Box, size: tuple[int, int]) -> Image.Image:
    """`region` (unit frame) of the scene as an RGB picture of `size` = (width, height) pixels."""
    picture = _background(scene, region, size)
    _clutter(scene, region, picture)
    for thing in (*scene.boards, *scene.items):
        if boxes.intersect(thing.box, region):
            _paste(thing, region, picture)
    return picture


def draw_full(scene: Scene, side: int) -> Image.Image:
    """The whole scene; the longer side is `side` pixels."""
    size = (max(1, round(scene.extent[0] * side)), max(1, round(scene.extent[1] * side)))
    return draw(scene, Box(0, 0, *scene.extent), size)


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """The picture after a trip through JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _background(scene: Scene, region: Box, size: tuple[int, int]) -> Image.Image:
    """Muted colour noise at three scales."""
    rng = scene.rng(7)
    base = rng.uniform(70, 190, 3)
    grain = rng.normal(0, float(rng.uniform(4, 14)), (TEXTURE, TEXTURE, 1))
    cells = np.clip(base + _octave(rng, 4, 16) + _octave(rng, 19, 9) + grain, 0, 255)
    texture = Image.fromarray(cells.astype(np.uint8))
    box = boxes.clip(boxes.scale(region, TEXTURE, TEXTURE), boxes.full(texture.size))
    return texture.resize(size, Image.Resampling.BICUBIC, box=box.as_tuple())


def _octave(rng: np.random.Generator, cells: int, spread: float) -> np.ndarray:
    """Smooth colour noise, (96, 96, 3), mean 0, standard deviation near `spread`, with about `cells` blobs a side."""
    grid = np.clip(rng.normal(128, 40, (cells, cells, 3)), 0, 255).astype(np.uint8)
    wide = Image.fromarray(grid).resize((TEXTURE, TEXTURE), Image.Resampling.BICUBIC)
    return (np.asarray(wide, dtype=np.float32) - 128) * (spread / 40)


def _clutter(scene: Scene, region: Box, picture: Image.Image) -> None:
    """Thin lines, specks and dull blobs that are nobody's answer."""
    rng = scene.rng(11)
    pen, (sx, sy) = ImageDraw.Draw(picture), _pixels_per_unit(region, picture)
    for _ in range(scene.clutter):
        x, y = float(rng.uniform(0, scene.extent[0])), float(rng.uniform(0, scene.extent[1]))
        dx, dy = (float(v) for v in rng.normal(0, 0.05, 2))
        colour = tuple(int(v) for v in rng.integers(40, 220, 3))
        start, end = (
            ((x - region.x0) * sx, (y - region.y0) * sy),
            ((x + dx - region.x0) * sx, (y + dy - region.y0) * sy),
        )
        if rng.uniform() < 0.6:
            pen.line((start, end), fill=colour, width=max(1, round(0.002 * sx)))
        else:
            r = float(rng.uniform(0.003, 0.012)) * sx
            pen.ellipse((start[0] - r, start[1] - r, start[0] + r, start[1] + r), fill=colour)


def _pixels_per_unit(region: Box, picture: Image.Image) -> Point:
    return picture.width / region.width, picture.height / region.height


def _paste(thing: Item, region: Box, picture: Image.Image) -> None:
    sx, sy = _pixels_per_unit(region, picture)
    box = boxes.scale(Box(*_relative(thing.box, region)), sx, sy)
    left, top = math.floor(box.x0) - 1, math.floor(box.y0) - 1
    width, height = math.ceil(box.x1) + 1 - left, math.ceil(box.y1) + 1 - top
    ss = SUPERSAMPLE if max(width, height) * SUPERSAMPLE <= TILE_LIMIT else 1
    tile = Image.new("RGBA", (width * ss, height * ss), (*_shade(thing, 1.0), 0))
    frame = Box((box.x0 - left) * ss, (box.y0 - top) * ss, (box.x1 - left) * ss, (box.y1 - top) * ss)
    _draw_board(tile, frame, thing) if thing.kind == BOARD else _draw_item(tile, frame, thing)
    if ss > 1:
        tile = tile.reduce(ss)
    picture.paste(tile, (left, top), tile)


def _relative(box: Box, region: Box) -> tuple[float, float, float, float]:
    return box.x0 - region.x0, box.y0 - region.y0, box.x1 - region.x0, box.y1 - region.y0


def _shade(thing: Item, by: float) -> tuple[int, int, int]:
    """The thing's colour, a little its own (from its letter and place), times `by`."""
    wobble = np.random.default_rng([int(thing.box.x0 * 1e6), int(thing.box.y0 * 1e6)]).normal(0, 9, 3)
    r, g, b = (int(np.clip((c + w) * by, 0, 255)) for c, w in zip(COLOURS[thing.colour], wobble, strict=True))
    return r, g, b


def _draw_board(tile: Image.Image, frame: Box, board: Item) -> None:
    pen, rim = ImageDraw.Draw(tile), frame.width * 0.07
    pen.rounded_rectangle(frame.as_tuple(), radius=rim, fill=_shade(board, 1.0), outline=OUTLINE)
    pen.rectangle(boxes.grow(frame, 1 - 2 * rim / frame.width).as_tuple(), fill=FACE)


def _draw_item(tile: Image.Image, frame: Box, item: Item) -> None:
    mask = Image.new("L", tile.size, 0)
    _shape(ImageDraw.Draw(mask), frame, item)
    tile.paste(_pattern(tile.size, frame, item), (0, 0), mask)
    tile.putalpha(mask)
    _sticker(tile, frame, item)


def _pattern(size: tuple[int, int], frame: Box, item: Item) -> Image.Image:
    plain, other = _shade(item, 1.0), _shade(item, 0.55)
    sheet = Image.new("RGB", size, plain)
    pen, cell = ImageDraw.Draw(sheet), frame.width / 7
    if item.pattern == "striped":
        for i in range(-8, 16, 2):
            pen.line(
                (frame.x0 + i * cell, frame.y0, frame.x0 + (i + 8) * cell, frame.y0 + 8 * cell),
                other,
                round(cell * 0.8),
            )
    elif item.pattern in ("dotted", "checkered"):
        for i in range(8):
            for j in range(8):
                x, y = frame.x0 + i * cell, frame.y0 + j * cell
                if item.pattern == "checkered" and (i + j) % 2:
                    pen.rectangle((x, y, x + cell, y + cell), fill=other)
                elif item.pattern == "dotted" and not (i % 2 or j % 2):
                    pen.ellipse((x, y, x + cell * 1.2, y + cell * 1.2), fill=other)
    return sheet


def _shape(pen: ImageDraw.ImageDraw, frame: Box, item: Item) -> None:
    (cx, cy), r = frame.center, frame.width / 2
    if item.kind == "circle":
        pen.ellipse(frame.as_tuple(), fill=255)
    elif item.kind == "ring":
        pen.ellipse(frame.as_tuple(), fill=255)
        pen.ellipse(boxes.grow(frame, 0.62).as_tuple(), fill=0)
    else:
        spin = math.radians(item.turn)
        turned = (
            (cx + r * (x * math.cos(spin) - y * math.sin(spin)), cy + r * (x * math.sin(spin) + y * math.cos(spin)))
            for x, y in OUTLINES[item.kind]()
        )
        pen.polygon([(x, y) for x, y in turned], fill=255)


def _sticker(tile: Image.Image, frame: Box, item: Item) -> None:
    (cx, cy), height = frame.center, frame.width * item.mark_height
    half, pen = height * STICKER / 2, ImageDraw.Draw(tile)
    pen.rectangle((cx - half, cy - half, cx + half, cy + half), fill=(250, 250, 245))
    font = ImageFont.load_default(max(1.0, height / 0.72))  # capitals are 0.72 em tall
    pen.text(
        (cx, cy),
        item.mark,
        font=font,
        fill=(15, 15, 20),
        anchor="mm",
        stroke_width=height * 0.045,
        stroke_fill=(15, 15, 20),
    )


def _polar(*points: tuple[float, float]) -> list[Point]:
    return [(radius * math.sin(math.radians(a)), -radius * math.cos(math.radians(a))) for a, radius in points]


def _heart() -> list[Point]:
    ts = np.linspace(0, 2 * math.pi, 40)
    return [
        (
            float(math.sin(t) ** 3) * 0.98,
            float(-(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16.5),
        )
        for t in ts
    ]


OUTLINES: dict[str, Callable[[], list[Point]]] = {
    "square": lambda: [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": lambda: [(0, -1.0), (1.0, 0.9), (-1.0, 0.9)],
    "diamond": lambda: [(0, -1), (0.72, 0), (0, 1), (-0.72, 0)],
    "star": lambda: _polar(*((36 * i, 1.0 if i % 2 == 0 else 0.45) for i in range(10))),
    "cross": lambda: [
        (-0.33, -0.95),
        (0.33, -0.95),
        (0.33, -0.33),
        (0.95, -0.33),
        (0.95, 0.33),
        (0.33, 0.33),
        (0.33, 0.95),
        (-0.33, 0.95),
        (-0.33, 0.33),
        (-0.95, 0.33),
        (-0.95, -0.33),
        (-0.33, -0.33),
    ],
    "heart": _heart,
    "arrow": lambda: [(-0.95, -0.4), (0.1, -0.4), (0.1, -0.9), (0.98, 0), (0.1, 0.9), (0.1, 0.4), (-0.95, 0.4)],
    "hourglass": lambda: [(-0.85, -0.95), (0.85, -0.95), (0.2, 0), (0.85, 0.95), (-0.85, 0.95), (-0.2, 0)],
}
