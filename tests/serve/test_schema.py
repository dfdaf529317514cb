"""Schemathesis asks what the server's OpenAPI document describes, and what it rules out: no 5xx, whatever is sent.

Its plugin for pytest is not used: 4.32.5 breaks off under pytest 9.2, and Hypothesis needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.patience import PATIENCE
from tests.properties import cases
from tests.serve.conftest import start
from tests.serve.test_hostile import as_url, picture

pytestmark = pytest.mark.long

HEADERS = {"Authorization": "Bearer secret"}
FREE = ("/", "/health")  # what wants no key
SMALL = {"type": "image_url", "image_url": {"url": as_url(picture())}}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
MANY = settings(max_examples=cases(100), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FEW = settings(MANY, max_examples=cases(30))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that wants a key."""
    key = tmp_path_factory.mktemp("serve") / "key"
    key.write_text("secret\n")
    server, url = start("--key-file", str(key), "--limit", "turns=1", "--limit", "tokens=32")
    yield url
    server.kill()
    server.wait()


@pytest.fixture(scope="module")
def operations(guarded: str) -> list[schemathesis.APIOperation]:
    document = schemathesis.openapi.from_url(f"{guarded}/openapi.json", headers=HEADERS)
    return [found.ok() for found in document.get_all_operations()]  # type: ignore[union-attr]


@given(data=st.data())
@MANY
def test_no_request_breaks_the_server(operations: list[schemathesis.APIOperation], data: st.DataObject) -> None:
    case = data.draw(requests_to(operations))
    case.call_and_validate(headers=HEADERS, checks=CHECKS, timeout=60)


@given(data=st.data())
@FEW
def test_no_request_about_a_picture_breaks_the_server(
    operations: list[schemathesis.APIOperation], data: st.DataObject
) -> None:
    """As generated, but for a question and a picture that the model can be asked about."""
    (chat,) = (one for one in operations if one.path == "/v1/chat/completions")
    case, text = data.draw(requests_to([chat])), data.draw(st.text(min_size=1))
    if isinstance(case.body, dict):
        asked: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": text}, SMALL]}
        case.body = {**case.body, "messages": [asked]}
    case.call_and_validate(headers=HEADERS, checks=CHECKS, timeout=60)


def test_all_that_is_described_wants_the_key(guarded: str, operations: list[schemathesis.APIOperation]) -> None:
    for one in operations:
        reply = httpx.request(one.method, guarded + one.path.replace("{name}", "x"), timeout=PATIENCE)
        assert (reply.status_code == 401) == (one.path not in FREE), one.label


def requests_to(operations: list[schemathesis.APIOperation]) -> st.SearchStrategy[schemathesis.Case]:
    """Requests that keep to the document, and some that do not."""
    return st.one_of([one.as_strategy(generation_mode=mode) for one in operations for mode in GenerationMode])
