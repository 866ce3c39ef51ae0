"""The life of a server as a table: what may be asked of it in which state, and what state it is in meanwhile and after.

States and names are Nova's (``nova.compute.vm_states``, ``task_states``, ``instance_actions``; which states an
operation is allowed in is what ``nova.compute.api`` checks). ``vm_state`` is what a server is, ``task_state`` what is
being done with it; None is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final


class VmState(StrEnum):
    """What a server is."""

    ACTIVE = "active"
    BUILDING = "building"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class TaskState(StrEnum):
    """What is being done with a server."""

    SCHEDULING = "scheduling"
    SPAWNING = "spawning"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_BACKUP = "image_backup"
    UPDATING_PASSWORD = "updating_password"  # noqa: S105 - a state, no password
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    RESIZE_CONFIRMING = "resize_confirming"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    POWERING_OFF = "powering-off"
    POWERING_ON = "powering-on"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    REBUILDING = "rebuilding"
    REBUILD_SPAWNING = "rebuild_spawning"
    MIGRATING = "migrating"
    DELETING = "deleting"
    SHELVING = "shelving"
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"


class Power(IntEnum):
    """Nova's numbers of power states."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7


FOLLOWS: Final[Mapping[Power, VmState]] = {
    Power.RUNNING: VmState.ACTIVE,
    Power.PAUSED: VmState.PAUSED,
    Power.SUSPENDED: VmState.SUSPENDED,
    Power.SHUTDOWN: VmState.STOPPED,
    Power.CRASHED: VmState.STOPPED,
}
"""What a server is by what its copy does, where nothing else is known of it."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the table.

    ``action`` is the name under which it is written down, ``word`` how messages call it (empty: by ``name``). It is
    allowed in one of the vm states ``before`` while one of ``tasks`` is under way (empty: whatever is); it sets
    ``task``, and leaves the server in ``after`` if it succeeds: None means as it was, but for the states in ``but``.
    """

    name: str
    action: str
    before: tuple[VmState, ...]
    task: TaskState | None
    after: VmState | None
    tasks: tuple[TaskState | None, ...] = (None,)
    word: str = ""
    but: Mapping[VmState, VmState] = field(default_factory=dict)

    def ends(self, vm_state: VmState) -> VmState:
        """What a server is afterwards that was in ``vm_state``."""
        return self.but.get(vm_state, self.after or vm_state)


_ACTIVE, _PAUSED, _STOPPED, _SUSPENDED = VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED, VmState.SUSPENDED
_ERROR = VmState.ERROR
_ANY: Final = tuple(VmState)
_ALIVE: Final = (_ACTIVE, _STOPPED, _PAUSED, _SUSPENDED)
_CRASHABLE: Final = (_ACTIVE, _PAUSED, VmState.RESCUED, VmState.RESIZED, _ERROR)
_HUNG: Final = (
    TaskState.REBOOTING, TaskState.REBOOTING_HARD, TaskState.PAUSING, TaskState.UNPAUSING, TaskState.SUSPENDING,
    TaskState.RESUMING,
)  # fmt: skip
"""What a hard reboot may put an end to."""

TABLE: Final[tuple[Transition, ...]] = (
    Transition("start", "start", (_STOPPED,), TaskState.POWERING_ON, _ACTIVE),
    Transition("stop", "stop", (_ACTIVE, _ERROR), TaskState.POWERING_OFF, _STOPPED),
    Transition("reboot", "reboot", (_ACTIVE,), TaskState.REBOOTING, _ACTIVE),
    Transition(
        "reboot_hard", "reboot", (*_ALIVE, _ERROR), TaskState.REBOOTING_HARD, _ACTIVE, (None, *_HUNG), word="reboot",
    ),
    Transition("pause", "pause", (_ACTIVE,), TaskState.PAUSING, _PAUSED),
    Transition("unpause", "unpause", (_PAUSED,), TaskState.UNPAUSING, _ACTIVE),
    Transition("suspend", "suspend", (_ACTIVE,), TaskState.SUSPENDING, _SUSPENDED),
    Transition("resume", "resume", (_SUSPENDED,), TaskState.RESUMING, _ACTIVE),
    Transition("rescue", "rescue", (_ACTIVE, _STOPPED, _ERROR), TaskState.RESCUING, VmState.RESCUED),
    Transition("unrescue", "unrescue", (VmState.RESCUED,), TaskState.UNRESCUING, _ACTIVE),
    Transition(
        "set_admin_password", "changePassword", (_ACTIVE,), TaskState.UPDATING_PASSWORD, None, word="changePassword",
    ),
    Transition("trigger_crash_dump", "trigger_crash_dump", _CRASHABLE, None, None),
    Transition(
        "rebuild", "rebuild", (_ACTIVE, _STOPPED, _ERROR), TaskState.REBUILDING, None, but={_ERROR: _ACTIVE},
    ),
    Transition("resize", "resize", (_ACTIVE, _STOPPED), TaskState.RESIZE_PREP, VmState.RESIZED),
    Transition("migrate", "migrate", (_ACTIVE, _STOPPED), TaskState.RESIZE_PREP, VmState.RESIZED),
    # It is what it was before it was resized: one that was stopped then is stopped.
    Transition(
        "confirm_resize", "confirmResize", (VmState.RESIZED,), TaskState.RESIZE_CONFIRMING, _ACTIVE,
        word="confirmResize",
    ),
    Transition(
        "revert_resize", "revertResize", (VmState.RESIZED,), TaskState.RESIZE_REVERTING, _ACTIVE, word="revertResize",
    ),
    Transition(
        "live_migrate", "live-migration", (_ACTIVE, _PAUSED), TaskState.MIGRATING, None, word="os-migrateLive",
    ),
    Transition(
        "abort_live_migration", "live_migration_cancel", _ANY, None, None, (TaskState.MIGRATING,),
        word="abort live migration",
    ),
    Transition(
        "force_complete", "live_migration_force_complete", (_ACTIVE,), None, None, (TaskState.MIGRATING,),
    ),
    Transition(
        "evacuate", "evacuate", (_ACTIVE, _STOPPED, _ERROR), TaskState.REBUILDING, None, but={_ERROR: _ACTIVE},
    ),
    Transition("shelve", "shelve", _ALIVE, TaskState.SHELVING, VmState.SHELVED),
    Transition(
        "shelve_offload", "shelveOffload", (VmState.SHELVED,), TaskState.SHELVING_OFFLOADING,
        VmState.SHELVED_OFFLOADED, word="shelveOffload",
    ),
    Transition(
        "unshelve", "unshelve", (VmState.SHELVED, VmState.SHELVED_OFFLOADED), TaskState.UNSHELVING, _ACTIVE,
    ),
    Transition("snapshot", "createImage", _ALIVE, TaskState.IMAGE_SNAPSHOT, None, word="createImage"),
    Transition("backup", "createBackup", _ALIVE, TaskState.IMAGE_BACKUP, None, word="createBackup"),
    Transition("attach_interface", "attach_interface", (_ACTIVE, _PAUSED, _STOPPED), None, None),
    Transition("detach_interface", "detach_interface", (_ACTIVE, _PAUSED, _STOPPED), None, None),
    *(
        Transition(word.replace(" ", "_"), "", _ALIVE, None, None, (), word=word)
        for word in ("update metadata", "delete metadata", "update tag", "update tags", "delete tag", "delete tags")
    ),
    Transition("delete", "delete", _ANY, TaskState.DELETING, VmState.DELETED, ()),
    Transition("force_delete", "forceDelete", _ANY, TaskState.DELETING, VmState.DELETED, (), word="forceDelete"),
    Transition("restore", "restore", (VmState.SOFT_DELETED,), None, _ACTIVE),
)  # fmt: skip

TRANSITIONS: Final = {each.name: each for each in TABLE}


def obstacle(name: str, vm_state: str, task_state: str | None) -> str | None:
    """What forbids ``name`` in these states, ``"vm_state building"`` for one; None if it is allowed."""
    transition = TRANSITIONS[name]
    if vm_state not in transition.before:
        return f"vm_state {vm_state}"
    if transition.tasks and task_state not in transition.tasks:
        return f"task_state {task_state}"
    return None
