"""Native tool calls over the wire: the tool is told, calls and crops go back in the server's own form."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.dialects.native import FOLLOWS
from cof.loop.run import run
from cof.loop.setting import Setting
from cof.trace import Trace
from cof.types import Limits
from tests.models.remote.endpoints import (
    ANSWER,
    PICTURE,
    QUESTION,
    ZOOM,
    Endpoint,
    Reply,
    by_turn,
    called,
    chat,
    in_turn,
    listening,
    model_at,
    refusing,
)

IN_TOOL = replace(COF, native="tool", must_think=False)
IN_USER = replace(IN_TOOL, native="user")
BOX, OTHER, OUTSIDE = [100, 100, 200, 200], [200, 200, 300, 300], [900, 900, 950, 950]


def setting(dialect: Dialect, **limits: Any) -> Setting:
    return Setting(dialect.view, Limits(**limits), dialect=dialect)


def asked(server: Endpoint) -> list[list[dict[str, Any]]]:
    return [each.body["messages"] for each in server.asked]


def kinds(content: str | list[dict[str, Any]]) -> list[str]:
    return ["text"] if isinstance(content, str) else [part["type"] for part in content]


def talk(dialect: Dialect, *replies: Reply, **limits: Any) -> tuple[Trace, Endpoint]:
    with listening(in_turn(*replies)) as server:
        return run(model_at(server), QUESTION, PICTURE, setting(dialect, **limits)), server


def test_calls_go_back_with_ids_and_crops_in_the_tools_messages() -> None:
    trace, server = talk(IN_TOOL, called(BOX), called(OTHER), Reply())
    assert (trace.answer, trace.zooms) == ("B", 2)
    (tool,) = server.asked[0].body["tools"]
    assert tool["function"]["name"] == "image_zoom_in_tool"
    last = asked(server)[-1]
    assert [message["role"] for message in last] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    calls = [message["tool_calls"][0] for message in last if message["role"] == "assistant"]
    assert [call["id"] for call in calls] == ["call00000", "call00001"]
    assert [message["tool_call_id"] for message in last if message["role"] == "tool"] == ["call00000", "call00001"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"bbox_2d": BOX}, {"bbox_2d": OTHER}]
    assert kinds(last[3]["content"]) == ["image_url", "text"]


@pytest.mark.parametrize("dialect", [IN_TOOL, IN_USER], ids=["tool", "user"])
def test_what_was_sent_is_sent_again_byte_for_byte(dialect: Dialect) -> None:
    _, server = talk(
        dialect, called(BOX, OTHER), called(OUTSIDE), Reply(ZOOM), Reply("neither"), called(OTHER), Reply()
    )
    raws = [each.raw for each in server.asked]
    assert len(raws) == 6
    for earlier, later in pairwise(raws):
        assert later.startswith(earlier[: earlier.index(b'],"tools"')])


def test_crops_stand_in_a_user_turn_where_the_family_wants_them_there() -> None:
    trace, server = talk(IN_USER, called(BOX, OTHER), Reply())
    assert trace.zooms == 2
    roles = [message["role"] for message in asked(server)[1]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    first, second, user = (message["content"] for message in asked(server)[1][3:])
    assert first == second == FOLLOWS
    assert kinds(user) == ["image_url", "image_url", "text"]


def test_an_endpoint_that_takes_no_pictures_from_tools_gets_them_in_user_turns() -> None:
    def of_tools(body: dict[str, Any]) -> bool:
        return any(m["role"] == "tool" and isinstance(m["content"], list) for m in body["messages"])

    words = "Image URLs are only allowed for messages with role 'user', but this message with role 'tool' contains one."
    with listening(refusing(of_tools, words, in_turn(called(BOX), Reply(), called(BOX), Reply()))) as server:
        model = model_at(server)
        traces = [run(model, QUESTION, PICTURE, setting(IN_TOOL)) for _ in range(2)]
    assert [trace.answer for trace in traces] == ["B", "B"]
    assert [of_tools(each.body) for each in server.asked] == [False, True, False, False, False]
    assert model.known.lacks == {"tool pictures"}


def test_every_call_has_a_reply_of_its_own() -> None:
    """Pictures by call; a call without one has the words."""
    _, server = talk(IN_TOOL, called(BOX, OTHER, OUTSIDE), Reply())
    tools = [message["content"] for message in asked(server)[1] if message["role"] == "tool"]
    assert [kinds(content) for content in tools[:1]] == [["text"]]  # a box outside: none of the turn can be followed
    assert tools[0] == tools[1] == tools[2]
    _, server = talk(IN_TOOL, called(BOX, OTHER), Reply(), zooms=1)
    tools = [message["content"] for message in asked(server)[1] if message["role"] == "tool"]
    assert [kinds(content) for content in tools] == [["image_url", "text"], ["text"]]
    assert tools[0][1]["text"] == tools[1] == COF.answer_now


def test_what_is_no_call_stays_text() -> None:
    """A call that is not JSON is complained about in a user turn: a server would refuse it as a call."""
    broken = (
        '{"choices": [{"message": {"content": "", "tool_calls": [{"function": {"name": "x", "arguments": "{bad"}}]}}]}'
    )
    _, server = talk(IN_TOOL, Reply(broken.encode()), Reply())
    assistant, user = asked(server)[1][2:]
    assert "tool_calls" not in assistant
    assert "{bad" in assistant["content"]
    assert (user["role"], user["content"][:4]) == ("user", "That")


@pytest.mark.parametrize("dialect", [COF, IN_TOOL], ids=["no", "tool"])
def test_half_a_character_does_no_harm(dialect: Dialect) -> None:
    body = json.dumps(chat(content="\ud800 " + ZOOM.replace("]}}", '], "label": "\\ud800"}}'))).encode()
    trace, _ = talk(dialect, Reply(body), Reply())
    assert (trace.answer, trace.zooms) == ("B", 1)


def test_calls_as_text_are_native_too_once_they_are_sent_back() -> None:
    _, server = talk(IN_TOOL, Reply("So small." + ZOOM.removeprefix("<think></think>")), Reply())
    assistant = asked(server)[1][2]
    assert assistant["content"] == "So small."
    assert assistant["tool_calls"][0]["function"]["name"] == "image_zoom_in_tool"


def test_a_family_that_does_not_ask_for_it_sends_no_tools() -> None:
    _, server = talk(COF, called(BOX), Reply())
    assert "tools" not in server.asked[0].body
    assert [message["role"] for message in asked(server)[1]] == ["system", "user", "assistant", "user"]


def test_an_endpoint_without_tool_calls_is_told_in_words_that_help() -> None:
    words = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    with listening(refusing(lambda body: "tools" in body, words, by_turn(ANSWER))) as server:
        trace = run(model_at(server), QUESTION, PICTURE, setting(IN_TOOL))
    assert "tool choice requires" in str(trace.error)
    assert 'native = "no"' in str(trace.error)
    assert len(server.asked) == 1


def test_without_a_system_role_calls_are_native_all_the_same() -> None:
    def system(body: dict[str, Any]) -> bool:
        return bool(body["messages"][0]["role"] == "system")

    with listening(refusing(system, "System role not supported", in_turn(called(BOX), Reply()))) as server:
        trace = run(model_at(server), QUESTION, PICTURE, setting(IN_TOOL))
    assert trace.answer == "B"
    assert [message["role"] for message in asked(server)[-1]] == ["user", "assistant", "tool"]


def test_a_family_made_native_by_a_file(tmp_path: Any) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nlike = "qwen3-vl"\nnative = "tool"\nreply = "{image}{words}"\n')
    dialect = dialect_of(str(file))
    trace, server = talk(dialect, called(BOX), Reply("B"))
    assert (trace.answer, trace.zooms) == ("B", 1)
    properties = server.asked[0].body["tools"][0]["function"]["parameters"]["properties"]
    assert properties["img_idx"]["type"] == "integer"
    assert "thousandths" in properties["bbox_2d"]["description"]
    assert kinds(asked(server)[1][3]["content"]) == ["image_url"]
