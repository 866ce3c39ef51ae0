"""What a server's states are called together: Nova's status, and back again for filters.

A server has a vm state, which lasts, and a task state while something is done to it. Clients see one word for both.
Source: the table of Nova's API, as of its microversion 2.104.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

UNKNOWN: Final = "UNKNOWN"
"""For states that are in no row of the table."""

_REBUILDING: Final = {
    "rebuilding": "REBUILD",
    "rebuild_block_device_mapping": "REBUILD",
    "rebuild_spawning": "REBUILD",
}
_RESIZING: Final = {
    "resize_prep": "RESIZE",
    "resize_migrating": "RESIZE",
    "resize_migrated": "RESIZE",
    "resize_finish": "RESIZE",
}

TABLE: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "active": (
        "ACTIVE",
        {
            "rebooting": "REBOOT",
            "reboot_pending": "REBOOT",
            "reboot_started": "REBOOT",
            "rebooting_hard": "HARD_REBOOT",
            "reboot_pending_hard": "HARD_REBOOT",
            "reboot_started_hard": "HARD_REBOOT",
            "updating_password": "PASSWORD",
            "migrating": "MIGRATING",
            **_REBUILDING,
            **_RESIZING,
        },
    ),
    "building": ("BUILD", {}),
    "stopped": ("SHUTOFF", {**_RESIZING, **_REBUILDING}),
    "resized": ("VERIFY_RESIZE", {"resize_reverting": "REVERT_RESIZE"}),
    "paused": ("PAUSED", {"migrating": "MIGRATING"}),
    "suspended": ("SUSPENDED", {}),
    "rescued": ("RESCUE", {}),
    "error": ("ERROR", _REBUILDING),
    "deleted": ("DELETED", {}),
    "soft-delete": ("SOFT_DELETED", {}),
    "shelved": ("SHELVED", {}),
    "shelved_offloaded": ("SHELVED_OFFLOADED", {}),
}
"""By vm state: the status in general, and those by task state."""


def status_of(vm_state: str, task_state: str | None, *, deleted: bool = False) -> str:
    """The status of a server in these states. One that is deleted is DELETED, whatever it was before."""
    if deleted:
        return "DELETED"
    usual, by_task = TABLE.get(vm_state, (UNKNOWN, {}))
    return usual if task_state is None else by_task.get(task_state, usual)


def states_of(statuses: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The vm states and task states of servers that a filter by these statuses finds; in any case of letters.

    No vm states means that none of the statuses is known. None for the task states means any: as in Nova, a filter for
    ACTIVE also finds servers that are being rebooted, which it would call REBOOT.
    """
    wanted = {each.upper() for each in statuses}
    vm_states: list[str] = []
    task_states: set[str] = set()
    any_task = False
    for vm_state, (usual, by_task) in TABLE.items():
        tasks = [task for task, status in by_task.items() if status in wanted]
        if usual in wanted or tasks:
            vm_states.append(vm_state)
        any_task = any_task or usual in wanted
        task_states.update(tasks)
    return tuple(sorted(vm_states)), None if any_task else tuple(sorted(task_states))
