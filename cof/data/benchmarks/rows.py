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
import re
import reprlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cof.errors import InputError, MissingExtra

ESCAPE = "surrogateescape"  # so that bytes that are not UTF-8 spoil their own row alone
_ESCAPED = re.compile("[\udc80-\udcff]")  # what such bytes become
LONGEST = 200_000_000  # characters of lines that a quotation mark may take for its own
FIELD_CHARACTERS = 2**31 - 1  # the most that the csv module takes: a picture of 1.5 GB as base64
BATCH = 8  # rows of a parquet file that are held at once, pictures included


@dataclass(frozen=True)
class Row:
    """One record. `number` counts from 1 (a header is not counted; in JSON lines it is the line); 0 is a whole file.

    `fault` is why the record cannot be read, empty where it can.
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


def read(path: Path, columns: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a file, by its name's end. Raises InputError, also between rows, and MissingExtra for Parquet and Arrow.

    `columns`: the fields that are needed; of Parquet and Arrow no others are read where the file has one of them.
    """
    readers: dict[str, Callable[[Path, Sequence[str]], Iterator[Row]]]
    readers = {".tsv": _tsv, ".jsonl": _json_lines, ".json": _json, ".parquet": _parquet, ".arrow": _arrow}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"file {str(path)!r} has an unknown form; want a name that ends in {', '.join(readers)}")
    number = 0
    with _readable(path):
        for number, row in enumerate(reader(path, columns), 1):  # noqa: B007  how many there were
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


def _tsv(path: Path, _columns: Sequence[str]) -> Iterator[Row]:
    """Records as pandas writes them: a field with a tab, a line end or a quotation mark is quoted, and such marks doubled."""
    with path.open(encoding="utf-8-sig", errors=ESCAPE, newline="") as stream:
        names = next(filter(None, csv.reader(stream, delimiter="\t", strict=True)), [])
        if any(map(_is_damaged, names)):
            raise ValueError("its header is not UTF-8")
        for number, (values, fault) in enumerate(_records(stream, len(names)), 1):
            yield Row(path, number, dict(zip(names, values, strict=False)), fault)


def _records(stream: Iterable[str], width: int) -> Iterator[tuple[list[str], str]]:
    """The fields of each record, or why it cannot be read.

    A quotation mark that is not closed would take the lines after it for its own: a record of several lines without
    `width` fields is damaged, it is its first line alone, and the lines after it are read again.
    """
    later, waiting, taken = iter(stream), deque[str](), list[str]()

    def lines() -> Iterator[str]:
        size = 0
        while size < LONGEST and (line := waiting.popleft() if waiting else next(later, None)) is not None:
            size += len(line)
            taken.append(line)
            yield line

    while True:
        taken.clear()
        values, fault = _record(lines())
        if not taken:
            return
        if len(taken) > 1 and (fault or len(values) != width):
            waiting.extendleft(reversed(taken[1:]))
            values, fault = [], "has a quotation mark that is not closed, or not where its field ends"
        if not fault and values and len(values) != width:
            fault = f"has {len(values)} fields; want {width}, as in the header: the file is damaged, get it anew"
        if not fault and any(map(_is_damaged, values)):
            fault = "is not UTF-8"
        if values or fault:  # an empty line is none
            yield values, fault


def _record(lines: Iterator[str]) -> tuple[list[str], str]:
    """The next record, or why it is none. The limit on a field belongs to the process: it is set for one record only."""
    before = csv.field_size_limit(FIELD_CHARACTERS)
    try:
        return next(csv.reader(lines, delimiter="\t", strict=True), []), ""
    except csv.Error as error:
        return [], f"has quotation marks that do not fit ({error}); want fields that hold one quoted, and it doubled"
    finally:
        csv.field_size_limit(before)


def _is_damaged(text: str) -> bool:
    """Whether a text was read from bytes that are not UTF-8."""
    return _ESCAPED.search(text) is not None


def _json_lines(path: Path, _columns: Sequence[str] = ()) -> Iterator[Row]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield _json_line(path, number, line)


def _json_line(path: Path, number: int, line: bytes) -> Row:
    try:
        return _row(path, number, json.loads(line.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:
        return Row(path, number, {}, f"is not JSON ({error}); want one JSON object a line")


def _json(path: Path, _columns: Sequence[str]) -> Iterator[Row]:
    """A list of objects, or one object; JSON lines under this name are read as such."""
    text = path.read_text("utf-8-sig", ESCAPE)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Extra data"):
            raise
        yield from _json_lines(path)
        return
    if not isinstance(found, list | dict):
        raise InputError(f"file {str(path)!r} holds {reprlib.repr(found)}; want a JSON list of objects")
    damaged = _is_damaged(text)
    for number, fields in enumerate(found if isinstance(found, list) else [found], 1):
        row = _row(path, number, fields)
        yield (
            replace(row, fault="is not UTF-8")
            if damaged and _is_damaged(json.dumps(fields, ensure_ascii=False))
            else row
        )


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    with _pyarrow("parquet", path).ParquetFile(path) as file:
        batches = file.iter_batches(batch_size=BATCH, columns=_there(columns, file.schema_arrow.names))
        for number, fields in enumerate((fields for batch in batches for fields in batch.to_pylist()), 1):
            yield _row(path, number, fields)


def _arrow(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """A stream, as `datasets` saves to disk."""
    with path.open("rb") as file, _pyarrow("ipc", path).open_stream(file) as stream:
        names = _there(columns, stream.schema.names)
        batches = (batch.select(names) if names else batch for batch in stream)
        slices = (batch.slice(at, BATCH) for batch in batches for at in range(0, batch.num_rows, BATCH))
        for number, fields in enumerate((fields for part in slices for fields in part.to_pylist()), 1):
            yield _row(path, number, fields)


def _there(columns: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """The wanted columns that a file has; None, which is all, where it has none of them."""
    return [name for name in columns if name in names] or None


def _pyarrow(module: str, path: Path) -> Any:
    try:
        return importlib.import_module(f"pyarrow.{module}")  # by name: it has no types
    except ImportError:
        raise MissingExtra(f"file {str(path)!r}", "pyarrow", "train") from None
