"""libvirt's numbers for what a domain does and what happened to it, as the contract's words. Pure; needs no libvirt.

The numbers are part of libvirt's stable interface (``virDomainState``, ``virDomainEventType``); a test compares them
with those of the library where that is installed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from sundog.backends.contract import EventKind, PowerState


class DomainState(IntEnum):
    """``virDomainState``."""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


SHUTOFF_CRASHED: Final = 3
"""``VIR_DOMAIN_SHUTOFF_CRASHED``: why a domain is off."""
PAUSED_BY_USER: Final = 1
"""``VIR_DOMAIN_PAUSED_USER``: paused because somebody asked for it."""
PAUSED_MIGRATION: Final = 2
"""``VIR_DOMAIN_PAUSED_MIGRATION``: paused for the last moment of a live migration, or not here yet."""
PAUSED_STARTING_UP: Final = 11
"""``VIR_DOMAIN_PAUSED_STARTING_UP``: its process is only just there."""

LIVE: Final = (PowerState.RUNNING, PowerState.PAUSED)


def power_of(state: int, reason: int, *, saved: bool, finished: bool = True) -> PowerState:
    """What a copy is doing. ``saved``: libvirt holds an image of its memory. ``finished``: it was made to its end."""
    if state in (DomainState.RUNNING, DomainState.BLOCKED, DomainState.SHUTDOWN):  # the last is: about to be off
        return PowerState.RUNNING
    if state in (DomainState.PAUSED, DomainState.PMSUSPENDED):
        return PowerState.PAUSED
    if not finished:
        return PowerState.NOSTATE
    if saved:
        return PowerState.SUSPENDED
    if state == DomainState.CRASHED or (state == DomainState.SHUTOFF and reason == SHUTOFF_CRASHED):
        return PowerState.CRASHED
    return PowerState.SHUTDOWN


def is_arriving(state: int, reason: int, *, persistent: bool) -> bool:
    """Whether a live migration may still bring the guest, or not: libvirt defines one that has come, and lets go of
    one whose sender went away."""
    return state == DomainState.PAUSED and reason in (PAUSED_MIGRATION, PAUSED_STARTING_UP) and not persistent


class DomainEvent(IntEnum):
    """``virDomainEventType``."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


def kind_of(event: int, detail: int, before: PowerState | None) -> tuple[EventKind | None, PowerState | None]:
    """What is told of an event, None for nothing, and what the copy does after it, None for what it did.

    ``before`` is what it did as far as earlier events and listings say. libvirt also says *resumed* of a guest that is
    merely starting, and *suspended* of one that is paused for an instant to be saved or moved.
    """
    match event, detail:
        case DomainEvent.STARTED, 1:
            return None, PowerState.PAUSED  # it is not here before its source has let go
        case DomainEvent.STARTED, 2:
            return EventKind.RESUMED, PowerState.RUNNING
        case DomainEvent.STARTED, _:
            return EventKind.STARTED, PowerState.RUNNING
        case DomainEvent.SUSPENDED, 0:
            return (None if before is PowerState.PAUSED else EventKind.PAUSED), PowerState.PAUSED
        case DomainEvent.RESUMED, 1:
            return EventKind.MIGRATED, PowerState.RUNNING
        case DomainEvent.RESUMED, 0 if before is PowerState.PAUSED:
            return EventKind.UNPAUSED, PowerState.RUNNING
        case DomainEvent.STOPPED, 2:
            return EventKind.CRASHED, PowerState.CRASHED
        case DomainEvent.STOPPED, 3:
            return None, PowerState.SHUTDOWN  # what it left behind is told as removed
        case DomainEvent.STOPPED, 4:
            return EventKind.SUSPENDED, PowerState.SUSPENDED
        case DomainEvent.STOPPED, _:
            return EventKind.STOPPED, PowerState.SHUTDOWN
        case DomainEvent.CRASHED, _:
            return EventKind.CRASHED, PowerState.CRASHED
        case DomainEvent.UNDEFINED, _:
            return EventKind.REMOVED, None
    return None, None
