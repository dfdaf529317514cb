"""How fast needle scenes are drawn on one core: scenes a second at 448 px, and seconds for one picture of 3,840 px."""

from __future__ import annotations

import time

from cof.needle.drawing import draw_full
from cof.needle.scenes import make_scene

SCENES, SIDE = 100, 448


def main() -> None:
    start = time.perf_counter()
    for seed in range(SCENES):
        draw_full(make_scene("train", seed), SIDE)
    print(f"scenes a second at {SIDE} px: {SCENES / (time.perf_counter() - start):.1f}")
    start = time.perf_counter()
    draw_full(make_scene("train", 0), 3840)
    print(f"seconds for a picture of 3,840 px: {time.perf_counter() - start:.2f}")


if __name__ == "__main__":
    main()
