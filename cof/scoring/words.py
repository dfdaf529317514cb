"""The words of what a model says, without markup, articles and openings such as "it is". Pure functions of text.

Owns how a text is made plain: markup, full-width forms, brackets and minus signs. Omits what the words mean.
"""

from __future__ import annotations

import re
import unicodedata

Words = tuple[str, ...]  # a text's words, numbers and telling symbols, in lower case

SAID = "\x01"  # stands where an explicit statement of the answer begins
OPTION = "\x02"  # stands for an option's text
HAN = "\u3400-\u9fff"  # the range of Chinese characters, for a pattern's brackets
CURRENCIES = "$€£¥"

_OPENINGS = "it is,it's,this is,that is,there is,there are,they are,i think,i believe,i see,it says,it reads"
_OPENING_WORDS = [tuple(opening.split()) for opening in _OPENINGS.split(",")]
FUNCTION_WORDS = {*" ".join(_OPENINGS.split(",")).split(), "a", "was", "were", "of", "and", "or", "with"}

_MOST_STATEMENTS = 16  # the last ones are read; more are no honest answer, and would cost time
_SAYS = re.compile(
    r"(?i:\b(?:(?:so|the|my|final|correct|right|best)\s){0,4}"
    r"(?:answer|ans\.?|(?:correct|right|best|final) (?:option|choice|one|guess))"
    r"(?: to (?:the|this|your) question| here| choice| option)?\s?"
    r"(?:[:=]|->?\s|is\b|(?:would|should|must) be\b)"
    r"|(?:答案|正[确確][选選][项項])\s?(?:[应應][该該]?)?\s?(?::|[是为為]|[选選][择擇]?(?![项項]))):?"
)
_TYPED: dict[int, int | str | None] = {
    code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)
}  # full-width as plain forms
_TYPED |= zip(map(ord, "‘’‐‑−–—"), ["'", "'", "-", "-", "-", " - ", " - "], strict=True)
_TYPED |= zip(map(ord, "【「『〔】」』〕。、"), [*"(((())))", ". ", ", "], strict=True)
_TYPED |= dict.fromkeys(map(ord, '\x01\x02\u200b\u200c\u200d\ufeff*`~"“”„«»'))  # these go
_EN_DASH_MINUS = re.compile(rf"(?<![^\s(])–(?=[{CURRENCIES}]?\d)")
_MARKUP = (  # pattern, and what stands for it; the order matters
    (re.compile(r"<answer>|\\f?boxed ?\{", re.IGNORECASE), SAID),
    (re.compile(r"<[/|]?\w{1,20}\|?>|\\(?:text|math)\w{0,6}|\\[()\[\]]"), " "),
    (
        re.compile(rf"(?<!\w)-([{CURRENCIES}])(?=\d)"),
        r"\1-",
    ),  # before the next, or a formula's signs would hide a minus
    (re.compile(r"\${1,2}([^$\n]{1,200})\${1,2}"), r" \1 "),
    (re.compile(r"[_{}|\\]"), " "),
    (
        re.compile(r"(?<=\d)['\u00a0\u2009\u202f](?=\d{3}(?!\d))"),
        ",",
    ),  # thousands: 13'046, or with a space that does not break
    (re.compile(r"(?<!\w)'|'(?!\w)"), ""),
    (re.compile(rf"(?<=[{HAN}])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9,])(?=[{HAN}])"), " "),
)


def unmarked(text: str) -> str:
    """The text without markup and needless space, by lines; boxes and answer tags become the mark of a statement."""
    text = _EN_DASH_MINUS.sub("-", unicodedata.normalize("NFC", text)).translate(_TYPED)
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    return "\n".join(line for part in text.splitlines() if (line := " ".join(part.split())))


def statements(text: str) -> list[str]:
    """What follows each explicit statement's beginning, up to the next; empty where there is none."""
    return [SAID + part for part in _SAYS.sub(SAID, text).split(SAID)[1:][-_MOST_STATEMENTS:]]


_ARTICLE = re.compile(rf"(?:\b(?:[Tt]he|THE|[Aa]n|a)|(?:^|(?<=[.!?] )|(?<={SAID})|(?<={SAID}[ \n]))A) (?=\w)")
_WORD = re.compile(r"(?:(?<!\w)-(?=\d))?\w+(?:(?:'|(?<=\d)[.,:/-](?=\d))\w+)*|[%$€£¥°+<>=&@#]")


def words_of(text: str) -> Words:
    """The words of a plain text, without articles; an "A" that may be a letter stays."""
    return tuple(_WORD.findall(_ARTICLE.sub("", text).casefold()))


def core(words: Words) -> Words:
    """The words after an opening such as "I think it is"."""
    for _ in range(2):
        words = next((words[len(o) :] for o in _OPENING_WORDS if words[: len(o)] == o and words != o), words)
    return words
