"""An authors' text as the words of a dialect's key: fields, doubled braces, and where the question and the picture go."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof.dialects.templates import FIELDS, words_of
from cof.errors import InvalidConfig

USER = [
    ("{question}\n\nThink first.", "{question}\n\nThink first."),
    ("{Question} First look.", "{question} First look."),
    ("{QUESTION} First look.", "{question} First look."),
    ("Look {query}", "Look {question}"),
    ("Q: {input}\nA:", "Q: {question}\nA:"),
    ("{prompt}", "{question}"),
    ("{Problem}", "{question}"),
    ("{instruction}", "{question}"),
    ("{ question }", "{question}"),
    ("Question: {}\nThink.", "Question: {question}\nThink."),
    ("{0} Think.", "{question} Think."),
    ("\nThink first.", "{question}\nThink first."),
    ("\n\nThink first.", "{question}\n\nThink first."),
    (" Think first.", "{question} Think first."),
    ("Think first.", "{question}\nThink first."),
    ("", "{question}"),
    ("Answer in \\boxed{}.", "{question}\nAnswer in \\boxed{}."),
    ("Answer in \\boxed{answer}.", "{question}\nAnswer in \\boxed{answer}."),
    ("{question} Answer in \\boxed{answer}, x_{i}.", "{question} Answer in \\boxed{answer}, x_{i}."),
    ("{question} Answer in \\boxed{{answer}}.", "{question} Answer in \\boxed{answer}."),
    ('{query} As {{"a": {{"b": [1]}}}}.', '{question} As {"a": {"b": [1]}}.'),
    ("{question} As {{answer}}.", "{question} As {answer}."),
    ("As \\frac{{a}}{{b}}.", "{question}\nAs \\frac{a}{b}."),
    ('{question} As {"a": {"b": {}}}.', '{question} As {"a": {"b": {}}}.'),
    ("<image>\n{question}", "{question}"),
    ("<image>{question}", "{question}"),
    ("Costs $5, 100%.", "{question}\nCosts $5, 100%."),
]


@pytest.mark.parametrize(("text", "want"), USER, ids=[text for text, _ in USER])
def test_the_text_around_a_question(text: str, want: str) -> None:
    assert words_of("user", text).text == want


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{question} {Question}", "{Question}"),
        ("{Question} {query}", "{Question}, {query}"),
        ("{question} {options}", "{options}, which cof does not fill there; want {question} where the question goes"),
        ("{foo}", "{foo}"),
        ("{sample.question}", "{sample.question}"),
        ("{sample['question']}", "{sample['question']}"),
        ("{question!r}", "{question!r}"),
        ("{question:>10}", "{question:>10}"),
        ("{question} {width}x{height}", "{width}, {height}"),
        ("{{a b}} {question:>5}", "{question:>5}"),
        ("{{ question }}", "a Jinja template"),
        ("{{ content | trim }} Think.", "{{ content | trim }}"),
        ("{% if a %}{question}{% endif %}", "a Jinja template"),
        ("%(question)s Think.", "%(question)s"),
        ("Question: %s", "%s"),
        ("${question} Think.", "${question}"),
        ("$question Think.", "$question"),
        ("{question} \\boxed{question}", "{question} as text"),
        ("{question} {{question}}", "{question} as text"),
        ('{question} {{"a": 1}', "Single '}' encountered"),
        ('{question} {{ and {"a": 1}', '{"a": 1} in it is no field'),
        ("{question} <image>", "<image>"),
    ],
)
def test_a_field_of_a_question_that_cannot_be_taken(text: str, named: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        words_of("user", text)
    assert named in str(error.value)


PARTS = ["{", "}", "{{", "}}", "a", "question", "\\x", '"', " ", "\n"]
SYSTEM = [
    'Answer as {"a": {"b": [x1, y1]}}.',
    "Answer as {'a': 1}, {x1, y1, x2, y2} or {your answer}.",
    "Put it in \\boxed{} or \\boxed{answer}.",
    '{"name": "zoom", "arguments": {}}',
    "Look at <image>.",
]


@pytest.mark.parametrize("text", SYSTEM)
@pytest.mark.parametrize("key", ["system"])
def test_braces_that_are_text(key: str, text: str) -> None:
    assert words_of(key, text).text == text
    assert words_of(key, text).changes == ()


def test_doubled_braces_are_those_of_a_format() -> None:
    text = 'Answer as JSON: [{{"bbox_2d": [x1, y1, x2, y2]}}], then \\boxed{{}}, {{x, y}} or <a>{{your answer}}</a>.'
    words = words_of("system", text)
    assert words.text == text.format()
    assert words.changes == ("doubled braces are single, as str.format leaves them",)


@pytest.mark.parametrize("key", ["system", "closer"])
@pytest.mark.parametrize(
    "field", ["{width}", "{question}", "{Question}", "{}", "{tools}", "{image}", "%s", "${a}", "{a.b}"]
)
def test_a_field_where_nothing_is_filled(key: str, field: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        words_of(key, f"Look: {field}.")
    assert f"holds {field}, which cof does not fill there; want the text without braces" in str(error.value)


def test_many_fields_are_named_in_a_short_line() -> None:
    with pytest.raises(InvalidConfig) as error:
        words_of("system", "".join(f"{{{'a' * 500}{i}}}" for i in range(1000)))
    assert len(str(error.value)) < 400


def test_the_words_after_a_crop() -> None:
    assert words_of("closer", "\nThink first.").text == "\nThink first."
    assert words_of("closer", 'As {{"a": 1}}.').text == 'As {"a": 1}.'
    with pytest.raises(InvalidConfig, match="--reply for one that holds"):
        words_of("closer", "<image>\nThink.")


def test_the_text_around_a_crop() -> None:
    assert words_of("reply", "Crop {n}: {image}{words}").text == "Crop {n}: {image}{words}"
    assert words_of("reply", "Here: {image} Think.").text == "Here: {image} Think.{words}"
    assert words_of("reply", "<image>\n{width} x {height}").text == "{image}\n{width} x {height}{words}"
    assert words_of("reply", '{image} {{"n": {n}}}').text == '{image} {"n": {n}}{words}'
    for text, named in (
        ("Think.", "holds no {image}; want one, or --closer"),
        ("{image} {label}", "{label}"),
        ("{image} {{n}}", "{n} as text"),
    ):
        with pytest.raises(InvalidConfig) as error:
            words_of("reply", text)
        assert named in str(error.value)


@given(
    st.sampled_from(sorted(FIELDS)),
    st.lists(st.sampled_from(["{", "}", "{{", "}}", "a", "question", "\\x", '"', " ", "\n"])),
)
def test_any_text_is_taken_or_refused(key: str, parts: list[str]) -> None:
    text = "".join(parts)
    try:
        words = words_of(key, text)
    except InvalidConfig:
        return
    if key in ("system", "closer"):
        assert words.text == (text.format() if "{{" in text else text)


@pytest.mark.parametrize("unit", ["{", "{ ", "{a", "{a[", "{{a", "\\aa{", "%(", '"  ', "{{a |", "{a:", "{{{"])
def test_a_long_text_takes_no_longer_than_its_length(unit: str) -> None:
    """Were it quadratic, this test would not end."""
    for text in (unit * 100_000, unit + " " * 300_000, unit + "a" * 300_000):
        with suppress(InvalidConfig):
            words_of("user", text)
