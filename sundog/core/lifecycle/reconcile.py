"""What to do about the difference between the books and a host: pure, so that it can be tried on every case.

A copy that the books do not know is stale, and stopped; never the reverse. What the books know and the host does not
hold is a server in ERROR. Otherwise the host says what a server is doing, except that one that its owner stopped stays
stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sundog.core.lifecycle.servers import FOLLOWS, Power, VmState

Copy: TypeAlias = tuple[str, int]
"""A copy of a server: its uuid and its generation."""


@dataclass(frozen=True, slots=True)
class Known:
    """A server that the books have on a host. ``settled``: nothing is under way on it."""

    vm_state: VmState
    power: Power
    settled: bool = True
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """What the host holds. ``busy``: something is under way on it there, so that it is left alone."""

    power: Power
    kept: bool = False
    busy: bool = False
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remove:
    """Destroy a copy that should not be there."""

    copy: Copy


@dataclass(frozen=True, slots=True)
class PowerOff:
    """Stop a copy that its owner had stopped."""

    copy: Copy


@dataclass(frozen=True, slots=True)
class Release:
    """Make a copy an ordinary one that a resize kept, since the server is to be where it was."""

    copy: Copy


@dataclass(frozen=True, slots=True)
class Plug:
    """Give a copy a port that its server has."""

    copy: Copy
    port: str


@dataclass(frozen=True, slots=True)
class Unplug:
    """Take a port from a copy that its server has not, or not any more."""

    copy: Copy
    port: str


@dataclass(frozen=True, slots=True)
class Become:
    """Write down what a server is doing."""

    copy: Copy
    vm_state: VmState
    power: Power


@dataclass(frozen=True, slots=True)
class Missing:
    """The host does not hold a server that it should: ERROR."""

    copy: Copy


Step: TypeAlias = Remove | PowerOff | Release | Plug | Unplug | Become | Missing

_ALIVE = (VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED)


def reconcile(known: Mapping[Copy, Known], also_allowed: Sequence[Copy], held: Mapping[Copy, Held]) -> list[Step]:
    """The steps that make the books and one host agree.

    ``known`` are the servers that the books have there; ``also_allowed`` are copies that a move may have left or made
    there. Whatever is under way is left alone.
    """
    steps: list[Step] = []
    for copy, there in held.items():
        if there.busy:
            continue
        if copy in known:
            steps += _agree(copy, known[copy], there)
            steps += _plugs(copy, known[copy], there)
        elif copy not in also_allowed:
            steps.append(Remove(copy))
    steps += [
        Missing(copy)
        for copy, server in known.items()
        if copy not in held and server.settled and server.vm_state in (*_ALIVE, VmState.RESCUED, VmState.RESIZED)
    ]
    return steps


def _agree(copy: Copy, server: Known, there: Held) -> list[Step]:
    """What a server is doing, by its copy."""
    if not server.settled:
        return []
    if there.kept:  # the host was out of reach when its resize was taken back
        return [Release(copy)]
    if server.vm_state not in _ALIVE:
        return [Become(copy, server.vm_state, there.power)] if there.power is not server.power else []
    if server.vm_state is VmState.STOPPED and there.power in (Power.RUNNING, Power.PAUSED):
        return [PowerOff(copy)]
    if there.power is Power.NOSTATE:  # unfinished: what a power cut left of a move or a build
        return [Missing(copy)]
    if server.vm_state is VmState.SUSPENDED and there.power is Power.SUSPENDED:
        after = VmState.SUSPENDED
    else:
        after = FOLLOWS[there.power]
    if (after, there.power) == (server.vm_state, server.power):
        return []
    return [Become(copy, after, there.power)]


def _plugs(copy: Copy, server: Known, there: Held) -> list[Step]:
    """What gives a copy the ports of its server. An unfinished copy has none, and one in ERROR waits for better."""
    if not server.settled or there.kept or there.power is Power.NOSTATE or server.vm_state is VmState.ERROR:
        return []
    return [
        *(Unplug(copy, port) for port in there.ports if port not in server.ports),
        *(Plug(copy, port) for port in server.ports if port not in there.ports),
    ]
