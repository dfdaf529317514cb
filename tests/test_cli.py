"""The command line as a user meets it, in a process of its own."""

import json
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands import cof

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "examples" / "plaza.jpg"
QUESTION = (ROOT / "examples" / "plaza.txt").read_text().strip()


def refused(result, *words):
    """Exit code 2, one line on stderr, no traceback."""
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_the_version_is_told():
    assert cof("--version").stdout == f"cof {version('chain-of-focus')}\n"


def test_ask_answers_the_example(tmp_path):
    page = tmp_path / "trace.html"
    result = cof("ask", PICTURE, QUESTION, "--json", "--trace", page)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["answer"] == (ROOT / "examples" / "plaza.answer").read_text().strip()
    assert found["zooms"] >= 1
    assert all(0 <= v <= 3840 for box in found["boxes"] for v in box)
    assert "<html" in page.read_text()


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"hello, I am text", "picture"), (PICTURE.read_bytes()[:5000], "JPEG")],
)
def test_a_bad_picture_is_one_line(tmp_path, content, word):
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    refused(cof("ask", file, "What?"), word)


def test_bad_arguments_are_one_line(tmp_path):
    refused(cof("ask", tmp_path / "none.jpg", "What?"), "none.jpg")
    refused(cof("ask", PICTURE, "What?", "--limit", "turn=4"), "turn", "turns")
    refused(cof("ask", PICTURE, "  "), "question is empty")
    refused(cof("ask", PICTURE, "What?", "--choice", "red"), "two or more")
    refused(cof("ask", PICTURE, "What?", "--choice", "red", "--choice", "red "), "different")
    refused(cof("eval", "needle", "--data", tmp_path, "--out", tmp_path / "run"), "--data does not apply")
    refused(cof("eval", "jsonl", "--data", tmp_path, "--side", "9", "--out", tmp_path / "run"), "needle alone")
    refused(
        cof("eval", "needle", "--arms", "fast", "--out", tmp_path / "run"),
        "unknown policy 'fast'; want one of always, direct, oracle, own",
    )
    refused(cof("world", "sample", "--side", "3", "--out", tmp_path / "w"), "28")
    refused(cof("train", "sft", "--config", tmp_path / "none.toml", "--out", tmp_path / "t"), "none.toml")


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    result = cof("ask", PICTURE, "What?", "--model", tmp_path / "nothing")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "cannot load model" in result.stderr


def test_another_setting_does_not_mix_into_a_run(tmp_path):
    options = ["--side", "448", "--arms", "direct", "--out", tmp_path / "run"]
    assert cof("eval", "needle", "--n", "2", *options).returncode == 0
    refused(cof("eval", "needle", "--n", "3", *options), "other settings")


def test_world_sample_writes_pictures(tmp_path):
    result = cof("world", "sample", "--n", "3", "--side", "448", "--out", tmp_path / "w")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "w").glob("*/*.jpg"))) == 3


def test_a_benchmark_on_disk_is_evaluated_and_compared(tmp_path):
    """The needle world's pictures in V*Bench's layout, read by the loader of V*Bench."""
    made = cof("world", "sample", "--n", "3", "--side", "448", "--out", tmp_path / "data")
    assert made.returncode == 0, made.stderr
    options = ["--data", tmp_path / "data", "--resolutions", "224,448", "--source", "resized", "--arms", "direct"]
    done = cof("eval", "vstar", *options, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "read " in done.stderr
    figures = json.loads((tmp_path / "run" / "report.json").read_text())["arms"]["direct"]
    assert (figures["n"], figures["samples"], figures["failed"]) == (3, 6, 0)
    assert set(figures["by_resolution"]) == {"224", "448"}
    compared = cof("report", tmp_path / "run", "--mean", "--out", tmp_path / "report")
    assert compared.returncode == 0, compared.stderr
    assert "there is no mean; want two runs or more" in compared.stderr
    assert "224 px" not in compared.stdout
    assert "224 px" in cof("report", tmp_path / "run", "--details").stdout
    written = json.loads((tmp_path / "report" / "comparison.json").read_text())
    assert written["rows"][0]["run"] == "run"
    assert written["pairs"] == []
    assert "published" not in compared.stdout
    assert (tmp_path / "report" / "accuracy.svg").exists()


def test_an_evaluation_that_cannot_be_is_one_line(tmp_path):
    out = ["--out", tmp_path / "run"]
    refused(cof("eval", "nothing", "--model", "no/such/folder", *out), "needle, vstar")  # told before a model is loaded
    refused(cof("eval", "vstar", "--model", "no/such/folder", *out), "--data")
    refused(cof("eval", "hrbench", "--data", tmp_path, *out), "hr_bench_4k.tsv")
    refused(cof("eval", "needle", "--resolutions", "224,x", *out), "224,448")
    refused(cof("eval", "needle", "--resolutions", "0", *out), "28 pixels and more")
    refused(cof("eval", "needle", "--source", "elsewhere", *out), "resized, original")
    refused(cof("report", tmp_path), "manifest.json")


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    refused(cof("world", "sample", "--n", "1", "--side", "448", "--out", tmp_path / "file"), "file")


def test_a_refused_input_leaves_no_run_behind(tmp_path):
    rows, out = tmp_path / "rows.jsonl", tmp_path / "run"
    rows.write_text("{broken\n")
    refused(cof("eval", "jsonl", "--data", rows, "--out", out), "line 1")
    assert not out.exists()


@pytest.mark.long
def test_an_interrupted_evaluation_says_that_it_goes_on(tmp_path):
    command = [sys.executable, "-m", "cof", "eval", "needle", "--n", "300", "--side", "448", "--out", tmp_path / "run"]
    pipe, heeding = subprocess.PIPE, partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs of a shell ignore it
    running = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, preexec_fn=heeding)
    journal, end = tmp_path / "run" / "traces.jsonl", time.monotonic() + 280
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=280)
    assert running.returncode == 130
    assert "the same command continues" in said
    assert "Traceback" not in said


@pytest.mark.long
def test_a_judge_that_is_not_there_is_told(tmp_path):
    asked = ["--n", 3, "--side", 448, "--arms", "direct", "--judge", "http://127.0.0.1:9/v1"]
    result = cof("eval", "needle", *asked, "--out", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert "answers have no verdict of the judge; the same command asks it again" in result.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "run"
    result = cof("data", "build", "--n", 12, "--side", 896, "--out", folder)
    assert result.returncode == 0, result.stderr
    assert "kept in" in result.stdout
    return folder


@pytest.mark.long
def test_training_data_is_built_described_converted_and_selected(built, tmp_path):
    kept = len((built / "traces.jsonl").read_text().splitlines())
    assert json.loads((built / "stats.json").read_text())["kept"] == kept
    described = cof("data", "stats", built, "--out", tmp_path / "stats", "--samples", 2)
    assert f"trajectories: {kept}" in described.stdout, described.stderr
    made = sorted(path.relative_to(tmp_path / "stats").as_posix() for path in (tmp_path / "stats").rglob("*.*"))
    assert made == ["index.html", "samples/1.html", "samples/2.html", "samples/traces.jsonl", "stats.png"]
    seen = cof("view", built, "--n", 3, "--out", tmp_path / "view")
    assert seen.returncode == 0, seen.stderr
    assert "3 traces in" in seen.stdout
    refused(cof("view", tmp_path / "none", "--out", tmp_path / "view"), "holds no traces", "traces.jsonl")
    converted = cof("data", "convert", built, "--to", "sharegpt", "--out", tmp_path / "form")
    assert len(json.loads((tmp_path / "form" / "cof.json").read_text())) == kept, converted.stderr
    again = cof("data", "convert", tmp_path / "form" / "cof.json", "--to", "traces", "--out", tmp_path / "traces")
    assert f"{kept} trajectories" in again.stdout, again.stderr
    verl = cof("data", "convert", tmp_path / "traces", "--to", "verl", "--out", tmp_path / "verl")
    assert f"{kept} trajectories" in verl.stdout, verl.stderr
    for by in ("coverage", "random"):
        selected = cof("data", "select", built, "--n", 3, "--by", by, "--out", tmp_path / by)
        assert selected.returncode == 0, selected.stderr
        lines = (tmp_path / by / "traces.jsonl").read_text().splitlines()
        assert len({*lines}) == 3
        assert {*lines} <= {*(built / "traces.jsonl").read_text().splitlines()}


def test_a_build_in_which_everything_failed_says_so(tmp_path):
    roles = tmp_path / "roles.toml"
    roles.write_text('retries = 0\n[everyone]\nurl = "http://127.0.0.1:9/v1"\nmodel = "none"\nseconds = 1.0\n')
    result = cof("data", "build", "--n", 1, "--side", 896, "--roles", roles, "--out", tmp_path / "run")
    assert result.returncode == 1, result.stderr
    assert "every search failed" in result.stderr
    assert json.loads((tmp_path / "run" / "stats.json").read_text())["dropped"]["failed"] == 1


@pytest.mark.long
def test_data_that_cannot_be_built_is_one_line(built, tmp_path):
    out = ["--out", tmp_path / "run"]
    refused(cof("data", "build", "--source", tmp_path / "none.jsonl", *out), "does not exist")
    refused(cof("data", "build", "--source", PICTURE, *out), "TOML file of roles")
    refused(cof("data", "build", "--roles", tmp_path / "none.toml", *out), "none.toml")
    refused(cof("data", "build", "--budgets", "many", *out), "--budgets", "256,1024")
    refused(cof("data", "build", "--side", 10, *out), "28")
    refused(cof("data", "build", "--spec", "mine", *out), "nano, paper")
    refused(cof("data", "build", "--method", "guess", *out), "search, ground")
    refused(cof("data", "build", "--against", tmp_path / "nowhere", *out), "holds no picture")
    refused(cof("data", "build", "--source", PICTURE, "--n", 5, *out), "needle alone")
    assert not (tmp_path / "run").exists()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "traces.jsonl").write_text('{"id": "1"}\n')
    refused(cof("data", "stats", tmp_path / "odd"), "line 1", "no trajectory")
    refused(
        cof("data", "build", "--n", 13, "--side", 896, "--out", built), "other settings", "drawn.n (was 12, now 13)"
    )
    refused(cof("data", "convert", built, "--to", "xml", *out), "sharegpt, trl, verl")
    refused(cof("data", "convert", tmp_path, *out), "no traces.jsonl")
    refused(cof("data", "select", built, "--n", 500, *out), "500", "at most as many")
    refused(cof("data", "select", built, "--n", 2, "--by", "taste", *out), "coverage or random")


def test_a_dialect_is_shown_listed_and_taken_from_its_authors_file(tmp_path):
    assert "qwen3-vl" in cof("dialect", "list").stdout.split()
    shown = cof("dialect", "show", "mini-o3")
    assert "[user]\nAction 0 gave observation_1:<picture of" in shown.stdout
    file, out = tmp_path / "prompts.py", tmp_path / "theirs.toml"
    file.write_text('SYSTEM = "Look closely."\nUSER = "Think first."\nraise SystemExit(1)\n')
    taken = cof("dialect", "import", file, "--system", "SYSTEM", "--user", "USER", "--like", "deepeyes", "--out", out)
    assert taken.returncode == 0, taken.stderr
    assert "[system]\nLook closely.\n" in cof("dialect", "show", out).stdout
    refused(cof("dialect", "import", file, "--system", "SYSTEM", "--out", out), "is there already; want a new name")
    other = tmp_path / "other.toml"
    refused(cof("dialect", "import", file, "--system", "PROMPT", "--out", other), "'PROMPT'", "it names: SYSTEM, USER")
    refused(cof("dialect", "show", "nobody"), "there is no dialect 'nobody'", "plain")
    refused(cof("ask", PICTURE, QUESTION, "--dialect", "nobody"), "there is no dialect 'nobody'")


def test_data_that_is_not_there_is_refused_before_a_model_is_opened(tmp_path: Path) -> None:
    done = cof("eval", "vstar", "--data", tmp_path / "none", "--model", tmp_path / "model", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert f"{str(tmp_path / 'none')!r} does not exist; get " in done.stderr
