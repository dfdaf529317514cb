"""Scoring: each case of `said`, and that no text at all can raise, stall or buy a point."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.errors import InputError
from cof.scoring.answers import Score, exact, score
from cof.scoring.options import chosen
from cof.types import Question
from tests.properties import cases
from tests.scoring.said import COLOR, DOTTED, OPEN, OPTION, PARENS, PART, READ, SETS, SHADE

LONG = 50_000  # characters, far more than any model may say
HOSTILE = [
    "(",
    "$",
    "\\",
    "<",
    "{",
    "'",
    "-",
    "#",
    "1",
    "D",
    " ",
    "\n",
    "\t \n",
    "\x01",
    "ﷺ",
    "é",
    "1,",
    "D, ",
    "(D ",
    "A or ",
]
HOSTILE += [
    "not A ",
    "answer: ",
    "answer is D ",
    "\\boxed{",
    "\\boxed{x} ",
    "red ",
    "dark red ",
    "three ",
    "it is ",
    "D is the ",
    "选",
    "选A或",
    "不是A、",
    "答案是",
    "minus ",
    "-$1,",
    "on the ",
]
WORD = st.text("bcdefghklmnop", min_size=3, max_size=8).map(lambda word: "z" + word)


def ask(choices: tuple[str, ...], answer: str | None) -> Question:
    return Question("1", ("a.jpg",), "What is it?", choices, answer)


@pytest.mark.parametrize(
    ("answer", "truth", "value"),
    [
        ("K", "K", 1.0),
        (" k. ", "K", 1.0),
        ("light  blue", "Light blue", 1.0),
        ("KK", "K", 0.0),
        ("", "K", 0.0),
        (None, "K", 0.0),
        ("K", None, None),
    ],
)
def test_exact(answer: str | None, truth: str | None, value: float | None) -> None:
    assert exact(answer, truth) == value


@pytest.mark.parametrize(("choices", "text", "want"), READ)
def test_which_option_an_answer_names(choices: tuple[str, ...], text: str, want: tuple[int, str] | None) -> None:
    assert chosen(choices, text) == want


@pytest.mark.parametrize(("choices", "text", "place"), [case for case in OPTION if case[0] not in (PARENS, DOTTED)])
def test_words_name_the_same_option_in_any_order(choices: tuple[str, ...], text: str, place: int) -> None:
    for turn in range(len(choices)):
        turned = choices[turn:] + choices[:turn]
        assert chosen(turned, text) == (turned.index(choices[place]), "option")


@pytest.mark.parametrize(("choices", "text", "place"), PART)
def test_a_part_names_the_same_option_in_any_order(choices: tuple[str, ...], text: str, place: int) -> None:
    for turn in range(len(choices)):
        turned = choices[turn:] + choices[:turn]
        assert chosen(turned, text) == (turned.index(choices[place]), "part")


@given(st.lists(WORD, min_size=3, max_size=9, unique=True), st.data())
@settings(deadline=None)
def test_a_part_is_named_if_one_option_alone_has_it(words: list[str], data: st.DataObject) -> None:
    common, *own = words
    choices = [f"The {common} is near the {word}." for word in own]
    place = data.draw(st.integers(0, len(own) - 1))
    for form in ("{}", "the {}.", "near the {}", "It is near the {}.", "The answer is {}", "<answer>{}</answer>"):
        assert chosen(choices, form.format(own[place])) == (place, "part")
    other = own[place - 1]
    for form in (
        common,
        f"not {own[place]}",
        f"{own[place]} or {other}",
        f"near {own[place]} and {other}",
        f"the {common} is near",
    ):
        assert chosen(choices, form) is None


@pytest.mark.parametrize(("truth", "text", "value", "by"), OPEN)
def test_an_open_question(truth: str, text: str, value: float, by: str) -> None:
    assert score(ask((), truth), text) == Score(value, by)


@pytest.mark.parametrize("choices", [*SETS, ()])
def test_gold_is_one_and_no_answer_is_zero(choices: tuple[str, ...]) -> None:
    for truth in choices or ("red", "7", "A", "-"):
        question = ask(choices, truth)
        assert score(question, truth) == Score(1.0, "exact")
        assert [score(question, empty) for empty in (None, "", " \n")] == [Score(0.0, "none")] * 3
        assert score(ask(choices, None), truth) == Score(None, "unknown")


def test_a_wrong_option_is_zero_by_the_layer_that_read_it() -> None:
    assert score(ask(COLOR, "red"), "(B)") == Score(0.0, "letter")
    assert score(ask(COLOR, "red"), "It is blue.") == Score(0.0, "option")
    assert score(ask(COLOR, "red"), "A or D") == Score(0.0, "none")


def test_the_truth_may_lack_the_prefix_of_its_option_but_must_be_one() -> None:
    assert score(ask(PARENS, "blue"), "B") == Score(1.0, "letter")
    with pytest.raises(InputError, match="purple"):
        score(ask(COLOR, "purple"), "D")


def test_options_that_read_alike() -> None:
    assert chosen(("k", "K"), "K") == (1, "exact")
    assert chosen(("k", "K"), "K.") is None
    assert score(ask(("red", "red"), "red"), "B") == Score(1.0, "letter")


@given(st.lists(WORD, min_size=2, max_size=26, unique=True), st.data())
@settings(deadline=None)
def test_a_letter_is_its_place_and_a_text_its_option_in_any_order(words: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(words) - 1))
    letter = chr(ord("A") + place)
    for text in ("{}", "({})", "{}.", "**{}**", "The answer is {}.", "Option {}", "\\boxed{{{}}}", "I see. ({})"):
        assert chosen(words, text.format(letter)) == (place, "letter")
    assert chosen(words, f"({letter}) {words[place]}") == (place, "letter")
    assert chosen(words, f"I see the {words[place]} there") == (place, "option")


@given(st.lists(st.text(), max_size=5), st.text() | st.text("ABCDIabcdi .,:;()[]{}$\\*'\n answerisoptionotrue-3"))
@settings(deadline=None, max_examples=cases(500))
def test_no_text_can_raise(choices: list[str], text: str) -> None:
    found = chosen(choices, text)
    assert found is None or found[0] in range(len(choices))
    for truth in choices or [text]:
        assert score(ask(tuple(choices), truth), text).value in (0.0, 1.0)


@pytest.mark.parametrize("part", HOSTILE)
def test_a_long_answer_comes_to_an_end(part: str) -> None:
    """A pattern that backtracks would take years over these."""
    text = (part * LONG)[:LONG]
    assert chosen(SHADE, text) is None or chosen(SHADE, text) == chosen(SHADE, text + " ")
    assert score(ask((), "7"), text + "7").value in (0.0, 1.0)
