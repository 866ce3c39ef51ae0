"""What the store alone tells: whether places, quotas, ports and actions are what they should be.

The rules are pure functions of a snapshot, which is read in one transaction; so they hold at any instant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sundog.control.audit.findings import Finding, Kind
from sundog.control.compute import actions, quotas
from sundog.control.compute.books import find_servers
from sundog.control.compute.creating import CONSUMER_TYPE
from sundog.control.compute.imaging import NEW_IMAGE
from sundog.control.compute.migrations import open_ones
from sundog.control.compute.ports import OWNER
from sundog.control.compute.records import Action, Migration, Server, as_json
from sundog.control.compute.scheduling import resources_of
from sundog.control.image.states import IMPORTING, QUEUED, SAVING, UPLOADING, WITH_DATA
from sundog.control.network.ports import read_ports
from sundog.control.network.records import Port
from sundog.control.store import Reader, Row
from sundog.control.store.tables import compute, image, network, placement
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import VmState
from sundog.units import Seconds

OURS: Final = (CONSUMER_TYPE, "MIGRATION")
"""Types of the consumers that compute makes; others belong to whoever made them."""

WAITING: Final = ("finished",)
"""Statuses of a migration that waits for its owner, and for no action."""


@dataclass(frozen=True)
class Snapshot:
    """What the store holds at one instant, as far as audits look at it. ``held`` is by consumer and provider."""

    servers: Mapping[str, Server]
    migrations: Sequence[Migration]
    actions: Sequence[Action]
    hosts: Mapping[str, str]
    roots: Mapping[str, str]
    capacity: Mapping[tuple[str, str], int]
    consumers: Mapping[str, str | None]
    held: Mapping[str, Mapping[str, Mapping[str, int]]]
    ports: Sequence[Port]
    addresses: Sequence[Row]
    floating: Sequence[Row]
    limits: Mapping[str, Mapping[str, int]]
    images: Sequence[Row]
    unmade: Mapping[str, str]
    """Images that are to be made of servers and have no data yet, and of which server."""
    plugs: Sequence[Row]
    """All ports, those of no server too."""


def look(reader: Reader) -> Snapshot:
    """Read it."""
    servers = {each.id: each for each in find_servers(reader, compute.servers.c.deleted_at.is_(None))}
    above = {row["uuid"]: row["parent_uuid"] for row in reader.find(placement.providers)}
    held: dict[str, dict[str, dict[str, int]]] = {}
    for row in reader.find(placement.allocations):
        mine = held.setdefault(row["consumer_uuid"], {}).setdefault(row["provider_uuid"], {})
        mine[row["resource_class"]] = row["used"]
    p = network.ports.c
    return Snapshot(
        servers=servers,
        migrations=open_ones(reader),
        actions=actions.unfinished(reader),
        hosts={row["uuid"]: row["name"] for row in reader.find(compute.hosts)},
        roots={uuid: _root(uuid, above) for uuid in above},
        capacity={
            (row["provider_uuid"], row["resource_class"]): math.floor(
                (row["total"] - row["reserved"]) * row["allocation_ratio"]
            )
            for row in reader.find(placement.inventories)
        },
        consumers={row["uuid"]: row["consumer_type"] for row in reader.find(placement.consumers)},
        held=held,
        ports=read_ports(reader, EVERYTHING, p.device_owner.startswith(OWNER)),
        addresses=reader.find(network.addresses),
        floating=reader.find(network.floating_ips),
        limits={
            project: quotas.limits(reader, project)
            for project in dict.fromkeys(server.project_id for server in servers.values())
        },
        images=reader.find(image.images, image.images.c.status != "deleted"),
        unmade=_unmade(reader),
        plugs=reader.find(network.ports),
    )


def _unmade(reader: Reader) -> dict[str, str]:
    waiting = [row["id"] for row in reader.find(image.images, image.images.c.status == QUEUED)]
    p = image.properties.c
    rows = reader.find(image.properties, p.name == "instance_uuid", p.image_id.in_(waiting)) if waiting else []
    return {row["image_id"]: row["value"] for row in rows}


def _root(uuid: str, above: Mapping[str, str | None]) -> str:
    parent = above[uuid]
    return uuid if parent is None else _root(parent, above)


def check_books(snapshot: Snapshot) -> list[Finding]:
    """What must hold at every instant: I1, I2, I5, I7."""
    return [
        *check_capacity(snapshot),
        *check_allocations(snapshot),
        *check_quotas(snapshot),
        *check_ports(snapshot),
    ]


# ---------------------------------------------------------------- I1, I2: places


def check_capacity(snapshot: Snapshot) -> list[Finding]:
    """I1: nothing gives more than it has."""
    used: dict[tuple[str, str], int] = {}
    for places in snapshot.held.values():
        for provider, amounts in places.items():
            for name, amount in amounts.items():
                used[provider, name] = used.get((provider, name), 0) + amount
    return [
        Finding(
            "I1", Kind.OVER_CAPACITY,
            f"{amount} {name} of resource provider {provider} are taken and it has {snapshot.capacity.get(key, 0)}",
            (provider,), "move servers away from it, or correct its inventory",
        )
        for key, amount in used.items()
        if amount > snapshot.capacity.get(key, 0)
        for provider, name in [key]
    ]  # fmt: skip


def check_allocations(snapshot: Snapshot) -> list[Finding]:
    """I2: each live server holds its place on its host, once, and each open migration its own; nobody else does."""
    found = [finding for server in snapshot.servers.values() for finding in _of_server(snapshot, server)]
    moving = {each.uuid: each for each in snapshot.migrations}
    for consumer, kind in snapshot.consumers.items():
        if kind not in OURS or consumer in snapshot.servers:
            continue
        if consumer not in moving:
            found.append(_orphan(consumer))
        else:
            found += _of_migration(snapshot, moving[consumer])
    return found


def _orphan(consumer: str) -> Finding:
    return Finding(
        "I2", Kind.ORPHAN_ALLOCATION, f"consumer {consumer} holds a place and is no server and no open migration",
        (consumer,), "give it back",
    )  # fmt: skip


def has_place(server: Server) -> bool:
    """Whether a server should hold a place. One that is being unshelved has its host and its place from the start."""
    return server.host is not None


def _of_server(snapshot: Snapshot, server: Server) -> list[Finding]:
    places = snapshot.held.get(server.id, {})
    roots = dict.fromkeys(snapshot.roots[each] for each in places)
    if not has_place(server):
        return [_wrong(server.id, f"server {server.id} is on no host and holds a place on {', '.join(roots)}")] * bool(
            places
        )
    moves = [each for each in snapshot.migrations if each.server_id == server.id]
    hosts = {server.host, *(each.target for each in moves)}
    if len(roots) != 1 or not roots.keys() <= hosts:
        told = ", ".join(roots) or "none"
        return [_wrong(server.id, f"server {server.id} is on host {server.host} and holds a place on {told}")]
    sizes = [resources_of(server.flavor), *(resources_of(each.new_flavor) for each in moves)]
    total = _total(places)
    if total not in sizes:
        return [_wrong(server.id, f"server {server.id} holds {total} and should hold {sizes[0]}")]
    return []


def _of_migration(snapshot: Snapshot, move: Migration) -> list[Finding]:
    places = snapshot.held.get(move.uuid, {})
    roots = dict.fromkeys(snapshot.roots[each] for each in places)
    if roots.keys() <= {move.source, move.target}:
        return []
    return [_wrong(move.uuid, f"migration {move.uuid} from host {move.source} holds a place on {', '.join(roots)}")]


def _total(places: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for amounts in places.values():
        for name, amount in amounts.items():
            total[name] = total.get(name, 0) + amount
    return {name: amount for name, amount in total.items() if amount}


def _wrong(consumer: str, message: str) -> Finding:
    return Finding("I2", Kind.WRONG_ALLOCATION, message, (consumer,), "let it hold its place on its host")


# ---------------------------------------------------------------- I5: quotas


def check_quotas(snapshot: Snapshot) -> list[Finding]:
    """I5: what quotas add up is what servers have, and no more than is allowed."""
    used: dict[str, dict[str, int]] = {}
    for server in snapshot.servers.values():
        mine = used.setdefault(server.project_id, {"instances": 0, "cores": 0, "ram": 0})
        mine["instances"] += 1
        mine["cores"] += server.flavor.vcpus
        mine["ram"] += server.flavor.memory_mb
    return [
        Finding(
            "I5", Kind.OVER_QUOTA, f"project {project} has {mine[name]} of {name} and a limit of {most[name]}",
            (project,), "nothing, if its limit was lowered or a resize may go beyond it; else report it", note=True,
        )
        for project, mine in used.items()
        for most in [snapshot.limits[project]]
        for name in mine
        if 0 <= most[name] < mine[name]
    ]  # fmt: skip


def check_sizes(reader: Reader) -> list[Finding]:
    """I5: the columns that quotas add up are those of the servers' flavors; while one is resized, of the larger one."""
    flavors: dict[str, list[dict[str, int]]] = {}
    for move in open_ones(reader):
        flavors.setdefault(move.server_id, []).extend([as_json(move.old_flavor), as_json(move.new_flavor)])
    found = []
    for row in reader.find(compute.servers, compute.servers.c.deleted_at.is_(None)):
        largest = [row["flavor"], *flavors.get(row["id"], [])]
        if any(
            row[name] not in (row["flavor"][name], max(each[name] for each in largest))
            for name in ("vcpus", "memory_mb")
        ):
            text = (
                f"server {row['id']} counts as {row['vcpus']} vCPUs and {row['memory_mb']} MiB, its flavor has others"
            )
            found.append(Finding("I5", Kind.WRONG_SIZE, text, (row["id"],), "report it"))
    return found


# ---------------------------------------------------------------- I7: ports and addresses


def check_ports(snapshot: Snapshot) -> list[Finding]:
    """I7: no address is given twice, and the ports of servers are those of servers that there are."""
    found = [
        *_twice(
            "MAC", ((f"{each['mac_address']} of network {each['network_id']}", each["id"]) for each in snapshot.plugs)
        ),
        *_twice(
            "address",
            ((f"{each['ip_address']} of subnet {each['subnet_id']}", each["port_id"]) for each in snapshot.addresses),
        ),
        *_twice(
            "floating IP",
            (
                (f"{each['floating_ip_address']} of network {each['floating_network_id']}", each["id"])
                for each in snapshot.floating
            ),
        ),
    ]
    for port in snapshot.ports:
        server = snapshot.servers.get(port.device_id)
        if server is None:
            found.append(
                Finding(
                    "I7",
                    Kind.ORPHAN_PORT,
                    f"port {port.id} is that of server {port.device_id}, which is not there",
                    (port.id,),
                    "delete it",
                )
            )
        elif port.host_id not in _homes(snapshot, server):
            found.append(
                Finding(
                    "I7",
                    Kind.WRONG_PORT,
                    f"port {port.id} is bound to host {port.host_id or '(none)'}, its server {server.id} is on "
                    f"{server.host or 'none'}",
                    (port.id,),
                    "bind it to the server's host",
                )
            )
    return found


def _homes(snapshot: Snapshot, server: Server) -> set[str]:
    """The names of hosts to which the ports of a server may be bound."""
    hosts = [server.host, *(each.target for each in snapshot.migrations if each.server_id == server.id)]
    names = {snapshot.hosts[each] for each in hosts if each is not None and each in snapshot.hosts}
    return names if has_place(server) else names | {""}


def _twice(what: str, pairs: Iterable[tuple[str, str]]) -> list[Finding]:
    owners: dict[str, list[str]] = {}
    for address, owner in pairs:
        owners.setdefault(address, []).append(owner)
    return [
        Finding("I7", Kind.SAME_ADDRESS, f"{what} {address} is given {len(mine)} times", tuple(mine), "delete one")
        for address, mine in owners.items()
        if len(mine) > 1
    ]


# ---------------------------------------------------------------- I9: nothing is under way for ever


def check_progress(snapshot: Snapshot, now: datetime, patience: Seconds) -> list[Finding]:
    """I9: what is under way has an action that carries it out, and not for longer than ``patience`` seconds."""
    busy = {each.server_id for each in snapshot.actions}
    before = now - timedelta(seconds=patience)
    found = []
    for action in snapshot.actions:
        late = action.started_at < before
        found.append(
            Finding(
                "I9",
                Kind.UNDER_WAY,
                f"{action.action} of server {action.server_id} is under way since {action.started_at:%F %T}",
                (action.server_id, str(action.number)),
                "look at its host; deleting the server breaks it off" if late else "it goes on while the cloud runs",
                note=not late,
            )
        )
    for server in snapshot.servers.values():
        if server.id not in busy and (server.task_state is not None or server.vm_state == VmState.BUILDING):
            state = server.task_state or server.vm_state
            found.append(
                Finding(
                    "I9",
                    Kind.STUCK_SERVER,
                    f"server {server.id} is {state} and nothing carries that out",
                    (server.id,),
                    "let it be in ERROR, so that its owner can delete or rebuild it",
                )
            )
    for move in snapshot.migrations:
        alive = move.server_id in snapshot.servers
        if not alive or (move.server_id not in busy and move.status not in WAITING):
            found.append(
                Finding(
                    "I9",
                    Kind.STUCK_MIGRATION,
                    f"migration {move.uuid} of server {move.server_id} is {move.status} and nothing carries it out",
                    (move.uuid,),
                    "let it be in error",
                    # A deletion that failed leaves it open on purpose: the next one finds both copies by it.
                    note=alive and snapshot.servers[move.server_id].vm_state == VmState.ERROR,
                )
            )
    made = {each.args.get(NEW_IMAGE) for each in snapshot.actions}
    found += [
        Finding(
            "I9", Kind.UNMADE_IMAGE, f"image {image_id} is to be made of server {server}, and nothing makes it",
            (image_id,), "delete it",
        )
        for image_id, server in snapshot.unmade.items()
        if image_id not in made
    ]  # fmt: skip
    return found


def check_images(
    snapshot: Snapshot, now: datetime, patience: Seconds, files: Mapping[str, Iterable[str]]
) -> list[Finding]:
    """I9: data of images do not arrive for ever, and each file is that of an image.

    ``files`` are the names of those that there are: ``images``, ``staged`` and ``incoming``.
    """
    before = now - timedelta(seconds=patience)
    by_id = {row["id"]: row for row in snapshot.images}
    found = [
        Finding(
            "I9", Kind.STUCK_IMAGE, f"image {row['id']} is {row['status']} since {row['updated_at']:%F %T}",
            (row["id"],), "begin its upload again: a start of the cloud takes it back to queued",
        )
        for row in snapshot.images
        if row["status"] in (SAVING, IMPORTING) and row["updated_at"] < before
    ]  # fmt: skip
    expected = {"images": WITH_DATA, "staged": (UPLOADING, IMPORTING), "incoming": (SAVING, UPLOADING)}
    stray = (
        Finding(
            "I9", Kind.STRAY_FILE, f"there is a file {folder}/{name} and no image that it belongs to",
            (name,), "remove it; a start of the cloud does",
        )
        for folder, states in expected.items()
        for name in files.get(folder, ())
        if name not in by_id or by_id[name]["status"] not in (*states, SAVING, IMPORTING)
    )  # fmt: skip
    return [*found, *stray]
