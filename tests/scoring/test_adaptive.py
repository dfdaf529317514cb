"""The adaptive group-aware reward: both forms, on every kind of rollout in every kind of group."""

from __future__ import annotations

from itertools import product

import pytest

from cof.scoring.adaptive import GradedRollout, paper, released

DIRECT_RIGHT, ZOOM_RIGHT = GradedRollout(True, True, False), GradedRollout(True, True, True)
DIRECT_WRONG, ZOOM_WRONG = GradedRollout(False, True, False), GradedRollout(False, True, True)
BROKEN, ZOOM_BROKEN = GradedRollout(False, False, False), GradedRollout(False, False, True)
WRONG = (DIRECT_WRONG, ZOOM_WRONG, BROKEN, ZOOM_BROKEN)


@pytest.mark.parametrize(
    ("beside", "zoom_right"), [(DIRECT_RIGHT, 0.8), (ZOOM_RIGHT, 1.0), (DIRECT_WRONG, 1.0), (BROKEN, 1.0)]
)
def test_a_right_zoom_is_worth_less_only_beside_a_right_answer_without_one(
    beside: GradedRollout, zoom_right: float
) -> None:
    for form in (paper, released):
        assert form([ZOOM_RIGHT, beside])[0] == zoom_right


@pytest.mark.parametrize("beside", [DIRECT_RIGHT, ZOOM_RIGHT, DIRECT_WRONG])
def test_wrong_answers(beside: GradedRollout) -> None:
    assert paper([beside, *WRONG])[1:] == [0.1, 0.1, 0.0, 0.0]
    assert released([beside, *WRONG])[1:] == [0.1, 0.5, 0.0, 0.5]


def test_a_right_answer_without_a_zoom_is_worth_one_whatever_its_form() -> None:
    for form in (paper, released):
        assert form([DIRECT_RIGHT, GradedRollout(True, False, False)]) == [1.0, 1.0]


def test_the_formula_of_the_paper_on_every_pair() -> None:
    every = [GradedRollout(*flags) for flags in product((False, True), repeat=3)]
    for one, other in product(every, repeat=2):
        c, f, z = float(one.right), float(one.formed), float(one.zoomed)
        g = float(any(each.right and not each.zoomed for each in (one, other)))
        assert paper([one, other])[0] == pytest.approx(c * ((1 - z) + z * (1 - 0.2 * g)) + (1 - c) * 0.1 * f)


def test_an_empty_group_has_no_rewards() -> None:
    assert paper([]) == released([]) == []
