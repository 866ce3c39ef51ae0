"""Server groups: how many members each has on which host."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sundog.errors import InvariantError

_NOBODY: Final[Mapping[int, int]] = MappingProxyType({})


class ServerGroups:
    """Members by group and host row. The book that affinity rules are checked against; it forgets empty groups."""

    def __init__(self) -> None:
        self._members: dict[str, dict[int, int]] = {}

    def members(self, group: str) -> Mapping[int, int]:
        """Members of ``group`` by host row; empty for a group without members."""
        return self._members.get(group, _NOBODY)

    def join(self, group: str, row: int) -> None:
        """Count one more member on ``row``."""
        hosts = self._members.setdefault(group, {})
        hosts[row] = hosts.get(row, 0) + 1

    def leave(self, group: str, row: int) -> None:
        """Count one member less on ``row``.

        Raises: InvariantError if the group has none there.
        """
        hosts = self._members.get(group, {})
        if not hosts.get(row):
            raise InvariantError(f"server group {group} has no member on row {row} that could leave")
        hosts[row] -= 1
        if not hosts[row]:
            del hosts[row]
        if not hosts:
            del self._members[group]
