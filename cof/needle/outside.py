"""Whether a picture is none of the needle world: measured on the pixels that a model saw first, in milliseconds.

The ground of a drawn scene is noise of its own at three scales, with red, green and blue apart and a grain of grey
(`drawing.py`): neighbouring patches differ in hue as much as in brightness, and the same fine grain lies everywhere.
Photographs, charts, documents, flat colours and plain noise miss at least one of these. `RANGES` holds what drawn scenes
measure; `benchmarks/outside.py` measures it again and counts errors on pictures that it was not set on. Omits what is in a
scene: a ground that is drawn as the world draws it is inside, with items or without.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

LONG, SHORT, LEAST = 96, 32, 16  # pixels: sides that a picture is shrunk to; the ground has 96 cells along the longer
PATCH = 5  # pixels: a blob of the ground's middle octave, of which 19 lie along the longer side
TILE = 8  # pixels: the side of the tiles whose grain is compared
CALM = 0.25  # quantile of the tiles' grain that is compared with the whole picture's: items cover many tiles
FLAT = 0.25  # shades of 255, added to every difference: a flat picture has a logarithm too
LIMIT = 1.0  # a picture with a larger score is outside
RANGES = {
    "grain": (1.69, 3.71),
    "tint": (-2.78, 0.06),
    "even": (-0.39, 0.00),
    "patch": (1.08, 2.17),
    "hue": (0.19, 1.17),
}
"""What drawn scenes measure: least and most of 1,000 scenes of the training split at three budgets, widened by a quarter of
their distance at either end (`python benchmarks/outside.py --calibrate`)."""


def outside_score(pixels: Image.Image) -> float:
    """How far a picture is from drawn scenes: above `LIMIT` outside.

    `pixels` is the overview as the model sees it, RGB and of any size. The score is the largest distance of a measure from the
    middle of its range, in halves of the range.
    """
    found = measures(pixels)
    return max(abs(2 * found[name] - low - high) / (high - low) for name, (low, high) in RANGES.items())


def measures(pixels: Image.Image) -> dict[str, float]:
    """The measures that `RANGES` names, each a natural logarithm.

    `grain` and `patch`: shades of grey that neighbouring pixels, and neighbouring patches, typically differ by. `tint` and
    `hue`: how much more of a colour they differ by. `even`: the grain of the calm parts against the whole picture's.
    """
    shades = _shrunk(pixels)
    fine = _curvature(shades)
    patches = _means(shades, PATCH)
    steps = np.concatenate([np.diff(patches, axis=axis).reshape(-1, 3) for axis in (0, 1)])
    grain, patch = _grey(fine), _grey(steps)
    calm = float(np.quantile(_tile_medians(np.abs(fine.mean(-1))), CALM))
    return {
        "grain": _log(grain),
        "tint": _log(_colour(fine), grain),
        "even": _log(calm, grain),
        "patch": _log(patch),
        "hue": _log(_colour(steps), patch),
    }


def _shrunk(pixels: Image.Image) -> np.ndarray:
    """Shades from 0 to 255, (height, width, 3) float64, of the picture at about one cell of the ground a pixel."""
    by = min(1.0, max(LONG / max(pixels.size), SHORT / min(pixels.size)))
    size = (max(LEAST, round(pixels.width * by)), max(LEAST, round(pixels.height * by)))
    return np.asarray(pixels.convert("RGB").resize(size, Image.Resampling.BOX), dtype=np.float64)


def _curvature(shades_HWC: np.ndarray) -> np.ndarray:
    """Four times each pixel less its four neighbours, without the border."""
    s = shades_HWC
    found: np.ndarray = 4 * s[1:-1, 1:-1] - s[:-2, 1:-1] - s[2:, 1:-1] - s[1:-1, :-2] - s[1:-1, 2:]
    return found


def _means(shades_HWC: np.ndarray, side: int) -> np.ndarray:
    """The mean of every whole patch of `side` pixels."""
    rows, columns = shades_HWC.shape[0] // side, shades_HWC.shape[1] // side
    means: np.ndarray = shades_HWC[: rows * side, : columns * side].reshape(rows, side, columns, side, 3).mean((1, 3))
    return means


def _tile_medians(grey_HW: np.ndarray) -> np.ndarray:
    rows, columns = grey_HW.shape[0] // TILE, grey_HW.shape[1] // TILE
    tiles = grey_HW[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE)
    return np.asarray(np.median(tiles, (1, 3)))


def _grey(differences: np.ndarray) -> float:
    """The typical size of differences, (..., 3), in grey."""
    return float(np.median(np.abs(differences.mean(-1))))


def _colour(differences: np.ndarray) -> float:
    """The typical size of differences, (..., 3), between two of the three channels."""
    return float(np.median(np.abs(differences - np.roll(differences, 1, axis=-1))))


def _log(shades: float, of: float = 1.0 - FLAT) -> float:
    return float(np.log((shades + FLAT) / (of + FLAT)))
