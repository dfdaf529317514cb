"""Asks a question about a picture, prints where the model looked, and writes the trace as a page.

Without further words cof-nano answers about the drawn picture beside this file. Your own photograph wants a model of yours:
`python examples/ask_a_picture.py photo.jpg "What does the sign say?" http://127.0.0.1:8000/v1`.
"""

import sys
from pathlib import Path

import cof

HERE = Path(__file__).parent
OURS = (str(HERE / "plaza.jpg"), (HERE / "plaza.txt").read_text().strip())


def main(picture: str, question: str, url: str | None = None) -> None:
    trace = cof.ask(picture, question, url=url)
    for view in trace.views:
        print("looked at", view.region)  # pixels of the picture: x0, y0, x1, y1
    print("answer   ", trace.answer)
    trace.save("trace.html")


if __name__ == "__main__":
    main(*(sys.argv[1:] or OURS))
