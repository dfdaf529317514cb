"""Keys: where they come from, and that none is ever told."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cof.errors import InputError
from cof.loop.run import run
from cof.models.remote.endpoint import KEY
from cof.models.remote.endpoint import Endpoint as Posting
from cof.models.remote.model import RemoteModel
from tests.models.remote.endpoints import QUESTION, Endpoint, Reply, by_turn, in_turn, listening, model_at
from tests.properties import cases

PICTURE = Image.new("RGB", (56, 56))
KEYS = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=8, max_size=80)
FORMS = (
    "Incorrect API key provided: {}.",
    "{}",
    "x" * 190 + "{}",
    "line one\nBearer {}\nline three",
    '{{"error": {{"message": "bad key {}"}}}}',
    '{{"detail": [{{"msg": "bad", "loc": ["header", "{}"]}}]}}',
    '{{"detail": "{}',
)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    with listening(by_turn("<answer>B</answer>")) as server:
        run(RemoteModel(server.url, "m"), QUESTION, PICTURE)
        run(RemoteModel(server.url, "m", key="other"), QUESTION, PICTURE)
        run(RemoteModel(server.url, "m", key=""), QUESTION, PICTURE)
    assert [asked.headers.get("Authorization") for asked in server.asked] == ["Bearer secret", "Bearer other", None]


@pytest.fixture(scope="module")
def server() -> Any:
    with listening(in_turn(Reply())) as found:
        yield found


@settings(max_examples=cases(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, form=st.sampled_from(FORMS), status=st.sampled_from([400, 401, 403, 422, 429, 500]))
def test_no_key_is_in_any_error(server: Endpoint, key: str, form: str, status: int) -> None:
    """Whatever a server says of the key that it was sent, and wherever the text is cut."""
    escaped = json.dumps(key)[1:-1] if form.startswith("{{") else key
    server.say = lambda _: Reply(form.format(escaped).encode(), status)
    trace = run(model_at(server, key=key, seconds=0.01 if status in (429, 500) else 5), QUESTION, PICTURE)
    assert trace.error
    assert key not in trace.error
    assert key[: len(key) // 2 + 4] not in trace.error


@pytest.mark.parametrize("key", ["new\nline", "with space", "tab\t", "schlüssel", "\x00"])
def test_a_key_that_no_header_may_hold_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(InputError, match="want printable ASCII") as caught:
        RemoteModel("http://h/v1", "m", key=key)
    assert key not in str(caught.value)


def test_a_key_is_in_no_name_of_the_model() -> None:
    model = RemoteModel("http://h/v1", "m", key="s3cret-key")
    assert "s3cret" not in f"{model.info} {model!r} {Posting('s3cret-key', 1)!r}"
