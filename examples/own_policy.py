"""A policy of your own: what is looked at before the model answers. This one shows the four quarters of the picture, then asks.

Also an arm of an evaluation, in this folder: python -m cof eval ... --arms direct,own_policy:QUARTERS
(the command cof finds it only where this folder is on PYTHONPATH).
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import cof


@dataclass(frozen=True)
class Quarters(cof.Policy):
    def next(self, trace: cof.Trace) -> cof.Next | tuple[tuple[cof.Call, ...], ...]:
        if trace.turns:
            return cof.Next.ANSWER
        whole = trace.overview.region
        wide, high = whole.width / 2, whole.height / 2
        corners = [(x, y) for y in (0, high) for x in (0, wide)]
        quarters = [cof.Box(x, y, x + wide, y + high) for x, y in corners]
        return tuple((cof.Call("zoom", {"box": quarter}),) for quarter in quarters)


QUARTERS = Quarters("own_policy:QUARTERS", "shows the four quarters first")


def main(picture: str, question: str, url: str | None = None) -> None:
    trace = cof.ask(picture, question, url=url, policy=QUARTERS)
    print(len(trace.views), "crops; answer", trace.answer)


if __name__ == "__main__":
    here = Path(__file__).parent
    main(*(sys.argv[1:] or (str(here / "plaza.jpg"), (here / "plaza.txt").read_text().strip())))
