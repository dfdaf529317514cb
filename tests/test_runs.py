from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cof.runs
from cof.errors import InvalidRun
from cof.runs import LISTED, Journal, RunDir, fingerprint, naming, publish, read_records
from tests.properties import cases

MANIFEST = {"seed": 0, "limits": {"turns": 6, "zooms": 4}, "sizes": (1, 2)}


def test_a_run_resumes_with_an_equal_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    with RunDir(folder, MANIFEST) as run:
        run.journal("traces").append({"id": "a", "text": "é\n\u2028 \ud800"})
        run.journal("metrics").append({"id": 10, "loss": 0.5})
    with RunDir(folder, MANIFEST) as run:
        assert run.journal("traces").done == {"a"}
        assert run.journal("metrics").done == {10}
        run.journal("traces").append({"id": "b"})
    assert list(read_records(folder / "traces.jsonl")) == [{"id": "a", "text": "é\n\u2028 \ud800"}, {"id": "b"}]
    assert json.loads((folder / "manifest.json").read_text())["limits"] == MANIFEST["limits"]


def test_another_manifest_is_refused_and_named(tmp_path: Path) -> None:
    with RunDir(tmp_path, MANIFEST):
        pass
    before = (tmp_path / "manifest.json").read_bytes()
    other = {"seed": 0, "limits": {"turns": 8, "zooms": 4}, "sizes": [1, 2], "model": "x"}
    with pytest.raises(InvalidRun) as caught:
        RunDir(tmp_path, other)
    assert "limits.turns (was 6, now 8), model (was None, now 'x'); use another --out" in str(caught.value)
    assert (tmp_path / "manifest.json").read_bytes() == before
    with RunDir(tmp_path, MANIFEST):  # the refusal left no lock behind
        pass


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\x00"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InvalidRun, match="manifest.json is damaged"):
        RunDir(tmp_path, MANIFEST)


def test_a_folder_goes_again_if_its_work_was_refused_before_anything_was_done(tmp_path: Path) -> None:
    folder, kept = tmp_path / "run", tmp_path / "kept"
    with pytest.raises(InvalidRun), RunDir(folder, MANIFEST):
        raise InvalidRun("no such model")
    assert not folder.exists()
    with pytest.raises(KeyboardInterrupt), RunDir(folder, MANIFEST):
        raise KeyboardInterrupt
    with pytest.raises(InvalidRun), RunDir(folder, MANIFEST):  # it was there before
        raise InvalidRun("no such model")
    with pytest.raises(InvalidRun), RunDir(kept, MANIFEST) as run:
        run.journal("traces").append({"id": None})
    assert folder.exists()
    assert kept.exists()


def test_journals_without_a_manifest_and_a_file_as_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").touch()
    with pytest.raises(InvalidRun, match="no manifest"):
        RunDir(tmp_path, MANIFEST)
    with pytest.raises(InvalidRun, match="is a file"):
        RunDir(tmp_path / "traces.jsonl" / "run", MANIFEST)


def test_a_second_opening_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    with RunDir(tmp_path, MANIFEST), pytest.raises(InvalidRun, match=f"in use by process {os.getpid()}"):
        RunDir(tmp_path, MANIFEST)
    with RunDir(tmp_path, MANIFEST):
        pass


def test_bad_ids_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "j.jsonl")) as journal:
        journal.append({"id": "a"})
        for bad in ({"id": "a"}, {}, {"id": None}, {"id": 1.5}):
            with pytest.raises(InvalidRun, match="not yet in `done`"):
                journal.append(bad)
        with pytest.raises(TypeError):
            journal.append({"id": "b", "value": object()})
        assert journal.done == {"a"}
    assert (tmp_path / "j.jsonl").read_bytes() == b'{"id": "a"}\n'


@pytest.mark.parametrize("line", [b"{nonsense\n", b"3\n", b"\n", b'{"id": "a"}\n', b"{}\n", b"\xff\n"])
def test_a_whole_line_that_is_no_new_record_is_damage_and_is_kept(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + line)
    with pytest.raises(InvalidRun, match=r"j\.jsonl"):
        Journal(path)
    assert path.read_bytes() == b'{"id": "a"}\n' + line


@settings(deadline=None, max_examples=cases(60))
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5), st.data())
def test_a_tail_torn_at_any_byte_loses_nothing_before_it(texts: list[str], data: st.DataObject) -> None:
    records = [{"id": f"r{n}", "text": text} for n, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.jsonl"
        _append_all(path, records)
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        os.truncate(path, cut)
        kept = whole[:cut].count(b"\n")
        assert list(read_records(path)) == records[:kept]
        with closing(Journal(path)) as journal:
            assert journal.done == {record["id"] for record in records[:kept]}
            assert path.read_bytes() == whole[: whole[:cut].rfind(b"\n") + 1]
        _append_all(path, records[kept:])
        assert path.read_bytes() == whole


def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with closing(Journal(path)) as journal:
        journal.append({"id": "a"})
        with _largest_file(200_000), pytest.raises(OSError, match=r"large: .*j\.jsonl"):
            journal.append({"id": "b", "text": "x" * 300_000})
        assert path.read_bytes() == b'{"id": "a"}\n'
        assert journal.done == {"a"}
        journal.append({"id": "b"})
    assert [record["id"] for record in read_records(path)] == ["a", "b"]


def test_threads_that_append_the_same_ids_record_each_once(tmp_path: Path) -> None:
    def append(n: int) -> bool:
        try:
            journal.append({"id": n, "text": "x" * 20_000})
        except InvalidRun:
            return False
        return True

    with closing(Journal(tmp_path / "j.jsonl")) as journal, ThreadPoolExecutor(4) as pool:
        ids = [n for n in range(20) for _ in range(4)]  # each id at once on every thread
        assert sum(pool.map(append, ids)) == 20
    assert sorted(record["id"] for record in read_records(tmp_path / "j.jsonl")) == list(range(20))


def test_publish_replaces_whole_files_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    publish(path, "é old")
    publish(path, b"new")
    assert path.read_bytes() == b"new"
    with _largest_file(200_000), pytest.raises(OSError, match=r"large: .*report\.md"):
        publish(path, b"x" * 300_000)
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]


APPEND_FOREVER = """
import os, sys
from pathlib import Path
from cof.runs import RunDir
with RunDir(Path(sys.argv[1]), {"seed": 0}) as run:
    journal = run.journal("traces")
    for n in range(int(sys.argv[2])):
        if n not in journal.done:
            journal.append({"id": n, "text": "x" * (500_000 + n)})
            os.write(1, b"%d\\n" % n)
"""


@pytest.mark.long
def test_sigkill_loses_no_record_and_writes_none_twice(tmp_path: Path) -> None:
    rng, told = random.Random(0), list[int]()
    path = tmp_path / "traces.jsonl"
    for _ in range(5):
        with _appender(tmp_path, 10**6) as child:
            assert child.stdout
            told += [int(child.stdout.readline()) for _ in range(3)]
            with pytest.raises(InvalidRun, match=f"in use by process {child.pid}"):
                RunDir(tmp_path, {"seed": 0})
            time.sleep(rng.uniform(0, 0.01))
            child.kill()
            told += [int(line) for line in child.stdout.read().splitlines()]
        recorded = [record["id"] for record in read_records(path)]
        assert recorded[: len(told)] == told  # what was reported as written is there
        assert len(recorded) <= len(told) + 1  # at most one was written and not yet reported
        told = recorded
    with _appender(tmp_path, len(told) + 3) as child:
        assert child.wait() == 0
    records = list(read_records(path))
    assert [record["id"] for record in records] == list(range(len(told) + 3))
    assert all(record["text"] == "x" * (500_000 + record["id"]) for record in records)


@contextmanager
def _appender(folder: Path, count: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", APPEND_FOREVER, str(folder), str(count)]
    environment = {**os.environ, "PYTHONPATH": str(Path(cof.runs.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """No file of this process can grow past `size` bytes, as on a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _append_all(path: Path, records: list[dict[str, str]]) -> None:
    with closing(Journal(path)) as journal:
        for record in records:
            journal.append(record)


def test_a_message_names_the_file_that_changed(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a.jsonl", "b.png", "c.png"):
        (data / name).write_text("12345")
    with RunDir(tmp_path / "run", {"data": fingerprint(data)}):
        pass
    with (data / "a.jsonl").open("a") as file:
        file.write("678")
    (data / "b.png").unlink()
    (data / "d.png").write_text("1")
    with pytest.raises(InvalidRun) as refused, RunDir(tmp_path / "run", {"data": fingerprint(data)}):
        pass
    assert "other settings: data (a.jsonl was 5 bytes long, and is 8; b.png is missing; d.png is new); use" in str(
        refused.value
    )
    one = fingerprint(data / "a.jsonl")
    assert one["files"] == {"a.jsonl": 8}
    moved = tmp_path / "moved.jsonl"
    (data / "a.jsonl").rename(moved)
    assert fingerprint(moved)["digest"] != one["digest"]
    with RunDir(tmp_path / "one", {"data": one, "weights": "0123456789abcdef"}):
        pass
    with (
        pytest.raises(InvalidRun) as refused,
        RunDir(tmp_path / "one", {"data": fingerprint(moved), "weights": "f" * 16}),
    ):
        pass
    assert "data (a.jsonl is missing; moved.jsonl is new), weights (another than before)" in str(refused.value)


def test_data_that_there_were_none_of_are_not_listed_in_the_message(tmp_path):
    data = tmp_path / "a.jsonl"
    data.write_text("12345")
    with RunDir(tmp_path / "run", {"data": None}):
        pass
    assert "data (was None, now '" in (message := refusal(tmp_path / "run", data=fingerprint(data)))
    assert "a.jsonl" not in message.partition("data (")[2]


def refusal(run, **manifest):
    with pytest.raises(InvalidRun) as refused, RunDir(run, manifest):
        pass
    return str(refused.value)


def test_of_many_files_few_are_named(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for n in range(9):
        (data / f"{n}.png").write_text("1")
    with RunDir(tmp_path / "few", {"data": fingerprint(data)}):
        pass
    for n in range(5):
        (data / f"{n}.png").write_text("22")
    assert "data (0.png was 1 byte long, and is 2; 1" in refusal(tmp_path / "few", data=fingerprint(data))
    assert "; 2.png was 1 byte long, and is 2; and 2 more)" in refusal(tmp_path / "few", data=fingerprint(data))
    for n in range(LISTED):
        (data / f"{n}.txt").touch()
    large = fingerprint(data)
    assert large["files"] == LISTED + 9
    with RunDir(tmp_path / "many", {"data": large}):
        pass
    (data / "0.png").write_text("333")
    assert "data (one of 1009 files has changed)" in refusal(tmp_path / "many", data=fingerprint(data))
    (data / "0.png").unlink()
    assert "data (1009 files before, 1008 now)" in refusal(tmp_path / "many", data=fingerprint(data))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_a_full_disk_names_the_file(tmp_path):
    file = tmp_path / "full"
    file.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*full'"), naming(file):
        file.write_bytes(b"x")


def test_a_journal_that_is_open_does_not_read_its_records_again(tmp_path: Path) -> None:
    """Who asks for them later would see none, and take the run for an empty one."""
    seen = list[object]()
    with RunDir(tmp_path / "run", {}) as run:
        run.journal("done").append({"id": 1})
    with RunDir(tmp_path / "run", {}) as run:
        run.journal("done", lambda record: seen.append(record["id"]))
        assert seen == [1]
        with pytest.raises(ValueError, match="want `on_record` where it is opened"):
            run.journal("done", seen.append)
