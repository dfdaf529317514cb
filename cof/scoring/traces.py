"""How right the answer of a whole trace is: as `answers.py` has it, with boxes read in the frame of the trace's dialect."""

from __future__ import annotations

from collections.abc import Callable

from cof.dialects.named import dialect_of
from cof.scoring.answers import Score, box_score, metric_of, score
from cof.scoring.options import chosen
from cof.trace import Trace
from cof.types import Question, Stop

Judgement = Callable[[Question, str | None], Score]


def score_trace(trace: Trace, judge: Judgement = score) -> Score:
    """How right a trace's answer is; not scored, by "failed", where the model failed. `judge` scores answers in words.

    Raises InputError where the truth is no option or no box, InvalidConfig where the trace's dialect is not there any more.
    """
    if trace.stop is Stop.FAILED:
        return Score(None, "failed")
    if metric_of(trace.question) != "iou":
        return judge(trace.question, trace.answer)
    said = trace.answer or ""
    return box_score(trace.question, dialect_of(trace.dialect).answer_box(said, trace.overview) if said else None)


def listed(trace: Trace) -> bool | None:
    """Whether the answer names one of the question's choices; None without choices or without an answer.

    An answer that names several of them names none.
    """
    choices, answer = trace.question.choices, trace.answer
    return None if answer is None or not choices else chosen(choices, answer) is not None
