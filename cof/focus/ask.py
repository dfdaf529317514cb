"""Three lines to an answer: a picture, a question, a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.errors import InputError, MissingExtra
from cof.focus.loop import Setting, run
from cof.models.base import Model
from cof.types import Limits, Malformed, Question, Sampling, Trace, ViewSpec
from cof.vision.load import load

Picture = str | Path | bytes | Image.Image
SAID = 80  # letters of a turn that are told


def ask(
    image: Picture,
    question: str,
    choices: Sequence[str] = (),
    model: str | Model = "nano",
    limits: Limits = Limits(),
    spec: ViewSpec | None = None,
) -> Trace:
    """Let a model look at `image` and answer; the answer is `.answer` of the trace, None where it gave none.

    `image` is a path, the bytes of a file, or a Pillow picture. `model` is "nano", "nano-sft", a folder, a hub id, or
    any Model; a loaded model is faster when asked again. `spec` defaults to the one that the model was trained with.
    Raises InvalidImage, InputError, MissingExtra or ModelError.
    """
    loaded = open_model(model) if isinstance(model, str) else model
    picture = image.convert("RGB") if isinstance(image, Image.Image) else load(image)
    setting = setting_of(loaded, limits)
    chosen = replace(setting, spec=spec) if spec is not None else setting
    name = str(image) if isinstance(image, str | Path) else ""
    return run(loaded, question_of(name, question, choices), picture, chosen)


def question_of(image: str, text: str, choices: Sequence[str] = ()) -> Question:
    """A question somebody asks of a picture. Raises InputError where it is empty, or its choices are no choice."""
    if not text.strip():
        raise InputError("the question is empty; want what you would like to know of the picture")
    if choices and (len({choice.strip() for choice in choices}) < max(2, len(choices)) or "" in choices):
        raise InputError(f"choices {list(choices)} are no choice; want two or more different ones, or none")
    return Question("ask", image, text, tuple(choices))


def open_model(name: str, adapter: str | None = None, batch: int = 16) -> Model:
    """The in-process model `name`, with room for `batch` conversations; needs the extra `local`.

    Raises MissingExtra or ModelError.
    """
    try:
        from cof.models.named import source_of

        source_of(name)  # a wrong name is refused before torch is imported, which takes seconds
        from cof.models.local import LocalModel
    except ImportError as error:
        raise MissingExtra("an in-process model", error.name, "local") from None
    return LocalModel.load(name, adapter=adapter, batch=batch)


def setting_of(
    model: Model,
    limits: Limits = Limits(),
    sampling: Sampling = Sampling(),
    budget: int | None = None,
    dialect: Dialect = COF,
) -> Setting:
    """How to run the model: by its own card, or else by its dialect's view rules; at `budget` visual tokens of the overview."""
    own: ViewSpec | None = getattr(model, "spec", None)
    spec = dialect.view if own is None else own
    if own is not None and not getattr(model, "carded", True):
        spec = replace(dialect.view, factor=own.factor)
    setting = Setting(with_budget(spec, budget) if budget else spec, limits, sampling, dialect=dialect)
    opening = getattr(model, "zoom_opening", None)
    if opening and opening.startswith(dialect.think.open):
        return replace(setting, zoom_opening=opening)
    return setting


def with_budget(spec: ViewSpec, tokens: int) -> ViewSpec:
    """The spec with an overview of at most `tokens` visual tokens."""
    most = tokens * spec.factor**2
    return replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most))


def unreadable(trace: Trace) -> str:
    """What to do where nothing that the model said could be read, "" elsewhere: it may speak another family's dialect."""
    if not trace.own or not all(isinstance(turn.action, Malformed) for turn in trace.own):
        return ""
    said = " ".join(trace.own[-1].completion.text.split())[:SAID]
    told = f"none of {len(trace.own)} turns was a call or an answer in the dialect {trace.dialect!r}"
    return f"{told}; the last was {said!r}; want the model's own --dialect, or plain"
