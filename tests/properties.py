"""How many cases a property is tried on: all with `make test-all`, a twentieth with `make test`."""

import os

ALL = os.environ.get("COF_TESTS") == "all"
SHARE, LEAST = 20, 25


def cases(most: int) -> int:
    """`most`, or as many as a quick run has time for."""
    return most if ALL else min(most, max(LEAST, most // SHARE))
