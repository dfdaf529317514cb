"""Steps that training on a selection takes to the loss that training on a random part of the same size reaches, over seeds.

    python benchmarks/selection.py --model runs/perception/model

The pool is skewed as found data is: 950 trajectories that answer at once, 50 that zoom; 5% of it is taken. The model was
taught to answer at once before. The loss is that of held-out trajectories, as many without zooms as with one and with two.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForImageTextToText

from cof.agent.build import build, publish_kept
from cof.agent.sources import Drawn, world_examples
from cof.agent.trajectory import Rules
from cof.data.embed import embed
from cof.data.filters import Filters
from cof.data.select import select, select_random
from cof.data.traces import Kept, read_kept, write_kept
from cof.data.worlds import world_of
from cof.geometry import ViewSpec
from cof.models.local.model import Card, LocalModel
from cof.needle.experts import Experts
from cof.needle.phrases import GRID
from cof.runs import RunDir
from cof.train.traces import TraceLessons

SPEC = ViewSpec()
AT_ONCE, ZOOMING, TAKEN, HELD_OUT = 950, 50, 50, 15  # trajectories; held out: of each number of zooms
SIDE = 896  # pixels: small, as pictures are drawn again whenever they are looked at
ROWS, WARM, STEPS, EVERY = 4, 200, 48, 8  # WARM: steps in which the model is taught to answer at once
RATE = 2e-4


def built(folder: Path, n: int, seed: int) -> list[Kept]:
    with RunDir(folder, {"n": n, "seed": seed}) as run:
        build(
            Experts(0.2, seed),
            world_examples(world_of("needle"), Drawn(n, seed, (SIDE,), per_picture=4), SPEC),
            Rules(grid=GRID),
            run,
        )
        publish_kept(run, Filters())
    return read_kept(folder)


def taught(model: Any, base: LocalModel, file: Path, seed: int, steps: int) -> Iterator[int]:
    """Train in place on a file of trajectories; yields the steps done, at 0 and every EVERY."""
    lessons = TraceLessons(base.codec.tokenizer, base.codec.processor, SPEC, file, seed, ROWS)
    model.model.visual.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], RATE)
    for step in range(steps):
        if step % EVERY == 0:
            yield step
        model.train()
        model(**lessons([{"step": step}])).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    yield steps


def losses(model: Any, base: LocalModel, kept: Sequence[Kept]) -> float:
    model.eval()
    local = LocalModel("base", model, base.codec.tokenizer, base.codec.processor, Card(SPEC))
    return float(np.mean([embed(local, each.trace)[1] for each in kept]))


def curve(start: Path, base: LocalModel, chosen: Sequence[Kept], held: Sequence[Kept], seed: int) -> list[float]:
    """The held-out loss at every EVERY steps."""
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_pretrained(start, dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        write_kept(chosen, Path(folder))
        return [losses(model, base, held) for _ in taught(model, base, Path(folder) / "traces.jsonl", seed, STEPS)]


def reached(values: Sequence[float], target: float) -> float:
    """The step at which a curve falls to the target, between its points in a straight line; infinite if it does not."""
    for n, (before, after) in enumerate(pairwise(values)):
        if after <= target:
            return EVERY * (n + max(0.0, before - target) / (before - after)) if before > after else EVERY * (n + 1.0)
    return float("inf")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="runs/perception/model")
    parser.add_argument("--work", type=Path, default=Path("runs/selection"))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    every = built(options.work / "pool", 4000, 7)
    by_zooms = [[kept for kept in built(options.work / "held", 400, 8) if kept.trace.zooms == n] for n in range(3)]
    held = [kept for group in by_zooms for kept in group[:HELD_OUT]]
    at_once = [kept for kept in every if not kept.trace.zooms][:AT_ONCE]
    pool = at_once + [kept for kept in every if kept.trace.zooms][:ZOOMING]
    start = options.work / "start"
    base = LocalModel.load(options.model, device="cpu")
    if not start.exists():
        write_kept(at_once, options.work)
        model = base.network.float()
        list(taught(model, base, options.work / "traces.jsonl", 0, WARM))
        model.save_pretrained(start)
    network = AutoModelForImageTextToText.from_pretrained(start, dtype="float32").eval()
    seeing = LocalModel("base", network, base.codec.tokenizer, base.codec.processor, Card(SPEC))
    seen = [embed(seeing, kept.trace) for kept in pool]
    places, hard = np.stack([place for place, _ in seen]), np.array([loss for _, loss in seen])
    ratios = []
    for seed in range(options.seeds):
        taken = {"coverage": select(places, hard, TAKEN, seed), "random": select_random(len(pool), TAKEN, seed)}
        curves = {name: curve(start, base, [pool[i] for i in found], held, seed) for name, found in taken.items()}
        target = min(curves["random"])
        steps = {name: reached(values, target) for name, values in curves.items()}
        zooming = {name: sum(i >= len(at_once) for i in found) for name, found in taken.items()}
        ratios.append(steps["coverage"] / steps["random"])
        print(f"seed {seed}: target loss {target:.3f}; steps {steps}; trajectories that zoom {zooming}", flush=True)
        for name, values in curves.items():
            print(f"  {name}: {' '.join(f'{value:.3f}' for value in values)}", flush=True)
    print(f"steps with the selection / at random: {np.mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
