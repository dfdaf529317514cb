"""`cof batch`: many questions from a file, answered by several processes where wanted, with caps on what the job may cost."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

import cof
from cof import files
from cof.batch.job import Job, fingerprint
from cof.batch.pool import Here, Pool, Processes
from cof.batch.record import ANSWERS, JobRecord
from cof.batch.run import Stopping, rows_of, run_job, upload
from cof.batch.spending import Caps, price_of
from cof.cli.console import say
from cof.cli.options import (
    Adapter,
    Budget,
    Concurrency,
    CropBudget,
    DialectName,
    FetchFlag,
    KeyFile,
    LimitItems,
    ModelName,
    PolicyName,
    TurnTokens,
    Urls,
    WireName,
    dialect_given,
    opened,
    print_dialect,
    wire_of,
)
from cof.cli.progress import counting
from cof.config import replace_fields
from cof.errors import InputError, InvalidConfig, ModelError
from cof.loop.policies.known import OWN, policy_for_asking
from cof.loop.question import question_of
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.models.opening import ModelRef
from cof.models.remote.model import SECONDS
from cof.runs import RunDir
from cof.types import Limits

Source = Annotated[
    str, typer.Argument(metavar="IN.jsonl", help="One question a line; a path, or an address such as s3://.")
]
Out = Annotated[str, typer.Option(help="Run folder; the same command continues a job that was stopped. Or an address.")]
Question = Annotated[str, typer.Option("--question", "-q", help="What is asked of a row without a question.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that hold a model each.")]
CapItems = Annotated[
    list[str], typer.Option("--cap", help="Most of the whole job: tokens=N, zooms=N, seconds=N or money=N; repeatable.")
]
Prices = Annotated[
    Path | None, typer.Option(help="TOML file with the model's price, for --cap money=N and the summary.")
]
Cache = Annotated[Path | None, typer.Option(help="Folder of answers that jobs share; else nothing is shared.")]


def batch(
    source: Source,
    out: Out,
    question: Question = "",
    model: ModelName = None,
    adapter: Adapter = None,
    url: Urls = [],  # noqa: B006
    key_file: KeyFile = None,
    wire: WireName = None,
    dialect: DialectName = None,
    policy: PolicyName = OWN,
    limit: LimitItems = [],  # noqa: B006
    budget: Budget = None,
    crop_budget: CropBudget = None,
    turn_tokens: TurnTokens = None,
    fetch: FetchFlag = False,
    workers: Workers = 1,
    concurrency: Concurrency = 16,
    cap: CapItems = [],  # noqa: B006
    prices: Prices = None,
    cache: Cache = None,
) -> None:
    """Answer many questions about pictures: answers and traces in the run folder, in the order of the input."""
    limits, caps = replace_fields(Limits(), limit), replace_fields(Caps(), cap)
    seconds = max(SECONDS, limits.seconds)  # as `opened` has it: workers open the model by themselves
    ref = ModelRef(model, tuple(url), None, key_file, wire_of(wire), seconds, adapter, batch=concurrency)
    job = Job(ref, source, question, fetch, dialect, policy, limits, turn_tokens, budget, crop_budget, cache)
    _run(job, out, workers, caps, prices)


def _run(job: Job, out: str, workers: int, caps: Caps, prices: Path | None) -> None:
    if caps.money is not None and prices is None:
        raise InvalidConfig("--cap money=N needs the model's price; want --prices FILE")
    files.check(out)
    policy_for_asking(job.policy)
    if job.question:
        question_of([""], job.question, ())  # refused here, and not in every row
    dialect_given(job.dialect)
    total = sum(1 for _ in rows_of(job.source))  # first: what cannot be read is refused before a model is opened
    if not total:
        raise InputError(f"{job.source} has no rows; want a question per line")
    loaded = opened(job.ref)
    setting = job.setting(loaded)
    if job.ref.urls and job.dialect is None:
        print_dialect(loaded, setting.dialect)
    stopping = Stopping(caps, price_of(loaded.info.name, prices) if prices else None)
    manifest, pool = _manifest(job, loaded, setting), Here(job, loaded) if workers == 1 else Processes(job, workers)
    del loaded, setting  # processes have models of their own
    with _folder(out) as folder:
        found = _answer(job.source, folder, manifest, pool, stopping, total)
    _print_summary(found, total, out)


def _answer(
    source: str, folder: Path, manifest: dict[str, Any], pool: Pool, stopping: Stopping, total: int
) -> dict[str, Any]:
    with RunDir(folder, manifest) as run:
        record = JobRecord(run)
        with counting("answering", total, len(record.done)) as advance:
            return run_job(source, record, pool, stopping, lambda _: advance())


@contextmanager
def _folder(out: str) -> Iterator[Path]:
    """The run folder. That of an address is in the user's cache, and is copied there at the end, also of an interruption."""
    if not files.is_address(out):
        yield Path(out)
        return
    folder = Path.home() / ".cache" / "cof" / "batch" / hashlib.sha256(out.encode()).hexdigest()[:16]
    say(f"working in {folder}; answers are copied to {out} at the end")
    try:
        yield folder
    finally:
        if (folder / ANSWERS).exists():
            upload(folder, out)


def _manifest(job: Job, model: Model, setting: Setting) -> dict[str, Any]:
    """What a run folder must agree on to go on. Rows may be added at the end of the input."""
    asked = {"source": job.source, "question": job.question, "fetch": job.fetch}
    return {"kind": "batch", **asked, **fingerprint(model, setting), "versions": {"cof": cof.__version__}}


def _print_summary(found: dict[str, Any], total: int, out: str) -> None:
    """Say what was answered and what it cost. Raises ModelError where rows failed or a cap was reached."""
    spent, cached = found["spent"], f" ({found['cached']} from the cache)" if found["cached"] else ""
    print(f"answered  {found['answered']:,} of {total:,} rows{cached}, {found['failed']:,} failed")
    print(f"spent     {spent['tokens']:,} tokens sampled, {spent['prompt_tokens']:,} read, {spent['zooms']:,} zooms")
    print(f"time      {spent['seconds']:,.0f} s in the model")
    if "money" in found:
        print(f"cost      {found['money']:,.4f} {found['currency']}".rstrip())
    print(f"answers   {out.rstrip('/')}/{ANSWERS}")
    sys.stdout.flush()
    if found["reached"]:
        left = total - found["answered"] - found["failed"]
        raise ModelError(
            f"the cap on {found['reached']} was reached, and {left:,} rows are left; a larger --cap goes on"
        )
    if failed := found["failed"]:
        rows = "1 row failed: its error is" if failed == 1 else f"{failed:,} rows failed: their errors are"
        raise ModelError(f"{rows} in {ANSWERS}; the same command tries again; the first: {found['error']}")
