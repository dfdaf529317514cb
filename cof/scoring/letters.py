"""The option letters that a text marks as its choice: "(B)", "I choose D", "选B". A letter that is ruled out is none.

Owns the forms in which a letter is marked, in English and in Chinese. Omits what an option's words say (`options.py`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from cof.scoring.words import HAN, OPTION, SAID, Words, words_of

# A letter: not part of a word, name, sum or unit; "a" and "I" only where no sentence goes on.
_BEFORE = r"(?<![\w&°/+#@])(?<!\w[-.'])"
_AFTER = r"(?![\w&°/+#@%]|['-]\w|\.\w\b)"
_ENDS = (
    r"(?=\s?(?:[).:,;!?\]\n]|$)|\s(?:-\s|(?i:because|since|as|is|was|and|or|nor|but|rather|which|for|with)\b)"
    rf"|\s[{HAN}])"
)
_ANY = rf"{_BEFORE}([B-HJ-Zb-hj-z]|[AaIi]{_ENDS}){_AFTER}"
_FIRM = rf"{_BEFORE}([B-HJ-Zb-hj-z]|[AI]{_ENDS}){_AFTER}"
_CAPITAL = rf"{_BEFORE}([A-Z]){_AFTER}"
_PLAIN = rf"\(?{_BEFORE}[A-Za-z]{_AFTER}\)?"
_AND = "或者?|[还還]是|以?及|[和与與]"  # and their kind, in Chinese
_JOIN = rf"\)?(?:\s?,\s?(?:(?:or|and|{_AND})\s)?|\s(?:or|and|nor|&|{_AND})\s)(?:[Oo]ption\s)?\(?"
_LIST = rf"{_PLAIN}(?:{_JOIN}{_PLAIN}){{0,8}}"
_ITEM = "[选選][项項]"
_MARKED = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"\A[^\w{OPTION}]*([A-Za-z])[^\w{OPTION}]*\Z",  # alone
        rf"(?<!\w)[(\[]\s?{_ANY}\s?[)\]]",
        rf"{SAID}[^\w{OPTION}]{{0,6}}(?i:(?:most likely|likely|probably|the letter)\s)?{_ANY}(?:{_JOIN}{_ANY})?",
        rf"(?i:\b(?:answer|option|choice)s?)[ :=(\[]{{0,3}}{_ANY}(?:{_JOIN}{_ANY})?",
        rf"(?i:\b(?:option|choice)s?)\s{_BEFORE}([A-HJ-Z]){_AFTER}",
        rf"^[>#•.\s-]{{0,6}}{_ANY}(?:\s?(?:[).:]|$)|{_JOIN}{_ANY})",  # a label, or a line of its own
        rf"^[>#•.\s-]{{0,6}}{_BEFORE}([A-HJ-Z]){_AFTER}(?:,|\s-)\s",
        rf"(?:{_ANY}\s?)?(?:^|[.,;:!?)\]{OPTION}]\s|\b(?i:with|but|is|was|be|as|by|match|matches|labell?ed|corresponds? to|"
        rf"corresponding to)\s)(?:{_ANY}{_JOIN})?{_CAPITAL}[\s).:!?\]]{{0,6}}\Z",  # at the end
        r"(?i:\b(?:choose|chose|pick|picked|select|selected|say|guess|go with|going with|think|believe|it's|it is|leaving|"
        r"(?:must|would|should|could|might|may) be|likely|probably|definitely|so|therefore|thus|hence|either|both)[,:]?\s"
        rf"(?:(?:it's|it is|option|letter)\s)?){_FIRM}(?:{_JOIN}{_FIRM})?",
        rf"{_CAPITAL}\)?\s(?i:because|since|matches|fits|(?:is|was|seems|looks|would be|must be)\s"
        r"(?:(?:the|my|most|clearly|likely)\s){0,3}(?:correct|right|best|closest|answer|choice|final))\b",
        rf"(?:[选選][择擇项項]?|答案)[ :(\[是为為]{{0,4}}{_ANY}(?:{_JOIN}{_ANY})?",
        rf"{_ANY}\)?\s?{_ITEM}",
        rf"{_CAPITAL}\)?\s(?:{_ITEM})?是?(?:正[确確]|[对對]的)",
        rf"[是为為]\s(?:{_ANY}{_JOIN})?{_CAPITAL}[\s).:!?\]]{{0,6}}\Z",
    )
]
_LISTED = re.compile(rf"[,;]\s{_ANY}\s?[:)]|{_CAPITAL}[).:]\s?{OPTION}")  # further labels of a list, if one began
_RULED_OUT = re.compile(
    r"(?i:\b(?:not|never|rather than|instead of|unlike|except|other|remaining|(?:exclud|eliminat)(?:e|es|ed|ing)|"
    r"rul(?:e|es|ed|ing) out)|n't)"
    rf"\s(?i:(?:option|choice|answer)s?\s|either\s)?{_LIST}"
    rf"|{_LIST}\s(?i:(?:is|are|was|were)(?:n't|\s(?:(?:both|all|also|clearly)\s)?"
    r"(?:not|incorrect|wrong|false|out|ruled|eliminated|impossible))|can be (?:ruled|eliminated|excluded))\b"
    rf"|(?:[不别非][能可应應该該会會要]{{0,2}}(?:[选選][择擇]?|是)|排除|除了)\s?(?:{_ITEM}\s?)?{_LIST}"
    rf"|{_LIST}\s(?:{_ITEM})?(?:都|是|也){{0,2}}(?:不|[错錯])"
)


def letters(keys: Sequence[Words], text: str) -> set[int]:
    """The places of the options whose letters are marked in a plain text; `keys` are the options' words."""
    places = {letter: place for place, letter in enumerate(string.ascii_lowercase[: len(keys)])}
    words = words_of(text)
    for letter, rest in ((words[:1], words[1:]), (words[-1:], words[:-1])):
        if rest and rest in keys and letter[0] in places:
            return {places[letter[0]], keys.index(rest)}
    places |= {key[0]: place for place, key in enumerate(keys) if len("".join(key)) == 1}
    text = _RULED_OUT.sub(" ", _without_options(keys, text))
    marks = [match for pattern in _MARKED for match in pattern.finditer(text)]
    marks += _LISTED.finditer(text) if marks else []
    return {places[letter.lower()] for mark in marks for letter in mark.groups() if letter and letter.lower() in places}


def _without_options(keys: Sequence[Words], text: str) -> str:
    """The text with a mark for each option's text but single letters, whose own letters are then read by nobody."""
    longest = sorted((key for key in keys if len("".join(key)) > 1), key=len, reverse=True)
    spelled = "|".join(r"\W{0,3}".join(map(re.escape, key)) for key in longest) or "(?!)"  # which matches nothing
    return re.sub(rf"(?<!\w)(?:{spelled})(?!\w)", OPTION, text, flags=re.IGNORECASE)
