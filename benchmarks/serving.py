"""What `cof serve` does for many clients at once, against one question at a time: the same server process, on loopback.

First every question is asked alone, which gives its right reply and the speed to compare with. Then all clients ask for a
while, each the next question as soon as it has a reply; every reply is held against the one given alone. All this is done
twice: every request with a file of its own, by some bytes behind its end, so that nothing can be shared, and then with the
same files, which four questions each are about. Last, all ask once more and hang up together.

Prints questions a second and their ratio, seconds to a reply, errors other than a 429 that says when to try again, replies
that were lost or belong to another question, the server's memory, and what was still spent on clients that had hung up.
Clients and server share the machine. Omits streaming.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import psutil

from cof.needle.samples import jpeg_of, samples

JSON = {"Content-Type": "application/json"}
CLIENTS, SECONDS, QUESTIONS, SIDE = 64, 180, 32, 1792
PER_PICTURE = 4  # questions about one
PATIENCE = 300.0  # seconds that a client waits for a reply
HANG_UP, LATER = 2.0, 6.0  # seconds: that clients wait before they hang up, and that the server is watched after that


@dataclass(frozen=True)
class Body:
    """A request up to the end of its picture, and what follows."""

    head: bytes
    tail: bytes

    def request(self, own: bool) -> bytes:
        """The request; if it is to be its `own`, with a file that no other one has."""
        return self.head + (base64.b64encode(uuid.uuid4().bytes[:15]) if own else b"") + self.tail


@dataclass(frozen=True)
class Heard:
    """What came back for a question: status and, of a whole reply, its answer and thoughts; no status where nothing came."""

    question: int
    seconds: float
    status: int | None = None
    said: tuple[str, str] | None = None
    retry: float | None = None  # seconds to wait as a 429 says


@dataclass(frozen=True)
class Load:
    """All that was heard in so many `seconds`, and the server's memory in MB after each tenth of the time."""

    heard: Sequence[Heard]
    seconds: float
    memory: Sequence[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    given = parser.parse_args()
    asked = samples("validation", 11, QUESTIONS, SIDE, per_scene=PER_PICTURE)
    bodies = [_body(sample.question.text, jpeg_of(sample)) for sample in asked]
    with _serving() as (url, process):
        asyncio.run(_measure(url, process, bodies, given.clients, given.seconds))


async def _measure(url: str, process: psutil.Process, bodies: Sequence[Body], clients: int, seconds: int) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        await _ask(client, bodies, 0)  # warms up
        for own in (True, False):
            print("every request with a picture of its own" if own else "pictures shared")
            alone, slow = await _alone(client, bodies, own)
            _report(alone, slow, await _load(client, process, bodies, clients, seconds, own))
            print()
        await _hang_up(client, process, bodies, clients)


async def _alone(
    client: httpx.AsyncClient, bodies: Sequence[Body], own: bool
) -> tuple[Sequence[tuple[str, str] | None], float]:
    """What is said to every question, and questions a second, one at a time."""
    began = time.perf_counter()
    heard = [await _ask(client, bodies, question, own) for question in range(len(bodies))]
    seconds = time.perf_counter() - began
    if bad := [one.status for one in heard if one.said is None]:
        raise SystemExit(
            f"{len(bad)} questions were not answered, the first with status {bad[0]}; nothing to compare with"
        )
    return [one.said for one in heard], len(heard) / seconds


async def _load(
    client: httpx.AsyncClient, process: psutil.Process, bodies: Sequence[Body], clients: int, seconds: int, own: bool
) -> Load:
    began = time.perf_counter()
    asking = [asyncio.create_task(_client(client, bodies, number, began + seconds, own)) for number in range(clients)]
    memory = [_megabytes(process)]
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        memory.append(_megabytes(process))
    heard = [one for each in await asyncio.gather(*asking) for one in each]
    return Load(heard, time.perf_counter() - began, memory)


async def _client(client: httpx.AsyncClient, bodies: Sequence[Body], first: int, end: float, own: bool) -> list[Heard]:
    """One client, which begins at a question of its own and asks on until `end`."""
    heard = list[Heard]()
    while time.perf_counter() < end:
        heard.append(await _ask(client, bodies, (first + len(heard)) % len(bodies), own))
        await asyncio.sleep(heard[-1].retry or 0)
    return heard


async def _ask(client: httpx.AsyncClient, bodies: Sequence[Body], question: int, own: bool = True) -> Heard:
    began = time.perf_counter()
    try:
        reply = await client.post("/v1/chat/completions", content=bodies[question].request(own), headers=JSON)
    except httpx.HTTPError:
        return Heard(question, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    if reply.status_code == 200:
        return Heard(question, seconds, 200, _said(reply.json()))
    retry = reply.headers.get("Retry-After") if reply.status_code == 429 else None
    return Heard(question, seconds, reply.status_code, retry=None if retry is None else float(retry))


async def _hang_up(client: httpx.AsyncClient, process: psutil.Process, bodies: Sequence[Body], clients: int) -> None:
    asking = [asyncio.create_task(_ask(client, bodies, number % len(bodies))) for number in range(clients)]
    await asyncio.sleep(HANG_UP)
    left = sum(task.cancel() for task in asking)
    worked = [_worked(process)]
    await asyncio.gather(*asking, return_exceptions=True)
    for pause in (1.0, LATER - 1.0):
        await asyncio.sleep(pause)
        worked.append(_worked(process))
    told = f"{left} clients hung up after {HANG_UP:.0f} s; processor time spent on them since"
    print(
        f"{told}: {worked[1] - worked[0]:.2f} s in the first second, {worked[2] - worked[1]:.2f} s in the next {LATER - 1:.0f}"
    )


def _report(alone: Sequence[tuple[str, str] | None], slow: float, load: Load) -> None:
    replies = [one for one in load.heard if one.status == 200]
    lost = sum(one.status is None for one in load.heard)
    told_to_wait = sum(one.retry is not None for one in load.heard)
    errors = len(load.heard) - len(replies) - lost - told_to_wait
    others = [one for one in replies if one.said != alone[one.question]]
    crossed = sum(one.said in alone for one in others)
    wrong = sum(one.said is None or one.said[0] != (alone[one.question] or ("",))[0] for one in others)
    fast, seconds = len(replies) / load.seconds, [one.seconds for one in replies]
    print(f"alone     {slow:.2f} questions a second; {len(set(alone))} replies to {len(alone)} questions")
    print(f"together  {fast:.2f} questions a second: {fast / slow:.1f} times as many")
    print(f"seconds to a reply  p50 {np.percentile(seconds, 50):.1f}, p95 {np.percentile(seconds, 95):.1f}")
    print(f"{len(replies)} replies, {told_to_wait} told to try again, {errors} errors, {lost} lost")
    print(f"unlike alone: {wrong} answers, {len(others)} with thoughts, of them {crossed} another question's")
    print(f"memory  {load.memory[0]:.0f} MB before, {load.memory[1]:.0f} at a tenth, {load.memory[-1]:.0f} at the end")


@contextmanager
def _serving() -> Iterator[tuple[str, psutil.Process]]:
    """`cof serve` as it comes, on a port of its own: its address and its process."""
    command = [sys.executable, "-m", "cof", "serve", "--model", "nano", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline() if server.stdout else ""
        url = line.rpartition(" at ")[2].strip().removesuffix("/v1")
        while not _answers(url):
            if server.poll() is not None:
                raise SystemExit(f"the server ended with exit code {server.returncode}")
            time.sleep(0.1)
        yield url, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.HTTPError:
        return False


def _body(text: str, file: bytes) -> Body:
    whole = file + bytes(-len(file) % 3)  # so that its base64 can be continued
    url = "data:image/jpeg;base64," + base64.b64encode(whole).decode()
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    head, end, tail = json.dumps({"messages": [{"role": "user", "content": parts}]}).rpartition(url)
    return Body((head + end).encode(), tail.encode())


def _said(reply: dict[str, Any]) -> tuple[str, str]:
    message = reply["choices"][0]["message"]
    return message["content"], message["reasoning_content"]


def _megabytes(process: psutil.Process) -> float:
    return process.memory_info().rss / 2**20


def _worked(process: psutil.Process) -> float:
    """Seconds of processor time that the server has used."""
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
