"""What the scenarios of one process have in common: a sweep reads a trace once and not for every cell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import numpy as np

from sundog.runtime.seeds import Streams

T = TypeVar("T")

_MOST: Final = 4
"""Inputs kept at a time: a trace and its workload, for this seed and for the last one. They may be gigabytes."""


class Kept:
    """Inputs by what they depend on; those not asked for longest go. Whoever gets one must not change it."""

    def __init__(self) -> None:
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._asks_chance: dict[Hashable, bool] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under ``key``, made if there is nothing."""
        if key not in self._values:
            while len(self._values) >= _MOST:
                self._values.popitem(last=False)
            self._values[key] = make()
        self._values.move_to_end(key)
        value: T = self._values[key]
        return value

    def seeded(self, key: Hashable, seed: int, make: Callable[[Streams], T]) -> tuple[T, Hashable]:
        """What ``make`` makes of the streams of a trace, and the key under which it is kept.

        One that asked for no chance is the same for every seed. Most traces are.
        """
        streams = _Watched(seed, path=("trace",))
        full = (key, seed if self._asks_chance.get(key, False) else None)
        value = self.get(full, lambda: make(streams))
        if streams.asked:
            self._asks_chance[key] = True
            if full[1] is None:  # the first of its kind: until now it was not known that it asks
                self._values[key, seed] = self._values.pop(full)
                full = (key, seed)
        return value, full


class _Watched(Streams):
    """Streams that know whether anybody asked for one."""

    asked = False

    def sequence(self, name: str) -> np.random.SeedSequence:
        self.asked = True
        return super().sequence(name)

    def child(self, name: str) -> Streams:
        self.asked = True
        return super().child(name)
