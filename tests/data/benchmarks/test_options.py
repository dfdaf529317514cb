import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cof.data.benchmarks.options import LETTERS, parse

TEXTS = st.text(string.ascii_letters + string.digits + " .():é", max_size=12).map(str.strip)


@given(st.lists(TEXTS, min_size=2, max_size=len(LETTERS)), st.sampled_from(["({}) {}", "{}. {}", "{}) {}", " {}: {} "]))
def test_options_are_taken_from_the_text(options, form):
    lines = "\n".join(form.format(letter, text) for letter, text in zip(LETTERS, options, strict=False))
    text, found = parse(f"Which one?\n{lines}\nAnswer with the letter.")
    assert text == "Which one?"
    assert list(found.values()) == options
    assert "".join(found) == LETTERS[: len(options)]


@pytest.mark.parametrize("text", ["Which one?", "A. Pfund wrote this. Who?", "Which?\n(B) red\n(C) blue"])
def test_text_without_options_is_whole(text):
    assert parse(text) == (text, {})
