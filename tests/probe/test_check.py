"""`cof check` against endpoints that see: frame, shrinking, what is refused, and whether a zoom round trip works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cof.dialects.named import dialect_of
from cof.probe.check import check
from cof.probe.grounding import numbers_in
from cof.probe.rows import CheckRow
from tests.models.endpoints import Reply, listening
from tests.probe.seeing import Seeing, parts, pixels, thousandths, y_first

Numbers = Callable[[list[float], tuple[int, int]], list[float]]


def checked(seeing: Seeing, model: str = "some-model", **options: Any) -> dict[str, CheckRow]:
    with listening(seeing) as server:
        return {row.name: row for row in check(server.url, model, "", **options)}


@pytest.mark.parametrize(
    ("seeing", "boxes", "shrinks", "dialect"),
    [
        (Seeing(pixels), "pixels, x first", "no, by the boxes", "plain-pixel"),
        (Seeing(thousandths), "thousandths of the sides, x first", "cannot be told", "plain"),
        (Seeing(parts), "parts of the sides, 0 to 1, x first", "cannot be told", "plain-unit"),
        (Seeing(y_first, key="box_2d"), "thousandths of the sides, y first", "cannot be told", "gemini"),
        (Seeing(pixels, side=1568), "pixels, x first", "to about 1,568 pixels of the longer side", "max_side = 1568"),
    ],
    ids=["pixels", "thousandths", "parts", "y first", "shrinks to 1568"],
)
def test_the_frame_is_told_and_a_zoom_works_in_it(seeing: Seeing, boxes: str, shrinks: str, dialect: str) -> None:
    rows = checked(seeing)
    assert rows["boxes"].text.startswith(boxes), rows
    assert shrinks in rows["server shrinks"].text
    assert dialect in rows["dialect"].text
    assert rows["zoom"].good, rows
    assert "works: 1 zoom, 2 turns" in rows["zoom"].text
    assert rows["zoom"].text.endswith("right")
    assert rows["several pictures"].text == "both are seen"


def test_a_family_that_fits_goes_before_the_plain_dialect() -> None:
    rows = checked(Seeing(thousandths), "Qwen/Qwen3-VL-8B-Instruct")
    assert rows["dialect"].text == "qwen3-vl, by the model's name"
    other = checked(Seeing(pixels), "Qwen/Qwen3-VL-8B-Instruct")  # its boxes are not that family's
    assert other["dialect"].text.startswith("plain-pixel, by the frame")


def test_a_model_that_thinks_is_told() -> None:
    rows = checked(Seeing(thousandths, thinks=True))
    assert rows["thinks"].text == "yes, before it answers"
    assert rows["zoom"].good


def test_what_stands_in_the_way_is_told() -> None:
    one = checked(Seeing(thousandths, several=False))
    assert not one["several pictures"].good
    assert "At most 1 image" in one["several pictures"].text
    assert not one["zoom"].good
    folded = checked(Seeing(thousandths, system=False))
    assert "its words go into the first user turn" in folded["system role"].text
    assert folded["zoom"].good
    lazy = checked(Seeing(thousandths, zooms=False))
    assert not lazy["zoom"].good
    assert "it answered without a zoom" in lazy["zoom"].text


def test_a_dialect_that_is_given_is_tried_alone() -> None:
    rows = checked(Seeing(pixels), dialect=dialect_of("qwen2.5-vl"))
    assert rows["dialect"].text == "qwen2.5-vl, as given"
    wrong = checked(Seeing(thousandths), dialect=dialect_of("plain-unit"))
    assert not wrong["zoom"].good


def test_a_model_that_names_no_box_is_told() -> None:
    with listening(lambda _: Reply("I cannot say.")) as server:
        rows = {row.name: row for row in check(server.url, "m", "")}
    assert "fewer than 3 replies named a box; the last: 'I cannot say.'" in rows["boxes"].text
    assert not rows["zoom"].good


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('{"bbox_2d": [10, 20, 30, 40], "label": "red"}', (10, 20, 30, 40)),
        ('```json\n[{"bbox_2d": [10.5, 20, 30, 40]}]\n```', (10.5, 20, 30, 40)),
        ("<box>[[10, 20, 30, 40]]</box>", (10, 20, 30, 40)),
        ("<|box_start|>(10,20),(30,40)<|box_end|>", (10, 20, 30, 40)),
        ('{"x1": 10, "y1": 20, "x2": 30, "y2": 40}', (10, 20, 30, 40)),
        ('{"xmin": 0.1, "ymin": 0.2, "xmax": 0.3, "ymax": 0.4}', (0.1, 0.2, 0.3, 0.4)),
        ("First [1, 2, 3, 4], no: [10, 20, 30, 40].", (10, 20, 30, 40)),
        ("It has 3 sides and 2d.", None),
        ("", None),
    ],
)
def test_numbers_are_read_from_what_models_write(text: str, numbers: tuple[float, ...] | None) -> None:
    assert numbers_in(text) == numbers


def cof(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cof", *arguments], capture_output=True, text=True, timeout=300)


def test_the_exit_code_says_whether_a_zoom_worked() -> None:
    with listening(Seeing(thousandths)) as server:
        done = cof("check", "--url", server.url, "--model", "m")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""
    with listening(Seeing(thousandths, zooms=False)) as server:
        done = cof("check", "--url", server.url, "--model", "m")
    assert done.returncode == 1
    assert "no zoom round trip worked with m" in done.stderr
    nowhere = cof("check", "--url", "http://127.0.0.1:9/v1", "--model", "m")
    assert nowhere.returncode == 1
    assert "Traceback" not in nowhere.stderr
    assert cof("check", "--url", "nowhere", "--model", "m").returncode == 2
