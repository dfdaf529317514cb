"""What happened to a run besides its answer, as sentences for people: what limits changed, and why it ended.

Everything is derived from the trace, so that the console, JSON and pages agree.
"""

from __future__ import annotations

from dataclasses import replace

from cof.geometry import Box, Shown
from cof.trace import Trace, Turn
from cof.types import Malformed, Stop
from cof.vision import boxes, views
from cof.vision.limits import at_most

QUOTED = 80  # characters of a turn that are quoted
TOGETHER = " of the overview and all crops together; --limit pixels=N changes it"


def notes(trace: Trace) -> tuple[str, ...]:
    """What limits changed, and which one ended the run, where one did: a sentence each."""
    at_limit = trace.stop not in (Stop.ANSWER, Stop.FAILED)
    return (*limit_notes(trace), *([stop_note(trace)] if at_limit else []))


def limit_notes(trace: Trace) -> tuple[str, ...]:
    """A sentence for each change that the limits of the run made; empty where they made none."""
    if trace.overview.pixels < trace.spec.factor**2:  # the picture could not be read
        return ()
    return tuple(note for note in (_overview(trace), *_crops(trace), _not_shown(trace)) if note)


def stop_note(trace: Trace) -> str:
    """Why the run ended, as a sentence."""
    if trace.stop is Stop.FAILED:
        return "The run failed before there was an answer."
    if trace.stop is Stop.ANSWER:
        return "The model answered of its own accord."
    if _had_to_answer(trace):
        asked = "called a tool" if trace.model_turns[-1].calls else "gave no answer that could be read"
        return f"The policy {trace.policy} asked the model for its answer, and it {asked}."
    limit = f"{getattr(trace.limits, trace.stop.value):,}{TOGETHER if trace.stop is Stop.PIXELS else ''}"
    none = f"was asked for its answer, and gave none{_unread(trace)}"
    then = "then answered when asked to" if trace.answer is not None else none
    return f"The model reached its limit on {trace.stop.value} ({limit}), {then}."


def _had_to_answer(trace: Trace) -> bool:
    """Whether the policy asked for the answer before a limit did, and got none. Without tools it asked from the start."""
    reached = {Stop.TURNS: (len(trace.model_turns), trace.limits.turns), Stop.ZOOMS: (trace.zooms, trace.limits.zooms)}
    used, most = reached.get(trace.stop, (0, 0))
    return trace.answer is None and trace.stop in reached and (used < most or not trace.may_call)


def _unread(trace: Trace) -> str:
    """How many turns could not be read, and what was wrong with the last."""
    faults = [turn.action.fault for turn in trace.model_turns if isinstance(turn.action, Malformed)]
    if not faults:
        return ""
    return f"; {len(faults)} of {len(trace.model_turns)} turns could not be read (the last: {faults[-1]})"


def cut_turns(trace: Trace) -> int:
    """Turns that ended at their token limit."""
    return sum(turn.completion.finish == "length" for turn in trace.model_turns)


def unreadable(trace: Trace) -> str:
    """What to do where no turn of the model could be read, "" elsewhere: it may need another family's dialect."""
    if (
        trace.outside
        or not trace.model_turns
        or not all(isinstance(turn.action, Malformed) for turn in trace.model_turns)
    ):
        return ""
    said = " ".join(trace.model_turns[-1].completion.text.split())[:QUOTED]
    if cut := cut_turns(trace):
        turns = f"{cut} of {len(trace.model_turns)} turns"
        return f"{turns} were cut off at {trace.sampling.tokens} tokens; the last was {said!r}; want a larger --turn-tokens"
    turns = f"{len(trace.model_turns)} turn{'s' * (len(trace.model_turns) != 1)}"
    problem = f"none of {turns} was a call or an answer in the dialect {trace.dialect!r}"
    return f"{problem}; the last was {said!r}; want the model's own --dialect, or plain"


def _overview(trace: Trace) -> str:
    region = trace.overview.region
    natural = views.overview((round(region.width), round(region.height)), trace.spec)
    if trace.overview.pixels >= natural.pixels:
        return ""
    crops = f" keeps room for {trace.limits.zooms} crops" if trace.limits.zooms else " leaves no more"
    several = f", and {len(trace.overviews)} pictures share the rest" if len(trace.overviews) > 1 else ""
    kept = f"the limit pixels = {trace.limits.pixels:,}{crops}{several}"
    return f"The overview has {_size(trace.overview)} pixels instead of {_size(natural)}: {kept}."


def _crops(trace: Trace) -> tuple[str, ...]:
    """What shrank crops: the cap per crop, or the pixels of the whole run."""
    capped = shared = 0
    for box, view in _shown(trace):
        first = trace.overview_of(box)
        if view.pixels >= views.zoom(box, first, trace.spec).pixels:
            continue
        cap = trace.limits.crop_pixels
        upright = replace(view, edits=(), size=view.unedited)
        by_cap = cap is not None and upright == views.zoom(box, first, at_most(trace.spec, cap))
        capped, shared = capped + by_cap, shared + (not by_cap)
    limits = trace.limits
    cap_name = "crop_pixels (--budget or --crop-budget)"
    return (_shrunk(capped, trace, cap_name, limits.crop_pixels), _shrunk(shared, trace, "pixels", limits.pixels))


def _shrunk(count: int, trace: Trace, limit: str, value: int | None) -> str:
    if not count:
        return ""
    of = len(_shown(trace))
    return f"{count} of {of} crop{'s' * (of != 1)} {_was(count)} shrunk to fit the limit {limit} = {value:,}."


def _not_shown(trace: Trace) -> str:
    refused = [call for turn in trace.model_turns if not _complained(turn, trace) for call in turn.refused]
    count = len(refused)
    if not count or _had_to_answer(trace) or trace.stop in (Stop.ANSWER, Stop.FAILED):
        return ""
    name = trace.stop.value
    limit = f"the limit {name} = {getattr(trace.limits, name):,} was reached"
    if all(call.box for call in refused):
        return f"{count} requested box{'es' * (count != 1)} {_was(count)} not shown: {limit}."
    return f"{count} call{'s' * (count != 1)} {_was(count)} not followed: {limit}."


def _complained(turn: Turn, trace: Trace) -> bool:
    """Whether a call was refused for its own fault, which no limit did: its box lies outside, or its arguments are wrong."""
    return any(
        _outside(call.box, trace) if call.box else trace.tools.get(call.tool, 0) < trace.limits.of(call.tool)
        for call in turn.refused[:1]
    )


def _outside(box: Box, trace: Trace) -> bool:
    found = [first for first in trace.overviews if first.picture == box.picture]
    return not found or boxes.intersect(box, found[0].region) is None


def _shown(trace: Trace) -> tuple[tuple[Box, Shown], ...]:
    """The boxes that were shown, with their views, those that were given included."""
    return tuple(
        (call.box, view)
        for turn in trace.turns
        for call, observation in zip(turn.calls, turn.observations, strict=False)
        for view in observation.shown
        if call.box
    )


def _size(view: Shown) -> str:
    return f"{view.size[0]} x {view.size[1]}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
