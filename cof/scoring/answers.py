"""Whether an answer is right. Pure functions of text; None means not scored.

An answer is read in layers, from the surest down: its exact text, a letter, an option's words, a number. Where a reader
would have to guess, nothing is read. No model judges here, and only English is read (and the Chinese for "answer").
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cof.errors import InputError
from cof.types import Question, Trace

Words = tuple[str, ...]  # a text's words, numbers and telling symbols, in lower case

_LABEL = re.compile(r"\s*[(\[]?([A-Za-z])[)\].:]{1,2}\s*(\S.*)", re.DOTALL)
_OPENINGS = "it is,it's,this is,that is,there is,there are,they are,i think,i believe,i see,it says,it reads"
_OPENING_WORDS = [tuple(opening.split()) for opening in _OPENINGS.split(",")]


@dataclass(frozen=True)
class Score:
    """How right an answer is, in [0, 1], and what decided it; value None is "not scored".

    `by` is the layer that read the answer ("exact", "letter", "option", "number", "text"), "none" where nothing or
    several things could be read (0.0), or "unknown" where there is no truth (None).
    """

    value: float | None
    by: str


def score(question: Question, answer: str | None) -> Score:
    """How right `answer` is: 1.0 if it names the true option, or says the truth of an open question, else 0.0.

    An open answer says the truth if it is the truth but for case, articles, punctuation, markup and openings such as
    "it is", or if it holds one number and that is the truth; where it has explicit statements ("the answer is red"),
    they alone count. No answer is 0.0. Raises InputError if the truth is no option.
    """
    if question.answer is None:
        return Score(None, "unknown")
    right = _option(question.choices, question.answer) if question.choices else question.answer
    if answer is None or not answer.strip():
        return Score(0.0, "none")
    if not question.choices:
        return _open(right, answer)
    found = chosen(question.choices, answer)
    return Score(float(question.choices[found[0]] == right), found[1]) if found else Score(0.0, "none")


def listed(trace: Trace) -> bool | None:
    """Whether the answer names one of the question's choices; None without choices or without an answer."""
    if trace.answer is None or not trace.question.choices:
        return None
    return chosen(trace.question.choices, trace.answer) is not None


def chosen(choices: Sequence[str], text: str) -> tuple[int, str] | None:
    """The place of the option that `text` names, and the layer that read it; None if it names none, or several.

    - exact: the text is the option, but for case, articles, punctuation and markup.
    - letter: A is the first option and so on, where the letter is marked: alone, in brackets, after "answer" or
      "option", as a label at the start, as a capital at the end, or by words such as "I choose D". Where options are
      single letters themselves, a letter is the option it spells before it is a place. A letter that is ruled out
      ("not B", "B is wrong") or stands in an option's text ("Exit B") does not count. "(D) red" and "red (D)" name D,
      or two options where red is another one's whole text.
    - option: its words occur, whole, not after "not", "than" or "instead of", and not within a longer option's.
    - number: the text holds one number, in digits or words, and the option is that number.

    Explicit statements ("the answer is", "answer:", \\boxed, <answer>) win over all that comes before the first of
    them; if two disagree, or one is followed by another marked letter, nothing is named.
    """
    if text in choices:
        return choices.index(text), "exact"
    keys = [_words(_unmarked(option)) for option in _unlabelled(choices)]
    whole = _unmarked(text)
    same = {place for place, key in enumerate(keys) if key and key == _words(whole)}
    said = [found for part in _statements(whole) if (found := _named(keys, part))[0]]
    readings = [(same, "exact")] if same else said or [_named(keys, whole)]
    named = {choices.index(choices[place]) for places, _ in readings for place in places}
    return (named.pop(), readings[-1][1]) if len(named) == 1 else None


def exact(answer: str | None, truth: str | None) -> float | None:
    """1.0 if the answer is the truth but for case, spaces and a closing full stop, else 0.0; None without a truth.

    No answer is 0.0: the run ended without one.
    """
    if truth is None:
        return None
    return float(answer is not None and _plain(answer) == _plain(truth))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().rstrip(".").casefold()


def _option(choices: Sequence[str], truth: str) -> str:
    """The option that is the truth, word for word, or but for the label "(A)" that all options carry."""
    for option, bare in zip(choices, _unlabelled(choices), strict=True):
        if truth in (option, bare):
            return option
    raise InputError(f"the truth {truth!r} is none of the options {list(choices)}; want one of them, word for word")


def _unlabelled(choices: Sequence[str]) -> list[str]:
    """The options' texts; labels such as "(A)" go if every option carries the one of its own place."""
    found = [_LABEL.fullmatch(option) for option in choices]
    bare = [m[2] for m, letter in zip(found, string.ascii_uppercase, strict=False) if m and m[1].upper() == letter]
    return bare if len(bare) == len(choices) else list(choices)


def _open(truth: str, answer: str) -> Score:
    """The score of an answer, not blank, to a question without options."""
    if exact(answer, truth) == 1.0:
        return Score(1.0, "exact")
    said, wanted = _unmarked(answer), _words(_unmarked(truth))
    parts = [words for part in _statements(said) if (words := _words(part))] or [_words(said)]
    if not any(parts):
        return Score(0.0, "none")
    number, values = _number(wanted), {value for words in parts for value in _values(words)}
    if number is not None and len(values) == 1 and None not in values:
        return Score(float(number in values), "number")
    return Score(float({_core(words) for words in parts} == {_core(wanted)}), "text")


def _core(words: Words) -> Words:
    """The words after an opening such as "I think it is"."""
    for _ in range(2):
        words = next((words[len(o) :] for o in _OPENING_WORDS if words[: len(o)] == o and words != o), words)
    return words


_SAID = "\x01"  # stands where an explicit statement of the answer begins
_OPTION = "\x02"  # stands for an option's text
_MOST_STATEMENTS = 16  # the last ones are read; more are no honest answer, and would cost time
_SAYS = re.compile(
    r"(?i:\b(?:(?:so|the|my|final|correct|right|best)\s){0,4}"
    r"(?:answer|ans\.?|(?:correct|right|best|final) (?:option|choice|one|guess))"
    r"(?: to (?:the|this|your) question| here| choice| option)?\s?"
    r"(?:[:=]|->?\s|is\b|(?:would|should|must) be\b)|答案\s?[是为:]):?"
)
_TYPED: dict[int, int | str | None] = {
    code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)
}  # full-width as plain forms
_TYPED |= zip(map(ord, "‘’‐‑−–—"), ["'", "'", "-", "-", "-", " - ", " - "], strict=True)
_TYPED |= dict.fromkeys(map(ord, '\x01\x02\u200b\u200c\u200d\ufeff*`~"“”„«»'))  # these go
_MARKUP = (  # pattern, and what stands for it; the order matters
    (re.compile(r"<answer>|\\f?boxed ?\{", re.IGNORECASE), _SAID),
    (re.compile(r"<[/|]?\w{1,20}\|?>|\\(?:text|math)\w{0,6}|\\[()\[\]]"), " "),
    (re.compile(r"\${1,2}([^$\n]{1,200})\${1,2}"), r" \1 "),
    (re.compile(r"[_{}|\\]"), " "),
    (re.compile(r"(?<!\w)'|'(?!\w)"), ""),
)


def _unmarked(text: str) -> str:
    """The text without markup and needless space, by lines; boxes and answer tags become the mark of a statement."""
    text = unicodedata.normalize("NFC", text).translate(_TYPED)
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    return "\n".join(line for part in text.splitlines() if (line := " ".join(part.split())))


def _statements(text: str) -> list[str]:
    """What follows each explicit statement's beginning, up to the next; empty where there is none."""
    return [_SAID + part for part in _SAYS.sub(_SAID, text).split(_SAID)[1:][-_MOST_STATEMENTS:]]


_ARTICLE = re.compile(r"(?:\b(?:[Tt]he|THE|[Aa]n|a)|(?:^|(?<=[.!?] ))A) (?=\w)")
_WORD = re.compile(r"(?:(?<!\w)-(?=\d))?\w+(?:(?:'|(?<=\d)[.,:/-](?=\d))\w+)*|[%$€£¥°+<>=&@#]")


def _words(text: str) -> Words:
    """The words of a plain text, without articles; an "A" that may be a letter stays."""
    return tuple(_WORD.findall(_ARTICLE.sub("", text).casefold()))


def _named(keys: Sequence[Words], text: str) -> tuple[set[int], str]:
    """The places of the options that a plain text names by the first layer that names any; `keys` are their words."""
    if letters := _letters(keys, text):
        return letters, "letter"
    places, rest = _spelled(keys, _words(text))
    values = _values(rest)
    numbers = {place for place, key in enumerate(keys) if (number := _number(key)) is not None and number in values}
    if places:
        return places | numbers, "option"
    return (numbers if len(values) == 1 else set()), "number"


# A letter: not part of a word, name, sum or unit; "a" and "I" only where no sentence goes on.
_BEFORE = r"(?<![\w&°/+#@])(?<!\w[-.'])"
_AFTER = r"(?![\w&°/+#@%]|['-]\w|\.\w\b)"
_ENDS = r"(?=\s?(?:[).:,;!?\]\n]|$)|\s(?:-\s|(?i:because|since|as|is|was|and|or|nor|but|rather|which|for|with)\b))"
_ANY = rf"{_BEFORE}([B-HJ-Zb-hj-z]|[AaIi]{_ENDS}){_AFTER}"
_FIRM = rf"{_BEFORE}([B-HJ-Zb-hj-z]|[AI]{_ENDS}){_AFTER}"
_CAPITAL = rf"{_BEFORE}([A-Z]){_AFTER}"
_PLAIN = rf"\(?{_BEFORE}[A-Za-z]{_AFTER}\)?"
_JOIN = r"\)?(?:\s?,\s?(?:(?:or|and)\s)?|\s(?:or|and|nor|&)\s)(?:[Oo]ption\s)?\(?"
_LIST = rf"{_PLAIN}(?:{_JOIN}{_PLAIN}){{0,8}}"
_MARKED = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"\A[^\w{_OPTION}]*([A-Za-z])[^\w{_OPTION}]*\Z",  # alone
        rf"(?<!\w)[(\[]\s?{_ANY}\s?[)\]]",
        rf"{_SAID}[^\w{_OPTION}]{{0,6}}(?i:(?:most likely|likely|probably|the letter)\s)?{_ANY}(?:{_JOIN}{_ANY})?",
        rf"(?i:\b(?:answer|option|choice)s?)[ :=(\[]{{0,3}}{_ANY}(?:{_JOIN}{_ANY})?",
        rf"(?i:\b(?:option|choice)s?)\s{_BEFORE}([A-HJ-Z]){_AFTER}",
        rf"^[>#•.\s-]{{0,6}}{_ANY}(?:\s?(?:[).:]|$)|{_JOIN}{_ANY})",  # a label, or a line of its own
        rf"^[>#•.\s-]{{0,6}}{_BEFORE}([A-HJ-Z]){_AFTER}(?:,|\s-)\s",
        rf"(?:{_ANY}\s?)?(?:^|[.,;:!?)\]{_OPTION}]\s|\b(?i:with|but|is|was|be|as|by|match|matches|labell?ed|corresponds? to|"
        rf"corresponding to)\s)(?:{_ANY}{_JOIN})?{_CAPITAL}[\s).:!?\]]{{0,6}}\Z",  # at the end
        r"(?i:\b(?:choose|chose|pick|picked|select|selected|say|guess|go with|going with|think|believe|it's|it is|leaving|"
        r"(?:must|would|should|could|might|may) be|likely|probably|definitely|so|therefore|thus|hence|either|both)[,:]?\s"
        rf"(?:(?:it's|it is|option|letter)\s)?){_FIRM}(?:{_JOIN}{_FIRM})?",
        rf"{_CAPITAL}\)?\s(?i:because|since|matches|fits|(?:is|was|seems|looks|would be|must be)\s"
        r"(?:(?:the|my|most|clearly|likely)\s){0,3}(?:correct|right|best|closest|answer|choice|final))\b",
    )
]
_LISTED = re.compile(rf"[,;]\s{_ANY}\s?[:)]|{_CAPITAL}[).:]\s?{_OPTION}")  # further labels of a list, if one began
_RULED_OUT = re.compile(
    r"(?i:\b(?:not|never|rather than|instead of|unlike|except|other|remaining|(?:exclud|eliminat)(?:e|es|ed|ing)|"
    r"rul(?:e|es|ed|ing) out)|n't)"
    rf"\s(?i:(?:option|choice|answer)s?\s|either\s)?{_LIST}"
    rf"|{_LIST}\s(?i:(?:is|are|was|were)(?:n't|\s(?:(?:both|all|also|clearly)\s)?"
    r"(?:not|incorrect|wrong|false|out|ruled|eliminated|impossible))|can be (?:ruled|eliminated|excluded))\b"
)
_DENIALS = (" not ", " than ", " instead  of ")  # before an option's words, as `_padded` gives them


def _letters(keys: Sequence[Words], text: str) -> set[int]:
    """The places of the options whose letters are marked in a plain text."""
    places = {letter: place for place, letter in enumerate(string.ascii_lowercase[: len(keys)])}
    words = _words(text)
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
    return re.sub(rf"(?<!\w)(?:{spelled})(?!\w)", _OPTION, text, flags=re.IGNORECASE)


def _spelled(keys: Sequence[Words], words: Words) -> tuple[set[int], Words]:
    """The places of the options whose words occur, neither denied nor within a longer option, and the words left over."""
    text = rest = _padded(words).replace("n't ", "n't  not ")
    sure = [_padded(key) for key in keys if key and key not in (("a",), ("i",))]  # words of any sentence tell nothing
    longest, found = sorted(sure, key=len, reverse=True), set()
    for place, own in enumerate(map(_padded, keys)):
        alone = text
        hidden = [longer for longer in longest if own in longer and own != longer] + [no + own for no in _DENIALS]
        for phrase in hidden:
            alone = alone.replace(phrase, " | ")
        if own in longest and own in alone:
            found.add(place)
    for own in longest:
        rest = rest.replace(own, " | ")
    return found, tuple(rest.split())


def _padded(words: Words) -> str:
    """The words, each between spaces of its own, so that words in a row are found and replaced whole."""
    return "".join(f" {word} " for word in words)


_SPELLED = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
_SMALL = {word: n for n, word in enumerate([*_SPELLED.split(), "seventeen", "eighteen", "nineteen"])}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SCALES = {"hundred", "thousand", "million", "billion", "dozen", "half", "point"}
_BEFORE_ONE = {"is", "are", "was", "were", "only", "just", "exactly", "see", "count", "has", "have", "about", "shows"}
_NUMERAL = re.compile(r"-?(?:\d{1,40}|\d{1,3}(?:,\d{3}){1,12})(?:\.\d{1,40})?")


def _number(words: Words) -> Decimal | None:
    """The number that the words are as a whole; None if they are something else."""
    numerals = _numerals(words)
    return Decimal(numerals[0].replace(",", "")) if len(numerals) == 1 and _NUMERAL.fullmatch(numerals[0]) else None


def _values(words: Words) -> Collection[Decimal | None]:
    """The numbers among the words, each once; None stands for any that cannot be told: "7:30", "seven hundred"."""
    return {_number((word,)) for word in _numerals(words) if word in _SCALES or re.fullmatch(r"-?\d[\d.,:/-]*", word)}


def _numerals(words: Words) -> list[str]:
    """The words with numbers below a hundred in digits; "one" only where it counts, not as in "the red one"."""
    out: list[str] = []
    for previous, word in zip(("", *words), words, strict=False):
        if previous in _TENS and 0 < _SMALL.get(word, 0) < 10:
            out[-1] = str(_TENS[previous] + _SMALL[word])
        else:
            counts = word != "one" or previous in _BEFORE_ONE or len(words) == 1
            out.append(str(_SMALL.get(word, _TENS.get(word, word))) if counts else word)
    return out
