"""What limits leave of a picture: every family can zoom into any picture, crops shrink, and what happened is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cof.dialects.named import dialect_of, names
from cof.errors import InvalidConfig
from cof.geometry import Box, Shown, ViewSpec
from cof.loop.notes import cut_turns, limit_notes, notes, stop_note, unreadable
from cof.loop.policies.known import policy_named
from cof.loop.run import run
from cof.loop.setting import Setting, setting_of
from cof.models.scripted import ScriptedModel
from cof.tools.zoom import observed, zooms
from cof.trace import Trace, Turn
from cof.types import Completion, Limits, Question, Sampling, Stop
from cof.vision import boxes
from cof.vision import limits as within
from cof.vision.views import PAPER
from tests.properties import cases

STRANGERS = [
    (4000, 3000),  # 12 megapixels
    (8000, 6000),  # 48
    (16000, 12000),  # 192
    (20000, 600),  # a panorama
    (600, 20000),
    (3840, 3840),  # examples/plaza.jpg
    (7680, 4320),
    (640, 480),
    (20000, 10000),  # 200
]
LIMITS = Limits()


def traced(size: tuple[int, int], spec: ViewSpec, limits: Limits = LIMITS) -> Trace:
    first = within.overview(size, spec, limits)
    return Trace("1", Question("1", ("",), "What?"), "m", "cof", spec, Sampling(), limits, (first,))


def looked(trace: Trace, box: Box) -> Trace | None:
    """The trace after a zoom on the box, None where nothing fits."""
    view = within.crop(box, trace)
    if view is None:
        return None
    return replace(trace, turns=(*trace.turns, Turn(Completion(""), zooms((box,)), observed((view,)))))


@pytest.mark.parametrize("family", names())
@pytest.mark.parametrize("size", STRANGERS, ids=str)
def test_every_family_zooms_four_times_into_any_picture(family: str, size: tuple[int, int]) -> None:
    spec = dialect_of(family).view
    trace = traced(size, spec)
    w, h = size
    for box in (Box(0, 0, w, h), Box(w / 2, h / 2, w, h), Box(0, 0, w / 50, h / 50), Box(w / 3, 0, w / 2, h)):
        after = looked(trace, box)
        assert after is not None, (family, size, box)
        assert after.views[-1].pixels >= 64 * spec.factor**2 or after.views[-1].pixels >= spec.zoom_min_pixels
        trace = after
    assert trace.pixels <= LIMITS.pixels


@settings(max_examples=cases(300), deadline=None)
@given(
    st.tuples(st.integers(30, 30_000), st.integers(30, 30_000)).filter(lambda s: max(s) < 50 * min(s)),
    st.integers(200_000, 20_000_000),
    st.none() | st.integers(28 * 28 * 51, 2_000_000),
    st.lists(st.tuples(st.floats(0, 0.95), st.floats(0, 0.95), st.floats(0.01, 1), st.floats(0.01, 1)), max_size=6),
)
def test_limits_hold_and_a_crop_always_fits(
    size: tuple[int, int], pixels: int, cap: int | None, places: list[tuple[float, float, float, float]]
) -> None:
    limits = Limits(pixels=pixels, crop_pixels=cap)
    trace = traced(size, PAPER, limits)
    assert trace.overview.pixels <= max(pixels // 2, trace.overview.pixels if limits.zooms == 0 else pixels)
    for x, y, w, h in places[: limits.zooms]:
        box = Box(x * size[0], y * size[1], min(1, x + w) * size[0], min(1, y + h) * size[1])
        after = looked(trace, box)
        assert after is not None
        assert cap is None or after.views[-1].pixels <= cap
        assert boxes.contains(after.views[-1].region, boxes.clip(box, trace.overview.region), 1e-3)
        trace = after
    assert trace.pixels <= pixels


def test_an_overview_leaves_half_of_the_pixels_and_no_more() -> None:
    assert within.overview((4000, 4000), PAPER, Limits(pixels=2_000_000)).pixels <= 1_000_000
    assert within.overview((4000, 4000), PAPER, Limits(pixels=2_000_000, zooms=0)).pixels > 1_900_000
    small = within.overview((4000, 4000), PAPER, Limits(pixels=2_000_000, crop_pixels=50_000))
    assert 1_700_000 < small.pixels <= 1_800_000
    assert within.overview((448, 448), PAPER, LIMITS).size == (448, 448)  # what fits is left as it is


def test_a_budget_binds_overview_and_crops_and_a_crop_budget_the_crops_alone() -> None:
    model = ScriptedModel([""])
    both, crops = setting_of(model, budget=100), setting_of(model, crop_budget=100)
    assert (both.spec.max_pixels, both.limits.crop_pixels) == (100 * 28**2, 100 * 28**2)
    assert (crops.spec.max_pixels, crops.limits.crop_pixels) == (PAPER.max_pixels, 100 * 28**2)
    apart = setting_of(model, budget=100, crop_budget=400)
    assert (apart.spec.max_pixels, apart.limits.crop_pixels) == (100 * 28**2, 400 * 28**2)
    least = setting_of(model, Limits(crop_pixels=5000), budget=100)
    assert least.limits.crop_pixels == 5000  # the smaller of two limits holds


def test_a_server_of_cof_gets_all_pixels_unless_a_limit_is_given() -> None:
    served = dialect_of("served")
    assert setting_of(ScriptedModel([""]), dialect=served).limits.pixels == served.view.max_pixels > Limits().pixels
    assert setting_of(ScriptedModel([""]), Limits(pixels=10**6), dialect=served).limits.pixels == 10**6


CALL = (
    '<think>x</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [0, 0, 300, 300]}}</tool_call>'
)
ANSWER = "<think>x</think><answer>B</answer>"


def asked(lines: list[str], limits: Limits = LIMITS, side: int = 3000, spec: ViewSpec = PAPER) -> Trace:
    picture = Image.new("RGB", (side, side), "red")
    return run(ScriptedModel(lines), Question("1", ("",), "What?"), picture, Setting(spec, limits))


def test_what_a_limit_did_is_said() -> None:
    assert limit_notes(asked([ANSWER], side=500)) == ()
    overview, crop = limit_notes(asked([CALL, ANSWER]))
    assert overview == (
        "The overview has 1652 x 1652 pixels instead of 2996 x 2996: the limit pixels = 5,500,000 keeps room for 4 crops."
    )
    assert crop == "1 of 1 crop was shrunk to fit the limit pixels = 5,500,000."


def test_why_a_run_ended_is_said() -> None:
    assert stop_note(asked([ANSWER])) == "The model answered of its own accord."
    assert "limit on turns (1), was asked for its answer, and gave none" in stop_note(asked([CALL], Limits(turns=1)))
    unread = stop_note(asked([CALL, "hm", "hm"], Limits(turns=2)))
    assert "and gave none; 2 of 3 turns could not be read (the last: " in unread
    assert "limit on zooms (1), then answered" in stop_note(asked([CALL, CALL, ANSWER], Limits(zooms=1)))
    spent = stop_note(asked([CALL, CALL, ANSWER], Limits(pixels=2 * 28**2)))
    assert "limit on pixels (1,568 of the overview and all crops together; --limit pixels=N changes it), then" in spent
    trace = asked([CALL, CALL, ANSWER], Limits(zooms=1), side=500)
    assert limit_notes(trace) == ("1 requested box was not shown: the limit zooms = 1 was reached.",)


def test_a_crop_that_shrank_says_by_what() -> None:
    assert "1 of 1 crop was shrunk to fit the limit crop_pixels (--budget or --crop-budget) = 50,000." in limit_notes(
        asked([CALL, ANSWER], Limits(crop_pixels=50_000), side=500)
    )
    assert "1 of 1 crop was shrunk to fit the limit pixels = 600,000." in limit_notes(
        asked([CALL, ANSWER], Limits(pixels=600_000), side=500)
    )


def test_a_model_that_had_to_answer_at_once_reached_no_limit() -> None:
    picture, setting = Image.new("RGB", (500, 500), "red"), Setting(PAPER, LIMITS, policy=policy_named("direct"))
    zooming = run(ScriptedModel([CALL]), Question("1", ("",), "What?"), picture, setting)
    assert stop_note(zooming) == "The policy direct asked the model for its answer, and it called a tool."
    assert limit_notes(zooming) == ()
    silent = run(ScriptedModel(["…"]), Question("1", ("",), "What?"), picture, setting)
    assert notes(silent) == (
        "The policy direct asked the model for its answer, and it gave no answer that could be read.",
    )


def test_a_box_outside_the_picture_is_no_limits_doing() -> None:
    trace = asked([CALL, ANSWER], side=500)
    beyond = zooms((Box(900, 900, 950, 950),))
    turns = (Turn(Completion(""), beyond), *trace.turns[1:])
    assert limit_notes(replace(trace, turns=turns, stop=Stop.TURNS)) == ()


@pytest.mark.parametrize("cap", [1, 500, 784, 5000])
def test_a_tiny_cap_still_shows_a_visual_token(cap: int) -> None:
    trace = asked([CALL, ANSWER], Limits(crop_pixels=cap), side=500)
    assert trace.views[0].pixels <= max(cap, PAPER.factor**2)
    assert any("crop_pixels" in note for note in limit_notes(trace))
    with pytest.raises(InvalidConfig):
        Limits(crop_pixels=0)


@pytest.mark.parametrize("family", names())
@pytest.mark.parametrize("size", [(640, 480), (100, 80), (50, 50), (30, 20), (4000, 3000)], ids=str)
@pytest.mark.parametrize("budget", [10, 64, 100, 256])
def test_a_budget_holds_for_the_overview_and_for_crops(family: str, size: tuple[int, int], budget: int) -> None:
    setting = setting_of(ScriptedModel([""]), budget=budget, dialect=dialect_of(family))
    trace = traced(size, setting.spec, setting.limits)
    most = budget * setting.spec.factor**2
    assert trace.overview.pixels <= most
    w, h = size
    for box in (Box(0, 0, w, h), Box(w * 0.3, h * 0.3, w * 0.5, h * 0.5)):
        after = looked(trace, box)
        assert after is not None
        assert after.views[-1].pixels <= most


def test_crops_of_one_turn_share_alike() -> None:
    trace, shown = traced((4000, 4000), PAPER, Limits(pixels=2_000_000, zooms=4)), list[Shown]()
    for _ in range(4):
        view = within.crop(Box(0, 0, 4000, 4000), trace, shown)
        assert view is not None
        shown.append(view)
    assert {view.pixels for view in shown} == {254_016}


def test_true_boxes_that_are_given_share_alike() -> None:
    boxes_of = tuple(Box(x, 10, x + 400, 900) for x in (10, 700, 1500, 2200))
    question, picture = Question("1", ("",), "What?", targets=boxes_of), Image.new("RGB", (3000, 3000), "red")
    trace = run(
        ScriptedModel([ANSWER]),
        question,
        picture,
        Setting(PAPER, Limits(pixels=2_000_000), policy=policy_named("oracle")),
    )
    sizes = [view.pixels for view in trace.views]
    assert len(sizes) == 4
    assert max(sizes) < 1.6 * min(sizes)
    assert trace.pixels <= 2_000_000


def test_turns_that_were_all_cut_off_name_the_option() -> None:
    trace = asked(["no tags"], Limits(turns=1))
    assert "want the model's own --dialect" in unreadable(trace)
    cut = tuple(replace(turn, completion=replace(turn.completion, finish="length")) for turn in trace.turns)
    assert "--turn-tokens" in unreadable(replace(trace, turns=cut))
    assert cut_turns(replace(trace, turns=cut)) == len(cut)
    assert unreadable(asked([ANSWER])) == ""
    assert trace.stop is Stop.TURNS
