"""Evaluates cof-nano on questions of your own: writes them as JSONL, runs `cof eval jsonl`, and reads its report.

A folder that holds answers already is continued, so that nothing is asked twice.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent.resolve()
RUN = Path("runs/own-questions")


def rows() -> list[dict[str, str]]:
    """One question for each picture beside this file; docs/questions.md has every field of a row."""
    return [
        {
            "question": (HERE / f"{name}.txt").read_text().strip(),
            "image": str(HERE / f"{name}.jpg"),
            "answer": (HERE / f"{name}.answer").read_text().strip(),
        }
        for name in ("meadow", "plaza")
    ]


def main() -> None:
    RUN.parent.mkdir(exist_ok=True)
    data = RUN.with_suffix(".jsonl")
    data.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    command = [sys.executable, "-m", "cof", "eval", "jsonl", "--data", data, "--arms", "direct,own", "--out", RUN]
    subprocess.run(list(map(str, command)), check=True)
    for arm, figures in json.loads((RUN / "report.json").read_text())["arms"].items():
        print(f"{arm}: {figures['accuracy']:.0%} of {figures['n']} right, {figures['zooms']:.1f} zooms each")


if __name__ == "__main__":
    main()
