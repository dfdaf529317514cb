"""Every family in its own words: frames, answers and thoughts, what goes over the wire, and families from files."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cof.dialects import frames
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of, names
from cof.errors import InvalidConfig
from cof.geometry import Box, Shown
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import ScriptedModel
from cof.tools.zoom import observed, zooms
from cof.trace import Turn
from cof.types import Answer, Completion, Malformed, Question
from cof.vision import views
from tests.calls import boxes_in

SIZE = (3840, 2160)
FAMILIES = names()


def overview(dialect: Dialect) -> Shown:
    return views.overview(SIZE, dialect.view)


def call(dialect: Dialect, numbers: Sequence[float], **more: object) -> str:
    """A call with numbers as they are, not rounded."""
    arguments = {dialect.box: [*numbers], **more}
    named: object = {"name": dialect.tool, "arguments": arguments}
    body = {"object": arguments, "list": [arguments], "numbers": numbers}.get(dialect.shape, named)
    return dialect.call.replace("…", json.dumps(body).strip("[]") if dialect.shape == "numbers" else json.dumps(body))


def test_every_family_that_is_known() -> None:
    assert set(FAMILIES) == {
        "adaptvision", "claude", "cof", "deepeyes", "ergo", "gemini", "gemma", "glm-v", "internvl2.5", "internvl3", "keye-vl",
        "kimi-vl", "mgpo", "mini-o3", "minicpm-v", "nano", "pixel-reasoner", "plain", "plain-pixel", "plain-unit",
        "qwen2-vl", "qwen2.5-vl", "qwen3-vl", "served",
        "qwen3.5",
    }  # fmt: skip
    assert all(dialect_of(name).name == name for name in FAMILIES)
    assert len({dialect_of(name).fingerprint() for name in FAMILIES}) == len(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_500_regions_come_out_within_a_pixel_at_3840(name: str) -> None:
    dialect, rng = dialect_of(name), random.Random(0)
    first = overview(dialect)
    for _ in range(500):
        x, y = rng.uniform(0, SIZE[0] - 60), rng.uniform(0, SIZE[1] - 60)
        box = Box(x, y, rng.uniform(x + 50, SIZE[0]), rng.uniform(y + 50, SIZE[1]))
        said = call(dialect, list(frames.numbers(box, first, dialect.unit, dialect.order)))
        read = dialect.parse(said, (first,))
        assert isinstance(read, tuple), (said, read)
        crop, wanted = (views.zoom(each, first, dialect.view).region for each in (boxes_in(read)[0], box))
        assert all(abs(a - b) <= 1 for a, b in zip(crop.as_tuple(), wanted.as_tuple(), strict=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_writes_it_reads(name: str) -> None:
    dialect = dialect_of(name)
    first = overview(dialect)
    box = Box(960, 540, 1920, 1080)
    read = dialect.parse(dialect.write(zooms((box,), "sign", "Too small."), (first,)), (first,))
    assert isinstance(read, tuple)
    step = max(first.region.width / first.size[0], first.region.width / 1000)
    assert all(abs(a - b) <= step for a, b in zip(boxes_in(read)[0].as_tuple(), box.as_tuple(), strict=True))
    assert read[0].thought == "Too small."
    assert read[0].label == ("sign" if dialect.label and dialect.shape != "numbers" else "")
    told = dialect.write(Answer("B 2", "I see."), (first,))
    assert dialect.parse(told, (first,)) == Answer("B 2", "I see.")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_goes_through_the_loop(name: str) -> None:
    """A zoom, a turn that means nothing, an answer; the picture of the zoom comes back in the family's own words."""
    dialect = dialect_of(name)
    first = overview(dialect)
    script = [
        dialect.write(zooms((Box(960, 540, 1920, 1080),), "", "Look."), (first,)),
        "",
        dialect.write(Answer("B"), (first,)),
    ]
    model = ScriptedModel(script)
    trace = run(model, Question("1", ("",), "Which?"), Image.new("RGB", SIZE), Setting(dialect.view, dialect=dialect))
    assert (trace.answer, trace.zooms, trace.dialect) == ("B", 1, name)
    assert isinstance(trace.turns[1].action, Malformed)
    reply = model.requests[1].messages[-1]
    assert [part for part in reply.parts if isinstance(part, Shown)] == list(trace.views)
    assert "{" not in "".join(part for part in reply.parts if isinstance(part, str))
    complaint, *_ = model.requests[2].messages[-1].parts
    assert str(complaint).startswith("That did not work: there is neither a call nor an answer")


SAID = [
    ("qwen3-vl", "The sign says B.", Answer("The sign says B.")),
    ("qwen3-vl", "<think>Hm.</think>\nB", Answer("B", "Hm.")),
    ("pixel-reasoner", r"It is small. So \boxed{\text{red}} then.", Answer(r"\text{red}", "It is small. So")),
    ("pixel-reasoner", r"\boxed{a {b} c}", Answer("a {b} c")),
    ("keye-vl", "<analysis>Easy: /no_think</analysis>B", Answer("B", "Easy: /no_think")),
    (
        "keye-vl",
        "<analysis>Hard: /think</analysis><think>Hm.</think><answer>B</answer>",
        Answer("B", "Hard: /think\nHm."),
    ),
    ("keye-vl", r"<think>Hm.</think>So \boxed{B}", Answer("B", "Hm.")),
    ("mini-o3", "<think>Hm.</think><answer>B</answer>", Answer("B", "Hm.")),
    ("plain", "B, I think.", Answer("B, I think.")),
]


@pytest.mark.parametrize(("name", "text", "action"), SAID)
def test_thoughts_and_answers_in_many_shapes(name: str, text: str, action: Answer) -> None:
    dialect = dialect_of(name)
    assert dialect.parse(text, (overview(dialect),)) == action


def crop(dialect: Dialect) -> Shown:
    return views.zoom(Box(1000, 1000, 1400, 1400), overview(dialect), replace(dialect.view, grow=1.0))


@pytest.mark.parametrize(("name", "source"), [("qwen3-vl", 1), ("pixel-reasoner", 2), ("mini-o3", "observation_1")])
def test_a_box_may_lie_in_a_closer_look(name: str, source: object) -> None:
    dialect = dialect_of(name)
    numbers = [500, 500, 1000, 1000] if dialect.unit == "thousand" else [0.5, 0.5, 1.0, 1.0]
    view = crop(dialect)
    read = dialect.parse(call(dialect, numbers, **{dialect.source: source}), (overview(dialect), *(view,)))
    assert isinstance(read, tuple)
    x, y = view.region.center
    assert boxes_in(read)[0].as_tuple() == pytest.approx((x, y, view.region.x1, view.region.y1))


@pytest.mark.parametrize(
    ("name", "source"),
    [("qwen3-vl", 2), ("qwen3-vl", -1), ("qwen3-vl", True), ("pixel-reasoner", 0), ("pixel-reasoner", 3),
     ("mini-o3", "observation_2"), ("mini-o3", "observation_0x1"), ("mini-o3", 1), ("mini-o3", ["original_image"])],
)  # fmt: skip
def test_a_picture_that_is_not_there_is_told(name: str, source: object) -> None:
    dialect = dialect_of(name)
    said = call(dialect, [0.1, 0.1, 0.5, 0.5], **{dialect.source: source})
    read = dialect.parse(said, (overview(dialect), *(crop(dialect),)))
    assert isinstance(read, Malformed)
    assert "names none of the 2 pictures so far; want one of them" in read.fault


def test_a_missing_picture_number_means_the_first() -> None:
    dialect = dialect_of("qwen3-vl")
    read = dialect.parse(call(dialect, [0, 0, 500, 500]), (overview(dialect), *(crop(dialect),)))
    assert isinstance(read, tuple)
    assert boxes_in(read)[0].as_tuple() == pytest.approx((0, 0, 1920, 1080))


def test_an_edge_at_one_does_not_flip_the_frame() -> None:
    dialect = dialect_of("pixel-reasoner")
    first = overview(dialect)
    whole, pixels = (dialect.parse(call(dialect, numbers), (first,)) for numbers in ([0, 0, 1, 1], [0, 0, 2, 2]))
    assert isinstance(whole, tuple)
    assert isinstance(pixels, tuple)
    assert boxes_in(whole)[0] == Box(0, 0, *SIZE)
    assert boxes_in(pixels)[0].width < 3


def test_a_box_over_the_edge_is_cut_and_one_outside_is_told() -> None:
    dialect = dialect_of("qwen2.5-vl")
    first = overview(dialect)
    w, h = first.size
    over = dialect.parse(call(dialect, [w / 2, h / 2, w * 2, h * 2]), (first,))
    assert isinstance(over, tuple)
    assert boxes_in(over)[0].as_tuple() == pytest.approx((SIZE[0] / 2, SIZE[1] / 2, *SIZE))
    assert isinstance(dialect.parse(call(dialect, [w + 5, 0, w + 9, 9]), (first,)), Malformed)


def test_replies_count_observations_and_say_sizes() -> None:
    dialect = dialect_of("mini-o3")
    first, view = overview(dialect), crop(dialect)
    turns = [
        Turn(Completion("a"), zooms((view.region,)), observed((view,))),
        Turn(Completion("b"), zooms((view.region,)), observed((view,))),
    ]
    replies = [
        message.parts[0]
        for message in dialect.messages(Question("", ("",), "?"), (first,), turns)
        if message.role == "user"
    ]
    assert replies[1:] == ["Action 0 gave observation_1:", "Action 1 gave observation_2:"]
    size = dialect_of("pixel-reasoner").messages(Question("", ("",), "?"), (first,), turns[:1])[-1].parts[0]
    assert size == f"Here is that part, {view.size[0]} x {view.size[1]} pixels:"


def test_a_file_adds_a_family(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nlike = "qwen3-vl"\nsystem = "Look."\nuser = "Q: {question}"\n[view]\ngrow = 1.5\n')
    mine, theirs = dialect_of(str(file)), dialect_of("qwen3-vl")
    assert mine == replace(
        theirs,
        name=str(file),
        like="qwen3-vl",
        system="Look.",
        user="Q: {question}",
        view=replace(theirs.view, grow=1.5),
    )
    assert mine.ask(Question("", ("",), "Which?"), direct=True) == "Q: Which?\nAnswer now, without zooming."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('name = "x"', "system is required"),
        ('name = "x"\nsystem = "s"\ncolour = 1', "unknown key 'colour'"),
        ('name = "x"\nsystem = "s"\ncall = "<a>"', "has 0 of …; want one"),
        ('name = "x"\nsystem = "s"\nreply = "no picture"', "has {image} 0 times in reply; want it there once"),
        ('name = "x"\nsystem = "s"\ncall = "…"', "has patterns without tags"),
        ('name = "x"\nsystem = "s"\nanswers = []', "has patterns without tags"),
        ('name = "x"\nsystem = "s"\nanswers = ["…</a>"]', "has patterns without tags"),
        ('name = "x"\nlike = "nobody"', "there is no dialect 'nobody'; want one of adaptvision, claude"),
        ("name = ", "is not TOML"),
    ],
)
def test_a_file_that_is_no_dialect_is_one_line(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(InvalidConfig) as caught:
        dialect_of(str(file))
    assert fault in str(caught.value)


def tool_call(arguments: str, tool: str = "image_zoom_in_tool") -> str:
    return f'<tool_call>{{"name": "{tool}", "arguments": {{{arguments}}}}}</tool_call>'


PIXELS, THOUSANDTHS = '"bbox_2d": [0, 0, %(w)s, %(h)s]', '"bbox_2d": [250, 500, 500, 1000]'
PARTS = '"bbox_2d": [0.25, 0.5, 0.5, 1.0]'
LOW = (960, 1080, 1920, 2160)  # source pixels of a picture of 3840 x 2160
BY_HAND = [  # family, a literal call, and the box it means, by reference.md section 2
    ("cof", tool_call(PIXELS), None),
    ("deepeyes", tool_call(PIXELS), None),
    ("qwen2.5-vl", tool_call(PIXELS), None),
    ("mgpo", f'```json [{{{PIXELS}, "label": "x"}}] ```', None),
    ("qwen3-vl", tool_call(f'"img_idx": 0, "label": "x", {THOUSANDTHS}'), LOW),
    ("keye-vl", tool_call(THOUSANDTHS), LOW),
    ("plain", tool_call(THOUSANDTHS), LOW),
    ("qwen2-vl", "<|box_start|>(250,500),(500,1000)<|box_end|>", LOW),
    ("internvl2.5", "<box>[[250, 500, 500, 1000]]</box>", LOW),
    ("pixel-reasoner", tool_call(f'{PARTS}, "target_image": 1', "crop_image_normalized"), LOW),
    ("mini-o3", f'<grounding>{{{PARTS}, "source": "original_image"}}</grounding>', LOW),
    ("claude", tool_call(PIXELS), None),
    ("adaptvision", tool_call(PIXELS, "request_local_region"), None),
    ("ergo", "<zoom>[0, 0, %(w)s, %(h)s]</zoom>", None),
    ("qwen3.5", tool_call(THOUSANDTHS), LOW),
    ("glm-v", tool_call(THOUSANDTHS), LOW),
    ("gemini", tool_call('"box_2d": [500, 250, 1000, 500]'), LOW),
    ("gemma", tool_call('"box_2d": [500, 250, 1000, 500]'), LOW),
    ("kimi-vl", tool_call(PARTS), LOW),
    ("internvl3", "<box>[[250, 500, 500, 1000]]</box>", LOW),
    ("minicpm-v", "<box>250 500 500 1000</box>", LOW),
]


@pytest.mark.parametrize(("name", "said", "box"), BY_HAND, ids=[name for name, _, _ in BY_HAND])
def test_the_frame_of_each_family_by_hand(name: str, said: str, box: tuple[int, int, int, int] | None) -> None:
    """None: half of the first picture as shown, in its own pixels."""
    dialect = dialect_of(name)
    first = overview(dialect)
    w, h = (side // 2 for side in first.size)
    read = dialect.parse(said.replace("%(w)s", str(w)).replace("%(h)s", str(h)), (first,))
    assert isinstance(read, tuple)
    assert boxes_in(read)[0].as_tuple() == pytest.approx(box or (0, 0, 1920, 1080), abs=1e-6)


def test_view_rules_by_hand() -> None:
    """Factor, grow and scale as reference.md section 2 has them."""
    rules = {name: (view.factor, view.grow, view.scale) for name in FAMILIES for view in [dialect_of(name).view]}
    assert rules["cof"] == (28, 1.5, 2.0)
    assert rules["deepeyes"] == rules["mgpo"] == rules["mini-o3"] == (28, 1.0, 1.0)
    assert rules["qwen3-vl"] == (32, 1.0, 1.0)
    assert rules["pixel-reasoner"] == (28, 1.0, 1.0)
    mgpo, qwen = dialect_of("mgpo").view, dialect_of("qwen3-vl").view
    assert (mgpo.min_pixels, mgpo.max_pixels) == (mgpo.zoom_min_pixels, mgpo.zoom_max_pixels) == (200_704, 1_003_520)
    assert qwen.zoom_min_pixels == 256 * 32**2
    assert dialect_of("deepeyes").view.max_pixels == 16_384 * 28**2


@pytest.mark.parametrize("name", ["deepeyes", "qwen3-vl"])
def test_a_note_beside_a_picture_leaves_its_tags_closed(name: str) -> None:
    dialect = dialect_of(name)
    view = crop(dialect)
    turn = Turn(Completion("a"), zooms((view.region,)), observed((view,)), "Answer {n} now.")
    parts = dialect.messages(Question("", ("",), "?"), (overview(dialect),), [turn])[-1].parts
    assert parts == ("<tool_response>", view, "</tool_response>Answer {n} now.")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_form_of_each_family(name: str) -> None:
    dialect = dialect_of(name)
    first = overview(dialect)
    zoom = dialect.write(zooms((Box(960, 540, 1920, 1080),), "", "Look."), (first,))
    answer = dialect.write(Answer("B", "I see."), (first,))
    assert dialect.well_formed(zoom)
    assert dialect.well_formed(answer)
    assert not dialect.well_formed("")
    assert not dialect.well_formed(answer + zoom)
    assert dialect.well_formed(Answer("B").text) is (
        "…" in dialect.answers and not (dialect.thoughts and dialect.must_think)
    )
    for long in (
        " " * 50_000,
        "a" * 50_000,
        "<think>a</think>" + " " * 50_000,
        r"\boxed{" + "{a}" * 20_000,
        "<think>" * 20_000,
    ):
        dialect.well_formed(long)  # in no time: were it quadratic, this test would not end
        dialect.parse(long, (first,))


def test_turns_that_a_server_took_apart_are_put_together_as_the_family_writes_them() -> None:
    assert dialect_of("qwen2-vl").join("I think hard. Maybe A.", "B", []) == "B"
    body = '{"bbox_2d": [0.1, 0.1, 0.5, 0.5], "source": "original_image"}'
    dialect = dialect_of("mini-o3")
    assert isinstance(dialect.parse(dialect.join("Hm.", "", [("grounding", body)]), (overview(dialect),)), tuple)


def test_a_file_is_known_by_its_absolute_path_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base.toml").write_text('name = "base"\nlike = "mini-o3"\nsystem = "Base."\n')
    (tmp_path / "mine.toml").write_text('name = "mine"\nlike = "base.toml"\ncloser = "Look."\n')
    monkeypatch.chdir(tmp_path)
    mine = dialect_of("mine.toml")
    assert (mine.name, mine.system, mine.closer) == (str(tmp_path / "mine.toml"), "Base.", "Look.")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert dialect_of(mine.name) == dialect_of("../mine.toml") == mine
    assert mine.fingerprint() == replace(mine, name="other").fingerprint()
    with pytest.raises(InvalidConfig, match="there is no dialect '/.*/elsewhere/mine.toml'; want one of"):
        dialect_of("mine.toml")


def test_a_file_that_is_like_itself_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text(f'name = "one"\nlike = "{other}"\n')
    other.write_text(f'name = "other"\nlike = "{one}"\n')
    with pytest.raises(InvalidConfig, match="which is like itself"):
        dialect_of(str(one))
