"""Opening a model by name: one of the package, a folder, a hub id, or one behind an OpenAI-compatible endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from cof.errors import InputError, MissingExtra
from cof.models.base import Model
from cof.models.remote import RemoteModel


def open_model(
    name: str = "nano",
    *,
    url: str | Sequence[str] | None = None,
    key: str | None = None,
    adapter: str | None = None,
    batch: int = 16,
) -> Model:
    """The model called `name`, with room for `batch` conversations at a time.

    Without `url` the model runs in this process, which needs the extra `local`: `name` is "nano", "nano-sft", a folder in
    Hugging Face layout or a hub id, and `adapter` is a LoRA folder or hub id. With `url`, up to `/v1`, or several for
    replicas, `name` is what the endpoint calls it; `key` is the endpoint's key, else that in OPENAI_API_KEY.
    Raises InputError, MissingExtra or ModelError.
    """
    if url:
        if adapter is not None:
            raise InputError(f"adapter {adapter} cannot be given to a model behind an endpoint; let its server load it")
        return RemoteModel(url, name, batch, key=key)
    if key is not None:
        raise InputError("a key was given without a url; want both, or neither for a model in this process")
    try:
        from cof.models.local import LocalModel
    except ImportError as error:
        raise MissingExtra("an in-process model", error.name, "local") from None
    return LocalModel.load(name, adapter=adapter, batch=batch)
