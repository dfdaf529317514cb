"""Three lines to an answer: a picture, a question, a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from cof.errors import MissingExtra
from cof.focus.loop import Setting, run
from cof.models.base import Model
from cof.types import Limits, Question, Trace, ViewSpec
from cof.vision.load import load

Picture = str | Path | bytes | Image.Image


def ask(
    image: Picture,
    question: str,
    choices: Sequence[str] = (),
    model: str | Model = "nano",
    limits: Limits = Limits(),
    spec: ViewSpec | None = None,
) -> Trace:
    """Let a model look at `image` and answer; the answer is `.answer` of the trace, None where it gave none.

    `image` is a path, the bytes of a file, or a Pillow picture. `model` is "nano", a folder, a hub id, or any Model; a
    loaded model is faster when asked again. `spec` defaults to the one that the model was trained with.
    Raises InvalidImage, MissingExtra or ModelError.
    """
    loaded = open_model(model) if isinstance(model, str) else model
    picture = image.convert("RGB") if isinstance(image, Image.Image) else load(image)
    name = str(image) if isinstance(image, str | Path) else ""
    chosen = spec if spec is not None else getattr(loaded, "spec", ViewSpec())
    return run(loaded, Question("ask", name, question, tuple(choices)), picture, Setting(chosen, limits))


def open_model(name: str, adapter: str | None = None, batch: int = 16) -> Model:
    """The in-process model `name`, with room for `batch` conversations; needs the extra `local`.

    Raises MissingExtra or ModelError.
    """
    try:
        from cof.models.local import LocalModel
    except ImportError as error:
        raise MissingExtra(f"an in-process model needs {error.name}; install chain-of-focus[local]") from None
    return LocalModel.load(name, adapter=adapter, batch=batch)


def with_budget(spec: ViewSpec, tokens: int) -> ViewSpec:
    """The spec with an overview of at most `tokens` visual tokens."""
    most = tokens * spec.factor**2
    return replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most))
