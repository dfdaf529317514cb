"""What a job has spent, in tokens, zooms, seconds of the model and money, and the caps on it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cof.errors import InvalidConfig

MILLION = 1_000_000


@dataclass
class Spending:
    """Sums over rows. `tokens` were sampled; `prompt_tokens` were read, counted in every turn; `seconds` are of the model."""

    tokens: int = 0
    prompt_tokens: int = 0
    zooms: int = 0
    seconds: float = 0.0

    def add(self, answer: Mapping[str, Any]) -> None:
        """Count what one row cost; a row without a trace cost nothing."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + (answer.get(each.name) or 0))


@dataclass(frozen=True)
class Price:
    """What a model costs: an amount for a million tokens read (`input`) and sampled (`output`)."""

    input: float
    output: float
    currency: str = ""

    def of(self, spent: Spending) -> float:
        return (spent.prompt_tokens * self.input + spent.tokens * self.output) / MILLION


@dataclass(frozen=True)
class Caps:
    """The most that a whole job may spend; None: any amount. What runs when a cap is reached is finished."""

    tokens: int | None = None
    zooms: int | None = None
    seconds: float | None = None
    money: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise InvalidConfig(f"cap {name} = {value} leaves nothing to do; want more than 0")

    def reached(self, spent: Spending, price: Price | None) -> str:
        """The first cap that is reached, with what was spent, as words; "" where none is."""
        used = {"tokens": spent.tokens, "zooms": spent.zooms, "seconds": spent.seconds}
        used |= {"money": price.of(spent)} if price else {}
        for name, value in used.items():
            most = getattr(self, name)
            if most is not None and value >= most:
                return f"{name} ({value:,.6g} of {most:,.6g})"
        return ""


def price_of(model: str, file: Path) -> Price:
    """The price of a model in a TOML file: a table for each model, with `input` and `output`. Raises InvalidConfig."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"{file} cannot be read as TOML ({error}); want tables such as [{model}]") from None
    rows = {name: row for name, row in table.items() if isinstance(row, dict)}
    if model not in rows:
        have = ", ".join(rows) or "none"
        raise InvalidConfig(
            f'{file} has no price of {model!r} (it has: {have}); want ["{model}"] with input and output'
        )
    match rows[model]:
        case {"input": int() | float() as read, "output": int() | float() as sampled, **rest} if not rest:
            if 0 <= read < math.inf and 0 <= sampled < math.inf and bool not in (type(read), type(sampled)):
                return Price(float(read), float(sampled), str(table.get("currency", "")))
    raise InvalidConfig(f"{file}, [{model}] is {rows[model]}; want input and output, amounts for a million tokens")
