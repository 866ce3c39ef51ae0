"""Shelving: a server becomes an image, gives up its place at once or later, and is made of the image again."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, Final

from sundog.backends.contract import ServerKey
from sundog.control.compute import ports
from sundog.control.compute.creating import NO_VALID_HOST, claim, kept_image, unclaim, wish_for
from sundog.control.compute.imaging import NEW_IMAGE, delete_image, drop_shelved_image
from sundog.control.compute.records import Server, ServerImage, as_json
from sundog.control.compute.sagas.common import key_of, next_generation, spec_of
from sundog.control.compute.sagas.moving import copy_on, insist, power_there, settled_state, surely_gone
from sundog.control.compute.sagas.snapshot import snapshot_to_image
from sundog.control.compute.work import Saga, Work, work_server
from sundog.control.image.books import any_image
from sundog.control.image.states import ACTIVE
from sundog.control.store import Reader, Tx
from sundog.core.lifecycle.servers import Power, TaskState, VmState
from sundog.core.scheduler import NoValidHost
from sundog.errors import BackendFailed, OutcomeUnknown, PlainFailure

SHELVED_IMAGE: Final = "shelved_image"
SHELVED_AT: Final = "shelved_at"

NOT_ENOUGH: Final = NO_VALID_HOST + "There are not enough hosts available."


# ---------------------------------------------------------------- away


async def do(work: Work) -> None:
    """Stop the server, make the image, and give up the place if that is to be at once."""
    server, parts = work.server(), work.parts
    if server.vm_state != VmState.SHELVED:
        await _read(work, server)
        with parts.books.writing() as tx:
            server = work_server(tx, work)
            # It has one already if it was shelved before and somebody reset its state.
            drop_shelved_image(tx, parts, server)
            kept = {
                **server.kept,
                SHELVED_IMAGE: as_json(_image(tx, work.args[NEW_IMAGE])),
                SHELVED_AT: parts.books.now().isoformat(),
            }
            values: dict[str, Any] = {"vm_state": VmState.SHELVED, "power_state": Power.SHUTDOWN, "kept": kept}
            if parts.settings.shelved_offload_time != 0:
                work.finish(tx, server, **values)
                return
            parts.books.change(tx, server, task_state=TaskState.SHELVING_OFFLOADING, **values)
            work.event(tx, "compute_shelve_offload_instance", server.host)
    await offload(work)


async def _read(work: Work, server: Server) -> None:
    """Stop the server and read its disk."""
    driver, key = work.parts.driver, key_of(server)
    assert server.host is not None
    await work.ask(partial(driver.power_off, server.host, key, grace=work.parts.settings.grace), server.host, key)
    with work.parts.books.writing() as tx:
        work.parts.books.change(tx, server, task_state=TaskState.SHELVING_IMAGE_UPLOADING)
    await snapshot_to_image(work, server, work.args[NEW_IMAGE])


def _image(reader: Reader, image_id: str) -> ServerImage:
    """Raises: BackendFailed for an image that somebody deleted."""
    image = any_image(reader, image_id)
    if image is None or image.status != ACTIVE:
        raise PlainFailure(f"Image {image_id} could not be found.", image=image_id)
    return kept_image(image)


async def undo(work: Work) -> None:
    """The server is what it was, or stopped if it was paused; one that is shelved already keeps its place."""
    server, message = work.server(), work.action.message or ""
    values: dict[str, Any] = {}
    shelved = server.vm_state == VmState.SHELVED
    if not shelved and server.host is not None:
        if work.args["vm_state"] == VmState.ACTIVE:
            await _start_again(work, server.host, key_of(server))
        values = settled_state(await power_there(work, server.host, key_of(server)), server.vm_state)
    with work.parts.books.writing() as tx:
        if not shelved:
            delete_image(tx, work.parts, work.args[NEW_IMAGE])
        work.finish(tx, work_server(tx, work), failure=message, **values)


async def _start_again(work: Work, host: str, key: ServerKey) -> None:
    """Start a copy that was to be stopped, once nothing is under way on it any more."""
    power_on = partial(work.parts.driver.power_on, host, key)
    for _ in range(work.parts.settings.tries):
        if await power_there(work, host, key) in (None, Power.RUNNING):
            return
        with suppress(BackendFailed, OutcomeUnknown):
            await work.ask(power_on, host, key)


async def offload(work: Work) -> None:
    """Give up the place. The copy does not run; on a host that does not answer it is removed when that is back.

    Raises: BackendFailed if a host answers and yet does not remove it.
    """
    server, parts = work.server(), work.parts
    host, key = server.host, key_of(server)
    failed = host is not None and not await work.destroy(host, key) and parts.hosts.is_up(host)
    if failed and host is not None and await copy_on(work, host, key) is not None:
        raise BackendFailed(f"host {host} does not remove the server", host=host)
    with parts.books.writing() as tx:
        _leave(tx, work)
        work.finish(tx, work_server(tx, work), vm_state=VmState.SHELVED_OFFLOADED, power_state=Power.SHUTDOWN)


def _leave(tx: Tx, work: Work) -> None:
    """The server is nowhere from now on, and holds nothing."""
    parts, server = work.parts, work_server(tx, work)
    parts.books.change(tx, server, host=None)
    ports.bind_ports(tx, parts.network, server.id, "")
    unclaim(tx, parts, server)


async def stay(work: Work) -> None:
    """It keeps its place."""
    with work.parts.books.writing() as tx:
        work.finish(tx, work_server(tx, work), failure=work.action.message or "")


# ---------------------------------------------------------------- back


async def unshelve(work: Work) -> None:
    """Start the server where it is, or make it of its image anew. The image goes when it is not needed any more."""
    server, parts = work.server(), work.parts
    await work.wire()
    if server.vm_state == VmState.SHELVED_OFFLOADED:
        server = _find_place(work) if server.host is None else server
        assert server.host is not None
        image = ServerImage(**server.kept[SHELVED_IMAGE])
        spawn = partial(parts.driver.spawn, server.host, spec_of(work, server, image=image))
        await insist(work, spawn, server.host, key_of(server))
    else:
        assert server.host is not None
        await work.ask(partial(parts.driver.power_on, server.host, key_of(server)), server.host, key_of(server))
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        drop_shelved_image(tx, parts, server)
        kept = {name: value for name, value in server.kept.items() if name not in (SHELVED_IMAGE, SHELVED_AT)}
        work.finish(
            tx, server, vm_state=VmState.ACTIVE, power_state=Power.RUNNING, kept=kept, launched_at=parts.books.now(),
        )  # fmt: skip


def _find_place(work: Work) -> Server:
    """Decide where the server goes, and claim it. Raises: BackendFailed if there is no host, or no image any more."""
    parts = work.parts
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        _image(tx, server.kept[SHELVED_IMAGE]["id"])
        forced = work.args.get("host")
        wish = wish_for(tx, server, force_hosts=() if forced is None else (forced,), checked=True)
        places = parts.scheduling.decide([wish])
        if isinstance(places, NoValidHost):
            raise PlainFailure(NOT_ENOUGH)
        place = places[0]
        parts.books.change(
            tx, server, host=place.host, generation=next_generation(tx, server), task_state=TaskState.SPAWNING
        )
        ports.bind_ports(tx, parts.network, server.id, place.name)
        claim(tx, parts, [(server, place)])
        work.event(tx, "compute_unshelve_instance", place.host)
        return work_server(tx, work)


async def undo_unshelve(work: Work) -> None:
    """It is shelved as before."""
    server, message = work.server(), work.action.message or ""
    offloaded = server.vm_state == VmState.SHELVED_OFFLOADED
    values: dict[str, Any] = {}
    if offloaded and server.host is not None:
        await surely_gone(work, server.host, key_of(server))
    elif server.host is not None:
        with suppress(BackendFailed, OutcomeUnknown):
            power_off = partial(work.parts.driver.power_off, server.host, key_of(server))
            await work.ask(power_off, server.host, key_of(server))
        power = await power_there(work, server.host, key_of(server))
        values = {} if power is None else {"power_state": power}
    with work.parts.books.writing() as tx:
        if offloaded:
            _leave(tx, work)
        work.finish(tx, work_server(tx, work), failure=message, **values)


SHELVE: Final = Saga(do, undo)
OFFLOAD: Final = Saga(offload, stay)
UNSHELVE: Final = Saga(unshelve, undo_unshelve)
