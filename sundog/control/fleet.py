"""The hosts of a cloud, for its administrator: who they are and what happens on them, and faults and more of them.

What goes wrong on order, and hosts out of nothing, are there only where hosts are simulated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from sundog.backends.contract import ComputeDriver, EventKind, EventStream, HostRecord, LifecycleEvent
from sundog.backends.playground import HostFault, NewHosts, OperationFault, Playground, Scope, StandingOrder
from sundog.control.compute.records import Host
from sundog.errors import Conflict, InputError, Invalid, NotFound, Unavailable
from sundog.runtime import aio, clock
from sundog.sim.spec import HostType
from sundog.units import Seconds

MOST_WATCHES: Final = 64
"""Streams of events that may be open at once: each keeps what its reader has not taken yet."""

_DEADLINE: Final[Seconds] = 30.0


@dataclass(frozen=True, slots=True)
class Happening:
    """Something happened on a host at ``time`` (UTC); without a host where events of any host were lost.

    ``server`` is a server's uuid; ``generation`` says which copy of it.
    """

    kind: EventKind
    time: datetime
    host_id: str | None = None
    host_name: str | None = None
    server: str | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class FleetHost:
    """A host as the driver knows it, and whether compute gives it servers; ``reason`` says why not."""

    record: HostRecord
    enabled: bool = True
    reason: str | None = None


class HostServices(Protocol):
    """Compute's services, one on each host; ``compute.Hosts`` are some."""

    def by_uuid(self, uuid: str | None) -> Host | None:
        """The service on a host, None if compute does not know it yet."""
        ...

    def update(self, service_id: str, *, disabled: bool | None, disabled_reason: str | None) -> Host:
        """Let it take new servers, or none any more."""
        ...

    async def register(self) -> None:
        """Get to know the driver's hosts."""
        ...


class Fleet:
    """The hosts that ``driver`` knows, with compute's ``services`` on them.

    What else can be done to them is ``playground``'s, None for real ones.
    """

    def __init__(self, driver: ComputeDriver, services: HostServices, playground: Playground | None = None) -> None:
        self._driver, self._services, self._playground = driver, services, playground
        self._watches: dict[Watch, None] = {}
        self._names: dict[str, str] = {}

    # ---------------------------------------------------------------- hosts

    async def hosts(
        self, *, state: str | None = None, rack: str | None = None, zone: str | None = None
    ) -> list[FleetHost]:
        """The hosts that have all that is given, in the order in which they came."""
        return [
            self._told(host)
            for host in await self._driver.hosts(deadline=_DEADLINE)
            if state in (None, host.state) and rack in (None, host.rack) and zone in (None, host.zone)
        ]

    async def host(self, name: str) -> FleetHost:
        """The host with this id or name. Raises: NotFound."""
        return (await self._of(Scope(host=name)))[0]

    def _told(self, host: HostRecord) -> FleetHost:
        service = self._services.by_uuid(host.uuid)
        return FleetHost(host) if service is None else FleetHost(host, not service.disabled, service.disabled_reason)

    async def _of(self, scope: Scope) -> list[FleetHost]:
        found = [self._told(host) for host in await self._driver.hosts(deadline=_DEADLINE) if host in scope]
        if not found:
            asked = ", ".join(
                f"{what} {name!r}"
                for what, name in (("host", scope.host), ("rack", scope.rack), ("zone", scope.zone))
                if name is not None
            )
            raise NotFound(f"there is no host with {asked or 'anything'}; list the hosts to see their racks and zones")
        return found

    async def drain(self, scope: Scope, reason: str | None = None) -> list[FleetHost]:
        """Give the hosts of a scope no new servers; what runs there runs on. Raises: NotFound."""
        return await self._enable(scope, disabled=True, reason=reason)

    async def undrain(self, scope: Scope) -> list[FleetHost]:
        """Give the hosts of a scope servers again. Raises: NotFound."""
        return await self._enable(scope, disabled=False, reason=None)

    async def _enable(self, scope: Scope, *, disabled: bool, reason: str | None) -> list[FleetHost]:
        await self._services.register()  # a host that has only just come
        for host in await self._of(scope):
            service = self._services.by_uuid(host.record.uuid)
            if service is not None:
                self._services.update(service.service_id, disabled=disabled, disabled_reason=reason)
        return await self._of(scope)

    def types(self) -> Sequence[HostType]:
        """The types of simulated hosts. Raises: Conflict on real ones."""
        return self._simulated().types()

    async def add(self, new: NewHosts) -> list[FleetHost]:
        """Hosts that take servers from now on. Raises: Conflict on real ones; Invalid for a type that cannot be."""
        with _asked():
            added = self._simulated().add_hosts(new)
        await self._services.register()
        by_id = {host.uuid: host for host in await self._driver.hosts(deadline=_DEADLINE)}
        return [self._told(by_id[uuid]) for uuid in added]

    # ---------------------------------------------------------------- what goes wrong

    async def strike(self, fault: HostFault, scope: Scope) -> list[FleetHost]:
        """Let something befall every host of a scope, now; the hosts as they are known after it.

        Raises: Conflict on real hosts; NotFound for a scope without any.
        """
        playground = self._simulated()
        await self._of(scope)
        playground.strike(fault, scope)
        return await self._of(scope)

    async def order(self, fault: OperationFault) -> StandingOrder:
        """Let operations go wrong from now on. Raises: Conflict on real hosts; NotFound for a scope without any."""
        playground = self._simulated()
        await self._of(fault.scope)
        return self.standing(playground.order(fault))

    def orders(self) -> Sequence[StandingOrder]:
        """The orders that stand, the oldest first; none on real hosts."""
        return () if self._playground is None else self._playground.orders()

    def standing(self, number: int) -> StandingOrder:
        """The order with this number. Raises: NotFound if it does not stand, any more or at all."""
        found = next((each for each in self.orders() if each.number == number), None)
        if found is None:
            raise NotFound(
                f"no fault {number} is ordered: it was taken back, has struck as often as it should, or never was"
            )
        return found

    def withdraw(self, number: int) -> None:
        """Take an order back. Raises: NotFound if it does not stand."""
        self.standing(number)
        self._simulated().withdraw(number)

    def _simulated(self) -> Playground:
        if self._playground is None:
            raise Conflict("this cloud has no simulated hosts: nothing goes wrong on order, and no hosts can be added")
        return self._playground

    # ---------------------------------------------------------------- what happens

    def watch(self) -> Watch:
        """What happens on hosts from now on; close it in the end. Raises: Unavailable if too many are open."""
        if len(self._watches) >= MOST_WATCHES:
            raise Unavailable(f"{MOST_WATCHES} streams of events are open, which is the most; close one of them")
        watch = Watch(self, self._driver.events())
        self._watches[watch] = None
        return watch

    @property
    def watches(self) -> int:
        """How many are open."""
        return len(self._watches)

    def forget(self, watch: Watch) -> None:
        """``watch`` is closed."""
        self._watches.pop(watch, None)

    def close(self) -> None:
        """End every watch: their readers get the end."""
        for watch in list(self._watches):
            watch.close()

    async def name_of(self, uuid: str) -> str | None:
        """The name of a host, None for one that is not there."""
        if uuid not in self._names:
            self._names = {host.uuid: host.name for host in await self._driver.hosts(deadline=_DEADLINE)}
        return self._names.get(uuid)


class Watch:
    """A stream of what happens. It keeps so many events for its reader; if more are lost, it says that they are."""

    def __init__(self, fleet: Fleet, events: EventStream) -> None:
        self._fleet, self._events = fleet, events
        self._next = events.__aiter__()

    async def next(self, within: Seconds) -> Happening | None:
        """What happens next; None if nothing does for ``within`` seconds. Raises: StopAsyncIteration at the end."""
        try:
            async with aio.timeout(within):
                event = await anext(self._next)
        except TimeoutError:
            return None
        return await self._told(event)

    async def _told(self, event: LifecycleEvent) -> Happening:
        time = clock.utcnow() - timedelta(seconds=clock.now() - event.time)
        host, server = event.host or None, event.server
        return Happening(
            event.kind,
            time,
            host,
            None if host is None else await self._fleet.name_of(host),
            None if server is None else server.uuid,
            None if server is None else server.generation,
        )

    def close(self) -> None:
        """End it."""
        self._events.close()
        self._fleet.forget(self)


@contextmanager
def _asked() -> Iterator[None]:
    """What a playground refuses is what a client asked for."""
    try:
        yield
    except InputError as exc:
        raise Invalid(exc.message) from exc
