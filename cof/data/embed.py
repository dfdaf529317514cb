"""Where a model sees a trajectory, and how hard it finds it: what a selection of training data goes by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from cof.data import sequences
from cof.data.admission import admit
from cof.data.pictures import pictures_in
from cof.dialects.named import dialect_of
from cof.errors import InvalidConfig, ModelError
from cof.models.local.model import LocalModel
from cof.trace import Trace
from cof.vision import views


@torch.inference_mode()
def embed(model: LocalModel, trace: Trace) -> tuple[np.ndarray, float]:
    """The mean of the last hidden states over overview and question, (width,), and the mean loss on what is
    learnt of it.

    Raises ModelError where the trace's views do not suit the model, InvalidConfig where the trace cannot be trained on.
    """
    try:
        dialect = dialect_of(trace.dialect)
    except InvalidConfig as error:
        raise InvalidConfig(f"trace {trace.id}: {error}") from None
    admit([trace], dialect)
    if trace.spec.factor != model.codec.factor:
        want = f"views in multiples of {model.codec.factor} pixels, as {model.info.name} takes them"
        raise ModelError(f"trace {trace.id} has views in multiples of {trace.spec.factor} pixels; want {want}")
    dialogue = sequences.dialogue_of(trace, dialect)
    both = dialogue, replace(dialogue, masked_turns=())
    row, whole = (sequences.row([each], model.codec.tokenizer, model.codec.factor) for each in both)
    pictures = pictures_in(trace)
    shown = [
        views.render(pictures[view.picture], view, trace.overview_of(view.region), trace.spec) for view in row.views
    ]
    network: Any = model.network
    patches = {name: torch.tensor(a, device=network.device) for name, a in model.codec.patches(shown).items()}
    hidden = network.model(
        input_ids=torch.tensor(row.ids[None], device=network.device),
        position_ids=torch.tensor(row.positions[:, None], device=network.device),
        **patches,
    ).last_hidden_state[0]
    said, spoken = (np.flatnonzero(each.labels != sequences.IGNORE) for each in (row, whole))
    logits = network.lm_head(hidden[said - 1]).float()
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(row.labels[said], device=network.device))
    return hidden[: int(spoken[0])].float().mean(0).cpu().numpy(), float(loss)
