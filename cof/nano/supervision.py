"""What supervision of the embedded model learns from: needle scenes, from lessons or from a file of traces, dense or not."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from cof.models.local.model import Card
from cof.nano.dense import DenseTrainer
from cof.nano.lessons import Demonstrations
from cof.nano.recipes import NanoSupervisedConfig
from cof.nano.scene_traces import SceneTraces
from cof.nano.scenes import SceneBatches, Teacher
from cof.needle.demonstrations import NEEDLE_TOKENS, ZOOM_OPENING
from cof.needle.world import NEEDLE
from cof.train.sft import Supervised


def supervise(config: NanoSupervisedConfig, tokenizer: Any, processor: Any) -> Supervised:
    """What a recipe of supervision on needle scenes learns from; a file of traces is read at once."""
    batches = SceneBatches(tokenizer, processor, _teacher(config), config.seed, config.dense is not None)
    if config.dense is None:
        return Supervised(batches, Card(config.spec))
    card = Card(config.spec, ZOOM_OPENING, NEEDLE, NEEDLE_TOKENS)
    return Supervised(batches, card, partial(DenseTrainer, config.dense, Path(config.heads)))


def _teacher(config: NanoSupervisedConfig) -> Teacher:
    if not config.traces:
        return Demonstrations(config.spec, config.lessons, config.seed, config.scenes, config.questions)
    traces = SceneTraces(Path(config.traces), config.spec, config.seed, config.scenes, config.questions)
    traces.groups  # noqa: B018
    return traces
