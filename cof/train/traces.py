"""Supervised conversations from a file of traces, about any pictures.

Only runs that ended by themselves with an answer, the right one where the truth is known, by the policies own and
direct, are learnt from.
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
from cof.data.pictures import pictures_in
from cof.data.sequences import dialogue_of, pixel_tensors
from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.geometry import ViewSpec
from cof.loop.policies.known import DIRECT, OWN
from cof.models.local.model import Card
from cof.plain import trace_from_json
from cof.runs import read_records
from cof.scoring.traces import score_trace
from cof.trace import Trace
from cof.train.recipes import SupervisedConfig
from cof.train.sft import Supervised
from cof.types import Stop
from cof.vision import views


@dataclass(frozen=True)
class TraceLessons:
    """`rows` traces per step from a JSONL file of traces, every epoch in an order of its own. Pictures are files, or a
    world's. Raises InvalidConfig where there are none to learn from, or one has other view rules than `spec` or is not
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
        order = [nth(self.seed, steps[0]["step"] * self.rows + i, len(traces)) for i in range(self.rows)]
        chosen = [traces[i] for i in order]
        rows = [sequences.row([dialogue_of(trace, self.dialect)], self.tokenizer, self.spec.factor) for trace in chosen]
        pictures = [pictures_in(trace) for trace in chosen]
        pixels = self.processor(
            [
                views.render(each[view.picture], view, trace.overview_of(view.region), trace.spec)
                for each, trace, row in zip(pictures, chosen, rows, strict=True)
                for view in row.views
            ]
        )
        return sequences.collate(rows, int(self.tokenizer.pad_token_id)) | pixel_tensors(pixels)

    @functools.cached_property
    def traces(self) -> list[Trace]:
        return read_traces(self.file, self.spec, self.dialect)


def supervise(config: SupervisedConfig, tokenizer: Any, processor: Any) -> Supervised:
    """What a recipe of supervision learns from where a file of traces makes its examples; the file is read at once."""
    file, dialect = Path(config.traces), dialect_of(config.dialect)
    lessons = TraceLessons(tokenizer, processor, config.spec, file, config.seed, config.rows, dialect)
    lessons.traces  # noqa: B018
    return Supervised(lessons, Card(config.spec))


def read_traces(file: Path, spec: ViewSpec, dialect: Dialect) -> list[Trace]:
    """The traces of a file that can be learnt from. Raises InvalidConfig where there is none, or one is not admitted."""
    read = read_records(file) if file.is_file() else ()
    found = [trace for record in read if _exemplary(trace := trace_from_json(record.get("trace", record)))]
    if not found:
        want = "want a JSONL file of traces that ended with an answer, as cof data build leaves it"
        raise InvalidConfig(f"traces = {str(file)!r} holds no traces to learn from; {want}")
    admit(found, dialect)
    _check_spec(found, spec)
    return found


def _check_spec(traces: list[Trace], spec: ViewSpec) -> None:
    """Overviews may have any size, all else must be as in the recipe."""

    def rules(each: ViewSpec) -> ViewSpec:
        return replace(each, min_pixels=0, max_pixels=0)

    if other := next((trace for trace in traces if rules(trace.spec) != rules(spec)), None):
        raise InvalidConfig(f"trace {other.id} was made with {other.spec}; want the recipe's [spec], {spec}")


def nth(seed: int, index: int, count: int) -> int:
    """Which of `count` comes at `index`, when every epoch goes through all in an order of its own."""
    epoch, place = divmod(index, count)
    return int(np.random.default_rng([seed, epoch]).permutation(count)[place])


def _exemplary(trace: Trace) -> bool:
    by_itself = trace.stop is Stop.ANSWER and trace.policy in (OWN, DIRECT)
    return by_itself and score_trace(trace).right is not False
