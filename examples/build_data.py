"""Builds training data from drawn pictures and looks at it: a trajectory as a trainer sees it, and a page for each.

The search agent's parts are played by experts who know the scene; `--roles` of `cof data build` names models instead.
"""

import json
import subprocess
import sys
from pathlib import Path

DATA, CHAT, PAGES = (Path("runs/own-data") / name for name in ("traces", "chat", "pages"))


def cof(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "cof", *map(str, words)], check=True)


def main() -> None:
    cof("data", "build", "--n", 4, "--side", 896, "--out", DATA)
    cof("data", "convert", DATA, "--to", "sharegpt", "--out", CHAT)
    cof("view", DATA, "--out", PAGES)
    first, *_ = json.loads((CHAT / "cof.json").read_text())
    for message in first["messages"]:
        print(f"{message['role']}: {message['content']}\n")
    print("pages to look at:", PAGES / "index.html")


if __name__ == "__main__":
    main()
