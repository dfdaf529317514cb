"""The records of a benchmark's file, one at a time: TSV, JSON lines, a JSON list or object, Parquet, or Arrow.

Owns finding the file, reading it without holding it (a JSON list excepted: those hold no pictures and are small), and
errors that name file and row. A record that cannot be read is a row with a `fault`, and the next one follows; a file that
cannot be read is an error. Knows no benchmark and no field (`fields` does), and decodes no picture.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cof.errors import InputError, MissingExtra

FIELD_CHARACTERS = 2**31 - 1  # the most that the csv module takes: a picture of 1.5 GB as base64
BATCH = 8  # rows of a parquet file that are held at once, pictures included


@dataclass(frozen=True)
class Row:
    """One record. `number` counts from 1 (a header is not counted; in JSON lines it is the line); 0 is a whole file.

    `fault` says why the record cannot be read, empty where it can.
    """

    file: Path
    number: int
    fields: Mapping[str, Any]
    fault: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        unit = "line" if self.file.suffix.lower() == ".jsonl" else "row"
        return f"file {str(self.file)!r}" + (f" {unit} {self.number}" if self.number else "")

    @property
    def name(self) -> str:
        """A name for the picture that lies in the record itself."""
        return f"{os.path.abspath(self.file)}#{self.number}"


def find(data: Path, patterns: Sequence[str], get: str) -> list[Path]:
    """`data` itself where it is a file; in a folder, every file of the one pattern that is there, sorted.

    Raises InputError where there is none, with `get` (what to get, and from where), or where several patterns fit.
    """
    if data.is_file():
        return [data]
    if not data.is_dir():
        raise InputError(f"{str(data)!r} does not exist; {get}")
    found = [files for pattern in patterns if (files := sorted(data.glob(pattern)))]
    if not found:
        raise InputError(f"folder {str(data)!r} has no {' or '.join(patterns)}; {get}")
    if len(found) > 1:
        names = " and ".join(str(files[0].relative_to(data)) for files in found)
        raise InputError(f"folder {str(data)!r} has {names}; give the path of the one that is meant")
    return found[0]


def read(path: Path) -> Iterator[Row]:
    """The rows of a file, by its name's end. Raises InputError, also between rows, and MissingExtra for Parquet and Arrow."""
    readers = {".tsv": _tsv, ".jsonl": _json_lines, ".json": _json, ".parquet": _parquet, ".arrow": _arrow}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"file {str(path)!r} has an unknown form; want a name that ends in {', '.join(readers)}")
    number = 0
    with _readable(path):
        for number, row in enumerate(reader(path), 1):  # noqa: B007  how many there were
            yield row
    if not number:
        raise InputError(f"file {str(path)!r} has no rows; get it anew")


def read_one(path: Path) -> Row:
    """A JSON file that is one record."""
    try:
        with _readable(path):
            return _row(path, 0, json.loads(path.read_text("utf-8")))
    except InputError as error:
        return Row(path, 0, {}, str(error).removeprefix(f"file {str(path)!r} "))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, csv.Error) as error:  # ValueError: not UTF-8, not JSON, not parquet
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"file {str(path)!r} cannot be read ({reason}); it may be cut short: get it anew") from error


def _row(path: Path, number: int, fields: Any) -> Row:
    if isinstance(fields, dict):
        return Row(path, number, fields)
    return Row(path, number, {}, f"is {reprlib.repr(fields)}; want a JSON object with named fields")


def _tsv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter="\t")
        names = _record(reader) or []
        for number, values in enumerate(iter(lambda: _record(reader), None), 1):
            whole = len(values) == len(names)
            fault = f"has {len(values)} fields; want {len(names)}, as in the header: the file is damaged, get it anew"
            yield Row(path, number, dict(zip(names, values, strict=False)), "" if whole else fault)


def _record(reader: Iterator[list[str]]) -> list[str] | None:
    """The next record, None at the end. The limit on a field belongs to the process: it is set for one record only."""
    before = csv.field_size_limit(FIELD_CHARACTERS)
    try:
        return next((record for record in reader if record), None)  # an empty line is an empty record
    finally:
        csv.field_size_limit(before)


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield _json_line(path, number, line)


def _json_line(path: Path, number: int, line: bytes) -> Row:
    try:
        return _row(path, number, json.loads(line.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        return Row(path, number, {}, f"is not JSON ({error}); want one JSON object a line")


def _json(path: Path) -> Iterator[Row]:
    """A list of objects, or one object; JSON lines under this name are read as such."""
    text = path.read_text("utf-8-sig")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise
        yield from _json_lines(path)
        return
    if not isinstance(found, list | dict):
        raise InputError(f"file {str(path)!r} holds {reprlib.repr(found)}; want a JSON list of objects")
    for number, fields in enumerate(found if isinstance(found, list) else [found], 1):
        yield _row(path, number, fields)


def _parquet(path: Path) -> Iterator[Row]:
    with _pyarrow("parquet", path).ParquetFile(path) as file:
        batches = file.iter_batches(batch_size=BATCH)
        for number, fields in enumerate((fields for batch in batches for fields in batch.to_pylist()), 1):
            yield _row(path, number, fields)


def _arrow(path: Path) -> Iterator[Row]:
    """A stream, as `datasets` saves to disk."""
    with path.open("rb") as file, _pyarrow("ipc", path).open_stream(file) as stream:
        slices = (batch.slice(at, BATCH) for batch in stream for at in range(0, batch.num_rows, BATCH))
        for number, fields in enumerate((fields for part in slices for fields in part.to_pylist()), 1):
            yield _row(path, number, fields)


def _pyarrow(module: str, path: Path) -> Any:
    try:
        return importlib.import_module(f"pyarrow.{module}")  # by name: it has no types
    except ImportError:
        raise MissingExtra(f"file {str(path)!r}", "pyarrow", "train") from None
