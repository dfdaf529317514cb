"""What words that it was not trained on do to cof-nano: a system prompt, and an earlier exchange about the same picture.

`python benchmarks/conversation.py [N]`: N needle questions of the validation split (default 60, seed 5, 896 px), once as they
are and once with each. Prints how many answers are right, with a 95% Wilson interval.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace

from PIL import Image

from cof.loop.run import run_many
from cof.models.opening import ModelRef, open_model
from cof.needle.samples import jpeg_of, samples
from cof.scoring.statistics import wilson
from cof.scoring.traces import score_trace
from cof.types import Exchange, Question

SEED, SIDE = 5, 896
ASKED: dict[str, Callable[[Question], Question]] = {
    "bare": lambda question: question,
    "system prompt": lambda question: replace(question, system="You are a helpful assistant."),
    "earlier exchange": lambda question: replace(question, earlier=(Exchange("What color is the ring?", "red"),)),
    "the same exchange": lambda question: replace(question, earlier=(Exchange(question.text, question.answer or ""),)),
    "a further sentence": lambda question: replace(question, text=f"{question.text} Answer in one word."),
}


def main(n: int) -> None:
    model, drawn = open_model(ModelRef("nano")), list(samples("validation", SEED, n, SIDE))
    pictures = [Image.open(io.BytesIO(jpeg_of(sample))) for sample in drawn]
    for name, asked in ASKED.items():
        pairs = [(asked(sample.question), picture) for sample, picture in zip(drawn, pictures, strict=True)]
        right = sum(bool(score_trace(trace).right) for trace in run_many(model, pairs))
        low, high = wilson(right, n)
        print(f"{name:20} {right} of {n} right ({low:.2f} to {high:.2f})", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
