"""`cof dialect`: what goes over the wire to a model family, and a family's own prompt from its authors' file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cof.dialects.base import Message
from cof.dialects.dialect import QUESTION
from cof.dialects.named import SUFFIX, constants, dialect_of, imported, names
from cof.errors import InvalidConfig
from cof.runs import publish
from cof.types import Answer, Box, Completion, Malformed, Question, Turn, View, Zoom
from cof.vision import views
from cof.vision.boxes import in_words

app = typer.Typer(no_args_is_help=True, help="What model families expect on the wire.")
SIZE = (1920, 1080)  # pixels of the picture that `show` talks about
SPOT = Box(960, 540, 1152, 648)


@app.command("list")
def every() -> None:
    """The families that come with the package."""
    for name in names():
        print(name)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A family, or a TOML file.")]) -> None:
    """Print a whole conversation as it goes over the wire: a question, a zoom, a turn that cannot be read, an answer."""
    dialect = dialect_of(name)
    first = views.overview(SIZE, dialect.view)
    view = views.zoom(SPOT, first, dialect.view)
    zoom, answer = Zoom((SPOT,), "sign", "It is too small."), Answer("B", "I can read it.")
    fault = dialect.parse("", first)
    assert isinstance(fault, Malformed)
    turns = (
        Turn(Completion(dialect.write(zoom, first)), zoom, (view,)),
        Turn(Completion("…"), fault, note=dialect.complain(fault.fault)),
        Turn(Completion(dialect.write(answer, first)), answer),
    )
    question = Question("", "", "What letter is on the sign?", ("A", "B"))
    for message in dialect.messages(question, first, turns):
        print(f"[{message.role}]\n{_told(message)}\n")


@app.command("import")
def take(
    file: Annotated[Path, typer.Argument(help="The authors' own file: Python, or the text of a system prompt.")],
    out: Annotated[Path, typer.Option(help="The dialect file to write (TOML).")],
    like: Annotated[str, typer.Option(help="The family whose grammar it has.")] = "cof",
    system: Annotated[str, typer.Option(help="Python: the name of the system prompt.")] = "",
    user: Annotated[str, typer.Option(help="Python: the name of the text around the question, or after it.")] = "",
) -> None:
    """Take a prompt from its authors' file, which is read and never run."""
    if out.suffix != SUFFIX:
        raise InvalidConfig(f"--out {out} would not be found as a dialect; want a name that ends in {SUFFIX}")
    if out.exists():
        raise InvalidConfig(f"{out} is there already; want a new name, or remove it first")
    if file.suffix == ".py":
        found = constants(file)
        words = {field: _constant(found, name, file) for field, name in (("system", system), ("user", user)) if name}
    else:
        words = _whole(file, system or user)
    if not words:
        raise InvalidConfig(f"nothing was asked of {file}; want --system NAME, --user NAME or both")
    if "user" in words and QUESTION not in words["user"]:
        words["user"] = f"{QUESTION}\n{words['user']}"
    publish(out, imported(like, out.stem, words))
    print(f"dialect in {out}; see it with: cof dialect show {out}")


def _whole(file: Path, named: str) -> dict[str, str]:
    """A text file as the system prompt."""
    if named:
        raise InvalidConfig(
            f"{file} is no Python file, so nothing in it is called {named!r}; leave --system and --user out"
        )
    try:
        return {"system": file.read_text(encoding="utf-8")}
    except UnicodeDecodeError:
        raise InvalidConfig(f"{file} is no text in UTF-8; want the authors' prompt, or their Python file") from None


def _constant(found: dict[str, str], name: str, file: Path) -> str:
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        raise InvalidConfig(f"{file} gives no text the name {name!r} at its top level; it names: {known}")
    return found[name]


def _told(message: Message) -> str:
    return "".join(_picture(part) if isinstance(part, View) else part for part in message.parts)


def _picture(view: View) -> str:
    return f"<picture of {view.size[0]} x {view.size[1]} pixels: {in_words(view.region)} of the source>"
