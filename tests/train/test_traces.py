"""Lessons from a file of traces: what is trained on is what was said, and pictures are shown as they were in the run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from cof.data.sequences import IGNORE
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig
from cof.geometry import Box, ViewSpec
from cof.loop.policies.known import policy_named
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.plain import to_json
from cof.tools.zoom import zooms
from cof.train.recipes import SupervisedConfig
from cof.train.sft import supervised_by
from cof.train.traces import TraceLessons
from cof.types import Answer, Limits, Question, Stop
from cof.vision import views
from cof.vision.load import load
from tests.tiny import FAMILIES, write_checkpoint

SPEC = ViewSpec(max_pixels=168 * 112, zoom_min_pixels=56 * 56, zoom_max_pixels=84 * 84)
LOOK = (
    '<think>Closer.</think><tool_call>{"name": "image_zoom_in_tool", "arguments": '
    '{"bbox_2d": [10, 10, 66, 66], "label": "it"}}</tool_call>'
)
SAID = [[LOOK, "<think>I see.</think><answer>B</answer>"], ["<answer>red</answer>"]]


def write_traces(folder: Path, truth: str | None = None) -> Path:
    """A file of two traces, about pictures in the same folder: one zoom and an answer, and an answer at once."""
    lines = []
    for n, said in enumerate(SAID):
        place = folder / f"{n}.png"
        shades = np.random.default_rng(n).integers(0, 256, (224, 336, 3), dtype=np.uint8)
        Image.fromarray(shades).save(place)
        trace = run(
            ScriptedModel(said), Question(str(n), (str(place),), "Which one?", answer=truth), load(place), Setting(SPEC)
        )
        lines.append(json.dumps({"id": str(n), "trace": to_json(trace)}) + "\n")
    (folder / "traces.jsonl").write_text("".join(lines))
    return folder / "traces.jsonl"


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> TraceLessons:
    folder = tmp_path_factory.mktemp("traces")
    checkpoint = write_checkpoint("qwen2_5_vl", folder / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    processor = Qwen2VLImageProcessorPil.from_pretrained(checkpoint, do_resize=False)
    return TraceLessons(tokenizer, processor, SPEC, write_traces(folder), 0, 2)


def test_the_loss_falls_on_what_the_model_said(lessons: TraceLessons) -> None:
    batch = lessons([{"step": 0}])
    trained = {lessons.tokenizer.decode(row[row != IGNORE]) for row in batch["labels"]}
    assert trained == {"<|im_end|>".join([*turns, ""]) for turns in SAID}


def test_the_pixels_are_those_of_the_run(lessons: TraceLessons) -> None:
    """Three views: two overviews of 6 x 4 tokens and a zoom; a token is 2 x 2 patches."""
    batch = lessons([{"step": 0}])
    sizes = sorted(tuple(grid) for grid in batch["image_grid_thw"].tolist())
    assert sizes.count((1, 8, 12)) == 2
    assert len(sizes) == 3
    placeholder = lessons.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert int((batch["input_ids"] == placeholder).sum()) * 4 == len(batch["pixel_values"])


SPEAKERS = {
    "cof": "qwen2_5_vl",
    "qwen3-vl": "qwen3_vl",
    "qwen2.5-vl": "qwen2_5_vl",
    "qwen2-vl": "qwen2_vl",
    "mgpo": "qwen2_5_vl",
}


@pytest.mark.parametrize(("name", "family"), SPEAKERS.items())
def test_a_family_learns_its_own_words_and_nothing_else(name: str, family: str, tmp_path: Path) -> None:
    """One step on a tiny model; the loss falls on the assistant's texts exactly, whatever the dialect."""
    dialect, checkpoint, factor = dialect_of(name), write_checkpoint(family, tmp_path / "checkpoint"), FAMILIES[family]
    spec = ViewSpec(4 * factor**2, 24 * factor**2, 4 * factor**2, 9 * factor**2, factor)
    place, size = tmp_path / "0.png", (12 * factor, 8 * factor)
    Image.effect_noise(size, 60).convert("RGB").save(place)
    first = views.overview(size, spec)
    look, answer = zooms((Box(9, 9, 99, 99),), "sign", "Closer."), Answer("red", "So.")
    said = [dialect.write(look, (first,)), dialect.write(answer, (first,))]
    question = Question("0", (str(place),), "Which?")
    trace = run(ScriptedModel(said), question, load(place), Setting(spec, dialect=dialect))
    assert trace.zooms == 1
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps({"id": "0", "trace": to_json(trace)}) + "\n")
    processor = Qwen2VLImageProcessorPil.from_pretrained(checkpoint, do_resize=False)
    recipe = SupervisedConfig(str(checkpoint), name, traces=str(file), rows=1, spec=spec)
    source = supervised_by(recipe, AutoTokenizer.from_pretrained(checkpoint), processor).batches
    assert isinstance(source, TraceLessons)
    batch = source([{"step": 0}])
    labels, ids = batch["labels"][0], batch["input_ids"][0]
    assert source.tokenizer.decode(labels[labels != IGNORE]) == "".join(f"{text}<|im_end|>" for text in said)
    assert dialect.system in source.tokenizer.decode(ids)
    network = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype="float32")
    before = network(**batch).loss
    before.backward()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.grad is not None:
                weight -= 1e-3 * weight.grad / (weight.grad.norm() + 1e-6)
        assert network(**batch).loss < before


def mixed(lessons: TraceLessons, folder: Path, **changes: Any) -> Path:
    """The file of lessons, whose second trace is other."""
    lines = [json.loads(line) for line in lessons.file.read_text().splitlines()]
    lines[1]["trace"] |= changes
    file = folder / "mixed.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize(("name", "other"), [("cof", 1), ("qwen3-vl", 0), ("plain", 0)])
def test_a_mixture_of_dialects_is_refused(lessons: TraceLessons, tmp_path: Path, name: str, other: int) -> None:
    """Before the model is loaded: there is none of this name."""
    file = mixed(lessons, tmp_path, dialect="qwen3-vl")
    spoken = ["cof", "qwen3-vl"][other]
    with pytest.raises(InvalidConfig, match=f"trace {other} is in the dialect '{spoken}', the recipe in '{name}'"):
        supervised_by(SupervisedConfig("m", name, traces=str(file), spec=SPEC), lessons.tokenizer, lessons.processor)


def test_only_what_can_be_learnt_from_must_be_of_the_dialect(lessons: TraceLessons, tmp_path: Path) -> None:
    file = mixed(lessons, tmp_path, dialect="qwen3-vl", stop="turns")
    assert len(replace(lessons, file=file).traces) == 1


def test_a_dialect_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="there is no dialect 'klingon'; want one of"):
        SupervisedConfig("m", "klingon", traces="t.jsonl")


def test_pictures_that_were_made_smaller_are_shown_as_they_were(lessons: TraceLessons, tmp_path: Path) -> None:
    """An evaluation of resized pictures names the whole one."""
    place = tmp_path / "0.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (448, 672, 3), dtype=np.uint8)).save(place)
    small = load(place).resize((336, 224), Image.Resampling.LANCZOS)
    trace = run(ScriptedModel(SAID[0]), Question("0", (str(place),), "Which one?"), small, Setting(SPEC))
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps({"trace": to_json(trace)}) + "\n")
    shown = replace(lessons, file=file, rows=1)([{"step": 0}])["pixel_values"]
    small.save(place)
    again = replace(lessons, file=file, rows=1)([{"step": 0}])["pixel_values"]
    assert torch.equal(shown, again)


def test_every_epoch_sees_every_trace_once(lessons: TraceLessons) -> None:
    one = TraceLessons(lessons.tokenizer, lessons.processor, SPEC, lessons.file, 0, 1)
    for epoch in range(4):
        lengths = [one([{"step": 2 * epoch + n}])["input_ids"].shape[1] for n in range(2)]
        assert len(set(lengths)) == 2


def test_a_file_without_traces_is_one_clear_line(lessons: TraceLessons, tmp_path: Path) -> None:
    empty = TraceLessons(lessons.tokenizer, lessons.processor, SPEC, tmp_path / "none.jsonl", 0, 1)
    with pytest.raises(InvalidConfig, match="holds no traces to learn from; want a JSONL file"):
        empty([{"step": 0}])


def test_traces_of_other_view_rules_are_refused(lessons: TraceLessons) -> None:
    other = TraceLessons(lessons.tokenizer, lessons.processor, replace(SPEC, grow=2.0), lessons.file, 0, 1)
    with pytest.raises(InvalidConfig, match=r"want the recipe's \[spec\]"):
        other([{"step": 0}])


def test_only_runs_that_ended_well_are_learnt_from(lessons: TraceLessons, tmp_path: Path) -> None:
    """A wrong answer, one given at a limit, a failure and a forced zoom are left out; a direct answer is told as asked."""
    place, truth = tmp_path / "0.png", "red"
    Image.new("RGB", (336, 224)).save(place)
    traces: list[Any] = []
    for said, setting in (
        (["<answer>blue</answer>"], Setting(SPEC)),
        ([LOOK, "<answer>red</answer>"], Setting(SPEC, Limits(zooms=0))),
        ([LOOK, "<answer>red</answer>"], Setting(SPEC, policy=policy_named("always"))),
        (["<answer>red</answer>"], Setting(SPEC, policy=policy_named("direct"))),
    ):
        question = Question(str(len(traces)), (str(place),), "Which one?", answer=truth)
        traces.append(run(ScriptedModel(said), question, load(place), setting))
    traces.append(replace(traces[0], id="4", turns=(), stop=Stop.FAILED))
    file = tmp_path / "mixed.jsonl"
    file.write_text("".join(json.dumps({"id": trace.id, "trace": to_json(trace)}) + "\n" for trace in traces))
    mixed = TraceLessons(lessons.tokenizer, lessons.processor, SPEC, file, 0, 1)
    for step in range(3):
        told = lessons.tokenizer.decode(mixed([{"step": step}])["input_ids"][0])
        assert COF.answer_now in told
