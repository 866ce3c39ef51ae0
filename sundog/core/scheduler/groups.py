"""Server groups: how many members each has on which host."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sundog.errors import InvariantError

_NOBODY: Final[Mapping[int, int]] = MappingProxyType({})
NONE: Final = -1


class ServerGroups:
    """Members by group and host row. The book that affinity rules are checked against; it forgets empty groups.

    An entry is (host row, members, next entry of the group) in columns, which compiled code reads and writes too.
    ``head`` is the first entry of each group by its code, ``marks`` is (entries ever used, first of those given back);
    ``layout`` grows whenever a column is replaced by a longer one.
    """

    def __init__(self) -> None:
        self.layout = 0
        self.head: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self.row: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self.count: NDArray[np.int32] = np.zeros(16, dtype=np.int32)
        self.next: NDArray[np.int32] = np.full(16, NONE, dtype=np.int32)
        self.marks: NDArray[np.int64] = np.asarray([0, NONE], dtype=np.int64)
        self._codes: dict[str, int] = {}
        self._kept: dict[int, None] = {}
        self._unused: list[int] = []

    def members(self, group: str) -> Mapping[int, int]:
        """Members of ``group`` by host row, rows ascending; empty for a group without members."""
        code = self._codes.get(group)
        if code is None or self.head[code] == NONE:
            return _NOBODY
        found, entry = {}, int(self.head[code])
        while entry != NONE:
            found[int(self.row[entry])] = int(self.count[entry])
            entry = int(self.next[entry])
        return dict(sorted(found.items()))

    def code(self, group: str, *, keep: bool = False) -> int:
        """The number of ``group``; the same for as long as it has members, or for good with ``keep``."""
        code = self._codes.get(group)
        if code is None:
            code = self._unused.pop() if self._unused else len(self._codes)
            self._codes[group] = code
            if code >= len(self.head):
                self.head = np.concatenate([self.head, np.full_like(self.head, NONE)])
                self.layout += 1
        if keep:
            self._kept[code] = None
        return code

    def reserve(self, entries: int) -> None:
        """Make room for ``entries`` pairs of group and host in all."""
        if entries > len(self.row):
            more = max(entries, 2 * len(self.row)) - len(self.row)
            for name in ("row", "count", "next"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.full(more, NONE, dtype=column.dtype)]))
            self.layout += 1

    def join(self, group: str, row: int) -> None:
        """Count one more member on ``row``."""
        code = self.code(group)
        entry, _ = self._find(code, row)
        if entry != NONE:
            self.count[entry] += 1
            return
        entry = int(self.marks[1])
        if entry != NONE:
            self.marks[1] = self.next[entry]
        else:
            entry = int(self.marks[0])
            self.marks[0] = entry + 1
            self.reserve(entry + 1)
        self.row[entry], self.count[entry] = row, 1
        self.next[entry] = self.head[code]
        self.head[code] = entry

    def leave(self, group: str, row: int) -> None:
        """Count one member less on ``row``.

        Raises: InvariantError if the group has none there.
        """
        code = self._codes.get(group, NONE)
        entry, before = self._find(code, row)
        if entry == NONE:
            raise InvariantError(f"server group {group} has no member on row {row} that could leave")
        self.count[entry] -= 1
        if self.count[entry]:
            return
        if before == NONE:
            self.head[code] = self.next[entry]
        else:
            self.next[before] = self.next[entry]
        self.next[entry] = self.marks[1]
        self.marks[1] = entry
        if self.head[code] == NONE and code not in self._kept:
            del self._codes[group]
            self._unused.append(code)

    def _find(self, code: int, row: int) -> tuple[int, int]:
        """The entry of a group for ``row`` and the one before it; -1 where there is none."""
        before, entry = NONE, int(self.head[code]) if code != NONE else NONE
        while entry != NONE and self.row[entry] != row:
            before, entry = entry, int(self.next[entry])
        return entry, before
