"""An assistant turn as a sequence of spans: thoughts, calls, answers and the words around them. In linear time, for any text.

Owns where a span begins and ends, and nothing of what it means. A thinking model's chat template may have opened the thought
already: then only its closing tag comes, and all before that is thought, calls and answers included. Common tags of thoughts
are read in every family, whatever its own are.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cof.errors import InvalidConfig

if TYPE_CHECKING:
    from cof.dialects.dialect import Dialect

SAID = "…"
BRACE = "}"  # closes an answer such as \boxed{…}; too common to be a tag of its own
THOUGHTS = (  # read in every family; the last three are those of Kimi, Seed and Magistral
    "<think>…</think>",
    "<thinking>…</thinking>",
    "<|channel>thought…<channel|>",
    "◁think▷…◁/think▷",
    "<seed:think>…</seed:think>",
    "[THINK]…[/THINK]",
)
GEMMA_CALL = "<|tool_call>…<tool_call|>"  # also read wherever calls have names
NAMED_SHAPES = ("tool", "xml", "pairs")


@dataclass(frozen=True)
class Tags:
    """The texts before and after a part of a turn."""

    open: str
    close: str

    @classmethod
    @functools.cache
    def of(cls, pattern: str) -> Tags:
        """The tags of a pattern such as `<think>…</think>`. Raises InvalidConfig where it has no single `…`."""
        if pattern.count(SAID) != 1:
            raise InvalidConfig(
                f"pattern {pattern!r} has {pattern.count(SAID)} of {SAID}; want one, where the text stands"
            )
        before, _, after = pattern.partition(SAID)
        return cls(before, after)

    def around(self, text: str) -> str:
        """`text` between the tags."""
        return self.open + text + self.close


Kind = Literal["thought", "call", "answer", "words"]


@dataclass(frozen=True)
class Span:
    """A part of a turn: `text` between `tags`. `at`: characters of the turn before its opening tag. `closed`: whether its
    closing tag is there."""

    kind: Kind
    text: str
    at: int
    tags: Tags
    closed: bool = True


BARE = Tags("", "")


def spans(dialect: Dialect, text: str) -> list[Span]:
    """The spans of a turn in order, without empty words. Only the last thought may be open."""
    return _Scan(dialect, text).spans()


@functools.cache
def grammar(dialect: Dialect) -> dict[str, tuple[Kind, Tags]]:
    """Every span's opening tag, with its kind."""
    calls = (dialect.call, GEMMA_CALL) if dialect.shape in NAMED_SHAPES else (dialect.call,)
    answers = [pattern for pattern in dialect.answers if pattern != SAID]
    kinds: list[tuple[Kind, Sequence[str]]] = [
        ("thought", THOUGHTS),
        ("thought", dialect.thoughts),
        ("answer", answers),
        ("call", calls),
    ]
    return {Tags.of(pattern).open: (kind, Tags.of(pattern)) for kind, patterns in kinds for pattern in patterns}


@functools.cache
def _marks(dialect: Dialect) -> re.Pattern[str]:
    """Any tag; of two that begin alike the longer one."""
    found = {tag for _, tags in grammar(dialect).values() for tag in (tags.open, tags.close)} - {"", BRACE}
    return re.compile("|".join(re.escape(tag) for tag in sorted(found, key=len, reverse=True)))


class _Scan:
    """The tags of one turn by place, and a place that moves on."""

    def __init__(self, dialect: Dialect, text: str) -> None:
        self.text, self.opens = text, grammar(dialect)
        self.marks = [(found.start(), found[0]) for found in _marks(dialect).finditer(text)]
        self.places: dict[str, list[int]] = {}
        for at, tag in self.marks:
            self.places.setdefault(tag, []).append(at)
        self.thought_ends = {tags.close for kind, tags in self.opens.values() if kind == "thought"}
        self.ended = {at: len(tag) for tag in self.thought_ends for at in self.places.get(tag, ())}
        self.ends, self.last = sorted(self.ended), len(text.rstrip())
        self.starts = sorted(at for tag in self.opens for at in self.places.get(tag, ()))
        self.braces = _closing_braces(text) if any(tags.close == BRACE for _, tags in self.opens.values()) else {}
        self.found, self.words_from = list[Span](), 0
        self.since = 0  # how many of the spans are a thought or come before one

    def spans(self) -> list[Span]:
        at = 0
        for start, tag in self.marks:
            if start < at:
                continue
            if tag in self.opens and (span := self._span(start, *self.opens[tag])):
                self._words(start)
                self.found.append(span)
                self.since = len(self.found) if span.kind == "thought" else self.since
                at = self.words_from = end_of(span)
            elif tag in self.thought_ends:
                self._end_thought(start, tag)
                at = start + len(tag)
        self._words(len(self.text))
        return self.found

    def _span(self, start: int, kind: Kind, tags: Tags) -> Span | None:
        """The span that opens at `start`; None where its tag is only mentioned in a thought."""
        begin = start + len(tags.open)
        end = self._close(begin, tags)
        if kind == "thought":
            if end is None and (end := self._next(self.places[tags.open], begin)) is not None:
                tags = Tags(tags.open, tags.open)  # some prompts ask for <think>… <think>
            return Span(kind, self.text[begin:end], start, tags, end is not None)
        if self._in_thought(begin, end, tags):
            return None
        again = self._next(self.places[tags.open], begin) if kind == "call" else None
        if end is not None and (again is None or again > end):
            return Span(kind, self.text[begin:end], start, tags)
        last = None if kind == "answer" and tags.close != BRACE else self._next(self.starts, begin)
        return Span(kind, self.text[begin:last], start, tags, closed=False)

    def _close(self, begin: int, tags: Tags) -> int | None:
        """Where what begins there is closed, None if nowhere."""
        if tags.close == BRACE:
            return self.braces.get(begin - 1)
        return self._next(self.places.get(tags.close, ()), begin) if tags.close else len(self.text)

    def _in_thought(self, begin: int, end: int | None, tags: Tags) -> bool:
        """Whether a thought ends between there and `end`, and the span begins anew after it."""
        over = self._next(self.ends, begin)
        if over is None or (end is not None and over >= end):
            return False
        if end is None:
            return over + self.ended[over] < self.last
        opened = self.places[tags.open]
        return opened[bisect_left(opened, end) - 1] > over

    def _end_thought(self, start: int, tag: str) -> None:
        """A closing tag without an opening one: the template opened this thought, or the thought mentions its own tag."""
        if self.since and len(self.found) > self.since:  # something was done after a thought
            return
        begin = end_of(self.found[self.since - 1]) if self.since else 0
        self.found[self.since :] = [Span("thought", self.text[begin:start], begin, Tags("", tag))]
        self.since, self.words_from = len(self.found), start + len(tag)

    def _words(self, end: int) -> None:
        if said := self.text[self.words_from : end].strip():
            self.found.append(Span("words", said, self.words_from, BARE))
        self.words_from = end

    @staticmethod
    def _next(places: Sequence[int], at: int) -> int | None:
        place = bisect_left(places, at)
        return places[place] if place < len(places) else None


def _closing_braces(text: str) -> dict[int, int]:
    """Where each brace is closed, by where it is opened."""
    opened, closed = list[int](), dict[int, int]()
    for found in re.finditer(r"[{}]", text):
        if found[0] == "{":
            opened.append(found.start())
        elif opened:
            closed[opened.pop()] = found.start()
    return closed


def end_of(span: Span) -> int:
    """The place after a span and its closing tag."""
    return span.at + len(span.tags.open) + len(span.text) + (len(span.tags.close) if span.closed else 0)


def last_within(text: str, tags: Tags) -> str | None:
    """The text in the last of several answers such as \\boxed{…}; None where there is none."""
    place = text.rfind(tags.open)
    begin = place + len(tags.open)
    return None if place < 0 else text[begin : _closing_braces(text).get(begin - 1)]
