"""Fuzzes one target with Atheris: `python -m tests.fuzz.run turns --seconds 200`; `make fuzz` does all of them.

The inputs that led to new code are kept under `runs/fuzz`, and the next run begins from them. An input that breaks something
ends the run with an error, and stays there too, as `broken`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import atheris

LONGEST, SLOWEST, MEMORY = 4096, 5, 2048  # of one input: bytes, seconds; MB of the process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=("calls", "turns", "requests"))
    parser.add_argument("--seconds", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    given = parser.parse_args()
    with atheris.instrument_imports(include=["cof", "PIL"]):
        from tests.fuzz.targets import TARGETS
    target, out = TARGETS[given.target], given.out / given.target
    (out / "inputs").mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(target.seeds):
        (out / "inputs" / f"seed-{n}").write_bytes(seed)
    limits = f"-max_total_time={given.seconds} -max_len={LONGEST} -timeout={SLOWEST} -rss_limit_mb={MEMORY}".split()
    places = [f"-artifact_prefix={out}/", str(out / "inputs")]

    def check(data: bytes) -> None:
        try:
            target.check(data)
        except Exception:
            (out / "broken").write_bytes(data)  # libFuzzer's own alarm may end it before it writes the input
            raise

    if target.words:
        (out / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        places.insert(0, f"-dict={out / 'words'}")
    atheris.Setup(["fuzz", *limits, "-print_final_stats=1", *places], check)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    """A word as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
