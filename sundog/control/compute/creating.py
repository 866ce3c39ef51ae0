"""Making servers: what is asked is checked, and quota, place, ports and addresses are taken in one transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sundog.control.compute import ports, quotas
from sundog.control.compute.actions import DONE, begin_event, new_action
from sundog.control.compute.books import columns_of, get_server, values_of
from sundog.control.compute.hosts import DEFAULT_ZONE
from sundog.control.compute.records import (
    Action,
    Caller,
    Flavor,
    NewServer,
    Server,
    ServerFlavor,
    ServerImage,
)
from sundog.control.compute.scheduling import Place, Wish
from sundog.control.compute.work import Parts
from sundog.control.image.records import Image
from sundog.control.image.states import ACTIVE
from sundog.control.placement.records import Wanted
from sundog.control.store import Reader, Tx
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import Power, TaskState, VmState
from sundog.core.scheduler import NoValidHost, ServerGroup
from sundog.errors import Invalid, NotFound

NO_VALID_HOST: Final = "No valid host was found. "
CONSUMER_TYPE: Final = "INSTANCE"

ONLY_THERE: Final = "only_there"
"""What an action says of a server whose host was asked for: it is built there or nowhere."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_GIB: Final = 1 << 30


def image_for(parts: Parts, caller: Caller, image_id: str, flavor: Flavor | ServerFlavor) -> ServerImage:
    """An image that a server of this flavor may be made from, as the server keeps it.

    Raises: Invalid for one that is not there, not usable, or too large for the flavor.
    """
    try:
        image: Image = parts.images.show(caller.principal, image_id)
    except NotFound:
        raise Invalid(f"Image {image_id} could not be found.", image=image_id) from None
    if image.status != ACTIVE or image.size is None or image.disk_format is None:
        raise Invalid(f"Image {image_id} is not active.", image=image_id)
    if image.min_ram > flavor.memory_mb:
        raise Invalid("Flavor's memory is too small for requested image.", image=image_id)
    if flavor.root_gb:
        room = flavor.root_gb * _GIB
        if image.size > room:
            raise Invalid(
                f"Flavor's disk is too small for requested image. Flavor disk is {room} bytes, image is "
                f"{image.size} bytes.", image=image_id,
            )  # fmt: skip
        if image.min_disk > flavor.root_gb:
            raise Invalid(
                f"The size of the root disk {flavor.root_gb} GiB is smaller than the minimum {image.min_disk} GiB of "
                "the image.", image=image_id,
            )  # fmt: skip
    return kept_image(image)


def kept_image(image: Image) -> ServerImage:
    """An image as a server keeps it that is made from it."""
    return ServerImage(
        image.id,
        image.name or "",
        image.size or 0,
        image.disk_format or "",
        image.checksum or "",
        image.min_disk,
        image.min_ram,
        {name: str(value) for name, value in image.properties.items()},
    )


def host_name_of(name: str, server_id: str) -> str:
    """The host name that a guest is given: letters, digits and hyphens of the server's name, as Nova makes it."""
    text = re.sub(r"[\s_]", "-", name.encode("latin-1", "ignore").decode("latin-1"))
    text = re.sub(r"[^\w.-]+", "", text, flags=re.ASCII).lower().strip(".-")
    text = re.sub(r"\.+", "-", text)[:63].strip("-")
    return text or f"Server-{server_id}"


def group_of(reader: Reader, project_id: str, group_id: str) -> ServerGroup:
    """The server group as the scheduler knows it.

    Raises: Invalid if the project has no such group.
    """
    row = reader.get(tables.server_groups, id=group_id)
    if row is None or row["project_id"] != project_id:
        raise Invalid(f"Instance group {group_id} could not be found.", group=group_id)
    return ServerGroup(row["id"], row["policy"], row["max_server_per_host"] or 1)


def create(
    tx: Tx, parts: Parts, caller: Caller, new: NewServer, image: ServerImage | None, *, minimum: int, maximum: int
) -> list[tuple[Server, Action]]:
    """Make servers, all or none; the same places are never given twice. Where there is no place they are in ERROR.

    Raises: Invalid, Conflict; QuotaExceeded if not even ``minimum`` are allowed.
    """
    count = _allowed(tx, caller, new, minimum, maximum)
    asked = ports.resolve(tx, caller, new.networks)
    if count > 1 and any(each.port_id or each.fixed_ip for each in asked):
        raise Invalid("Unable to launch multiple instances with a single configured port ID or fixed address.")
    groups = ports.group_ids(tx, caller.project_id, new.security_groups) if asked else []
    servers = _records(tx, parts, caller, new, image, count)
    group = group_of(tx, caller.project_id, new.group_id) if new.group_id is not None else None
    if group is not None:
        quotas.check_group_members(tx, caller.project_id, caller.user_id, group.id, count)
    if new.forced_host is None:
        _check_zone(parts, new.availability_zone)
    places = parts.scheduling.decide([_wish(new, server, group) for server in servers])
    if isinstance(places, NoValidHost):
        return [_without_place(tx, parts, caller, server, places) for server in servers]
    made = [
        _with_place(tx, parts, caller, new, server, place, asked, groups)
        for server, place in zip(servers, places, strict=True)
    ]
    claim(tx, parts, [(server, place) for (server, _), place in zip(made, places, strict=True)])
    return made


def _allowed(tx: Tx, caller: Caller, new: NewServer, minimum: int, maximum: int) -> int:
    """How many servers the quota allows. Raises: QuotaExceeded if fewer than ``minimum``."""
    flavor = new.flavor
    quotas.check(
        tx, caller.project_id, caller.user_id,
        instances=minimum, cores=minimum * flavor.vcpus, ram_mb=minimum * flavor.memory_mb,
    )  # fmt: skip
    if minimum == maximum:
        return minimum
    room = quotas.headroom(tx, caller.project_id, caller.user_id)
    each = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb}
    return min(maximum, *(left // each[name] for name, left in room.items() if left is not None and each[name]))


def _check_zone(parts: Parts, zone: str | None) -> None:
    if zone is not None and zone not in {host.zone for host in parts.hosts.list_all() if not host.disabled}:
        raise Invalid("The requested availability zone is not available", zone=zone)


def _records(
    tx: Tx, parts: Parts, caller: Caller, new: NewServer, image: ServerImage | None, count: int
) -> list[Server]:
    """The servers, without a place as yet. Nothing is written."""
    books = parts.books
    now = books.now()
    reservation = "r-" + "".join(_DIGITS[int(books.ids.hex(4), 16) % 36] for _ in range(8))
    key = keypair(tx, caller, new.key_name)
    servers = []
    for index in range(count):
        server_id = books.new_uuid()
        name = new.name if count == 1 else f"{new.name}-{index + 1}"
        values: dict[str, Any] = {
            "id": server_id, "project_id": caller.project_id, "user_id": caller.user_id, "name": name,
            "hostname": (new.hostname if count == 1 else f"{new.hostname}-{index + 1}")
            if new.hostname else host_name_of(name, server_id),
            "description": new.description, "reservation_id": reservation, "launch_index": index,
            "vm_state": VmState.BUILDING, "task_state": TaskState.SCHEDULING, "power_state": Power.NOSTATE,
            "progress": 0, "locked_by": None, "locked_reason": None, "fault": None, "host": None, "generation": 1,
            "availability_zone": new.availability_zone, "group_id": new.group_id, "hints": dict(new.hints),
            "flavor": ServerFlavor.of(new.flavor), "image_id": new.image_id, "image": image,
            "key_name": new.key_name, "key": key, "user_data": new.user_data, "config_drive": new.config_drive,
            "disk_config": new.disk_config, "root_device_name": "/dev/vda", "access_ip_v4": new.access_ip_v4,
            "access_ip_v6": new.access_ip_v6, "metadata": dict(new.metadata), "trusted_certs": new.trusted_certs,
            "kept": {}, "created_at": now, "updated_at": now, "launched_at": None, "terminated_at": None,
            "deleted_at": None,
        }  # fmt: skip
        servers.append(Server(number=0, tags=tuple(dict.fromkeys(new.tags)), **values))
    return servers


def _write(tx: Tx, parts: Parts, server: Server) -> None:
    """Write a new server, with its host if it has one."""
    columns = columns_of({name: value for name, value in values_of(server).items() if name not in ("number", "tags")})
    columns["image"] = columns["image"] or {}
    tx.insert(tables.servers, **columns)
    tx.insert_many(tables.server_tags, [{"server_id": server.id, "tag": tag} for tag in server.tags])
    if server.group_id is not None and server.host is not None:
        group, host = server.group_id, server.host
        tx.on_commit(lambda: parts.books.moved(group, None, host))


def keypair(tx: Tx, caller: Caller, name: str | None) -> Mapping[str, str] | None:
    """A keypair of the caller's, as a server keeps it. Raises: Invalid if there is no such keypair."""
    if name is None:
        return None
    row = tx.get(tables.keypairs, user_id=caller.user_id, name=name)
    if row is None:
        raise Invalid("Invalid key_name provided.", key=name)
    return {"name": name, "type": row["type"], "public_key": row["public_key"]}


def _wish(new: NewServer, server: Server, group: ServerGroup | None) -> Wish:
    only = new.forced_host or new.requested_host
    return Wish(
        server.id, server.project_id, server.flavor, server.image, group, new.availability_zone, new.hints,
        force_hosts=(only,) if only else (), checked=not new.forced_host,
    )  # fmt: skip


def wish_for(reader: Reader, server: Server, *, flavor: ServerFlavor | None = None, **where: Any) -> Wish:
    """What decides where a server goes that is to go elsewhere; ``where`` has fields of :class:`Wish`."""
    group = group_of(reader, server.project_id, server.group_id) if server.group_id is not None else None
    return Wish(
        server.id, server.project_id, flavor or server.flavor, server.image, group,
        zone=where.pop("zone", server.availability_zone), hints=server.hints, **where,
    )  # fmt: skip


def _without_place(tx: Tx, parts: Parts, caller: Caller, server: Server, why: NoValidHost) -> tuple[Server, Action]:
    """A server for which there is no host: it is in ERROR from the start, as Nova's is after a moment."""
    funnel = "; ".join(f"{step.filter} refused {step.refused} of {step.hosts}" for step in why.funnel if step.refused)
    fault = parts.books.fault(NO_VALID_HOST, f"{why.reason}: {funnel}")
    args = {"saga": "create"}
    _write(tx, parts, server)
    action = new_action(tx, parts.books, caller, server, "create", args=args, phase=DONE, message=NO_VALID_HOST)
    parts.books.change(tx, server, vm_state=VmState.ERROR, task_state=None, fault=fault)
    return get_server(tx, EVERYTHING, server.id), action


def _with_place(
    tx: Tx, parts: Parts, caller: Caller, new: NewServer, server: Server, place: Place, asked: Sequence[Any],
    groups: Sequence[str],
) -> tuple[Server, Action]:  # fmt: skip
    """A server with its host and its ports, and the action that builds it."""
    host = parts.hosts.show(place.host)
    given = ports.make_ports(tx, parts.network, server, asked, groups, host=place.name, zone=host.zone or DEFAULT_ZONE)
    kept = {ports.GIVEN: given} if given else {}
    server = replace(server, host=place.host, task_state=TaskState.SPAWNING, kept=kept)
    _write(tx, parts, server)
    args: dict[str, Any] = {"saga": "create", "tried": []}
    if new.forced_host or new.requested_host:
        args[ONLY_THERE] = True
    action = new_action(tx, parts.books, caller, server, "create", args=args)
    begin_event(tx, parts.books, action, "compute__do_build_and_run_instance", place.host)
    return server, action


def claim(tx: Tx, parts: Parts, placed: Sequence[tuple[Server, Place]]) -> None:
    """Take the places for the servers; nothing else of Placement may be in the transaction."""
    parts.placement.set_allocations(
        [
            Wanted(server.id, place.allocations, server.project_id, server.user_id, CONSUMER_TYPE)
            for server, place in placed
        ],
        tx=tx,
    )
    for _, place in placed:
        tx.on_commit(lambda place=place: parts.scheduling.placed(place))  # type: ignore[misc]


def unclaim(tx: Tx, parts: Parts, server: Server, *others: str) -> None:
    """Give back what a server holds, and ``others`` that hold something for it; as :func:`claim`, alone."""
    held = [each for each in (server.id, *others) if each in parts.placement.books.consumers]
    nothing = [Wanted(each, {}, server.project_id, server.user_id, CONSUMER_TYPE) for each in held]
    parts.placement.set_allocations(nothing, tx=tx)
