"""What the engine is worth against a serial loop that calls `generate` on the whole conversation at every turn.

That is what released implementations do. Both answer the same needle questions with one checkpoint, on the CPU. Prints
questions a second and their ratio, tokens read against distinct tokens, pictures encoded against distinct pictures, peak
memory, and how long another conversation takes while an overview of 48 megapixels is rendered.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import torch
from PIL import Image

from cof.loop.run import run_many
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Conversation, ModelInfo, Request
from cof.models.encoding import views_in
from cof.models.local.model import LocalModel
from cof.needle.samples import samples
from cof.trace import Trace
from cof.types import Completion, Question, Sampling
from cof.vision.views import Picture

QUESTIONS, BATCH, SIDE = 200, 32, 1792
LARGE = (8000, 6000)  # pixels: a picture whose overview takes long to render
SETTING = Setting(sampling=Sampling(tokens=128))


class Serial:
    """One conversation at a time; every turn reads the conversation anew through transformers' own `generate`."""

    info = ModelInfo("serial")

    def __init__(self, model: LocalModel) -> None:
        self.model = model

    def converse(self, conversations: Iterable[Conversation]) -> None:
        for conversation in conversations:
            while (request := conversation.request()) is not None:
                conversation.receive(self._generate(request), 0.0)

    @torch.inference_mode()
    def _generate(self, request: Request) -> Completion:
        codec, network, views = self.model.codec, self.model.network, views_in(request.messages)
        ids = torch.tensor([codec.ids(codec.text(request), views)])
        patches = codec.patches([request.pixels[view] for view in views])
        out = network.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=(ids == codec.image_token).int(),
            do_sample=False,
            max_new_tokens=request.sampling.tokens,
            **{name: torch.from_numpy(array) for name, array in patches.items()},
        )
        said = [token for token in out[0, ids.shape[1] :].tolist() if token not in self.model.engine.bundle.ends]
        return Completion(codec.decode(said), len(said) + 1)


def main(questions: int = QUESTIONS) -> None:
    asked = [(sample.question, sample.load()) for sample in samples("validation", 7, questions, SIDE)]
    model = LocalModel.load("nano", device="cpu", batch=BATCH)
    run_many(model, asked[:2], SETTING)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    engine = LocalModel.load("nano", device="cpu", batch=BATCH)
    batched, fast = _timed(engine, asked)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    serial, slow = _timed(Serial(model), asked)
    same = np.mean([_said(a) == _said(b) for a, b in zip(batched, serial, strict=True)])
    usage = engine.usage
    print(f"serial   {questions / slow:.2f} questions a second")
    print(f"engine   {questions / fast:.2f} questions a second, batch {BATCH}: {slow / fast:.1f} times as many")
    print(f"same answers {same:.3f}")
    print(f"tokens read / distinct {usage.prefilled / _distinct(batched):.3f}")
    print(f"pictures encoded / distinct {usage.images / _pictures(batched):.3f}")
    print(f"peak memory {after:.0f} MB, of it {after - before:.0f} MB for {BATCH} conversations at once")
    alone, beside, large = _beside_a_large_picture(model, *asked[0])
    print(
        f"a question alone {alone:.2f} s, beside an overview of 48 megapixels {beside:.2f} s; the overview's {large:.2f} s"
    )


def _timed(model: LocalModel | Serial, asked: list[tuple[Question, Image.Image]]) -> tuple[list[Trace], float]:
    began = time.perf_counter()
    traces = run_many(model, asked, SETTING)
    return traces, time.perf_counter() - began


def _beside_a_large_picture(model: LocalModel, question: Question, picture: Image.Image) -> tuple[float, float, float]:
    """Seconds until a question ends alone, and beside one whose overview takes long to render; then those of that one."""
    large = Picture(picture.resize(LARGE))
    (alone,) = _ends(model, question, [Picture(picture)])
    last, beside = _ends(model, question, [large, Picture(picture)])
    return alone, beside, last


def _ends(model: LocalModel, question: Question, pictures: Sequence[Picture]) -> list[float]:
    """Seconds until the question about each picture ends, all asked together."""
    began, ends = time.perf_counter(), dict[int, float]()

    def end(number: int, _: Trace) -> None:
        ends[number] = time.perf_counter() - began

    model.converse(Session("nano", question, (each,), SETTING, partial(end, n)) for n, each in enumerate(pictures))
    return [ends[number] for number in range(len(pictures))]


def _said(trace: Trace) -> list[str]:
    return [turn.completion.text for turn in trace.turns]


def _distinct(traces: list[Trace]) -> int:
    """Tokens that were given and not sampled, each once."""
    sampled = sum(turn.completion.tokens - 1 for trace in traces for turn in trace.turns[:-1])
    return sum(trace.turns[-1].completion.prompt_tokens for trace in traces) - sampled


def _pictures(traces: list[Trace]) -> int:
    return sum(1 + len({*trace.views}) for trace in traces)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
