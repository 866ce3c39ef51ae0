"""What must hold: some of it at any instant, the rest when all trouble has ended and everything has settled."""

from __future__ import annotations

from collections.abc import Iterator

from sundog.backends.simulated import SimulatedDriver
from sundog.control.audit import Kind, audit, check_books, check_copies, check_sizes, look
from sundog.control.audit.books import Snapshot, has_place
from sundog.control.compute.books import find_servers
from sundog.control.store import Reader, Store
from sundog.control.store.tables import compute as tables
from sundog.errors import PoolError
from sundog.soak.plane import Life
from sundog.soak.told import Outcome, Request, Told


def check_instant(store: Store, driver: SimulatedDriver, life: Life | None, told: Told) -> None:
    """I1, I2, I3, I5, I7, which hold at any instant; and what is in memory is what is in the store."""
    with store.read() as reader:
        snapshot = look(reader)
        sizes = check_sizes(reader)
    for finding in [*check_books(snapshot), *sizes, *check_copies(driver.truth())]:
        if not finding.note:
            told.violation(str(finding))
        elif finding.kind is Kind.OVER_QUOTA:
            _check_quota(snapshot, told)
    if life is not None and life.gate.is_alive:
        check_memory(snapshot, life, told)


def _check_quota(snapshot: Snapshot, told: Told) -> None:
    """A project may be over a limit that was lowered; never over the highest that it had."""
    used: dict[tuple[str, str], int] = {}
    for server in snapshot.servers.values():
        flavor = server.flavor
        for name, amount in (("instances", 1), ("cores", flavor.vcpus), ("ram", flavor.memory_mb)):
            used[server.project_id, name] = used.get((server.project_id, name), 0) + amount
    for (project, name), amount in used.items():
        most = max(told.most.get((project, name), 0), snapshot.limits[project][name])
        if amount > most >= 0:
            told.violation(f"I5 project {project} has {amount} of {name}, and its limit was never above {most}")


def check_memory(snapshot: Snapshot, life: Life, told: Told) -> None:
    """What Placement has in memory is what the store has."""
    books = life.placement.books
    held = {uuid: life.placement.held(uuid) for uuid in books.consumers}
    if held != snapshot.held:
        differing = sorted(uuid for uuid in {*held, *snapshot.held} if held.get(uuid) != snapshot.held.get(uuid))
        told.violation(f"Placement's memory differs from the store about {', '.join(differing)}")
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
        for text in (*_requests(reader, told), *_metadata(reader, told), *_truth(reader, driver)):
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


def _metadata(reader: Reader, told: Told) -> Iterator[str]:
    """I4: items have the last value that was acknowledged, or one whose request was left open."""
    servers = {each.id: each for each in find_servers(reader, tables.servers.c.deleted_at.is_(None))}
    for (server_id, key), values in told.metadata.items():
        server = servers.get(server_id)
        if server is not None and server.metadata.get(key) not in values:
            value = server.metadata.get(key)
            yield f"I4 metadata {key} of server {server_id} is {value}, and should be one of {values}"


def _truth(reader: Reader, driver: SimulatedDriver) -> Iterator[str]:
    """I10: hosts hold what the books say, neither more nor less, whatever the control plane believes."""
    snapshot = look(reader)
    expected = {
        (server.host, server.id, server.generation)
        for server in snapshot.servers.values()
        if has_place(server) and server.vm_state != "error"
    }
    allowed = {(server.host, server.id, server.generation) for server in snapshot.servers.values() if has_place(server)}
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
    for what, ids in left.items():
        if ids:
            told.violation(f"I2 every server was deleted, and there are {what} left: {', '.join(ids)}")
