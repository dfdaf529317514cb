"""`cof dialect`: what goes over the wire to a model family, and a family's own prompt from its authors' file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cof.dialects.authors import NO_TEXT, Taken, dialect_file, taken
from cof.dialects.base import Message
from cof.dialects.named import SUFFIX, dialect_of, names
from cof.errors import InvalidConfig
from cof.geometry import Box, Shown
from cof.runs import publish
from cof.tools.zoom import observed, zooms
from cof.trace import Turn
from cof.types import Answer, Completion, Malformed, Question
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
    zoom, answer = zooms([SPOT], "sign", "It is too small."), Answer("B", "I can read it.")
    fault = dialect.parse("", (first,))
    assert isinstance(fault, Malformed)
    turns = (
        Turn(Completion(dialect.write(zoom, (first,))), zoom, observed([view])),
        Turn(Completion("…"), fault, note=dialect.complain(fault.fault)),
        Turn(Completion(dialect.write(answer, (first,))), answer),
    )
    question = Question("", ("",), "What letter is on the sign?", ("A", "B"))
    for message in dialect.messages(question, (first,), turns):
        print(f"[{message.role}]\n{_told(message)}\n")


@app.command("import")
def take(
    file: Annotated[Path, typer.Argument(help="The authors' own file: .py, .ipynb, .json, .toml, or a system prompt.")],
    out: Annotated[Path, typer.Option(help="The dialect file to write (TOML).")],
    like: Annotated[str, typer.Option(help="The family whose grammar it has.")] = "cof",
    system: Annotated[str, typer.Option(help="Name of the system prompt, such as PROMPTS.system.")] = "",
    user: Annotated[str, typer.Option(help="Name of the text around the question, or after it.")] = "",
    closer: Annotated[str, typer.Option(help="Name of the words after a closer look.")] = "",
    reply: Annotated[str, typer.Option(help="Name of the text around the {image} of a closer look.")] = "",
    cell: Annotated[int | None, typer.Option(help="Notebook: this cell alone, counted from 1.")] = None,
) -> None:
    """Take a prompt from its authors' file, which is read and never run."""
    if out.suffix != SUFFIX:
        raise InvalidConfig(f"--out {out} would not be found as a dialect; want a name that ends in {SUFFIX}")
    if NO_TEXT.search(f"{out}{like}"):
        raise InvalidConfig(f"--out {str(out)!r} or --like {like!r} is no name in UTF-8; want another")
    if out.exists():
        raise InvalidConfig(f"{out} is there already; want a new name, or remove it first")
    named = {"system": system, "user": user, "closer": closer, "reply": reply}
    found = taken(file, {key: name for key, name in named.items() if name}, cell)
    words = {each.key: each.words.text for each in found}
    if "reply" in words:
        words = {"closer": ""} | words  # all that its authors say there is in the reply
    publish(out, dialect_file(like, out.stem, words))
    print(f"took {'; '.join(map(_taken, found))}")
    print(f"dialect in {out}; see it with: cof dialect show {out}")


def _taken(each: Taken) -> str:
    changes = "".join(f", {change}" for change in each.words.changes)
    return f"{each.key} from {each.origin} ({len(each.words.text):,} letters{changes})"


def _told(message: Message) -> str:
    return "".join(_picture(part) if isinstance(part, Shown) else part for part in message.parts)


def _picture(view: Shown) -> str:
    return f"<picture of {view.size[0]} x {view.size[1]} pixels: {in_words(view.region)} of the source>"
