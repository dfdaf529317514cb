"""What a trace must be to be trained on, checked before training begins: one dialect, no control tokens, a picture that opens.

A fault is one line with the id of the first trace that has it. Pictures are opened by their headers, none is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cof.data.worlds import world_with
from cof.dialects.control import spelt_in, spelt_in_question
from cof.dialects.dialect import Dialect
from cof.errors import InvalidConfig, InvalidImage
from cof.trace import Trace
from cof.vision.load import pixels_of


def admit(traces: Sequence[Trace], dialect: Dialect) -> None:
    """Raises InvalidConfig where a trace cannot be learnt from in `dialect`."""
    _refuse(traces, lambda trace: _foreign(trace, dialect), "traces of the recipe's `dialect`")
    _refuse(traces, lambda trace: _holds(spelt_in(trace, dialect.grammar)), "traces without control tokens")
    _refuse(traces, _unseen(), "every picture where its trace says")


def admit_questions(traces: Sequence[Trace]) -> None:
    """Raises InvalidConfig where the question of a trace cannot be asked again; the turns of the trace are not read."""
    _refuse(traces, lambda trace: _holds(spelt_in_question(trace.question)), "questions without control tokens")
    _refuse(traces, _unseen(), "every picture where its trace says")


def _refuse(traces: Iterable[Trace], fault: Callable[[Trace], str | None], want: str) -> None:
    found = [(trace.id, told) for trace in traces if (told := fault(trace)) is not None]
    if found:
        name, told = found[0]
        several = f", the first of {len(found)} such traces" if len(found) > 1 else ""
        raise InvalidConfig(f"trace {name} {told}{several}; want {want}")


def _foreign(trace: Trace, dialect: Dialect) -> str | None:
    if trace.dialect == dialect.name:
        return None
    return f"is in the dialect {trace.dialect!r}, the recipe in {dialect.name!r}"


def _holds(spelt: str | None) -> str | None:
    return None if spelt is None else f"holds {spelt}"


def _unseen() -> Callable[[Trace], str | None]:
    """Says of a trace that its picture cannot be opened; of several about one picture each opens it once."""
    opened: dict[str, str | None] = {}

    def fault(trace: Trace) -> str | None:
        name = trace.question.image
        if name not in opened:
            opened[name] = None if world_with(name) else _closed(name)
        return opened[name]

    return fault


def _closed(name: str) -> str | None:
    try:
        pixels_of(name)
    except InvalidImage as error:
        return f"cannot be shown ({error})"
    return None
