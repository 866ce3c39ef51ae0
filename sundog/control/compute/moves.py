"""Moves of servers: to another size, to another host while they run or not, away from a dead host, and out of the way.

What is decided here is decided in one transaction: where the server goes, that the project may have it, and both
claims. The claim on the source is the migration's from then on, the one on the target the server's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sundog.control.compute import imaging, migrations, quotas
from sundog.control.compute.actions import DONE, begin_event, end_events, new_action, set_action
from sundog.control.compute.books import find_servers, get_server
from sundog.control.compute.creating import CONSUMER_TYPE, wish_for
from sundog.control.compute.migrations import EVACUATION, LIVE_MIGRATION, MIGRATION, RESIZE
from sundog.control.compute.records import Caller, Flavor, Host, Migration, Server, ServerFlavor
from sundog.control.compute.requests import Requests, Underway, accept, check_lock, check_state, never_ran
from sundog.control.compute.sagas.common import next_generation
from sundog.control.compute.sagas.moving import MOVE_TYPE
from sundog.control.compute.sagas.resize import OLD_VM_STATE
from sundog.control.compute.sagas.shelve import NOT_ENOUGH, SHELVED_AT
from sundog.control.compute.scheduling import Place
from sundog.control.placement.records import Wanted
from sundog.control.store import Tx
from sundog.control.store.tables import compute as tables
from sundog.core.lifecycle.servers import Transition, VmState
from sundog.core.scheduler import NoValidHost
from sundog.errors import Conflict, Invalid, NotFound, StoreUnavailable
from sundog.runtime import aio

_LOG: Final = logging.getLogger("sundog.compute")

KEEP: Final = ""
"""An availability zone that stays as it is."""

Check = Callable[[Tx, Server, Host], None]
"""``(transaction, server, its host)``: raises what forbids a move."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A move that is asked: by its name in the table of transitions, as which type of migration, and by which event.

    ``flavor`` is a new one. ``host`` is the name of the target, None lets the scheduler choose; ``force`` skips its
    filters, the server's zone too. ``stays``: it may stay where it is. ``stops``: it does not run there, unless it was
    in ERROR.
    """

    name: str
    type: str
    event: str
    check: Check
    flavor: ServerFlavor | None = None
    host: str | None = None
    force: bool = False
    stays: bool = False
    stops: bool = False
    disk_config: str | None = None


class Moves(Requests):
    """Moving servers. All raise NotFound, and Conflict for a locked server or one whose state forbids it.

    Where there is no host for a server it stays as it was, its action and its migration say so, and that is Invalid.
    """

    # ---------------------------------------------------------------- while it is stopped

    def resize(self, caller: Caller, server_id: str, flavor: Flavor, *, disk_config: str | None = None) -> Underway:
        """Give a server another flavor, on another host; it waits there to be confirmed or reverted.

        Raises: Invalid for the flavor that it has, or one that it cannot get; QuotaExceeded.
        """

        def check(tx: Tx, server: Server, host: Host) -> None:
            _check_flavor(server, flavor)
            self._check_up(host)
            _check_quota(tx, server, server.flavor, ServerFlavor.of(flavor))

        stays = self._parts.settings.resize_to_same_host
        return self._move(
            caller, server_id,
            Plan(
                "resize", RESIZE, "compute_prep_resize", check,
                flavor=ServerFlavor.of(flavor), stays=stays, disk_config=disk_config,
            ),
        )  # fmt: skip

    def migrate(self, caller: Caller, server_id: str, *, host: str | None = None) -> Underway:
        """Bring a server to another host, stopped meanwhile; it waits there to be confirmed or reverted.

        Raises: Invalid for a host that is not there, or is the server's own.
        """

        def check(_tx: Tx, server: Server, home: Host) -> None:
            self._check_target(server, home, host, "Cannot migrate to the host where the server exists.")
            self._check_up(home)

        return self._move(caller, server_id, Plan("migrate", MIGRATION, "cold_migrate", check, host=host))

    def confirm_resize(self, caller: Caller, server_id: str) -> Underway:
        """Let a resized or migrated server stay where it is."""

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            move = _finished(tx, server)
            migrations.set_status(tx, self._parts.books, move, "confirming")
            return {"migration": move.uuid}

        return self._begin(
            caller, server_id, "confirm_resize", event="compute_confirm_resize", prepare=prepare
        )  # fmt: skip

    def revert_resize(self, caller: Caller, server_id: str) -> Underway:
        """Bring a resized or migrated server back to where and what it was.

        Raises: QuotaExceeded if it was larger and there is no room for that any more; Conflict while a host is down.
        """

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            move = _finished(tx, server)
            _check_quota(tx, server, move.new_flavor, move.old_flavor)
            self._check_up(self._parts.hosts.show(move.source))
            if not self._parts.hosts.is_off(server.host or ""):
                self._check_up(self._parts.hosts.show(server.host or ""))
            migrations.set_status(tx, self._parts.books, move, "reverting")
            return {"migration": move.uuid, "vm_state": server.kept.get(OLD_VM_STATE, VmState.ACTIVE)}

        return self._begin(
            caller, server_id, "revert_resize", event="compute_revert_resize", prepare=prepare
        )  # fmt: skip

    # ---------------------------------------------------------------- while it runs

    def live_migrate(self, caller: Caller, server_id: str, *, host: str | None = None, force: bool = False) -> Underway:
        """Bring a running server to another host, without stopping it for more than a moment.

        Raises: Invalid for a host that is not there, is down, or is the server's own.
        """

        def check(_tx: Tx, server: Server, home: Host) -> None:
            own = f"Unable to migrate instance ({server.id}) to current host ({home.name})."
            self._check_target(server, home, host, own)
            for each in (home, None if host is None else self._parts.hosts.by_name(host)):
                if each is not None and not each.is_up:
                    raise Invalid(f"Compute service of {each.name} is unavailable at this time.", host=each.uuid)

        plan = Plan("live_migrate", LIVE_MIGRATION, "conductor_live_migrate_instance", check, host=host, force=force)
        return self._move(caller, server_id, plan)

    # ---------------------------------------------------------------- when its host is dead

    def evacuate(
        self, caller: Caller, server_id: str, *, host: str | None = None, force: bool = False, stops: bool = False
    ) -> Underway:
        """Make a server anew on another host, since its own is dead. That is made sure of first, where it can be.

        It runs there if it ran; with ``stops`` only if it was in ERROR, which it is not any more then.
        Raises: Invalid while its host is up, or for a host that is its own; NotFound for a host that is not there;
        Conflict if nobody knows that its host is dead.
        """

        def check(_tx: Tx, server: Server, home: Host) -> None:
            if home.is_up:
                raise Invalid(f"Compute service of {home.name} is still in use.", host=home.uuid)
            if host is not None and self._parts.hosts.by_name(host).uuid == home.uuid:
                raise Invalid("The target host can't be the same one.", host=home.uuid)
            if not self._parts.driver.capabilities.fence and not self._parts.hosts.is_off(home.uuid):
                raise Conflict(
                    f"Compute service of {home.name} does not answer, but its servers may still run: force it down "
                    "once it is certain that they do not.", host=home.uuid,
                )  # fmt: skip

        plan = Plan(
            "evacuate", EVACUATION, "conductor_rebuild_server", check, host=host, force=force, stops=stops
        )  # fmt: skip
        return self._move(caller, server_id, plan)

    # ---------------------------------------------------------------- out of the way, and back

    def shelve(self, caller: Caller, server_id: str) -> Underway:
        """Stop a server and make an image of it; it gives up its place at once, later or never, as the settings say.

        Raises: TooLarge for more properties of the image than are allowed.
        """
        parts = self._parts

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            name = f"{server.name}-shelved"
            image_id = imaging.new_image(tx, parts, caller, server, name, kind=imaging.SNAPSHOT, more={})
            return {imaging.NEW_IMAGE: image_id, "vm_state": server.vm_state}

        return self._begin(caller, server_id, "shelve", event="compute_shelve_instance", prepare=prepare)

    def shelve_offload(self, caller: Caller, server_id: str) -> Underway:
        """Let a shelved server give up its place."""
        return self._begin(caller, server_id, "shelve_offload", event="compute_shelve_offload_instance")

    def unshelve(
        self, caller: Caller, server_id: str, *, availability_zone: str | None = KEEP, host: str | None = None
    ) -> Underway:
        """Bring a shelved server back, running. If there is no host for it, it stays shelved and its action says so.

        ``availability_zone`` is another one to be in from now on, None for any; ``host`` is the name of one.
        Raises: Invalid for a zone or a host that is not there; Conflict for a host that is not in the zone, or if one
        of both is given for a server that has not given up its place.
        """

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            if (availability_zone != KEEP or host is not None) and server.vm_state != VmState.SHELVED_OFFLOADED:
                raise Conflict(
                    f'Specifying an availability zone or a host during unshelve instance "{server.id}" with state '
                    f'"{server.vm_state}" is not supported. The instance must be in a "SHELVED_OFFLOADED" state.',
                    server=server.id,
                )
            zone = server.availability_zone if availability_zone == KEEP else availability_zone
            self._check_zone(zone, host)
            self._parts.books.change(tx, server, availability_zone=zone)
            return {"host": host}

        return self._begin(caller, server_id, "unshelve", event="conductor_unshelve_instance", prepare=prepare)

    def _check_zone(self, zone: str | None, name: str | None) -> None:
        """Raises: Invalid for a zone or a host that is not there; Conflict for a host that is not in the zone."""
        hosts = self._parts.hosts
        if zone is not None and zone not in {each.zone for each in hosts.list_all()}:
            raise Invalid("The requested availability zone is not available", zone=zone)
        if name is None:
            return
        try:
            host = hosts.by_name(name)
        except NotFound:
            raise Invalid(f"Compute host {name} could not be found.", host=name) from None
        if zone is not None and host.zone != zone:
            raise Conflict(f'Host "{name}" is not in the availability zone "{zone}".', host=name)

    async def offload_in_time(self) -> None:
        """Let shelved servers give up their places when it is time, for ever; at once or never needs nobody."""
        settings = self._parts.settings
        while settings.shelved_offload_time > 0:
            await aio.sleep(settings.host_interval)
            try:
                self._offload_those_due()
            except (StoreUnavailable, Conflict) as error:  # in a minute it is time still
                _LOG.warning("shelved servers keep their places for now: %s", error)

    def _offload_those_due(self) -> None:
        settings, books = self._parts.settings, self._parts.books
        s = tables.servers.c
        with books.reading() as tx:
            shelved = find_servers(tx, s.vm_state == VmState.SHELVED, s.task_state.is_(None), s.deleted_at.is_(None))
        limit = books.now() - timedelta(seconds=settings.shelved_offload_time)
        for server in shelved:
            if datetime.fromisoformat(server.kept[SHELVED_AT]) <= limit:
                system = Caller(server.user_id, server.project_id, f"req-{books.new_uuid()}", is_admin=True)
                self.shelve_offload(system, server.id)

    # ---------------------------------------------------------------- what they have in common

    def _check_up(self, host: Host) -> None:
        """Raises: Conflict for a host that cannot do its part."""
        if not host.is_up:
            raise Conflict(f"Compute service of {host.name} is unavailable at this time.", host=host.uuid)

    def _check_target(self, server: Server, home: Host, name: str | None, own: str) -> None:
        """Raises: Invalid for a target that is not there, or is the server's own host."""
        if name is None:
            return
        try:
            target = self._parts.hosts.by_name(name)
        except NotFound:
            raise Invalid(f"Compute host {name} could not be found.", host=name) from None
        if target.uuid == home.uuid:
            raise Invalid(own, server=server.id)

    def _move(self, caller: Caller, server_id: str, plan: Plan) -> Underway:
        """Decide a move, write it down, and begin it."""
        parts = self._parts
        begun: list[Underway] = []
        with parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            check_lock(caller, server)
            transition = check_state(server, plan.name)
            home = parts.hosts.by_uuid(server.host)
            if home is None:
                raise never_ran(server, transition)
            plan.check(tx, server, home)
            place = self._place(tx, server, home, plan)
            if place is None:
                self._refuse(tx, caller, server, plan, transition)
            else:
                self._accept(tx, caller, server, place, plan, transition, begun)
        if not begun:
            raise Invalid(NOT_ENOUGH, server=server_id)
        return begun[0]

    def _place(self, tx: Tx, server: Server, home: Host, plan: Plan) -> Place | None:
        """Where the server goes; None if there is no host for it."""
        wish = wish_for(
            tx, server, flavor=plan.flavor, leaves=home.uuid, zone=None if plan.force else server.availability_zone,
            ignore_hosts=() if plan.stays else (home.name,),
            force_hosts=() if plan.host is None else (plan.host,), checked=not plan.force,
        )  # fmt: skip
        places = self._parts.scheduling.decide([wish])
        return None if isinstance(places, NoValidHost) else places[0]

    def _migration(self, tx: Tx, caller: Caller, server: Server, plan: Plan, target: str | None) -> Migration:
        """Write a migration down: accepted, or without a target failed."""
        books, now = self._parts.books, self._parts.books.now()
        assert server.host is not None
        migration = Migration(
            0, books.new_uuid(), server.id, server.project_id, caller.user_id, plan.type,
            "error" if target is None else "accepted", server.host, target, server.generation,
            next_generation(tx, server), server.flavor, plan.flavor or server.flavor, now, now,
        )  # fmt: skip
        migrations.add(tx, migration)
        return migration

    def _refuse(self, tx: Tx, caller: Caller, server: Server, plan: Plan, transition: Transition) -> None:
        """Write down that there was no host."""
        books = self._parts.books
        self._migration(tx, caller, server, plan, None)
        action = new_action(tx, books, caller, server, transition.action, args={})
        begin_event(tx, books, action, plan.event, server.host)
        end_events(tx, books, action, failure=NOT_ENOUGH)
        set_action(tx, books, action, phase=DONE, message=NOT_ENOUGH)

    def _accept(
        self, tx: Tx, caller: Caller, server: Server, place: Place, plan: Plan, transition: Transition,
        begun: list[Underway],
    ) -> None:  # fmt: skip
        parts = self._parts
        migration = self._migration(tx, caller, server, plan, place.host)
        held = parts.placement.held(server.id)
        owner = (server.project_id, server.user_id)
        parts.placement.set_allocations(
            [
                *([Wanted(migration.uuid, held, *owner, MOVE_TYPE)] if held else []),
                Wanted(server.id, place.allocations, *owner, CONSUMER_TYPE),
            ],
            tx=tx,
        )
        state = VmState.STOPPED if plan.stops and server.vm_state != VmState.ERROR else server.vm_state
        args = {"saga": plan.name, "migration": migration.uuid, "vm_state": state}
        action = accept(tx, parts, caller, server, transition, args, plan.event)
        if plan.flavor is not None:  # until it is known which of both it will have, it counts as the larger
            larger = {
                name: max(getattr(server.flavor, name), getattr(plan.flavor, name)) for name in ("vcpus", "memory_mb")
            }
            parts.books.change(tx, server, **larger)
        if plan.disk_config is not None:
            parts.books.change(tx, server, disk_config=plan.disk_config)
        tx.on_commit(lambda: parts.scheduling.placed(place))
        tx.on_commit(lambda: begun.append(self._worker.begin(action)))


def _check_flavor(server: Server, flavor: Flavor) -> None:
    """Raises: Invalid for a flavor that a server cannot get."""
    if flavor.disabled:
        raise Invalid(f"Flavor {flavor.id} could not be found.", flavor=flavor.id)
    if flavor.id == server.flavor.id:
        raise Invalid("When resizing, instances must change flavor!", flavor=flavor.id)
    if flavor.root_gb == 0 and server.flavor.root_gb != 0:
        raise Invalid(
            "Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.",
            flavor=flavor.id,
        )


def _check_quota(tx: Tx, server: Server, old: ServerFlavor, new: ServerFlavor) -> None:
    """Raises: QuotaExceeded if the project may not have what a server would have more."""
    quotas.check(
        tx, server.project_id, server.user_id, cores=new.vcpus - old.vcpus, ram_mb=new.memory_mb - old.memory_mb
    )


def _finished(tx: Tx, server: Server) -> Migration:
    """The move that waits to be confirmed.

    Raises: Invalid if there is none.
    """
    c = tables.migrations.c
    found = migrations.open_ones(tx, c.server_id == server.id, c.status == "finished")
    if not found:
        raise Invalid("Instance has not been resized.", server=server.id)
    return found[-1]
