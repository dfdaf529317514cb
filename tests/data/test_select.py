"""A small selection covers what is rare and hard, where chance misses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cof.data.select import select, select_random
from tests.properties import cases

CLUSTERS, RARE = 20, 5


def pool(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2,000 samples in 20 clusters: embeddings, losses, and the cluster of each; five clusters are rare and hard."""
    rng = np.random.default_rng(seed)
    sizes = [6] * RARE + [(2000 - 6 * RARE) // (CLUSTERS - RARE)] * (CLUSTERS - RARE)
    cluster = np.repeat(range(CLUSTERS), sizes)
    centres = rng.normal(size=(CLUSTERS, 32))
    embeddings = centres[cluster] + 0.5 * rng.normal(size=(len(cluster), 32))
    losses = np.where(cluster < RARE, 2.0, 0.5) * rng.uniform(0.5, 1.5, len(cluster))
    return embeddings, losses, cluster


def covered(cluster: np.ndarray, chosen: list[int]) -> float:
    return len({*cluster[chosen].tolist()}) / CLUSTERS


def test_five_percent_cover_rare_and_hard_clusters() -> None:
    ours, chance = [], []
    for seed in range(5):
        embeddings, losses, cluster = pool(seed)
        count = len(cluster) // 20
        ours.append(covered(cluster, select(embeddings, losses, count, seed)))
        chance.append(covered(cluster, select_random(len(cluster), count, seed)))
    assert min(ours) >= 0.95
    assert np.mean(chance) < 0.9


def test_what_is_hard_is_taken_more_often() -> None:
    rng = np.random.default_rng(0)
    embeddings, hard = rng.normal(size=(1000, 16)), rng.uniform(size=1000) < 0.3
    chosen = select(embeddings, np.where(hard, 5.0, 0.5), 50, 0)
    assert hard[chosen].mean() > 0.5


@settings(max_examples=cases(60), deadline=None)
@given(st.integers(1, 40), st.data())
def test_as_many_as_wanted_and_none_twice(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, total))
    values = data.draw(st.lists(st.sampled_from([0.0, 1.0, -2.0]), min_size=total * 2, max_size=total * 2))
    losses = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.3, 9.0]), min_size=total, max_size=total)))
    chosen = select(np.array(values).reshape(total, 2), losses, count, 0)
    assert len(chosen) == len({*chosen}) == count
    assert all(0 <= index < total for index in chosen)
    assert chosen == select(np.array(values).reshape(total, 2), losses, count, 0)


@pytest.mark.parametrize("seed", [0, 1])
def test_chance_takes_each_once(seed: int) -> None:
    assert sorted(select_random(9, 9, seed)) == list(range(9))
