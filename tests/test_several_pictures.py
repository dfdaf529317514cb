"""A question about two pictures, through every room: each box is of the picture that the model named, and each is shown."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

import cof
from cof.cli.rows import FORMS
from cof.data.traces import NAME as TRACES
from cof.dialects.named import dialect_of
from cof.errors import InputError
from cof.evaluate.run import records
from cof.geometry import Shown, ViewSpec
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.base import Request
from cof.models.local.model import LocalModel
from cof.models.scripted import ScriptedModel
from cof.plain import to_json
from cof.tools.zoom import zooms
from cof.trace import Trace
from cof.train.traces import TraceLessons
from cof.types import Question
from tests.calls import boxes_in
from tests.commands import cof as command
from tests.models.remote.endpoints import by_turn, listening, models
from tests.serve.test_hostile_model import served
from tests.tiny import write_checkpoint

SPEC = ViewSpec(max_pixels=168 * 112, zoom_min_pixels=56 * 56, zoom_max_pixels=84 * 84)
COLOURS = ("red", "blue")
ANSWER = "<think>I see.</think><answer>blue</answer>"
SECOND = (
    '<think>The second.</think><tool_call>{"name": "image_zoom_in_tool", "arguments": '
    '{"bbox_2d": [10, 10, 66, 66], "label": "it", "picture": 2}}</tool_call>'
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two pictures of one size: a red one and a blue one."""
    for colour in COLOURS:
        Image.new("RGB", (336, 224), colour).save(tmp_path / f"{colour}.png")
    return [tmp_path / f"{colour}.png" for colour in COLOURS]


def asked(files: list[Path], *lines: str, setting: Setting = Setting(SPEC)) -> Trace:
    question = Question("1", tuple(map(str, files)), "Which is blue?", answer="blue")
    return run(ScriptedModel(lines or (SECOND, ANSWER)), question, files, setting)


def colour_of(pixels: Image.Image) -> str:
    red, _, blue = np.asarray(pixels, float).mean((0, 1))
    return "red" if red > blue else "blue"


def test_a_box_is_of_the_picture_that_the_call_names(files: list[Path]) -> None:
    seen = list[str]()

    def look(request: Request) -> str:
        parts = [part for message in request.messages for part in message.parts]
        seen.extend(colour_of(request.pixels[part]) for part in parts if isinstance(part, Shown))
        return ANSWER

    question = Question("1", ("", ""), "Which is blue?")
    trace = run(ScriptedModel([SECOND, look]), question, [Image.open(file) for file in files], Setting(SPEC))
    assert seen == ["red", "blue", "blue"]
    assert [view.picture for view in (*trace.overviews, *trace.views)] == [0, 1, 1]
    assert trace.requested_boxes[0].picture == 1
    assert trace.overviews[0] != trace.overviews[1]


@pytest.mark.parametrize("name", ["cof", "mini-o3", "qwen3-vl", "glm-v"])
def test_boxes_are_written_and_read_in_the_words_of_the_family(name: str, files: list[Path]) -> None:
    """Without a name a box is of the first picture; one of the second is written with the family's own word for it."""
    dialect = dialect_of(name)
    first, second = asked(files, ANSWER, setting=Setting(SPEC)).overviews
    for view in (first, second):
        calls = zooms([replace(view.region, x1=view.region.x1 / 2)], thought="Closer.")
        read = dialect.parse(dialect.write(calls, (first, second)), (first, second))
        assert boxes_in(read)[0].picture == view.picture
        assert boxes_in(read)[0].as_tuple() == pytest.approx(boxes_in(calls)[0].as_tuple(), abs=2)


@pytest.mark.parametrize("name", ["ergo", "internvl2.5"])
def test_a_family_that_cannot_name_a_picture_takes_one(name: str, files: list[Path]) -> None:
    dialect = dialect_of(name)
    if dialect.names_pictures:
        pytest.skip("its calls are JSON")
    with pytest.raises(InputError, match="cannot name one of several pictures"):
        asked(files, setting=Setting(SPEC, dialect=dialect))


def test_a_picture_that_is_not_there_is_told(files: list[Path]) -> None:
    trace = asked(files, SECOND.replace('"picture": 2', '"picture": 3'), ANSWER)
    assert "picture 3 names none of the 2 pictures so far" in trace.turns[0].note


def test_ask_asks_about_a_list_of_pictures(files: list[Path]) -> None:
    trace = cof.ask(files, "Which is blue?", model=ScriptedModel([SECOND, ANSWER]))
    assert (trace.answer, trace.question.images) == ("blue", tuple(str(file.absolute()) for file in files))
    assert trace.views[0].picture == 1


def test_the_command_asks_about_all_pictures_together(files: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "trace.html"
    with listening(by_turn(SECOND, ANSWER)) as server:
        server.listing = models("m")
        options = ["--url", server.url, "--model", "m", "--dialect", "cof", "--together", "--trace", page]
        done = command("ask", *files, "Which is blue?", *options)
    assert done.returncode == 0, done.stderr
    content = server.asked[0].body["messages"][1]["content"]
    assert [part["type"] for part in content] == ["image_url", "image_url", "text"]
    assert "of picture 2" in done.stdout
    assert page.read_text().count('<figure class="picture">') == 2
    refused = command("ask", *files, "Which?", "-q", "Why?", "--url", "http://127.0.0.1:9/v1", "--together")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "want one" in refused.stderr


def test_the_server_takes_two_pictures_in_one_message(files: list[Path]) -> None:
    urls = ["data:image/png;base64," + base64.b64encode(file.read_bytes()).decode() for file in files]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    message = {"role": "user", "content": [*parts, {"type": "text", "text": "Which is blue?"}]}
    with served([SECOND, ANSWER]) as url:
        reply = httpx.post(f"{url}/v1/chat/completions", json={"messages": [message]}, timeout=60)
        assert reply.status_code == 200, reply.text
        kept = reply.json()["cof"]["trace"]
        page = httpx.get(f"{url}/traces/{kept}", timeout=60)
        trace = cof.Trace.from_json(httpx.get(f"{url}/v1/traces/{kept}", timeout=60).json())
    assert reply.json()["choices"][0]["message"]["content"] == "blue"
    assert [view.picture for view in (*trace.overviews, *trace.views)] == [0, 1, 1]
    assert page.text.count('<figure class="picture">') == 2


@pytest.mark.parametrize("form", [*FORMS, "traces"])
def test_every_form_of_training_data_has_both_pictures(form: str, files: list[Path], tmp_path: Path) -> None:
    source = tmp_path / "build" / TRACES
    source.parent.mkdir()
    source.write_text(json.dumps({"id": "1", "trace": to_json(asked(files))}) + "\n")
    done = command("data", "convert", source.parent, "--to", form, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    written = sorted((tmp_path / "out").rglob("*.png"))
    if form != "traces":
        want = ["red", "blue"] if form == "verl" else ["red", "blue", "blue"]
        assert [colour_of(Image.open(file)) for file in written] == want


def test_labels_of_training_fall_on_turns_about_both_pictures(files: list[Path], tmp_path: Path) -> None:
    checkpoint = write_checkpoint("qwen2_5_vl", tmp_path / "checkpoint")
    (tmp_path / "traces.jsonl").write_text(json.dumps({"id": "1", "trace": to_json(asked(files))}) + "\n")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    processor = Qwen2VLImageProcessorPil.from_pretrained(checkpoint, do_resize=False)
    batch = TraceLessons(tokenizer, processor, SPEC, tmp_path / "traces.jsonl", 0, 1)([{"step": 0}])
    (row,), shades = batch["labels"], batch["pixel_values"].mean(1)
    assert tokenizer.decode(row[row >= 0]).count("<tool_call>") == 1
    assert len(batch["image_grid_thw"]) == 3
    sizes = [int(grid.prod()) for grid in batch["image_grid_thw"]]
    first, second, crop = (each.mean().item() for each in shades.split(sizes))
    assert second == pytest.approx(crop, abs=1e-4) != pytest.approx(first, abs=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("family", ["qwen2_5_vl"])
def test_a_model_in_this_process_reads_both(family: str, files: list[Path], tmp_path: Path) -> None:
    """A tiny checkpoint with random weights: its words mean nothing, and its prompt has the tokens of both pictures."""
    model = LocalModel.load(str(write_checkpoint(family, tmp_path / "checkpoint")), device="cpu")
    trace = cof.ask(files, "Which is blue?", model=model, limits={"turns": 1, "tokens": 8})
    shown = sum(view.pixels for view in trace.overviews) // trace.spec.factor**2
    assert trace.turns[0].completion.visual_tokens == shown


def test_pages_of_several_pictures_have_each_with_its_boxes(files: list[Path]) -> None:
    page = asked(files).to_html()
    first, second = page.split('<figure class="picture">')[1:]
    assert "Zoom 1" not in first
    assert "Zoom 1" in second
    assert "Saw the whole picture 2" in page
    buffer = io.BytesIO()
    Image.open(files[0]).save(buffer, "PNG")
    with pytest.raises(InputError, match="about 2 pictures, and 1 came"):
        asked(files).to_html(buffer.getvalue())


def test_an_evaluation_asks_about_both_at_every_resolution(files: list[Path], tmp_path: Path) -> None:
    row = {
        "id": "1",
        "question": "<image>\n<image>\nIs <image 2> blue?",
        "images": [file.name for file in files],
        "answer": "blue",
    }
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n")
    with listening(by_turn(SECOND, ANSWER)) as server:
        server.listing = models("m")
        options = ["--url", server.url, "--model", "m", "--dialect", "cof", "--arms", "own"]
        sides = ["--resolutions", "112,336", "--source", "resized", "--out", tmp_path / "run"]
        done = command("eval", "jsonl", "--data", tmp_path / "own.jsonl", *options, *sides)
    assert done.returncode == 0, done.stderr
    found = sorted(records(tmp_path / "run"), key=lambda record: record.resolution)  # they end in any order
    traces = [record.trace for record in found]
    assert [trace.answer for trace in traces] == ["blue", "blue"]
    assert {trace.question.text for trace in traces} == {"Is picture 2 blue?"}
    assert [[view.region.width for view in trace.overviews] for trace in traces] == [[112, 112], [336, 336]]
    assert all([view.picture for view in trace.views] == [1] for trace in traces)
