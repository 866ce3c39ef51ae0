"""Faults on order: operations that fail, hang or lose their reply, and hosts that die, are cut off, and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sundog.backends.playground import FaultKind, HostFault, OperationFault, Scope
from sundog.backends.simulated.machine import Machine
from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.units import Seconds


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
            if fault.operation not in (None, operation) or machine.spec not in fault.scope:
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
        found = [machine for machine in self._machines() if machine.spec in scope]
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
