"""What can be done to simulated hosts besides driving them: let things go wrong on order, add hosts.

The names of faults are those of what can be provoked on real hosts: a power cut, a link that is down, a daemon that
does not answer, a connection that breaks just after a request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sundog.errors import InputError
from sundog.sim.spec import HostType
from sundog.units import Seconds

OPERATIONS: Final = (
    "list_servers", "fence", "spawn", "destroy", "rebuild", "power_on", "power_off", "reboot", "pause", "unpause",
    "suspend", "resume", "rescue", "unrescue", "resize_begin", "resize_finish", "resize_confirm", "resize_revert",
    "live_migrate", "live_migration_progress", "live_migration_abort", "live_migration_force", "snapshot", "plug",
    "unplug", "console_log", "open_console", "diagnostics", "set_password",
)  # fmt: skip
"""Every operation on a host, by the name of its method in ``ComputeDriver``."""


class FaultKind(StrEnum):
    """What goes wrong with an operation."""

    FAIL = "fail"
    """It does not happen: BackendFailed, after ``seconds``."""
    DELAY = "delay"
    """It takes ``seconds`` longer; it may outlive its deadline and happen all the same."""
    HANG = "hang"
    """The host never gets it: OutcomeUnknown at the deadline."""
    LOSE = "lose"
    """It happens and its reply is lost: OutcomeUnknown."""


class HostFault(StrEnum):
    """What befalls a host."""

    KILL = "kill"
    """A power cut. Its servers die; their disks stay."""
    REVIVE = "revive"
    """It is switched on, and back when it has booted, with its servers stopped."""
    FENCE = "fence"
    """It is switched off from outside, at once, and known to be off."""
    PARTITION = "partition"
    """Its links are down: out of reach, and its servers run on."""
    HEAL = "heal"
    """Its links are up again."""


class Placed(Protocol):
    """What a scope asks of a host; a ``HostRecord`` is one."""

    @property
    def uuid(self) -> str:
        """Its own id."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def rack(self) -> str | None:
        """Where it stands."""
        ...

    @property
    def zone(self) -> str | None:
        """Its availability zone."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Which hosts: one by name or uuid, those of a rack or a zone, those that have all that is given; empty is all."""

    host: str | None = None
    rack: str | None = None
    zone: str | None = None

    def __contains__(self, host: Placed) -> bool:
        """Whether a host is meant."""
        return (
            self.host in (None, host.name, host.uuid)
            and self.rack in (None, host.rack)
            and self.zone in (None, host.zone)
        )


EVERYWHERE: Final = Scope()


@dataclass(frozen=True, slots=True)
class OperationFault:
    """An order: the next ``count`` operations of a kind on a scope go wrong, each with ``probability``.

    ``operation`` None is any. ``count`` None is until it is withdrawn; only operations that do go wrong are counted.
    Raises: InputError for an order that makes no sense.
    """

    kind: FaultKind
    operation: str | None = None
    scope: Scope = EVERYWHERE
    count: int | None = 1
    probability: float = 1.0
    seconds: Seconds = 0.0

    def __post_init__(self) -> None:
        if self.operation is not None and self.operation not in OPERATIONS:
            raise InputError(f"there is no operation {self.operation!r}; the operations are {', '.join(OPERATIONS)}")
        if self.count is not None and self.count < 1:
            raise InputError(f"a fault that strikes {self.count} times never does; use at least 1, or None for always")
        if not 0.0 < self.probability <= 1.0:
            raise InputError(f"the probability {self.probability!r} is not above 0 and up to 1")
        if not 0.0 <= self.seconds < math.inf:
            raise InputError(f"{self.seconds!r} is not a number of seconds from 0 up")
        if self.kind is FaultKind.DELAY and not self.seconds:
            raise InputError("a delay needs its seconds")


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """An order that stands: its number, what is ordered, and how often it may still strike (None: always)."""

    number: int
    fault: OperationFault
    left: int | None


@dataclass(frozen=True, slots=True)
class NewHosts:
    """Hosts to be added. ``type`` is one of the fleet by its name, or a new one; without ``rack`` a rack is made."""

    type: str | HostType
    count: int = 1
    zone: str | None = None
    rack: str | None = None


class Playground(Protocol):
    """Simulated hosts, as somebody who may do anything to them sees them. Every call takes no time."""

    def types(self) -> Sequence[HostType]:
        """The types of hosts that there are, in the order in which they came."""
        ...

    def add_hosts(self, new: NewHosts) -> tuple[str, ...]:
        """Hosts that are there from now on, and at every later start; their uuids.

        Raises: InputError for a type that is not there, or is there differently, or cannot be counted.
        """
        ...

    def strike(self, fault: HostFault, scope: Scope) -> tuple[str, ...]:
        """Let something befall every host of a scope, now; their uuids. Raises: InputError if there is no such host."""
        ...

    def order(self, fault: OperationFault) -> int:
        """Let operations go wrong from now on; the order's number. Raises: InputError if its scope has no host."""
        ...

    def orders(self) -> tuple[StandingOrder, ...]:
        """The orders that stand, the oldest first."""
        ...

    def withdraw(self, number: int) -> None:
        """Let an order stand no longer; nothing happens if it does not."""
        ...
