"""How every row of a job is asked: what a worker needs to open the model, to read a row, and to set up its question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cof import files
from cof.data.benchmarks import jsonl, pictures
from cof.data.benchmarks.reading import refuse_control
from cof.data.benchmarks.rows import Row
from cof.data.example import Example
from cof.dialects.named import dialect_of
from cof.errors import InputError
from cof.loop.policies.known import policy_for_asking
from cof.loop.setting import Setting, setting_of
from cof.models.base import Model
from cof.models.opening import ModelRef
from cof.plain import to_json
from cof.types import Limits, Sampling


@dataclass(frozen=True)
class JobRow:
    """One line of the input: `place` counts from 1, empty lines too; `line` is the text as it stands."""

    place: int
    line: bytes

    @property
    def digest(self) -> int:
        """A hash of the line, of 64 bits."""
        return int.from_bytes(hashlib.blake2b(self.line.strip(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Job:
    """Everything that decides an answer besides its row. It is plain data, which travels to other processes.

    `source`: where the rows come from; pictures are named relative to it.
    `question`: asked of a row that has none of its own; "" where each has one.
    `fetch`: whether a picture may be named by an http address.
    `dialect`, `turn_tokens`, `budget`, `crop_budget`: as `setting_of` takes them; None leaves them to the model.
    `policy`: its name. `cache`: the folder of the answers that jobs share; None: there is none.
    """

    ref: ModelRef
    source: str
    question: str = ""
    fetch: bool = False
    dialect: str | None = None
    policy: str = "own"
    limits: Limits = Limits()
    turn_tokens: int | None = None
    budget: int | None = None
    crop_budget: int | None = None
    cache: Path | None = None

    def setting(self, model: Model) -> Setting:
        """How the model is asked. Raises InputError."""
        spoken = None if self.dialect is None else dialect_of(self.dialect)
        sampling = None if self.turn_tokens is None else Sampling(tokens=self.turn_tokens)
        chosen = setting_of(model, self.limits, sampling, self.budget, spoken, self.crop_budget)
        return replace(chosen, policy=policy_for_asking(self.policy))

    def example(self, row: JobRow) -> Example:
        """The question of a row, whose pictures are read when they are asked for. Raises InputError."""
        found = Row(Path(self.source), row.place, self._fields(row))
        example = jsonl.item(found, self.fetch)
        asked = example.question
        refuse_control(found, (asked.text, *asked.choices))
        return example

    def names(self, row: JobRow) -> dict[str, Any]:
        """What a row that cannot be asked is called in the answers, as far as it can be read."""
        try:
            fields = json.loads(row.line)
        except (ValueError, RecursionError):
            fields = None
        given = fields if isinstance(fields, dict) else {"image": fields} if isinstance(fields, str) else {}
        question = given.get("question") or self.question or None
        return {"name": str(given.get("id", row.place)), "image": given.get("image"), "question": question}

    def _fields(self, row: JobRow) -> Mapping[str, Any]:
        where = f"{self.source} line {row.place}"
        try:
            fields = json.loads(row.line)
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{where} is no JSON ({reason}); want one JSON object per line, in UTF-8") from None
        if isinstance(fields, str):
            fields = {"image": fields}
        if not isinstance(fields, dict):
            raise InputError(f"{where} is {str(fields)[:40]!r}; want an object, or the name of a picture")
        own = {name for name in ("question", "problem", "prompt", "messages", "extra_info") if fields.get(name)}
        if not own and not self.question:
            raise InputError(f"{where} has no question; want one, or --question for all rows")
        if not own:
            jsonl.check_spelling(Row(Path(self.source), row.place, fields))
        given = fields if own else fields | {"question": self.question}
        if not files.is_address(self.source):
            return given
        return given | {name: self._located(given[name]) for name in ("image", *jsonl.OTHER["image"]) if name in given}

    def _located(self, value: Any) -> Any:
        """A picture's name beside a source at an address, as an address; one that is an address, or data, as it is."""
        if isinstance(value, list):
            return [self._located(each) for each in value]
        if not isinstance(value, str) or "://" in value[:20] or value.startswith(("data:", *pictures.BASE64_STARTS)):
            return value
        return f"{self.source.rpartition('/')[0]}/{value}"


def fingerprint(model: Model, setting: Setting) -> dict[str, Any]:
    """What decides an answer besides the question: the model's weights, and how it is asked; as plain data."""
    return {
        "model": model.info.name,
        "weights": model.info.fingerprint,
        "wire": model.info.wire,
        "setting": to_json(setting) | {"dialect": setting.dialect.name, "policy": setting.policy.name},
        "prompts": setting.dialect.fingerprint(),
    }


def hashed(value: Any) -> str:
    """A hash of plain data."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
