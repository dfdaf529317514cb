"""What an endpoint takes, each found out by a request or two: models, text, system role, several pictures, log-probabilities,
context length, and the largest picture. A row of the table each.

Omits boxes (`grounding.py`) and the zoom round trip (`trips.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from cof.models.remote.faults import Fault
from cof.models.remote.model import OWNER
from cof.probe.endpoint import Message, Probe, is_count, picture, prompt_tokens, user
from cof.probe.pictures import COLOURS
from cof.vision.urls import Wire

SHOWN = 160  # characters of a reply that are shown
NAMES = 10  # of an endpoint's models that are shown
FEW = 64  # tokens of a reply that only shows that the request is taken
SIDE = 224  # pixels of the small pictures
LARGEST = ((1024, 1024), (2048, 2048), (4096, 4096))  # pictures that are tried, in pixels
GROWTH = 1.5  # from which the prompt of a picture of four times the pixels counts as longer
LENGTHS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")
TRAINED = "n_ctx_train"  # llama.cpp: the model's length, not that of the server
READY = "Reply with the word: ready"

Listing = Sequence[Mapping[str, Any]] | Fault


@dataclass(frozen=True)
class CheckRow:
    """A line of the table. `good`: whether it is as a zoom needs it; None where it makes no difference."""

    name: str
    text: str
    good: bool | None = None


def models_row(listing: Listing, model: str) -> CheckRow:
    if isinstance(listing, Fault):
        return CheckRow("models", f"no list ({listing.short})")
    names = [row["id"] for row in listing]
    if model in names:
        return CheckRow("models", f"{model} and {len(names) - 1} more" if len(names) > 1 else model, True)
    shown = ", ".join(name[:SHOWN] for name in names[:NAMES])
    return CheckRow("models", f"{model} is not among: {shown or 'none'}", False)


def is_served(listing: Listing, model: str) -> bool:
    """Whether the endpoint lists the model as one that a server of cof has."""
    return not isinstance(listing, Fault) and any(
        row["id"] == model and row.get("owned_by") == OWNER for row in listing
    )


def context_row(listing: Listing, model: str) -> CheckRow:
    """What the list of models says; no request is made as long as a context to find out where it ends."""
    rows = [] if isinstance(listing, Fault) else listing
    own: Mapping[str, Any] = next((row for row in rows if row["id"] == model), {})
    fields = dict(meta) if isinstance(meta := own.get("meta"), dict) else {}
    fields |= own
    for name in LENGTHS:
        if is_count(fields.get(name)):
            return CheckRow("context length", f"{fields[name]:,} tokens")
    if is_count(fields.get(TRAINED)):
        return CheckRow("context length", f"the model's is {fields[TRAINED]:,} tokens; the server may run with fewer")
    return CheckRow("context length", "not given by the endpoint")


def text_row(probe: Probe, wire: Wire) -> tuple[CheckRow, Message]:
    """Whether text is answered, and a message that is, for the requests that are about something else.

    An endpoint that takes no question without a picture is no obstacle: a zoom always has one.
    """
    alone, shown = user(READY), user(picture(Image.new("RGB", (SIDE, SIDE), COLOURS["green"]), wire), READY)
    refused = ""
    for message in (alone, shown):
        began = time.monotonic()
        answer = probe.ask([message])
        if not isinstance(answer, Fault):
            text = f"answers in {time.monotonic() - began:.1f} s"
            return CheckRow("text", f"{text}, with a picture only ({refused})" if refused else text, True), message
        refused = answer.explained
    return CheckRow("text", f"no answer, with a picture or without: {refused}", False), alone


def system_row(probe: Probe, ready: Message) -> CheckRow:
    answer = probe.reply([{"role": "system", "content": "You are brief."}, ready], max_tokens=FEW)
    if isinstance(answer, Fault) and not answer.status:  # the request itself was not refused
        return CheckRow("system role", f"not known ({answer.short})")
    if isinstance(answer, Fault):
        return CheckRow("system role", f"refused ({answer.short}); its words go into the first user turn")
    return CheckRow("system role", "yes")


def several_row(probe: Probe, wire: Wire) -> CheckRow:
    one, other = (Image.new("RGB", (SIDE, SIDE), COLOURS[name]) for name in ("red", "blue"))
    answer = probe.ask([user(picture(one, wire), picture(other, wire), "Name the colour of each picture, in order.")])
    if isinstance(answer, Fault):
        return CheckRow("several pictures", f"no answer: {answer.short}; a zoom needs two", False)
    seen = [name for name in ("red", "blue") if name in answer.lower()]
    how = "both are seen" if len(seen) == 2 else f"taken, but the reply is {quoted(answer)}"
    return CheckRow("several pictures", how, True)


def logprobs_row(probe: Probe, ready: Message) -> CheckRow:
    found = probe.reply([ready], logprobs=True, top_logprobs=2, max_tokens=FEW)
    if isinstance(found, Fault):
        return CheckRow("log-probabilities", f"refused: {found.short}")
    try:
        there = bool(found["choices"][0]["logprobs"]["content"])
    except (KeyError, IndexError, TypeError):
        there = False
    return CheckRow("log-probabilities", "yes" if there else "not given")


def largest_row(probe: Probe, wire: Wire) -> CheckRow:
    """The largest of a few pictures that is taken, and whether larger ones cost more tokens."""
    tokens, largest, refused = list[int](), "", ""
    for size in LARGEST:
        named = f"{size[0] * size[1] / 1e6:.0f} megapixels"
        asked = user(picture(Image.new("RGB", size, COLOURS["green"]), wire), "Which colour is this? One word.")
        found = probe.reply([asked], max_tokens=FEW)
        if isinstance(found, Fault):
            refused = f"; {named} are refused: {found.short}"
            break
        largest = f"{named} are taken"
        tokens.append(prompt_tokens(found))
    counted = f"; prompts of {', '.join(f'{count:,}' for count in tokens)} tokens" if any(tokens) else ""
    flat = len(tokens) > 1 and 0 < tokens[-1] < GROWTH * tokens[-2]
    shrunk = "; the last costs hardly more than the one before, so it is shrunk" if flat else ""
    return CheckRow("largest picture", (largest or "none is taken") + counted + shrunk + refused, bool(largest))


def quoted(text: str) -> str:
    """The beginning of a reply, as it is shown."""
    short = " ".join(text.split())
    return repr(short if len(short) <= SHOWN else f"{short[:SHOWN]}…")
