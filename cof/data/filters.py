"""What is not kept though it was found, each for a reason that is counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from cof.dialects.control import control_token
from cof.dialects.named import dialect_of
from cof.geometry import Shown
from cof.trace import Trace
from cof.types import Action, Answer, Call
from cof.vision import boxes as areas

WHOLE_PICTURE = 0.8  # share of the picture that a look shows, from which it is no closer look
SAME_PICTURE = 4  # bits of 64 in which hashes of one picture may differ, after another size or JPEG

UNVERIFIED = "unverified"
FAILED = "failed"
DUPLICATE = "duplicate"
EVALUATION = "picture of an evaluation"
LEAKED = "answer in the question"
WHOLE_BOX = "box covers the picture"
UNSEEN = "thought names the unseen"
LONG = "too long"
UNREADABLE = "turn that does not read back"


@dataclass
class Filters:
    """The reason why a trace is not kept. Knows what was kept before, so that traces must come in the same order every time.

    `evaluation` are hashes of pictures that must not be trained on; `longest` is the most characters of all turns.
    """

    longest: int = 8_000
    evaluation: frozenset[int] = frozenset()
    _kept: set[tuple[int, tuple[int, int], str]] = field(default_factory=set)

    def refuse(self, trace: Trace, picture: int) -> str | None:
        """The reason against `trace`, about the picture with hash `picture`; None: it is kept."""
        asked = picture, trace.overview.size, " ".join(trace.question.text.lower().split())
        reason = self._reason(trace, picture)
        if reason is None and asked in self._kept:
            reason = DUPLICATE
        if reason is None:
            self._kept.add(asked)
        return reason

    def _reason(self, trace: Trace, picture: int) -> str | None:
        if any((picture ^ other).bit_count() <= SAME_PICTURE for other in self.evaluation):
            return EVALUATION
        if not _reads_back(trace):
            return UNREADABLE
        if _leaked(trace):
            return LEAKED
        if any(_share(view, trace.overview) >= WHOLE_PICTURE for view in trace.views):
            return WHOLE_BOX
        if _names_unseen(trace):
            return UNSEEN
        return LONG if sum(len(turn.completion.text) for turn in trace.turns) > self.longest else None


def picture_hash(picture: Image.Image) -> int:
    """A perceptual hash of 64 bits (differences of neighbours in a 9 x 8 grey thumbnail; Krawetz's dHash)."""
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int("".join("01"[int(bit)] for bit in (grey[:, 1:] > grey[:, :-1]).reshape(-1)), 2)


def counted(reasons: Mapping[str, int]) -> dict[str, int]:
    """Counts of all reasons there are, the others zero."""
    known = (UNVERIFIED, FAILED, DUPLICATE, EVALUATION, UNREADABLE, LEAKED, WHOLE_BOX, UNSEEN, LONG)
    return {reason: reasons.get(reason, 0) for reason in known}


def _leaked(trace: Trace) -> bool:
    """Whether an open question holds its own answer: alternatives ("left or right") do not."""
    answer, text = trace.question.answer or "", trace.question.text.lower()
    if trace.question.choices or not answer or " or " in text:
        return False
    return _says(text, answer) and len(answer) > 1


def _names_unseen(trace: Trace) -> bool:
    """Whether a thought before the last zoom names the answer, which only that zoom was to show."""
    if not trace.views or not isinstance(trace.turns[-1].action, Answer):
        return False
    calls = [call for turn in trace.turns[:-1] for call in turn.calls]
    earlier = [text for call in calls for text in (call.thought, call.label)]
    asked = f"{trace.question.text} {' '.join(trace.question.choices)}"
    answer = trace.question.answer or ""
    return not _says(asked, answer) and any(_says(thought, answer) for thought in earlier)


def _says(text: str, answer: str) -> bool:
    """Whether the answer stands in the text as a word; a single letter in its own case, or "a" would be one."""
    case = re.NOFLAG if len(answer) == 1 else re.IGNORECASE
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, case) is not None


def _reads_back(trace: Trace) -> bool:
    """Whether a trainer that reads the turns finds what was meant: no thought or label that spells tags or pictures."""
    dialect, seen = dialect_of(trace.dialect), list[Shown](trace.overviews)
    for turn in trace.turns:
        text = turn.completion.text
        if control_token(text, dialect.grammar) or any("\ud800" <= character <= "\udfff" for character in text):
            return False
        if not _alike(dialect.parse(text, seen), turn.action):
            return False
        seen += turn.views
    return True


def _alike(read: Action, meant: Action) -> bool:
    match read, meant:
        case (Call(), *_), (Call(), *_):
            said, given = (
                [(call.tool, call.label.strip(), call.thought.strip()) for call in each] for each in (read, meant)
            )
            return said == given
        case Answer(found, thought), Answer(answer, aloud):
            return (found, thought) == (answer.strip(), aloud.strip())
    return False


def _share(view: Shown, first: Shown) -> float:
    common = areas.intersect(view.region, first.region)
    return 0.0 if common is None else common.area / first.region.area
