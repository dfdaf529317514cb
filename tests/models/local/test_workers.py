"""Prompts are rendered and tokenised beside the batch: a picture that takes long holds up its own conversation alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from PIL import Image

from cof.errors import InvalidImage
from cof.geometry import Shown, ViewSpec
from cof.loop.policies.known import policy_named
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.local.model import LocalModel
from cof.needle.samples import samples
from cof.serve.worker import ModelWorker, StreamingSession
from cof.trace import Trace
from cof.types import Sampling, Stop
from cof.vision.views import Picture
from tests.patience import PATIENCE

SAMPLES = list(samples("validation", 7, 3, 448))
SETTING = Setting(sampling=Sampling(tokens=100), policy=policy_named("direct"))


class Blocking(Picture):
    """A picture whose first rendering begins, and goes on when it is `released`."""

    def __init__(self, image: Image.Image) -> None:
        super().__init__(image)
        self.began, self.released = threading.Event(), threading.Event()

    def show(self, view: Shown, first: Shown, spec: ViewSpec) -> Image.Image:
        self.began.set()
        assert self.released.wait(PATIENCE)
        return super().show(view, first, spec)


class Torn(Picture):
    def show(self, *_: object) -> Image.Image:
        raise InvalidImage("the picture is torn")


@pytest.fixture(params=[1, 2], ids=["one-batch", "two-batches"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@contextmanager
def blocking() -> Iterator[Blocking]:
    """A picture that blocks until the end of the block at the latest, so that a test that fails ends."""
    picture = Blocking(SAMPLES[0].load())
    try:
        yield picture
    finally:
        picture.released.set()


@pytest.mark.usefixtures("threads")
def test_while_a_picture_is_rendered_other_conversations_start_and_end() -> None:
    model, ended, others = LocalModel.load("nano", device="cpu", batch=2), list[Trace](), threading.Semaphore(0)

    def on_end(trace: Trace) -> None:
        ended.append(trace)
        others.release()

    with blocking() as slow:
        pictures = [slow, *(Picture(sample.load()) for sample in SAMPLES[1:])]
        asked = [
            Session("m", sample.question, (picture,), SETTING, on_end)
            for sample, picture in zip(SAMPLES, pictures, strict=True)
        ]
        running = threading.Thread(target=model.converse, args=(iter(asked),))
        running.start()
        assert slow.began.wait(PATIENCE)
        assert others.acquire(timeout=PATIENCE / 4)
        assert others.acquire(timeout=PATIENCE / 4)
        assert [trace.question for trace in ended] == [sample.question for sample in SAMPLES[1:]]
        slow.released.set()
        running.join(PATIENCE)
    assert [session.trace.stop for session in asked] == [Stop.ANSWER] * 3
    assert len(ended) == 3


@pytest.mark.usefixtures("threads")
def test_a_conversation_that_comes_while_a_picture_is_rendered_is_answered() -> None:
    worker, ended = ModelWorker(LocalModel.load("nano", device="cpu", batch=4)), [threading.Event() for _ in range(2)]
    try:
        with blocking() as slow:
            for sample, picture, end in zip(SAMPLES, (slow, Picture(SAMPLES[1].load())), ended, strict=False):
                worker.ask(
                    StreamingSession(
                        "m",
                        sample.question,
                        (picture,),
                        SETTING,
                        lambda _, last, end=end: last and end.set(),  # type: ignore[misc]
                    )
                )
                assert slow.began.wait(PATIENCE)
            assert ended[1].wait(PATIENCE / 4)
            assert not ended[0].is_set()
            slow.released.set()
            assert ended[0].wait(PATIENCE)
    finally:
        worker.close()


@pytest.mark.usefixtures("threads")
def test_a_conversation_that_is_cancelled_while_its_picture_is_rendered_leaves_its_place() -> None:
    worker, ended = ModelWorker(LocalModel.load("nano", device="cpu", batch=1)), threading.Event()
    try:
        with blocking() as slow:
            first = StreamingSession("m", SAMPLES[0].question, (slow,), SETTING, lambda _, __: None)
            worker.ask(first)
            assert slow.began.wait(PATIENCE)
            worker.cancel(first)
            picture = Picture(SAMPLES[1].load())
            worker.ask(
                StreamingSession("m", SAMPLES[1].question, (picture,), SETTING, lambda _, last: last and ended.set())  # type: ignore[arg-type, func-returns-value]
            )
            assert ended.wait(PATIENCE / 4)
            assert first.trace.turns == ()
    finally:
        worker.close()


def test_a_request_renders_nothing() -> None:
    with blocking() as slow:
        session = Session("m", SAMPLES[0].question, (slow,), SETTING)
        request = session.request()
        assert request is not None
        assert not slow.began.is_set()
        assert list(request.pixels) == [session.trace.overview]
        slow.released.set()
        assert request.pixels[session.trace.overview].size == session.trace.overview.size
        assert request.pixels[session.trace.overview] is request.pixels[session.trace.overview]


def test_a_picture_that_cannot_be_rendered_ends_the_run_with_its_error() -> None:
    torn = Session("m", SAMPLES[0].question, (Torn(SAMPLES[0].load()),), SETTING)
    with pytest.raises(InvalidImage, match="torn"):
        LocalModel.load("nano", device="cpu", batch=2).converse([torn])
