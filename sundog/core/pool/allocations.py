"""Who holds what: allocations as linked entries in columns, sixteen bytes an entry.

A million servers must not be a million Python objects, so an entry is (provider row, amounts, consumer, next entry) in
int32 columns, and equal amounts are stored once: a study has a few dozen flavors. Compiled code reads and writes the
same columns.
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

ROW, NEXT, CONSUMER, AMOUNTS = range(4)
"""The columns of an entry."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a consumer holds on one provider."""

    row: int
    amounts: Amounts


class AllocationTable:
    """Allocations by consumer. Consumers are small non-negative ints given by the caller, who should reuse them.

    ``head`` is the first entry of each consumer; ``entries`` is ``int32[entries, 4]``: provider row, next entry,
    consumer, amounts, side by side because they are read together. ``uses`` counts the entries of each interned
    amounts. ``marks`` is (entries ever used, first of those given back, which are chained). ``layout`` grows whenever
    an array is replaced by a longer one.
    """

    def __init__(self) -> None:
        self.layout = 0
        self.head: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self.entries: NDArray[np.int32] = np.full((16, 4), NONE, dtype=np.int32)
        self.marks: NDArray[np.int64] = np.asarray([0, NONE], dtype=np.int64)
        self.uses: NDArray[np.int64] = np.zeros(16, dtype=np.int64)
        self._amounts: list[Amounts] = []
        self._ids: dict[Amounts, int] = {}
        self._unused: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        columns = (self.head, self.entries, self.uses)
        return sum(column.nbytes for column in columns)

    @property
    def _used(self) -> NDArray[np.int32]:
        return self.entries[: int(self.marks[0])]

    def has(self, consumer: int) -> bool:
        """Whether ``consumer`` holds anything."""
        return 0 <= consumer < len(self.head) and self.head[consumer] != NONE

    def add(self, consumer: int, row: int, amounts: Amounts) -> None:
        """Record that ``consumer`` holds ``amounts`` on ``row``, beside what it already holds."""
        if consumer >= len(self.head):
            self.reserve(consumers=consumer + 1)
        entry = int(self.marks[1])
        if entry != NONE:
            self.marks[1] = self.entries[entry, NEXT]
        else:
            entry = int(self.marks[0])
            self.marks[0] = entry + 1
            if entry >= len(self.entries):
                self.reserve(entries=entry + 1)
        self.entries[entry] = row, self.head[consumer], consumer, self.intern(amounts)
        self.head[consumer] = entry

    def reserve(self, *, consumers: int = 0, entries: int = 0) -> None:
        """Make room for consumers numbered below ``consumers``, and for ``entries`` in all."""
        if consumers > len(self.head):
            self.head = _grown(self.head, consumers)
            self.layout += 1
        if entries > len(self.entries):
            self.entries = _grown(self.entries, entries)
            self.layout += 1

    def pop(self, consumer: int) -> list[Allocation]:
        """Forget everything that ``consumer`` holds; returns it, last added first."""
        held: list[Allocation] = []
        if not self.has(consumer):
            return held
        entry = int(self.head[consumer])
        self.head[consumer] = NONE
        while entry != NONE:
            row, following, _, identity = self.entries[entry].tolist()
            held.append(Allocation(row, self._amounts[identity]))
            self.uses[identity] -= 1
            if not self.uses[identity]:
                del self._ids[self._amounts[identity]]
                self._unused.append(identity)
            self.entries[entry] = NONE, self.marks[1], NONE, NONE
            self.marks[1] = entry
            entry = following
        return held

    def rename(self, consumer: int, new: int) -> None:
        """Hand everything that ``consumer`` holds to ``new``, which must hold nothing."""
        if new >= len(self.head):
            self.reserve(consumers=new + 1)
        entry = self.head[new] = self.head[consumer]
        self.head[consumer] = NONE
        while entry != NONE:
            self.entries[entry, CONSUMER] = new
            entry = self.entries[entry, NEXT]

    def of(self, consumer: int) -> list[Allocation]:
        """What ``consumer`` holds, first added first."""
        held = []
        if self.has(consumer):
            entry = int(self.head[consumer])
            while entry != NONE:
                row, following, _, identity = self.entries[entry].tolist()
                held.append(Allocation(row, self._amounts[identity]))
                entry = following
        return held[::-1]

    def consumers_on(self, row: int) -> list[int]:
        """The consumers that hold something on ``row``, in ascending order. O(entries)."""
        entries = self._used
        return [int(consumer) for consumer in np.unique(entries[entries[:, ROW] == row, CONSUMER])]

    def __iter__(self) -> Iterator[tuple[int, Allocation]]:
        """Every (consumer, allocation), in no promised order."""
        entries = self._used
        for row, _, consumer, identity in entries[entries[:, ROW] != NONE].tolist():
            yield consumer, Allocation(row, self._amounts[identity])

    def intern(self, amounts: Amounts) -> int:
        """The number of ``amounts``, counted as one more use of it; so a caller may keep it from being forgotten."""
        identity = self._ids.get(amounts)
        if identity is None:
            if self._unused:
                identity = self._unused.pop()
                self._amounts[identity], self.uses[identity] = amounts, 0
            else:
                identity = len(self._amounts)
                self._amounts.append(amounts)
                if identity >= len(self.uses):
                    self.uses = np.concatenate([self.uses, np.zeros_like(self.uses)])
                    self.layout += 1
            self._ids[amounts] = identity
        self.uses[identity] += 1
        return identity


def _grown(column: NDArray[np.int32], needed: int) -> NDArray[np.int32]:
    bigger = np.full((max(needed, 2 * len(column)), *column.shape[1:]), NONE, dtype=np.int32)
    bigger[: len(column)] = column
    return bigger
