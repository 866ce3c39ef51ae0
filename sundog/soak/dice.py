"""Chance for clients and trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from sundog.units import Seconds

T = TypeVar("T")


class Dice:
    """Draws from one stream of the run."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def seconds(self, mean: Seconds) -> Seconds:
        """A time to wait."""
        return float(self._rng.exponential(mean))

    def between(self, span: tuple[float, float]) -> float:
        """Any number of a span."""
        return float(self._rng.uniform(*span))

    def whole(self, least: int, most: int) -> int:
        """A whole number, ``most`` included."""
        return int(self._rng.integers(least, most + 1))

    def chance(self, probability: float) -> bool:
        """Whether it happens this time."""
        return bool(self._rng.random() < probability)

    def pick(self, several: Sequence[T]) -> T:
        """One of several, all alike."""
        return several[int(self._rng.integers(len(several)))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One by its weight."""
        left = self._rng.random() * sum(weights.values())
        for each, weight in weights.items():
            left -= weight
            if left < 0:
                return each
        return next(reversed(list(weights)))
