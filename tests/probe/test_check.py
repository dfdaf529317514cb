"""`cof check` against endpoints that see: frame, shrinking, what is refused, and whether a zoom round trip works."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.cli.check import _line
from cof.dialects.named import dialect_of
from cof.models.remote.faults import Fault
from cof.probe.check import check
from cof.probe.endpoint import ALL_THOUGHT, Probe, prompt_tokens, user
from cof.probe.frames import Frame
from cof.probe.grounding import frame_at, numbers_in
from cof.probe.pictures import drawn
from cof.probe.rows import CheckRow, context_row
from cof.probe.trips import Chosen, candidates_for
from cof.vision.urls import Wire
from tests.commands import cof
from tests.models.remote.endpoints import Reply, chat, in_turn, listening
from tests.probe.seeing import Seeing, parts, pictures_of, pixels, thousandths, y_first
from tests.properties import cases
from tests.serve.test_hostile_model import served

Numbers = Callable[[list[float], tuple[int, int]], list[float]]


def checked(seeing: Seeing, model: str = "some-model", **options: Any) -> dict[str, CheckRow]:
    with listening(seeing) as server:
        return {row.name: row for row in check(server.url, model, "", **options)}


@pytest.mark.parametrize(
    ("seeing", "boxes", "shrinks", "dialect"),
    [
        (Seeing(pixels), "pixels, x first", "no, by the boxes", "plain-pixel"),
        (Seeing(thousandths), "thousandths of the sides, x first", "cannot be known", "plain"),
        (Seeing(parts), "parts of the sides, 0 to 1, x first", "cannot be known", "plain-unit"),
        (Seeing(y_first, key="box_2d"), "thousandths of the sides, y first", "cannot be known", "gemini"),
        (Seeing(pixels, side=1568), "pixels, x first", "to about 1,568 pixels of the longer side", "max_side = 1568"),
    ],
    ids=["pixels", "thousandths", "parts", "y first", "shrinks to 1568"],
)
def test_the_frame_is_found_and_a_zoom_works_in_it(seeing: Seeing, boxes: str, shrinks: str, dialect: str) -> None:
    rows = checked(seeing)
    assert rows["boxes"].text.startswith(boxes), rows
    assert shrinks in rows["server shrinks"].text
    assert dialect in rows["dialect"].text
    assert rows["zoom"].good, rows
    assert "works: 1 zoom, 2 turns" in rows["zoom"].text
    assert rows["zoom"].text.endswith("right")
    assert rows["several pictures"].text == "both are seen"


def test_a_family_that_fits_goes_before_the_plain_dialect() -> None:
    rows = checked(Seeing(thousandths), "Qwen/Qwen3-VL-8B-Instruct")
    assert rows["dialect"].text == "qwen3-vl, by the model's name"
    other = checked(Seeing(pixels), "Qwen/Qwen3-VL-8B-Instruct")  # its boxes are not that family's
    assert other["dialect"].text.startswith("plain-pixel, by the frame")


def test_a_model_that_thinks_is_told() -> None:
    rows = checked(Seeing(thousandths, thinks=True))
    assert rows["thinks"].text == "yes, before it answers"
    assert rows["zoom"].good


def test_what_stands_in_the_way_is_told() -> None:
    one = checked(Seeing(thousandths, several=False))
    assert not one["several pictures"].good
    assert "At most 1 image" in one["several pictures"].text
    assert not one["zoom"].good
    folded = checked(Seeing(thousandths, system=False))
    assert "its words go into the first user turn" in folded["system role"].text
    assert folded["zoom"].good
    lazy = checked(Seeing(thousandths, zooms=False))
    assert not lazy["zoom"].good
    assert "it answered without a zoom" in lazy["zoom"].text


def test_a_dialect_that_is_given_is_tried_alone() -> None:
    rows = checked(Seeing(pixels), dialect=dialect_of("qwen2.5-vl"))
    assert rows["dialect"].text == "qwen2.5-vl, as given"
    wrong = checked(Seeing(thousandths), dialect=dialect_of("plain-unit"))
    assert not wrong["zoom"].good


def test_a_model_that_names_no_box_is_told() -> None:
    with listening(lambda _: Reply("I cannot say.")) as server:
        rows = {row.name: row for row in check(server.url, "m", "")}
    assert "fewer than 3 replies named a box; the last: 'I cannot say.'" in rows["boxes"].text
    assert not rows["zoom"].good


def test_a_dialect_is_tried_once_where_name_and_frame_give_the_same() -> None:
    assert [each.how for each in candidates_for("my-plain", None)] == ["plain"]
    assert checked(Seeing(thousandths, zooms=False), "my-plain")["dialect"].text == "plain did not work"


def test_a_server_of_cof_is_asked_one_question() -> None:
    with served(["<think>x</think><answer>It is blue.</answer>"]) as url:
        rows = {row.name: row for row in check(f"{url}/v1", "scripted", "")}
    assert list(rows) == ["models", "text", "dialect", "zoom"]
    assert rows["dialect"].text.startswith("served, ")
    assert rows["zoom"].good
    assert rows["zoom"].text.endswith("answer 'It is blue.'")
    with served(["neither"]) as url:
        assert not list(check(f"{url}/v1", "scripted", ""))[-1].good


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))])
def test_the_frame_is_found_with_any_pictures(seed: int) -> None:
    wanted = {
        "pixels": (Seeing(pixels), ("pixel", "xy", None)),
        "thousandths": (Seeing(thousandths), ("thousand", "xy", None)),
        "parts": (Seeing(parts), ("unit", "xy", None)),
        "y first": (Seeing(y_first), ("thousand", "yx", None)),
        "shrinks to 1568": (Seeing(pixels, side=1568), ("pixel", "xy", 1568)),
    }
    pictures = drawn(seed)
    for name, (seeing, (unit, order, limit)) in wanted.items():
        with listening(seeing) as server:
            frame, failure = frame_at(Probe(server.url, "m", ""), Wire.of("jpeg:85"), pictures)
        assert frame is not None, name
        assert frame.found, (name, frame)
        assert (frame.unit, frame.order, failure) == (unit, order, ""), (name, frame)
        assert frame.limit == (limit if limit is None else pytest.approx(limit, rel=0.03)), (name, frame)


def thought(text: str, finish: str = "stop", **message: object) -> Reply:
    return Reply(json.dumps(chat(finish, content=text, **message)).encode())


BOX = "a box such as [10, 20, 30, 40] or [1, 2, 3, 4]"


@pytest.mark.parametrize(
    "reply",
    [
        thought(f"<think>It may be {BOX}"),
        thought(f"<think>It may be {BOX}", "length"),
        thought(f"It may be {BOX}", "length"),  # the template opened the thought
        thought(f"<thinking>It may be {BOX}", "length"),
        thought("", "length", reasoning_content=f"It may be {BOX}"),
    ],
)
def test_a_thought_that_is_cut_off_is_no_answer(reply: Reply) -> None:
    with listening(lambda _: reply) as server:
        probe = Probe(server.url, "m", "")
        frame, failure = frame_at(probe, Wire(), drawn(0)[:2])
    assert (frame, failure) == (None, ALL_THOUGHT)
    assert probe.thinks
    assert server.asked[0].body["max_tokens"] == 4096


@pytest.mark.parametrize(
    ("reply", "text", "thinks"),
    [
        (thought(f"<think>{BOX}</think>[1, 2, 3, 4]"), "[1, 2, 3, 4]", True),
        (thought(f"{BOX}</think>\n[1, 2, 3, 4]"), "[1, 2, 3, 4]", True),
        (thought("[1, 2, 3, 4]", reasoning_content=BOX), "[1, 2, 3, 4]", True),
        (thought("<think></think>[1, 2, 3, 4]"), "[1, 2, 3, 4]", False),
        (thought("[1, 2, 3, 4]"), "[1, 2, 3, 4]", False),
    ],
)
def test_a_thought_is_no_part_of_an_answer(reply: Reply, text: str, thinks: bool) -> None:
    with listening(lambda _: reply) as server:
        probe = Probe(server.url, "m", "")
        assert probe.ask([user("Where?")]) == text
    assert probe.thinks == thinks


@pytest.mark.parametrize(
    ("model", "side", "how", "most"),
    [
        ("Qwen2.5-VL-7B-Instruct", 1568, 'like = "qwen2.5-vl" and, under [view], max_side = 15', 1600),
        ("some-model", 1024, 'like = "plain-pixel" and, under [view], max_side = 10', 1050),
        ("Qwen2.5-VL-7B-Instruct", None, "qwen2.5-vl, by the model's name", 10_000),
    ],
)
def test_a_server_that_shrinks_is_sent_smaller_pictures(model: str, side: int | None, how: str, most: int) -> None:
    seeing = Seeing(pixels, side=side)
    rows = checked(seeing, model, wire=Wire.of("jpeg:85"))
    assert how in rows["dialect"].text
    assert rows["zoom"].good, rows
    zoomed = seeing.asked[-1]["messages"]
    assert max(max(picture.size) for message in zoomed for picture in pictures_of(message)) <= most


def test_a_family_is_fitted_to_what_its_server_shrinks_to() -> None:
    def first(model: str, frame: Frame) -> Chosen:
        return candidates_for(model, frame)[0]

    by_area = first("Qwen2.5-VL-7B", Frame("pixel", "xy", 0.9, 1_003_520, "area"))
    assert by_area.how == "qwen2.5-vl with --budget 1280"
    assert max(by_area.dialect.view.max_pixels, by_area.dialect.view.zoom_max_pixels) <= 1_003_520
    own = dialect_of("claude").view.max_side
    assert own is not None
    assert first("claude-x", Frame("pixel", "xy", 0.9, own - 2)).how == "claude"  # as good as its own limit
    assert f"max_side = {own // 2}" in first("claude-x", Frame("pixel", "xy", 0.9, own // 2)).how
    assert first("Qwen3-VL-8B", Frame("thousand", "xy", 0.9)).how == "qwen3-vl"


LONG = tuple(n / 28 for n in (10, 11, 20, 22))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ('{"bbox_2d": [10, 20, 30, 40], "label": "red"}', (10, 20, 30, 40)),
        ('```json\n[{"bbox_2d": [10.5, 20, 30, 40]}]\n```', (10.5, 20, 30, 40)),
        ("<box>[[10, 20, 30, 40]]</box>", (10, 20, 30, 40)),
        ("<|box_start|>(10,20),(30,40)<|box_end|>", (10, 20, 30, 40)),
        ('{"x1": 10, "y1": 20, "x2": 30, "y2": 40}', (10, 20, 30, 40)),
        ('{"xmin": 0.1, "ymin": 0.2, "xmax": 0.3, "ymax": 0.4}', (0.1, 0.2, 0.3, 0.4)),
        ("First [1, 2, 3, 4], no: [10, 20, 30, 40].", (10, 20, 30, 40)),
        ("It is at 10, 20, 30, 40.", (10, 20, 30, 40)),
        (str(list(LONG)), LONG),
        (json.dumps(dict(zip(("x_min", "y_min", "x_max", "y_max"), LONG, strict=True))), LONG),
        ("[0.35714285714285714286, 0.4, 0.5, 0.6]", (0.35714285714285714286, 0.4, 0.5, 0.6)),
        (f"[0.{'3' * 21}, 0.4, 0.5, 0.6]", None),
        ("[10, 20, 30, 1234567]", None),
        ("version 1.2.3.4", None),
        ("It has 3 sides and 2d.", None),
        ("", None),
    ],
)
def test_numbers_are_read_from_what_models_write(text: str, numbers: tuple[float, ...] | None) -> None:
    assert numbers_in(text) == numbers


@pytest.mark.parametrize(
    "piece",
    ["1", " ", "1 ", "1 1 1 x", "1, ", "x1 ", 'x1"', "x1=", "-1", "1.1.", "[", "1" + " " * 999, "x1" + " " * 999],
)
def test_numbers_are_read_in_linear_time(piece: str) -> None:
    hostile = piece * (2**20 // len(piece))  # a pattern that backtracks would take hours
    numbers_in(hostile)
    numbers_in(f"{hostile}x")
    numbers_in(f"1 {hostile}")


class Odd:
    """An endpoint whose every reply is `shape`, the list of its models included."""

    def __init__(self, shape: Any) -> None:
        self.raw = json.dumps(shape).encode()

    def rows(self) -> list[CheckRow]:
        with listening(lambda _: Reply(self.raw)) as server:
            server.listing = Reply(self.raw)
            return list(check(server.url, "m", "", wire=Wire.of("jpeg:75")))


USAGES: tuple[Any, ...] = ([], "much", None, {"prompt_tokens": "x"}, {"prompt_tokens": -1}, {"prompt_tokens": True})
ODD = [  # the first ones are replies that can be read all the same
    {**chat(content="[1, 2, 3, 4]"), "usage": []},
    {**chat(content="[1, 2, 3, 4]"), "usage": {"prompt_tokens": "x"}},
    {**chat(content="\ud800 \x1b[2J"), "usage": "much", "data": [{"name": "m"}, {"id": 7}, None]},
    {"choices": [{"message": {"content": "x"}, "logprobs": "x"}], "data": [{"id": "m", "meta": [], "n_ctx": "x"}]},
    {"choices": [{"message": None}], "data": [{"id": "\x1b[2J\ud800"}]},
    {"choices": {}, "data": "x"},
    {"error": "\ud800\x1b"},
    [[]],
    7,
]


@pytest.mark.parametrize("shape", ODD, ids=lambda shape: json.dumps(shape)[:60])
def test_replies_of_any_shape_are_rows(shape: Any) -> None:
    rows = Odd(shape).rows()
    assert [rows[0].name, rows[-1].name] == ["models", "zoom"]
    assert rows[-1].good is False
    for row in rows:
        _line(row).encode()  # can be printed, whatever the endpoint wrote


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "prompt_tokens", "data", "id"]), inner
        )
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def probe() -> Probe:
    return Probe("http://127.0.0.1:9/v1", "m", "")


@settings(max_examples=cases(100), deadline=None)
@given(reply=JSON)
def test_no_json_of_an_endpoint_raises(probe: Probe, reply: Any) -> None:
    for shape in (reply, {"choices": reply}, {"choices": [{"message": reply}]}, {**chat(content="x"), "usage": reply}):
        assert isinstance(probe.words(shape), str | Fault)
        assert prompt_tokens(shape) >= 0


@pytest.mark.parametrize("usage", USAGES, ids=str)
def test_a_usage_of_another_form_counts_nothing(usage: Any) -> None:
    assert prompt_tokens({"usage": usage}) == 0
    assert prompt_tokens({"usage": {"prompt_tokens": 300}}) == 300


def test_what_may_pass_is_tried_once_more() -> None:
    busy = Reply(b'{"error": {"message": "slow down"}}', 429)
    with listening(in_turn(busy, Reply("ready"))) as server:
        assert Probe(server.url, "m", "").ask([user("Hello")]) == "ready"
    with listening(lambda _: busy) as server:
        assert isinstance(Probe(server.url, "m", "").ask([user("Hello")]), Fault)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"max_model_len": 32768}, "32,768 tokens"),
        ({"meta": {"n_ctx": 4096, "n_ctx_train": 131072}}, "4,096 tokens"),
        ({"meta": {"n_ctx_train": 131072}}, "the model's is 131,072 tokens; the server may run with fewer"),
        ({"context_length": "long"}, "not given by the endpoint"),
        ({}, "not given by the endpoint"),
    ],
)
def test_the_context_length_is_what_the_endpoint_lists(fields: dict[str, Any], text: str) -> None:
    assert context_row([{"id": "other", "n_ctx": 7}, {"id": "m", **fields}], "m").text == text


def test_an_endpoint_that_wants_a_picture_is_no_obstacle() -> None:
    rows = checked(Seeing(thousandths, alone=False))
    assert "with a picture only (status 400: want a picture)" in rows["text"].text
    assert rows["text"].good
    assert rows["system role"].text == "yes"
    assert rows["zoom"].good
    with listening(lambda _: Reply(b'{"error": "no"}', 400)) as server:
        assert next(row for row in check(server.url, "m", "") if row.name == "text").good is False


@pytest.mark.long
def test_the_exit_code_says_whether_a_zoom_worked() -> None:
    with listening(Seeing(thousandths)) as server:
        done = cof("check", "--url", server.url, "--model", "m")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stderr == ""
    with listening(Seeing(thousandths, zooms=False)) as server:
        done = cof("check", "--url", server.url, "--model", "m")
    assert done.returncode == 1
    assert "no zoom round trip worked with m" in done.stderr
    nowhere = cof("check", "--url", "http://127.0.0.1:9/v1", "--model", "m")
    assert nowhere.returncode == 1
    assert "Traceback" not in nowhere.stderr
    assert cof("check", "--url", "nowhere", "--model", "m").returncode == 2
