"""Chain-of-Focus: vision-language models that see an overview, zoom where they must, then answer.

from cof import ask

print(ask("photo.jpg", "What letter is on the red circle?").answer)
"""

from cof.errors import CofError, InputError, ModelError
from cof.focus.ask import ask
from cof.focus.loop import Setting, run, run_many
from cof.models.scripted import ScriptedModel
from cof.types import Answer, Box, Limits, Malformed, Question, Trace, Turn, View, ViewSpec, Zoom

__all__ = [
    "Answer",
    "Box",
    "CofError",
    "InputError",
    "Limits",
    "Malformed",
    "ModelError",
    "Question",
    "ScriptedModel",
    "Setting",
    "Trace",
    "Turn",
    "View",
    "ViewSpec",
    "Zoom",
    "ask",
    "run",
    "run_many",
]
__version__ = "0.1.0"
