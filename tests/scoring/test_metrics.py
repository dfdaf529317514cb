"""Several truths and the metrics beside exact match: hand-written values, gold is 1 and no answer is 0."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof.errors import InputError
from cof.geometry import Box
from cof.scoring.answers import Score, metric_of, score
from cof.scoring.grounding import box_in, truth_boxes
from cof.types import Metric, Question

METRICS: tuple[Metric, ...] = get_args(Metric)
TEXT = st.text(min_size=1).filter(lambda text: text.strip())
SIDES = st.tuples(st.integers(0, 4000), st.integers(0, 4000), st.integers(1, 4000), st.integers(1, 4000))
BOX = "[100, 100, 200, 200]"


def ask(answer: str | None, metric: Metric = "match", aliases: tuple[str, ...] = (), choices: tuple[str, ...] = ()):
    return Question("1", ("a.jpg",), "What is it?", choices, answer, aliases=aliases, metric=metric)


ALIASED = [  # truth, aliases, choices, answer, value, by
    ("car", ("automobile", "auto"), (), "automobile", 1.0, "exact"),
    ("car", ("automobile", "auto"), (), "It is an auto.", 1.0, "text"),
    ("car", ("automobile", "auto"), (), "car", 1.0, "exact"),
    ("car", ("automobile", "auto"), (), "bus", 0.0, "text"),
    ("car", ("automobile", "auto"), (), "car or auto", 0.0, "text"),
    ("7", ("8",), (), "eight", 1.0, "number"),
    ("7", ("8",), (), "9", 0.0, "number"),
    ("7", ("8",), (), "7 or 8", 0.0, "text"),
    ("7", ("$8",), (), "8", 1.0, "number"),
    ("red", ("crimson",), ("red", "blue"), "A", 1.0, "letter"),
    ("red", ("crimson",), ("red", "blue"), "crimson", 1.0, "exact"),
    ("red", ("crimson",), ("red", "blue"), "It is crimson.", 1.0, "text"),
    ("red", ("crimson",), ("red", "blue"), "pink", 0.0, "none"),
    ("red", ("crimson",), ("red", "blue"), "blue", 0.0, "exact"),
    ("red", ("red or blue",), ("red", "blue"), "red or blue", 1.0, "exact"),
    ("red", ("pink",), ("red", "pink", "blue"), "B", 1.0, "letter"),
    ("red", ("pink",), ("red", "pink", "blue"), "It is pink", 1.0, "option"),
    ("red", ("pink",), ("red", "pink", "blue"), "A", 1.0, "letter"),
    ("red", ("pink",), ("red", "pink", "blue"), "C", 0.0, "letter"),
    ("red", ("pink",), ("red", "pink", "blue"), "red or pink", 0.0, "none"),
    ("red", ("pink",), ("(A) red", "(B) pink", "(C) blue"), "pink", 1.0, "exact"),
    ("red", ("B",), ("red", "pink", "blue"), "B", 0.0, "letter"),  # an alias is a text, never a letter
]


@pytest.mark.parametrize(("truth", "aliases", "choices", "answer", "value", "by"), ALIASED)
def test_any_of_several_truths(truth, aliases, choices, answer, value, by) -> None:
    assert score(ask(truth, aliases=aliases, choices=choices), answer) == Score(value, by)


ANLS = [
    ("exit 24", (), "EXIT 24", 1.0),
    ("exit 24", (), "  Exit\n24 ", 1.0),
    ("exit 24", (), "exit 21", 6 / 7),
    ("exit 24", ("exit 21",), "exit 21", 1.0),
    ("straße", (), "STRASSE", 1.0),
    ("ab", (), "ac", 0.5),  # one half counts, as in the published scripts
    ("abc", (), "a", 0.0),
    ("exit", (), "closed", 0.0),
    ("exit", (), "the sign above the door says exit", 0.0),
    ("7", (), "8", 0.0),
]


@pytest.mark.parametrize(("truth", "aliases", "answer", "value"), ANLS)
def test_anls(truth, aliases, answer, value) -> None:
    found = score(ask(truth, "anls", aliases), answer)
    assert (found.value, found.by) == (pytest.approx(value), "anls")


RELAXED = [
    ("100", (), "100", 1.0),
    ("100", (), "105", 1.0),
    ("100", (), "95", 1.0),
    ("100", (), "105.1", 0.0),
    ("100", (), "94", 0.0),
    ("100", (), "-100", 0.0),
    ("-100", (), "minus 98", 1.0),
    ("100", (), "about 104 units", 1.0),
    ("100", (), "100 or 104", 0.0),
    ("100", (), "In 2015 it was 100", 0.0),
    ("100", (), "In 2015 there were 90, so the answer is 101.", 1.0),
    ("100", (), "a hundred", 0.0),
    ("0", (), "0.0", 1.0),
    ("0", (), "0.01", 0.0),
    ("12,000", (), "12100", 1.0),
    ("12000", (), "12,100", 1.0),
    ("12000", (), "12", 0.0),
    ("$13,046", (), "13000", 1.0),
    ("13,046", (), "$13,000", 1.0),
    ("$13,046", (), "€13,046", 0.0),
    ("25%", (), "25", 1.0),
    ("25", (), "25%", 1.0),
    ("25%", (), "26 percent", 1.0),
    ("25%", (), "0.25", 1.0),
    ("0.25", (), "25%", 1.0),
    ("0.25", (), "25", 0.0),
    ("25%", (), "0.5%", 0.0),
    ("twenty", (), "20", 1.0),
    ("100", ("200",), "205", 1.0),
    ("Germany", (), "germany.", 1.0),
    ("Germany", (), "It is Germany", 1.0),
    ("Germany", (), "Germany and France", 0.0),
    ("Germany", (), "Germani", 0.0),
    ("Germany", ("100",), "104", 1.0),
]


@pytest.mark.parametrize(("truth", "aliases", "answer", "value"), RELAXED)
def test_relaxed(truth, aliases, answer, value) -> None:
    assert score(ask(truth, "relaxed", aliases), answer).value == value


IOU = [
    (BOX, (), BOX, 1.0, "box"),
    (BOX, (), "100,100,200,200", 1.0, "box"),
    (BOX, (), '{"bbox_2d": [100, 100, 200.0, 150]}', 0.5, "box"),
    (BOX, (), "(100, 100), (200, 125)", 0.25, "box"),
    (BOX, (), "[300, 300, 400, 400]", 0.0, "box"),
    (BOX, ("[300, 300, 400, 400]",), "[300, 300, 400, 400]", 1.0, "box"),
    (BOX, (), "[200, 200, 100, 100]", 0.0, "none"),
    (BOX, (), "[100, 100, 200]", 0.0, "none"),
    (BOX, (), "[100, 100, 200, 200], or [0, 0, 5, 5]", 0.0, "none"),
    (BOX, (), "on the left", 0.0, "none"),
]


@pytest.mark.parametrize(("truth", "aliases", "answer", "value", "by"), IOU)
def test_iou_in_source_pixels(truth, aliases, answer, value, by) -> None:
    found = score(ask(truth, "iou", aliases), answer)
    assert (found.value, found.by) == (pytest.approx(value), by)


def test_targets_are_the_truth_of_a_box_and_the_best_of_several_counts() -> None:
    targets = (Box(0, 0, 10, 10), Box(100, 100, 200, 200))
    question = replace(ask(None, "iou"), targets=targets)
    assert score(question, BOX) == Score(1.0, "box")
    assert score(replace(question, answer="the dog"), BOX) == Score(1.0, "box")
    assert score(question, "[100, 100, 150, 200]").value == pytest.approx(0.5)
    assert truth_boxes(replace(question, targets=(), answer=BOX)) == targets[1:]
    assert score(ask(None, "iou"), BOX) == Score(None, "unknown")
    with pytest.raises(InputError, match="'the dog' is no box; want x0, y0, x1, y1"):
        score(ask("the dog", "iou"), BOX)


def test_options_are_right_or_wrong_whatever_the_metric() -> None:
    for metric in METRICS:
        question = ask(
            "The dog is on the left side",
            metric,
            choices=("The dog is on the left side", "The dog is on the right side"),
        )
        assert metric_of(question) == "match"
        assert score(question, "The dog is on the right side") == Score(0.0, "exact")
        assert score(question, "A") == Score(1.0, "letter")


def test_right_begins_at_a_half() -> None:
    assert [Score(value, "anls").right for value in (None, 0.0, 0.49, 0.5, 1.0)] == [None, False, False, True, True]


@given(TEXT, st.lists(TEXT, max_size=3).map(tuple), st.sampled_from(("match", "anls", "relaxed")))
def test_gold_is_one_and_no_answer_is_zero(truth: str, aliases: tuple[str, ...], metric: Metric) -> None:
    question = ask(truth, metric, aliases)
    assert [score(question, gold).value for gold in (truth, *aliases)] == [1.0] * (1 + len(aliases))
    assert [score(question, empty) for empty in (None, "", " \n")] == [Score(0.0, "none")] * 3
    assert score(replace(question, answer=None), truth) == Score(None, "unknown")


@given(SIDES)
def test_a_gold_box_is_one_and_no_answer_is_zero(sides: tuple[int, int, int, int]) -> None:
    x, y, width, height = sides
    text = f"[{x}, {y}, {x + width}, {y + height}]"
    assert box_in(text) == Box(x, y, x + width, y + height)
    for question in (ask(text, "iou"), replace(ask(None, "iou"), targets=(Box(x, y, x + width, y + height),))):
        assert score(question, text) == Score(1.0, "box")
        assert [score(question, empty) for empty in (None, "", " \n")] == [Score(0.0, "none")] * 3


@given(TEXT, st.text(), st.sampled_from(("match", "anls", "relaxed")))
def test_every_value_is_in_range(truth: str, answer: str, metric: Metric) -> None:
    value = score(ask(truth, metric), answer).value
    assert value is not None
    assert 0 <= value <= 1


@given(SIDES, SIDES)
def test_every_iou_is_in_range(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> None:
    texts = [f"{x},{y},{x + width},{y + height}" for x, y, width, height in (one, other)]
    value = score(ask(texts[0], "iou"), texts[1]).value
    assert value is not None
    assert 0 <= value <= 1
