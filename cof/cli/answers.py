"""What `cof ask` prints of an answer: for people in two columns, for programs as JSON."""

from __future__ import annotations

from cof.cli.console import two_columns
from cof.loop.notes import notes
from cof.scoring.traces import listed
from cof.trace import Observation, Trace
from cof.types import Call
from cof.vision.boxes import in_words

COLUMN = 11  # characters of the first column


def print_answer(trace: Trace) -> None:
    """Print where the model looked, its answer, why it stopped, what that cost, and what limits did."""
    for turn in trace.turns:
        for call, observation in zip(turn.calls, turn.observations, strict=False):
            print_line(*_observed(call, observation, len(trace.overviews)))
    print_line("answer", "(none)" if trace.answer is None else trace.answer)
    if listed(trace) is False:
        print_line("", f"This answer is none of the choices: {', '.join(trace.question.choices)}.")
    zooms = f"{trace.zooms} zoom{'s' * (trace.zooms != 1)}"
    print_line("stop", f"{trace.stop.value}, {zooms}, {trace.visual_tokens} visual tokens, {trace.seconds:.1f} s")
    for note in notes(trace):
        print_line("note", note)


def _observed(call: Call, observation: Observation, pictures: int) -> tuple[str, str]:
    """What a call gave the model, as a line of two columns."""
    if call.box is None:
        given = ", ".join(f"{key} {value}" for key, value in call.arguments.items())
        return call.tool, " ".join(filter(None, (given, observation.words)))
    where = f" of picture {call.box.picture + 1}" if pictures > 1 else ""
    return "looked at", f"{call.label or 'a region'}  {in_words(call.box)}{where}"


def print_line(name: str, text: str) -> None:
    """Print a line of two columns: a name and a text."""
    print(two_columns(name, text, COLUMN), flush=True)
