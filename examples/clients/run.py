"""Official clients against a real `cof serve --model nano`, each in an environment of its own: `make clients`.

Makes the environments under `.venv-clients`, starts the server, runs the script of each client and prints a table: what works,
and the error that the client shows where something does not. The exit code is 1 where that error is no 400.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-clients"
CLIENTS = {  # script, what is installed
    "use_openai.py": "openai==3.57.0",
    "use_litellm.py": "litellm==1.110.2",
    "use_langchain.py": "langchain-openai==1.7.4",
    "use_pydantic_ai.py": "pydantic-ai-slim[openai]==2.68.0",
    "use_llm.py": "llm==0.36",
    "use_openai.mjs": "openai@6.49.0",
}
EXPECTED = {"question": r"K", "follow-up": r"yellow", "schema": r"K", "stream": r"K \([1-9]\d* tokens\)"}
START, WAIT = 120.0, 300.0  # seconds for the server to start, and for a client


def main() -> int:
    with served() as place:
        rows = [(what, *tried(script, what, place)) for script, what in CLIENTS.items()]
    print("| client | " + " | ".join(EXPECTED) + " | else |\n|---|" + "---|" * (len(EXPECTED) + 1))
    for what, cells, _ in rows:
        print(f"| {what} | " + " | ".join(cells) + " |")
    return 0 if all(understood for _, _, understood in rows) else 1


def tried(script: str, what: str, place: str) -> tuple[list[str], bool]:
    """The cells of a client, one for each attempt, and whether each attempt worked or was refused with a 400."""
    command = [*environment(script, what), place]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=WAIT)
    printed = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    cells = [_cell(name, printed.pop(name, "nothing came: " + done.stderr[-200:])) for name in EXPECTED]
    cells.append("; ".join(f"{name}: {text}" for name, text in printed.items()))
    return cells, all(cell == "works" or "400" in cell for cell in cells if cell)


def _cell(name: str, text: str) -> str:
    return "works" if re.fullmatch(EXPECTED[name], text) else text


def environment(script: str, what: str) -> list[str]:
    """How the script is started in an environment that has its client; made once."""
    folder = ENVIRONMENTS / re.sub(r"\W+", "-", what)
    if script.endswith(".mjs"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / script).write_text((HERE / script).read_text())
        if not (folder / "node_modules").exists():
            install = ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", what]
            subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
        return ["node", str(folder / script)]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", what], check=True)
        (folder / "ready").touch()
    return [str(python), script]


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The address of a server with cof-nano, until the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "cof", "serve", "--model", "nano", "--port", str(port)])
    try:
        end = time.monotonic() + START
        while not answers(f"http://127.0.0.1:{port}/health"):
            if time.monotonic() > end or server.poll() is not None:
                raise SystemExit("the server did not start; see its error above")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def answers(page: str) -> bool:
    try:
        with urllib.request.urlopen(page, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    raise SystemExit(main())
