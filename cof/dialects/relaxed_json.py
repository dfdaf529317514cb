"""JSON as models write it: read in linear time, and never evaluated.

JSON itself is read as it is. Besides it may have single quotes, quotes within quotes, keys and words without quotes, `True` and
`None`, commas before a bracket, closing brackets too many, and Gemma's quotation mark. What is ambiguous is refused: a
comma or a bracket within, a text without its end. `null` is None, a number beyond floats is infinite; callers refuse both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

DEEPEST = 24  # arrays and objects within each other; a call has three
_MARK = '<|"|>'  # Gemma 4's quotation mark (ai.google.dev/gemma/docs/core/prompt-formatting-gemma4)
_ENDS = r"(?=\s*+(?:[,}\]:]|\Z))"  # what stands after a closing quotation mark
_TOKEN = re.compile(
    r"\s*+(?:(?P<sign>[{}\[\],:])"
    rf'|<\|"\|>(?P<marked>(?:(?!<\|"\|>).)*+)<\|"\|>'
    rf'|"(?P<double>(?:[^"\\]|\\.|"(?!{_ENDS}))*+)"'
    rf"|'(?P<single>(?:[^'\\]|\\.|'(?!{_ENDS}))*+)'"
    r"|(?P<word>[^\s{}\[\],:\"'][^\s{}\[\],:]*+))",
    re.DOTALL,
)
_NUMBER = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_END = ("", "")

Token = tuple[str, str]  # its kind, a sign being a kind of its own, and its text


def loads(text: str, whole: bool = True) -> Any:
    """The value that `text` spells. Raises ValueError.

    `whole`: False where a text that is known to end here may lack its last closing braces.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        pass
    reader = _Reader(text, whole)
    value = reader.value(0)
    while reader.next[0] in ("}", "]"):
        reader.take()
    if reader.next != _END:
        raise ValueError(f"{reader.next[1]!r:.40} follows the value")
    return value


class _Reader:
    """The tokens of a text, one ahead."""

    def __init__(self, text: str, whole: bool) -> None:
        self.tokens, self.whole = _tokens(text), whole
        self.next = next(self.tokens, _END)

    def take(self) -> Token:
        taken, self.next = self.next, next(self.tokens, _END)
        return taken

    def value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("it is nested too deep")
        kind, text = self.take()
        match kind:
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case "text":
                return text
            case "word":
                return self._word(text)
        raise ValueError(f"{text!r:.40} is no value" if text else "a value is missing at the end")

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.next[0] != "}":
            if self.next == _END and not self.whole:
                return found
            kind, key = self.take()
            if kind not in ("text", "word") or self.take()[0] != ":":
                raise ValueError(f"{key!r:.40} is no key; want a name and a colon")
            found[key] = self.value(depth + 1)
            self._comma("}")
        self.take()
        return found

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while self.next[0] != "]":
            found.append(self.value(depth + 1))
            self._comma("]")
        self.take()
        return found

    def _comma(self, close: str) -> None:
        if self.next[0] == ",":
            self.take()
        elif self.next[0] != close and not (self.next == _END and close == "}" and not self.whole):
            raise ValueError(f"{self.next[1]!r:.40} follows a value; want a comma or {close}")

    def _word(self, text: str) -> Any:
        words = [text]
        while self.next[0] == "word":
            words.append(self.take()[1])
        if len(words) > 1:
            return " ".join(words)
        if text in _WORDS:
            return _WORDS[text]
        if not _NUMBER.fullmatch(text):
            return text
        return int(text) if len(text) < 20 and text.lstrip("-+").isdecimal() else float(text)


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            if rest := text[at:].strip():
                raise ValueError(f"{rest[:40]!r} has no end")
            return
        at, kind = found.end(), str(found.lastgroup)
        said = found[kind]
        match kind:
            case "sign":
                yield said, said
            case "word":
                yield kind, said
            case "marked":
                yield "text", said
            case _:
                yield "text", _ESCAPE.sub(_unescaped, said)


def _unescaped(escape: re.Match[str]) -> str:
    said = escape[1]
    return chr(int(said[1:], 16)) if len(said) == 5 else _ESCAPES.get(said, said)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
