"""Batches of supervised conversations: from a file of traces, or on needle scenes made as they are needed.

Either is a collator that turns a step's number into a batch, a pure function of the seed and the step. One needle scene
gives one row: its overview once, and several questions as branches. A share of the questions carries choices, a share
must be answered at once, a share first looks at a wrong place.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.dialects import cof as dialect
from cof.dialects.base import Message
from cof.errors import InvalidConfig
from cof.focus.ask import with_budget
from cof.models.encoding import IMAGE_PAD
from cof.plain import trace_from_json
from cof.runs import read_records
from cof.scoring.answers import score
from cof.train import examples
from cof.train.demonstrations import ZOOM_OPENING, demonstrate, guess, recover, show_targets, zoom_anyway
from cof.train.examples import Talk
from cof.train.looks import Sight, Vocabulary, find_looks
from cof.train.nano import number_tokens
from cof.train.perception import first_view, show, truth_tensors
from cof.types import Box, Question, Stop, Trace, View, ViewSpec
from cof.vision import boxes, views
from cof.worlds.labels import token_labels
from cof.worlds.pictures import picture_of
from cof.worlds.questions import Needle, choices, pick
from cof.worlds.scenes import BOARD, COLOURS, KINDS, Contents, Scene, make_scene


@dataclass(frozen=True)
class Lesson:
    """What is taught until step `until`: scenes, and the weights of questions that need no zoom, one, or two.

    Pictures have one of `sides` (pixels of the longer side), overviews at most one of `budgets` (visual tokens). Of the
    conversations a share is `direct`: answered at once; `given`: shown the true places first; `forced`: made to zoom; and
    of the others `recovery` begins at a wrong place. A share of all has `choices`.
    """

    until: int
    contents: Contents = Contents()
    depths: tuple[float, ...] = (0.35, 0.35, 0.3)
    sides: tuple[int, ...] = (1792,)
    budgets: tuple[int, ...] = (256,)
    direct: float = 0.06
    given: float = 0.0
    forced: float = 0.0
    recovery: float = 0.08
    choices: float = 0.15


@dataclass(frozen=True)
class NeedleLessons:
    """A collator that turns step numbers into batches; `scenes` rows a step with at most `questions` branches each."""

    tokenizer: PreTrainedTokenizerBase
    processor: Qwen2VLImageProcessorPil
    spec: ViewSpec
    lessons: tuple[Lesson, ...]
    seed: int
    scenes: int
    questions: int

    def __call__(self, steps: list[dict[str, int]]) -> dict[str, Any]:
        step = steps[0]["step"]
        rng = np.random.default_rng([self.seed, step])
        lesson = next((each for each in self.lessons if step < each.until), self.lessons[-1])
        aspect = 1.0 if rng.uniform() < 0.8 else float(np.exp(rng.uniform(-0.5, 0.5)))
        taught: list[_Taught] = []
        for i in range(self.scenes):
            seed = (1 << 50) + (self.seed << 40) + step * self.scenes + i
            taught.append(self._row(make_scene("train", seed, lesson.contents, aspect), lesson, rng))
        rows = [each.row for each in taught]
        batch: dict[str, Any] = examples.collate(rows, int(self.tokenizer.pad_token_id), square=True)
        dense = _dense(taught, self.spec.factor)
        pixels = self.processor([show(each.scene, view, each.side, rng) for each in taught for view in each.row.views])
        return batch | _tensors(pixels) | {"dense": dense | {"looks": self._looks(taught, dense, batch)}}

    def _row(self, scene: Scene, lesson: Lesson, rng: np.random.Generator) -> _Taught:
        side, spec = int(rng.choice(lesson.sides)), with_budget(self.spec, int(rng.choice(lesson.budgets)))
        first = first_view(scene, side, spec)
        picked = pick(scene, rng, self.questions, first, side, spec, lesson.depths)
        if not picked:  # a scene of nothing but twins has no question; its neighbour in seed space has
            return self._row(make_scene("train", scene.seed + (1 << 55), lesson.contents), lesson, rng)
        told = [_conversation(needle, path, side, first, spec, lesson, rng) for needle, path in picked]
        meant = tuple(_meant(needle, side, first) for needle, _ in picked)
        return _Taught(examples.row(told, self.tokenizer, self.spec.factor), scene, side, first, meant)

    def _looks(
        self, taught: Sequence[_Taught], dense: dict[str, Any], batch: dict[str, Any]
    ) -> dict[str, torch.Tensor]:
        """`purpose`, `row` and `position` (N,) of tokens that should look at `target` (N, tokens)."""
        words, width, start = _vocabulary(self.tokenizer), batch["input_ids"].shape[1], 0
        found: list[tuple[int, int, int, np.ndarray]] = []
        for n, each in enumerate(taught):
            sizes = [view.pixels // self.spec.factor**2 for view in each.row.views]
            part = slice(start, start := start + sum(sizes))
            what, local, frame = (
                each[part].numpy() for each in (dense["classes"]["what"], dense["box"], dense["frame"])
            )
            sight = Sight(what, local, frame, np.repeat(range(len(sizes)), sizes))
            for purpose, position, mask in find_looks(each.row, sight, words, each.meant):
                found.append((purpose, n, position, np.pad(mask, (0, width - len(mask)))))
        purposes, rows, positions, targets = zip(*found, strict=True)
        return {
            "purpose": torch.tensor(purposes),
            "row": torch.tensor(rows),
            "position": torch.tensor(positions),
            "target": torch.from_numpy(np.stack(targets)),
        }


@dataclass(frozen=True)
class _Taught:
    """A row, the scene it is about at `side` pixels, and the thing that each conversation asks an attribute of (pixels of
    the overview `first`)."""

    row: examples.Row
    scene: Scene
    side: int
    first: View
    meant: tuple[Box | None, ...]


def _vocabulary(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    def ids(names: Iterable[str]) -> frozenset[int]:
        return frozenset(int(tokenizer.convert_tokens_to_ids(form)) for name in names for form in (name, f" {name}"))

    tags = (IMAGE_PAD, dialect.THINK_OPEN, dialect.ANSWER_OPEN)
    numbers = {token: n for n, token in number_tokens(tokenizer).items()}
    return Vocabulary(
        numbers, ids(KINDS), ids((BOARD,)), ids(COLOURS), *(int(tokenizer.convert_tokens_to_ids(tag)) for tag in tags)
    )


def _meant(needle: Needle, side: int, first: View) -> Box | None:
    return None if needle.attribute == "relation" else first.from_source(boxes.scale(needle.items[0].box, side, side))


@dataclass(frozen=True)
class TraceLessons:
    """`rows` traces a step from a JSONL file of traces, every epoch in an order of its own. Pictures are files, or needle
    scenes.

    Only runs that ended by themselves with an answer, the right one where the truth is known, in the modes "focus" and
    "direct", are learnt from. Raises InvalidConfig where none is left, or one has other view rules than `spec`.
    """

    tokenizer: PreTrainedTokenizerBase
    processor: Qwen2VLImageProcessorPil
    spec: ViewSpec
    file: Path
    seed: int
    rows: int

    def __call__(self, steps: list[dict[str, int]]) -> dict[str, Any]:
        traces = self.traces
        order = [self._at(steps[0]["step"] * self.rows + i, len(traces)) for i in range(self.rows)]
        chosen = [traces[i] for i in order]
        rows = [examples.row([Talk(_told(trace))], self.tokenizer, self.spec.factor) for trace in chosen]
        pictures = [picture_of(trace.question) for trace in chosen]
        pixels = self.processor(
            [
                views.render(picture, view, trace.overview, trace.spec)
                for picture, trace, row in zip(pictures, chosen, rows, strict=True)
                for view in row.views
            ]
        )
        return examples.collate(rows, int(self.tokenizer.pad_token_id)) | _tensors(pixels)

    @functools.cached_property
    def traces(self) -> list[Trace]:
        read = read_records(self.file) if self.file.is_file() else ()
        found = [trace for record in read if _exemplary(trace := trace_from_json(record.get("trace", record)))]
        if not found:
            want = "want a JSONL file of traces that ended with an answer"
            raise InvalidConfig(f"traces = {str(self.file)!r} holds no traces to learn from; {want}")
        if other := next((trace for trace in found if trace.spec != self.spec), None):
            raise InvalidConfig(f"trace {other.id} was made with {other.spec}; want the recipe's [spec], {self.spec}")
        return found

    def _at(self, index: int, count: int) -> int:
        epoch, place = divmod(index, count)
        return int(np.random.default_rng([self.seed, epoch]).permutation(count)[place])


def _exemplary(trace: Trace) -> bool:
    by_itself = trace.stop is Stop.ANSWER and trace.mode in ("focus", "direct")
    return by_itself and score(trace.question, trace.answer).value in (1.0, None)


def _told(trace: Trace) -> tuple[Message, ...]:
    return dialect.messages(trace.question, trace.overview, trace.turns, trace.mode == "direct")


def _tensors(pixels: Any) -> dict[str, torch.Tensor]:
    return {
        "pixel_values": torch.from_numpy(np.asarray(pixels["pixel_values"])).bfloat16(),
        "image_grid_thw": torch.from_numpy(np.asarray(pixels["image_grid_thw"])),
    }


def _conversation(
    needle: Needle,
    path: tuple[Box, ...],
    side: int,
    first: View,
    spec: ViewSpec,
    lesson: Lesson,
    rng: np.random.Generator,
) -> Talk:
    options = choices(needle, rng) if rng.uniform() < lesson.choices else ()
    question = Question("", "", needle.text, options)
    share = rng.uniform()
    if (share := share - lesson.direct) < 0:
        return Talk(dialect.messages(question, first, guess(needle, path, first, side), True))
    if (share := share - lesson.given) < 0:
        shown = show_targets(needle, path, first, side, spec)
        return Talk(dialect.messages(question, first, shown), len(shown) - 1)
    if share < lesson.forced:
        return Talk(dialect.messages(question, first, zoom_anyway(needle, path, first, side, spec)), 0, ZOOM_OPENING)
    right = turns = demonstrate(needle, path, first, side, spec)
    if rng.uniform() < lesson.recovery:
        turns = recover(right, first, spec, rng)
    return Talk(dialect.messages(question, first, turns), len(turns) - len(right))


def _dense(taught: Sequence[_Taught], factor: int) -> dict[str, Any]:
    """Labels of every visual token: classes, its thing's box in the view, and the same box in the overview's pixels."""
    shown = [(each, view) for each in taught for view in each.row.views]
    labels = [token_labels(each.scene, view, each.side, factor) for each, view in shown]
    frames = [_in_overview(label.box, view, each.first) for label, (each, view) in zip(labels, shown, strict=True)]
    return truth_tensors(labels) | {"frame": torch.from_numpy(np.concatenate(frames))}


def _in_overview(box: np.ndarray, view: View, first: View) -> np.ndarray:
    """(tokens, 4) pixels of `view` as pixels of the overview `first`; NaN stays NaN."""
    sx, sy = view.region.width / view.size[0], view.region.height / view.size[1]
    source = box * (sx, sy, sx, sy) + (view.region.x0, view.region.y0, view.region.x0, view.region.y0)
    fx, fy = first.size[0] / first.region.width, first.size[1] / first.region.height
    return (source * (fx, fy, fx, fy)).astype(np.float32)
