"""The start of a stage: the model and files that must be there, and the checkpoint from which it continues. Omits torch."""

from __future__ import annotations

import json
from pathlib import Path

from cof.errors import InvalidConfig, MissingExtra, ModelError
from cof.models.named import source_of
from cof.train.recipes import Recipe

BEFORE = {"perception": "perception", "sft": "perception", "grpo": "sft"}  # a stage, and the one that makes its start


def maker_of(stage: str, recipe: Path | None = None) -> str:
    """The command, without its --out, that makes what `stage` starts from.

    Its recipe is the one of that stage beside `recipe`, where there is one.
    """
    before = BEFORE[stage]
    beside = recipe.with_name(f"{before}.toml") if recipe else None
    return f"cof train {before} --config {beside if beside and beside.is_file() else 'RECIPE'}"


def check_start(config: Recipe, maker: str) -> None:
    """Raises ModelError or InvalidConfig where what a recipe starts from is not there, with the command that makes it."""
    if config.model:
        start_of(config.model, maker)
    for key, path, want in config.files(maker):
        if path and not Path(path).is_file():
            raise InvalidConfig(f"{key} = {path!r} does not exist; want {want}")


def start_of(model: str, maker: str) -> str:
    """The folder or hub id where a stage starts.

    Raises ModelError on a folder that does not exist. Where a run would make it, the error names the command, which begins with
    `maker`.
    """
    try:
        return source_of(model)
    except ModelError as error:
        folder = Path(model)
        if folder.name != "model":
            raise
        raise ModelError(
            f"model {model} does not exist; `{maker} --out {folder.parent}` makes it: run that first"
        ) from error
    except ImportError as error:  # a hub id is looked up by a library of the extra
        raise MissingExtra("training", error.name, "train") from None


def last_checkpoint(out: Path) -> str | None:
    """The newest checkpoint in `out` that was written to its end, or None. One that a crash left incomplete is ignored."""
    found = sorted(out.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    return next((str(path) for path in found if _whole(path)), None)


def steps_done(out: Path) -> int:
    """The step of the last whole checkpoint in `out`; 0 without one."""
    last = last_checkpoint(out)
    return int(last.rpartition("-")[2]) if last else 0


def _whole(checkpoint: Path) -> bool:
    """Whether the trainer's state, which is written last, is there and complete."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())
    except (OSError, ValueError):
        return False
    return True
