"""Many questions of `cof ask`: several pictures, folders of them, and several questions about each, to a model loaded once.

Owns which words of the command line are pictures and which are questions, and the order of answers. An answer is delivered as
soon as it and those before it have ended. Where a picture cannot be read, its own questions fail and no others. Omits printing
of answers (`several.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from PIL import Image

from cof.api import opened_picture, session_of
from cof.cli.console import say
from cof.errors import InputError
from cof.loop.question import question_of
from cof.loop.run import not_asked
from cof.loop.session import Session
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.trace import Trace
from cof.types import Question
from cof.vision.addresses import url_of
from cof.vision.load import LoadLimits, pixels_of, read_stdin
from cof.vision.views import Picture

STDIN = "-"
PATH = re.compile(r"\S*/\S*|\S+\.\w{2,5}")  # has the form of a path, and not of a question


@dataclass(frozen=True)
class PictureQuestion:
    """One question about one picture: its `place` in the order of answers, and `image` as the command line has it."""

    place: int
    image: str
    text: str


@dataclass(frozen=True)
class Questionnaire:
    """Every question of `texts` about every picture of `images`, each with the same `choices`.

    Addresses are fetched where `fetch` is true. A picture above the limits `largest` is not read.
    """

    images: Sequence[str]
    texts: Sequence[str]
    choices: Sequence[str] = ()
    fetch: bool = False
    largest: LoadLimits = LoadLimits()

    @property
    def total(self) -> int:
        """How many answers there will be."""
        return len(self.images) * len(self.texts)

    def read(self, image: str) -> tuple[str, Image.Image]:
        """The name and the pixels of a picture. Raises InputError."""
        given = read_stdin(self.largest) if image == STDIN else image
        return opened_picture(given, self.fetch, self.largest)


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with its trace, and its picture where that could be read."""

    asked: PictureQuestion
    trace: Trace
    picture: Picture | None


def split_words(words: Sequence[str], further: Sequence[str]) -> tuple[list[str], list[str]]:
    """The pictures and the questions: the last word is a question, unless there are `further` ones and it names a picture.

    Raises InputError where either is missing.
    """
    if further and (len(words) == 1 or _names_picture(words[-1])):
        return list(words), list(further)
    if len(words) < 2:
        raise InputError(
            f"{words[0]!r} is all that was given; want a picture and a question: cof ask PICTURE... QUESTION"
        )
    if not further and _is_there(words[-1]):
        raise InputError(f"{words[-1]!r} is a file or a folder; want a question last, or by --question")
    return list(words[:-1]), [words[-1], *further]


def questions_in(file: Path | None) -> list[str]:
    """The questions of a file, one a line; empty lines are passed over. Raises InputError."""
    if file is None:
        return []
    try:
        found = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"{file} cannot be read ({reason}); want a text file with a question a line") from None
    if not found:
        raise InputError(f"{file} holds no question; want a question a line")
    return found


def pictures_in(images: Sequence[str], largest: LoadLimits) -> list[str]:
    """The pictures, with those in a folder in its place, by name; stderr names the files in folders that cannot be read.

    Hidden files and folders within folders are passed over. Raises InputError for a folder without a picture.
    """
    found, refused = list[str](), list[str]()
    for image in images:
        if not _is_folder(image):
            found.append(image)
            continue
        files = [file for file in sorted(Path(image).iterdir()) if file.is_file() and not file.name.startswith(".")]
        reasons = {str(file): _unreadable(file, largest) for file in files}
        readable = [file for file, reason in reasons.items() if not reason]
        if not readable:
            raise InputError(
                f"folder {image!r} holds no picture that can be read; want JPEG, PNG or other picture files"
            )
        found += readable
        refused += [reason for reason in reasons.values() if reason]
    if found.count(STDIN) > 1:
        raise InputError("standard input (-) was given twice; want it once, as it can be read once")
    if refused:
        count = "1 file" if len(refused) == 1 else f"{len(refused)} files"
        say(f"left out of the folders: {count} that cannot be read as pictures; the first: {refused[0]}")
    return found


def is_single(images: Sequence[str], questions: Sequence[str], together: bool = False) -> bool:
    """Whether one picture and one question were given; a folder counts as several pictures.

    Of several pictures `together` one question is asked. Raises InputError where there are more questions than that.
    """
    if together and len(questions) > 1:
        raise InputError(f"--together asks one question about all pictures, and there are {len(questions)}; want one")
    if together:
        return True
    return len(images) == 1 and len(questions) == 1 and not _is_folder(images[0])


def ask_all(
    model: Model, questionnaire: Questionnaire, setting: Setting, deliver: Callable[[AnsweredQuestion], None]
) -> None:
    """Ask every question about every picture. `deliver` gets the answers in order, from any thread."""
    ordered, texts = _InOrder(deliver), questionnaire.texts

    def sessions() -> Iterator[Session]:
        for n, image in enumerate(questionnaire.images):
            asked = [PictureQuestion(n * len(texts) + m, image, text) for m, text in enumerate(texts)]
            try:
                name, pixels = questionnaire.read(image)
            except InputError as error:
                for each in asked:
                    failed = not_asked(model.info.name, Question("ask", (image,), each.text), setting, str(error))
                    ordered.end(each, None, failed)
                continue
            picture = Picture(pixels)
            for each in asked:
                question = question_of([name], each.text, questionnaire.choices)
                try:
                    session = session_of(model, question, (picture,), setting, partial(ordered.end, each, picture))
                except InputError as error:  # of a policy
                    ordered.end(each, picture, not_asked(model.info.name, question, setting, str(error)))
                else:
                    yield session

    model.converse(sessions())


class _InOrder:
    """Keeps an answer until those before it were delivered. Questions may end in several threads."""

    def __init__(self, deliver: Callable[[AnsweredQuestion], None]) -> None:
        self._deliver, self._lock = deliver, Lock()
        self._waiting, self._next = dict[int, AnsweredQuestion](), 0

    def end(self, asked: PictureQuestion, picture: Picture | None, trace: Trace) -> None:
        """Take the answer of a question, and deliver it and those that waited for it."""
        with self._lock:
            self._waiting[asked.place] = AnsweredQuestion(asked, trace, picture)
            while self._next in self._waiting:
                self._deliver(self._waiting.pop(self._next))
                self._next += 1


def _is_folder(image: str) -> bool:
    try:
        return image not in ("", STDIN) and Path(image).is_dir()
    except (OSError, ValueError):  # a name that is too long, such as a data URL
        return False


def _names_picture(word: str) -> bool:
    """Whether a word is a file that exists, standard input, an address, or has the form of a path."""
    return _is_there(word) or word == STDIN or url_of(word) is not None or PATH.fullmatch(word) is not None


def _is_there(word: str) -> bool:
    """Whether a word is the path of a file or folder that exists."""
    try:
        return word != "" and Path(word).exists()
    except (OSError, ValueError):
        return False


def _unreadable(file: Path, largest: LoadLimits) -> str:
    """Why a file is not taken as a picture, by its header; "" where it is one."""
    try:
        pixels_of(file, largest)
    except InputError as error:
        return str(error)
    return ""
