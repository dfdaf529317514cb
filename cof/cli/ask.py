"""`cof ask`: questions about pictures, the answers, and where the model looked.

One question about one picture is printed alone; several are printed as they end, in order, each under a heading.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from cof.api import opened_pictures, session_of
from cof.cli import status
from cof.cli.answers import print_answer, print_line
from cof.cli.asking import STDIN, Questionnaire, is_single, pictures_in, questions_in, split_words
from cof.cli.console import print_json
from cof.cli.options import (
    Adapter,
    Budget,
    CropBudget,
    DialectName,
    FetchFlag,
    KeyFile,
    LimitItems,
    Megapixels,
    ModelName,
    PolicyName,
    TurnTokens,
    Urls,
    WireName,
    dialect_given,
    model_and_setting,
    wire_of,
)
from cof.cli.several import ask_several, check_folder
from cof.config import replace_fields
from cof.data.outside import OUTSIDE
from cof.errors import CofError, InputError, ModelError
from cof.loop.notes import unreadable
from cof.loop.policies.known import OWN, policy_for_asking
from cof.loop.question import question_of
from cof.loop.session import Session
from cof.models.base import Model
from cof.models.opening import NANO, ModelRef
from cof.runs import publish
from cof.trace import Trace
from cof.types import Limits, Question, Sampling
from cof.view.page import trace_page
from cof.view.summary import summary
from cof.vision.load import MEGAPIXELS, LoadLimits, limits_of, read_stdin
from cof.vision.views import Picture

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURE... QUESTION",
        help="Picture files, folders of them, - for standard input, or URLs with --fetch; last the question.",
    ),
]
Further = Annotated[
    list[str], typer.Option("--question", "-q", help="A further question about every picture; repeatable.")
]
QuestionFile = Annotated[Path | None, typer.Option(help="A file of further questions, one a line.")]
Choices = Annotated[list[str], typer.Option("--choice", help="A possible answer; repeatable.")]
Together = Annotated[bool, typer.Option("--together", help="Ask one question about all the pictures together.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for each answer.")]
TracePath = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        help="Write the trace page to this HTML file, or the trace to a .json file; of several answers, to a folder.",
    ),
]


def ask(
    words: Words,
    question: Further = [],  # noqa: B006
    questions: QuestionFile = None,
    choice: Choices = [],  # noqa: B006
    model: ModelName = None,
    adapter: Adapter = None,
    url: Urls = [],  # noqa: B006
    key_file: KeyFile = None,
    wire: WireName = None,
    dialect: DialectName = None,
    policy: PolicyName = OWN,
    limit: LimitItems = [],  # noqa: B006
    budget: Budget = None,
    crop_budget: CropBudget = None,
    turn_tokens: TurnTokens = None,
    fetch: FetchFlag = False,
    max_megapixels: Megapixels = MEGAPIXELS,
    together: Together = False,
    as_json: AsJson = False,
    trace: TracePath = None,
) -> None:
    """Ask questions about pictures, and see where the model looked. The model is loaded once."""
    status.show(f"cof: opening {url[0]} ..." if url else f"cof: loading {model or NANO} ...")
    with _error_as_json(as_json):
        limits, decides = replace_fields(Limits(), limit), policy_for_asking(policy)
        spoken, sampling = dialect_given(dialect), Sampling(tokens=turn_tokens) if turn_tokens else None
        images, texts = split_words(words, [*question, *questions_in(questions)])
        asked = _asked(images, texts, choice, together, fetch, limits_of(max_megapixels))
        if isinstance(asked, Questionnaire):
            check_folder(trace, asked.total)
        ref = ModelRef(model, tuple(url), None, key_file, wire_of(wire), limits.seconds, adapter)
        loaded, setting = model_and_setting(ref, limits, sampling, budget, spoken, crop_budget)
        setting = replace(setting, policy=decides)
        if not isinstance(asked, Questionnaire):
            found = _answered(loaded, session_of(loaded, *asked, setting), quiet=as_json)
    if isinstance(asked, Questionnaire):
        ask_several(loaded, asked, setting, as_json, trace)
    else:
        _finish(found, [picture.image for picture in asked[1]], as_json, trace)


def _asked(
    images: list[str], texts: list[str], choices: list[str], together: bool, fetch: bool, largest: LoadLimits
) -> tuple[Question, tuple[Picture, ...]] | Questionnaire:
    """One question with its pictures, or several; read and refused before a model is loaded."""
    if not is_single(images, texts, together):
        several = Questionnaire(pictures_in(images, largest), texts, choices, fetch, largest)
        for text in texts:
            question_of([""], text, choices)
        return several
    named = pictures_in(images, largest) if together else images
    names, pictures = opened_pictures(
        [read_stdin(largest) if each == STDIN else each for each in named], fetch, largest
    )
    return question_of(names, texts[0], choices), pictures


def _finish(found: Trace, pictures: Sequence[Image.Image], as_json: bool, page: Path | None) -> None:
    """Print the answer, and write its page. Raises ModelError where the model failed."""
    status.clear()
    if trouble := unreadable(found):
        print(f"cof: {trouble}", file=sys.stderr)
    if as_json:
        print_json(summary(found))
    else:
        print_answer(found)
    if page is not None:  # last, so that a page that cannot be written costs no answer
        as_data = page.suffix.lower() == ".json"
        _write(page, json.dumps(found.to_json(), ensure_ascii=False) + "\n" if as_data else trace_page(found, pictures))
        if not as_json:
            print_line("trace", str(page))
    if found.error is not None:
        raise ModelError(found.error)


@contextmanager
def _error_as_json(wanted: bool) -> Iterator[None]:
    """Prints an error as a JSON object too, where that is `wanted`."""
    try:
        yield
    except CofError as error:
        if wanted:
            status.clear()
            print_json({"answer": None, "error": " ".join(str(error).split())})
        raise


def _answered(model: Model, session: Session, quiet: bool) -> Trace:
    """The trace of the question. A warning about a picture outside what the model knows is printed first, unless `quiet`."""
    if session.trace.outside and not quiet:
        status.clear()
        print_line("outside", OUTSIDE)
    status.show(f"cof: asking {model.info.name} ...")
    model.converse([session])
    return session.trace


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(path, text)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; want a file in a folder that can be written"
        ) from None
