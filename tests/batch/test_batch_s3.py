"""`cof batch` with its rows, pictures and answers at `s3://`, against a real S3 server on loopback.

The server and the extra `s3` are installed into a folder of their own: their releases need not go together with ours.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from tests.models.remote.endpoints import Reply, listening, models
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


SECONDS = 10.0  # that one request to the server may take
READ = "import fsspec, sys; sys.stdout.write(fsspec.open('s3://bucket/out/answers.jsonl', 'rt').open().read())"


def put(address: str, content: bytes) -> None:
    with urlopen(
        Request(address, content, {"Content-Type": "application/octet-stream"}, method="PUT"), timeout=SECONDS
    ):
        pass


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--target",
        str(folder),
        "s3fs>=2025.3",
        "moto[server]>=5",
    ]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def s3(packages: Path) -> Iterator[str]:
    """The address of the server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "--port", str(port)]
    paths = os.environ | {"PYTHONPATH": str(packages)}
    with subprocess.Popen(command, env=paths, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while True:
            try:
                put(f"{address}/bucket", b"")
                break
            except OSError:  # it does not listen yet, or has no time yet
                assert time.monotonic() < end
                time.sleep(0.2)
        yield address
        server.kill()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_rows_pictures_and_answers_are_at_s3(s3: str, packages: Path, tmp_path: Path) -> None:
    picture = BytesIO()
    Image.new("RGB", (60, 40), "red").save(picture, "PNG")
    put(f"{s3}/bucket/in/a.png", picture.getvalue())
    rows = [{"image": "a.png", "question": "What?"}, {"image": "s3://bucket/none.png", "question": "What?"}]
    put(f"{s3}/bucket/in/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    access = {"AWS_ENDPOINT_URL": s3, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "HOME": str(tmp_path)}
    paths = os.pathsep.join([str(packages), str(ROOT)])
    env = os.environ | access | {"PYTHONPATH": paths, "AWS_DEFAULT_REGION": "us-east-1"}
    with listening(lambda _: Reply("<answer>red</answer>")) as server:
        server.listing = models("m")
        words = ["batch", "s3://bucket/in/rows.jsonl", "--out", "s3://bucket/out", "--url", server.url, "--model", "m"]
        done = subprocess.run(
            [sys.executable, "-m", "cof", *words, "--dialect", "cof"],
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("cof: 1 row failed")
    answers = subprocess.run([sys.executable, "-c", READ], env=env, capture_output=True, text=True, check=True).stdout
    first, second = map(json.loads, answers.splitlines())
    assert (first["answer"], first["image"]) == ("red", "s3://bucket/in/a.png")
    assert "s3://bucket/none.png cannot be read" in second["error"]
