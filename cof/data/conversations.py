"""Trajectories that others wrote, as traces: ShareGPT in its several forms, TRL's and Pixel-Reasoner's lists of parts.

Owns what a conversation must be to be a trajectory: one picture at first, then turns of one dialect, each zoom with its crops
after it, and an answer at the end. Crops are cut again, by the view rules of the dialect. Words that a file repeats after every
crop, such as "Think first", are no part of its questions. Options in a question become its choices; an answer by letter is
written as the option where the dialect shows no letters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

from cof.data.benchmarks import jsonl, options, pictures, rows, wording
from cof.data.benchmarks.conversation import LISTS, Said, conversation, messages
from cof.data.benchmarks.left_out import LeftOut, usable
from cof.data.benchmarks.pictures import Picture
from cof.data.benchmarks.reading import refuse_control
from cof.data.benchmarks.rows import Row
from cof.data.benchmarks.wording import PLACEHOLDER
from cof.dialects.dialect import Dialect
from cof.errors import InputError
from cof.geometry import Box, Shown
from cof.tools.zoom import observed
from cof.trace import Trace, Turn
from cof.types import ZOOM, Answer, Call, Completion, Limits, Malformed, Question, Sampling
from cof.vision import views

LETTERED = "{lettered}"  # in a dialect's `choose`: options are shown with their letters
FIRST = 20  # rows by which a file is known
GET = "put it there, or give its path relative to the file"


@dataclass(frozen=True)
class Trajectory:
    """A trace with the way to its picture, which may lie inside the file, and the row that it is from, without its fields."""

    trace: Trace
    picture: Picture
    row: Row


def holds_trajectories(file: Path) -> bool:
    """Whether one of the first rows of a file is a conversation with turns of a model. Raises InputError."""
    return any(map(_answers, islice(rows.read(file, LISTS), FIRST)))


def trajectories(file: Path, dialect: Dialect, left_out: LeftOut | None = None) -> Iterator[Trajectory]:
    """The conversations of a file that are whole trajectories in `dialect`. Raises InputError.

    Boxes are read in pixels of the overview that `dialect.view` gives, or as the dialect has them.
    """
    reminders = _reminders(rows.read(file, LISTS))
    yield from usable(rows.read(file), partial(_trajectory, dialect=dialect, reminders=reminders), left_out)


def _answers(row: Row) -> bool:
    try:
        return any(said.role == "assistant" for said in messages(row))
    except InputError:
        return True  # a conversation, though a wrong one


def _trajectory(row: Row, dialect: Dialect, reminders: Sequence[str]) -> Trajectory:
    opening, exchanges = _parted(row, dialect)
    if len(opening.pictures) != 1:
        raise InputError(f"{row.place} shows {len(opening.pictures)} pictures in its first turn; want one")
    name, picture = pictures.given(row, opening.pictures[0], GET)
    first = views.overview(picture().size, dialect.view)
    turns = _turns(row, exchanges, first, dialect)
    last = turns[-1].action
    if not isinstance(last, Answer):
        raise InputError(f"{row.place} ends without an answer; want one in its last turn")
    text = wording.bare(row, _without(opening.text, reminders))
    text, choices = jsonl.inline(row, text, [last.text])
    answer = (options.named(last.text, choices) if choices else None) or last.text
    if answer != last.text and LETTERED not in dialect.choose:  # nobody who reads the question knows its letters
        turns[-1] = _answered(Answer(answer, last.thought), first, dialect)
    question = Question(f"{row.file.stem}-{max(0, row.number - 1)}", (name,), text, choices, answer)
    trace = Trace(
        question.id, question, row.file.stem, dialect.name, dialect.view, Sampling(), Limits(), (first,), tuple(turns)
    )
    return Trajectory(trace, picture, replace(row, fields={}))


def _parted(row: Row, dialect: Dialect) -> tuple[Said, list[tuple[Said, Said]]]:
    """The first user turn, and every assistant turn with the user turn after it, which is empty after the last one."""
    said = [message for message in conversation(row) if message.role != "system"]
    refuse_control(row, (PLACEHOLDER.sub(" ", each.text) for each in said if each.role == "user"))
    refuse_control(row, (each.text for each in said if each.role == "assistant"), dialect.grammar)
    if not any(message.role == "assistant" for message in said):
        want = "want a conversation that ends with an answer (questions are for cof eval jsonl and cof data build)"
        raise InputError(f"{row.place} has no assistant turn; {want}")
    joined = _joined(said)
    if joined[0].role != "user":
        raise InputError(f"{row.place} begins with an assistant turn; want the question before it")
    if any(one.role == other.role for one, other in pairwise(joined)):
        raise InputError(f"{row.place} has two assistant turns in a row; want the crop between them")
    if joined[-1].role == "user":
        raise InputError(f"{row.place} ends with a user turn; want an answer there")
    later = [*joined[1:], Said("user", "")]
    return joined[0], list(zip(later[::2], later[1::2], strict=True))


def _joined(said: Iterable[Said]) -> list[Said]:
    """User messages in a row as one: a tool's result, and the text about it."""
    found = list[Said]()
    for message in said:
        if found and found[-1].role == message.role == "user":
            before = found.pop()
            message = Said("user", f"{before.text}\n{message.text}", before.pictures + message.pictures)
        found.append(message)
    return found


def _turns(row: Row, exchanges: Sequence[tuple[Said, Said]], first: Shown, dialect: Dialect) -> list[Turn]:
    turns, seen = list[Turn](), list[Shown]()
    for number, (said, reply) in enumerate(exchanges, 1):
        action = dialect.parse(said.text, (first, *seen))
        shown: tuple[Shown, ...] = ()
        match action:
            case Malformed(fault):
                why = f"is not of the dialect {dialect.name} ({fault}); --dialect names another"
                raise InputError(f"{row.place}, turn {number} {why}")
            case Answer() if number < len(exchanges):
                raise InputError(f"{row.place} answers in turn {number} of {len(exchanges)}; want one question a row")
            case (Call(), *_):
                shown = tuple(views.zoom(box, first, dialect.view) for box in _boxes(action, row, number))
                if number < len(exchanges) and len(reply.pictures) != len(shown):
                    came = f"asks for {len(shown)} crops and is shown {len(reply.pictures)}"
                    raise InputError(f"{row.place}, turn {number} {came}; want as many")
        turns.append(Turn(Completion(said.text), action, observed(shown, 1 + len(seen))))
        seen += shown
    return turns


def _boxes(calls: Sequence[Call], row: Row, turn: int) -> list[Box]:
    """The boxes that a turn's calls name. Raises InputError for a call of a tool that needs none."""
    if other := next((call.tool for call in calls if call.tool != ZOOM or call.box is None), None):
        raise InputError(f"{row.place}, turn {turn} calls the tool {other}; want zooms alone")
    return [call.box for call in calls if call.box]


def _answered(action: Answer, first: Shown, dialect: Dialect) -> Turn:
    return Turn(Completion(dialect.write(action, (first,))), action)


def _reminders(found: Iterable[Row]) -> list[str]:
    """The words that several rows have after every crop and at the end of the question too, the longest first.

    Where a single row has crops, its words are enough. Words that end with a question mark are a question.
    """
    counts = Counter[str]()
    for row in found:
        try:
            counts.update(filter(None, [_repeated(messages(row))]))
        except InputError:
            continue  # it is left out when it is read
    often = 2 if counts.total() > 1 else 1
    return sorted((words for words, count in counts.items() if count >= often), key=len, reverse=True)


def _repeated(said: Sequence[Said]) -> str:
    """The words at the end of the first user turn that end all later ones with a picture too; options are none of them."""
    first, *later = [message for message in said if message.role == "user"] or [Said("user", "")]
    asked = _words(first)
    ends = [_common_end(asked, _words(message)) for message in later if message.pictures]
    words = min(ends, key=len, default="")
    after = max((line.end() for line in options.LINE.finditer(words)), default=0)
    words = words[after:].strip()
    return "" if words == asked or words.endswith(("?", "？")) else words


def _words(message: Said) -> str:
    return PLACEHOLDER.sub("", message.text).strip()


def _common_end(one: str, other: str) -> str:
    """The words of `other` where they end `one`, else the last lines that both have."""
    if other and one.endswith(other) and one[: -len(other)][-1:].isspace():
        return other
    common = list[str]()
    for line, same in zip(reversed(one.splitlines()), reversed(other.splitlines()), strict=False):
        if line.strip() != same.strip():
            break
        common.insert(0, line)
    return "\n".join(common).strip()


def _without(text: str, reminders: Sequence[str]) -> str:
    """A first user turn without the reminder that it ends with."""
    text = text.rstrip()
    for words in reminders:
        before = text.removesuffix(words)
        if before != text and before[-1:].isspace() and PLACEHOLDER.sub("", before).strip():
            return before
    return text
