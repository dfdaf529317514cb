"""Which option an answer names, read in layers from the surest down; where a reader would have to guess, none.

Owns the layers and their order. Omits whether the option is the true one (`answers.py`). Only English is read, and the
Chinese words around a letter.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from cof.errors import InputError
from cof.scoring.letters import letters
from cof.scoring.numbers import MINUS_WORDS, amount, number, signs_of, values
from cof.scoring.words import FUNCTION_WORDS, Words, core, statements, unmarked, words_of

_LABEL = re.compile(r"\s*[(\[]?([A-Za-z])[)\].:]{1,2}\s*(\S.*)", re.DOTALL)


def chosen(choices: Sequence[str], text: str) -> tuple[int, str] | None:
    """The place of the option that `text` names, and the layer that read it; None if it names none, or several.

    - exact: the text is the option, but for case, articles, punctuation and markup.
    - letter: A is the first option and so on, where the letter is marked: alone, in brackets, after "answer" or
      "option", as a label at the start, as a capital at the end, or by words such as "I choose D" or "选 D". Where
      options are single letters themselves, a letter is the option it spells before it is a place. A letter that is ruled
      out ("not B", "B is wrong") or stands in an option's text ("Exit B") does not count. "(D) red" and "red (D)" name D,
      or two options where red is another one's whole text.
    - option: its words occur, whole, not after "not", "than" or "instead of", and not within a longer option's.
    - number: the text holds one number, in digits or words, and the option is that number; or it is that amount, and the
      text has the same sign ("$", "%") or none.
    - part: the text's words, in their order, are part of this option's alone ("on the left" of "The dog is on the left
      side."), and what the option denies is denied in the text.

    Explicit statements ("the answer is", "answer:", \\boxed, <answer>) win over all that comes before the first of
    them; if two disagree, or one is followed by another marked letter, nothing is named.
    """
    if text in choices:
        return choices.index(text), "exact"
    keys = [words_of(unmarked(option)) for option in _unlabelled(choices)]
    whole = unmarked(text)
    same = {place for place, key in enumerate(keys) if key and key == words_of(whole)}
    said = [found for part in statements(whole) if (found := _named(keys, part))[0]]
    readings = [(same, "exact")] if same else said or [_named(keys, whole)]
    named = {choices.index(choices[place]) for places, _ in readings for place in places}
    return (named.pop(), readings[-1][1]) if len(named) == 1 else None


def option_of(choices: Sequence[str], truth: str) -> str:
    """The option that is the truth, word for word, or but for the label "(A)" that all options carry.

    Raises InputError where it is none of them.
    """
    for option, bare in zip(choices, _unlabelled(choices), strict=True):
        if truth in (option, bare):
            return option
    raise InputError(f"the truth {truth!r} is none of the options {list(choices)}; want one of them, word for word")


def is_option(choices: Sequence[str], text: str) -> bool:
    """Whether a text is an option, as `option_of` compares them."""
    return text in choices or text in _unlabelled(choices)


def _unlabelled(choices: Sequence[str]) -> list[str]:
    """The options' texts; labels such as "(A)" go if every option carries the one of its own place."""
    found = [_LABEL.fullmatch(option) for option in choices]
    bare = [m[2] for m, letter in zip(found, string.ascii_uppercase, strict=False) if m and m[1].upper() == letter]
    return bare if len(bare) == len(choices) else list(choices)


def _named(keys: Sequence[Words], text: str) -> tuple[set[int], str]:
    """The places of the options that a plain text names by the first layer that names any; `keys` are their words."""
    if found := letters(keys, text):
        return found, "letter"
    words = words_of(text)
    places, rest = _spelled(keys, words)
    numbers = _numbered(keys, rest)
    if places:
        return places | numbers, "option"
    if len(values(rest)) == 1 and (counted := numbers or _amounts(keys, rest)):
        return counted, "number"
    return _partly(keys, words), "part"


_DENIALS = (" not ", " than ", " instead  of ")  # before an option's words, as `_padded` gives them
_MINUSES = tuple(f" {word} " for word in MINUS_WORDS)  # before a number's


def _spelled(keys: Sequence[Words], words: Words) -> tuple[set[int], Words]:
    """The places of the options whose words occur, neither denied nor within a longer option, and the words left over."""
    text = rest = _padded(words).replace("n't ", "n't  not ")
    sure = [_padded(key) for key in keys if key and key not in (("a",), ("i",))]  # words of any sentence tell nothing
    longest, found = sorted(sure, key=len, reverse=True), set()
    for place, own in enumerate(map(_padded, keys)):
        alone, no = text, _DENIALS + _MINUSES if number(keys[place]) or amount(keys[place]) else _DENIALS
        hidden = [longer for longer in longest if own in longer and own != longer] + [denial + own for denial in no]
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


def _numbered(keys: Sequence[Words], words: Words) -> set[int]:
    """The places of the options that are one of the numbers among the words."""
    found = values(words)
    return {place for place, key in enumerate(keys) if (own := number(key)) is not None and own in found}


def _amounts(keys: Sequence[Words], words: Words) -> set[int]:
    """The places of the options that are one of the amounts among the words, whose sign may be missing there."""
    found, signs = values(words), signs_of(words)
    own = [(place, each) for place, key in enumerate(keys) if (each := amount(key)) is not None]
    return {place for place, (sign, value) in own if value in found and signs <= {sign}}


_DENYING = {"not", "no", "never", "none", "nothing", "without", "neither", "nor", "cannot"}
_PLACES = {"left", "right", "top", "bottom", "front", "back", "middle", "center", "centre"}
_PLACING = {"on", "in", "at", "to"}  # before a place they are all the same: "to the left" is "on the left"
_SIDES = {"hand", "side"}  # after a place they add nothing
_SUBJECTS = [("he", "is"), ("she", "is"), ("he's",), ("she's",), ("they're",)]


def _partly(keys: Sequence[Words], words: Words) -> set[int]:
    """The place of the only option that the words are part of, in their order and with all that it denies; else empty."""
    said = core(words)
    said = next((said[len(subject) :] for subject in _SUBJECTS if said[: len(subject)] == subject), said)
    for part in (said, _places(said)):
        found = [place for place, key in enumerate(keys) if _telling(part) and _within(part, key)]
        if found:
            (first, *others), denials = found, {word for word in keys[found[0]] if _denies(word)}
            return set() if others or not denials <= set(part) else {first}
    return set()


def _places(words: Words) -> Words:
    """The words without those that add nothing to a place, where they name one."""
    if not _PLACES & set(words):
        return words
    pairs = zip(words, (*words[1:], ""), strict=True)
    return tuple(word for word, after in pairs if word not in _SIDES and not (word in _PLACING and after in _PLACES))


def _telling(words: Words) -> bool:
    return any(word[-1].isalnum() and word not in FUNCTION_WORDS for word in words)


def _within(words: Words, key: Words) -> bool:
    """Whether the words occur in an option's, in their order."""
    rest = iter(key)
    return all(word in rest for word in words)


def _denies(word: str) -> bool:
    return word in _DENYING or word.endswith("n't")
