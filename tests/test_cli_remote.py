"""Endpoints on the command line, in a process of its own: several URLs, keys from files, and what is refused."""

from __future__ import annotations

import base64
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cof.dialects.named import dialect_of
from cof.models.remote.model import RemoteModel
from tests.commands import cof
from tests.models.remote.endpoints import ANSWER, ZOOM, Asked, Reply, by_turn, in_turn, listening, models
from tests.patience import PATIENCE

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "examples" / "plaza.jpg"


def test_an_evaluation_is_spread_over_replicas(tmp_path: Path) -> None:
    with listening(by_turn(ZOOM, ANSWER)) as one, listening(by_turn(ZOOM, ANSWER)) as other:
        options = ["--n", 6, "--side", 448, "--arms", "own", "--concurrency", 2, "--out", tmp_path / "run"]
        done = cof("eval", "needle", "--url", one.url, "--url", other.url, "--model", "m", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["own"]["failed"] == 0
    assert min(len(one.asked), len(other.asked)) >= 4
    assert len(one.asked) + len(other.asked) == 12


@pytest.mark.long
def test_a_metric_scores_every_question_and_is_named(tmp_path: Path) -> None:
    lines = [{"question": "What does it say?", "image": str(PICTURE), "answer": truth} for truth in ("Boa", "B", "xyz")]
    (tmp_path / "open.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "options.jsonl").write_text(json.dumps(lines[1] | {"choices": ["B", "C"]}) + "\n")
    run = ["--model", "m", "--dialect", "cof", "--arms", "own", "--out", tmp_path / "run"]
    with listening(by_turn("<think>So.</think><answer>Bo</answer>")) as server:
        url = ["eval", "jsonl", "--url", server.url, *run, "--data"]
        refused = [
            cof(*url, tmp_path / "open.jsonl", "--metric", "bleu"),
            cof(*url, tmp_path / "open.jsonl", "--metric", "iou"),
            cof(*url, tmp_path / "options.jsonl", "--metric", "anls"),
        ]
        done = cof(*url, tmp_path / "open.jsonl", "--metric", "anls")
        other = cof(*url, tmp_path / "open.jsonl", "--metric", "relaxed")
    words = [
        "want one of match, anls, relaxed, iou",
        "the truth 'Boa' is no box",
        "has options, which are right or wrong",
    ]
    for each, word in zip(refused, words, strict=True):
        assert (each.returncode, each.stderr.count("\n")) == (2, 1), each.stderr
        assert word in each.stderr
    assert done.returncode == 0, done.stderr
    arm = json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["own"]
    assert (arm["metric"], arm["n"]) == ("anls", 3)
    assert abs(arm["accuracy"] - (2 / 3 + 1 / 2 + 0) / 3) < 1e-9
    assert "38.9 anls" in done.stdout
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["metric"] == "anls"
    assert other.returncode == 2, other.stderr
    assert "has other settings: metric" in other.stderr


def test_a_key_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    with listening(by_turn(ANSWER)) as server:
        done = cof(
            "ask", PICTURE, "What?", "--url", server.url, "--model", "m", "--key-file", tmp_path / "key", "--json"
        )
    assert json.loads(done.stdout)["answer"] == "B", done.stderr
    assert server.asked[0].headers["Authorization"] == "Bearer secret"


def test_bad_endpoints_and_keys_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "two").write_text("one two")
    url = ["--url", "http://127.0.0.1:9/v1"]
    for options, words in (
        (["--url", "http://me:hush@127.0.0.1/v1"], "keys in a file"),
        (["--url", "127.0.0.1:8000"], "is no endpoint"),
        ([*url, "--key-file", tmp_path / "empty"], "holds no key"),
        ([*url, "--key-file", tmp_path / "two"], "want printable ASCII"),
        ([*url, "--key-file", tmp_path / "none"], "cannot be read (No such file"),
        ([*url, "--adapter", "x"], "let its server load it"),
        (["--key-file", tmp_path / "two"], "leave it out"),
    ):
        done = cof("ask", PICTURE, "What?", *options)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert "hush" not in done.stderr
        assert "one two" not in done.stderr


def forms(asked: list[Asked]) -> set[str]:
    """The forms in which pictures were sent."""
    return {form.decode() for each in asked for form in re.findall(rb"data:image/(\w+);", each.raw)}


NEEDLES = ["needle", "--n", 1, "--side", 1792, "--arms", "own", "--dialect", "plain"]


def test_an_evaluation_sends_png_and_records_the_wire(tmp_path: Path) -> None:
    for options, form, recorded in (([], "png", "png"), (["--wire", "jpeg:85"], "jpeg", "jpeg:85")):
        with listening(by_turn("B")) as server:
            done = cof("eval", *NEEDLES, "--url", server.url, "--model", "m", *options, "--out", tmp_path / form)
        assert done.returncode == 0, done.stderr
        assert json.loads((tmp_path / form / "manifest.json").read_text())["wire"] == recorded
        assert forms(server.asked) == {form}
    with listening(by_turn("B")) as server:
        done = cof("eval", *NEEDLES, "--url", server.url, "--model", "m", "--wire", "png", "--out", tmp_path / "jpeg")
        assert done.returncode == 2  # another wire is another evaluation
        assert not server.asked


def test_a_wire_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    url = ["--url", "http://127.0.0.1:9/v1", "--model", "m"]
    for options, words in (
        ([*url, "--wire", "webp"], "want auto, png, jpeg"),
        ([*url, "--wire", "jpeg:0"], "want 1 to 100"),
        (["--wire", "jpeg"], "a wire is for an endpoint"),
    ):
        done = cof("eval", *NEEDLES, *options, "--out", tmp_path / "run")
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_where_everything_failed_the_last_line_is_the_endpoints_own_error(tmp_path: Path) -> None:
    for words in ("the card is on fire", "This model's maximum context length is 4096 tokens."):
        said = Reply(json.dumps({"error": {"message": words}}).encode(), 400)
        with listening(in_turn(said)) as server:
            done = cof("eval", *NEEDLES, "--n", 2, "--url", server.url, "--model", "m", "--out", tmp_path / words[:8])
        assert done.returncode == 1
        assert words in done.stderr.strip().splitlines()[-1]
    assert "--budget N" in done.stderr.strip().splitlines()[-1]


def test_where_something_failed_the_evaluation_has_a_report(tmp_path: Path) -> None:
    with listening(in_turn(Reply(b"odd", 400), Reply("B"))) as server:
        done = cof("eval", *NEEDLES, "--n", 2, "--url", server.url, "--model", "m", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "cof: 1 of 2 failed; the same command tries them again; the first: m at " in done.stderr


def test_the_only_model_of_an_endpoint_needs_no_name(tmp_path: Path) -> None:
    with listening(by_turn("B")) as server:
        server.listing = models("Qwen/Qwen3-VL")
        done = cof("eval", *NEEDLES, "--url", server.url, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert f"the model is Qwen/Qwen3-VL, the only one at {server.url}" in done.stderr
    assert {asked.body["model"] for asked in server.asked} == {"Qwen/Qwen3-VL"}
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["model"] == "Qwen/Qwen3-VL"


def test_an_endpoint_of_several_models_or_none_wants_a_name(tmp_path: Path) -> None:
    for listing, code, words in (
        (models("a", "b"), 2, "has 2 models: a, b; want the name of one as --model"),
        (models(*map(str, range(11))), 2, "has 11 models: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more; want"),
        (models(), 2, "lists no model; want"),
        (Reply(b"who?", 401), 1, "--key-file"),
    ):
        with listening(by_turn("B")) as server:
            server.listing = listing
            done = cof("eval", *NEEDLES, "--url", server.url, "--out", tmp_path / "run")
        assert done.returncode == code
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not server.asked


def test_an_endpoint_that_is_not_there_is_named_at_once(tmp_path: Path) -> None:
    done = cof("eval", *NEEDLES, "--url", "http://127.0.0.1:9/v1", "--out", tmp_path / "run")
    assert done.returncode == 1
    assert "http://127.0.0.1:9/v1 lists no models (ConnectError" in done.stderr


def test_a_server_has_several_upstreams_and_their_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    image = base64.b64encode(PICTURE.read_bytes()).decode()
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}},
    ]
    with listening(by_turn(ANSWER)) as one, listening(by_turn(ANSWER)) as other:
        one.listing = models("m")
        options = ["--upstream", one.url, "--upstream", other.url, "--upstream-key-file", str(tmp_path / "key")]
        command = [sys.executable, "-m", "cof", "serve", "--wire", "jpeg:90", "--port", "0", *options]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            for _ in range(4):
                body = {"messages": [{"role": "user", "content": parts}]}
                reply = httpx.post(f"{found[0]}/chat/completions", json=body, timeout=PATIENCE).json()
                assert reply["choices"][0]["message"]["content"] == "B"
        finally:
            server.kill()
            server.communicate()
    assert (len(one.asked), len(other.asked)) == (2, 2)
    assert {asked.body["model"] for asked in (*one.asked, *other.asked)} == {"m"}
    assert forms([*one.asked, *other.asked]) == {"jpeg"}
    assert one.listed[0].headers["Authorization"] == "Bearer secret"
    assert {asked.headers["Authorization"] for asked in (*one.asked, *other.asked)} == {"Bearer secret"}


def test_the_family_in_the_docs_can_be_used(tmp_path: Path) -> None:
    written = re.search(r"```toml\n(name = .*?)```", (ROOT / "docs" / "dialects.md").read_text(), re.DOTALL)
    assert written is not None
    (tmp_path / "native.toml").write_text(written[1])
    assert dialect_of(str(tmp_path / "native.toml")).native == "tool"


def test_the_python_of_the_docs_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "endpoints.md").read_text()
    written = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert written is not None
    with listening(by_turn(ZOOM, ANSWER)) as server:
        code = written[1].replace("http://127.0.0.1:8000/v1", server.url).replace("photo.jpg", str(PICTURE))
        exec(code, {})
    assert capsys.readouterr().out == "B\n"
    assert server.asked[0].headers["Authorization"] == "Bearer secret"
    for argument in list(inspect.signature(RemoteModel).parameters):
        assert f"\n| `{argument}` | " in page


def test_an_evaluation_in_which_nothing_could_be_read_says_so(tmp_path: Path) -> None:
    run = ["--model", "m", "--arms", "own", "--n", 2, "--side", 448, "--out"]
    with listening(by_turn("<zap>B</zap>")) as server:
        done = cof("eval", "needle", "--url", server.url, "--dialect", "cof", *run, tmp_path / "none")
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "cof: no turn of 2 questions could be read, so that no figure counts; in the first, none of "
    )
    assert "in the dialect 'cof'; the last was '<zap>B</zap>'; want the model's own --dialect, or plain" in last
    assert "own" in done.stdout
    with listening(in_turn(*[Reply("<zap>B</zap>")] * 2, *[Reply(ANSWER)] * 20)) as server:
        done = cof("eval", "needle", "--url", server.url, "--dialect", "cof", *run, tmp_path / "some")
    assert done.returncode == 0, done.stderr
    assert "could be read" not in done.stderr
    with listening(by_turn("<zap>B</zap>")) as server:
        order = json.dumps(dialect_of("cof").answer_now)[1:-1]
        server.say = lambda body: Reply("<zap>B</zap>" if order in json.dumps(body) else ANSWER)
        both = ["--arms", "direct,own", "--out", tmp_path / "both"]
        done = cof("eval", "needle", "--url", server.url, "--dialect", "cof", *run[:2], *run[4:-1], *both)
    assert done.returncode == 0, done.stderr
    assert "no turn of 2 questions in the arm direct could be read; in the first, none of 1 " in done.stderr


def test_pictures_that_cannot_be_read_are_no_failure_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    line = {"question": "What?", "image": "a.png", "answer": "red"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line) + "\n")
    options = ["--data", tmp_path / "rows.jsonl", "--model", "m", "--out", tmp_path / "run"]
    with listening(by_turn(ANSWER)) as server:
        done = cof("eval", "jsonl", "--url", server.url, *options)
    assert done.returncode == 1
    assert "cof: all of 2 questions failed; the first: picture '" in done.stderr.splitlines()[-1]
    assert "tries them again" not in done.stderr
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(line | {"image": i}) for i in ("a.png", str(PICTURE))))
    with listening(lambda _: Reply(b'{"error": {"message": "out of memory"}}', 400)) as server:
        done = cof("eval", "jsonl", "--url", server.url, *options[:-1], tmp_path / "both", "--arms", "own")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "all of 2 questions failed; the same command tries them again; the first of the model: " in last
    assert "out of memory" in last


def test_boxes_are_scored_in_a_dialect_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "theirs.toml").write_text('name = "theirs"\nlike = "qwen3-vl"\nsystem = "Look."\n')
    line = {"question": "Where?", "image": str(PICTURE), "answer": "0, 0, 600, 400", "metric": "iou"}
    (tmp_path / "boxes.jsonl").write_text(json.dumps(line) + "\n")
    options = ["--model", "m", "--arms", "own", "--dialect", tmp_path / "theirs.toml", "--out", tmp_path / "run"]
    with listening(by_turn("<answer>[0, 0, 999, 999]</answer>")) as server:
        done = cof("eval", "jsonl", "--data", tmp_path / "boxes.jsonl", "--url", server.url, *options)
    assert done.returncode == 0, done.stderr
    arm = json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["own"]
    assert (arm["metric"], arm["n"]) == ("iou", 1)
    assert arm["accuracy"] > 0
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["setting"]["dialect"] == str(
        tmp_path / "theirs.toml"
    )


def test_what_a_model_says_cannot_steer_the_terminal() -> None:
    with listening(by_turn("<answer>\x1b[2J\x07red\nand blue</answer>")) as server:
        done = cof("ask", PICTURE, "What?", "--url", server.url, "--model", "m", "--dialect", "cof")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "answer     \\x1b[2J\\x07red\n           and blue\n" in done.stdout
