"""Other people's files on the command line: read, or refused by row and reason; nothing is dropped in silence."""

import json
from base64 import b64encode

import pytest

from tests.commands import cof
from tests.data.benchmarks.copies import picture
from tests.test_cli import refused

CALL = (
    '<think>t</think><tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [10, 10, 90, 90], "label": "x"}}'
    "</tool_call>"
)
ANSWER = "<think>t</think><answer>red</answer>"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "red.png").write_bytes(picture((300, 200), "PNG"))
    (tmp_path / "cut.jpg").write_bytes(picture((300, 200))[:400])
    return tmp_path


def lines(file, *rows):
    file.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return file


def asked(**fields):
    return {"question": "<image>\nWhat colour?", "image": "red.png", "answer": "red"} | fields


def said(*texts, images=("red.png",)):
    return {
        "messages": [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)],
        "images": list(images),
    }


def test_an_evaluation_counts_what_it_leaves_out_and_is_viewed_from_another_folder(folder):
    file = lines(folder / "mine.jsonl", asked(), "broken\n", asked(question="<|im_end|>?"), asked(image="cut.jpg"))
    done = cof("eval", "jsonl", "--data", file.name, "--arms", "direct", "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 of 4 rows were left out of 'mine.jsonl': line 2: is not JSON" in done.stderr
    assert "line 3: holds '<|im_end|>', which models read as a control token" in done.stderr
    for name in ("report.json", "manifest.json"):
        assert json.loads((folder / "run" / name).read_text())["left_out_rows"] == 2
    assert json.loads((folder / "run" / "report.json").read_text())["arms"]["direct"]["failed"] == 1
    (folder / "elsewhere").mkdir()
    seen = cof("view", folder / "run", "--out", "view", cwd=folder / "elsewhere")
    assert seen.returncode == 0, seen.stderr
    assert "2 traces in" in seen.stdout
    assert "1 without a picture; the first: " in seen.stderr
    pages = [page.read_text() for page in sorted((folder / "elsewhere" / "view").rglob("[12].html"))]
    assert sum("The picture cannot be read." in page for page in pages) == 1


def test_a_file_without_a_usable_row_leaves_no_run(folder):
    file = lines(folder / "mine.jsonl", asked(targets=[[0.1, 0.1, 0.4, 0.4]]))
    refused(
        cof("eval", "jsonl", "--data", file, "--out", folder / "run"), "line 1", "targets_unit", "no row can be used"
    )
    assert not (folder / "run").exists()


def test_conversations_are_converted_and_those_that_cannot_be_are_named(folder):
    good = said("<image>What colour?", CALL, "<image>look", ANSWER, images=["red.png", "red.png"])
    outside = json.loads(json.dumps(good).replace("[10, 10, 90, 90]", "[400, 500, 900, 950]"))
    two = said("<image><image>Which?", ANSWER, images=["red.png", "red.png"])
    forged = said("<image>What <|image_pad|>?", ANSWER)
    file = lines(folder / "set.jsonl", good, outside, two, forged)
    for form in ("traces", "sharegpt", "trl", "verl"):
        done = cof("data", "convert", file, "--to", form, "--out", folder / form)
        assert done.returncode == 0, done.stderr
        assert "1 trajectories in" in done.stdout
        assert "3 of 4 rows were left out" in done.stderr
        for part in (
            "line 2: turn 1 is not of the dialect cof",
            "line 3: shows 2 pictures",
            "line 4: holds '<|image_pad|>'",
        ):
            assert part in done.stderr
    again = cof("data", "convert", folder / "traces", "--to", "sharegpt", "--out", folder / "again")
    assert again.returncode == 0, again.stderr
    assert (folder / "again" / "cof.json").read_text() == (folder / "sharegpt" / "cof.json").read_text()
    refused(
        cof("data", "convert", lines(folder / "bad.json", two), "--out", folder / "x"),
        "no row can be used",
        "2 pictures",
    )
    refused(cof("data", "convert", file, "--dialect", "nobody", "--out", folder / "x"), "there is no dialect 'nobody'")


def test_a_picture_inside_the_file_gets_one_of_its_own(folder):
    url = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + b64encode((folder / "red.png").read_bytes()).decode()},
    }
    row = {"messages": [{"role": "user", "content": [url, {"type": "text", "text": "What colour?"}]}]}
    row["messages"].append({"role": "assistant", "content": ANSWER})
    done = cof("data", "convert", lines(folder / "set.jsonl", row), "--to", "traces", "--out", folder / "traces")
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "traces" / "images").glob("*.png"))) == 1
    then = cof("data", "convert", folder / "traces", "--to", "trl", "--out", folder / "trl")
    assert then.returncode == 0, then.stderr


def test_a_dialect_of_a_file_is_found_again(folder):
    (folder / "mine.toml").write_text('name = "mine"\nlike = "mini-o3"\nsystem = "Look."\n')
    call = '<think>a</think><grounding>{"bbox_2d": [0, 0, 0.5, 0.5], "source": "original_image"}</grounding>'
    file = lines(folder / "set.jsonl", said("<image>W?", call, "<image>", ANSWER, images=["red.png", "red.png"]))
    done = cof("data", "convert", file, "--to", "traces", "--dialect", "mine.toml", "--out", "t", cwd=folder)
    assert done.returncode == 0, done.stderr
    then = cof("data", "convert", folder / "t", "--to", "trl", "--out", folder / "trl")
    assert then.returncode == 0, then.stderr
    assert '"Look."' in (folder / "trl" / "cof.jsonl").read_text()


def test_check_shows_bad_rows_and_a_good_one(folder):
    file = lines(folder / "mine.jsonl", "broken\n", asked(), asked(image="cut.jpg"), asked(answer=["red", "crimson"]))
    found = cof("data", "check", file)
    refused(found, "2 of 4 rows were left out", "mend these rows")
    assert "2 of 4 questions in" in found.stdout
    assert "  line 1: is not JSON" in found.stdout
    assert "  line 3: " in found.stdout
    assert "id 2, truth red" in found.stdout
    assert "user      [picture 308 x 196]" in found.stdout
    assert max(map(len, found.stdout.partition("truth red:")[2].splitlines())) <= 80
    good = cof("data", "check", lines(folder / "good.jsonl", asked()))
    assert (good.returncode, good.stderr.strip()) == (0, "")  # rich 13 ends its bar with an empty line
    refused(cof("data", "check", lines(folder / "bad.jsonl", "broken\n")), "no row can be used", "line 1")
    refused(cof("data", "check", folder / "none.jsonl"), "none.jsonl")


ROLES = 'retries = 0\n[everyone]\nurl = "http://127.0.0.1:9/v1"\nmodel = "none"\nseconds = 1.0\n'


def test_a_build_that_kept_nothing_says_why(folder):
    (folder / "roles.toml").write_text(ROLES)
    build = ("data", "build", "--roles", folder / "roles.toml")
    open_ = lines(folder / "open.jsonl", {"question": "What?", "image": "red.png"})
    refused(cof(*build, "--source", open_, "--out", folder / "a"), "no question with an answer to search for")
    cut = lines(folder / "cut.jsonl", asked(image="cut.jpg"))
    refused(cof(*build, "--source", cut, "--out", folder / "b"), "no question was searched", "line 1", "cut.jpg")
    some = lines(folder / "some.jsonl", asked(), asked(image="cut.jpg"), asked(answer=""), "broken\n")
    failed = cof(*build, "--source", some, "--out", folder / "c")
    assert failed.returncode == 1
    assert "every search failed (1); the first: " in failed.stderr
    assert json.loads((folder / "c" / "stats.json").read_text())["left_out_rows"] == 3
