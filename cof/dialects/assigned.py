"""The names that Python code gives, and what each holds at its end, read from top to bottom. Code is never run.

Owns assignments, classes and imports; `literals.py` owns what an expression holds. What a branch or a loop gives depends on a
run, so it is `Unread`. Omits what functions change, base classes, star imports, and assignments within expressions.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Sequence

from cof.dialects.literals import Known, Table, Value, article, key_of
from cof.errors import InvalidConfig

CHANGING = (
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "popitem",
    "remove",
    "reverse",
    "setdefault",
    "sort",
    "update",
)
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def named_values(parts: Sequence[tuple[str, str]]) -> Table:
    """What code gives the names at its top level; `parts` are (place such as "cell 3, ", source), which follow one another.

    Raises InvalidConfig, which names place and line, where a part is no Python.
    """
    known = Known()
    for place, source in parts:
        known.place = place
        try:
            _block(_tree(source), known, known.module)
        except SyntaxError as error:
            raise InvalidConfig(f"{place}line {error.lineno or 1}: {error.msg}") from None
        except (RecursionError, MemoryError):
            raise InvalidConfig(f"{place}nested too deep") from None
        except ValueError as error:  # NUL, or half of a surrogate pair
            raise InvalidConfig(f"{place}{error}") from None
    return known.module


def _tree(source: str) -> list[ast.stmt]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in a text is the authors' business
        return ast.parse(source).body


def _block(body: Sequence[ast.stmt], known: Known, names: Table) -> None:
    for statement in body:
        _statement(statement, known, names)


def _statement(node: ast.stmt, known: Known, names: Table) -> None:
    match node:
        case ast.Assign(targets=targets, value=value):
            found = known.value(value, names)
            for target in targets:
                _bind(target, found, known, names)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _bind(target, known.value(value, names), known, names)
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            both = [known.value(each, names) for each in (target, value)]
            _bind(target, known.joined(both, node), known, names)
        case ast.ClassDef(name=name, body=body):
            names[name] = {}
            _block(body, known, names[name])
        case ast.Import() | ast.ImportFrom():
            _import(node, known, names)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            _function(node, known, names)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=method))) if method in CHANGING:
            if isinstance(known.value(owner, names), dict | list):
                _bind(owner, known.unread(f"changed by a call of {method}", node), known, names)
        case ast.Expr() | ast.AnnAssign():
            pass
        case _:
            for target in _given(node):
                _bind(target, known.unread(f"given inside {article(node)} statement", target), known, names)


def _bind(target: ast.expr, value: Value, known: Known, names: Table) -> None:
    match target:
        case ast.Name(id=name):
            names[name] = value
            known.imports.pop(name, None)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            parts = value if isinstance(value, list) and len(value) == len(targets) else None
            for index, each in enumerate(targets):
                _bind(each, parts[index] if parts else known.unread("unpacked", each), known, names)
        case ast.Starred(value=inner):
            _bind(inner, known.unread("unpacked", inner), known, names)
        case ast.Attribute(value=owner) | ast.Subscript(value=owner):
            match known.value(owner, names), key_of(target):
                case dict() as held, str() | int() as key:
                    held[str(key)] = value
                case list() as items, int() as index if -len(items) <= index < len(items):
                    items[index] = value
                case dict() | list(), _:
                    _bind(owner, known.unread("changed by an assignment", owner), known, names)


def _import(node: ast.Import | ast.ImportFrom, known: Known, names: Table) -> None:
    source = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
    for each in node.names:
        local = each.asname or (each.name if source else each.name.partition(".")[0])
        names[local] = known.unread(f"imported from {source[:-1] or each.name}", node)
        known.imports[local] = source + (each.name if each.asname or source else local)


def _function(node: FUNCTION, known: Known, names: Table) -> None:
    names[node.name] = known.unread("a function", node)
    known.imports.pop(node.name, None)
    inside = [each for each in _given(*node.body) if isinstance(each, ast.Name)]
    if inside:  # only to name them in an error: such a name has no value before the function runs
        names[f"{node.name}()"] = {
            each.id: known.unread("given inside a function", each, local=True) for each in inside
        }


def _given(*nodes: ast.AST) -> Iterator[ast.expr]:
    """What is assigned to, deleted, defined or imported within statements, outside functions and classes inside them."""
    left = list(nodes)
    while left:
        match left.pop():
            case ast.Name(ctx=ast.Store() | ast.Del()) as name:
                yield name
            case (ast.Attribute() | ast.Subscript()) as member if not isinstance(member.ctx, ast.Load):
                yield member
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() as defined:
                yield ast.copy_location(ast.Name(defined.name, ast.Store()), defined)
            case ast.Import(names=names) | ast.ImportFrom(names=names) as imported:
                for each in names:
                    yield ast.copy_location(ast.Name(each.asname or each.name, ast.Store()), imported)
            case ast.Lambda():
                pass
            case other:
                left.extend(ast.iter_child_nodes(other))
