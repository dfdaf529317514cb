"""Opening a model by name: one of the package, a folder, a hub id, or one behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from cof.errors import InputError, MissingExtra
from cof.models.base import MeteredModel
from cof.models.named import source_of
from cof.models.remote.endpoint import models_at
from cof.models.remote.model import SECONDS, RemoteModel, in_short
from cof.vision.urls import Wire

NANO = "nano"  # the model where none is named


def open_model(
    name: str | None = None,
    *,
    url: str | Sequence[str] | None = None,
    key: str | None = None,
    wire: Wire | None = None,
    seconds: float = SECONDS,
    adapter: str | None = None,
    batch: int = 16,
) -> MeteredModel:
    """The model called `name`, with room for `batch` conversations at a time.

    Without `url` the model runs in this process, which needs the extra `local`: `name` is "nano" (the default), "nano-sft",
    a folder in Hugging Face layout or a hub id, and `adapter` is a LoRA folder or hub id. With `url`, up to `/v1`, or several
    for replicas, `name` is what the endpoint calls it, and may be left out where it has one model; `key` is the endpoint's key,
    else that in OPENAI_API_KEY; `wire` is the form in which pictures are sent, and `seconds` the time for a turn.
    Raises InputError, MissingExtra or ModelError.
    """
    if url is not None and not url:
        raise InputError("the URL is empty; want an address such as http://127.0.0.1:8000/v1, or none for a model here")
    if url is not None:
        if adapter is not None:
            raise InputError(f"adapter {adapter} cannot be given to a model behind an endpoint; let its server load it")
        return RemoteModel(url, name or only_model(url, key), batch, seconds, key, wire=wire or Wire())
    for given, what in ((key, "a key"), (wire, "a wire")):
        if given is not None:
            raise InputError(f"{what} is for an endpoint, and the model runs here; give a URL too, or leave it out")
    try:
        source_of(name or NANO)  # a wrong name is refused before torch is imported, which takes seconds
        from cof.models.local.model import LocalModel
    except ImportError as error:
        raise MissingExtra("an in-process model", error.name, "local") from None
    return LocalModel.load(name or NANO, adapter=adapter, batch=batch)


def only_model(url: str | Sequence[str], key: str | None) -> str:
    """The model of an endpoint that has one. Raises InputError where it has none or several."""
    first = url if isinstance(url, str) else url[0]
    names = models_at(first, key)
    if len(names) != 1:
        have = f"has {len(names)} models: {in_short(names)}" if names else "lists no model"
        raise InputError(f"{first} {have}; want the name of one as --model (Python: model)")
    return names[0]
