"""Rollouts: sessions of the focus loop with the model in training, kept in its own tokens.

The environment is the loop itself (`loop.session.Session`), one for every rollout: nested zooms, bad boxes and malformed turns
are answered there as anywhere. What is learnt from is what the engine read and sampled, token by token; nothing is tokenised
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cof.data.example import Example
from cof.dialects.cof import COF
from cof.geometry import Shown
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Model, Request
from cof.models.encoding import Codec
from cof.trace import Trace
from cof.types import Question, Transcript
from cof.vision.views import Picture


@dataclass(frozen=True)
class Episode:
    """One rollout. `ids`, which of them the model `sampled` and with which `logprobs` (0 elsewhere) are (tokens,) each.

    The first `prompt` tokens are the question, with the overview; they are the same for all rollouts of it. A rollout whose
    model failed has the tokens of its turns before, or none.
    """

    trace: Trace
    pictures: Sequence[Picture]
    ids: np.ndarray
    sampled: np.ndarray
    logprobs: np.ndarray
    prompt: int

    @property
    def views(self) -> tuple[Shown, ...]:
        """The pictures among the tokens, in order: the observations of the last turn were never read."""
        turns = self.trace.turns[:-1]
        return *self.trace.overviews, *(view for turn in turns for view in turn.views)


def play(model: Model, asked: Sequence[tuple[Example, int]], setting: Setting) -> list[Episode]:
    """One rollout for each example and seed, in order."""
    sessions = [
        Session(model.info.name, example.question, example.pictures, _setting(setting, example, seed))
        for example, seed in asked
    ]
    model.converse(sessions)
    return [episode(session.trace, session.pictures) for session in sessions]


def episode(trace: Trace, pictures: Sequence[Picture]) -> Episode:
    """A trace that was run with transcripts, as tokens. Where a turn was not read back as it was sampled, the rest of its
    tokens count as given."""
    told = [turn.completion.transcript for turn in trace.turns if turn.completion.transcript]
    ids = np.array([*told[-1].prompt, *told[-1].sampled] if told else [], np.int64)
    sampled, logprobs = np.zeros(len(ids), bool), np.zeros(len(ids), np.float32)
    for turn in told:
        part = slice(len(turn.prompt), len(turn.prompt) + _kept(turn, ids))
        sampled[part], logprobs[part] = True, turn.logprobs[: part.stop - part.start]
    return Episode(_bare(trace), pictures, ids, sampled, logprobs, len(told[0].prompt) if told else 0)


def silent(other: Episode, codec: Codec) -> Episode:
    """A rollout of one token of padding about another's picture: for a pass from which nothing is learnt."""
    trace = replace(other.trace, turns=(), error=None)
    asked = Request(COF.messages(Question("", ("",), "?"), trace.overviews), {}, trace.sampling)
    ids = np.array([*codec.ids(codec.text(asked), trace.overviews), codec.pad], np.int64)
    sampled = np.arange(len(ids)) == len(ids) - 1
    return Episode(trace, other.pictures, ids, sampled, np.zeros(len(ids), np.float32), len(ids) - 1)


def _setting(setting: Setting, example: Example, seed: int) -> Setting:
    return replace(setting, spec=example.spec, sampling=replace(setting.sampling, seed=seed), transcript=True)


def _kept(turn: Transcript, ids: np.ndarray) -> int:
    """How many of the turn's tokens stand in the conversation as they were sampled."""
    start = len(turn.prompt)
    same = np.asarray(turn.sampled)[: len(ids) - start] == ids[start : start + len(turn.sampled)]
    return len(same) if same.all() else int(np.argmin(same))


def _bare(trace: Trace) -> Trace:
    """The trace without its tokens."""
    turns = (replace(turn, completion=replace(turn.completion, transcript=None)) for turn in trace.turns)
    return replace(trace, turns=tuple(turns))
