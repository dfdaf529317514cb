"""Chain-of-Focus: vision-language models that see an overview, zoom where they must, then answer.

A model behind an OpenAI-compatible endpoint, about your own photograph:

    from cof import ask

    trace = ask("photo.jpg", "What does the sign say?", url="http://127.0.0.1:8000/v1", model="Qwen3-VL-8B-Instruct")
    print(trace.answer)

Without `url` and `model` the packaged cof-nano answers, which knows the drawn pictures of the needle world alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cof.api import aask, ask, ask_many
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import (
    CofError,
    InputError,
    InvalidBox,
    InvalidConfig,
    InvalidImage,
    InvalidRun,
    MissingExtra,
    ModelError,
)
from cof.geometry import Box, Shown, ViewSpec
from cof.loop.policies.base import Next, Policy
from cof.loop.run import run, run_many
from cof.loop.setting import Setting, setting_of
from cof.models.base import Model, ModelInfo
from cof.models.opening import ModelRef, open_model
from cof.models.remote.model import RemoteModel
from cof.models.scripted import ScriptedModel
from cof.trace import Observation, Trace, Turn
from cof.types import Answer, Call, Limits, Malformed, Question, Sampling, Stop
from cof.vision.load import load

if TYPE_CHECKING:
    from cof.models.local.model import LocalModel

__all__ = [
    "Answer",
    "Box",
    "Call",
    "CofError",
    "Dialect",
    "InputError",
    "InvalidBox",
    "InvalidConfig",
    "InvalidImage",
    "InvalidRun",
    "Limits",
    "LocalModel",
    "Malformed",
    "MissingExtra",
    "Model",
    "ModelError",
    "ModelInfo",
    "ModelRef",
    "Next",
    "Observation",
    "Policy",
    "Question",
    "RemoteModel",
    "Sampling",
    "ScriptedModel",
    "Setting",
    "Shown",
    "Stop",
    "Trace",
    "Turn",
    "ViewSpec",
    "aask",
    "ask",
    "ask_many",
    "dialect_of",
    "load",
    "open_model",
    "run",
    "run_many",
    "setting_of",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """LocalModel is imported when it is asked for, as it needs torch. Raises AttributeError, or ImportError without torch."""
    if name == "LocalModel":
        from cof.models.local.model import LocalModel

        return LocalModel
    raise AttributeError(f"module 'cof' has no attribute {name!r}")
