"""The outcome of an evaluation beside its figures: what failed, what could not be read, and which pictures are outside.

Owns the sentences on stderr, and the error of an evaluation that measured nothing. Omits the figures (`tables.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from cof.cli.console import say
from cof.data.outside import OUTSIDE
from cof.errors import ModelError
from cof.evaluate.run import Record
from cof.loop.notes import unreadable
from cof.loop.session import NO_VIEW
from cof.types import Stop


def check_outcome(found: Sequence[Record]) -> None:
    """Print on stderr what failed in some questions.

    Raises ModelError where all failed, or no turn of any could be read.
    """
    _print_outside(found)
    failed = [record for record in found if record.trace.stop is Stop.FAILED]
    if failed:
        by_model = [record for record in failed if record.trace.overview != NO_VIEW]
        first = f"the first{' of the model' * (0 < len(by_model) < len(failed))}: {[*by_model, *failed][0].trace.error}"
        again = "the same command tries them again; " if by_model else ""
        if len(failed) == len(found):
            raise ModelError(f"all of {len(found)} questions failed; {again}{first}")
        say(f"{len(failed)} of {len(found)} failed; {again}{first}")
    _check_read(found)


def _check_read(found: Sequence[Record]) -> None:
    """Print the arms in which no turn could be read. Raises ModelError where that is every arm."""
    troubles = dict[str, list[str]]()
    for record in found:
        if record.trace.model_turns:
            troubles.setdefault(record.arm, []).append(unreadable(record.trace))
    if troubles and all(all(each) for each in troubles.values()):
        first, count = next(iter(troubles.values()))[0], sum(map(len, troubles.values()))
        raise ModelError(f"no turn of {count} questions could be read, so that no figure counts; in the first, {first}")
    for arm, each in troubles.items():
        if all(each):
            say(f"no turn of {len(each)} questions in the arm {arm} could be read; in the first, {each[0]}")


def _print_outside(found: Sequence[Record]) -> None:
    if outside := {record.trace.question.image for record in found if record.trace.outside}:
        pictures = {record.trace.question.image for record in found}
        say(f"{len(outside)} of {len(pictures)} picture{'s' * (len(pictures) != 1)}: {OUTSIDE}")
