"""Opening a model by reference: one of the package, a folder, a hub id, or one behind an OpenAI-compatible endpoint.

Every command opens its models here: the one that is asked, the upstream of a server, the roles of a search and a judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cof.errors import InputError, MissingExtra
from cof.models.base import MeteredModel
from cof.models.named import source_of
from cof.models.remote.endpoint import key_in, models_at
from cof.models.remote.model import SECONDS, RemoteModel, in_short
from cof.vision.urls import Wire

if TYPE_CHECKING:
    from cof.models.local.model import LocalModel

NANO = "nano"  # the model where none is named


@dataclass(frozen=True)
class ModelRef:
    """Which model, and how it is opened. Without `urls` it runs in this process, which needs the extra `local`.

    `name`: "nano", "nano-sft", a folder in Hugging Face layout or a hub id; behind an endpoint, its name there. None: "nano",
    or the only model that the endpoint has.
    `urls`: endpoints that have the model, each up to `/v1`; several are replicas.
    `key`: the endpoint's key, "" for none. `key_file`: a file that holds it. None of both: the key in OPENAI_API_KEY.
    `wire`: the form in which pictures are sent to the endpoint; None: PNG, or JPEG 95 for large ones.
    `seconds`: the time that the endpoint has for a turn.
    `adapter`: a LoRA folder or hub id, for a model in this process.
    `device`: where a model in this process runs, such as "cpu"; None: on a GPU where there is one.
    `batch`: how many conversations run at a time.
    """

    name: str | None = None
    urls: tuple[str, ...] = ()
    key: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    wire: Wire | None = None
    seconds: float = SECONDS
    adapter: str | None = None
    device: str | None = None
    batch: int = 16


def open_model(ref: ModelRef) -> MeteredModel:
    """The model that `ref` names. Raises InputError, MissingExtra or ModelError."""
    if not ref.urls:
        return open_local(ref)
    if isinstance(ref.urls, str):
        raise InputError(f"urls is {ref.urls!r}; want a tuple of texts such as http://127.0.0.1:8000/v1")
    for given, what in ((ref.adapter, "adapter"), (ref.device, "device")):
        if given is not None:
            raise InputError(f"{what} {given} cannot be given to a model behind an endpoint; let its server load it")
    if ref.key is not None and ref.key_file is not None:
        raise InputError("a key and a key file are given; want one of them")
    key = ref.key if ref.key_file is None else key_in(ref.key_file)
    name = ref.name or only_model(ref.urls[0], key)
    return RemoteModel(ref.urls, name, ref.batch, ref.seconds, key, wire=ref.wire or Wire())


def open_local(ref: ModelRef) -> LocalModel:
    """The model that `ref` names, in this process. Raises InputError, MissingExtra or ModelError."""
    if ref.key_file is not None:
        raise InputError(f"the key in {ref.key_file} is for no endpoint, as the model runs here; leave it out")
    for given, what in ((ref.key, "a key"), (ref.wire, "a wire"), (ref.urls or None, "a URL")):
        if given is not None:
            raise InputError(f"{what} is for an endpoint, and the model runs here; give a URL too, or leave it out")
    try:
        source_of(ref.name or NANO)  # a wrong name is refused before torch is imported, which takes seconds
        from cof.models.local.model import LocalModel
    except ImportError as error:
        raise MissingExtra("an in-process model", error.name, "local") from None
    return LocalModel.load(ref.name or NANO, ref.device, ref.adapter, ref.batch)


def only_model(url: str, key: str | None) -> str:
    """The model of an endpoint that has one. Raises InputError where it has none or several."""
    names = models_at(url, key)
    if len(names) != 1:
        have = f"has {len(names)} models: {in_short(names)}" if names else "lists no model"
        raise InputError(f"{url} {have}; want the name of one as --model (Python: model)")
    return names[0]
