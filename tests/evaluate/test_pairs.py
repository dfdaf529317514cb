"""Runs against the first one: who is better where both were asked the same, and what does not count."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cof.errors import InputError, InvalidRun
from cof.evaluate.pairs import HEADINGS, as_json, read_pairs
from cof.plain import to_json
from tests.evaluate.test_report import failed, measured, record

NO_MEAN = "there is no mean; want two runs or more besides base that were asked the same in one arm"


def folder(path, *records):
    """A run as `cof eval` leaves it, as far as it is compared."""
    path.mkdir(parents=True)
    lines = [
        {"id": one.id, "arm": one.arm, "resolution": one.resolution, "seed": one.seed, "group": one.group}
        | {"trace": to_json(one.trace)}
        for one in records
    ]
    for name, broken in (("traces", False), ("failures", True)):
        kept = [line for line in lines if (line["trace"]["stop"] == "failed") is broken]
        (path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    return path


def answers(letters, side=448):
    return [record("own", str(n), letter, resolution=side) for n, letter in enumerate(letters)]


def test_the_difference_is_that_of_the_questions_both_were_asked(tmp_path):
    base = folder(tmp_path / "base", *answers("AABB"), record("own", "only here", "A"))
    other = folder(tmp_path / "other", *answers("AAAB"), record("direct", "0", "A"))
    ((pair,), _) = read_pairs([base, other])
    assert (pair.run, pair.base, pair.arm, pair.heading, pair.n) == ("other", "base", "own", "all", 4)
    assert pair.difference == pytest.approx(0.25)
    assert pair.low == 0.0 < pair.high <= 1.0
    back = read_pairs([other, base])[0][0]
    assert back.difference == pytest.approx(-0.25)
    (kept,) = json.loads(as_json([], [pair]))["pairs"]
    assert (kept["run"], kept["base"], kept["difference"]) == ("other", "base", 0.25)
    cells = dict(zip(HEADINGS, pair.cells, strict=True))
    assert (cells["accuracy against"], cells["points (95% interval)"]) == ("base", "+25.0 (+0.0 to +75.0)")


def test_graded_values_are_compared_by_the_same_metric_and_truths_alone(tmp_path):
    def asked(*said, metric="anls", aliases=()):
        found = [measured("own", str(n), text, metric) for n, text in enumerate(said)]
        questions = [replace(one.trace.question, aliases=aliases) for one in found]
        return [
            replace(one, trace=replace(one.trace, question=each)) for one, each in zip(found, questions, strict=True)
        ]

    base = folder(tmp_path / "base", *asked("exit 21", "closed"))
    other = folder(tmp_path / "other", *asked("exit 24", "exit 21"))
    ((pair,), _) = read_pairs([base, other])
    assert (pair.n, pair.difference) == (2, pytest.approx((1 / 7 + 6 / 7) / 2))
    for number, changed in enumerate(({"metric": "match"}, {"aliases": ("way out",)})):
        another = folder(tmp_path / str(number), *asked("exit 24", "exit 21", **changed))
        assert read_pairs([base, another])[0] == []
        (told,) = read_pairs([base, another])[1]
        assert "they were not asked the same" in told


def test_several_resolutions_have_a_row_each_and_a_question_counts_once_in_all(tmp_path):
    base = folder(tmp_path / "base", *answers("BB", 224), *answers("AB", 448))
    other = folder(tmp_path / "other", *answers("AA", 224), *answers("AB", 448))
    pairs = {pair.heading: pair for pair in read_pairs([base, other])[0]}
    assert {heading: (pair.n, pair.difference) for heading, pair in pairs.items()} == {
        "all": (2, 0.5),
        "224 px": (2, 1.0),
        "448 px": (2, 0.0),
    }


def test_option_cycles_and_seeds_of_a_question_count_as_one(tmp_path):
    def asked(letters, group):
        cycles = [
            record("own", f"{n // 2}-{n % 2}", letter, group=f"{group}{n // 2}") for n, letter in enumerate(letters)
        ]
        return [*cycles, record("own", "0-0", letters[0], seed=1, group=f"{group}0")]

    base = folder(tmp_path / "base", *asked("BBAA", "one picture "))
    other = folder(tmp_path / "other", *asked("ABAA", "another "))  # groups are named by each run for itself
    ((pair,), _) = read_pairs([base, other])
    assert (pair.n, pair.difference) == (2, pytest.approx((2 / 3 + 0) / 2))


def test_runs_of_one_name_are_told_apart_and_none_is_compared_with_itself(tmp_path):
    base, other = (folder(tmp_path / place / "eval", *answers(said)) for place, said in (("x", "AB"), ("y", "AA")))
    ((pair,), _) = read_pairs([base, other])
    assert (pair.run, pair.base, pair.difference) == (str(other), str(base), 0.5)
    with pytest.raises(InputError, match="given twice; want each folder once"):
        read_pairs([base, other, tmp_path / "y" / ".." / "x" / "eval"])


def test_another_judge_or_other_choices_are_nothing_to_compare(tmp_path):
    base = folder(tmp_path / "base", *answers("AB"))
    judged = folder(tmp_path / "judged", *answers("AA"))
    (judged / "verdicts.jsonl").write_text('{"id": "k", "judge": "one", "right": true}\n')
    chosen = record("own", "0", "A", resolution=448)
    question = replace(chosen.trace.question, choices=("A", "B"))
    offered = folder(tmp_path / "offered", replace(chosen, trace=replace(chosen.trace, question=question)))
    assert read_pairs([base, judged, offered]) == (
        [],
        [
            "judged is not compared with base: their judges differ",
            "offered is not compared with base: they were not asked the same in any arm",
        ],
    )


def test_what_failed_or_is_another_question_is_in_no_pair(tmp_path):
    changed = record("own", "1", "A")
    question = replace(changed.trace.question, text="another?")
    changed = replace(changed, trace=replace(changed.trace, question=question))
    base = folder(tmp_path / "base", record("own", "0", "B"), record("own", "1", "A"), failed("2"))
    other = folder(tmp_path / "other", record("own", "0", "A"), changed, record("own", "2", "A"))
    ((pair,), _) = read_pairs([base, other])
    assert (pair.n, pair.asked, pair.difference) == (1, 3, 1.0)
    assert "1 of 3" in pair.cells


def test_the_mean_of_several_runs_is_that_of_the_questions_all_were_asked(tmp_path):
    base = folder(tmp_path / "base", *answers("BBB"))
    runs = [folder(tmp_path / name, *answers(said)) for name, said in (("one", "AAA"), ("two", "ABBA"))]
    pairs, told = read_pairs([base, *runs], mean=True)
    means = {pair.run: (pair.n, pair.difference) for pair in pairs}
    assert means == {"one": (3, 1.0), "two": (3, pytest.approx(1 / 3)), "mean of 2": (3, pytest.approx(2 / 3))}
    assert not told
    alone, why = read_pairs([base, runs[0]], mean=True)
    assert ({pair.run for pair in alone}, why) == ({"one"}, [NO_MEAN])
    apart = folder(tmp_path / "apart", record("direct", "0", "A"))
    assert "mean of 2" in {pair.run for pair in read_pairs([base, *runs, apart], mean=True)[0]}


def the_mean(*folders):
    (pair,) = (pair for pair in read_pairs(folders, mean=True)[0] if pair.run == "mean of 2")
    return pair.arm, pair.n, pair.asked, pair.difference


def test_what_one_run_alone_has_is_in_no_mean(tmp_path):
    base = folder(tmp_path / "base", record("direct", "0", "B"), *answers("BB"))
    one = folder(tmp_path / "one", record("direct", "0", "A"), *answers("AA"))
    two = folder(tmp_path / "two", *answers("B"))
    assert the_mean(base, one, two) == ("own", 1, 2, 0.5)
    broken = folder(tmp_path / "broken", *answers("B"), replace(failed("1"), resolution=448))
    assert the_mean(base, one, broken) == ("own", 1, 2, 0.5)
    changed = record("own", "1", "B", resolution=448)
    changed = replace(changed, trace=replace(changed.trace, question=replace(changed.trace.question, text="another?")))
    other = folder(tmp_path / "other", *answers("B"), changed)
    assert the_mean(base, one, other) == ("own", 1, 2, 0.5)
    apart = folder(tmp_path / "apart", record("direct", "0", "B"))
    assert read_pairs([base, two, apart], mean=True)[1] == [NO_MEAN]


def test_questions_of_a_mean_are_those_of_the_first_run_whatever_the_others_call_them(tmp_path):
    def asked(letters, group):
        return [record("own", f"{n // 2}-{n % 2}", said, group=f"{group}{n // 2}") for n, said in enumerate(letters)]

    runs = [folder(tmp_path / name, *asked(said, name)) for name, said in (("x", "BBBB"), ("y", "AABB"), ("z", "AAAB"))]
    assert the_mean(*runs) == ("own", 2, 2, 0.625)


def test_without_traces_or_company_there_is_nothing_to_pair(tmp_path):
    base = folder(tmp_path / "base", *answers("AB"))
    (tmp_path / "bare").mkdir()
    assert read_pairs([base]) == ([], [])
    for runs in ([base, tmp_path / "bare"], [tmp_path / "bare", base]):
        pairs, (told,) = read_pairs(runs)
        assert not pairs
        assert "traces.jsonl or failures.jsonl is missing or empty" in told


def test_a_damaged_record_is_one_line(tmp_path):
    base = folder(tmp_path / "base", *answers("AB"))
    with (base / "traces.jsonl").open("a") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(InvalidRun, match=r"a record of the evaluation \(3\) has no 'arm'"):
        read_pairs([base, folder(tmp_path / "other", *answers("AB"))])
