"""The curves of training runs."""

from __future__ import annotations

import numpy as np
import pytest

from cof.train.progress import SMOOTH, curves

STEPS = SMOOTH + 2


def test_a_run_has_one_colour_and_what_never_changes_has_no_panel() -> None:
    one = [{"step": n, "loss": float(n), "failed": 0.0, "epoch": n / 9} for n in range(1, STEPS + 1)]
    other = [entry | {"reward": 2.0 * entry["step"]} for entry in one]
    figure = curves({"one": one, "other": other})
    assert [axes.get_title() for axes in figure.axes] == ["loss", "reward"]
    loss, reward = figure.axes
    bold = {line.get_label(): line for line in loss.get_lines() if line.get_label() in ("one", "other")}
    assert bold["other"].get_color() != bold["one"].get_color()
    assert {line.get_color() for line in reward.get_lines() if np.size(line.get_ydata())} == {bold["other"].get_color()}
    assert np.asarray(bold["one"].get_ydata())[-1] == pytest.approx(STEPS - (SMOOTH - 1) / 2)
    assert np.asarray(loss.get_lines()[0].get_ydata()).tolist() == [entry["loss"] for entry in one]
