"""Models by reference: each command opens them in one place, each endpoint with its own key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cof.agent.roles import ModelPlayers, Role, Roles
from cof.errors import InputError
from cof.models.base import Request, complete
from cof.models.opening import ModelRef, open_local, open_model
from cof.models.remote.endpoint import KEY
from cof.models.remote.model import SECONDS, RemoteModel
from cof.types import Sampling
from cof.vision.urls import Wire
from tests.commands import cof
from tests.models.remote.endpoints import ANSWER, Endpoint, by_turn, listening, models

ASKED = Request((), {}, Sampling())
AWAY = ModelRef("m", ("http://127.0.0.1:9/v1",))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("s3cret\n")
    return file


def keys(server: Endpoint) -> list[str | None]:
    return [asked.headers.get("Authorization") for asked in (*server.listed, *server.asked)]


def test_the_key_of_a_file_goes_to_the_endpoint_and_is_not_shown(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "environment")
    with listening(by_turn("B")) as server:
        server.listing = models("only")
        ref = ModelRef(None, (server.url,), key_file=key_file)
        for each in (ref, replace(ref, name="m", key="given", key_file=None), replace(ref, name="m", key_file=None)):
            complete(open_model(each), [ASKED])
        assert keys(server) == [f"Bearer {key}" for key in ("s3cret", "s3cret", "given", "environment")]
    assert "given" not in repr(replace(ref, key="given"))


def test_a_reference_says_how_the_endpoint_is_asked() -> None:
    model = open_model(replace(AWAY, seconds=7.0, batch=3, wire=Wire("jpeg", 80)))
    assert isinstance(model, RemoteModel)
    assert (model.seconds, model.batch, model.info.wire, model.info.name) == (7.0, 3, "jpeg:80", "m")
    assert open_model(AWAY).info.wire == str(Wire())
    assert AWAY.seconds == SECONDS


def test_a_model_in_this_process_runs_where_the_reference_says() -> None:
    model = open_local(ModelRef(device="cpu", batch=5))
    assert (model.info.name, model.network.device.type, model.engine.size) == ("nano", "cpu", 5)


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        (replace(AWAY, urls="http://127.0.0.1:9/v1"), "want a tuple"),  # type: ignore[arg-type]
        (replace(AWAY, adapter="x"), "let its server load it"),
        (replace(AWAY, device="cpu"), "let its server load it"),
        (replace(AWAY, key="k", key_file=Path("key")), "want one of them"),
        (replace(AWAY, key_file=Path("no-such-file")), "cannot be read"),
        (ModelRef(key_file=Path("key")), "for no endpoint"),
        (ModelRef(key="k"), "a key is for an endpoint"),
        (ModelRef(wire=Wire()), "a wire is for an endpoint"),
    ],
)
def test_what_does_not_go_together_is_refused(ref: ModelRef, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_model(ref)


def test_each_role_of_a_search_has_its_key(key_file: Path) -> None:
    with listening(by_turn("B")) as one, listening(by_turn("B")) as other:
        roles = Roles(Role("m", one.url, key_file=str(key_file)), reader=Role("m", other.url))
        players = ModelPlayers.of(roles)
        for part in ("planner", "reader"):
            complete(players.models[part], [ASKED])
    assert (keys(one), keys(other)) == (["Bearer s3cret"], [None])


@pytest.mark.long
def test_a_judge_of_an_evaluation_has_its_key(key_file: Path, tmp_path: Path) -> None:
    def judged(*options: Any) -> Any:
        asked = ["--n", 1, "--side", 448, "--arms", "direct", "--url", model.url, "--model", "m"]
        return cof("eval", "needle", *asked, "--judge", judge.url, *options, "--out", tmp_path / "run")

    with listening(by_turn(ANSWER.replace("B", "a thing"))) as model, listening(by_turn('{"right": true}')) as judge:
        missing = judged("--judge-key-file", tmp_path / "none")
        assert (missing.returncode, (tmp_path / "run").exists(), len(model.asked)) == (2, False, 0)
        assert judged("--judge-key-file", key_file).returncode == 0
        assert set(keys(judge)) == {"Bearer s3cret"}
        assert set(keys(model)) == {None}
