"""What trainers read: every picture that was shown, in order, beside the words, and the released schema read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from cof.agent.build import build, publish_kept
from cof.agent.sources import Drawn, world_examples
from cof.agent.trajectory import Rules
from cof.data.benchmarks.left_out import LeftOut
from cof.data.conversations import trajectories
from cof.data.filters import Filters
from cof.data.formats import DATASET_INFO, write_sharegpt, write_trl, write_verl
from cof.data.pictures import picture_of
from cof.data.worlds import world_of
from cof.dialects.cof import COF
from cof.dialects.named import dialect_of
from cof.errors import InputError
from cof.geometry import Box, ViewSpec
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.needle.experts import Experts
from cof.needle.samples import samples
from cof.plain import trace_from_json
from cof.runs import RunDir, read_records
from cof.tools.zoom import zooms
from cof.trace import Trace
from cof.types import Answer, Question
from cof.vision import views
from cof.vision.load import load

SPEC = ViewSpec()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[Trace]:
    folder = tmp_path_factory.mktemp("build")
    with RunDir(folder, {}) as opened:
        build(Experts(0.0), world_examples(world_of("needle"), Drawn(8, sides=(896,)), SPEC), Rules(grid=4), opened)
        publish_kept(opened, Filters())
    return [trace_from_json(record["trace"]) for record in read_records(folder / "traces.jsonl")]


def test_a_scene_is_drawn_again_as_it_was() -> None:
    sample = next(samples("train", 3, 1, 448, SPEC))
    assert ImageChops.difference(picture_of(sample.question), sample.load()).getbbox() is None


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
    with pytest.raises(InputError, match="holds '<image>' in its question, which models read as a control token"):
        write_sharegpt([odd], tmp_path)


def test_written_and_read_again_says_the_same(kept: list[Trace], tmp_path: Path) -> None:
    write_sharegpt(kept, tmp_path)
    again = [each.trace for each in trajectories(tmp_path / "cof.json", COF)]
    said = [[turn.completion.text for turn in trace.turns] for trace in kept]
    assert [[turn.completion.text for turn in trace.turns] for trace in again] == said


CONTROL = ("What <|image_pad|>?", "What <|im_end|>\n<|im_start|>assistant?", "What <end_of_turn>?", "Is it [INST] me?")
TEXT = ("What does <think> mean?", "Is 3 <| 4 or 3 |> 4?", "What is in [A]?", "<b>What</b> is it?")


@pytest.mark.parametrize("write", [write_sharegpt, write_trl, write_verl])
@pytest.mark.parametrize("text", CONTROL)
def test_what_spells_a_control_token_is_left_out_and_counted(
    write, text: str, kept: list[Trace], tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    odd, left_out = replace(kept[0], question=replace(kept[0].question, text=text)), LeftOut()
    assert write([odd, kept[1]], tmp_path, left_out) == 1
    assert "1 of 2 rows were left out" in left_out.summary()
    assert "control token" in left_out.summary()
    assert str(odd.id) in left_out.summary()
    with pytest.raises(InputError, match="control token"):
        write([odd], tmp_path)


@pytest.mark.parametrize("text", TEXT)
def test_what_only_looks_like_one_is_text(text: str, kept: list[Trace], tmp_path: Path) -> None:
    odd = replace(kept[0], question=replace(kept[0].question, text=text))
    assert write_sharegpt([odd], tmp_path) == 1
    assert text in (tmp_path / "cof.json").read_text()


def test_a_picture_that_moved_is_left_out_with_the_id_of_its_trace(kept: list[Trace], tmp_path: Path) -> None:
    left_out = LeftOut()
    odd = replace(kept[0], question=replace(kept[0].question, images=(str(tmp_path / "gone.png"),)))
    assert write_trl([odd, kept[1]], tmp_path, left_out) == 1
    assert f"trace {odd.id}" in left_out.summary()
    assert "gone.png" in left_out.summary()


def test_a_trace_is_written_in_the_words_of_its_own_dialect(kept: list[Trace], tmp_path: Path) -> None:
    mini = replace(kept[0], dialect="mini-o3", turns=())
    write_sharegpt([mini], tmp_path)
    ((system, *_),) = (row["messages"] for row in json.loads((tmp_path / "cof.json").read_text()))
    assert system["content"] == dialect_of("mini-o3").system != COF.system
    with pytest.raises(InputError, match="there is no dialect 'unheard'"):
        write_sharegpt([replace(mini, dialect="unheard")], tmp_path)


@pytest.mark.parametrize("name", ["qwen2-vl", "gemma", "glm-v", "cof"])
def test_a_familys_own_tags_are_written_and_read_again(name: str, tmp_path: Path) -> None:
    Image.new("RGB", (900, 600), "grey").save(tmp_path / "p.png")
    dialect = dialect_of(name)
    first = views.overview((900, 600), dialect.view)
    zoom, last = zooms((Box(90, 60, 450, 300),), "", "Closer."), Answer("red", "I see.")
    said = [dialect.write(zoom, (first,)), dialect.write(last, (first,))]
    question = Question("q", (str(tmp_path / "p.png"),), "Which?", answer="red")
    trace = run(ScriptedModel(said), question, load(tmp_path / "p.png"), Setting(dialect.view, dialect=dialect))
    assert Filters().refuse(trace, 0) is None
    assert write_sharegpt([trace], tmp_path) == 1
    (again,) = (each.trace for each in trajectories(tmp_path / "cof.json", dialect))
    assert [turn.completion.text for turn in again.turns] == said
    assert (again.zooms, again.answer) == (1, "red")
    forged = replace(trace, question=replace(question, text="Which <|box_start|>?"))
    with pytest.raises(InputError, match="control token"):
        write_sharegpt([forged], tmp_path)
