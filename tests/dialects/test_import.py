"""A prompt from its authors' file: forms of files, names of texts, and what the command writes and says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cof.cli.dialect import take
from cof.dialects.authors import dialect_file, taken, values_of
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig

Import = Callable[..., Dialect]
Refused = Callable[..., str]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """The dialect that the command makes of a file with these `words`."""
    count = iter(range(100))

    def make(name: str, words: str | bytes, **options: Any) -> Dialect:
        file, out = tmp_path / name, tmp_path / f"out{next(count)}.toml"
        file.write_bytes(words if isinstance(words, bytes) else words.encode())
        take(file, out, **options)
        return dialect_of(str(out))

    return make


@pytest.fixture
def refused(imported: Import, tmp_path: Path) -> Refused:
    """The one line of the error, and that nothing was written."""

    def make(name: str, words: str | bytes, **options: Any) -> str:
        before = set(tmp_path.glob("*.toml"))
        with pytest.raises(InvalidConfig) as error:
            imported(name, words, **options)
        assert set(tmp_path.glob("*.toml")) == before
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 1000
        return str(error.value)

    return make


def notebook(*cells: tuple[str, Any]) -> str:
    return json.dumps({"cells": [{"cell_type": kind, "source": source} for kind, source in cells], "nbformat": 4})


CLASS = '''
class PROMPT:
    SYSTEM = """Look closely."""
    USER: str = "\\nThink first."
    class v2:
        SYSTEM = "Look twice."
'''
NAMES = [
    ('class P:\n    SYSTEM = "Look."', "SYSTEM"),
    ('class P:\n    SYSTEM = "Look."', "P.SYSTEM"),
    (CLASS + 'X = "Look."', "X"),
    ('class P:\n    class v2:\n        S: Final[str] = "Look."', "v2.S"),
    ('SYSTEM = "Look."\nclass P:\n    SYSTEM = "No."', "SYSTEM"),
    ('C = {"system_prompt": """Look."""}', "C.system_prompt"),
    ('C = {"prompts": {"v1.5": {"system": "Look."}}, "other": 3}', "C.prompts.v1.5.system"),
    ('C = {"prompts": ["no", {"content": "Look."}]}', "C.prompts.1.content"),
    ('C = {**{"a": "no", "b": "x"}, "a": "Look."}', "C.a"),
    ('C = dict(system="Look.", user="x")', "C.system"),
    ('C = {"v1": dict(system="Look.")}\nD = dict(**C)', "D.v1.system"),
    ('A, (B, C) = "x", ("y", "Look.")', "C"),
    ('A = B = "Look."', "B"),
    ('C = {}\nC["system"] = "Look."', "C.system"),
    ('class P: pass\nP.SYSTEM = "Look."', "P.SYSTEM"),
    ('def f():\n    SYSTEM = "No."\nclass P:\n    SYSTEM = "Look."', "SYSTEM"),
    ('class A:\n    S = "Look."\nclass B:\n    S = A.S', "S"),
]


@pytest.mark.parametrize(("source", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_text_is_named_by_class_and_dict(imported: Import, source: str, name: str) -> None:
    assert imported("prompts.py", source, system=name).system == "Look."


EXPRESSIONS = [
    '"Lo" "ok."',
    '("Lo"\n "o" + "k.")',
    '"\\n Look. ".strip()',
    '"Look.\\n".rstrip("\\n")',
    'textwrap.dedent("""\n    Look.""").lstrip()',
    'clean("""\n    Look.\n    """)',
    'f"Look."',
    'f"{L}ok."',
    '"".join(["L", "ook", "."])',
    '"o".join(("L", "", "k."))',
    '"{}{}{end}".format(L, "ok", end=".")',
    '"{1}{0}".format("ok.", "Lo")',
    'P.LO + P.TABLE["ok"]',
    '(LIST[-1]).removeprefix("I ")',
]
GIVEN = """
import textwrap
from inspect import cleandoc as clean
L, LIST = "Lo", ["no", "I Look."]
class P:
    LO = "Lo"
    TABLE = {"ok": "ok."}
"""


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_can_be_worked_out_is(imported: Import, expression: str) -> None:
    assert imported("prompts.py", f"{GIVEN}S = {expression}", system="S").system == "Look."


def test_what_is_given_later_counts(imported: Import) -> None:
    assert imported("prompts.py", 'S = "No."\nS = "Look."\nS += " Twice."', system="S").system == "Look. Twice."


NOT_WORKED_OUT = [
    ('S = os.getenv("PROMPT")', "a call of os.getenv (line 1)"),
    ('S = "a" + build()', "a call of build (line 1)"),
    ('S = "%s" % 3', "a calculation (line 1)"),
    ('S = "a {b}".format(b=1)', "but 1 (line 1)"),
    ('S = "a {b}".format(**x)', "a call of format (line 1)"),
    ('S = "a {b} {c}".format(b="x")', "a call of format"),
    ('S = "a {b:>9999999}".format(b="x")', "a call of format"),
    ('S = "a {".format()', "a call of format"),
    ('S = "a {}{}".format("b")', "a call of format"),
    ('class E(str, Enum):\n    A = "a"\nS = "{}".format(E.A)', "a member in a format (line 3)"),
    ("S = f().format()", "a call of f (line 1)"),
    ('S = f"{width} pixels"', "an f-string with {width} (line 1)"),
    ('class E(str, Enum):\n    A = "a"\nS = f"{E.A}"', "an f-string with {E.A} (line 3)"),
    ('W = "a"\nS = f"{W:>5}"', "an f-string with {W}"),
    ('S = "a" if x else "b"', "a choice by if/else"),
    ('S = x or "b"', "a choice by and/or"),
    ("S = 3", "but 3 (line 1)"),
    ('S = b"a"', "but b'a' (line 1)"),
    ("S = None", "but None (line 1)"),
    ("S = OTHER", "the name OTHER, which has no value above"),
    ("from prompts import S", "imported from prompts (line 1)"),
    ("from prompts import A as B\nS = B", "imported from prompts (line 1)"),
    ('def S(q):\n    return "a"', "a function (line 1)"),
    ('def f():\n    S = "a"', "f().S no text that stands in it, but given inside a function (line 2)"),
    ('S = "a"\nif x:\n    S = "b"', "given inside an if statement (line 3)"),
    ('for S in ["a"]:\n    pass', "given inside a for statement"),
    ('try:\n    from a import S\nexcept ImportError:\n    S = "a"', "given inside a try statement"),
    ('with open("a") as f:\n    S = f.read()', "given inside a with statement"),
    ('S = "a"\ndel S', "given inside a delete statement"),
    ('S = "a"\nS += f()', "a call of f"),
    ('S, T = f("a")', "unpacked"),
    ("S = [x for x in y]", "a comprehension"),
    ('def dedent(x): return "no"\nS = dedent("a")', "a call of dedent"),
    ('def dict(**x): return {}\nD = dict(S="a")\nS = D["S"]', "the value of D['S']"),
    ('D = {f(): "a", "S": "b"}\nS = D["S"]', "the value of D['S']"),
    ('S = {"a": "b"}\nS.update(a="c")', "changed by a call of update (line 2)"),
    ('S = {"a": "b"}\nS[f()] = "c"', "changed by an assignment"),
    ('S = "a".strip(1)', "1 (line 1)"),
    ('S = "a".strip("a", "b")', "a call of strip"),
    ('S = ["a"]\nS += ["b"]', "a sum of more than texts"),
    ('A = "' + "a" * 600_000 + '"\nS = A + A', "a text that is too long"),
]


@pytest.mark.parametrize(("source", "what"), NOT_WORKED_OUT, ids=[what for _, what in NOT_WORKED_OUT])
def test_what_cannot_be_worked_out_is_named(refused: Refused, source: str, what: str) -> None:
    line = refused("prompts.py", source, system="S")
    assert what in line
    assert line.endswith("want a name whose text needs no code to run")


def test_a_name_that_means_nothing_or_too_much(refused: Refused) -> None:
    assert "it names: PROMPT.SYSTEM, PROMPT.USER, PROMPT.v2.SYSTEM" in refused("prompts.py", CLASS, system="PROMPT.X")
    assert "several texts the name 'SYSTEM'; want one of: PROMPT.SYSTEM, PROMPT.v2.SYSTEM" in refused(
        "prompts.py", CLASS, system="SYSTEM"
    )
    assert "PROMPT.v2 holds several values; want one of: PROMPT.v2.SYSTEM" in refused(
        "prompts.py", CLASS, system="PROMPT.v2"
    )
    many = "".join(f'A{i:02} = "a"\n' for i in range(20))
    assert refused("prompts.py", many, system="B").endswith("A10, A11 and 8 more")
    assert "nothing was asked" in refused("prompts.py", CLASS)
    assert refused("prompts.py", "import os", system="B").endswith("it names: none")
    local = 'def f():\n    S = "a"\nclass A:\n    S = g()\nclass B:\n    S = "a"'
    assert "want one of: A.S, B.S" in refused("prompts.py", local, system="S")


def test_code_never_runs_and_must_be_python(imported: Import, refused: Refused) -> None:
    assert imported("prompts.py", 'raise SystemExit("ran")\nS = "Look \\d."', system="S").system == "Look \\d."
    assert imported("prompts.py", b'\xef\xbb\xbfS = """Look\r\ntwice."""\r\n', system="S").system == "Look\ntwice."
    assert "line 1: '(' was never closed" in refused("prompts.py", "S = (", system="S")


CELLS = notebook(
    ("markdown", ["# Prompts\n", "Look."]),
    ("code", ["%pip install it's\n", "!ls \\\n", "  -l\n", "S = '''\n", "!Look\n", "%time\n", "'''.strip()\n", "S?\n"]),
    ("code", "%%bash\necho S = 'no'"),
    ("code", "%%time\nfiles = !ls\nfor x in files:\n    !rm $x\nT = S + ' twice'"),
    ("raw", "As it stands."),
)


def test_a_notebook_has_its_code_cells_together_or_one_cell(imported: Import) -> None:
    taken = imported("prompts.ipynb", CELLS, system="S", user="T")
    assert taken.system == "!Look\n%time"
    assert taken.user == "{question}\n!Look\n%time twice"
    assert imported("prompts.ipynb", CELLS, cell=1).system == "# Prompts\nLook."
    assert imported("prompts.ipynb", CELLS, cell=5).system == "As it stands."
    assert imported("prompts.ipynb", CELLS, cell=2, system="S").system == "!Look\n%time"
    assert imported("prompts.ipynb", notebook(("code", "if 1:\n  pass\n5 % 3\nS = 'a'")), system="S").system == "a"


def test_what_a_notebook_does_not_have_is_named(refused: Refused) -> None:
    assert "it names: S, T" in refused("prompts.ipynb", CELLS)
    assert "files no text that stands in it, but Ellipsis (cell 4, line 2)" in refused(
        "prompts.ipynb", CELLS, system="files"
    )
    assert "the name S, which has no value above (cell 4, line 5)" in refused(
        "prompts.ipynb", CELLS, system="T", cell=4
    )
    assert "no cell 6; want --cell from 1 to 5" in refused("prompts.ipynb", CELLS, cell=6)
    assert "no cell 0" in refused("prompts.ipynb", CELLS, cell=0)
    assert "cell 1 is one text, so nothing in it has a name; leave --user out" in refused(
        "prompts.ipynb", CELLS, cell=1, user="S"
    )
    assert "cell 2, line 1: invalid syntax" in refused(
        "prompts.ipynb", notebook(("raw", ""), ("code", "S is <- 'a'")), system="S"
    )
    assert "no list of cells" in refused("prompts.ipynb", '{"worksheets": []}', system="S")
    assert "cell 1 has no type and source" in refused("prompts.ipynb", notebook(("code", 3)), system="S")
    assert "Expecting value" in refused("prompts.ipynb", "S = 'a'", system="S")


JSON = json.dumps(
    {"a": "Look.", "prompts": {"vcot": {"system": "Think."}}, "messages": [{"content": "Hm."}], "n": 3, "b.c": "Dot."}
)


def test_a_key_is_asked_of_json_and_toml(imported: Import, refused: Refused, tmp_path: Path) -> None:
    assert imported("prompts.json", JSON, system="a").system == "Look."
    assert imported("prompts.json", JSON, system="prompts.vcot.system").system == "Think."
    assert imported("prompts.json", JSON, system="vcot.system").system == "Think."
    assert imported("prompts.json", JSON, system="messages.0.content").system == "Hm."
    assert imported("prompts.json", JSON, system="b.c").system == "Dot."
    file = tmp_path / "theirs.toml"
    file.write_text("[prompts]\nsystem = '''Look.'''\n")
    assert taken(file, {"system": "prompts.system"})[0].words.text == "Look."
    assert "it names: a, b.c, messages.0.content, prompts.vcot.system" in refused("prompts.json", JSON)
    assert "n no text that stands in it, but 3;" in refused("prompts.json", JSON, system="n")
    assert "messages holds several values" in refused("prompts.json", JSON, system="messages")
    assert "several texts the name 'x'; want one of: a.x, b.x" in refused(
        "prompts.json", '{"a": {"x": "1"}, "b": {"x": "2"}}', system="x"
    )
    assert "leave --cell out" in refused("prompts.json", JSON, system="a", cell=1)


@pytest.mark.parametrize("name", ["system.txt", "SYSTEM.TXT", "system.md", "system"])
def test_a_plain_text_is_the_system_prompt_as_it_stands(
    imported: Import, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = 'Look at {"bbox_2d": [x1, y1]}.\n'
    assert imported(name, words).system == words
    assert capsys.readouterr().out.startswith(f"took system from the whole file ({len(words)} letters)\n")


def test_a_plain_text_has_no_names(refused: Refused) -> None:
    assert "nothing in it has a name; leave --user out" in refused("system.txt", "Look.", user="USER")
    assert "is a script" in refused("run", "#!/bin/sh\necho Look.")


@pytest.mark.parametrize("name", ["a.jinja", "a.j2", "a.sh", "a.yaml", "a.yml", "a.js", "a.html", "a.jsonl", "a.PY2"])
def test_other_files_are_never_a_prompt(refused: Refused, name: str) -> None:
    assert f"({Path(name).suffix.lower()})" in refused(name, "Look.")
    assert "in a file that ends in .txt" in refused(name, "Look.", system="SYSTEM")


HOSTILE = [
    ("a.py", b"S = 'a\0'"),
    ("a.py", b"S = '\xff'"),
    ("a.py", b"S = '\\ud800'"),
    ("a.py", b"S = '\\0'"),
    ("a.py", b"S = " + b"(" * 100_000),
    ("a.py", b"S = " + b"-" * 100_000 + b"1"),
    ("a.py", b"S = " + b"lambda: " * 50_000 + b"1"),
    ("a.py", b"S = 'a'" + b" + 'a'" * 50_000),
    ("a.py", b"S = [" * 80 + b"'a'" + b"]" * 80),
    ("a.py", b"x" * 10_000_000),
    ("a.py", b"S = {'k': 'x'}\n" + b"S = {'a': S, 'b': S}\n" * 60),
    ("a.py", b"S = {}\nS['a'] = S\nS['b'] = S"),
    ("a.json", b'{"S": "\\ud800"}'),
    ("a.json", b'{"S": "a\\u0000"}'),
    ("a.json", b'{"S": "' + b"a" * 10_000_000 + b'"}'),
    ("a.json", b'{"S": ' + b"[" * 100_000),
    ("a.json", b'{"S": ' + b"[" * 900 + b"]" * 900 + b"}"),
    ("a.json", b'{"S": ' + b"9" * 5000 + b"}"),
    ("a.json", b'{"S": "a\xff"}'),
    ("a.json", b"{" + b",".join(b'"k%d": ""' % i for i in range(150_000)) + b"}"),
    ("a.json", b"3"),
    ("a.ipynb", b'{"cells": ' + b"[" * 100_000),
    ("a.ipynb", notebook(("code", "S = '\ud800'")).encode()),
    ("a.ipynb", notebook(("code", "'" * 500_000 + "\n(")).encode()),
    ("a.ipynb", notebook(("code", "x" * 10_000_000)).encode()),
]


@pytest.mark.parametrize(("name", "words"), HOSTILE)
def test_a_hostile_file_is_one_line(refused: Refused, name: str, words: bytes) -> None:
    assert refused(name, words, system="S")


@pytest.mark.parametrize("words", [b"\xff\xfe", b"Look\0", b"a" * 10_000_000])
def test_a_hostile_text_is_one_line(refused: Refused, words: bytes) -> None:
    assert refused("a.txt", words)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    for name, why in (("none.py", "is not there"), ("folder.py", "is no file"), ("pipe.py", "is no file")):
        with pytest.raises(InvalidConfig, match=why):
            values_of(tmp_path / name)


def test_any_text_can_be_written(tmp_path: Path) -> None:
    words = 'Look \U0001f50d "closely"\t\x7f\\\n{question}'
    out = tmp_path / "any.toml"
    out.write_text(dialect_file("cof", "any", {"user": words}), encoding="utf-8")
    assert dialect_of(str(out)).user == words


def test_what_no_dialect_can_have_is_not_written(refused: Refused) -> None:
    assert "{question} 2 times in user" in refused("a.py", 'U = "{query} {query}"', user="U")
    assert "{image} 2 times in reply" in refused("a.py", 'R = "{image} {image}"', reply="R")
    assert "there is no dialect 'nobody'" in refused("a.py", 'S = "a"', system="S", like="nobody")
    template = "<|im_start|>system\nLook.<|im_end|>"
    assert "system holds the control token <|im_start|>; want the words alone" in refused("a.txt", template)


def test_tokens_of_the_family_itself_are_its_words(imported: Import, refused: Refused) -> None:
    words = "Point with <|box_start|>(x1,y1),(x2,y2)<|box_end|>."
    assert imported("a.txt", words, like="qwen2-vl").system == words
    assert "token <|im_end|>" in refused("a.txt", f"{words}<|im_end|>", like="qwen2-vl")
    assert "token <|box_start|>" in refused("a.txt", words, like="deepeyes")


def test_the_command_says_what_it_took(imported: Import, capsys: pytest.CaptureFixture[str]) -> None:
    source = CLASS + 'U = "{Question} Think."\nR = "<image> Here {n}."'
    made = imported("prompts.py", source, system="v2.SYSTEM", user="U", closer="USER", reply="R", like="deepeyes")
    assert (made.system, made.user, made.closer, made.reply, made.like) == (
        "Look twice.",
        "{question} Think.",
        "\nThink first.",
        "{image} Here {n}.{words}",
        "deepeyes",
    )
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "took system from PROMPT.v2.SYSTEM (11 letters); user from U (17 letters, {Question} is the question); "
        "closer from PROMPT.USER (13 letters); reply from R (24 letters, <image> is the picture, before {words})"
    )
    assert second.startswith("dialect in ")
    assert "cof dialect show " in second


def test_a_reply_says_all_that_follows_a_zoom(imported: Import) -> None:
    assert imported("prompts.py", 'R = "{image} Here."', reply="R").closer == ""


def test_the_file_to_write_is_a_new_toml(tmp_path: Path) -> None:
    file, out = tmp_path / "system.txt", tmp_path / "out.toml"
    file.write_text("Look.")
    with pytest.raises(InvalidConfig, match="ends in .toml"):
        take(file, tmp_path / "out.json")
    with pytest.raises(InvalidConfig, match="no name in UTF-8"):
        take(file, tmp_path / os.fsdecode(b"\xff.toml"))
    take(file, out)
    with pytest.raises(InvalidConfig, match="is there already"):
        take(file, out)
