"""How a run is set up: view rules, limits, sampling, policy and dialect as one value, and that value for a given model.

`setting_of` is the one place that decides it from a model, so that `run`, `ask`, the server and evaluations show a model
the same pixels. Omits what a limit leaves of a picture (`limits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cof.dialects.cof import COF
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_for, dialect_of
from cof.geometry import ViewSpec
from cof.loop.policies.base import Policy
from cof.loop.policies.own import POLICY as OWN
from cof.models.base import SERVED, Model, ModelInfo
from cof.types import Limits, Sampling

TURN_TOKENS = 4096  # most tokens of a turn: room for a model that thinks at length


@dataclass(frozen=True)
class Setting:
    """What a run is given besides its question.

    `policy` decides what is looked at: by default the model does. `zoom_opening` is how a turn begins after an answer that the
    policy refused: where empty, with the bare call; a model that was trained to think first may need its own words.
    `transcript` asks for every turn's tokens.
    """

    spec: ViewSpec = ViewSpec()
    limits: Limits = Limits()
    sampling: Sampling = Sampling()
    policy: Policy = OWN
    dialect: Dialect = COF
    zoom_opening: str = ""
    transcript: bool = False


def setting_of(
    model: Model,
    limits: Limits = Limits(),
    sampling: Sampling | None = None,
    budget: int | None = None,
    dialect: Dialect | None = None,
    crop_budget: int | None = None,
) -> Setting:
    """How to run the model, by its `info`: by its own card, or else by its dialect's view rules.

    `budget` is the most visual tokens of the overview, and of each crop; `crop_budget` is the most of each crop alone.
    Without a `dialect` the model's own is taken (`dialect_of_info`), without a `sampling` a greedy one with as many tokens a
    turn as the model's card has, or TURN_TOKENS.
    """
    info = model.info
    sampling = sampling or Sampling(tokens=turn_tokens_of(info))
    dialect = dialect or dialect_of_info(info)
    if dialect.name == SERVED:
        limits = _of_served(limits, dialect.view)
    spec = _spec(info, dialect)
    if crop := crop_budget or budget:
        limits = replace(limits, crop_pixels=min(crop * spec.factor**2, limits.crop_pixels or crop * spec.factor**2))
    setting = Setting(with_budget(spec, budget) if budget else spec, limits, sampling, dialect=dialect)
    if info.zoom_opening and info.zoom_opening.startswith(dialect.think.open):
        return replace(setting, zoom_opening=info.zoom_opening)
    return setting


def _spec(info: ModelInfo, dialect: Dialect) -> ViewSpec:
    """The view rules of the model's card; without one the dialect's, with the model's factor where that is known."""
    if info.spec is None:
        return dialect.view
    return info.spec if info.carded else replace(dialect.view, factor=info.spec.factor)


def _of_served(limits: Limits, view: ViewSpec) -> Limits:
    """Limits without crops, so that the overview leaves no room for them: the server zooms into what it gets, by its own
    limits."""
    pixels = max(limits.pixels, view.max_pixels) if limits.pixels == Limits().pixels else limits.pixels
    return replace(limits, zooms=0, pixels=pixels)


def turn_tokens_of(info: ModelInfo) -> int:
    """The most tokens of a turn by default: those of the model's card, or room for a model that thinks at length."""
    return info.turn_tokens or TURN_TOKENS


def dialect_of_info(info: ModelInfo) -> Dialect:
    """The dialect of a model where none is given: the one that it was trained in, else the one that its server or its name
    names, else COF."""
    name = info.dialect or info.find_dialect() or dialect_for(info.name)
    return COF if name is None else dialect_of(name)


def with_budget(spec: ViewSpec, tokens: int) -> ViewSpec:
    """The view rules with an overview of at most `tokens` visual tokens."""
    most = tokens * spec.factor**2
    return replace(spec, max_pixels=most, min_pixels=min(spec.min_pixels, most))
