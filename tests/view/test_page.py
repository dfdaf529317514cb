"""The trace page: what it shows, where it draws it, and that no text of a model can become markup."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from cof.data.outside import OUTSIDE
from cof.dialects.cof import COF
from cof.errors import InvalidImage, ModelError
from cof.geometry import Box, ViewSpec
from cof.loop.policies.known import policy_named
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.models.scripted import Line, ScriptedModel
from cof.needle.drawing import draw_full
from cof.needle.scenes import make_scene
from cof.tools.zoom import zooms
from cof.trace import Trace
from cof.types import Action, Answer, Limits, Malformed, Question
from cof.view import page as page_module
from cof.view.encoded import EncodedPicture
from cof.view.page import UNLISTED, page_without_picture, trace_page
from cof.vision import views
from tests.properties import cases

SIDE = 1200
SPEC = ViewSpec()
FIRST = views.overview((SIDE, SIDE), SPEC)
TRUTH = Box(90, 840, 150, 900)
ASKED = Box(60, 800, 240, 960)
OTHER = Box(600, 300, 900, 660)
HOSTILE = (
    "<script>alert(1)</script>",
    '"onerror="alert(1)" onload=alert(1) x="',
    "' onmouseover='alert(1)",
    "</style><style>@import url(https://evil.example/x.css);</style>",
    "</title></pre></summary></svg><img src=https://evil.example/x.png>",
    '<a href="javascript:alert(1)">here</a>',
    "<!-- ]]> <![CDATA[ {{ 7 * 7 }} {% raw %} &lt;script&gt;",
    "\u202egnp.exe\u2066 \u200b\x00\x1b[31m \U000e0041",
)


class Page(HTMLParser):
    """The elements of a page with their attributes, the text outside its style, and the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text, self.style, self.inside = "", "", ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, _: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self.style += data
        else:
            self.text += data

    def of(self, tag: str, css: str | None = None) -> list[dict[str, str]]:
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if css is None or css in a.get("class", "").split()]

    def skeleton(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


@functools.cache
def picture() -> Image.Image:
    return draw_full(make_scene("validation", 3), SIDE)


def traced(*lines: Line, setting: Setting = Setting(), text: str = "What letter?", answer: str | None = "P") -> Trace:
    question = Question("q", ("/home/someone/q.jpg",), text, ("P", "W"), answer, targets=(TRUTH,))
    return run(ScriptedModel(lines), question, picture(), setting)


def shown(*lines: Line, **options: object) -> Page:
    return Page(trace_page(traced(*lines, **options), picture()))  # type: ignore[arg-type]


def zoom(*found: Box, label: str = "a cross", thought: str = "Too small.") -> str:
    return COF.write(zooms(found, label, thought), (FIRST,))


def answer(text: str = "P", thought: str = "Now I see.") -> str:
    return COF.write(Answer(text, thought), (FIRST,))


@functools.cache
def calm() -> Trace:
    """A trace of a tiny picture, with every kind of turn."""
    question = Question("q", ("q.jpg",), "?", ("P", "W"), "P", "kind", 1, (Box(5, 5, 20, 20),))
    lines = (COF.write(zooms((Box(5, 5, 40, 40),), "a", "b"), (views.overview((56, 56), SPEC),)), "?", answer())
    return run(ScriptedModel(lines), question, tiny(), Setting())


def tiny() -> Image.Image:
    return Image.new("RGB", (56, 56), (120, 130, 140))


def filled(text: str) -> Page:
    """The page of the calm trace with `text` in every place that a model, a question or a server can fill."""
    trace = calm()
    actions: tuple[Action, ...] = (zooms((Box(5, 5, 40, 40),), text, text), Malformed(text, text), Answer(text, text))
    turns = tuple(
        replace(turn, action=action, note=text, completion=replace(turn.completion, text=text))
        for turn, action in zip(trace.turns, actions, strict=True)
    )
    question = replace(
        trace.question, id=text, text=text, images=(text,), choices=(text, "W"), answer=text, category=text
    )
    trace = replace(trace, id=text, question=question, model=text, dialect=text, error=text, turns=turns)
    return Page(trace_page(trace, tiny()))


@functools.cache
def usual() -> list[tuple[str, tuple[str, ...]]]:
    return filled("calm").skeleton()


def numbers(attributes: dict[str, str]) -> tuple[float, ...]:
    assert all(attributes[name].endswith("%") for name in ("x", "y", "width", "height"))
    return tuple(float(attributes[name][:-1]) for name in ("x", "y", "width", "height"))


def percent(box: Box) -> tuple[float, ...]:
    return tuple(100 * v / SIDE for v in (box.x0, box.y0, box.width, box.height))


def pixels(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1])))


def test_a_run_is_told_from_question_to_costs() -> None:
    trace = traced(zoom(ASKED), answer())
    page = Page(trace_page(trace, picture()))
    for words in ("What letter?", "Too small.", "Now I see.", "a cross", "Right", "of its own accord", "scripted"):
        assert words in page.text
    costs = dict(zip(("Zooms", "Visual tokens", "Tokens written"), (1, trace.visual_tokens, trace.tokens), strict=True))
    for name, value in costs.items():
        assert f"\n{name}{value}\n" in page.text
    assert [a["lang"] for a in page.of("html")] == ["en"]
    assert all(a["alt"] for a in page.of("img"))


def test_of_the_path_only_the_name_is_shown() -> None:
    page = trace_page(traced(answer()), picture())
    assert "q.jpg" in page
    assert "someone" not in page


def test_boxes_are_drawn_where_the_views_and_the_truth_are() -> None:
    trace = traced(zoom(ASKED, OTHER), zoom(TRUTH), answer())
    page = Page(trace_page(trace, picture()))
    drawn = [numbers(a) for a in page.of("rect", "frame")]
    assert drawn == [pytest.approx(percent(view.region), abs=1e-3) for view in trace.views]
    assert [numbers(a) for a in page.of("rect", "truth-dash")] == [pytest.approx(percent(TRUTH), abs=1e-3)]
    assert [a["href"] for a in page.of("a", "box")] == ["#turn-1", "#turn-1", "#turn-2"]


def test_crops_are_what_the_model_saw() -> None:
    trace = traced(zoom(ASKED, OTHER), zoom(ASKED), answer())
    page = Page(trace_page(trace, picture()))
    crops = [pixels(a["src"]) for a in page.of("img", "crop")]
    wanted = [views.render(picture(), view, FIRST, SPEC) for view in trace.views]
    assert len(crops) == 3
    assert [c.size for c in crops] == [view.size for view in trace.views]
    assert not any(ImageChops.difference(c, w).getbbox() for c, w in zip(crops, wanted, strict=True))
    assert page.text.count("seen before") == 1


def test_boxes_are_told_in_source_pixels() -> None:
    page = shown(zoom(Box(0, 0, SIDE / 2, SIDE / 4)), answer())
    assert "x 0 to 600, y 0 to 300 px" in page.text


def test_a_large_picture_is_shrunk_and_a_large_view_is_a_jpeg() -> None:
    wide = Image.new("RGB", (2400, 600), (30, 90, 30))
    spec = ViewSpec(max_pixels=2_000_000)
    trace = run(ScriptedModel([answer()]), Question("q", ("q.png",), "What?"), wide, Setting(spec))
    big, overview = (a["src"] for a in Page(trace_page(trace, wide)).of("img"))
    assert pixels(big).size == (1600, 400)
    assert overview.startswith("data:image/jpeg")
    assert pixels(overview).size == trace.overview.size


@pytest.mark.parametrize(
    ("said", "truth", "words", "other"),
    [("p.", "P", "Right", "Wrong"), ("W", "P", "Wrong", "Right"), ("W", None, "W", "Wrong"), ("P", None, "P", "Right")],
)
def test_an_answer_is_judged_where_the_truth_is_known(said: str, truth: str | None, words: str, other: str) -> None:
    page = shown(answer(said), answer=truth)
    assert words in page.text
    assert other not in page.text


def test_a_malformed_turn_shows_its_fault_and_its_text() -> None:
    trace = traced("<b>I do not know</b>", answer())
    page = Page(trace_page(trace, picture()))
    assert "Could not be read" in page.text
    assert "neither a call nor an answer" in page.text
    assert "<b>I do not know</b>" in page.text
    silent = replace(trace, turns=(replace(trace.turns[0], note=""), *trace.turns[1:]))
    assert "Fault:" in Page(trace_page(silent, picture())).text


def test_a_limit_is_named_and_what_was_refused_is_said() -> None:
    page = shown(zoom(ASKED, OTHER), answer(), setting=Setting(limits=Limits(zooms=1)))
    assert "limit on zooms (1), then answered" in page.text
    assert "this was not shown" in page.text
    assert COF.answer_now in page.text
    assert len(page.of("img", "crop")) == 1


def test_a_zoom_that_showed_nothing_does_not_read_as_one() -> None:
    page = shown(zoom(ASKED, label="roof"), answer(), setting=Setting(limits=Limits(zooms=0)))
    assert "1. Asked to zoom in on “roof”: refused" in page.text
    assert "Zoomed in" not in page.text
    assert "this was not shown. The limit on zooms was reached." in page.text
    partly = shown(zoom(ASKED, OTHER, label="roof"), answer(), setting=Setting(limits=Limits(zooms=1)))
    assert "1. Zoomed in on “roof”" in partly.text
    assert "refused" not in partly.text


@pytest.mark.parametrize(
    ("lines", "setting", "reasons"),
    [
        ([zoom(ASKED), answer()], Setting(limits=Limits(zooms=0)), ["The limit on zooms was reached."]),
        ([zoom(ASKED), zoom(OTHER), answer()], Setting(limits=Limits(zooms=1)), ["The limit on zooms was reached."]),
        ([zoom(ASKED)], Setting(policy=policy_named("direct")), ["The model had been asked for its answer."]),
        ([zoom(ASKED)], Setting(limits=Limits(turns=1)), ["The model had been asked for its answer."]),
        ([zoom(ASKED), answer()], Setting(), []),
    ],
)
def test_a_box_that_was_not_shown_says_why(lines: list[str], setting: Setting, reasons: list[str]) -> None:
    page = Page(trace_page(traced(*lines, setting=setting), picture()))
    assert re.findall(r"this was not shown\. (.*)\n", page.text) == reasons


def test_a_box_outside_the_picture_and_those_after_it_say_so() -> None:
    """Dialects refuse such boxes; a trace that was made elsewhere may have them."""
    trace, beyond = traced(zoom(ASKED), answer()), Box(2000, 2000, 2100, 2100)
    first = replace(trace.turns[0], action=zooms((ASKED, beyond, OTHER), "it"))
    page = Page(trace_page(replace(trace, turns=(first, *trace.turns[1:])), picture()))
    want = ["It lies outside the picture.", "A box before it lies outside the picture."]
    assert re.findall(r"this was not shown\. (.*)\n", page.text) == want


def test_a_picture_outside_the_models_world_is_said_above_the_answer() -> None:
    trace = traced(answer())
    outside = Page(trace_page(replace(trace, outside=True), picture()))
    assert outside.text.index(OUTSIDE) < outside.text.index("Answer")
    for other in (trace, replace(trace, outside=False)):
        assert OUTSIDE not in Page(trace_page(other, picture())).text


@pytest.mark.parametrize(("said", "unlisted"), [("P", False), ("(b)", False), ("the letter Q", True), ("P or W", True)])
def test_an_answer_that_is_none_of_the_choices_is_said(said: str, unlisted: bool) -> None:
    assert (UNLISTED in shown(answer(said)).text) == unlisted


def test_an_open_question_and_a_missing_answer_have_no_choices_to_miss() -> None:
    trace = traced(answer("Q"))
    for other in (replace(trace, question=replace(trace.question, choices=())), replace(trace, turns=())):
        assert UNLISTED not in Page(trace_page(other, picture())).text


def test_what_limits_did_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "limit_notes", lambda _: ("1 of 3 crops was <shrunk>.",))
    assert "1 of 3 crops was <shrunk>." in shown(answer()).text


def test_a_trace_whose_picture_is_gone_is_shown_on_grey() -> None:
    trace = traced(zoom(ASKED), answer())
    page = Page(page_without_picture(trace, "picture 'q.jpg' does not exist"))
    assert page.text.index("picture 'q.jpg' does not exist") < page.text.index("Answer")
    assert "Too small." in page.text
    red, green, blue = np.asarray(pixels(page.of("img")[0]["src"]).convert("RGB"))[0, 0].tolist()
    assert max(red, green, blue) - min(red, green, blue) <= 2


def test_a_page_without_its_picture_is_small_however_large_that_was() -> None:
    question, spec = Question("q", ("gone.jpg",), "What?"), ViewSpec(max_pixels=20_000_000)
    size = (30_000, 20_000)
    trace = replace(traced(answer()), question=question, spec=spec, overviews=(views.overview(size, spec),))
    page = page_without_picture(trace, "it is gone")
    assert len(page) < 100_000
    assert "30000 × 20000 px" in page


def test_pages_about_one_picture_share_what_was_encoded() -> None:
    encoded = EncodedPicture(picture())
    first, second = (Page(trace_page(traced(zoom(ASKED), answer()), encoded)) for _ in range(2))
    assert [a["src"] for a in first.of("img")] == [a["src"] for a in second.of("img")]
    assert encoded.whole is encoded.whole
    trace = traced(zoom(ASKED), answer())
    assert encoded.view(trace.overview, trace) is encoded.view(trace.overview, trace)
    resized = replace(trace, spec=replace(SPEC, source="resized"))
    assert encoded.view(trace.views[0], trace) != encoded.view(trace.views[0], resized)


def test_what_was_asked_alone_has_no_made_up_name() -> None:
    trace = traced(answer())
    settings = Page(trace_page(replace(trace, id="ask", question=replace(trace.question, id="ask")), picture())).of(
        "dt"
    )
    named = Page(trace_page(trace, picture())).of("dt")
    assert len(named) - len(settings) == 2


def test_a_run_without_an_answer_is_not_called_wrong() -> None:
    page = shown("…", setting=Setting(limits=Limits(turns=1)))
    assert "No answer" in page.text
    assert "Wrong" not in page.text
    assert "gave none" in page.text


def test_a_failed_run_shows_its_error_and_what_came_before() -> None:
    def fail(_: object) -> str:
        raise ModelError("the endpoint said <503>")

    page = shown(zoom(ASKED), fail)
    assert "Failed" in page.text
    assert "the endpoint said <503>" in page.text
    assert "Wrong" not in page.text
    assert len(page.of("img", "crop")) == 1


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidImage, match="want 1200 x 1200"):
        trace_page(traced(answer()), Image.new("RGB", (64, 64)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    page = filled(text)
    assert page.skeleton() == usual()
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("mask", "url(#").startswith("url(#")


@given(st.text(st.characters() | st.sampled_from("<>\"'&/= "), min_size=1))
@settings(max_examples=cases(15), deadline=None)
def test_no_text_changes_the_elements_of_the_page(text: str) -> None:
    assert filled(f"x{text}").skeleton() == usual()


def test_hidden_characters_are_spelt_out() -> None:
    page = trace_page(traced(answer("\u202egnp\ud800\u200b👩‍🔬")), picture())
    assert "⟨U+202E⟩gnp⟨U+D800⟩⟨U+200B⟩👩‍🔬" in page
    assert "\u202e" not in page
    page.encode()  # a lone surrogate would raise


def test_the_page_needs_no_network_and_admits_only_its_style() -> None:
    page = shown(zoom(ASKED), answer())
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'")
    assert not re.search(r"url\(|@import|https?:", page.style)
    assert len(page.of("style")) == 1


def test_every_reference_within_the_page_leads_somewhere() -> None:
    page = shown(zoom(ASKED), "what?", zoom(OTHER), answer())
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.of("a")} <= set(ids)
    assert {a["mask"][5:-1] for a in page.of("rect", "shade")} <= set(ids)
