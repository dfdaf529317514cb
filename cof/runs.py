"""The folder of a long job: its settings, its journals of finished work, and files that are whole or absent.

Owns the manifest (written once), append-only journals of JSON lines (durable when `append` returns), atomic `publish`,
and the lock that keeps a second process out. Refuses a folder of other settings or in use, and an id recorded twice.
Omits what a record means. Needs POSIX (`flock`).
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from cof.errors import CofError, InvalidRun

LISTED = 1000  # files whose sizes a fingerprint has; more would make a manifest of megabytes
NAMED = 3  # files that a message names
HASH = re.compile("[0-9a-f]{16}")  # a message shows none, as a person cannot read it


class RunDir(ExitStack):
    """A run folder, locked for writing until its `with` block ends; opened again with an equal manifest, it resumes.

    `manifest` is plain data (`dump_config`). Raises InvalidRun on a folder of another manifest, damaged, or in use.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        super().__init__()
        self.folder, self._journals = folder, dict[str, Journal]()
        self.enter_context(_locked(folder, json.loads(json.dumps(manifest))))

    def journal(self, name: str, on_record: Callable[[Mapping[str, Any]], None] | None = None) -> "Journal":
        """The journal `name`.jsonl, open until this run is closed: "traces", or "metrics" with the step as `id`.

        When it is opened, `on_record` gets every record that is there.
        """
        if name not in self._journals:
            self._journals[name] = Journal(self.folder / f"{name}.jsonl", on_record or (lambda _: None))
            self.callback(self._journals[name].close)
        elif on_record is not None:
            raise ValueError(
                f"the journal {name} is open, and its records were read; want `on_record` where it is opened"
            )
        return self._journals[name]


class Journal:
    """Records with a unique `id` (str or int), one JSON line each; `done` holds the ids of all that are recorded.

    Opening cuts off a torn last line, which a crash left and which was never reported as written. Threads may share
    a journal; processes may not (`RunDir` holds the lock). Raises InvalidRun on a whole line that is no record.
    """

    def __init__(self, path: Path, on_record: Callable[[Mapping[str, Any]], None] = lambda _: None) -> None:
        if not path.exists():
            publish(path, b"")
        self.path, self.done, self._turn = path, set[str | int](), threading.Lock()
        for record in read_records(path):
            self.done.add(self._fresh_id(record))
            on_record(record)
        with path.open("rb") as lines:
            os.truncate(path, sum(len(line) for line in lines if line.endswith(b"\n")))
        self._file = path.open("ab", buffering=0)
        self.close = self._file.close

    def append(self, record: Mapping[str, Any]) -> None:
        """Write `record` as one line: on disk when this returns, not in the file at all when this raises."""
        line = json.dumps(record).encode() + b"\n"
        with self._turn:
            new, end = self._fresh_id(record), self._file.seek(0, os.SEEK_END)
            try:
                _write(self._file.fileno(), line, self.path)
                self.done.add(new)
            except BaseException:  # a full disk or Ctrl-C must leave neither half a line nor an id without its line
                self.done.discard(new)
                os.truncate(self.path, end)
                raise

    def _fresh_id(self, record: Mapping[str, Any]) -> str | int:
        new = record.get("id")
        if not isinstance(new, str | int) or new in self.done:
            raise InvalidRun(f"{self.path}: got a record with id {new!r}; want a str or int not yet in `done`")
        return new


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a journal in order, without a torn last line; safe while another process appends."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return  # torn, or being written now: what follows is its rest
            yield _json_object(line, f"{path} line {number}")


def publish(path: Path, content: str | bytes) -> None:
    """Write `content` so that `path` holds all old or all new bytes at any moment, crashes included.

    Text is written as UTF-8, with half characters, which odd file names have, spelt out.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")  # same folder, so that the move is atomic
    try:
        with draft.open("xb", buffering=0) as file:
            _write(
                file.fileno(), content.encode(errors="backslashreplace") if isinstance(content, str) else content, path
            )
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)  # makes the new name durable
    os.close(folder)


def fingerprint(path: Path) -> dict[str, Any]:
    """What a manifest has of a file or folder: a hash of names and sizes as `digest`, and as `files` the sizes by name.

    By `files` a message names what has changed. Of more than `LISTED` files it is the count alone.
    """
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    sizes = {(file.relative_to(path).as_posix() if file != path else file.name): _size(file) for file in files}
    hashed = hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:16]
    return {"digest": hashed, "files": sizes if len(sizes) <= LISTED else len(sizes)}


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the file that is written to an error of the system that names none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def _locked(folder: Path, manifest: dict[str, Any]) -> Iterator[None]:
    """Make `folder`, hold its lock, settle its manifest. The kernel drops the lock when the process dies.

    A folder that was made for what then could not be done, and holds nothing else, goes again.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise InvalidRun(f"run folder {folder} is a file, or inside one; use another --out") from error
    with (folder / "lock").open("ab+", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(file.fileno(), 20, 0).decode() or "unknown"
            raise InvalidRun(f"run folder {folder} is in use by process {pid}; wait, or use another --out") from error
        file.truncate(0)
        file.write(b"%d" % os.getpid())
        _settle_manifest(folder, manifest)
        try:
            yield
        except CofError:
            if made and {path.name for path in folder.iterdir()} == {"lock", "manifest.json"}:
                shutil.rmtree(folder)
            raise


def _settle_manifest(folder: Path, given: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    if path.exists():
        if told := _differing(_json_object(path.read_bytes(), str(path)), given):
            raise InvalidRun(f"run folder {folder} has other settings: {', '.join(told)}; use another --out")
    elif other := next((path.name for path in folder.iterdir() if path.name != "lock"), None):
        raise InvalidRun(
            f"folder {folder} is no run folder: it holds {other!r} but no manifest.json; use another --out"
        )
    else:
        publish(path, json.dumps(given, indent=2) + "\n")


def _differing(was: Any, now: Any, key: str = "") -> list[str]:
    if was == now:
        return []
    name = key.lstrip(".")
    if isinstance(was, dict) and isinstance(now, dict):
        if "digest" in was and "digest" in now:
            return [f"{name} ({'; '.join(_changed(was['files'], now['files']))})"]
        return [text for part in was | now for text in _differing(was.get(part), now.get(part), f"{key}.{part}")]
    was, now = (each.get("digest", each) if isinstance(each, dict) else each for each in (was, now))
    if all(isinstance(each, str) and HASH.fullmatch(each) for each in (was, now)):
        return [f"{name} (another than before)"]
    return [f"{name} (was {was!r}, now {now!r})"]


def _changed(was: Any, now: Any) -> list[str]:
    """The files that have changed between two fingerprints, by their `files`."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        count, other = (len(files) if isinstance(files, dict) else files for files in (was, now))
        return [f"{count} files before, {other} now" if count != other else f"one of {count} files has changed"]
    found = [
        f"{name} is missing" if name not in now
        else f"{name} is new" if name not in was
        else f"{name} was {was[name]:,} byte{'s' * (was[name] != 1)} long, and is {now[name]:,}"
        for name in was | now
        if was.get(name) != now.get(name)
    ]  # fmt: skip
    return found if len(found) <= NAMED else [*found[:NAMED], f"and {len(found) - NAMED} more"]


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _json_object(text: bytes, where: str) -> dict[str, Any]:
    found = None
    with suppress(ValueError):
        found = json.loads(text)
    if not isinstance(found, dict):
        raise InvalidRun(f"{where} is damaged: want a JSON object, got {text[:60]!r}; mend it, or use another --out")
    return found


def _write(descriptor: int, data: bytes, path: Path) -> None:
    with naming(path):
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
