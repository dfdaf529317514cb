"""What running questions together is worth: the focus loop over needle questions one by one and in batches, same answers."""

from __future__ import annotations

import time

from cof.focus.loop import Setting, run_many
from cof.models.local import LocalModel
from cof.types import Sampling, ViewSpec
from cof.worlds.needle import samples

QUESTIONS, BATCH = 32, 16


def main() -> None:
    model = LocalModel.load("nano", batch=BATCH)
    asked = [(s.question, s.picture()) for s in samples("validation", 7, QUESTIONS, 1792, ViewSpec())]
    setting = Setting(sampling=Sampling(tokens=128))
    run_many(model, asked[:2], setting)
    start = time.perf_counter()
    single = [run_many(model, [one], setting)[0].answer for one in asked]
    time.perf_counter() - start
    start = time.perf_counter()
    together = [trace.answer for trace in run_many(model, asked, setting)]
    time.perf_counter() - start
    sum(a == b for a, b in zip(single, together, strict=True))


if __name__ == "__main__":
    main()
