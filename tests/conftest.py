"""How the tests run: on one thread, which is faster for small tensors, on the same cases each time, and each with a limit.

`HYPOTHESIS_PROFILE=default make test` draws new cases. A test that is marked `long` runs with `make test-all` alone.
"""

import os

import pytest
from hypothesis import settings

LONG = 1200  # seconds that a long test has; the others have what pyproject.toml says

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")  # before a fork server imports what draws bars
settings.register_profile("same cases", derandomize=True, deadline=None)  # a busy machine takes its time
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same cases"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.long)
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG))
