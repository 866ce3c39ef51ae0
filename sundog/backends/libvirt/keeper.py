"""What a host holds of copies, and what every operation on them is made of: look, define, start, stop, remove."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final, Protocol, TypeVar, get_args

from sundog.backends.contract import HostState, PowerState, ServerKey
from sundog.backends.events import EventPublisher
from sundog.backends.libvirt.domain_xml import write_domain
from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.host_xml import write_network
from sundog.backends.libvirt.images import Images
from sundog.backends.libvirt.link import HostSpec, Link, Patience, Seen
from sundog.backends.libvirt.native import Connection, Library
from sundog.backends.libvirt.operations import Operations
from sundog.backends.libvirt.plan import log_name, volume_name
from sundog.backends.libvirt.records import Disk, DiskRole, Domain, Interface, bridge_name, domain_name
from sundog.errors import BackendFailed, HostDown, InputError, NoSuchServer, OutcomeUnknown
from sundog.runtime import aio, clock
from sundog.units import Seconds

T = TypeVar("T")

# How often an end is looked for that libvirt does not announce, in seconds.
LOOK_S: Final = 0.2
# How often a guest is asked to shut down, in seconds: as often as Nova does.
ASK_S: Final = 10.0
# How long what moves a guest's memory or disk may take, in seconds.
LONG_S: Final = 3600.0


class Fencer(Protocol):
    """Switches hosts off without their help."""

    def fences(self, host: HostSpec) -> bool:
        """Whether it knows how to switch this host off."""
        ...

    async def fence(self, host: HostSpec) -> None:
        """Return when nothing runs on the host; it being off already is a success. Raises: BackendFailed."""
        ...


class Plugs(Protocol):
    """Gets a host ready for ports: bridges, tunnels, filters."""

    async def prepare(self, host: Link, ports: Sequence[str]) -> None:
        """Return when they may be plugged. ``host.networks`` is held. Raises: BackendFailed."""
        ...

    async def catch_up(self, host: Link, ports: Sequence[str]) -> None:
        """Return when what is plugged may send again after it was quiet. Raises: BackendFailed."""
        ...

    def left(self, host: Link, networks: Iterable[str]) -> None:
        """These networks of libvirt's were taken off a host."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What a cloud's owner may choose.

    ``soft_s`` is how long a guest is given to shut itself down, ``detach_s`` to let go of a card, in seconds.
    """

    soft_s: Seconds = 60.0
    detach_s: Seconds = 60.0
    patience: Patience = field(default_factory=Patience)


def distinct(hosts: Iterable[HostSpec]) -> tuple[HostSpec, ...]:
    """The hosts, each with a name, an address and a uuid of its own. Raises: InputError."""
    specs = tuple(hosts)
    for what in ("name", "uri", "uuid"):
        values = [getattr(spec, what) for spec in specs]
        twice = [value for value in values if value and values.count(value) > 1]
        if twice:
            raise InputError(f"two hosts have the {what} {twice[0]}; each needs its own")
    return specs


class Keeper:
    """The hosts, what is under way on them, and how their copies are handled."""

    def __init__(
        self, native: Library, hosts: Iterable[HostSpec], images: Images, group: aio.TaskGroup,
        fencer: Fencer | None, settings: Settings,
    ) -> None:  # fmt: skip
        self._events = EventPublisher()
        self._settings, self._fencer, self._native = settings, fencer, native
        self.links: tuple[Link, ...] = ()
        self._numbers = itertools.count()
        self._tasks: dict[Link, asyncio.Task[None]] = {}
        self._group = group
        self.drive(hosts)
        self._images = images
        self._operations = Operations(group)
        self._plugs: Plugs | None = None
        self._moving: dict[tuple[int, ServerKey], Callable[[], Awaitable[None]]] = {}

    def plug_into(self, plugs: Plugs) -> None:
        """From now on ports are made ready by a network driver, which was made over the links of this one."""
        self._plugs = plugs

    # ---------------------------------------------------------------------------------------------------- a host

    def _twin_of(self, link: Link, uuid: str) -> str | None:
        """The name of another host with this uuid."""
        return next((other.name for other in self.links if other is not link and other.uuid == uuid), None)

    def drive(self, hosts: Iterable[HostSpec]) -> None:
        """Drive these hosts from now on: connect those that are new, let those go that are left out or changed.

        A host that is let go is down for those who listen; its guests run on. Raises: InputError if two have one name,
        address or uuid; nothing has changed then.
        """
        specs = distinct(hosts)
        before = {link.spec: link for link in self.links}
        self.links = tuple(before.get(spec) or self._connected(spec) for spec in specs)
        for link in before.values():
            if link not in self.links:
                link.retire()
                self._tasks.pop(link).cancel()

    def _connected(self, spec: HostSpec) -> Link:
        publish, patience = self._events.publish, self._settings.patience
        link = Link(next(self._numbers), spec, self._native, publish, patience, self._twin_of)
        self._tasks[link] = self._group.create_task(link.run(), name=f"host {spec.name}")
        return link

    def disconnect(self) -> None:
        """Let all hosts go, as at the end."""
        for task in self._tasks.values():
            task.cancel()

    def _link(self, host: str) -> Link:
        for link in self.links:
            if link.uuid == host:
                return link
        raise BackendFailed(f"there is no host {host}; hosts() lists those that there are", host=host)

    def _up(self, host: str) -> Link:
        link = self._link(host)
        if link.state is not HostState.UP:
            raise HostDown(f"host {link.name} is {link.state}: {link.reason}", host=host)
        return link

    # -------------------------------------------------------------------------------------------- what is on a host

    async def _copies(self, link: Link, server: str) -> list[Seen]:
        """Every copy of a server on a host."""

        def look(connection: Connection) -> list[Seen]:
            mine = [
                domain
                for domain in connection.listAllDomains(0)
                if domain.UUIDString() == server or domain.name().startswith(f"sundog-{server}")
            ]
            found = [seen for domain in mine if (seen := link.look(domain)) is not None]
            return [seen for seen in found if seen.domain.stamp.server == server]

        return await link.call("look", look)

    async def _need(self, link: Link, key: ServerKey) -> Seen:
        """A copy that is there and finished. Raises: NoSuchServer."""
        copies = await self._copies(link, key.uuid)
        for seen in sorted(copies, key=lambda each: not each.domain.stamp.kept):
            if seen.key == key and seen.domain.stamp.finished:
                return seen
        there = tuple(seen.key for seen in copies)
        raise NoSuchServer(
            f"host {link.name} has no server {key}" + (f", but {there[0]}" if there else ""),
            host=link.uuid, server=key, there=there,
        )  # fmt: skip

    async def _usable(self, link: Link, key: ServerKey) -> Seen:
        """A copy that is there, finished, and not kept for a revert."""
        seen = await self._need(link, key)
        if seen.domain.stamp.kept:
            raise BackendFailed(
                f"server {key} on host {link.name} is kept for a revert, and nothing else can be done with it",
                host=link.uuid, server=key,
            )  # fmt: skip
        return seen

    def _alone(self, link: Link, copies: Iterable[Seen], key: ServerKey, *, but: ServerKey | None = None) -> None:
        others = [seen.key for seen in copies if seen.key not in (key, but)]
        if others:
            raise BackendFailed(
                f"host {link.name} has another copy of server {key.uuid}, generation {others[0].generation}; "
                "destroy that first",
                host=link.uuid,
                there=tuple(others),
            )

    async def _on(
        self, operation: str, host: str, key: ServerKey, deadline: Seconds, act: Callable[[Link, Seen], Awaitable[T]],
        *, turn: bool = True,
    ) -> T:  # fmt: skip
        """An operation on one copy that must be there."""
        link = self._up(host)

        async def work() -> T:
            return await act(link, await self._usable(link, key))

        return await self._operations.ask(operation, deadline, work, (link, key), turn=turn)

    async def _do(
        self, link: Link, seen: Seen, operation: str, act: Callable[[Any], T], *, limit: Seconds | None = None
    ) -> T:
        """Do something to a copy's domain, in a thread."""

        def find(connection: Connection) -> T:
            return act(connection.lookupByUUIDString(seen.domain.uuid))

        return await link.call(operation, find, server=seen.key, limit=limit)

    async def _define(self, link: Link, domain: Domain) -> None:
        """Let the host know a domain, or know it anew; nobody else's is touched."""
        text = write_domain(domain)

        def define(connection: Connection) -> None:
            for find, value in (
                (connection.lookupByUUIDString, domain.uuid),
                (connection.lookupByName, domain.name),
            ):
                try:
                    there = find(value)
                except self._native.libvirtError as error:
                    if error.get_error_code() != Code.NO_DOMAIN:
                        raise
                else:
                    if link.look(there) is None:
                        raise BackendFailed(
                            f"host {link.name} has a domain {value} that is not ours; somebody must rename it",
                            host=link.uuid,
                        )
            connection.defineXML(text)

        link.expect(domain)
        await link.call("define", define, server=domain.stamp.key)

    async def _undefine(self, link: Link, domain: Domain) -> None:
        """Stop a domain and let the host forget it; it is well if that was done before."""
        native = self._native

        def undefine(connection: Connection) -> bool:
            try:
                there = connection.lookupByUUIDString(domain.uuid)
                if not self._is_ours(link, there, domain):
                    return False
                if there.isActive():
                    there.destroy()
                there.undefineFlags(
                    native.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | native.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    | native.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                    | native.VIR_DOMAIN_UNDEFINE_NVRAM
                )
            except native.libvirtError as error:
                if error.get_error_code() != Code.NO_DOMAIN:
                    raise
                return False
            return True

        if not await link.call("undefine", undefine, server=domain.stamp.key):
            link.forget(domain)  # no event will come

    def _is_ours(self, link: Link, there: Any, domain: Domain) -> bool:
        """Whether what has a domain's uuid is a copy of its server, and not somebody else's domain."""
        seen = link.look(there)
        return seen is not None and seen.domain.stamp.server == domain.stamp.server

    async def _stop(self, link: Link, domain: Domain) -> None:
        """Cut a domain off; one that is off, or gone, is well."""
        native = self._native

        def stop(connection: Connection) -> None:
            try:
                there = connection.lookupByUUIDString(domain.uuid)
                if self._is_ours(link, there, domain):
                    there.destroy()
            except native.libvirtError as error:
                if error.get_error_code() not in (Code.NO_DOMAIN, Code.OPERATION_INVALID):
                    raise

        await link.call("stop", stop, server=domain.stamp.key)

    async def _remove(self, link: Link, domain: Domain) -> None:
        """Leave nothing of a copy: it is stopped, its files go, and its domain last."""
        await self._stop(link, domain)
        await self._delete_files(link, domain, domain.disks)
        await link.storage.delete_logs(PurePosixPath(domain.console_log).name)
        await self._leave_networks(link, domain)
        await self._undefine(link, domain)

    async def _remove_files(self, link: Link, key: ServerKey) -> None:
        """Delete what is left of a copy whose domain somebody undefined; not below a domain that has its name still."""
        if not await link.call("look", partial(self._is_defined, key)):
            await link.storage.delete(*(volume_name(key, role) for role in get_args(DiskRole)))
            await link.storage.delete_logs(log_name(key))

    def _is_defined(self, key: ServerKey, connection: Connection) -> bool:
        """Whether a host has a domain that is called as one of this server's, whoever's it is by now."""
        domains = connection.listAllDomains(0)
        return any(each.UUIDString() == key.uuid or each.name().startswith(domain_name(key)) for each in domains)

    async def _delete_files(self, link: Link, domain: Domain, disks: Iterable[Disk]) -> None:
        """Delete disks that are the copy's own; a path that is not one of ours is somebody's idea, and left alone."""
        names = [PurePosixPath(disk.path) for disk in disks]
        mine = [
            path.name
            for path in names
            if str(path.parent) == link.spec.pool and path.name.startswith(f"{domain.stamp.server}-")
        ]
        await link.storage.delete(*mine)

    # -- networks

    async def _have_networks(self, link: Link, domain: Domain) -> None:
        async with link.networks:
            for card in domain.interfaces:
                await link.call("network", partial(self._have_network, link, card))
            if self._plugs is not None:
                await self._plugs.prepare(link, [card.port for card in domain.interfaces])

    def _have_network(self, link: Link, card: Interface, connection: Connection) -> None:
        try:
            network = connection.networkLookupByName(card.network)
        except self._native.libvirtError as error:
            if error.get_error_code() != Code.NO_NETWORK:
                raise
            bridge = bridge_name(card.network.removeprefix("sundog-"))
            text = write_network(card.network, bridge, card.mtu, own=not link.spec.bridged)
            network = connection.networkDefineXML(text)
            network.setAutostart(1)
        if not network.isActive():
            network.create()

    async def _leave_networks(self, link: Link, domain: Domain) -> None:
        """Remove a copy's networks from the host, but those that another copy there has."""
        async with link.networks:
            link.vacate(domain)
            used = {name for known in link.known.values() for name in known.networks}
            idle = {card.network for card in domain.interfaces} - used
            for name in sorted(idle):
                await link.call("network", partial(self._remove_network, name))
            if self._plugs is not None:
                self._plugs.left(link, idle)

    def _remove_network(self, name: str, connection: Connection) -> None:
        with contextlib.suppress(self._native.libvirtError):  # another try comes with the next copy that leaves it
            network = connection.networkLookupByName(name)
            if network.isActive():
                network.destroy()
            network.undefine()

    # -- power

    async def _catch_up(self, link: Link, domain: Domain) -> None:
        """Before a guest that was quiet sends again: its filters are as they are to be by now."""
        if self._plugs is not None:
            await self._plugs.catch_up(link, [card.port for card in domain.interfaces])

    async def _start(self, link: Link, domain: Domain) -> None:
        with link.expecting():
            await self._catch_up(link, domain)
            await link.call(
                "start",
                lambda connection: connection.lookupByUUIDString(domain.uuid).create(),
                server=domain.stamp.key,
                limit=self._settings.patience.call * 2,
            )

    async def _shut_down(self, link: Link, seen: Seen, grace: Seconds) -> None:
        """Ask the guest to shut down, again and again, and cut it off after ``grace`` seconds.

        A guest that is booting does not hear the first time.
        """
        if grace > 0 and seen.power is PowerState.RUNNING:
            flag, due = self._native.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN, clock.now() + grace
            ask = clock.now()
            while clock.now() < due:
                if clock.now() >= ask:
                    ask += ASK_S
                    with contextlib.suppress(BackendFailed):  # a guest that cannot be asked is cut off
                        await self._do(link, seen, "shut down", lambda domain: domain.shutdownFlags(flag))
                await aio.sleep(LOOK_S)
                if not await self._do(link, seen, "look", lambda domain: domain.isActive()):
                    return
        await self._stop(link, seen.domain)


@asynccontextmanager
async def undo_on_failure() -> AsyncIterator[aio.Undo]:
    """As ``aio.undo_on_failure``, but for ``OutcomeUnknown``: what nobody knows is left to be looked at."""
    async with aio.undo_on_failure() as undo:
        try:
            yield undo
        except OutcomeUnknown:
            undo.pop_all()
            raise


def cannot(link: Link, seen: Seen, what: str) -> BackendFailed:
    """Why an operation is not for a copy that does what this one does."""
    return BackendFailed(
        f"server {seen.key} on host {link.name} is {seen.power} and cannot {what}",
        host=link.uuid, server=seen.key, power_state=seen.power,
    )  # fmt: skip
