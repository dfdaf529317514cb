"""The fields of a request: each is used, may only have a value that changes nothing, or is refused by its name.

Owns how a field of the second kind is declared (`Only`), which fields cannot change an answer (`WithoutEffect`), and the
sentence about a field that is wrong. Omits the fields themselves (`request.py`, `responses.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema

from cof.serve.service import Refused, bad

SHOWN = 60  # characters of a name that are shown
FAULTS = {  # by pydantic's name of the fault: a sentence that says what to do
    "extra_forbidden": "this server has no such field; leave it out; /openapi.json lists the fields there are",
    "missing": "it is missing; give it",
    "too_short": "it is empty; want one at least",
}
TYPES = ("str", "int", "float", "bool")  # names of types that pydantic adds to the place of a fault


class RequestObject(BaseModel):
    """A JSON object of a request. An unknown field is refused; one that is null counts as not sent."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def sent(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


@dataclass(frozen=True, init=False, eq=False)  # Annotated keeps one of several equal ones, and False equals 0
class Only:
    """Declares a field that may only have one of `values`, which change nothing. Others are refused with the text `why`."""

    values: tuple[Any, ...]
    why: str

    def __init__(self, *values: Any, why: str) -> None:
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "why", why)

    def check(self, value: Any) -> Any:
        if not any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in self.values):
            raise ValueError(self.why)
        return value

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(self.values) or [None]}


NO_EFFORT = "how long the model thinks cannot be chosen here; leave it out, or set cof.limits"
NO_TOOLS = "this server calls no tools of a client; leave it out, or ask for the form of an answer by response_format"
NOT_KEPT = "no conversations are kept here; want false, and the whole conversation in every request"
NO_TIER = 'there is one tier of service; want "auto" or "default", or leave it out'
NO_LOGPROBS = "this server gives no log-probabilities; leave it out"
NO_VERBOSITY = "the length of an answer cannot be chosen by words; leave it out, or set the limit on tokens"


class WithoutEffect(RequestObject):
    """Fields of both forms that cannot change an answer, or that may only have a value that changes none."""

    user: Any = None
    metadata: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    parallel_tool_calls: Any = None
    store: Annotated[Any, Only(False, why=NOT_KEPT)] = None
    service_tier: Annotated[Any, Only("auto", "default", why=NO_TIER)] = None


class WithTools(WithoutEffect):
    """The fields about tools. A client may offer tools where it also says that none is to be called."""

    tool_choice: Annotated[Any, Only("none", "auto", why=NO_TOOLS)] = None
    tools: Any = None

    @field_validator("tools")
    @classmethod
    def uncalled(cls, tools: Any, info: ValidationInfo) -> Any:
        if tools != [] and info.data.get("tool_choice") != "none":
            raise ValueError(f'{NO_TOOLS}; or send tool_choice "none"')
        return tools


def check_filled(part: BaseModel, wanted: str, names: Iterable[str]) -> None:
    """Raises ValueError where a part of a message lacks the field `wanted`, or has one of the other `names`."""
    if wanted not in part.model_fields_set or any(getattr(part, name) for name in {*names} - {wanted}):
        raise ValueError(f"its type wants a field {wanted}, and no other")


def refusal(error: ValidationError) -> Refused:
    """A refusal that names the field: of several faults the one with the longest place."""
    fault: Any = max(error.errors(include_url=False, include_input=False), key=lambda one: len(one["loc"]))
    place = place_of(fault["loc"], unknown=fault["type"] == "extra_forbidden")
    why = FAULTS.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return bad(f"{place or 'the body'}: {why}", place or None)


def place_of(path: tuple[int | str, ...], unknown: bool = False) -> str:
    """The place of a fault, such as `messages[0].content`. Where the field is `unknown`, the client has named the last part."""
    known, last = (path[:-1], path[-1:]) if unknown else (path, ())
    place = ""
    for part in (*filter(_is_field, known), *last):
        if isinstance(part, int):
            place += f"[{part}]"
        else:
            place += ("." if place else "") + (part if part.isidentifier() else ascii(part))[:SHOWN]
    return place


def _is_field(part: int | str) -> bool:
    """Whether a part of a fault's place is a field or a number, and not the name of a type."""
    return isinstance(part, int) or (part.isidentifier() and part.islower() and part not in TYPES)
