"""What must hold: some of it at any instant, the rest when all trouble has ended and everything has settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sundog.backends.simulated import SimulatedDriver
from sundog.control.audit import Kind, audit, check_addresses, check_books, check_copies, check_sizes, look
from sundog.control.audit.books import Snapshot, has_place
from sundog.control.compute import quotas
from sundog.control.compute.books import find_servers
from sundog.control.compute.records import Server
from sundog.control.compute.sagas.common import COPIES
from sundog.control.network import quotas as network_quotas
from sundog.control.store import Reader, Row, Store
from sundog.control.store.tables import compute as tables
from sundog.control.store.tables import image as image_tables
from sundog.control.store.tables import network as network_tables
from sundog.errors import PoolError
from sundog.soak.plane import Life
from sundog.soak.told import ANYTHING, Outcome, Request, Told

NETWORK: Final = ("port", "floatingip", "security_group")
"""What projects have of the network that is counted against a limit."""


def check_instant(store: Store, driver: SimulatedDriver, life: Life | None, told: Told) -> None:
    """I1, I2, I3, I5, I7, I8, which hold at any instant; and what is in memory is what is in the store."""
    with store.read() as reader:
        snapshot = look(reader)
        more = [*check_sizes(reader), *check_addresses(reader)]
        for text in (*_limits(reader, told), *_tenants(reader, snapshot), *_groups(reader, snapshot, told)):
            told.violation(text)
        hosts = reader.find(tables.hosts)
    for finding in [*check_books(snapshot), *more, *check_copies(driver.truth())]:
        if not finding.note:
            told.violation(str(finding))
    if life is not None and life.gate.is_alive:
        check_memory(snapshot, hosts, life, told)


def _limits(reader: Reader, told: Told) -> Iterator[str]:
    """I5: a project may be over a limit that was lowered; never over the highest that it had."""
    users = {row["user_id"]: row["project_id"] for row in reader.find(tables.servers)}
    for project in dict.fromkeys([*users.values(), *(project for project, _ in told.most)]):
        used = {**quotas.usage(reader, project)}
        used |= {name: network_quotas.used(reader, project, name) for name in NETWORK}
        limits = {**quotas.limits(reader, project), **network_quotas.limits(reader, project)}
        for user in [user for user, of in users.items() if of == project]:
            used["key_pairs"] = reader.count(tables.keypairs, tables.keypairs.c.user_id == user)
        for name, amount in used.items():
            most = told.most.get((project, name), limits[name])
            if amount > most >= 0:
                yield f"I5 project {project} has {amount} of {name}, and its limit was never above {most}"


def _tenants(reader: Reader, snapshot: Snapshot) -> Iterator[str]:
    """I8: what belongs together belongs to one project."""
    for port in snapshot.ports:
        server = snapshot.servers.get(port.device_id)
        if server is not None and server.project_id != port.project_id:
            yield f"I8 port {port.id} of project {port.project_id} is on server {server.id} of another project"
    owners = {row["id"]: row["project_id"] for row in snapshot.plugs}
    for row in snapshot.floating:
        if row["port_id"] is not None and owners.get(row["port_id"]) != row["project_id"]:
            yield f"I8 floating IP {row['id']} leads to port {row['port_id']} of another project"
    groups = {row["id"]: row["project_id"] for row in reader.find(tables.server_groups)}
    for server in snapshot.servers.values():
        if server.group_id is not None and groups.get(server.group_id) != server.project_id:
            yield f"I8 server {server.id} is in server group {server.group_id} of another project, or of none"


def _groups(reader: Reader, snapshot: Snapshot, told: Told) -> Iterator[str]:
    """Members of groups are together, or apart: of groups whose members all are where the scheduler put them.

    A move that failed, or was taken back, brings its server home whoever came there meanwhile, as Nova does.
    """
    moved = {row["server_id"] for row in reader.find(tables.migrations)} | set(told.forced)
    members: dict[str, list[Server]] = {}
    for server in snapshot.servers.values():
        if server.group_id is not None and server.host is not None:
            members.setdefault(server.group_id, []).append(server)
    for row in reader.find(tables.server_groups):
        hosts = [each.host for each in members.get(row["id"], ())]
        if any(each.id in moved for each in members.get(row["id"], ())):
            continue
        together, different = row["policy"] == "affinity", len(set(hosts))
        if (together and different > 1) or (row["policy"] == "anti-affinity" and different < len(hosts)):
            yield f"I1 members of the {row['policy']} group {row['id']} are on hosts {', '.join(map(str, hosts))}"


def check_memory(snapshot: Snapshot, rows: Sequence[Row], life: Life, told: Told) -> None:
    """What Placement, the scheduler and the list of hosts have in memory is what the store has."""
    books = life.placement.books
    held = {uuid: life.placement.held(uuid) for uuid in books.consumers}
    if held != snapshot.held:
        differing = sorted(uuid for uuid in {*held, *snapshot.held} if held.get(uuid) != snapshot.held.get(uuid))
        told.violation(f"Placement's memory differs from the store about {', '.join(differing)}")
    hosts = life.compute.hosts
    for row in rows:
        host = hosts.by_uuid(row["uuid"])
        if host is None or (host.disabled, host.forced_down) != (row["disabled"], row["forced_down"]):
            told.violation(f"what is in memory of host {row['uuid']} differs from the store")
    counted: dict[str, dict[int, int]] = {}
    for server in snapshot.servers.values():
        if server.group_id is not None and server.host is not None:
            mine = counted.setdefault(server.group_id, {})
            number = books.providers[server.host].row
            mine[number] = mine.get(number, 0) + 1
    for group, expected in counted.items():
        if dict(life.compute.scheduling.scheduler.groups.members(group)) != expected:
            told.violation(f"the members of server group {group} in memory differ from the store")
    try:
        life.placement.pool.check()
    except PoolError as error:
        told.violation(f"the pool is inconsistent: {error}")


async def check_end(store: Store, driver: SimulatedDriver, life: Life, told: Told) -> None:
    """Everything, of a cloud that has settled: nothing may be under way any more."""
    check_instant(store, driver, life, told)
    for finding in await audit(life, patience=0.0):
        if not finding.note or finding.kind in (Kind.UNDER_WAY, Kind.SILENT_HOST):
            told.violation(str(finding))
    with store.read() as reader:
        for text in (*_requests(reader, told), *_facts(reader, told), *_truth(reader, driver)):
            told.violation(text)
    busy = {name: value for name, value in _slots(driver.statistics()) if value}
    if busy:
        told.violation(f"I9 hosts are still at work: {busy}")


def _slots(record: object) -> Iterator[tuple[str, int]]:
    return ((name, getattr(record, name)) for name in type(record).__slots__)  # type: ignore[attr-defined]


def _requests(reader: Reader, told: Told) -> Iterator[str]:
    """I4, I12: what was acknowledged is written down, once; what was refused is not."""
    written: dict[str, list[tuple[str, str]]] = {}
    failed: dict[str, bool] = {}
    for row in reader.find(tables.actions):
        written.setdefault(row["request_id"], []).append((row["server_id"], row["action"]))
        failed[row["request_id"]] = row["message"] is not None
    for request in told.requests:
        found = written.get(request.id, [])
        if request.outcome is Outcome.REFUSED and failed.get(request.id):
            continue  # that there was no host for a move is written down too
        expected = [(server, request.action) for server in request.servers]
        text = _request(request, found, expected)
        if text:
            yield text


def _request(request: Request, found: list[tuple[str, str]], expected: list[tuple[str, str]]) -> str:
    match request.outcome:
        case Outcome.DONE:
            wrong = sorted(found) != sorted(expected)
        case Outcome.REFUSED:
            wrong = bool(found)
        case Outcome.UNKNOWN:
            wrong = bool(expected) and found not in ([], expected)
    return f"I4 {request.action} {request.id} was {request.outcome}; written down is {found or 'nothing'}" * wrong


def check_acknowledged(store: Store, told: Told) -> None:
    """I4, of a cloud that has settled and that nobody has touched since."""
    with store.read() as reader:
        for text in _facts(reader, told):
            told.violation(text)


def _facts(reader: Reader, told: Told) -> Iterator[str]:
    """I4: everything is what was acknowledged last, or what a request may have made of it whose answer is missing."""
    servers = {each.id: each for each in find_servers(reader, tables.servers.c.deleted_at.is_(None))}
    tags: dict[str, tuple[str, ...]] = {}
    for row in reader.find(tables.server_tags, order_by=tables.server_tags.c.tag):
        tags[row["server_id"]] = (*tags.get(row["server_id"], ()), row["tag"])
    for (kind, its, part), values in told.facts.items():
        if ANYTHING in values or (kind in ("metadata", "name", "tags", "locked") and its not in servers):
            continue
        match kind:
            case "metadata":
                value: object = servers[its].metadata.get(part)
            case "name":
                value = servers[its].name
            case "tags":
                value = tags.get(its, ())
            case "locked":
                value = servers[its].is_locked
            case _:
                value = _stored(reader, kind, its, part)
        if value not in values:
            yield f"I4 {kind} {part} of {its} is {value}, and should be one of {values}"


def _stored(reader: Reader, kind: str, its: str, part: str) -> object:
    """What the store has of something; of what comes and goes, whether it is there."""
    match kind:
        case "host":
            row = reader.get(tables.hosts, uuid=its)
            return None if row is None else row[part]
        case "quota":
            return quotas.limits(reader, its)[part]
        case "network quota":
            return network_quotas.limits(reader, its)[part]
        case "keypair":
            return reader.get(tables.keypairs, user_id=its, name=part) is not None
        case "server group":
            return reader.get(tables.server_groups, id=its) is not None
        case "floating IP":
            return reader.get(network_tables.floating_ips, id=its) is not None
        case "image":
            row = reader.get(image_tables.images, id=its)
            return row is not None and row["status"] != "deleted"
    raise AssertionError(f"nobody knows where {kind} is stored")


def _truth(reader: Reader, driver: SimulatedDriver) -> Iterator[str]:
    """I10: hosts hold what the books say, neither more nor less, whatever the control plane believes."""
    snapshot = look(reader)
    expected = {
        (server.host, server.id, server.generation)
        for server in snapshot.servers.values()
        if has_place(server) and server.vm_state != "error"
    }
    allowed = {(server.host, server.id, server.generation) for server in snapshot.servers.values() if has_place(server)}
    for each in snapshot.servers.values():  # of a rebuild that nobody knows the end of, both copies are left alone
        allowed |= {(each.host, each.id, generation) for generation in each.kept.get(COPIES, ())}
    for move in snapshot.migrations:
        allowed |= {
            (move.source, move.server_id, move.source_generation),
            (move.target, move.server_id, move.target_generation),
        }
    plugged: dict[str, set[str]] = {}
    for port in snapshot.ports:
        plugged.setdefault(port.device_id, set()).add(port.id)
    for host, copies in driver.truth().items():
        for copy in copies:
            server = snapshot.servers.get(copy.uuid)
            if server is None or copy.kept or server.vm_state == "error" or server.generation != copy.generation:
                continue
            if set(copy.ports) != plugged.get(copy.uuid, set()):
                yield f"I10 copy {copy.key} on host {host} has other ports than its server"
    there = {
        (host, copy.uuid, copy.generation) for host, copies in driver.truth().items() for copy in copies
    }  # fmt: skip
    for stale in sorted(there - allowed, key=str):
        yield f"I10 host {stale[0]} holds copy {stale[2]} of server {stale[1]}, which should not be there"
    for lost in sorted(expected - there, key=str):
        yield f"I10 host {lost[0]} does not hold copy {lost[2]} of server {lost[1]}, which should be there"


def check_empty(store: Store, driver: SimulatedDriver, told: Told) -> None:
    """After every server was deleted nothing of any is left."""
    with store.read() as reader:
        snapshot = look(reader)
    left = {
        "servers": list(snapshot.servers),
        "open migrations": [each.uuid for each in snapshot.migrations],
        "allocations": list(snapshot.consumers),
        "ports": [each.id for each in snapshot.ports],
        "copies": [f"{copy.key} on {host}" for host, copies in driver.truth().items() for copy in copies],
    }
    with store.read() as reader:
        c = image_tables.images.c
        shelved = reader.find(image_tables.images, c.name.endswith("-shelved"), c.status != "deleted")
    left["images of shelved servers"] = [row["id"] for row in shelved]
    for what, ids in left.items():
        if ids:
            told.violation(f"I2 every server was deleted, and there are {what} left: {', '.join(ids)}")
