"""Questions in V*Bench's folders (`cof world sample`), as files that other evaluation tools read.

    python examples/peers/questions.py FOLDER

writes FOLDER/questions.jsonl (options, `cof eval jsonl`, lmms-eval), FOLDER/open.jsonl (the same without options), and
FOLDER/questions.tsv (VLMEvalKit: pictures as base64, a column for each letter).
"""

from __future__ import annotations

import base64
import csv
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LETTERS = "ABCDEF"
SEED = 0


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """A question a picture. There the right option is the first; here they are shuffled, by the picture's name."""
    for file in sorted(folder.glob("*/*.json")):
        told = json.loads(file.read_text())
        choices = list(told["options"])
        random.Random(f"{SEED}/{file.stem}").shuffle(choices)
        yield {
            "id": file.stem,
            "image": str(file.with_suffix(".jpg").resolve()),
            "question": told["question"],
            "choices": choices,
            "answer": told["options"][0],
            "category": file.parent.name,
        }


def table_row(index: int, line: dict[str, Any]) -> dict[str, str]:
    letters = dict(zip(LETTERS, line["choices"], strict=False))
    right = LETTERS[line["choices"].index(line["answer"])]
    picture = base64.b64encode(Path(line["image"]).read_bytes()).decode()
    whole = {"index": str(index), "image": picture, "question": line["question"], "answer": right}
    return {**whole, **letters, "category": line["category"]}


def write(folder: Path) -> None:
    found = list(lines(folder))
    free = [{name: value for name, value in line.items() if name != "choices"} for line in found]
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    (folder / "open.jsonl").write_text("".join(json.dumps(line) + "\n" for line in free))
    names = [
        "index",
        "image",
        "question",
        *LETTERS[: max(len(line["choices"]) for line in found)],
        "answer",
        "category",
    ]
    with (folder / "questions.tsv").open("w", newline="") as file:
        table = csv.DictWriter(file, names, restval="", delimiter="\t")
        table.writeheader()
        table.writerows(table_row(index, line) for index, line in enumerate(found))


def main() -> None:
    if len(sys.argv) != 2 or not any(Path(sys.argv[1]).glob("*/*.json")):
        sys.exit("want one folder in V*Bench's layout, as `cof world sample --out FOLDER` writes it")
    write(Path(sys.argv[1]))
    print(f"questions.jsonl, open.jsonl and questions.tsv in {sys.argv[1]}")


if __name__ == "__main__":
    main()
