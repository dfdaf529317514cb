"""Questions in Python: `ask`, its awaitable form `aask`, and `ask_many` for many questions to one model.

Owns what a caller may pass: any kind of picture that `load` takes, a model by name, address or value, and limits as a
value or by name. Models that are named are kept loaded for the life of the process. Omits streaming of turns.
"""

from __future__ import annotations

import asyncio
import functools
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from cof.config import replace_fields
from cof.data.outside import outside
from cof.dialects.dialect import Dialect
from cof.dialects.named import dialect_of
from cof.errors import InputError
from cof.loop.policies.base import Policy
from cof.loop.policies.known import OWN, policy_for_asking
from cof.loop.question import question_of
from cof.loop.run import not_asked
from cof.loop.session import Session
from cof.loop.setting import Setting, setting_of
from cof.models.base import Model
from cof.models.opening import NANO, ModelRef, open_model
from cof.models.remote.model import SECONDS
from cof.trace import Trace
from cof.types import Limits, Question
from cof.vision.addresses import shown, url_of
from cof.vision.fetch import fetched
from cof.vision.load import MEGAPIXELS, LoadLimits, limits_of, load
from cof.vision.views import Picture

LEAST_BUDGET = 4  # visual tokens
LOADED_MODELS = 4  # models that are kept loaded


def ask(
    image: Any,
    question: str,
    *,
    choices: Sequence[str] = (),
    model: str | Model | None = None,
    url: str | Sequence[str] | None = None,
    key: str | None = None,
    dialect: str | Dialect | None = None,
    budget: int | None = None,
    policy: str | Policy = OWN,
    limits: Limits | Mapping[str, float] = Limits(),
    adapter: str | None = None,
    fetch: bool = False,
    max_megapixels: float = MEGAPIXELS,
) -> Trace:
    """Let a model look at a picture and answer; the answer is `.answer` of the trace, None where it gave none.

    `image` is a path, an `http(s)` URL (only with `fetch`), the bytes of a file, an open file, a numpy array or a Pillow
    picture; all give the same pixels (`cof.load`). `choices` are the possible answers.

    `model` is "nano" (the default), "nano-sft", a folder, a hub id, or a Model; with `url` it is the name at an
    OpenAI-compatible endpoint, which may be left out where that has one model. `key` is the endpoint's key, else that in
    OPENAI_API_KEY. `adapter` is a LoRA folder or hub id for a model in this process. `dialect` is a family's name, a TOML
    file or a Dialect; without it the model's name decides. nano knows the drawn needle world alone: `.outside` is True where
    the picture is none of it.

    `budget` is the most visual tokens of the overview and of each crop. `policy` decides what is looked at: "own" (the model
    chooses to zoom), "direct" (it may not), "always" (it must), an installed one, `module:NAME`, or a Policy. `limits` is a
    Limits, or its fields by name, such as {"zooms": 2}. `max_megapixels` is the largest picture that is read.

    Raises InvalidImage, InputError, MissingExtra or ModelError; a model that fails while it answers gives a trace with the
    stop "failed" and its `error`.
    """
    chosen = _limits(limits)
    loaded = _opened(model, url, key, adapter, chosen.seconds)
    setting = _setting(loaded, dialect, budget, policy, chosen)
    session = _session(loaded, (image, question, choices), setting, fetch, limits_of(max_megapixels))
    loaded.converse([session])
    return session.trace


async def aask(image: Any, question: str, **options: Any) -> Trace:
    """`ask` with the same arguments, for `await`: it runs in a thread, so that several questions can be under way."""
    return await asyncio.to_thread(functools.partial(ask, image, question, **options))


def ask_many(
    asked: Iterable[tuple[Any, str] | tuple[Any, str, Sequence[str]]],
    *,
    model: str | Model | None = None,
    url: str | Sequence[str] | None = None,
    key: str | None = None,
    dialect: str | Dialect | None = None,
    budget: int | None = None,
    policy: str | Policy = OWN,
    limits: Limits | Mapping[str, float] = Limits(),
    adapter: str | None = None,
    fetch: bool = False,
    max_megapixels: float = MEGAPIXELS,
) -> list[Trace]:
    """Ask many questions, each (image, question) or (image, question, choices); the traces come back in order.

    The options are those of `ask`. Pictures are read as the model has room. One that cannot be read, or a question that
    is none, spoils no other: its trace has the stop "failed" and the `error`.
    """
    chosen = _limits(limits)
    loaded = _opened(model, url, key, adapter, chosen.seconds)
    setting = _setting(loaded, dialect, budget, policy, chosen)
    traces, largest = dict[int, Trace](), limits_of(max_megapixels)
    if not isinstance(asked, Iterable):
        raise InputError(f"the questions are {type(asked).__name__}; want a list of (image, question)")

    def sessions() -> Iterator[Session]:
        for place, one in enumerate(asked):
            try:
                session = _session(loaded, one, setting, fetch, largest, functools.partial(traces.__setitem__, place))
            except InputError as error:
                text = one[1] if isinstance(one, tuple | list) and len(one) > 1 else ""
                traces[place] = not_asked(loaded.info.name, Question("ask", ("",), str(text)), setting, str(error))
            else:
                yield session

    loaded.converse(sessions())
    return [traces[place] for place in sorted(traces)]


def _session(
    model: Model,
    asked: tuple[Any, str] | tuple[Any, str, Sequence[str]],
    setting: Setting,
    fetch: bool,
    largest: LoadLimits,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> Session:
    """The question as a conversation with the model."""
    if not isinstance(asked, tuple | list) or len(asked) not in (2, 3):
        raise InputError(f"{reprlib.repr(asked)} is no question; want (image, question) or (image, question, choices)")
    image, text, choices = (*asked, ())[:3]
    names, pictures = opened_pictures(image, fetch, largest)
    return session_of(model, question_of(names, text, choices), pictures, setting, on_end)


def session_of(
    model: Model,
    question: Question,
    pictures: Sequence[Picture],
    setting: Setting,
    on_end: Callable[[Trace], None] = lambda _: None,
) -> Session:
    """The question as a conversation with the model; whether the picture is outside what the model knows is in its trace."""
    session = Session(model.info.name, question, pictures, setting, on_end)
    session.mark_outside(outside(model.info, session.trace, pictures[0]))
    return session


def opened_pictures(images: Any, fetch: bool, largest: LoadLimits) -> tuple[tuple[str, ...], tuple[Picture, ...]]:
    """As `opened_picture`, of one picture or of a list of several."""
    given = images if isinstance(images, list | tuple) else [images]
    if not given:
        raise InputError("the list of pictures is empty; want at least one")
    opened = [opened_picture(image, fetch, largest) for image in given]
    return tuple(name for name, _ in opened), tuple(Picture(picture) for _, picture in opened)


def opened_picture(image: Any, fetch: bool, largest: LoadLimits) -> tuple[str, Image.Image]:
    """Where a picture is, for the trace, and its pixels (RGB, upright). The former is an absolute path, an address, or "".

    Raises InputError, InvalidImage or MissingExtra.
    """
    if address := url_of(image):
        return shown(address), load(fetched(address, largest) if fetch else image, largest)
    named = isinstance(image, str | PathLike) and not str(image).startswith("data:")
    picture = load(image, largest)
    return str(Path(image).absolute()) if named else "", picture


def _setting(
    model: Model,
    dialect: str | Dialect | None,
    budget: int | None,
    policy: str | Policy,
    limits: Limits,
) -> Setting:
    decides = _policy(policy)
    if budget is not None and (type(budget) is not int or budget < LEAST_BUDGET):
        raise InputError(
            f"budget {budget!r} is no count of visual tokens; want a whole number from {LEAST_BUDGET}, or None"
        )
    if dialect is not None and not isinstance(dialect, str | Dialect):
        raise InputError(f"dialect is {type(dialect).__name__}; want a family's name, a TOML file's path, or a Dialect")
    spoken = dialect_of(dialect) if isinstance(dialect, str) else dialect
    chosen = setting_of(model, limits, None, budget, spoken)
    return replace(chosen, policy=decides)


def _policy(policy: str | Policy) -> Policy:
    if isinstance(policy, str):
        return policy_for_asking(policy)
    if not isinstance(policy, Policy):
        raise InputError(f"policy is {policy!r}; want a name such as {OWN!r}, module:NAME, or a cof.Policy")
    return policy


def _limits(limits: Limits | Mapping[str, float]) -> Limits:
    if not isinstance(limits, Limits | Mapping):
        raise InputError(
            f"limits are {type(limits).__name__}; want a Limits, or its fields by name, as in {{'zooms': 2}}"
        )
    if isinstance(limits, Limits):
        return limits
    return replace_fields(Limits(), [f"{name}={value}" for name, value in limits.items()])


def _opened(
    model: str | Model | None, url: str | Sequence[str] | None, key: str | None, adapter: str | None, seconds: float
) -> Model:
    """The model, loaded once however often it is named. A turn over the wire may take `seconds`, but no less than usual."""
    if model is not None and not isinstance(model, str):
        if url or key or adapter:
            raise InputError("url, key and adapter go with a model that is named; leave them out for a Model")
        if not isinstance(model, Model):
            raise InputError(f"model is {type(model).__name__}; want a name, or a Model, which has info and converse")
        return model
    urls = (url,) if isinstance(url, str) else url
    if urls is not None and not (
        isinstance(urls, list | tuple) and urls and all(isinstance(each, str) for each in urls)
    ):
        raise InputError(f"url is {reprlib.repr(url)}; want a text such as http://127.0.0.1:8000/v1, or a list of such")
    ref = ModelRef(model or NANO, key=key, adapter=adapter)
    if urls is not None:
        ref = ModelRef(model, tuple(urls), key, seconds=max(SECONDS, seconds), adapter=adapter)
    with _LOADING:
        return _loaded(ref, _version(ref.name, adapter))


_LOADING = Lock()  # with the cache below the one state of this module: what is loaded is kept


@functools.lru_cache(LOADED_MODELS)
def _loaded(ref: ModelRef, _version: float) -> Model:
    return open_model(ref)


def _version(*names: str | None) -> float:
    """When the files of folders last changed, so that a folder that was written anew is loaded anew."""
    folders = [Path(name) for name in names if name and Path(name).is_dir()]
    return max((file.stat().st_mtime for folder in folders for file in folder.iterdir()), default=0.0)
