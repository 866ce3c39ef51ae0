"""Hosts: those of the driver, each with a service and a resource provider of the same uuid.

What is asked of hosts often is answered from memory; what is decided about them is in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from sundog.backends.contract import ComputeDriver, DeviceRecord, HostRecord, HostState
from sundog.control.compute.books import Books
from sundog.control.compute.records import Host, record
from sundog.control.placement import Placement
from sundog.control.placement.records import NewProvider
from sundog.control.store.tables import compute as tables
from sundog.errors import Conflict, NotFound
from sundog.units import Seconds

DEFAULT_ZONE: Final = "nova"
"""The availability zone of hosts that no aggregate puts elsewhere."""

_DEADLINE: Final[Seconds] = 30.0


class Hosts:
    """The hosts of a driver. Call :meth:`register` at the start, and whenever the driver may know other ones."""

    def __init__(self, books: Books, placement: Placement, driver: ComputeDriver) -> None:
        self._books, self._placement, self._driver = books, placement, driver
        self._hosts: dict[str, Host] = {}
        self._states: dict[str, HostState] = {}
        with books.reading() as tx:
            for row in tx.find(tables.hosts):
                self._hosts[row["uuid"]] = record(Host, row, is_up=False, zone=DEFAULT_ZONE)

    # ---------------------------------------------------------------- reading

    def list_all(self) -> list[Host]:
        """All hosts, in the order in which they came."""
        return [self._told(each) for each in self._hosts.values()]

    def show(self, uuid: str) -> Host:
        """The host of this uuid.

        Raises: NotFound.
        """
        return self._told(self._found(self._hosts.get(uuid), uuid))

    def by_uuid(self, uuid: str | None) -> Host | None:
        """The host of this uuid, if there is one."""
        found = self._hosts.get(uuid) if uuid is not None else None
        return None if found is None else self._told(found)

    def by_name(self, name: str) -> Host:
        """The host of this name.

        Raises: NotFound.
        """
        return self._told(self._found(next((each for each in self._hosts.values() if each.name == name), None), name))

    def by_service(self, service_id: str) -> Host:
        """The host of this service, by the service's uuid.

        Raises: NotFound.
        """
        found = next((each for each in self._hosts.values() if each.service_id == service_id), None)
        if found is None:
            raise NotFound(f"Service {service_id} could not be found.", service=service_id)
        return self._told(found)

    def is_up(self, uuid: str | None) -> bool:
        """Whether the host answers and nobody said that it is down."""
        host = self._hosts.get(uuid) if uuid is not None else None
        return host is not None and host.is_up

    def answers(self, uuid: str | None) -> bool:
        """Whether the host can be asked, whatever was said about it."""
        return self._states.get(uuid or "") is HostState.UP

    def answering(self) -> list[str]:
        """The uuids of the hosts that can be asked, whatever was said about them."""
        return [uuid for uuid in self._hosts if self.answers(uuid)]

    def is_off(self, uuid: str) -> bool:
        """Whether nothing can be running on the host: it is fenced, or is silent and an administrator says so."""
        host = self._hosts.get(uuid)
        forced = host is not None and host.forced_down and not self.answers(uuid)
        return forced or self.is_fenced(uuid)

    def is_fenced(self, uuid: str) -> bool:
        """Whether the driver switched the host off, so that nobody's word is needed."""
        return self._states.get(uuid) is HostState.FENCED

    def _told(self, host: Host) -> Host:
        standing = self._placement.books.providers.get(host.uuid)
        zone = None if standing is None else self._placement.pool.zone_of(standing.row)
        return host if zone in (None, host.zone) else replace(host, zone=zone or DEFAULT_ZONE)

    @staticmethod
    def _found(host: Host | None, name: str) -> Host:
        if host is None:
            raise NotFound(f"Compute host {name} could not be found.", host=name)
        return host

    # ---------------------------------------------------------------- changing

    def update(
        self,
        service_id: str,
        *,
        disabled: bool | None = None,
        disabled_reason: str | None = None,
        forced_down: bool | None = None,
    ) -> Host:
        """Enable or disable a host for new servers, or say that it is down whatever it seems. None leaves as it was.

        Raises: NotFound.
        """
        host = self.by_service(service_id)
        after = replace(
            host,
            disabled=host.disabled if disabled is None else disabled,
            disabled_reason=host.disabled_reason if disabled is None else disabled_reason if disabled else None,
            forced_down=host.forced_down if forced_down is None else forced_down,
            updated_at=self._books.now(),
        )
        after = replace(after, is_up=self.answers(host.uuid) and not after.forced_down)
        with self._books.writing() as tx:
            names = ("disabled", "disabled_reason", "forced_down", "updated_at")
            tx.update(tables.hosts, tables.hosts.c.uuid == host.uuid, **{name: getattr(after, name) for name in names})
            tx.on_commit(lambda: self._remember(after))
        return self._told(after)

    def remove(self, service_id: str) -> None:
        """Forget a host that the driver does not know any more, or that is down, with its resource provider.

        Raises: NotFound; Conflict while servers are on it, or while it answers and would be registered again.
        """
        host = self.by_service(service_id)
        s = tables.servers.c
        with self._books.writing() as tx:
            if tx.count(tables.servers, s.host == host.uuid, s.deleted_at.is_(None)):
                message = f"Unable to delete compute service {service_id}: its host {host.name} has instances."
                raise Conflict(message, service=service_id)
            if self.answers(host.uuid):
                raise Conflict(
                    f"Unable to delete compute service {service_id}: its host {host.name} is up and would come back.",
                    service=service_id,
                )
            tx.delete(tables.aggregate_hosts, tables.aggregate_hosts.c.host_uuid == host.uuid)
            tx.delete(tables.hosts, tables.hosts.c.uuid == host.uuid)
            if host.uuid in self._placement.books.providers:
                self._placement.delete_provider(host.uuid, tx=tx)
            tx.on_commit(lambda: self._hosts.pop(host.uuid, None))
            tx.on_commit(lambda: self._states.pop(host.uuid, None))

    def noticed(self, uuid: str, state: HostState) -> bool:
        """The driver says how a host is; whether that is news."""
        host = self._hosts.get(uuid)
        if host is None or self._states.get(uuid) is state:
            return False
        self._states[uuid] = state
        self._remember(replace(host, is_up=state is HostState.UP and not host.forced_down))
        return True

    async def look(self) -> list[str]:
        """Ask the driver how its hosts are, and register new ones; the uuids of those that answer since."""
        before = self.answering()
        await self.register()
        return [uuid for uuid in self.answering() if uuid not in before]

    async def register(self) -> None:
        """Take over the driver's hosts: new ones get a service and a resource provider, all their inventory."""
        # What a host has is known from when it has answered for the first time; until then it cannot be used.
        records = [each for each in await self._driver.hosts(deadline=_DEADLINE) if each.inventory]
        self._make_known(records)
        new = [each for each in records if each.uuid not in self._hosts]
        if new:
            self._add(new)
        self._add_providers([each for each in records if each.uuid not in self._placement.books.providers])
        for each in records:
            self._follow(each)
        told = {each.uuid for each in records}
        for uuid in [each for each in self._hosts if each not in told]:
            self.noticed(uuid, HostState.DOWN)  # it has not answered since the start, or is not the driver's any more

    def _remember(self, host: Host) -> None:
        """Keep what is known of a host, and let the scheduler know."""
        self._hosts[host.uuid] = host
        standing = self._placement.books.providers.get(host.uuid)
        if standing is not None:
            pool, row = self._placement.pool, standing.row
            if pool.up[row] != host.is_up or pool.enabled[row] != (not host.disabled):
                pool.set_status(row, up=host.is_up, enabled=not host.disabled)

    def _make_known(self, records: Sequence[HostRecord]) -> None:
        """Make the traits and resource classes of the hosts that Placement does not know."""
        parts: list[HostRecord | DeviceRecord] = [*records, *(device for each in records for device in each.devices)]
        for name in dict.fromkeys(name for part in parts for name in part.traits):
            if not self._placement.books.has_trait(name):
                self._placement.create_trait(name)
        for name in dict.fromkeys(name for part in parts for name in part.inventory):
            if not self._placement.books.has_class(name):
                self._placement.create_resource_class(name)

    def _add(self, records: Iterable[HostRecord]) -> None:
        now = self._books.now()
        with self._books.writing() as tx:
            rows = [
                {
                    "uuid": each.uuid,
                    "name": each.name,
                    "service_id": self._books.new_uuid(),
                    "disabled": False,
                    "disabled_reason": None,
                    "forced_down": False,
                    "created_at": now,
                    "updated_at": now,
                }
                for each in records
            ]
            tx.insert_many(tables.hosts, rows)
            rows_now = {row["uuid"]: row for row in tx.find(tables.hosts)}
            added = {each.uuid: record(Host, rows_now[each.uuid], is_up=False, zone=DEFAULT_ZONE) for each in records}
            tx.on_commit(lambda: self._hosts.update(added))

    def _add_providers(self, records: Sequence[HostRecord]) -> None:
        """Make the providers of hosts and their devices, in the order of the hosts."""
        if not records:
            return
        providers = [NewProvider(each.name, each.uuid, None, each.inventory, each.traits) for each in records]
        providers += [
            NewProvider(device.name, self._books.new_uuid(), each.uuid, device.inventory, device.traits)
            for each in records
            for device in each.devices
        ]
        self._placement.create_providers(providers)

    def _follow(self, record_: HostRecord) -> None:
        """Take over what changed of a host that is known: its name, what it has, whether it answers."""
        host, provider = self._hosts[record_.uuid], self._placement.provider(record_.uuid)
        if provider.name != record_.name:
            self._placement.update_provider(record_.uuid, record_.name, parent_uuid=None)
        if host.name != record_.name:
            with self._books.writing() as tx:
                tx.update(tables.hosts, tables.hosts.c.uuid == host.uuid, name=record_.name)
        if self._placement.pool.zone_of(provider.row) is None:
            self._placement.pool.set_zone(provider.row, record_.zone or DEFAULT_ZONE)
        self._states[record_.uuid] = record_.state
        self._remember(
            replace(
                host,
                name=record_.name,
                is_up=record_.state is HostState.UP and not host.forced_down,
                zone=host.zone,
                hypervisor_type=record_.hypervisor_type,
                hypervisor_version=record_.hypervisor_version,
                address=record_.address,
            )
        )
