"""Which few of many samples to train on: those that cover the embedding space, the hard parts of it first.

After VeCAF (arXiv 2401.07853) and ActiveFT (arXiv 2303.14382): as many centroids as samples are wanted are fitted so that
every sample, weighted by the model's loss on it, is near one, and centroids keep apart; then each takes the nearest
sample that is not taken. Ours: centroids begin at samples drawn by their squared distance from those drawn before, times
the loss, as k-means++ does, so that rare clusters are found at once.
"""

from __future__ import annotations

import numpy as np

STEPS = 100
RATE = 0.05
TEMPERATURE = 0.07  # of similarities, as in ActiveFT


def select(embeddings: np.ndarray, losses: np.ndarray, count: int, seed: int) -> list[int]:
    """Indices of `count` samples, in the order of the centroids that took them.

    `embeddings` (samples, width) are compared by angle; `losses` (samples,) are the model's, not negative.
    """
    rng = np.random.default_rng(seed)
    points = _unit(np.asarray(embeddings, np.float64))
    weights = np.asarray(losses, np.float64) + 1e-9
    weights = weights / weights.mean()
    centroids = _spread(points, weights, count, rng)
    for step in range(STEPS):
        centroids = _unit(centroids - RATE * (1 - step / STEPS) * _gradient(points, weights, centroids))
    return _nearest_unused(points, centroids)


def select_random(total: int, count: int, seed: int) -> list[int]:
    """Indices of `count` of `total` samples by chance alone: what a selection is to be compared with."""
    chosen: list[int] = np.random.default_rng(seed).permutation(total)[:count].tolist()
    return chosen


def _unit(vectors: np.ndarray) -> np.ndarray:
    units: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return units


def _spread(points: np.ndarray, weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` points, each drawn by weight and squared distance from those before, (count, width)."""
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(-1))
        share = weights * distance
        share[chosen] = 0
        if not share.sum():  # all that are left lie on chosen ones
            share = np.ones(len(points))
            share[chosen] = 0
        chosen.append(int(rng.choice(len(points), p=share / share.sum())))
    return points[chosen].copy()


def _gradient(points: np.ndarray, weights: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Of the mean weighted distance to the nearest centroid, and of the centroids' closeness to each other."""
    nearest = (points @ centroids.T).argmax(-1)
    pull = np.zeros_like(centroids)
    np.add.at(pull, nearest, weights[:, None] * points)
    pull /= np.maximum(np.bincount(nearest, weights, len(centroids)), 1e-9)[:, None]
    close = centroids @ centroids.T / TEMPERATURE
    np.fill_diagonal(close, -np.inf)
    if len(centroids) == 1:
        return -pull
    close = np.exp(close - close.max(-1, keepdims=True))
    push = (close / close.sum(-1, keepdims=True)) @ centroids
    gradient: np.ndarray = push * TEMPERATURE - pull
    return gradient


def _nearest_unused(points: np.ndarray, centroids: np.ndarray) -> list[int]:
    free, chosen = np.ones(len(points), bool), []
    for likeness in centroids @ points.T:
        best = int(np.where(free, likeness, -np.inf).argmax())
        free[best] = False
        chosen.append(best)
    return chosen
