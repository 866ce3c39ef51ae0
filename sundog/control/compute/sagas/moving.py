"""What moves have in common: two copies, of which one at most may run, and two claims."""

from __future__ import annotations

from typing import Any, Final

from sundog.backends.contract import PowerState, ServerCopy, ServerKey
from sundog.control.compute import ports
from sundog.control.compute.creating import CONSUMER_TYPE
from sundog.control.compute.migrations import by_uuid, set_status
from sundog.control.compute.records import Migration, Server
from sundog.control.compute.sagas.common import POWER
from sundog.control.compute.work import Ask, Work, work_server
from sundog.control.placement.records import Wanted
from sundog.control.store import Tx
from sundog.core.lifecycle.servers import FOLLOWS, Power
from sundog.errors import BackendFailed, HostDown, OutcomeUnknown
from sundog.runtime import aio
from sundog.units import Seconds

MOVE_TYPE: Final = "MIGRATION"
_PAUSE: Final[Seconds] = 5.0


def move_of(work: Work) -> Migration:
    """The migration that an action is about, as it is now."""
    with work.parts.books.reading() as tx:
        return by_uuid(tx, work.args["migration"])


def old_key(move: Migration) -> ServerKey:
    """The copy that a move leaves."""
    return ServerKey(move.server_id, move.source_generation)


def new_key(move: Migration) -> ServerKey:
    """The copy that a move makes."""
    return ServerKey(move.server_id, move.target_generation)


def target_of(move: Migration) -> str:
    """Where a move goes that was accepted."""
    assert move.target is not None
    return move.target


def has_arrived(server: Server, move: Migration) -> bool:
    """Whether the books have the server at the target."""
    return server.generation == move.target_generation


# ---------------------------------------------------------------- hosts that may be out of reach


async def copy_on(work: Work, host: str, key: ServerKey) -> ServerCopy | None:
    """A finished copy, when nothing is under way on it any more; None if the host has none.

    Raises: HostDown, or another BackendFailed, if the host cannot be asked.
    """
    failures, pause = 0, 1.0
    while True:
        try:
            copies = await work.parts.driver.list_servers(host, deadline=work.parts.settings.quick)
        except HostDown:
            raise
        except (BackendFailed, OutcomeUnknown):
            failures += 1
            if failures == work.parts.settings.tries:
                raise BackendFailed(f"host {host} does not say what it holds", host=host) from None
        else:
            found = next((copy for copy in copies if copy.key == key), None)
            if found is None or not found.busy:
                return None if found is None or found.power_state is PowerState.NOSTATE else found
        await aio.sleep(pause)
        pause = min(2.0 * pause, 60.0)


async def reachable(work: Work, host: str) -> None:
    """Wait until a host answers, or is off for certain."""
    hosts = work.parts.hosts
    while True:
        await aio.sleep(_PAUSE)
        if hosts.answers(host) or hosts.is_off(host):
            return


async def insist(work: Work, operation: Ask, host: str, key: ServerKey) -> None:
    """Have an operation done after which a copy may run. A host out of reach is waited for: nobody knows if it does.

    Raises: BackendFailed if it did not happen, OutcomeUnknown if the host answers and yet that cannot be found out.
    """
    hosts = work.parts.hosts
    while True:
        try:
            await work.ask(operation, host, key, deadline=work.parts.settings.long)
        except (HostDown, OutcomeUnknown):
            if hosts.is_off(host) or hosts.answers(host):
                raise
            await reachable(work, host)
        else:
            return


async def surely_gone(work: Work, host: str, key: ServerKey) -> None:
    """Remove a copy that may be running, and do not go on before it is certain that it does not."""
    while not await work.destroy(host, key, before_another=True):
        await reachable(work, host)


# ---------------------------------------------------------------- both ends, in the books


def arrive(tx: Tx, work: Work, move: Migration, status: str, **values: Any) -> None:
    """The server is at the target from now on, and so are its ports."""
    parts, target = work.parts, target_of(move)
    parts.books.change(
        tx, work_server(tx, work), host=target, generation=move.target_generation, flavor=move.new_flavor, **values
    )
    ports.bind_ports(tx, parts.network, move.server_id, parts.hosts.show(target).name)
    set_status(tx, parts.books, move, status)


def go_home(tx: Tx, work: Work, move: Migration, **values: Any) -> None:
    """The server is where it was, what it was; both claims stay."""
    parts = work.parts
    parts.books.change(
        tx, work_server(tx, work), host=move.source, generation=move.source_generation, flavor=move.old_flavor, **values
    )
    host = parts.hosts.by_uuid(move.source)
    ports.bind_ports(tx, parts.network, move.server_id, "" if host is None else host.name)


def let_source_go(tx: Tx, work: Work, move: Migration) -> None:
    """The claim on the source is over."""
    held = work.parts.placement.held(move.uuid)
    if held:
        work.parts.placement.set_allocations([_wanted(move, move.uuid, {})], tx=tx)


def give_back(tx: Tx, work: Work, move: Migration) -> None:
    """The server has its claim on the source again, and none on the target."""
    held = work.parts.placement.held(move.uuid)
    if held:
        wanted = [_wanted(move, move.uuid, {}), _wanted(move, move.server_id, held)]
        work.parts.placement.set_allocations(wanted, tx=tx)


def _wanted(move: Migration, consumer: str, allocations: Any) -> Wanted:
    kind = CONSUMER_TYPE if consumer == move.server_id else MOVE_TYPE
    return Wanted(consumer, allocations, move.project_id, move.user_id, kind)


async def power_there(work: Work, host: str, key: ServerKey) -> Power | None:
    """What a copy is doing; None if that cannot be known, or it is not there."""
    try:
        copy = await copy_on(work, host, key)
    except BackendFailed:
        return None
    return None if copy is None else POWER[copy.power_state]


def settled_state(power: Power | None, vm_state: str) -> dict[str, Any]:
    """What a server is by its copy; what it was where that cannot be known."""
    return {"vm_state": vm_state} if power is None else {"vm_state": FOLLOWS[power], "power_state": power}
