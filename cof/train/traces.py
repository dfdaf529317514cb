"""Supervised conversations from a file of traces: about any pictures, or about needle scenes with all that is known of them.

Only runs that ended by themselves with an answer, the right one where the truth is known, in the modes "focus" and
"direct", are learnt from.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.data import sequences
from cof.data.admission import admit
from cof.data.pictures import picture_in
from cof.data.sequences import dialogue_of
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InvalidConfig
from cof.needle.questions import needles
from cof.needle.samples import scene_named
from cof.plain import trace_from_json
from cof.runs import read_records
from cof.scoring.traces import score_trace
from cof.train.scenes import Taught, meant_by, pixel_tensors
from cof.types import Stop, Trace, View, ViewSpec
from cof.vision import views


@dataclass(frozen=True)
class TraceLessons:
    """`rows` traces a step from a JSONL file of traces, every epoch in an order of its own. Pictures are files, or needle
    scenes. Raises InvalidConfig where there are none to learn from, or one has other view rules than `spec` or is not
    admitted to training in `dialect`.
    """

    tokenizer: PreTrainedTokenizerBase
    processor: Qwen2VLImageProcessorPil
    spec: ViewSpec
    file: Path
    seed: int
    rows: int
    dialect: Dialect = COF

    def __call__(self, steps: list[dict[str, int]]) -> dict[str, Any]:
        traces = self.traces
        order = [_at(self.seed, steps[0]["step"] * self.rows + i, len(traces)) for i in range(self.rows)]
        chosen = [traces[i] for i in order]
        rows = [sequences.row([dialogue_of(trace, self.dialect)], self.tokenizer, self.spec.factor) for trace in chosen]
        pictures = [picture_in(trace) for trace in chosen]
        pixels = self.processor(
            [
                views.render(picture, view, trace.overview, trace.spec)
                for picture, trace, row in zip(pictures, chosen, rows, strict=True)
                for view in row.views
            ]
        )
        return sequences.collate(rows, int(self.tokenizer.pad_token_id)) | pixel_tensors(pixels)

    @functools.cached_property
    def traces(self) -> list[Trace]:
        return _read(self.file, self.spec, self.dialect)


@dataclass(frozen=True)
class SceneTraces:
    """Teaches what a file of traces about needle scenes holds, in the dialect "cof", `scenes` scenes a step, every epoch in an
    order of its own.

    Traces about the same overview are branches of one row, at most `questions` of them. Raises InvalidConfig where there
    are none to learn from, or one is about another picture, or is not admitted to training.
    """

    file: Path
    spec: ViewSpec
    seed: int
    scenes: int
    questions: int

    def teach(self, step: int, rng: np.random.Generator) -> list[Taught]:
        groups = self.groups
        return [
            self._taught(groups[_at(self.seed, step * self.scenes + i, len(groups))], rng) for i in range(self.scenes)
        ]

    @functools.cached_property
    def groups(self) -> list[list[Trace]]:
        """Traces about one overview each."""
        found = dict[tuple[str, View], list[Trace]]()
        for trace in _read(self.file, self.spec, COF):
            named = scene_named(trace.question.image)
            if named is None or all(trace.question.text != needle.text for needle in needles(named[0])):
                about = f"{trace.question.text!r} about {trace.question.image!r}"
                raise InvalidConfig(
                    f"trace {trace.id} asks {about}; want a question about a needle scene, or no [dense]"
                )
            found.setdefault((trace.question.image, trace.overview), []).append(trace)
        return list(found.values())

    def _taught(self, traces: list[Trace], rng: np.random.Generator) -> Taught:
        named = scene_named(traces[0].question.image)
        assert named is not None
        (scene, side), first = named, traces[0].overview
        chosen = [traces[i] for i in rng.permutation(len(traces))[: self.questions]]
        asked = {needle.text: needle for needle in needles(scene)}
        meant = tuple(meant_by(asked[trace.question.text], side, first) for trace in chosen)
        return Taught(tuple(dialogue_of(trace, COF) for trace in chosen), scene, side, first, meant)


def _read(file: Path, spec: ViewSpec, dialect: Dialect) -> list[Trace]:
    read = read_records(file) if file.is_file() else ()
    found = [trace for record in read if _exemplary(trace := trace_from_json(record.get("trace", record)))]
    if not found:
        want = "want a JSONL file of traces that ended with an answer, as cof data build leaves it"
        raise InvalidConfig(f"traces = {str(file)!r} holds no traces to learn from; {want}")
    admit(found, dialect)
    _check_spec(found, spec)
    return found


def _check_spec(traces: list[Trace], spec: ViewSpec) -> None:
    """Overviews may have any size, all else must be as the recipe says."""

    def rules(each: ViewSpec) -> ViewSpec:
        return replace(each, min_pixels=0, max_pixels=0)

    if other := next((trace for trace in traces if rules(trace.spec) != rules(spec)), None):
        raise InvalidConfig(f"trace {other.id} was made with {other.spec}; want the recipe's [spec], {spec}")


def _at(seed: int, index: int, count: int) -> int:
    """Which of `count` comes at `index`, when every epoch goes through all in an order of its own."""
    epoch, place = divmod(index, count)
    return int(np.random.default_rng([seed, epoch]).permutation(count)[place])


def _exemplary(trace: Trace) -> bool:
    by_itself = trace.stop is Stop.ANSWER and trace.mode in ("focus", "direct")
    return by_itself and score_trace(trace).right is not False
