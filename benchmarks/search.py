"""What the search agent's own work costs beside those who play the parts.

Scripted players take 0.2 s a call, 64 searches run at once. Prints the time against the ideal, which is the sum of all calls'
time over 64, and how much memory grew from the first tenth of the questions to the end.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from cof.agent.build import build, publish_kept
from cof.agent.calls import Check, Cost, Locate, Look, Plan, Propose, Read, Reply, RoleCall, Summarise, Try
from cof.agent.trajectory import Rules
from cof.data.example import Example
from cof.data.filters import Filters
from cof.geometry import Box, ViewSpec
from cof.runs import RunDir
from cof.types import Question

QUESTIONS, CONCURRENCY, LATENCY = 10_000, 64, 0.2  # latency in seconds
PICTURE = Image.effect_noise((640, 480), 60).convert("RGB")


class Scripted:
    """One zoom, found at once."""

    def play(self, example: Example, call: RoleCall, _ledger: Cost) -> Reply:
        time.sleep(LATENCY)
        match call:
            case Plan(events):
                return Propose("K", 0) if events else Look("star")
            case Locate():
                return Box(100, 100, 160, 160)
            case Read():
                return "K"
            case Check():
                return True
            case Summarise(chain):
                return ("I look at the star.",) * len(chain) + ("It is there.",)
            case Try():
                return "L"
            case _:
                return example.question.text


def examples(count: int) -> Iterator[Example]:
    for n in range(count):
        question = Question(str(n), ("",), f"What letter is on star {n}?", (), "K")
        yield Example(question, PICTURE.copy, spec=ViewSpec(), known_size=PICTURE.size)


def main(questions: int = QUESTIONS) -> None:
    memory, ended = [0.0, 0.0], 0

    def on_end() -> None:
        nonlocal ended
        ended += 1
        if ended == questions // 10:
            memory[0] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    with tempfile.TemporaryDirectory() as folder, RunDir(Path(folder) / "run", {}) as run:
        began = time.perf_counter()
        build(Scripted(), examples(questions), Rules(tries=1, readings=1), run, concurrency=CONCURRENCY, on_end=on_end)
        took = time.perf_counter() - began
        memory[1] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        stats = publish_kept(run, Filters())
    ideal = stats["calls"] * LATENCY / CONCURRENCY
    print(
        f"searches: {stats['kept']} of {questions} kept, {stats['calls']} calls of {LATENCY} s, {CONCURRENCY} at once"
    )
    print(f"{took:.1f} s, {took / ideal:.3f} times the ideal; memory grew by {memory[1] - memory[0]:.0f} MB")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
