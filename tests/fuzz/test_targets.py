"""The fuzzer's targets hold for what it begins from. The fuzzing itself takes minutes: `make fuzz`."""

from __future__ import annotations

import pytest

from tests.fuzz.targets import FAMILIES, TARGETS, WORDED


@pytest.mark.parametrize("name", TARGETS)
def test_targets_hold_for_their_seeds_and_for_halves_of_them(name: str) -> None:
    target = TARGETS[name]
    for seed in (b"", *target.seeds):
        target.check(seed)
        target.check(seed[: len(seed) // 2])


def test_every_family_is_among_the_seeds() -> None:
    assert {seed[0] % WORDED for seed in TARGETS["turns"].seeds} == set(range(len(FAMILIES)))
