"""Whether a picture is none of the world that a model was made for: an answer about it means nothing.

Owns which models know one world alone. How a world tells its pictures from others is its own (`World.is_outside`).
"""

from __future__ import annotations

from PIL import Image

from cof.data.worlds import is_registered, world_of
from cof.models.base import ModelInfo
from cof.trace import Trace
from cof.vision.views import Picture

WORLDS = {"nano": "needle", "nano-sft": "needle"}  # the world of models and dialects that know it alone, by their names
OUTSIDE = (
    "This picture is outside what cof-nano was trained on (drawn needle scenes). "
    "Its answer says nothing about this picture."
)


def outside(info: ModelInfo, trace: Trace, picture: Picture | Image.Image) -> bool | None:
    """Whether the trace's picture is none of the world that the model knows; None for a model that is tied to no world.

    `picture` is the one asked about (RGB, upright). Raises InvalidImage where it has not the size that the trace was made for.
    """
    world = _world(info, trace.dialect)
    if world is None:
        return None
    shown = picture if isinstance(picture, Picture) else Picture(picture)
    return world_of(world).is_outside(shown.show(trace.overview, trace.overview, trace.spec))


def knows_one_world(info: ModelInfo, dialect: str) -> bool:
    """Whether the model is a cof-nano: by its card's `world`, or, behind a server, by its name or its dialect."""
    return _world(info, dialect) is not None


def _world(info: ModelInfo, dialect: str) -> str | None:
    own = info.world if info.world is not None and is_registered(info.world) else None
    return own or WORLDS.get(info.name) or WORLDS.get(dialect)
