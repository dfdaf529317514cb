"""The setting of a model by its `info` alone: dialect, view rules, opening words and tokens of a turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

import cof
from cof.dialects.named import dialect_of
from cof.geometry import ViewSpec
from cof.loop.setting import TURN_TOKENS, setting_of
from cof.models.base import Conversation, ModelInfo
from cof.models.remote.model import RemoteModel
from cof.models.scripted import ScriptedModel
from cof.vision.views import PAPER
from tests.models.remote.endpoints import ANSWER, by_turn, listening, models

OWN = ViewSpec(max_pixels=100 * 32 * 32, factor=32)


class Stranger:
    """A model of somebody else: a name and `converse`, and nothing of ours."""

    info = ModelInfo("stranger")

    def converse(self, conversations: Iterable[Conversation]) -> None:
        ScriptedModel([ANSWER]).converse(conversations)


def model(name: str = "m", **fields: Any) -> ScriptedModel:
    return ScriptedModel([ANSWER], replace(ModelInfo(name), **fields))


def test_a_name_and_converse_make_a_model() -> None:
    trace = cof.ask(Image.new("RGB", (64, 64)), "What?", model=Stranger())
    assert (trace.answer, trace.model, trace.dialect, trace.outside) == ("B", "stranger", "cof", None)


@pytest.mark.parametrize(
    ("fields", "dialect"),
    [
        ({}, "cof"),
        ({"name": "Qwen3-VL-8B"}, "qwen3-vl"),
        ({"name": "Qwen3-VL-8B", "dialect": "cof"}, "cof"),
        ({"name": "Qwen3-VL-8B", "find_dialect": lambda: "plain"}, "plain"),
        ({"dialect": "plain", "find_dialect": lambda: "served"}, "plain"),
    ],
)
def test_the_dialect_is_the_models_own_or_found_or_by_name(fields: dict[str, Any], dialect: str) -> None:
    assert setting_of(model(**fields)).dialect == dialect_of(dialect)


def test_the_dialect_is_not_looked_for_where_it_is_given() -> None:
    def never() -> str:
        raise AssertionError

    assert setting_of(model(find_dialect=never), dialect=dialect_of("plain")).dialect.name == "plain"


@pytest.mark.parametrize(
    ("spec", "carded", "wanted"),
    [(None, False, PAPER), (OWN, True, OWN), (OWN, False, replace(PAPER, factor=32))],
)
def test_view_rules_are_the_cards_or_the_dialects_with_the_models_factor(
    spec: ViewSpec | None, carded: bool, wanted: ViewSpec
) -> None:
    assert setting_of(model(spec=spec, carded=carded)).spec == wanted


def test_opening_words_suit_the_dialect_and_tokens_are_the_cards() -> None:
    opening = "<think>I look.</think>"
    setting = setting_of(model(zoom_opening=opening, turn_tokens=7))
    assert (setting.zoom_opening, setting.sampling.tokens) == (opening, 7)
    assert setting_of(model(zoom_opening="Hm"), dialect=dialect_of("cof")).zoom_opening == ""
    assert setting_of(model()).sampling.tokens == TURN_TOKENS


def test_an_endpoint_is_asked_for_its_dialect_once_and_only_where_none_is_given() -> None:
    with listening(by_turn(ANSWER)) as server:
        server.listing = models("m")
        remote = RemoteModel(server.url, "m")
        assert remote.info.name == "m"
        assert setting_of(remote, dialect=dialect_of("cof")).dialect.name == "cof"
        assert len(server.listed) == 0
        assert [setting_of(remote).dialect.name for _ in range(2)] == ["plain", "plain"]
        assert len(server.listed) == 1
