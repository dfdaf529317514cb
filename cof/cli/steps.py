"""Progress of training on stderr: the steps that are done, and a line of metrics every few seconds at most."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cof.cli.progress import counting

EVERY = 5.0  # seconds from one line of metrics to the next, at least
SHOWN = (  # the metrics of a line, where a stage has them, in this order; all are in metrics.jsonl
    "loss",
    "reward",
    "accuracy",
    "formed",
    "zooms",
    "signal",
    "mean_token_accuracy",
    "place_error",
    "what",
    "mark",
    "box_error",
)


@contextmanager
def reporting(steps: int, done: int) -> Iterator[Callable[[int, Mapping[str, Any]], None]]:
    """Gives a function that takes the number of steps done, and the metrics of the last one, empty where none were logged.

    `done` of the `steps` were done before.
    """
    with counting("training", steps, done) as advance:
        yield _Steps(steps, done, advance).report


class _Steps:
    def __init__(self, steps: int, done: int, advance: Callable[[], None]) -> None:
        self.steps, self.done, self.advance = steps, done, advance
        self.printed = -EVERY  # seconds, when the last line of metrics was printed

    def report(self, step: int, metrics: Mapping[str, Any]) -> None:
        for _ in range(self.done, step):
            self.advance()
        self.done = max(self.done, step)
        now = time.monotonic()
        if metrics and (now - self.printed >= EVERY or step == self.steps):
            self.printed = now
            print(f"step {step} of {self.steps}: {line_of(metrics)}", file=sys.stderr, flush=True)


def line_of(metrics: Mapping[str, Any]) -> str:
    """The metrics that a line shows, by name. Those that are not known are left out."""
    known = {name: metrics[name] for name in SHOWN if isinstance(metrics.get(name), int | float)}
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in known.items() if value == value)
