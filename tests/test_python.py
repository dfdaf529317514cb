"""Questions in Python: any kind of picture, a model by name, value or address, and errors of our own."""

from __future__ import annotations

import asyncio
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cof
from cof.api import _opened
from cof.models.base import Request
from cof.vision import views
from tests.models.remote.endpoints import ANSWER, ZOOM, by_turn, listening
from tests.tiny import write_checkpoint

SIZE = (640, 480)
CALL = '<think>t</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 10, 200, 200]}}</tool_call>'
SAID = "<think>t</think><answer>red</answer>"


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def shown(image: Any, **options: Any) -> bytes:
    """The overview that a model is shown."""
    model = cof.ScriptedModel([SAID])
    cof.ask(image, "What?", model=model, **options)
    (pixels,) = model.requests[0].pixels.values()
    return pixels.tobytes()


def kept(line: str, seen: list[bytes]) -> Any:
    """A line of a script that keeps what it was shown."""

    def say(request: Request) -> str:
        seen.extend(each.tobytes() for each in request.pixels.values())
        return line

    return say


def test_every_kind_of_picture_shows_the_same_pixels(tmp_path: Path) -> None:
    image, file = picture(), tmp_path / "p.png"
    file.write_bytes(encoded(image))
    seen: list[bytes] = []
    with file.open("rb") as stream:
        sources: list[Any] = [
            file,
            str(file),
            encoded(image),
            stream,
            io.BytesIO(encoded(image)),
            np.asarray(image),
            image,
        ]
        for source in sources:
            assert cof.ask(source, "What?", model=cof.ScriptedModel([kept(SAID, seen)])).answer == "red"
    assert len(seen) == len(sources)
    assert len({*seen}) == 1


def test_run_and_ask_show_the_same_pixels() -> None:
    by_ask, by_run = list[bytes](), list[bytes]()
    one = cof.ask(picture(), "What?", model=cof.ScriptedModel([kept(CALL, by_ask), kept(SAID, by_ask)]))
    question = cof.Question("ask", ("",), "What?")
    other = cof.run(cof.ScriptedModel([kept(CALL, by_run), kept(SAID, by_run)]), question, picture())
    assert by_ask == by_run
    assert one.views == other.views


def test_a_model_behind_an_endpoint_is_named_by_its_address() -> None:
    with listening(by_turn(ZOOM, ANSWER)) as server:
        trace = cof.ask(picture(), "What?", url=server.url, key="secret", model="some-model", dialect="cof")
        assert (trace.answer, trace.zooms, trace.model) == ("B", 1, "some-model")
        assert server.asked[0].headers["Authorization"] == "Bearer secret"
        plain = cof.ask(picture(), "What?", url=server.url, key="secret", model="some-model")
        assert plain.dialect == "plain"  # a name that names no family
        assert cof.ask(picture(), "What?", url=server.url, key="", model="Qwen3-VL-8B-Instruct").dialect == "qwen3-vl"


def test_limits_budget_and_mode_reach_the_run() -> None:
    trace = cof.ask(picture(), "What?", model=cof.ScriptedModel([CALL]), limits={"zooms": 1, "turns": 2})
    assert trace.limits == cof.Limits(zooms=1, turns=2)
    trace = cof.ask(picture(), "What?", model=cof.ScriptedModel([CALL, SAID]), budget=64)
    assert max(view.pixels for view in (trace.overview, *trace.views)) <= 64 * 28**2
    assert cof.ask(picture(), "What?", model=cof.ScriptedModel([SAID]), policy="direct").policy == "direct"
    assert cof.ask(picture(), "What?", model=cof.ScriptedModel([SAID]), limits=cof.Limits(turns=3)).limits.turns == 3


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([1, 2], "What?"), {}, "picture"),
        ((None, "What?"), {}, "picture"),
        (("IMAGE", None), {}, "the question is NoneType"),
        (("IMAGE", " "), {}, "question is empty"),
        (("IMAGE", "a <|im_end|> b"), {}, "<|im_end|>"),
        (("IMAGE", "What?"), {"choices": ["a"]}, "two or more"),
        (("IMAGE", "What?"), {"choices": "ab"}, "choices are 'ab'"),
        (("IMAGE", "What?"), {"choices": [1, 2]}, "not all texts"),
        (("IMAGE", "What?"), {"limits": {"zoom": 1}}, "zooms"),
        (("IMAGE", "What?"), {"limits": 3}, "want a Limits"),
        (("IMAGE", "What?"), {"limits": {"zooms": "many"}}, "zooms"),
        (("IMAGE", "What?"), {"policy": "fast"}, "want one of always"),
        (("IMAGE", "What?"), {"policy": "oracle"}, "want one of own"),
        (("IMAGE", "What?"), {"budget": 2}, "visual tokens"),
        (("IMAGE", "What?"), {"budget": "many"}, "visual tokens"),
        (("IMAGE", "What?"), {"dialect": "klingon"}, "no dialect 'klingon'"),
        (("IMAGE", "What?"), {"model": 3}, "want a name, or a Model"),
        (("IMAGE", "What?"), {"url": "http://127.0.0.1:9/v1"}, "leave them out for a Model"),
        (("IMAGE", "What?"), {"url": 5, "model": "m"}, "url is 5"),
        (("IMAGE", "What?"), {"url": "", "model": "m"}, "is no endpoint"),
        (("IMAGE", "What?"), {"url": "nowhere", "model": "m"}, "is no endpoint"),
        (("IMAGE", "What?"), {"url": "http://127.0.0.1:9/v1", "model": "m", "adapter": "x"}, "let its server load it"),
        (("IMAGE", "What?"), {"key": "k", "model": "nano"}, "a key is for an endpoint"),
        (("IMAGE", "What?"), {"url": [], "model": "m"}, "url is []"),
        (("IMAGE", "What?"), {"url": "http://127.0.0.1:9/v1", "model": "m", "key": 3}, "key is int"),
        (("IMAGE", "What?"), {"limits": {"seconds": float("nan")}}, "not possible"),
        (("IMAGE", "What?"), {"dialect": 3}, "want a family's name"),
        (("IMAGE", "What?"), {"choices": None}, "choices are None"),
        (("IMAGE", "What?"), {"choices": 3}, "choices are 3"),
        (("https://example.org/p.jpg", "What?"), {}, "fetch=True"),
    ],
)
def test_what_cannot_be_used_is_an_error_of_ours(arguments: Any, options: dict[str, Any], words: str) -> None:
    image = picture() if arguments[0] == "IMAGE" else arguments[0]
    with pytest.raises(cof.InputError) as refused:
        cof.ask(image, arguments[1], **{"model": cof.ScriptedModel([SAID]), **options})
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_remote_model_of_wrong_arguments_is_an_error_of_ours() -> None:
    url = "http://127.0.0.1:9/v1"
    every: list[dict[str, Any]] = [{"batch": 0}, {"batch": "x"}, {"seconds": -1}, {"wire": "webp"}]
    for wrong in (*every, {"key": 3}, {"model": None}):
        with pytest.raises(cof.InputError):
            cof.RemoteModel(**({"url": url, "model": "m"} | wrong))
    assert str(cof.RemoteModel(url, "m", wire="jpeg:80").wire) == "jpeg:80"
    with pytest.raises(cof.InputError):
        cof.ask_many(None, model=cof.ScriptedModel([SAID]))  # type: ignore[arg-type]
    with pytest.raises(cof.InputError):
        cof.run(cof.ScriptedModel([SAID]), cof.Question("1", ("",), "What?"), None)  # type: ignore[arg-type]


def test_several_questions_can_be_awaited() -> None:
    async def all_of_them() -> list[cof.Trace]:
        asked = (cof.aask(picture(), f"What is {n}?", model=cof.ScriptedModel([SAID])) for n in range(4))
        return list(await asyncio.gather(*asked))

    assert [trace.answer for trace in asyncio.run(all_of_them())] == ["red"] * 4


def test_one_bad_picture_spoils_no_other() -> None:
    asked: list[Any] = [
        (picture(), "What?"),
        (b"no picture", "What?"),
        (picture(), "What?", ["red", "blue"]),
        (picture(), ""),
    ]
    traces = cof.ask_many(asked, model=cof.ScriptedModel([SAID]))
    assert [trace.answer for trace in traces] == ["red", None, "red", None]
    assert [trace.stop for trace in traces] == [cof.Stop.ANSWER, cof.Stop.FAILED, cof.Stop.ANSWER, cof.Stop.FAILED]
    assert "picture" in str(traces[1].error)
    assert "question is empty" in str(traces[3].error)


def test_a_model_that_is_named_twice_is_loaded_once(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/v1"
    one = _opened("m", url, None, None, 300)
    assert _opened("m", [url], None, None, 1) is not one  # a turn may take less time
    assert _opened("m", (url,), None, None, 300) is one
    assert _opened("m", url, "k", None, 300) is not one
    nano = _opened(None, None, None, None, 300)
    assert _opened("nano", None, None, None, 60) is nano
    folder = write_checkpoint("qwen2_5_vl", tmp_path / "tiny")
    tiny = _opened(str(folder), None, None, None, 300)
    assert _opened(str(folder), None, None, None, 300) is tiny
    os.utime(folder / "config.json", (1, 2**31))  # written anew
    assert _opened(str(folder), None, None, None, 300) is not tiny


def test_a_trace_is_data_and_a_page(tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    file.write_bytes(encoded(picture()))
    trace = cof.ask(file, "What?", model=cof.ScriptedModel([CALL, SAID]))
    assert cof.Trace.from_json(json.loads(json.dumps(trace.to_json()))) == trace
    trace.save(tmp_path / "t.json")
    assert cof.Trace.from_json(json.loads((tmp_path / "t.json").read_text())) == trace
    trace.save(tmp_path / "t.html")
    assert "<html" in (tmp_path / "t.html").read_text()
    bare = cof.ask(picture(), "What?", model=cof.ScriptedModel([SAID]))
    assert "red" in bare.to_html(picture())
    with pytest.raises(cof.InputError):
        bare.to_html()  # it names no picture
    with pytest.raises(cof.InputError, match="want a path that ends in .json or .html"):
        trace.save(tmp_path / "t.txt")
    with pytest.raises(cof.InputError, match="cannot write"):
        trace.save("/proc/none/t.json")
    with pytest.raises(cof.InputError):
        trace.save(None)  # type: ignore[arg-type]
    no_traces: list[Any] = [{}, [], None, {"version": 2}, {"version": 1}]
    for wrong in no_traces:
        with pytest.raises(cof.InputError):
            cof.Trace.from_json(wrong)


def test_the_public_names_are_there_and_typed() -> None:
    assert all(hasattr(cof, name) for name in cof.__all__)
    assert (Path(cof.__file__).parent / "py.typed").is_file()
    assert cof.LocalModel.__name__ == "LocalModel"
    with pytest.raises(AttributeError):
        _ = cof.NoSuchName
    assert cof.setting_of(cof.ScriptedModel([""])).spec == views.PAPER
