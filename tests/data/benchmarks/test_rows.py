"""A row that is damaged is lost alone: the rows before and after it are read."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from cof.data.benchmarks import fields, jsonl, rows
from cof.data.benchmarks.left_out import LeftOut, usable
from cof.data.benchmarks.rows import Row
from cof.errors import InputError

HEAD = "index\tquestion\tanswer\n"
LONG = "[" * 100_000


def read(folder: Path, content: bytes | str, name: str = "set.tsv") -> list[Row]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(rows.read(folder / name))


def written(*records: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(records)  # quotes as pandas does by default
    return text.getvalue()


@pytest.mark.parametrize("words", ["two\nlines", 'a "sign"', '"sign', "a\ttab", 'a\n\n"b"\n\tc', "", "plain"])
def test_quotes_that_pandas_writes_are_read_back(tmp_path: Path, words: str) -> None:
    found = read(tmp_path, HEAD + written(("1", words, "A"), ("2", "next", words)))
    assert [(row.fields["question"], row.fields["answer"], row.fault) for row in found] == [
        (words, "A", ""),
        ("next", words, ""),
    ]


@pytest.mark.parametrize("bad", ['2\t"open\tB', '2\topen\t"B', '2\t"a" b\tB', '2\t"open""\tB', '2\t"open\tB\tC'])
@pytest.mark.parametrize(
    "after", [written(("3", 'a "sign"', "C"), ("4", '"two\nlines"', "D")), "3\tplain\tC\n4\tx\tD\n"]
)
def test_a_quote_that_is_not_closed_spoils_one_row(tmp_path: Path, bad: str, after: str) -> None:
    found = read(tmp_path, f"{HEAD}1\tfirst\tA\n{bad}\n{after}")
    assert [row.number for row in found if row.fault] == [2]
    assert "quotation mark" in found[1].fault
    assert [row.fields["index"] for row in found if not row.fault] == ["1", "3", "4"]


def test_a_byte_that_is_not_utf_8_spoils_one_row(tmp_path: Path) -> None:
    found = read(tmp_path, HEAD.encode() + "1\tá\tA\n".encode() + b"2\t\xe9\tB\n3\tx\tC\n")
    assert [(row.fields["index"], row.fault) for row in found] == [("1", ""), ("2", "is not UTF-8"), ("3", "")]
    lines = b'{"a": "x"}\n{"a": "\xe9"}\n{"a": "y"}\n'
    for name in ("set.jsonl", "lines.json"):
        found = read(tmp_path, lines, name)
        assert [row.fields.get("a") for row in found] == ["x", None, "y"]
        assert "is not JSON" in found[1].fault
    found = read(tmp_path, b'[{"a": "x"}, {"a": "\xe9"}]', "list.json")
    assert [row.fault for row in found] == ["", "is not UTF-8"]
    with pytest.raises(InputError, match=r"header.tsv' cannot be read \(its header is not UTF-8"):
        read(tmp_path, b"\xff\xfea\tb\n1\t2\n", "header.tsv")


@pytest.mark.parametrize("spelt", ["[{[]: 1}]", LONG, "-" * 100_000 + "1", "{" * 100_000, "[1, 2", "[{}: 1]"])
def test_text_that_spells_no_list_is_named(spelt: str) -> None:
    row = Row(Path("set.tsv"), 3, {"choices": spelt})
    with pytest.raises(InputError, match=r"row 3, field 'choices' is .*; want a list"):
        fields.listed(row, "choices")


def test_a_number_of_400_digits_and_deep_lists_are_left_out(tmp_path: Path) -> None:
    good: dict[str, Any] = {"question": "What?", "image": "p.png", "answer": "A"}
    (tmp_path / "p.png").write_bytes(b"")
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    left_out, huge = LeftOut(), [[1, 2, 3, 10**400]]
    given = (good, good | {"targets": huge}, good | {"choices": deep}, good | {"answers": deep}, good)
    found = [Row(tmp_path / "set.jsonl", number, each) for number, each in enumerate(given, 1)]
    assert len(list(usable(found, jsonl.item, left_out))) == 2
    assert "line 2: field 'targets' has a number beyond all pictures" in left_out.summary()
    assert len(left_out) == 3


@pytest.mark.parametrize("name", ["set.parquet", "set.arrow"])
def test_only_the_columns_that_are_needed_are_read(tmp_path: Path, name: str) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"messages": ["a", "b"], "images": [b"1", b"2"]})
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / name)
    else:
        with arrow.ipc.new_stream(tmp_path / name, table.schema) as stream:
            stream.write_table(table)
    file = tmp_path / name
    assert [dict(row.fields) for row in rows.read(file, ("messages", "prompt"))] == [
        {"messages": "a"},
        {"messages": "b"},
    ]
    assert {tuple(row.fields) for row in rows.read(file, ("prompt",))} == {("messages", "images")}
    assert {tuple(row.fields) for row in rows.read(file)} == {("messages", "images")}
