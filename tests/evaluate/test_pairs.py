"""Runs against the first one: who is better where both were asked the same, and what does not count."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cof.evaluate.pairs import as_markdown, read_pairs
from cof.plain import to_json
from tests.evaluate.test_report import failed, record


def folder(path, *records):
    """A run as `cof eval` leaves it, as far as it is compared."""
    path.mkdir()
    lines = [
        {"id": one.id, "arm": one.arm, "resolution": one.resolution, "seed": one.seed, "group": one.group}
        | {"trace": to_json(one.trace)}
        for one in records
    ]
    for name, right in (("traces", False), ("failures", True)):
        kept = [line for line in lines if (line["trace"]["stop"] == "failed") is right]
        (path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    return path


def answers(letters, side=448):
    return [record("focus", str(n), letter, resolution=side) for n, letter in enumerate(letters)]


def test_the_difference_is_that_of_the_questions_both_were_asked(tmp_path):
    base = folder(tmp_path / "base", *answers("AABB"), record("focus", "only here", "A"))
    other = folder(tmp_path / "other", *answers("AAAB"), record("direct", "0", "A"))
    (pair,) = read_pairs([base, other])
    assert (pair.run, pair.base, pair.arm, pair.heading, pair.n) == ("other", "base", "focus", "all", 4)
    assert pair.difference == pytest.approx(0.25)
    assert pair.low == 0.0 < pair.high <= 1.0
    (back,) = read_pairs([other, base])
    assert back.difference == pytest.approx(-0.25)
    assert "| other | focus | all | 4 | base | +25.0 (+0.0 to +75.0) |" in as_markdown([pair])


def test_several_resolutions_have_a_row_each_and_a_question_counts_once_in_all(tmp_path):
    base = folder(tmp_path / "base", *answers("BB", 224), *answers("AB", 448))
    other = folder(tmp_path / "other", *answers("AA", 224), *answers("AB", 448))
    pairs = {pair.heading: pair for pair in read_pairs([base, other])}
    assert {heading: (pair.n, pair.difference) for heading, pair in pairs.items()} == {
        "all": (2, 0.5),
        "224 px": (2, 1.0),
        "448 px": (2, 0.0),
    }


def test_what_failed_or_is_another_question_is_in_no_pair(tmp_path):
    changed = record("focus", "1", "A")
    question = replace(changed.trace.question, text="another?")
    changed = replace(changed, trace=replace(changed.trace, question=question))
    base = folder(tmp_path / "base", record("focus", "0", "B"), record("focus", "1", "A"), failed("2"))
    other = folder(tmp_path / "other", record("focus", "0", "A"), changed, record("focus", "2", "A"))
    (pair,) = read_pairs([base, other])
    assert (pair.n, pair.difference) == (1, 1.0)


def test_without_traces_or_company_there_is_nothing_to_pair(tmp_path):
    base = folder(tmp_path / "base", *answers("AB"))
    (tmp_path / "bare").mkdir()
    assert read_pairs([base]) == read_pairs([base, tmp_path / "bare"]) == read_pairs([tmp_path / "bare", base]) == []
