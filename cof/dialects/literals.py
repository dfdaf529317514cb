"""What an expression of Python holds, worked out from its syntax tree. Code is never run.

Owns which expressions have a value: literals of text, lists, dicts and `dict(...)`, names and members given before, sums,
`join`, `format` and f-strings of texts, `strip` and its like, `textwrap.dedent` and `inspect.cleandoc`. Anything else is an
`Unread`, which says what was found in its place. What names a file gives is in `assigned.py`.
"""

from __future__ import annotations

import ast
import inspect
import string
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

LONGEST = 1_000_000  # letters of a text, and of a file's code
MOST_WORK = 10 * LONGEST  # letters and keys that are put together: a short file may double a text a million times
METHODS = ("strip", "lstrip", "rstrip", "removeprefix", "removesuffix")  # with texts as arguments, if any
CALLS: dict[str, Callable[[str], str]] = {"textwrap.dedent": textwrap.dedent, "inspect.cleandoc": inspect.cleandoc}
PLAIN, AS_TEXT = -1, ord("s")  # conversions of an f-string's field: none, and !s
KINDS: dict[type[ast.AST], str] = {
    ast.BinOp: "a calculation",
    ast.BoolOp: "a choice by and/or",
    ast.IfExp: "a choice by if/else",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
}


@dataclass(frozen=True)
class Unread:
    """What stands where no text could be worked out, and the place of it; `local`: inside a function."""

    what: str
    local: bool = False


Table = dict[str, Any]  # names, keys or members, each with a value
Value = str | Table | list[Any] | Unread


@dataclass
class Known:
    """What a file's names hold as far as it is read, at a `place` such as "cell 3, " of a notebook."""

    module: Table = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # local names of what is imported, and the full ones
    place: str = ""
    worked: int = 0  # of MOST_WORK

    def value(self, node: ast.expr, names: Table) -> Value:
        """The value of an expression; `names` are those of the class whose body it is in, else the module's."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Constant(value=value):
                return self.unread(f"{value!r:.40}", node)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._member(node, names)
            case ast.BinOp(op=ast.Add()):
                return self.joined([self.value(each, names) for each in _terms(node)], node)
            case ast.JoinedStr(values=values):
                return self.joined([self._inserted(each, names) for each in values], node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.value(each, names) for each in items]
            case ast.Dict(keys=keys, values=values):
                return self._table(zip(map(_literal, keys), values, strict=True), node, names)
            case ast.Call():
                return self._call(node, names)
        return self.unread(KINDS.get(type(node), article(node)), node)

    def joined(self, parts: Sequence[Value], node: ast.AST) -> Value:
        """The texts one after another, or the first part that is none."""
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) != len(parts):
            unread = next((part for part in parts if isinstance(part, Unread)), None)
            return unread or self.unread("a sum of more than texts", node)
        if (size := sum(map(len, texts))) > LONGEST or not self._affords(size + len(texts)):
            return self.unread("a text that is too long", node)
        return "".join(texts)

    def unread(self, what: str, node: ast.AST, local: bool = False) -> Unread:
        return Unread(f"{what} ({self.place}line {getattr(node, 'lineno', '?')})", local)

    def _knows(self, name: str, names: Table) -> bool:
        return name in names or name in self.module

    def _member(self, node: ast.Name | ast.Attribute | ast.Subscript, names: Table) -> Value:
        if isinstance(node, ast.Name):
            found: Value | None = names.get(node.id, self.module.get(node.id))
            return self.unread(f"the name {node.id}, which has no value above", node) if found is None else found
        match self.value(node.value, names), key_of(node):
            case dict() as held, str() | int() as key if str(key) in held:
                member: Value = held[str(key)]
                return member
            case list() as items, int() as index if -len(items) <= index < len(items):
                item: Value = items[index]
                return item
        return self.unread(f"the value of {ast.unparse(node):.60}", node)

    def _inserted(self, node: ast.expr, names: Table) -> Value:
        """A part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return self.value(node, names)
        if node.format_spec is None and node.conversion in (PLAIN, AS_TEXT):
            text = self._written(node.value, names)
            if isinstance(text, str):
                return text
        return self.unread(f"an f-string with {{{ast.unparse(node.value):.60}}}", node)

    def _written(self, node: ast.expr, names: Table) -> Value:
        """What a format writes for a value. Members of an Enum are written otherwise than they read, so members stay out."""
        return self.unread("a member in a format", node) if isinstance(node, ast.Attribute) else self.value(node, names)

    def _formatted(
        self, template: Value, args: list[ast.expr], named: list[ast.keyword], node: ast.Call, names: Table
    ) -> Value:
        """`template.format(…)`, where it has plain fields alone."""
        given = {str(index): each for index, each in enumerate(args)} | {each.arg: each.value for each in named}
        parts: list[Value] = []
        count = iter(range(len(args)))
        with suppress(ValueError):  # braces that are no template's
            for part, name, spec, how in string.Formatter().parse(template if isinstance(template, str) else "{"):
                parts.append(part)
                if name is None:
                    continue
                filled = given.get(name or str(next(count, None)))
                bare = filled is not None and not spec and not how
                parts.append(self._written(filled, names) if bare and filled else self.unread("a call of format", node))
            return self.joined(parts, node)
        return template if isinstance(template, Unread) else self.unread("a call of format", node)

    def _table(self, items: Iterable[tuple[Any, ast.expr]], node: ast.expr, names: Table) -> Value:
        """A dict of (key, value); a key that is None spreads its value, as `**` does."""
        table: Table = {}
        for key, each in items:
            value = self.value(each, names)
            if key is None and isinstance(value, dict) and self._affords(len(value)):
                table |= value
            elif isinstance(key, str | int):
                table[str(key)] = value
            else:
                return self.unread("a dict with keys that are worked out when it runs", node)
        return table

    def _call(self, node: ast.Call, names: Table) -> Value:
        match node:
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=given) if not self._knows("dict", names):
                return self._table([(each.arg, each.value) for each in given], node, names)
            case ast.Call(func=func, args=[only], keywords=[]) if known := CALLS.get(self._full_name(func)):
                return self._changed(known, [self.value(only, names)], node)
            case ast.Call(func=ast.Attribute(value=owner, attr="join"), args=[only], keywords=[]):
                return self._join(self.value(owner, names), self.value(only, names), node)
            case ast.Call(func=ast.Attribute(value=owner, attr="format"), args=args, keywords=given):
                return self._formatted(self.value(owner, names), args, given, node, names)
            case ast.Call(func=ast.Attribute(value=owner, attr=method), args=args, keywords=[]) if method in METHODS:
                return self._changed(getattr(str, method), [self.value(each, names) for each in (owner, *args)], node)
        return self.unread(f"a call of {ast.unparse(node.func):.60}", node)

    def _full_name(self, func: ast.expr) -> str:
        first, dot, rest = _dotted(func).partition(".")
        return self.imports.get(first, "") + dot + rest

    def _join(self, between: Value, parts: Value, node: ast.expr) -> Value:
        if not isinstance(between, str) or not isinstance(parts, list):
            return self.unread("a call of join", node)
        return self.joined([each for part in parts for each in (between, part)][1:], node)

    def _changed(self, change: Callable[..., str], given: Sequence[Value], node: ast.expr) -> Value:
        """What a method or a function makes of texts, which is no longer than the first of them."""
        texts = [each for each in given if isinstance(each, str)]
        if len(texts) == len(given) and self._affords(sum(map(len, texts))):
            with suppress(TypeError):  # more or fewer arguments than it has
                return change(*texts)
        unread = next((each for each in given if isinstance(each, Unread)), None)
        return unread or self.unread(f"a call of {change.__name__}", node)

    def _affords(self, letters: int) -> bool:
        self.worked += letters
        return self.worked <= MOST_WORK


def key_of(node: ast.expr) -> str | int | None:
    """The name or the literal key of a member, None where it is worked out."""
    match node:
        case ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() | int() as key)):
            return key
        case ast.Subscript(slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(index)))):
            return -index
    return None


def article(node: ast.AST) -> str:
    name = type(node).__name__.lower()
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _terms(node: ast.expr) -> list[ast.expr]:
    """The terms of a sum from left to right, without recursion: prompts are sums of hundreds of lines."""
    terms: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        terms.append(node.right)
        node = node.left
    return [node, *reversed(terms)]


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            return f"{owner}.{name}"
    return ""


def _literal(key: ast.expr | None) -> str | int | ast.expr | None:
    """A key that is a text or a number as that, any other as it was."""
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str | int) else key
