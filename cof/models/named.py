"""Where a model's files are by its name: in the package, a local folder, the Hugging Face hub, or the hub's cache.

The hub is asked briefly whether it is there, as its own client tries for half a minute. Needs the extra `local`, but no
torch, so that a wrong name costs no import. Omits downloads, which transformers does.
"""

from __future__ import annotations

import re
import threading
from importlib import resources
from pathlib import Path

import httpx
from huggingface_hub import constants, snapshot_download

from cof.errors import ModelError

EMBEDDED = ("nano", "nano-sft")  # cof-nano, and the supervised checkpoint that its reinforcement began from
WANT = f"want {', '.join(map(repr, EMBEDDED))}, a folder in Hugging Face layout or a hub id"
SECONDS = 4.0  # for the hub to answer, the look-up of its address included
ID = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}(?<![.-])", re.ASCII)  # of the hub
RUNS = "runs"  # where our commands write by default: never an owner on the hub


def source_of(name: str) -> str:
    """The folder or hub id of a model by its name. Raises ModelError on a folder that is not there, and without a hub."""
    try:
        return str(embedded_folder(name)) if name in EMBEDDED else place_of(name)
    except FileNotFoundError as error:
        raise ModelError(f"cannot load model {name}: {error}; {WANT}") from None


def embedded_folder(name: str = "nano") -> Path:
    """Where a model of the package lies."""
    return Path(str(resources.files("cof.models"))) / name


def place_of(name: str) -> str:
    """The folder of a model or an adapter called `name`, or its hub id where the hub answers.

    Raises FileNotFoundError for a folder that is not there, and for a hub id where neither the hub nor its cache can help.
    """
    if name and Path(name).exists():
        return name
    if not _is_id(name):
        raise FileNotFoundError("there is no such folder")
    off = constants.HF_HUB_OFFLINE
    if not off and _answers(constants.ENDPOINT):
        return name
    try:
        return str(snapshot_download(name, local_files_only=True))
    except OSError:  # the cache does not hold it
        why = "is switched off (HF_HUB_OFFLINE)" if off else "cannot be reached"
        raise FileNotFoundError(f"there is no such folder, and the hub at {constants.ENDPOINT} {why}") from None


def _is_id(name: str) -> bool:
    """Whether a name may be owner/model on the hub, and is not a path whose last part is missing."""
    owner = name.partition("/")[0]
    return ID.fullmatch(name) is not None and owner != RUNS and not Path(owner).exists()


def _answers(url: str) -> bool:
    """Whether anything answers there, through the proxies of the environment. No time limit of a client holds while an address
    is looked up, so that a thread asks."""
    found: list[bool] = []

    def ask() -> None:
        try:
            httpx.head(url, timeout=SECONDS)
            found.append(True)
        except (httpx.HTTPError, httpx.InvalidURL):
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    return bool(found)
