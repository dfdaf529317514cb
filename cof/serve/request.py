"""The body of a request to `/v1/chat/completions`, as far as its fields go. Other forms are read into this one.

Extensions are under `cof`. Omits what the messages come to (`conversation.py`) and what a schema asks for (`structured.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cof.errors import InvalidConfig
from cof.loop.policies.known import OWN, for_asking, policy_for_asking
from cof.serve.fields import (
    NO_EFFORT,
    NO_LOGPROBS,
    NO_TOOLS,
    NO_VERBOSITY,
    Only,
    RequestObject,
    WithTools,
    check_filled,
)

MOST_STOPS = 4  # as OpenAI has it
NO_PENALTY = "probabilities cannot be changed here; leave it out"
ONE = "a request gets one answer; want 1, or a request for each"


class ImageUrl(RequestObject):
    """`detail`: "low" is an overview of at most 512 x 512 pixels, as OpenAI has it. The loop decides about the others."""

    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ContentPart(RequestObject):
    """A part of a message: a text or a picture. `cache_control` changes no answer."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: ImageUrl | str | None = None
    cache_control: Any = None

    @model_validator(mode="after")
    def filled(self) -> ContentPart:
        check_filled(self, self.type, ("text", "image_url"))
        return self


class ChatMessage(RequestObject):
    """A message. The thoughts of an earlier answer are taken and not read."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart] | None = None
    refusal: str = ""
    name: str = ""
    tool_calls: Annotated[Any, Only([], why=NO_TOOLS)] = None
    function_call: Annotated[Any, Only(why=NO_TOOLS)] = None
    audio: Annotated[Any, Only(why="this server takes no sound; want a text")] = None
    reasoning_content: Any = None
    reasoning: Any = None
    annotations: Annotated[Any, Only([], why="this server takes no annotations of an answer; leave it out")] = None


class RequestLimits(RequestObject):
    """Limits of one request, within the server's."""

    turns: int | None = Field(default=None, ge=1)
    zooms: int | None = Field(default=None, ge=0)
    calls: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=1)
    pixels: int | None = Field(default=None, ge=0)
    crop_pixels: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class Extension(RequestObject):
    """What OpenAI's form has no place for. `budget` is the most visual tokens of the overview and of each crop.

    With `letter` the answer is the letter of its choice, from A on. `policy` is that of `cof ask --policy`, but no Python path.
    """

    limits: RequestLimits = RequestLimits()
    choices: list[str] = Field(default_factory=list, max_length=26)
    budget: int | None = Field(default=None, ge=4)
    policy: str = Field(default=OWN, json_schema_extra=lambda schema: schema.update(enum=list(for_asking())))
    letter: bool = False

    @field_validator("policy")
    @classmethod
    def known_policy(cls, name: str) -> str:
        if name not in for_asking():
            raise ValueError(f"want one of {', '.join(for_asking())}")
        try:
            policy_for_asking(name)
        except InvalidConfig as error:  # of another package
            raise ValueError(str(error)) from None
        return name

    @model_validator(mode="after")
    def lettered(self) -> Extension:
        if self.letter and not self.choices:
            raise ValueError("letter is asked for without choices; want choices, whose letter the answer is")
        return self


class StreamOptions(RequestObject):
    """With `include_usage` a last piece has the usage. Obfuscation pads pieces, which changes no answer."""

    include_usage: bool = False
    include_obfuscation: Any = None


class JsonSchema(RequestObject):
    """`name` and `strict` change nothing: an answer always fits its schema."""

    name: Any = None
    description: str = ""
    strict: Any = None
    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(RequestObject):
    """The form of an answer: text, a JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def with_schema(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema goes with the type json_schema; want both, or neither")
        return self


class ChatRequest(WithTools):
    """The body of a request. `max_tokens` is the length of the answer, not of the thoughts."""

    messages: list[ChatMessage] = Field(min_length=1)
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float = Field(default=0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    stop: str | list[str] = Field(default_factory=list[str])
    response_format: ResponseFormat | None = None
    cof: Extension = Extension()
    functions: Annotated[Any, Only([], why=NO_TOOLS)] = None
    function_call: Annotated[Any, Only("none", "auto", why=NO_TOOLS)] = None
    n: Annotated[Any, Only(1, why=ONE)] = 1
    logprobs: Annotated[Any, Only(False, why=NO_LOGPROBS)] = None
    top_logprobs: Annotated[Any, Only(0, why=NO_LOGPROBS)] = None
    logit_bias: Annotated[Any, Only({}, why=NO_PENALTY)] = None
    frequency_penalty: Annotated[Any, Only(0, why=NO_PENALTY)] = None
    presence_penalty: Annotated[Any, Only(0, why=NO_PENALTY)] = None
    repetition_penalty: Annotated[Any, Only(1, why=NO_PENALTY)] = None
    top_k: Annotated[Any, Only(0, -1, why=NO_PENALTY)] = None
    min_p: Annotated[Any, Only(0, why=NO_PENALTY)] = None
    modalities: Annotated[Any, Only(["text"], why='answers are text; want ["text"], or leave it out')] = None
    reasoning_effort: Annotated[Any, Only("medium", why=NO_EFFORT)] = None
    verbosity: Annotated[Any, Only("medium", why=NO_VERBOSITY)] = None
    prediction: Any = None

    @field_validator("stop")
    @classmethod
    def few(cls, stop: str | list[str]) -> str | list[str]:
        stops = [stop] if isinstance(stop, str) else stop
        if len(stops) > MOST_STOPS or "" in stops:
            raise ValueError(f"want 1 to {MOST_STOPS} sequences, none of them empty")
        return stop

    @field_validator("stream_options")
    @classmethod
    def streamed(cls, options: StreamOptions, info: ValidationInfo) -> StreamOptions:
        if options.include_usage and not info.data.get("stream"):
            raise ValueError("include_usage is for a stream; want stream true, or leave it out")
        return options

    @property
    def stops(self) -> tuple[str, ...]:
        """The sequences before which the answer ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def most_tokens(self) -> int | None:
        """The most tokens of the answer."""
        given = [most for most in (self.max_tokens, self.max_completion_tokens) if most is not None]
        return min(given, default=None)
