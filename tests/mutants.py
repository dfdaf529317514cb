"""Plants faults in the code and sees whether the tests catch them: `python -m tests.mutants --sample 40`.

Owns which tests answer for which room, and the sample; cosmic-ray plants and runs. It works on a copy, never on the checkout.
What survives is printed as a diff: either a test is missing, or the change makes no difference.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = {  # what is changed, and the tests that should notice
    "cof/loop": "tests/loop",
    "cof/models/local/batch.py": "tests/models/local/test_engine.py tests/models/local/test_sampling.py "
    "tests/train/test_policy.py",
    "cof/models/local/sequence.py": "tests/models/local/test_engine.py tests/models/local/test_workers.py",
    "cof/scoring": "tests/scoring",
    "cof/evaluate": "tests/evaluate",
    "cof/train/policy.py": "tests/train/test_policy.py",
}
TIMEOUT = 300.0  # seconds for the tests of a room, after which a change counts as caught
KNOWN = "select job_id, operator_name from mutation_specs order by module_path, operator_name, occurrence"
BITS = re.compile("ReplaceBinaryOperator_.*(BitOr|BitAnd|BitXor|LShift|RShift)")  # of types, or a TypeError at once


def planted(room: str, sample: int, seed: int, folder: Path) -> Path:
    """A session of cosmic-ray with a sample of the changes that it knows for the room."""
    config, session = folder / "config.toml", folder / "session.sqlite"
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider -m 'not long' {ROOMS[room]}"
    config.write_text(
        f"[cosmic-ray]\nmodule-path = {json.dumps(room)}\ntimeout = {TIMEOUT}\nexcluded-modules = []\n"
        f'test-command = {json.dumps(command)}\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    cosmic("baseline", str(config), cwd=folder / "copy")  # fails where the tests do without any change
    cosmic("init", str(config), str(session), cwd=folder / "copy")
    with closing(sqlite3.connect(session)) as found:
        jobs = [job for job, operator in found.execute(KNOWN) if not BITS.search(operator)]
        chosen = random.Random(seed).sample(jobs, min(sample, len(jobs)))
        for table in ("mutation_specs", "work_items"):
            found.execute(f"delete from {table} where job_id not in ({','.join('?' * len(chosen))})", chosen)
        found.commit()
    return session


def survivors(session: Path) -> tuple[int, list[str]]:
    """How many changes were tried, and the diffs of those that the tests did not notice."""
    with closing(sqlite3.connect(session)) as found:
        rows = found.execute("select test_outcome, diff from work_results").fetchall()
    return len(rows), [diff for outcome, diff in rows if "SURVIVED" in str(outcome).upper()]


def cosmic(*arguments: str, cwd: Path) -> None:
    subprocess.run([str(Path(sys.executable).with_name("cosmic-ray")), *arguments], cwd=cwd, check=True)


def copied(folder: Path) -> None:
    """The tracked files of the checkout, as they are."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", default=list(ROOMS), help=f"some of {', '.join(ROOMS)}; else all")
    parser.add_argument("--sample", type=int, default=40, help="changes to plant in each room")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for room in options.rooms:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            copied(folder / "copy")
            session = planted(room, options.sample, options.seed, folder)
            cosmic("exec", str(folder / "config.toml"), str(session), cwd=folder / "copy")
            tried, left = survivors(session)
            print(f"{room}: {tried - len(left)} of {tried} caught", flush=True)
            for diff in left:
                print(diff, flush=True)


if __name__ == "__main__":
    main()
