"""A dialect of your own, from the TOML file beside this script, spoken by a scripted model.

For a model behind an endpoint: `cof ask photo.jpg "…" --url http://127.0.0.1:8000/v1 --dialect examples/own_dialect.toml`.
"""

from pathlib import Path

import cof

HERE = Path(__file__).parent
TURNS = [
    '<think>The sign is too small.</think><look>{"at": [250, 250, 500, 500]}</look>',
    "<think>Now I can read it.</think><answer>EXIT</answer>",
]


def main() -> None:
    model = cof.ScriptedModel(TURNS)
    trace = cof.ask(HERE / "plaza.jpg", "What does the sign say?", model=model, dialect=str(HERE / "own_dialect.toml"))
    print("looked at", *(view.region for view in trace.views))
    print("answer   ", trace.answer)


if __name__ == "__main__":
    main()
