"""Policies by name, some of them from outside the package: what they look at is in traces, reports, replies and on pages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cof
from cof import registry
from cof.cli.app import app
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InputError, InvalidBox, InvalidConfig
from cof.geometry import Box, ViewSpec
from cof.loop.advance import LOOKS
from cof.loop.notes import notes
from cof.loop.policies.base import Looks, Next, Policy
from cof.loop.policies.known import BUILT_IN, for_asking, policy_for_asking, policy_named
from cof.loop.run import run, run_many
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Request
from cof.models.scripted import Line, ScriptedModel
from cof.plain import to_json, trace_from_json
from cof.tools.zoom import zooms
from cof.trace import Trace
from cof.types import Call, Completion, Limits, Question, Stop
from cof.vision.views import Picture
from tests.loop.policies.outside import CORNERS, DEAF, ENDLESS, Many
from tests.models.remote.endpoints import Reply, listening, models
from tests.tools.outside import MEASURE

ANSWER = "<think>So.</think><answer>B</answer>"
LOOK = '<think>Closer.</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [1, 1, 30, 30]}}</tool_call>'
IMAGE = Image.new("RGB", (300, 200), "red")
QUESTION = Question("1", ("",), "What?")


def played(policy: Policy, lines: Sequence[Line] = (ANSWER,), **limits: int) -> tuple[Trace, ScriptedModel]:
    model = ScriptedModel(list(lines))
    return run(model, QUESTION, IMAGE, Setting(ViewSpec(grow=1.0), policy=policy, limits=Limits(**limits))), model


def test_a_policy_from_outside_looks_and_then_asks_for_the_answer() -> None:
    trace, model = played(CORNERS)
    assert [view.region for view in trace.views] == [Box(0, 0, 40, 40), Box(260, 160, 300, 200)]
    assert [turn.given for turn in trace.turns] == [True, True, False]
    assert (trace.answer, trace.stop, trace.zooms, trace.policy) == ("B", Stop.ANSWER, 0, CORNERS.name)
    (request,) = model.requests
    orders = [COF.answer_now in str(message.parts) for message in request.messages]
    assert (orders[-1], sum(orders)) == (True, 1)
    assert request.messages == COF.messages(QUESTION, trace.overviews, trace.turns[:2])
    assert trace_from_json(to_json(trace)) == trace
    assert trace.to_html(IMAGE).count("<img") >= 3


def test_after_the_order_to_answer_calls_are_not_followed() -> None:
    trace, _ = played(CORNERS, [LOOK])
    assert (trace.answer, trace.stop, len(trace.views)) == (None, Stop.ZOOMS, 2)


def test_where_pixels_leave_no_room_the_model_goes_on() -> None:
    trace, model = played(CORNERS, pixels=1)
    assert (trace.views, trace.answer, len(model.requests)) == ((), "B", 1)


@pytest.mark.parametrize("together", [1, 2, 4, 8])
def test_looks_share_the_pixels_alike_in_one_turn_and_in_several(together: int) -> None:
    """Each gets its share, so that all are shown; where there is no room, as many as fit are."""
    trace, _ = played(Many("many", "", together=together), pixels=300_000)
    sizes = {view.pixels for view in trace.views}
    assert (len(trace.views), trace.pixels <= 300_000) == (8, True)
    assert max(sizes) <= 3 * min(sizes)
    trace, _ = played(Many("many", "", together=together), pixels=80_000)
    assert 0 < len(trace.views) < 8
    assert sum(len(turn.calls) for turn in trace.turns) == len(trace.views)


def test_many_looks_at_once_are_stopped_as_those_that_never_end_are() -> None:
    trace, _ = played(Many("many", "", count=2_000), pixels=50_000_000)
    assert len(trace.turns) <= LOOKS + 1


def test_a_policy_that_never_ends_is_stopped(tmp_path: Path) -> None:
    tool = f'like = "cof"\n[[tools]]\ntool = "{MEASURE.name}"\nname = "measure"\narguments = []\n'
    (tmp_path / "measuring.toml").write_text(tool)
    setting = Setting(dialect=dialect_of(str(tmp_path / "measuring.toml")), policy=ENDLESS)
    trace = run(ScriptedModel([ANSWER]), QUESTION, IMAGE, setting)
    assert (len(trace.turns), trace.answer) == (LOOKS + 1, "B")


def test_a_tool_that_the_dialect_does_not_have_is_one_line() -> None:
    with pytest.raises(InvalidConfig, match=r"the dialect cof has no tool .*; want it in \[\[tools\]\]"):
        played(ENDLESS)


def test_an_answer_is_refused_once_at_most() -> None:
    def fails(request: Request) -> str:
        return request.prefix + "B" if request.prefix else ANSWER

    trace, model = played(DEAF, [fails])
    assert (trace.answer, [request.prefix for request in model.requests]) == ("B", ["", COF.begin_call(), ""])


def test_a_look_that_cannot_be_followed_is_an_error() -> None:
    asked = Question("1", ("",), "What?", targets=(Box(900, 900, 950, 950),))
    with pytest.raises(InvalidBox):
        run(ScriptedModel([ANSWER]), asked, IMAGE, Setting(policy=policy_named("oracle")))


@dataclass(frozen=True)
class Faulty(Policy):
    """Decides `what`, or raises it, from turn `after` on."""

    what: Any = None
    after: int = 0

    def next(self, trace: Trace) -> Next | Looks:
        if len(trace.turns) < self.after:
            return Next.MODEL
        if isinstance(self.what, Exception):
            raise self.what
        decided: Looks = self.what
        return decided


FAULTS = {
    "None": (None, "policy faulty decided None; want Next.MODEL, Next.ANSWER, or turns"),
    "a turn without calls": (((),), "want Next.MODEL"),
    "calls without turns": ((Call("zoom", {"box": Box(0, 0, 9, 9)}),), "want Next.MODEL"),
    "an error": (
        ZeroDivisionError("division by zero"),
        r"policy faulty failed \(ZeroDivisionError: division by zero\)",
    ),
    "no such tool": (((Call("fly"),),), "unknown tool 'fly'"),
    "a box outside": ((zooms([Box(900, 900, 950, 950)]),), "outside"),
}


@pytest.mark.parametrize(("what", "said"), FAULTS.values(), ids=FAULTS)
def test_what_a_policy_decides_wrongly_is_one_line(what: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        played(Faulty("faulty", "", what=what))


@pytest.mark.parametrize(("what", "said"), FAULTS.values(), ids=FAULTS)
def test_in_a_later_turn_it_ends_its_own_session_alone(what: Any, said: str) -> None:
    policy = Faulty("faulty", "", what=what, after=1)
    asked = [(replace(QUESTION, id=name), IMAGE) for name in ("1", "2")]
    first, second = run_many(ScriptedModel([LOOK]), asked, Setting(policy=policy))
    for trace in (first, second):
        assert (trace.stop, trace.answer) == (Stop.FAILED, None)
        assert re.search(said, trace.error or "")


def test_a_policy_that_fails_at_an_answer_ends_its_session() -> None:
    class Broken(Policy):
        def accepts(self, trace: Trace) -> bool:
            raise KeyError(trace.id)

    trace, _ = played(Broken("broken", ""))
    assert (trace.stop, trace.error) == (
        Stop.FAILED,
        "policy broken failed (KeyError: '1'); want it corrected, or another policy",
    )


def test_the_note_says_that_the_policy_asked_for_the_answer() -> None:
    trace, _ = played(CORNERS, [LOOK])
    assert notes(trace) == (f"The policy {CORNERS.name} asked the model for its answer, and it called a tool.",)
    trace, _ = played(policy_named("direct"), ["nonsense"])
    assert notes(trace) == (
        "The policy direct asked the model for its answer, and it gave no answer that could be read.",
    )


def test_a_cancelled_session_stays_so_whatever_it_is_at() -> None:
    class Cancelling(Policy):
        def next(self, trace: Trace) -> Next | Looks:
            if trace.turns:
                session.cancel()
                return Next.ANSWER
            return Next.MODEL

    session = Session("m", QUESTION, [Picture(IMAGE)], Setting(policy=Cancelling("cancelling", "")))
    session.receive(Completion(LOOK), 0.0)
    assert session.cancelled
    assert session.request() is None


def test_nothing_to_look_at_is_the_models_turn() -> None:
    class Idle(Policy):
        def next(self, trace: Trace) -> Next | Looks:  # noqa: ARG002
            return ()

    assert played(Idle("idle", "looks at nothing"))[0].answer == "B"


def test_policies_are_found_by_name() -> None:
    assert [policy_named(name).name for name in BUILT_IN] == list(BUILT_IN)
    assert policy_named("tests.loop.policies.outside:CORNERS") is CORNERS
    assert "oracle" not in for_asking()
    assert {"own", "direct", "always"} <= set(for_asking())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fast", "want one of always, direct, oracle, own, or module:name"),
        ("", "unknown policy"),
        ("no.such:POLICY", "is not there"),
        ("tests.loop.policies.outside:NO_POLICY", "is int; want a value of a class that derives from cof.Policy"),
        ("tests.loop.policies.outside:HIDING", "calls itself 'own'; want a text that no policy of this package has"),
    ],
)
def test_what_is_no_policy_is_one_line(name: str, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        policy_named(name)


def test_the_oracle_is_refused_where_there_are_no_true_boxes() -> None:
    with pytest.raises(
        InvalidConfig, match="needs true boxes, which an evaluation has; want one of own, direct, always"
    ):
        policy_for_asking("oracle")


@pytest.mark.parametrize("policy", [None, 5, Policy])
def test_what_is_no_policy_in_python_is_one_line(policy: Any) -> None:
    with pytest.raises(InputError, match="want a name such as 'own', module:NAME, or a cof.Policy"):
        cof.ask(IMAGE, "What?", model=ScriptedModel([ANSWER]), policy=policy)


def test_always_counts_what_was_shown_and_not_what_was_asked_for() -> None:
    """The first call is outside the picture: the answer after it is refused."""
    outside = LOOK.replace("[1, 1, 30, 30]", "[900, 900, 950, 950]")
    lines: list[Line] = [outside, lambda request: request.prefix + "x" if request.prefix else ANSWER]
    _, model = played(policy_named("always"), lines)
    assert [bool(request.prefix) for request in model.requests][:3] == [False, False, True]


def test_a_part_of_this_package_is_not_hidden_by_one_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"own": "nowhere:POLICY", "gone": "nowhere:POLICY", "corners": CORNERS.name}
    monkeypatch.setattr(registry, "installed", lambda _: others)
    policy_named.cache_clear()
    assert policy_named("own").name == "own"
    assert policy_named("corners") is CORNERS
    assert {"gone", "corners"} <= set(for_asking())
    with pytest.raises(InvalidConfig, match="policy 'gone' is not there"):
        policy_named("gone")
    policy_named.cache_clear()


def test_ask_takes_a_policy_by_its_name_its_path_and_as_a_value() -> None:
    for policy in ("tests.loop.policies.outside:CORNERS", CORNERS):
        trace = cof.ask(IMAGE, "What?", model=ScriptedModel([ANSWER]), policy=policy)
        assert (len(trace.views), trace.answer) == (2, "B")
    assert cof.ask(IMAGE, "What?", model=ScriptedModel([ANSWER]), policy="direct").views == ()


def test_the_command_line_asks_and_evaluates_by_a_policy_from_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    IMAGE.save(tmp_path / "a.png")
    row = {"image": "a.png", "question": "What?", "answer": "B"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with listening(lambda _: Reply(ANSWER)) as server:
        server.listing = models("m")
        at = ["--url", server.url, "--model", "m", "--dialect", "cof"]
        called(["ask", str(tmp_path / "a.png"), "What?", *at, "--policy", CORNERS.name, "--json"])
        said = json.loads(capsys.readouterr().out)
        arms = ["--arms", f"{CORNERS.name},direct", "--out", str(tmp_path / "run")]
        called(["eval", "jsonl", "--data", str(tmp_path / "rows.jsonl"), *at, *arms])
    assert (said["answer"], said["visual_tokens"] > 0) == ("B", True)
    figures = json.loads((tmp_path / "run" / "report.json").read_text())
    assert list(figures["arms"]) == ["direct", CORNERS.name]
    assert f"{CORNERS.name} - direct" in capsys.readouterr().out.replace("\n", " ")
    called(["view", str(tmp_path / "run"), "--out", str(tmp_path / "pages")])
    called(["report", str(tmp_path / "run"), "--out", str(tmp_path / "report"), "--inspect", str(tmp_path / "logs")])


def called(words: list[str]) -> None:
    app(words, standalone_mode=False)
