"""Who holds what: allocations as linked entries in columns, sixteen bytes an entry.

A million servers must not be a million Python objects, so an entry is (provider row, amounts, consumer, next entry) in
int32 columns, and equal amounts are stored once: a study has a few dozen flavors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Amounts: TypeAlias = tuple[tuple[int, int], ...]
"""(column, units) pairs by column, without zeros: what ``ResourceClasses.amounts`` makes."""

NONE = -1


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a consumer holds on one provider."""

    row: int
    amounts: Amounts


class AllocationTable:
    """Allocations by consumer. Consumers are small non-negative ints given by the caller, who should reuse them."""

    def __init__(self) -> None:
        self._head: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self._row: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self._next: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self._consumer: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self._amounts_id: NDArray[np.int32] = np.zeros(16, dtype=np.int32)
        self._entries = 0  # entries ever used; those given back are chained from _free
        self._free = NONE
        self._amounts: list[Amounts] = []
        self._uses: list[int] = []
        self._ids: dict[Amounts, int] = {}
        self._unused: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        columns = (self._head, self._row, self._next, self._consumer, self._amounts_id)
        return sum(column.nbytes for column in columns)

    def has(self, consumer: int) -> bool:
        """Whether ``consumer`` holds anything."""
        return 0 <= consumer < len(self._head) and self._head[consumer] != NONE

    def add(self, consumer: int, row: int, amounts: Amounts) -> None:
        """Record that ``consumer`` holds ``amounts`` on ``row``, beside what it already holds."""
        if consumer >= len(self._head):
            self._head = _grown(self._head, consumer + 1)
        entry = self._free
        if entry != NONE:
            self._free = int(self._next[entry])
        else:
            entry = self._entries
            self._entries += 1
            if entry >= len(self._row):
                for name in ("_row", "_next", "_consumer", "_amounts_id"):
                    setattr(self, name, _grown(getattr(self, name), entry + 1))
        self._row[entry] = row
        self._amounts_id[entry] = self._intern(amounts)
        self._consumer[entry] = consumer
        self._next[entry] = self._head[consumer]
        self._head[consumer] = entry

    def pop(self, consumer: int) -> list[Allocation]:
        """Forget everything that ``consumer`` holds; returns it, last added first."""
        held: list[Allocation] = []
        if not self.has(consumer):
            return held
        entry = int(self._head[consumer])
        self._head[consumer] = NONE
        while entry != NONE:
            identity = int(self._amounts_id[entry])
            held.append(Allocation(int(self._row[entry]), self._amounts[identity]))
            self._uses[identity] -= 1
            if not self._uses[identity]:
                del self._ids[self._amounts[identity]]
                self._unused.append(identity)
            following = int(self._next[entry])
            self._row[entry] = self._consumer[entry] = NONE
            self._next[entry] = self._free
            self._free = entry
            entry = following
        return held

    def rename(self, consumer: int, new: int) -> None:
        """Hand everything that ``consumer`` holds to ``new``, which must hold nothing."""
        if new >= len(self._head):
            self._head = _grown(self._head, new + 1)
        entry = self._head[new] = self._head[consumer]
        self._head[consumer] = NONE
        while entry != NONE:
            self._consumer[entry] = new
            entry = self._next[entry]

    def of(self, consumer: int) -> list[Allocation]:
        """What ``consumer`` holds, first added first."""
        held = []
        if self.has(consumer):
            entry = int(self._head[consumer])
            while entry != NONE:
                held.append(Allocation(int(self._row[entry]), self._amounts[int(self._amounts_id[entry])]))
                entry = int(self._next[entry])
        return held[::-1]

    def consumers_on(self, row: int) -> list[int]:
        """The consumers that hold something on ``row``, in ascending order. O(entries)."""
        entries = self._row[: self._entries] == row
        return [int(consumer) for consumer in np.unique(self._consumer[: self._entries][entries])]

    def __iter__(self) -> Iterator[tuple[int, Allocation]]:
        """Every (consumer, allocation), in no promised order."""
        for entry in np.flatnonzero(self._row[: self._entries] != NONE):
            amounts = self._amounts[int(self._amounts_id[entry])]
            yield int(self._consumer[entry]), Allocation(int(self._row[entry]), amounts)

    def _intern(self, amounts: Amounts) -> int:
        identity = self._ids.get(amounts)
        if identity is None:
            if self._unused:
                identity = self._unused.pop()
                self._amounts[identity], self._uses[identity] = amounts, 0
            else:
                identity = len(self._amounts)
                self._amounts.append(amounts)
                self._uses.append(0)
            self._ids[amounts] = identity
        self._uses[identity] += 1
        return identity


def _grown(column: NDArray[np.int32], needed: int) -> NDArray[np.int32]:
    bigger = np.full(max(needed, 2 * len(column)), NONE, dtype=np.int32)
    bigger[: len(column)] = column
    return bigger
