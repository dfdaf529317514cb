"""What is measured of rollouts, and when an alarm is raised."""

from __future__ import annotations

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest

from cof.scoring.rewards import graded
from cof.train.watch import WINDOW, Watch, alarms, measures
from tests.scoring.test_rewards import LOOK, OPEN, RIGHT, WRONG, failed, trace_of

FINE = {"zoomed/needed": 0.9, "formed": 1.0, "signal": 0.5, "tokens": 30.0, "loss": 0.1}


def test_what_is_measured() -> None:
    plain = replace(OPEN, depth=0)
    traces = [trace_of(LOOK, RIGHT), trace_of(WRONG), trace_of(RIGHT, question=plain), trace_of(failed)]
    found = measures([graded(trace) for trace in traces])
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["failed"] == 0.25
    assert found["zoomed/0"] == 0.0
    assert found["zoomed/1"] == found["zoomed/needed"] == 0.5
    assert found["zoomed/2"] is None
    assert found["mcc"] == pytest.approx(0.5)


def test_nothing_is_measured_of_nothing() -> None:
    assert set(measures([]).values()) == {None}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("zoomed/needed", 0.01, "tool use died"),
        ("formed", 0.3, "the form collapsed"),
        ("signal", 0.0, "no gradient"),
        ("tokens", 90.0, "answers grow"),
    ],
)
def test_an_alarm_speaks_when_it_has_gone_on_for_a_while(name: str, value: float, said: str) -> None:
    wrong = {**FINE, name: value}
    assert alarms([FINE] * WINDOW + [wrong] * (WINDOW - 1)) == []
    assert [told[: len(said)] for told in alarms([FINE] * WINDOW + [wrong] * WINDOW)] == [said]
    assert alarms([FINE] * 2 * WINDOW) == []


def test_an_alarm_is_said_once_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    watch, history = Watch(), [{**FINE, "formed": 0.0}] * WINDOW
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            watch.on_log(None, SimpleNamespace(log_history=history, global_step=step, is_world_process_zero=True), None)
    assert [record.getMessage()[:28] for record in caplog.records] == ["step 0: the form collapsed: "]
