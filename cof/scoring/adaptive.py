"""The adaptive group-aware reward (AGAR): a zoom is worth less where some rollout of the same question did without.

Both forms work on whole groups: all rollouts of one question. `paper` is the formula of arXiv 2505.15436 v3, `released` what
the published training code computes. The latter pays a wrong answer after a zoom half a right one, so that zooming for
nothing gains on an honest wrong answer; `paper` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DISCOUNT = 0.2  # delta: what a zoom costs that was not needed
FORMAT = 0.1  # gamma: what a wrong answer in the right form is worth
WRONG_ZOOM = 0.5  # of the released code


@dataclass(frozen=True)
class GradedRollout:
    """What counts of a rollout: whether its answer is right, whether it kept to the form, whether it saw a zoom."""

    right: bool
    formed: bool
    zoomed: bool


def paper(group: Sequence[GradedRollout]) -> list[float]:
    """c (d + z (1 - delta g)) + (1 - c) gamma f, in [0, 1]; g: some rollout was right without a zoom."""
    enough = _enough(group)
    return [_right(one, enough) if one.right else FORMAT * one.formed for one in group]


def released(group: Sequence[GradedRollout]) -> list[float]:
    """The published code's values, in [0, 1]: as `paper`, but that a wrong answer after a zoom is worth half a right one.

    That code takes a malformed call for a zoom; here a zoom is one that showed something.
    """
    enough = _enough(group)
    wrong = [WRONG_ZOOM if one.zoomed else FORMAT * one.formed for one in group]
    return [_right(one, enough) if one.right else worth for one, worth in zip(group, wrong, strict=True)]


def _enough(group: Sequence[GradedRollout]) -> bool:
    return any(one.right and not one.zoomed for one in group)


def _right(one: GradedRollout, enough: bool) -> float:
    return 1 - DISCOUNT if one.zoomed and enough else 1.0
