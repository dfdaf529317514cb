"""Shape of the source: a file and a function are short, and a class name has one meaning in the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "cof").rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 300, 40  # most; of a function without its decorators


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def too_long(source: str) -> list[str]:
    """What of a file is too long: the file, or functions by name, wherever in it."""
    lines = len(source.splitlines())
    found = [f"the file: {lines} lines"] if lines > FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            found += [f"{node.name}: {lines} lines"] if lines > FUNCTION_LINES else []
    return found


def classes_in(source: str) -> list[str]:
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]


def test_what_is_too_long_is_found_wherever_it_is() -> None:
    body = "        x = 1\n"
    method = "class A:\n    @cached\n    async def f(self):\n" + body * 39
    assert too_long(method) == []
    assert too_long(method + body) == ["f: 41 lines"]
    assert too_long("x = 1\n" * 300) == []
    assert too_long("x = 1\n" * 301) == ["the file: 301 lines"]


@pytest.mark.parametrize("file", FILES, ids=place)
def test_a_file_has_at_most_300_lines_and_a_function_40(file: Path) -> None:
    assert too_long(file.read_text(encoding="utf-8")) == []


def test_a_class_name_is_defined_once_in_the_package() -> None:
    assert sorted(classes_in("class A:\n    class _B: ...\ndef f():\n    class A: ...")) == ["A", "A", "_B"]
    places: dict[str, list[str]] = {}
    for file in FILES:
        for name in classes_in(file.read_text(encoding="utf-8")):
            places.setdefault(name, []).append(place(file))
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
