"""Several endpoints that have the same model. A conversation stays at one, whose prefix cache knows it, until that one fails.

New conversations go where the fewest are under way. A replica that failed is left alone for a while: that is a preference
and no ban, so that where all failed there is still one to try.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

REST = 30.0  # seconds that a failed replica is left alone


@dataclass
class Replica:
    """One endpoint: `load` conversations are under way there, `taken` ever began; it rests until `wakes` (monotonic)."""

    url: str
    load: int = 0
    taken: int = 0
    wakes: float = 0.0


class Replicas:
    """Where conversations go. Safe to use from several threads."""

    def __init__(self, urls: Sequence[str], rest: float = REST) -> None:
        self.every, self._rest, self._lock = tuple(Replica(url) for url in urls), rest, Lock()

    def take(self) -> Replica:
        """A place for a conversation that begins; `leave` gives it back."""
        with self._lock:
            return _join(self._best(self.every))

    def leave(self, replica: Replica) -> None:
        """Give back the place of a conversation that has ended."""
        with self._lock:
            replica.load -= 1

    def worked(self, replica: Replica) -> None:
        """It answered: it rests no longer."""
        with self._lock:
            replica.wakes = 0.0

    def failed(self, replica: Replica) -> None:
        """Leave it alone for a while."""
        with self._lock:
            replica.wakes = time.monotonic() + self._rest

    def move(self, replica: Replica) -> tuple[Replica, bool]:
        """Another place for a conversation whose own failed, and whether that one is awake; its own where there is no other."""
        with self._lock:
            replica.wakes = time.monotonic() + self._rest
            others = [each for each in self.every if each is not replica]
            if not others:
                return replica, False
            replica.load -= 1
            other = _join(self._best(others))
            return other, other.wakes <= time.monotonic()

    def _best(self, among: Sequence[Replica]) -> Replica:
        now = time.monotonic()
        awake = [each for each in among if each.wakes <= now]
        if awake:
            return min(awake, key=lambda each: (each.load, each.taken))
        return min(among, key=lambda each: each.wakes)


def _join(replica: Replica) -> Replica:
    replica.load += 1
    replica.taken += 1
    return replica
