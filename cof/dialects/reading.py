"""Parsing model text by the grammar of its dialect. JSON only, nothing is evaluated, and no text makes it fail.

Where a turn holds both a call and an answer between tags, the answer counts, wherever it is. Text in
braces such as \\boxed{…} may be part of a thought, so that of it and of calls the last one counts. Whatever cannot be read
becomes `Malformed` with one sentence for the model that names what to mend.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cof.dialects import calls, frames, turns
from cof.dialects.calls import ParseError
from cof.dialects.turns import BRACE, NAMED_SHAPES, SAID, Span, Tags
from cof.errors import InvalidBox
from cof.geometry import Box, Shown
from cof.types import Action, Answer, Malformed

if TYPE_CHECKING:
    from cof.dialects.dialect import Dialect

BOXED, THINK = Tags.of(r"\boxed{…}"), Tags.of("<think>…</think>")
_FENCED = re.compile(r"```[ \t]*+\w*+\s*+(.*)```\s*", re.DOTALL)
_CODE = re.compile(  # a fence of any language but those of text and data, or lines that import a module
    r"(?:```|~~~)[ \t]*+(?!(?:te?xt|plain|json\w*|markdown|md|latex|tex|math|html|xml|ya?ml|csv)\b)[a-z][\w+#-]{0,20}+[ \t]*+\n"
    r"|^(?:import \w++|from [\w.]++ import \w++)[^\n]{0,80}\n|(?:```|~~~)[ \t]*+\n[^\n]{0,200}\w\([^\n]{0,400}\)",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(r"<(/?)([A-Za-z_][\w\-:]{0,40})(?:[\s=][^<>]{0,200})?>")
_MARKUP = frozenset(("b", "i", "u", "s", "em", "strong", "sub", "sup", "p", "br", "span", "mark", "ul", "ol", "li"))
_NUMBER = r"-?\d{1,9}(?:\.\d{1,20})?"
_NUMBERS = re.compile(rf"(?<![\w.]){_NUMBER}(?:[\s,\[\]()]++{_NUMBER})*+")


def parse(dialect: Dialect, text: str, shown: Sequence[Shown]) -> Action:
    """The action of a turn; `shown` is all that was shown so far, the overviews first."""
    try:
        return _action(dialect, text, shown)
    except ParseError as fault:
        return Malformed(str(fault), text)


def well_formed(dialect: Dialect, text: str) -> bool:
    """Whether a turn has exactly the form, as `Dialect.well_formed` has it."""
    if _turn(dialect).fullmatch(text) is None:
        return False
    found = turns.spans(dialect, text)
    bare = not any(span.kind in ("call", "answer") for span in found)
    return all(_strict(dialect, span, bare) for span in found)


def answer_box(dialect: Dialect, text: str, view: Shown) -> Box | None:
    """The box (source pixels) that an answer about `view` gives; None where it gives none, or several different ones."""
    runs = [re.findall(_NUMBER, found[0]) for found in _NUMBERS.finditer(text)]
    whole = {tuple(run) for run in runs if len(run) == 4} or {tuple(number for run in runs for number in run)}
    if len(whole) != 1 or len(corners := [float(number) for number in whole.pop()]) != 4:
        return None
    y_first = dialect.unit == "thousand" and re.search(rf"\b{calls.Y_FIRST}\b", text)
    try:
        return frames.box(corners, view, dialect.unit, "yx" if y_first else dialect.order)
    except InvalidBox:
        return None


def _strict(dialect: Dialect, span: Span, bare: bool) -> bool:
    """Whether a span of a turn that keeps to the form has nothing in it that would have to be forgiven.

    `bare`: the words of the turn are its answer.
    """
    match span.kind:
        case "call":
            return calls.strict(dialect, span.text)
        case "answer":
            return not any(tag in span.text for tag in _tags(dialect))
        case "words":
            return not (bare and _foreign(span.text))
    return True


def _action(dialect: Dialect, text: str, shown: Sequence[Shown]) -> Action:
    found = turns.spans(dialect, text)
    looks = [span for span in found if span.kind == "call"]
    answers = [span for span in found if span.kind == "answer" and (span.text.strip() or not looks)]
    ends = [span for span in answers if span.tags.close != BRACE] or answers[-1:]
    if ends and not (looks and ends[-1].tags.close == BRACE and looks[-1].at > ends[-1].at):
        before = "" if dialect.thoughts else _before(text, found, ends[-1])
        return Answer(_answer(dialect, ends[-1].text), _thought(found, ends[-1]) or before)
    if looks:
        return calls.calls_of(dialect, looks, shown, _thought(found, looks[0]) or _before(text, found, looks[0]))
    return _bare(dialect, found, shown)


def _bare(dialect: Dialect, found: Sequence[Span], shown: Sequence[Shown]) -> Action:
    """What a turn without tags of calls and answers means: a call whose tags were lost, or an answer in plain words."""
    last = found[-1] if found else None
    if last is not None and last.kind == "thought" and not last.closed:
        raise ParseError(f"the thought is not closed; want {last.tags.close} before the call or the answer")
    said = _without_ends(dialect, last.text) if last is not None and last.kind == "words" else ""
    if last is None or not said or SAID not in dialect.answers:
        raise ParseError(f"there is neither a call nor an answer; {_form(dialect)}")
    names_tool = dialect.shape in NAMED_SHAPES and any(name in said for name in dialect.tool_names)
    if names_tool and (call := _untagged(dialect, said)):
        return calls.calls_of(dialect, [call], shown, _thought(found, last))
    if names_tool and said.startswith("{"):
        raise ParseError(f"the call is not whole; {_form(dialect)}")
    if _foreign(said):
        raise ParseError(f"code or a block of unknown tags is neither a call nor an answer; {_form(dialect)}")
    return Answer(said, _thought(found, last))


def _untagged(dialect: Dialect, said: str) -> Span | None:
    """A text that is one named call, perhaps between fences, as a call: some servers leave its tags out."""
    fenced = _FENCED.fullmatch(said)
    body = fenced[1].strip() if fenced else said
    try:
        named = body.startswith(("{", "<function=", "call:", *dialect.tool_names)) and calls.named(body)
    except ValueError:
        return None
    return Span("call", body, 0, turns.BARE) if named and named[0][0] else None


def _foreign(said: str) -> bool:
    """Whether a text is code, or holds a block of tags that are neither the family's nor markup."""
    if _CODE.search(said):
        return True
    opened = set[str]()
    for found in _TAG.finditer(said):
        name = found[2].lower()
        if name in _MARKUP:
            continue
        if found[1] and name in opened:
            return True
        if not found[1]:
            opened.add(name)
    first = _TAG.match(said)
    return first is not None and first[2].lower() in opened and bool(said[first.end() :].strip())


def _thought(found: Sequence[Span], action: Span) -> str:
    """The text between tags of thoughts before an action."""
    said = [span.text.strip() for span in found if span.kind == "thought" and span.at < action.at]
    return "\n".join(thought for thought in said if thought)


def _before(text: str, found: Sequence[Span], action: Span) -> str:
    """The words before an action: the thought of a turn that has no tags for it."""
    begin = max((turns.end_of(span) for span in found if span.kind == "thought" and span.at < action.at), default=0)
    return text[begin : action.at].strip()


def _answer(dialect: Dialect, said: str) -> str:
    """The text of an answer; where it holds \\boxed{…}, the text in that, without quotation marks around it."""
    boxed = turns.last_within(said, BOXED)
    answer = _without_ends(dialect, said if boxed is None else _unquoted(boxed.strip()))
    if not answer:
        raise ParseError("the answer is empty; want the answer's text between the tags")
    if any(tag in answer for tag in _tags(dialect)):
        raise ParseError("the answer holds another tag; want plain text between the tags")
    return answer


def _unquoted(said: str) -> str:
    quoted = len(said) > 1 and said[0] == said[-1] and said[0] in "'\""
    return said[1:-1] if quoted else said


def _without_ends(dialect: Dialect, said: str) -> str:
    """A text without closing tags of thoughts and answers at its edges, which a model may leave there."""
    patterns = (*turns.THOUGHTS, *dialect.thoughts, *dialect.answers)
    ends = [tag for tag in (Tags.of(pattern).close for pattern in patterns) if tag not in ("", BRACE)]
    begin, end = _strip(said, 0, len(said))
    while tag := next((each for each in ends if said.startswith(each, begin, end)), ""):
        begin, end = _strip(said, begin + len(tag), end)
    while tag := next((each for each in ends if said.endswith(each, begin, end)), ""):
        begin, end = _strip(said, begin, end - len(tag))
    return said[begin:end]


def _strip(text: str, begin: int, end: int) -> tuple[int, int]:
    """Where the text between two places begins and ends without the white space around it."""
    while begin < end and text[begin].isspace():
        begin += 1
    while begin < end and text[end - 1].isspace():
        end -= 1
    return begin, end


@functools.cache
def _turn(dialect: Dialect) -> re.Pattern[str]:
    """A turn that keeps to the form: thought, then calls or an answer. Nothing in it can be read in two ways, so that no text
    takes long."""
    tag = "|".join(re.escape(part) for part in _tags(dialect))
    plain = rf"\s*+(?!{tag}|<\|)\S(?:(?!{tag}|<\|).)*+"  # says something, without a tag
    braced = r"\s*+[^\s{}](?:[^{}]|\{[^{}]*+\})*+"

    def around(pattern: str) -> str:
        tags = Tags.of(pattern)
        return re.escape(tags.open) + (braced if tags.close == BRACE else plain) + re.escape(tags.close) + r"\s*+"

    tagged = [rf"(?:{around(dialect.call)})++", *(around(pattern) for pattern in dialect.answers if pattern != SAID)]
    thought = (
        r"\s*+(?:" + "|".join(around(pattern) for pattern in dialect.thoughts) + ")" if dialect.thoughts else plain
    )
    needed = thought if dialect.thoughts and dialect.must_think else f"(?:{thought})?+"
    shapes = [rf"{needed}\s*+(?:{'|'.join(tagged)})"]
    if SAID in dialect.answers:
        shapes.append(f"{needed if dialect.thoughts else ''}{plain}")
    return re.compile("|".join(shapes), re.DOTALL)


@functools.cache
def _tags(dialect: Dialect) -> tuple[str, ...]:
    """Every tag of the dialect, and <think>, but not the closing brace, which is too common to be one."""
    found = [THINK, *(Tags.of(pattern) for pattern in (*dialect.thoughts, dialect.call, *dialect.answers))]
    return tuple(dict.fromkeys(part for tags in found for part in (tags.open, tags.close) if part not in ("", BRACE)))


def _form(dialect: Dialect) -> str:
    """What a turn should look like."""
    after = f" after {dialect.think.close}" if dialect.thoughts and dialect.must_think else ""
    return f"want {calls.form(dialect)} or {dialect.answer.around('text')}{after}"
