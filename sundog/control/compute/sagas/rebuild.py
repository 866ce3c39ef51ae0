"""Giving a server a new disk from an image, where it is.

The new copy has the next generation, which is in the server's ``kept`` from the beginning: whoever looks at the host
meanwhile leaves both copies alone, and whoever deletes the server removes both.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sundog.backends.contract import ServerKey
from sundog.control.compute.actions import DOING
from sundog.control.compute.creating import NO_VALID_HOST
from sundog.control.compute.records import Server, ServerImage
from sundog.control.compute.sagas.common import COPIES, power_of, spec_of
from sundog.control.compute.scheduling import Wish
from sundog.control.compute.work import Saga, Work, work_server
from sundog.core.lifecycle.servers import Power, TaskState, VmState
from sundog.errors import Conflict, SundogError

_FILTERS: Final = (
    "TraitsFilter",
    "ImagePropertiesFilter",
    "IsolatedHostsFilter",
    "AggregateImagePropertiesIsolation",
)
"""What another image may speak against: Nova's filters that are asked at a rebuild, and the image's traits."""


async def do(work: Work) -> None:
    """See that the host may run the image, and replace the copy. What the server holds stays as it is."""
    server, parts, args = work.server(), work.parts, work.args
    assert server.host is not None
    _check_host(work, server)
    key = ServerKey(server.id, args["generation"])
    with parts.books.writing() as tx:
        work.set(tx, phase=DOING)  # or a delete that took its place would seem to be over
        parts.books.change(tx, server, task_state=TaskState.REBUILD_SPAWNING)
    await work.wire()
    spec = spec_of(work, server, generation=key.generation)
    rebuild = partial(parts.driver.rebuild, server.host, spec, start=args["start"])
    await work.ask(rebuild, server.host, key, deadline=parts.settings.long)
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        work.finish(
            tx, server,
            vm_state=VmState.ACTIVE if args["start"] else VmState.STOPPED,
            power_state=Power.RUNNING if args["start"] else Power.SHUTDOWN,
            generation=key.generation, launched_at=parts.books.now(), fault=None, kept=_without_copies(server),
        )  # fmt: skip


def _check_host(work: Work, server: Server) -> None:
    """Raises: Conflict if the host may not run the new image."""
    host = work.parts.hosts.by_uuid(server.host)
    if host is None or work.args["old_image_id"] == server.image_id:
        return
    wish = Wish(server.id, server.project_id, server.flavor, server.image, hints=server.hints)
    refused = work.parts.scheduling.against(wish, host.name, filters=_FILTERS)
    if refused:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused)
        raise Conflict(NO_VALID_HOST, details=f"host {host.name} may not run image {server.image_id}: {reasons}")


async def undo(work: Work) -> None:
    """The server is in ERROR, with the copy that its host holds; that of before unless it was given up already."""
    server, parts, args = work.server(), work.parts, work.args
    assert server.host is not None
    message, new = work.action.message or "", ServerKey(server.id, args["generation"])
    try:
        replaced: bool | None = await power_of(work, server.host, new) is not None
    except SundogError:
        replaced = None  # nobody can say: both may be there
    details = work.failure.facts.get("details", "") if work.failure is not None else ""
    with parts.books.writing() as tx:
        server = work_server(tx, work)
        values: dict[str, Any] = {"vm_state": VmState.ERROR, "fault": work.fault(message, details=details)}
        if replaced:
            values["generation"] = new.generation
        else:
            old = args["old_image"]
            values |= {"image_id": args["old_image_id"], "image": None if old is None else ServerImage(**old)}
        if replaced is not None:
            values["kept"] = _without_copies(server)
        work.finish(tx, server, failure=message, **values)


def _without_copies(server: Server) -> dict[str, Any]:
    return {name: value for name, value in server.kept.items() if name != COPIES}


SAGA: Final = Saga(do, undo)
