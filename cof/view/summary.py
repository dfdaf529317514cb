"""A trace in one flat object: the answer, where the model looked, what it cost, and what limits did."""

from __future__ import annotations

from typing import Any

from cof.loop.notes import notes
from cof.scoring.traces import listed
from cof.trace import Trace
from cof.vision.boxes import rounded


def summary(trace: Trace) -> dict[str, Any]:
    """What `cof ask --json` prints and `cof batch` writes. Boxes are in source pixels."""
    return {
        "answer": trace.answer,
        "listed": listed(trace),
        "outside": trace.outside,
        "stop": trace.stop.value,
        "error": trace.error,
        "model": trace.model,
        "dialect": trace.dialect,
        "zooms": trace.zooms,
        "tokens": trace.tokens,
        "visual_tokens": trace.visual_tokens,
        "boxes": [rounded(box) for turn in trace.turns for box in turn.shown_boxes],  # a policy's too
        "thoughts": [turn.thought for turn in trace.turns if turn.kind != "malformed"],
        "notes": list(notes(trace)),
        "seconds": round(trace.seconds, 2),
    }
