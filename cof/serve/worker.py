"""The model worker of a server: sessions join the model's batch at any time, report every turn, and can be cancelled.

The model runs in a thread of its own for as long as the worker is open.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from cof.errors import ModelError
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Conversation, Model
from cof.trace import Trace
from cof.types import Completion, Question
from cof.vision.views import Picture


class StreamingSession(Session):
    """A session that reports its turns. `on_turn` is called after every turn, in the model's thread, with the trace and whether
    that turn was the last."""

    def __init__(
        self,
        model: str,
        question: Question,
        pictures: Sequence[Picture],
        setting: Setting,
        on_turn: Callable[[Trace, bool], None],
    ) -> None:
        super().__init__(model, question, pictures, setting)
        self.on_turn = on_turn

    def receive(self, completion: Completion | ModelError, seconds: float) -> None:
        if not self.cancelled:
            super().receive(completion, seconds)
            self.on_turn(self.trace, self.ended)


class ModelWorker:
    """Queues sessions for `model`, which takes them as it has room. It is a `ConversationQueue`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._queue, self._taken = deque[StreamingSession](), list[StreamingSession]()
        self._changed, self._closed = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        return sum(not (one.ended or one.cancelled) for one in self._taken)

    def ask(self, session: StreamingSession) -> None:
        """Let a session join; where the worker is closed, it is dropped."""
        with self._changed:
            if self._closed:
                session.cancel()
            self._queue.append(session)
            self._changed.notify_all()

    def cancel(self, session: StreamingSession) -> None:
        """Drop a session whose answer is not wanted any more: the model stops at its next token."""
        with self._changed:
            session.cancel()
            self._queue = deque(one for one in self._queue if one is not session)
            self._taken = [one for one in self._taken if one is not session]

    def close(self) -> None:
        """Take no more, and drop what is under way."""
        with self._changed:
            self._closed = True
            for one in (*self._queue, *self._taken):
                one.cancel()
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join()

    def __iter__(self) -> Iterator[Conversation]:
        while self.wait():
            if (one := self.poll()) is not None:
                yield one

    def poll(self) -> Conversation | None:
        with self._changed:
            if not self._queue:
                return None
            self._taken = [one for one in self._taken if not (one.ended or one.cancelled)]
            self._taken.append(self._queue.popleft())
            return self._taken[-1]

    def wait(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return not self._closed

    def _work(self) -> None:
        """Serve until closed. Where the model itself breaks, the sessions under way receive a ModelError, and it goes on with
        the next."""
        while not self._closed:
            try:
                self.model.converse(self)
            except Exception as error:
                for one in self._taken:
                    if not (one.ended or one.cancelled):
                        one.receive(ModelError(f"the model broke off: {type(error).__name__}"), 0.0)
