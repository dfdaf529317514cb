"""Published figures, to stand beside ours where the protocol is the same: all of V*Bench, n = 191, pictures resized.

Second-hand: read from the Chain-of-Focus paper (arXiv 2505.15436) by others; at 4K no figure was given.
"""

from __future__ import annotations

from typing import Any

VSTAR_N = 191
SIDES = (224, 336, 448, 672, 1024, 1920, 2560)  # pixels of the longer side
QWEN_7B = (37.70, 41.36, 52.88, 62.30, 69.11, 79.58, 79.06)  # percent right, Qwen2.5-VL-7B without zooming
COF_7B = (39.27, 43.98, 53.93, 60.21, 75.39, 87.96, 89.53)  # percent right, CoF 7B
COF_7B_ZOOMS = (2.50, 2.05, 1.65, 1.03, 0.75, 0.52, 0.53)  # a sample


def published(manifest: dict[str, Any], report: dict[str, Any]) -> list[tuple[str, str, int, dict[str, Any]]]:
    """Model, arm, resolution and figures of what was published under the protocol of this run, if anything."""
    counts = {found["n"] for found in report["arms"].values()}
    if (manifest.get("benchmark"), manifest.get("source"), counts) != ("vstar", "resized", {VSTAR_N}):
        return []
    base = [("Qwen2.5-VL-7B", "direct", side, _figures(right)) for side, right in zip(SIDES, QWEN_7B, strict=True)]
    rows = zip(SIDES, COF_7B, COF_7B_ZOOMS, strict=True)
    return base + [("CoF-7B", "own", side, _figures(right) | {"zooms": zooms}) for side, right, zooms in rows]


def _figures(percent: float) -> dict[str, Any]:
    return {"accuracy": percent / 100, "n": VSTAR_N}
