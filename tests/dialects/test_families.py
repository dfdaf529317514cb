"""What a family is known by and asked with: names of models, options, what comes after a crop, boxes of answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_for, dialect_of, names
from cof.dialects.options import lettered
from cof.errors import InvalidConfig
from cof.geometry import Box, Shown
from cof.tools.zoom import observed, zooms
from cof.trace import Turn
from cof.types import Completion, Question
from cof.vision import views

SIZE = (3840, 2160)
LOW = (960, 1080, 1920, 2160)  # source pixels of a picture of that size
FAMILIES = names()


def overview(dialect: Dialect) -> Shown:
    return views.overview(SIZE, dialect.view)


def crop(dialect: Dialect) -> Shown:
    return views.zoom(Box(1000, 1000, 1400, 1400), overview(dialect), dialect.view)


NAMED = [
    ("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl"), ("qwen3-vl:30b", "qwen3-vl"), ("Qwen3-VL-30B-A3B-Thinking-FP8", "qwen3-vl"),
    ("qwen2.5-vl-7b", "qwen2.5-vl"), ("qwen2.5vl:7b", "qwen2.5-vl"), ("Qwen2_5-VL-72B", "qwen2.5-vl"),
    ("Qwen2-VL-2B", "qwen2-vl"),
    ("Qwen/Qwen3.5-9B", "qwen3.5"), ("qwen3.6-27b", "qwen3.5"), ("gemini-3-pro", "gemini"),
    ("google/gemini-2.5-flash", "gemini"),
    ("claude-opus-4-6", "claude"), ("anthropic/claude-sonnet-4.5", "claude"), ("DeepEyes-7B", "deepeyes"), ("nano", "nano"),
    ("cof-nano", "nano"), ("NANO ", "nano"), ("google/gemma-3-27b-it", "gemma"), ("gemma3:4b", "gemma"),
    ("gemma-4-31b", "gemma"),
    ("zai-org/GLM-4.5V", "glm-v"), ("glm-4.6v-flash", "glm-v"), ("OpenGVLab/InternVL3_5-8B", "internvl3"),
    ("InternVL2_5-8B", "internvl2.5"), ("openbmb/MiniCPM-V-4_5", "minicpm-v"), ("PixelReasoner-RL-v1", "pixel-reasoner"),
    ("Mini-o3-7B-v1", "mini-o3"), ("nota-ai/ERGO-7B", "ergo"), ("moonshotai/Kimi-VL-A3B-Thinking-2506", "kimi-vl"),
    ("CoF-rl-model-7b", "cof"), ("AdaptVision-7B", "adaptvision"), ("Kwai-Keye/Keye-VL-8B-Preview", "keye-vl"),
]  # fmt: skip
UNKNOWN = ["", "gpt-4o", "gpt-5-nano", "gpt-4.1-nano", "DeepEyesV2-7B", "paligemma-3b", "llava", "hyperergo", "coffee",
           "qwen3-8b", "glm-4.5", "../../etc/passwd", "kimi-k2", "nanochat"]  # fmt: skip


@pytest.mark.parametrize(("model", "family"), [*NAMED, *((model, None) for model in UNKNOWN)])
def test_a_family_is_known_by_the_name_of_its_models(model: str, family: str | None) -> None:
    assert dialect_for(model) == family


def test_every_family_but_plain_is_known_by_a_name() -> None:
    assert {name for name in FAMILIES if not dialect_of(name).models} == {
        "plain",
        "plain-pixel",
        "plain-unit",
        "served",
    }
    assert all(dialect_for(name) == name for name in FAMILIES)


@pytest.mark.parametrize(
    ("choices", "lines"),
    [
        (("red", "blue"), "(A) red\n(B) blue"),
        (("(A) red", "(B) blue"), "(A) red\n(B) blue"),
        (("A. red", "B. blue"), "A. red\nB. blue"),
        (("B. Smith", "A. Jones"), "(A) B. Smith\n(B) A. Jones"),
        (("C", "A", "B"), "C\nA\nB"),
        (("1", "2"), "(A) 1\n(B) 2"),
        ((), ""),
    ],
)
def test_options_with_letters(choices: tuple[str, ...], lines: str) -> None:
    assert lettered(choices) == lines


def test_more_options_than_letters_have_none() -> None:
    many = tuple(f"option {n}" for n in range(27))
    assert lettered(many) == "\n".join(many)
    assert lettered(many[:26]).endswith("(Z) option 25")


def test_a_family_that_was_trained_with_letters_is_asked_with_them() -> None:
    question = Question("", ("",), "Which {choices}?", ("red", "blue {question}"))
    asked = dialect_of("qwen3-vl").ask(question)
    assert asked.splitlines()[0] == "Which {choices}?"
    assert asked.splitlines()[-3:-1] == ["(A) red", "(B) blue {question}"]
    assert dialect_of("plain").ask(question).endswith("Choose one of: red, blue {question}.")


def test_the_question_may_be_put_again_after_a_crop() -> None:
    dialect = dialect_of("ergo")
    view = crop(dialect)
    turn = Turn(Completion("a"), zooms((view.region,)), observed((view,)))
    question = Question("", ("",), " Which {words}? ", ("red", "blue"))
    _, words = dialect.messages(question, (overview(dialect),), [turn])[-1].parts
    assert str(words).splitlines()[:3] == ["Which {words}?", "(A) red", "(B) blue"]
    mine = replace(dialect, reply="{before}/{n} {choices}{image}{words}")
    assert mine.messages(question, (overview(dialect),), [turn])[-1].parts[0] == "0/1 red, blue"


@pytest.mark.parametrize("choose", ["Say it.", "{choices} {choices}", "{lettered} {lettered}"])
def test_options_stand_in_choose_once(choose: str) -> None:
    with pytest.raises(InvalidConfig, match="times in choose; want it there once"):
        replace(dialect_of("plain"), choose=choose)


def test_what_did_not_change_has_its_old_fingerprint() -> None:
    """Evaluations that began before go on: what is newer is hashed only where it is used."""
    old = {"cof": "6a1138592b28ce1d", "nano": "b9a10b4045351629", "plain": "9f7059e49247d47f"}
    assert {name: dialect_of(name).fingerprint() for name in old} == old
    plain = dialect_of("plain")
    assert replace(plain, models=("x",)).fingerprint() == plain.fingerprint()
    newer = [
        replace(plain, order="yx"),
        *(replace(plain, view=view) for view in (replace(plain.view, pad=1), replace(plain.view, max_side=1))),
    ]
    assert len({each.fingerprint() for each in (plain, *newer)}) == 4


BOXES = [
    ("plain", '{"bbox_2d": [250, 500, 500, 1000], "label": "sign 2"}'), ("plain", "[250, 500, 500, 1000]"),
    ("plain", "(250,500),(500,1000)"), ("plain", "(250, 500), (500, 1000)"), ("plain", "[[250, 500], [500, 1000]]"),
    ("plain", '```json\n[{"bbox_2d": [250, 500, 500, 1000]}]\n```'), ("plain", "The 2 signs are at [250, 500, 500, 1000]."),
    ("plain", '{"x1": 250, "y1": 500, "x2": 500, "y2": 1000}'), ("plain", "from (250, 500) to (500, 1000)"),
    ("plain", '{"box_2d": [500, 250, 1000, 500]}'), ("plain", "<box>250 500 500 1000</box>"),
    ("plain", "[250, 500, 500, 1000] and again [250, 500, 500, 1000]"), ("gemini", "[500, 250, 1000, 500]"),
    ("kimi-vl", "[0.25, 0.5, 0.5, 1.0]"), ("pixel-reasoner", "[0.25, 0.5, 0.5, 1]"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "said"), BOXES)
def test_the_box_of_an_answer(name: str, said: str) -> None:
    dialect = dialect_of(name)
    found = dialect.answer_box(said, overview(dialect))
    assert found is not None
    assert found.as_tuple() == pytest.approx(LOW)


def test_the_box_of_an_answer_in_pixels_of_what_was_shown() -> None:
    dialect = dialect_of("claude")
    first = overview(dialect)
    w, h = (side // 2 for side in first.size)
    found = dialect.answer_box(f"[0, 0, {w}px, {h}px]", first)
    assert found is not None
    assert found.as_tuple() == pytest.approx((0, 0, 1920, 1080))


@pytest.mark.parametrize(
    "said",
    [
        "",
        "red",
        "[1, 2, 3]",
        "[1, 2, 3, 4, 5]",
        "[1, 2, 30, 40], [5, 6, 70, 80]",
        "[30, 40, 1, 2]",
        "[2000, 1, 3000, 9]",
        "5 of 9",
    ],
)
def test_an_answer_without_one_box(said: str) -> None:
    dialect = dialect_of("plain")
    assert dialect.answer_box(said, overview(dialect)) is None


@pytest.mark.parametrize(
    "size", [SIZE, (20000, 600), (600, 20000), (16000, 12000), (1600, 1200), (40, 30), (1569, 8), (1400, 900)]
)
def test_claude_is_sent_what_it_sees(size: tuple[int, int]) -> None:
    """Nothing is shrunk a second time, so that pixels of what was sent are pixels of what was seen."""
    spec = dialect_of("claude").view
    first = views.overview(size, spec)
    w, h = size
    found = [views.zoom(Box(0, 0, w / n, h / m), first, spec) for n in (1, 2, 7) for m in (1, 3, 9)]
    for view in (first, *found):
        assert max(view.size) <= 1568
        assert view.pixels <= 1_150_000
        assert not any(side % 28 for side in view.size)
