"""What changes what a server is doing, where it is: start, stop, reboot, pause, suspend, rescue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from sundog.backends.contract import ServerKey
from sundog.control.compute.records import Server, ServerImage
from sundog.control.compute.sagas.common import image_reference, key_of, power_of
from sundog.control.compute.work import Ask, Saga, Work, work_server
from sundog.core.lifecycle.servers import FOLLOWS, TRANSITIONS, Power, VmState
from sundog.errors import SundogError

Operation = Callable[[Work, str, ServerKey], Ask]
"""``(work, host, copy) -> operation``: what the driver is asked."""

_AFTER: Final[Mapping[VmState, Power]] = {
    VmState.ACTIVE: Power.RUNNING,
    VmState.STOPPED: Power.SHUTDOWN,
    VmState.PAUSED: Power.PAUSED,
    VmState.SUSPENDED: Power.SHUTDOWN,  # as libvirt sees a guest whose memory is on disk
    VmState.RESCUED: Power.RUNNING,
}


def _rescue(work: Work, host: str, key: ServerKey) -> Ask:
    image = ServerImage(**work.args["image"])
    return partial(work.parts.driver.rescue, host, key, image_reference(image))


_OPERATIONS: Final[Mapping[str, Operation]] = {
    "start": lambda work, host, key: partial(work.parts.driver.power_on, host, key),
    "stop": lambda work, host, key: partial(work.parts.driver.power_off, host, key, grace=work.parts.settings.grace),
    "reboot": lambda work, host, key: partial(work.parts.driver.reboot, host, key, "SOFT"),
    "reboot_hard": lambda work, host, key: partial(work.parts.driver.reboot, host, key, "HARD"),
    "pause": lambda work, host, key: partial(work.parts.driver.pause, host, key),
    "unpause": lambda work, host, key: partial(work.parts.driver.unpause, host, key),
    "suspend": lambda work, host, key: partial(work.parts.driver.suspend, host, key),
    "resume": lambda work, host, key: partial(work.parts.driver.resume, host, key),
    "rescue": _rescue,
    "unrescue": lambda work, host, key: partial(work.parts.driver.unrescue, host, key),
}

_SENDS: Final = ("start", "reboot_hard", "resume", "rescue", "unrescue")
"""After these a guest sends that did not: its host may have been out of reach when rules were changed."""


async def _do(name: str, work: Work) -> None:
    server, parts = work.server(), work.parts
    assert server.host is not None
    key = key_of(server)
    if name in _SENDS:
        await work.wire()
    await work.ask(_OPERATIONS[name](work, server.host, key), server.host, key)
    after = TRANSITIONS[name].after
    assert after is not None  # every line of the table that is in _OPERATIONS says it
    with parts.books.writing() as tx:
        work.finish(tx, work_server(tx, work), vm_state=after, power_state=_AFTER[after], fault=None)


async def undo(work: Work) -> None:
    """The server is what its host says that it is; if it cannot be asked, what it was."""
    server, parts = work.server(), work.parts
    assert server.host is not None
    message = work.action.message or ""
    try:
        power = await power_of(work, server.host, key_of(server))
    except SundogError:
        power = None
    with parts.books.writing() as tx:
        values = {} if power is None else state_for(server, power)
        work.finish(tx, work_server(tx, work), failure=message, **values)


def state_for(server: Server, power: Power) -> dict[str, Any]:
    """What a server is whose copy has this power state; as it was where that agrees, or says more."""
    now = FOLLOWS.get(power)
    kept = (VmState.RESCUED, VmState.RESIZED, VmState.ERROR, VmState.SHELVED)
    if now is None or server.vm_state in kept:
        return {"power_state": power}
    return {"power_state": power, "vm_state": now}


SAGAS: Final[Mapping[str, Saga]] = {name: Saga(partial(_do, name), undo) for name in _OPERATIONS}
