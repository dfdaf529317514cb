"""What trainers read: every picture that was shown, in order, beside the words, and the released schema read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from cof.errors import InputError
from cof.plain import trace_from_json
from cof.runs import RunDir, read_records
from cof.search.build import build, publish_kept
from cof.search.experts import Experts
from cof.search.filters import Filters
from cof.search.formats import DATASET_INFO, read_sharegpt, write_sharegpt, write_trl, write_verl
from cof.search.sources import Drawn, needle_tasks
from cof.search.trajectory import Rules
from cof.types import Answer, Trace, ViewSpec, Zoom
from cof.vision import views
from cof.vision.views import PAPER
from cof.worlds.needle import samples
from cof.worlds.pictures import picture_of

SPEC = ViewSpec()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[Trace]:
    folder = tmp_path_factory.mktemp("build")
    with RunDir(folder, {}) as run:
        build(Experts(0.0), needle_tasks(Drawn(8, sides=(896,)), SPEC), Rules(grid=4), run)
        publish_kept(run, Filters())
    return [trace_from_json(record["trace"]) for record in read_records(folder / "traces.jsonl")]


def test_a_scene_is_drawn_again_as_it_was() -> None:
    sample = next(samples("train", 3, 1, 448, SPEC))
    assert ImageChops.difference(picture_of(sample.question), sample.picture()).getbbox() is None


def test_sharegpt_holds_every_picture_as_it_was_shown(kept: list[Trace], tmp_path: Path) -> None:
    assert write_sharegpt(kept, tmp_path) == len(kept)
    rows = json.loads((tmp_path / "cof.json").read_text())
    assert json.loads((tmp_path / "dataset_info.json").read_text()) == {"cof": DATASET_INFO}
    for row, trace in zip(rows, kept, strict=True):
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["system", *["user", "assistant"] * (trace.zooms + 1)]
        said = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
        assert said == [turn.completion.text for turn in trace.turns]
        assert sum(message["content"].count("<image>") for message in row["messages"]) == len(row["images"])
        for name, view in zip(row["images"], (trace.overview, *trace.views), strict=True):
            shown = views.render(picture_of(trace.question), view, trace.overview, trace.spec)
            assert ImageChops.difference(Image.open(tmp_path / name), shown).getbbox() is None


def test_trl_takes_parts(kept: list[Trace], tmp_path: Path) -> None:
    write_trl(kept, tmp_path)
    for line in (tmp_path / "cof.jsonl").read_text().splitlines():
        row = json.loads(line)
        parts = [part for message in row["messages"] for part in message["content"]]
        assert sum(part == {"type": "image"} for part in parts) == len(row["images"])
        assert all(part.keys() == {"type", "text"} for part in parts if part["type"] == "text")


def test_verl_gets_the_first_turn_and_the_truth(kept: list[Trace], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_verl(kept, tmp_path)
    for row, trace in zip(parquet.read_table(tmp_path / "cof.parquet").to_pylist(), kept, strict=True):
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert row["reward_model"] == {"style": "rule", "ground_truth": trace.question.answer}
        assert Path(row["images"][0]["image"].removeprefix("file://")).is_file()


def test_what_spells_a_picture_is_refused(kept: list[Trace], tmp_path: Path) -> None:
    odd = replace(kept[0], question=replace(kept[0].question, text="What is in <image>?"))
    with pytest.raises(InputError, match="stands for pictures"):
        write_sharegpt([odd], tmp_path)


def released(folder: Path) -> Path:
    """Conversations in the released schema: absolute pixels of the first resized picture, with labels and without."""
    Image.new("RGB", (1000, 700), "grey").save(folder / "0.jpg")
    Image.new("RGB", (280, 224), "red").save(folder / "0_1.jpg")
    box = '{"bbox_2d": [100, 100, 200, 180], "label": "sign"}'
    zoom = f'<tool_call>{{"name": "image_zoom_in_tool", "arguments": {box}}}</tool_call>'
    talk = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "<image>\nWhat does the sign say?"},
        {"role": "assistant", "content": f"<think>The sign is small.</think>{zoom}"},
        {"role": "user", "content": "<image>\nThink first."},
        {"role": "assistant", "content": "<think>It says STOP.</think><answer>STOP</answer>"},
    ]
    unended = {"messages": talk[:3], "images": ["0.jpg"]}
    (folder / "sft.json").write_text(json.dumps([{"messages": talk, "images": ["0.jpg", "0_1.jpg"]}, unended]))
    return folder / "sft.json"


def test_the_released_schema_is_read(tmp_path: Path) -> None:
    (trace,) = read_sharegpt(released(tmp_path), PAPER)
    assert trace.overview.size == (1008, 700)
    assert (trace.question.text, trace.answer, trace.zooms) == ("What does the sign say?", "STOP", 1)
    first, last = (turn.action for turn in trace.turns)
    assert isinstance(first, Zoom)
    assert isinstance(last, Answer)
    assert trace.overview.from_source(first.boxes[0]).as_tuple() == pytest.approx((100, 100, 200, 180))


def test_written_and_read_again_says_the_same(kept: list[Trace], tmp_path: Path) -> None:
    write_sharegpt(kept, tmp_path)
    again = list(read_sharegpt(tmp_path / "cof.json", SPEC))
    said = [[turn.completion.text for turn in trace.turns] for trace in kept]
    assert [[turn.completion.text for turn in trace.turns] for trace in again] == said


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[3]", '[{"messages": [], "images": []}]', '[{"messages": [{"role": "user"}], "images": ["none.jpg"]}]'],
)
def test_what_is_no_sharegpt_file_is_told_in_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match="want"):
        list(read_sharegpt(tmp_path / "x.json", SPEC))
