"""In which states Nova lets things be asked of servers: what ``nova.compute.api`` checks, as of Nova 34.

``tests/system/test_real_nova_states.py`` reads the same out of the real Nova.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ANY: Final = None
"""Whatever the state is."""

_ALIVE: Final = frozenset(("active", "stopped", "paused", "suspended"))
_SURE: Final = frozenset(("active", "stopped", "error"))
_PLUGGABLE: Final = frozenset(("active", "stopped", "paused"))
_IDLE: Final = frozenset((None,))
_MIGRATING: Final = frozenset(("migrating",))


@dataclass(frozen=True, slots=True)
class Allowed:
    """The vm states, and the task states of what is under way meanwhile."""

    vm_states: frozenset[str] | None
    task_states: frozenset[str | None] | None = _IDLE


NOVA: Final[Mapping[str, Allowed]] = {
    "start": Allowed(frozenset(("stopped",))),
    "stop": Allowed(frozenset(("active", "error"))),
    "_soft_reboot": Allowed(frozenset(("active",))),
    "_hard_reboot": Allowed(
        _ALIVE | {"error"},
        frozenset(
            (
                None, "rebooting", "reboot_pending", "reboot_started", "resuming", "rebooting_hard", "unpausing",
                "pausing", "suspending",
            )
        ),
    ),
    "pause": Allowed(frozenset(("active",))),
    "unpause": Allowed(frozenset(("paused",))),
    "suspend": Allowed(frozenset(("active",))),
    "resume": Allowed(frozenset(("suspended",))),
    "rescue": Allowed(_SURE),
    "unrescue": Allowed(frozenset(("rescued",))),
    "set_admin_password": Allowed(frozenset(("active",))),
    "trigger_crash_dump": Allowed(frozenset(("active", "paused", "rescued", "resized", "error"))),
    "rebuild": Allowed(_SURE),
    "resize": Allowed(frozenset(("active", "stopped"))),
    "confirm_resize": Allowed(frozenset(("resized",))),
    "revert_resize": Allowed(frozenset(("resized",))),
    "live_migrate": Allowed(frozenset(("active", "paused"))),
    "live_migrate_abort": Allowed(ANY, _MIGRATING),
    "live_migrate_force_complete": Allowed(frozenset(("active",)), _MIGRATING),
    "evacuate": Allowed(_SURE, ANY),
    "shelve": Allowed(_ALIVE),
    "shelve_offload": Allowed(frozenset(("shelved",))),
    "unshelve": Allowed(frozenset(("shelved", "shelved_offloaded"))),
    "snapshot": Allowed(_ALIVE),
    "backup": Allowed(_ALIVE),
    "attach_interface": Allowed(_PLUGGABLE),
    "detach_interface": Allowed(_PLUGGABLE),
    "update_instance_metadata": Allowed(_ALIVE, ANY),
    "delete_instance_metadata": Allowed(_ALIVE, ANY),
    "delete": Allowed(ANY, ANY),
    "force_delete": Allowed(ANY, ANY),
    "restore": Allowed(frozenset(("soft-delete",))),
}  # fmt: skip
"""By the names of its methods."""

TAGS: Final = Allowed(_ALIVE, ANY)
"""Of tags: Nova checks it in its API, ``nova.api.openstack.compute.server_tags``."""

METHODS: Final[Mapping[str, str]] = {
    "reboot": "_soft_reboot",
    "reboot_hard": "_hard_reboot",
    "migrate": "resize",
    "abort_live_migration": "live_migrate_abort",
    "force_complete": "live_migrate_force_complete",
    "update_metadata": "update_instance_metadata",
    "delete_metadata": "delete_instance_metadata",
}
"""Which of them a line of our table is, where the names differ."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "soft_delete": "deleting is at once",
    "snapshot_volume_backed": "there are no volumes",
    "attach_volume": "there are no volumes",
    "detach_volume": "there are no volumes",
    "swap_volume": "there are no volumes",
    "do_volume_snapshot_create": "there are no volumes",
    "do_volume_snapshot_delete": "there are no volumes",
}
"""What Nova checks and we have not, and why."""


def nova_allows(name: str) -> Allowed:
    """What Nova says of a line of our table."""
    return TAGS if name.endswith(("_tag", "_tags")) else NOVA[METHODS.get(name, name)]
