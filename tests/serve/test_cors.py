"""Web pages of other sites: those that the operator names may ask, with the key where there is one, and no others."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest

from cof.serve.service import Service
from tests.patience import PATIENCE
from tests.serve.asking import ASKED
from tests.serve.test_hostile_model import served

OWN, OTHER = "https://app.example", "https://elsewhere.example"
WANTED = "authorization,content-type,x-stainless-os"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": WANTED}


def preflight(url: str, origin: str) -> httpx.Response:
    return httpx.options(f"{url}/v1/chat/completions", headers={"Origin": origin, **PREFLIGHT}, timeout=PATIENCE)


def ask(url: str, origin: str, key: str) -> httpx.Response:
    headers = {"Origin": origin, "Authorization": f"Bearer {key}"}
    return httpx.post(f"{url}/v1/chat/completions", json={"messages": [ASKED]}, headers=headers, timeout=PATIENCE)


def test_a_page_of_a_named_origin_may_ask_with_the_key() -> None:
    with served(["<answer>red</answer>"], Service(key="secret", origins=(OWN,))) as url:
        allowed = preflight(url, OWN)
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == OWN
        assert "x-stainless-os" in allowed.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        assert ask(url, OWN, "secret").headers["Access-Control-Allow-Origin"] == OWN
        wrong = ask(url, OWN, "wrong")
        assert (wrong.status_code, wrong.headers["Access-Control-Allow-Origin"]) == (401, OWN)


def test_pages_of_other_origins_may_not() -> None:
    with served(["<answer>red</answer>"], Service(key="secret", origins=(OWN,))) as url:
        assert preflight(url, OTHER).status_code == 400
        assert "Access-Control-Allow-Origin" not in ask(url, OTHER, "secret").headers
    with served(["<answer>red</answer>"], Service(key="secret")) as url:
        assert "Access-Control-Allow-Origin" not in preflight(url, OWN).headers
        assert "Access-Control-Allow-Origin" not in ask(url, OWN, "secret").headers


def test_a_name_bound_anew_is_refused_also_for_a_named_origin() -> None:
    with served(["<answer>red</answer>"], Service(origins=(OWN,))) as url:
        reply = httpx.get(f"{url}/v1/models", headers={"Origin": OWN, "Host": "rebound.example"}, timeout=PATIENCE)
    assert reply.status_code == 403


@pytest.mark.parametrize("origin", ["*", "https://app.example/page"])
def test_what_is_no_origin_is_one_line(origin: str) -> None:
    command = [sys.executable, "-m", "cof", "serve", "--cors", origin]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert "is no origin" in done.stderr
    assert len(done.stderr.splitlines()) == 1
