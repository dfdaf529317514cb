"""The focus loop with a scripted model: what is shown, what is told, and that it always ends."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cof.dialects.cof import COF
from cof.errors import ModelError
from cof.geometry import Box, ViewSpec
from cof.loop.policies.known import policy_named
from cof.loop.run import run, run_many
from cof.loop.setting import Setting
from cof.models.base import Request
from cof.models.scripted import Line, ScriptedModel
from cof.plain import to_json, trace_from_json
from cof.tools.zoom import zooms
from cof.trace import Trace
from cof.types import Answer, Completion, Limits, Malformed, Question, Sampling, Stop
from cof.vision import boxes, views
from tests.properties import cases

SIZE = (336, 224)
SPEC = ViewSpec(
    max_pixels=168 * 112, zoom_min_pixels=56 * 56, zoom_max_pixels=56 * 56, grow=1.0
)  # overview is half size
TOKEN = 28 * 28
OVERVIEW_PIXELS = 168 * 112
ZOOM_PIXELS = 56 * 56
SETTING = Setting(SPEC)
ANSWER = "<think>I see.</think><answer>B</answer>"
NONSENSE = "B, I think"


def call(x0: float, y0: float, x1: float, y1: float) -> str:
    """A zoom in pixels of the overview."""
    body = json.dumps({"name": COF.tool, "arguments": {"bbox_2d": [x0, y0, x1, y1]}})
    return f"<think>Closer.</think><tool_call>{body}</tool_call>"


LOOK = call(10, 10, 66, 66)
OUTSIDE = call(500, 500, 600, 600)


def picture(shade: int = 0) -> Image.Image:
    """Red grows to the right, green downwards."""
    across, down = Image.linear_gradient("L").rotate(90).resize(SIZE), Image.linear_gradient("L").resize(SIZE)
    return Image.merge("RGB", (across, down, Image.new("L", SIZE, shade)))


def question(name: str = "1") -> Question:
    return Question(name, ("a.png",), f"What is in {name}?")


def limited(**limits: float) -> Setting:
    return replace(SETTING, limits=replace(Limits(), **limits))  # type: ignore[arg-type]


def asked(lines: Sequence[Line], setting: Setting = SETTING) -> tuple[Trace, ScriptedModel]:
    model = ScriptedModel(lines)
    return run(model, question(), picture(), setting), model


def told(model: ScriptedModel) -> str:
    """The last words that the model was given."""
    last = model.requests[-1].messages[-1]
    assert last.role == "user"
    assert isinstance(last.parts[-1], str)
    return last.parts[-1]


def untimed(trace: Trace) -> Trace:
    return replace(trace, turns=tuple(replace(turn, seconds=0.0) for turn in trace.turns))


# what happens


def test_an_answer_at_once() -> None:
    trace, model = asked([ANSWER])
    assert (trace.answer, trace.stop, trace.error) == ("B", Stop.ANSWER, None)
    assert (trace.zooms, len(trace.turns), trace.pixels) == (0, 1, OVERVIEW_PIXELS)
    assert (trace.id, trace.model, trace.dialect, trace.question) == ("1", "scripted", "cof", question())
    assert model.requests[0].messages == COF.messages(question(), (trace.overview,))
    assert trace_from_json(json.loads(json.dumps(to_json(trace)))) == trace


def test_one_zoom_brings_back_its_region() -> None:
    seen: list[dict[Any, Image.Image]] = []

    def look(request: Request) -> str:
        seen.append(dict(request.pixels))
        return ANSWER

    trace, model = asked([LOOK, look])
    (view,) = trace.views
    assert view.region == Box(20, 20, 132, 132)
    assert view.size == (56, 56)
    assert trace.turns[0].action == zooms((Box(20, 20, 132, 132),), "", "Closer.")
    assert model.requests[1].messages[-1].parts == (view, COF.closer)
    assert trace.pixels == OVERVIEW_PIXELS + ZOOM_PIXELS
    (pixels,) = seen
    assert set(pixels) == {trace.overview, view}
    for shown in pixels:
        assert pixels[shown].size == shown.size  # type: ignore[attr-defined]
        assert pixels[shown].tobytes() == views.render(picture(), shown, trace.overview, SPEC).tobytes()  # type: ignore[arg-type]


def test_every_zoom_counts_in_the_first_picture() -> None:
    trace, _ = asked([call(10, 10, 66, 66), call(20, 20, 48, 48), call(20, 20, 48, 48), ANSWER])
    assert [view.region for view in trace.views] == [Box(20, 20, 132, 132), Box(40, 40, 96, 96), Box(40, 40, 96, 96)]
    assert (trace.answer, trace.stop) == ("B", Stop.ANSWER)


def test_several_boxes_in_one_turn() -> None:
    trace, model = asked([LOOK + call(0, 0, 28, 28), ANSWER])
    assert [view.region for view in trace.views] == [Box(20, 20, 132, 132), Box(0, 0, 56, 56)]
    assert model.requests[1].messages[-1].parts == (*trace.views, COF.closer)


@pytest.mark.parametrize(
    ("line", "words"), [(OUTSIDE, "168 x 112"), (NONSENSE, "neither a call nor an answer"), ("", "neither")]
)
def test_a_bad_box_or_nonsense_is_told_and_costs_a_turn(line: str, words: str) -> None:
    trace, model = asked([line, ANSWER])
    assert isinstance(trace.turns[0].action, Malformed)
    assert words in told(model)
    assert words in trace.turns[0].note
    assert (trace.zooms, len(trace.turns), trace.answer, trace.stop) == (0, 2, "B", Stop.ANSWER)


def test_a_conversation_is_its_trace() -> None:
    trace, model = asked([LOOK, NONSENSE, OUTSIDE, call(20, 20, 48, 48), ANSWER])
    for n, request in enumerate(model.requests):
        assert request.messages == COF.messages(question(), (trace.overview,), trace.turns[:n])


def test_the_sampling_reaches_the_model() -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, tokens=40, seed=3)
    _, model = asked([LOOK, ANSWER], replace(SETTING, sampling=sampling))
    assert [request.sampling for request in model.requests] == [sampling, sampling]


def test_a_turn_that_was_cut_off_is_no_answer() -> None:
    """Only a closing tag before the limit makes an answer whole."""
    for text, answer in (("<think>I see.</think><answer>Ba", None), (ANSWER, "B"), (ANSWER + " And the", "B")):

        class Cut(ScriptedModel):
            def _say(self, request: Request) -> Completion | ModelError:
                said = super()._say(request)
                return said if isinstance(said, ModelError) else replace(said, finish="length")

        trace = run(Cut([text]), question(), picture(), limited(turns=1))
        assert trace.answer == answer
        if answer is None:
            assert isinstance(trace.turns[0].action, Malformed)
            assert "cut off" in trace.turns[0].note


# limits


@pytest.mark.parametrize(
    ("limits", "lines", "stop", "turns"),
    [
        ({"turns": 1}, [LOOK], Stop.TURNS, 1),
        ({"turns": 3}, [LOOK, NONSENSE, OUTSIDE], Stop.TURNS, 3),
        ({"zooms": 0}, [LOOK], Stop.ZOOMS, 1),
        ({"zooms": 1}, [LOOK, LOOK], Stop.ZOOMS, 2),
        ({"zooms": 1}, [LOOK + call(0, 0, 28, 28)], Stop.ZOOMS, 1),
        ({"tokens": 3}, [NONSENSE], Stop.TOKENS, 1),
        ({"tokens": 6}, [NONSENSE, NONSENSE], Stop.TOKENS, 2),
        ({"pixels": 0}, [LOOK], Stop.PIXELS, 1),
        ({"pixels": 2 * TOKEN}, [LOOK, LOOK], Stop.PIXELS, 2),
        ({"pixels": 2 * TOKEN}, [LOOK + call(0, 0, 28, 28)], Stop.PIXELS, 1),
        ({"seconds": 0.0}, [LOOK], Stop.SECONDS, 1),
    ],
)
def test_at_a_limit_the_answer_is_asked_for_once(
    limits: dict[str, float], lines: list[str], stop: Stop, turns: int
) -> None:
    trace, model = asked([*lines, ANSWER], limited(**limits))
    assert (trace.answer, trace.stop, len(trace.turns)) == ("B", stop, turns + 1)
    assert told(model).endswith(COF.answer_now)
    assert told(model).count(COF.answer_now) == 1

    trace, model = asked([*lines, LOOK], limited(**limits))
    assert (trace.answer, trace.stop, len(trace.turns)) == (None, stop, turns + 1)
    assert told(model).count(COF.answer_now) == 1
    assert trace.turns[-1].views == ()

    trace, _ = asked([*lines, NONSENSE], limited(**limits))
    assert (trace.answer, trace.stop, len(trace.turns)) == (None, stop, turns + 1)


def test_what_still_fits_is_shown_before_the_answer_is_asked_for() -> None:
    trace, model = asked([LOOK + call(0, 0, 28, 28), ANSWER], limited(zooms=1))
    (view,) = trace.views
    assert model.requests[1].messages[-1].parts == (view, COF.answer_now)


def test_the_last_zoom_allowed_leaves_room_to_think() -> None:
    trace, model = asked([LOOK, ANSWER], limited(zooms=1))
    assert (trace.zooms, trace.stop, told(model)) == (1, Stop.ANSWER, COF.closer)


def test_a_complaint_and_the_order_to_answer_in_one_turn() -> None:
    _, model = asked([NONSENSE, ANSWER], limited(turns=1))
    assert told(model).startswith("That did not work: ")
    assert told(model).endswith(COF.answer_now)


def test_a_turn_may_not_produce_more_tokens_than_are_left() -> None:
    setting = replace(limited(tokens=10), sampling=Sampling(tokens=8))
    _, model = asked([NONSENSE, "a b c d", NONSENSE, ANSWER], setting)  # 3, 4 and 3 tokens
    assert [request.sampling.tokens for request in model.requests] == [8, 7, 3, 8]  # the answer has its own allowance


# direct


def test_direct_says_so_from_the_start() -> None:
    trace, model = asked([ANSWER], replace(SETTING, policy=policy_named("direct")))
    assert told(model).endswith(COF.answer_now)
    assert (trace.answer, trace.stop, trace.zooms) == ("B", Stop.ANSWER, 0)


@pytest.mark.parametrize(("line", "stop"), [(LOOK, Stop.ZOOMS), (OUTSIDE, Stop.TURNS), (NONSENSE, Stop.TURNS)])
def test_direct_without_an_answer_ends_after_one_turn(line: str, stop: Stop) -> None:
    trace, _ = asked([line, ANSWER], replace(SETTING, policy=policy_named("direct")))
    assert (trace.answer, trace.stop, trace.zooms, len(trace.turns)) == (None, stop, 0, 1)


# many at once


def by_question(request: Request) -> str:
    """A little walk that differs from question to question and from turn to turn."""
    words = str(request.messages[1].parts[-1])
    spoken = sum(message.role == "assistant" for message in request.messages)
    kind = (int(words.split()[-1].rstrip("?")) + spoken) % 4
    return (ANSWER, LOOK, NONSENSE, call(spoken, 5, 80, 60))[kind]


def failing_at(name: str, after: int, line: Line) -> Line:
    """`line`, but for the question `name`, which fails from turn `after` on."""

    def say(request: Request) -> str:
        asked = str(request.messages[1].parts[-1]).split()[-1].rstrip("?")
        if asked == name and len(request.messages) >= 2 + 2 * after:
            raise ModelError(f"out of memory at {asked}")
        return line if isinstance(line, str) else line(request)

    return say


MANY = [(question(str(n)), picture(n)) for n in range(9)]


def test_many_give_the_same_traces_as_one_by_one() -> None:
    together = run_many(ScriptedModel([by_question]), MANY, SETTING)
    alone = [run(ScriptedModel([by_question]), q, image, SETTING) for q, image in MANY]
    assert [untimed(trace) for trace in together] == [untimed(trace) for trace in alone]
    assert len({len(trace.turns) for trace in together}) > 1


def test_questions_are_taken_when_there_is_room() -> None:
    """The scripted model has room for one: the next picture is not opened before the last question is over."""
    events: list[str] = []

    def opened() -> Iterator[tuple[Question, Image.Image]]:
        for asked, image in MANY:
            events.append(f"open {asked.id}")
            yield asked, image

    run_many(ScriptedModel([by_question]), opened(), SETTING, lambda trace: events.append(f"end {trace.id}"))
    assert events == [f"{what} {n}" for n in range(9) for what in ("open", "end")]


def test_traces_are_told_as_they_end_and_returned_in_order() -> None:
    heard: list[str] = []
    traces = run_many(ScriptedModel([by_question]), MANY, SETTING, lambda trace: heard.append(trace.id))
    assert [trace.id for trace in traces] == [q.id for q, _ in MANY]
    assert heard == [trace.id for trace in traces]


@pytest.mark.parametrize("after", [0, 1])
def test_a_failure_is_recorded_for_its_own_question_only(after: int) -> None:
    heard: list[Trace] = []
    traces = run_many(
        ScriptedModel([failing_at("4", after, LOOK), failing_at("4", after, by_question)]), MANY, SETTING, heard.append
    )
    healthy = run_many(ScriptedModel([LOOK, by_question]), MANY, SETTING)
    failed = traces.pop(4)
    del healthy[4]
    assert (failed.stop, failed.error, failed.answer, len(failed.turns)) == (
        Stop.FAILED,
        "out of memory at 4",
        None,
        after,
    )
    assert [untimed(trace) for trace in traces] == [untimed(trace) for trace in healthy]
    assert sum(trace.stop is Stop.FAILED for trace in heard) == 1
    assert len(heard) == 9


def test_nothing_asked_nothing_answered() -> None:
    assert run_many(ScriptedModel([ANSWER]), [], SETTING) == []


# always and oracle


def test_made_to_zoom_an_answer_is_not_accepted_and_a_call_begins() -> None:
    _, model = asked([ANSWER, LOOK, ANSWER], replace(SETTING, policy=policy_named("always")))
    (refused, forced, *_) = model.requests
    assert refused.messages == forced.messages
    assert (refused.prefix, forced.prefix) == ("", COF.begin_call())
    assert forced.prefix.endswith('"bbox_2d": [')


def test_made_to_zoom_ends_with_an_answer_after_a_zoom() -> None:
    """A model that answers whenever it may: the forced call goes on with four numbers, the next turn is free."""

    def goes_on(request: Request) -> str:
        return request.prefix + "10, 10, 66, 66]}}</tool_call>" if request.prefix else ANSWER

    trace, _ = asked([goes_on], replace(SETTING, policy=policy_named("always")))
    assert (trace.answer, trace.zooms, trace.stop, len(trace.turns)) == ("B", 1, Stop.ANSWER, 2)
    assert isinstance(trace.turns[0].action, tuple)
    unused = len(ANSWER.split())
    assert trace.turns[0].completion.tokens == len(trace.turns[0].completion.text.split()) + unused


def test_made_to_zoom_the_tokens_of_the_refused_answer_count_in_the_limit() -> None:
    """Of 30 tokens, the refused answer took some: the forced call has the rest, and the turn after it what is left then."""
    answer = " ".join([ANSWER, *("more",) * 7])
    spent = len(answer.split())

    def goes_on(request: Request) -> str:
        return request.prefix + "10, 10, 66, 66]}}</tool_call>" if request.prefix else answer

    _, model = asked([goes_on], replace(limited(tokens=30), policy=policy_named("always")))
    refused, forced, last = (request.sampling.tokens for request in model.requests)
    assert (refused, forced) == (30, 30 - spent)
    called = len((COF.begin_call() + "10, 10, 66, 66]}}</tool_call>").split())
    assert last == 30 - spent - called


def test_made_to_zoom_once_is_enough() -> None:
    """A model that cannot name a box is told so, and then may answer."""

    def fails(request: Request) -> str:
        return request.prefix + "B" if request.prefix else ANSWER

    trace, model = asked([fails], replace(SETTING, policy=policy_named("always")))
    assert (trace.answer, trace.zooms, len(model.requests)) == ("B", 0, 3)
    assert [type(turn.action) for turn in trace.turns] == [Malformed, Answer]


def test_made_to_zoom_a_zoom_of_its_own_is_left_alone() -> None:
    trace, model = asked([LOOK, ANSWER], replace(SETTING, policy=policy_named("always")))
    assert [request.prefix for request in model.requests] == ["", ""]
    assert (trace.answer, trace.zooms) == ("B", 1)


def test_the_oracle_shows_the_true_boxes_first() -> None:
    targets = (Box(20, 20, 132, 132), Box(40, 40, 96, 96))
    model = ScriptedModel([ANSWER])
    trace = run(model, replace(question(), targets=targets), picture(), replace(SETTING, policy=policy_named("oracle")))
    assert [view.region for view in trace.views] == list(targets)
    assert [turn.given for turn in trace.turns] == [True, True, False]
    assert (trace.zooms, trace.policy) == (0, "oracle")
    assert (trace.answer, trace.stop) == ("B", Stop.ANSWER)
    assert len(model.requests) == 1
    assert model.requests[0].messages == COF.messages(trace.question, (trace.overview,), trace.turns[:2])
    assert (
        run(ScriptedModel([ANSWER]), question(), picture(), replace(SETTING, policy=policy_named("oracle"))).views == ()
    )
    limited = replace(SETTING, policy=policy_named("oracle"), limits=Limits(turns=1, zooms=0))
    assert run(ScriptedModel([ANSWER]), trace.question, picture(), limited).stop is Stop.ANSWER


# it always ends

COORDINATES = st.floats(-50, 250) | st.integers(-50, 250) | st.floats()
LINES = st.one_of(
    st.builds(call, COORDINATES, COORDINATES, COORDINATES, COORDINATES),
    st.builds(lambda n: "".join(call(i, i, 60 + i, 50 + i) for i in range(n)), st.integers(1, 6)),
    st.sampled_from([ANSWER, NONSENSE, LOOK, OUTSIDE, "", "<think>", "<answer></answer>"]),
    st.text(max_size=20),
)
LIMITS = st.builds(
    Limits,
    turns=st.integers(1, 6),
    zooms=st.integers(0, 5),
    tokens=st.integers(0, 60),
    pixels=st.integers(0, OVERVIEW_PIXELS + 6 * ZOOM_PIXELS),
    seconds=st.sampled_from([0.0, math.inf]),
)


@settings(max_examples=cases(1_000), deadline=None)
@given(st.lists(LINES, min_size=1, max_size=8), LIMITS, st.sampled_from(["own", "direct", "always"]))
def test_any_model_comes_to_an_end_within_its_limits(lines: list[str], limits: Limits, policy: str) -> None:
    trace, model = asked(lines, Setting(SPEC, limits, policy=policy_named(policy)))
    assert len(trace.turns) <= (1 if policy == "direct" else max(limits.turns, 1) + 1)
    assert trace.zooms <= (0 if policy == "direct" else limits.zooms)
    assert trace.pixels <= max(limits.pixels, OVERVIEW_PIXELS)
    assert (trace.stop is not Stop.ANSWER) or trace.answer is not None
    assert trace.stop is not Stop.FAILED
    assert all(not isinstance(turn.action, Answer) for turn in trace.turns[:-1])
    assert all(boxes.contains(trace.overview.region, view.region) for view in trace.views)
    now = [COF.answer_now in str(message.parts) for message in model.requests[-1].messages]
    assert sum(now) <= 1
