"""A command that is killed with SIGKILL, again and again, and ends all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def run_killed(command: Sequence[str], journal: Path, moments: Sequence[int]) -> int:
    """Start the command once for each of `moments`, kill it when `journal` has so many lines, and let the last one end.

    Returns how many were killed; one that ended before its moment was not.
    """
    killed = 0
    for lines in moments:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < lines):
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    return killed
