"""Faults on order: operations that fail, hang or lose their reply, and hosts that die, are cut off, and come back.

The names are those of the faults that can be provoked on real hosts: a power cut, a link that is down, a daemon that
does not answer, a connection that breaks just after a request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from sundog.backends.simulated.machine import Machine
from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.units import Seconds

OPERATIONS: Final = (
    "list_servers", "fence", "spawn", "destroy", "rebuild", "power_on", "power_off", "reboot", "pause", "unpause",
    "suspend", "resume", "rescue", "unrescue", "resize_begin", "resize_finish", "resize_confirm", "resize_revert",
    "live_migrate", "live_migration_progress", "live_migration_abort", "snapshot", "plug", "unplug", "console_log",
    "console", "diagnostics", "set_password",
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


@dataclass(frozen=True, slots=True)
class Scope:
    """Which hosts: one by name or uuid, those of a rack or a zone, those that have all that is given; empty is all."""

    host: str | None = None
    rack: str | None = None
    zone: str | None = None

    def __contains__(self, machine: object) -> bool:
        """Whether a host is meant."""
        return (
            isinstance(machine, Machine)
            and self.host in (None, machine.name, machine.uuid)
            and self.rack in (None, machine.spec.rack)
            and self.zone in (None, machine.spec.zone)
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


@dataclass(slots=True)
class Order:
    """An order that stands: its number, what is ordered, and how often it may still strike (None: always)."""

    number: int
    fault: OperationFault
    left: int | None
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one operation: it starts ``delay`` seconds late, and then goes wrong in a way, or not."""

    kind: FaultKind | None = None
    delay: Seconds = 0.0


_IN_ORDER: Final = Verdict()


class Faults:
    """The orders that stand, and what strikes hosts. Each order has a random stream of its own, by its number."""

    def __init__(self, machines: Callable[[], Iterable[Machine]], streams: Streams) -> None:
        self._machines = machines
        self._streams = streams
        self._orders: dict[int, Order] = {}
        self._count = 0

    # -- operations

    def order(self, fault: OperationFault) -> int:
        """Let operations go wrong from now on; returns the number by which the order can be withdrawn.

        Raises: InputError if its scope has no host.
        """
        self._select(fault.scope)
        self._count += 1
        self._orders[self._count] = Order(self._count, fault, fault.count, self._streams.fresh(f"order-{self._count}"))
        return self._count

    def withdraw(self, number: int) -> None:
        """Let an order stand no longer; nothing happens if it does not."""
        self._orders.pop(number, None)

    def orders(self) -> tuple[Order, ...]:
        """The orders that stand, the oldest first."""
        return tuple(self._orders.values())

    def clear(self) -> None:
        """Withdraw every order."""
        self._orders.clear()

    def verdict(self, operation: str, machine: Machine) -> Verdict:
        """What becomes of the operation that is about to begin: delays add up, and the first other fault counts."""
        if not self._orders:
            return _IN_ORDER
        kind, delay = None, 0.0
        for order in self.orders():
            fault = order.fault
            if fault.operation not in (None, operation) or machine not in fault.scope:
                continue
            if fault.kind is not FaultKind.DELAY and kind is not None:
                continue
            if fault.probability < 1.0 and order.rng.random() >= fault.probability:
                continue
            delay += fault.seconds
            kind = kind if fault.kind is FaultKind.DELAY else fault.kind
            if order.left is not None:
                order.left -= 1
                if not order.left:
                    del self._orders[order.number]
        return Verdict(kind, delay)

    # -- hosts

    def strike(self, fault: HostFault, scope: Scope) -> tuple[str, ...]:
        """Let something befall every host of a scope, at this instant; returns their uuids.

        Nothing happens to a host that is so already. Raises: InputError if the scope has no host.
        """
        machines = self._select(scope)
        for machine in machines:
            match fault:
                case HostFault.KILL:
                    machine.kill()
                case HostFault.REVIVE:
                    machine.revive()
                case HostFault.FENCE:
                    machine.kill(fenced=True)
                case HostFault.PARTITION:
                    machine.partition()
                case HostFault.HEAL:
                    machine.heal()
        return tuple(machine.uuid for machine in machines)

    def _select(self, scope: Scope) -> list[Machine]:
        found = [machine for machine in self._machines() if machine in scope]
        if not found:
            raise InputError(f"no host fits {scope}; look at the names of hosts, racks and zones", scope=scope)
        return found


class OrderedTrouble:
    """``Faults`` for ``check_driver``: a ``Trouble`` of ``conformance.py``."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    async def fail(self, host: str, operation: str) -> None:
        """Let the next such operation fail."""
        self._faults.order(OperationFault(FaultKind.FAIL, operation, Scope(host)))

    async def hang(self, host: str, operation: str) -> None:
        """Let the next such operation get no answer."""
        self._faults.order(OperationFault(FaultKind.HANG, operation, Scope(host)))

    async def lose_reply(self, host: str, operation: str) -> None:
        """Let the reply to the next such operation be lost."""
        self._faults.order(OperationFault(FaultKind.LOSE, operation, Scope(host)))

    async def cut_power(self, host: str) -> None:
        """Kill the host."""
        self._faults.strike(HostFault.KILL, Scope(host))

    async def switch_on(self, host: str) -> None:
        """Revive the host."""
        self._faults.strike(HostFault.REVIVE, Scope(host))
