"""Every benchmark that is read from a copy says what it is, and refuses a copy that is not there."""

import sys

import pytest

from cof.data.benchmarks.known import BENCHMARKS
from cof.errors import InputError
from tests.data.benchmarks.copies import one_line


@pytest.mark.parametrize("name", BENCHMARKS)
def test_documented(name):
    lines = (sys.modules[BENCHMARKS[name].__module__].__doc__ or "").splitlines()
    for head in ("Dataset: ", "Metric: ", "Source: "):
        assert sum(line.startswith(head) for line in lines) == 1


@pytest.mark.parametrize("name", BENCHMARKS)
def test_nothing_there(name, tmp_path):
    with pytest.raises(InputError) as error:
        next(BENCHMARKS[name](tmp_path / "absent", 0))
    assert "absent" in one_line(error)
