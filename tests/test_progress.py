"""Plain lines of a long job: how many, of how many, and how long it will still take."""

from __future__ import annotations

import time

import pytest

from cof.cli.progress import counting


def test_without_a_terminal_lines_say_how_far_and_how_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of a hundred were there before; one takes eight seconds."""
    clock = iter(range(0, 8000, 8))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with counting("answering", 100, 10) as advance:
        for _ in range(8):
            advance()
    assert capsys.readouterr().err.splitlines() == [
        "answering: 14 of 100, 11 min left",
        "answering: 18 of 100, 11 min left",
    ]


def test_what_has_no_known_end_says_how_far_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 8000, 40))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with counting("searching", None) as advance:
        advance()
    assert capsys.readouterr().err == "searching: 1 of ?\n"
