"""kill -9 of a cloud's process right before and right after every commit of an operation, and what is left of it.

``python -m tests.system.killing FOLDER OPERATION`` prints a JSON line for each point: which commit, whether before or
after it, what had been acknowledged, and what is wrong after the restart. Each try is a process of its own, which
kills itself; the next one starts over the same state folder, as ``sundog serve`` does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sundog import app
from sundog.backends.contract import HostState
from sundog.backends.playground import HostFault, Scope
from sundog.backends.simulated import FileLedger, SimulatedDriver, identical_hosts
from sundog.backends.simulated.ledger import Holding
from sundog.control.audit import audit
from sundog.control.cloud import Cloud
from sundog.control.compute.records import Flavor, NewServer, Server
from sundog.control.image.listing import Wanted
from sundog.control.store import Reader, Store, Tx
from sundog.control.viewer import EVERYTHING
from sundog.errors import NotFound
from sundog.runtime import aio, warp
from tests.computing import ADMIN, OWNER, add_network, upload

MOST_POINTS = 200
SMALL = Flavor("1", "small", vcpus=1, memory_mb=512, root_gb=1)
LARGE = Flavor("2", "large", vcpus=2, memory_mb=1024, root_gb=2)


class Killer:
    """Kills this process at the ``commit``-th commit, ``before`` or after it; ``commit`` 0 is never."""

    def __init__(self, commit: int, *, before: bool) -> None:
        self.count = 0
        self._commit, self._before = commit, before

    def about_to_commit(self) -> None:
        self.count += 1
        if self._before and self.count == self._commit:
            os.kill(os.getpid(), signal.SIGKILL)

    def committed(self) -> None:
        if not self._before and self.count == self._commit:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingStore(Store):
    """A store whose commits are counted."""

    def __init__(self, inner: Store, killer: Killer) -> None:
        self.name, self._inner, self._killer = inner.name, inner, killer

    @property
    def changes(self) -> int:  # type: ignore[override]
        return self._inner.changes

    def close(self) -> None:
        self._inner.close()

    def migrate(self, **options: Any) -> None:
        self._inner.migrate(**options)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        with self._inner.begin() as tx:
            tx.on_commit(self._killer.committed)
            yield tx
            self._killer.about_to_commit()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        with self._inner.read() as reader:
            yield reader


class KillingLedger(FileLedger):
    """What hosts hold; writing it down is a commit too."""

    killer: Killer

    def save(self, holdings: Sequence[Holding]) -> None:
        self.killer.about_to_commit()
        super().save(holdings)
        self.killer.committed()


@dataclass(frozen=True)
class Operation:
    """What is tried: ``ask`` of the server that ``before`` left, and what the server is when it has happened.

    ``before`` is None if there is none. ``ask`` returns the server's id. ``made`` says whether there is what is not
    part of the server.
    """

    before: Callable[[Cloud, str], Awaitable[None]] | None
    ask: Callable[[Cloud, str], str]
    done: Callable[[Server | None], bool]
    made: Callable[[Cloud], bool] = lambda _cloud: True


async def _nothing(cloud: Cloud, server_id: str) -> None:
    return


def _create(cloud: Cloud, _server_id: str) -> str:
    image = next(each.id for each in cloud.image.list(OWNER.principal, Wanted()))
    (made,) = cloud.compute.servers.create(OWNER, NewServer("new", SMALL, image, networks=None))
    return made.id


def _delete(cloud: Cloud, server_id: str) -> str:
    cloud.compute.servers.delete(OWNER, server_id)
    return server_id


def _stop(cloud: Cloud, server_id: str) -> str:
    cloud.compute.power.stop(OWNER, server_id)
    return server_id


def _resize(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.resize(OWNER, server_id, LARGE)
    return server_id


async def _resized(cloud: Cloud, server_id: str) -> None:
    _resize(cloud, server_id)


def _confirm(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.confirm_resize(OWNER, server_id)
    return server_id


def _revert(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.revert_resize(OWNER, server_id)
    return server_id


def _migrate(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.migrate(ADMIN, server_id)
    return server_id


def _live_migrate(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.live_migrate(ADMIN, server_id)
    return server_id


def _rebuild(cloud: Cloud, server_id: str) -> str:
    image = next(each.id for each in cloud.image.list(OWNER.principal, Wanted()))
    cloud.compute.rebuilding.rebuild(OWNER, server_id, image_id=image, changes={})
    return server_id


def _snapshot(cloud: Cloud, server_id: str) -> str:
    cloud.compute.snapshots.create_image(OWNER, server_id, "snap", {})
    return server_id


def _snapshot_is_there(cloud: Cloud) -> bool:
    return [each.status for each in cloud.image.list(OWNER.principal, Wanted()) if each.name == "snap"] == ["active"]


def _shelve(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.shelve(OWNER, server_id)
    return server_id


async def _shelved(cloud: Cloud, server_id: str) -> None:
    _shelve(cloud, server_id)


def _unshelve(cloud: Cloud, server_id: str) -> str:
    cloud.compute.moves.unshelve(OWNER, server_id)
    return server_id


def _evacuate(cloud: Cloud, server_id: str) -> str:
    host = cloud.compute.servers.show(EVERYTHING, server_id).host
    assert host is not None
    driver = cloud.compute.driver
    assert isinstance(driver, SimulatedDriver)
    driver.faults.strike(HostFault.KILL, Scope(cloud.compute.hosts.show(host).name))
    cloud.compute.hosts.noticed(host, HostState.DOWN)
    cloud.compute.moves.evacuate(ADMIN, server_id)
    return server_id


def _evacuated(server: Server | None) -> bool:
    """Moved, or where it was: the hosts are started again with the process, and nobody has to leave one that is up.

    What a host that was fenced held is off then.
    """
    return any(_has(SMALL, *each)(server) for each in ((2, "active"), (1, "active"), (1, "stopped")))


def _has(flavor: Flavor, generation: int, state: str) -> Callable[[Server | None], bool]:
    """It is what a move makes of it, and not what it was."""
    return lambda server: (
        server is not None
        and (server.flavor.id, server.generation, server.vm_state, server.task_state)
        == (flavor.id, generation, state, None)
    )


def _is(*states: str) -> Callable[[Server | None], bool]:
    return lambda server: server is not None and (server.vm_state, server.task_state) in [(s, None) for s in states]


OPERATIONS = {
    "create": Operation(None, _create, _is("active")),
    "delete": Operation(_nothing, _delete, lambda server: server is None),
    "stop": Operation(_nothing, _stop, _is("stopped")),
    "resize": Operation(_nothing, _resize, _has(LARGE, 2, "resized")),
    "confirm-resize": Operation(_resized, _confirm, _has(LARGE, 2, "active")),
    "revert-resize": Operation(_resized, _revert, _has(SMALL, 1, "active")),
    "migrate": Operation(_nothing, _migrate, _has(SMALL, 2, "resized")),
    "live-migrate": Operation(_nothing, _live_migrate, _has(SMALL, 2, "active")),
    "rebuild": Operation(_nothing, _rebuild, _has(SMALL, 2, "active")),
    "snapshot": Operation(_nothing, _snapshot, _is("active"), _snapshot_is_there),
    "shelve": Operation(_nothing, _shelve, _is("shelved_offloaded")),
    "unshelve": Operation(_shelved, _unshelve, _has(SMALL, 2, "active")),
    "evacuate": Operation(_nothing, _evacuate, _evacuated),
}


def at_work(folder: Path, killer: Killer, main: Callable[[Cloud], Awaitable[Any]]) -> Any:
    """``main`` in the cloud of a folder, as it is served; the answer of ``main``."""
    with app._opened(app.Settings(state=str(folder), seed=3, fleet=identical_hosts(3))) as state:
        ledger = KillingLedger(folder / "hosts.db")
        ledger.killer = killer
        state = replace(state, store=KillingStore(state.store, killer), ledger=ledger)

        async def body(world: warp.World) -> Any:
            cloud = app.make_cloud(
                state.store, state.folder, state.beginning.ids_seed, driver=state.fleet(world).driver
            )  # fmt: skip
            cloud.image.recover()
            await cloud.compute.start()
            answer = await main(cloud)
            await cloud.compute.stop()
            return answer

        try:
            return warp.run(body, seed=state.beginning.seed, epoch=state.epoch)
        finally:
            ledger.close()


async def _prepared(cloud: Cloud, operation: Operation) -> str:
    """A cloud with what the operation needs; the id of the server that it is about, if there is one."""
    await upload(cloud.image)
    add_network(cloud.network)
    if operation.before is None:
        return ""
    server_id = _create(cloud, "")
    await cloud.compute.worker.idle()
    await operation.before(cloud, server_id)
    await cloud.compute.worker.idle()
    return server_id


async def _tried(cloud: Cloud, operation: Operation, server_id: str, killer: Killer, told: int) -> None:
    """Ask, acknowledge, and go on to the end; the process is killed on the way."""
    killer.count = 0
    asked = operation.ask(cloud, server_id)
    os.write(told, f"acknowledged {asked}\n".encode())
    await cloud.compute.worker.idle()
    os.write(told, f"commits {killer.count}\n".encode())


async def _left(cloud: Cloud, operation: Operation, server_id: str, acknowledged: str) -> list[str]:
    """What is wrong after the restart."""
    await cloud.compute.worker.idle()
    for host in cloud.compute.hosts.list_all():
        await cloud.compute.reconciler.look_at(host.uuid)
    await aio.sleep(60.0)
    wrong = [str(each) for each in await audit(cloud, patience=0.0) if not each.note]
    if acknowledged and not (operation.done(_shown(cloud, acknowledged)) and operation.made(cloud)):
        wrong.append(f"what was acknowledged did not happen: {_shown(cloud, acknowledged)}")
    if not acknowledged and server_id:
        server = _shown(cloud, server_id)
        if not operation.done(server) and (server is None or server.task_state is not None):
            wrong.append(f"half of it happened: {server}")
    return wrong


def _shown(cloud: Cloud, server_id: str) -> Server | None:
    try:
        return cloud.compute.servers.show(EVERYTHING, server_id)
    except NotFound:
        return None


def _in_a_process(work: Callable[[int], None]) -> tuple[int, str]:
    """Do ``work`` in a process of its own; the signal that ended it (0 for none), and what it wrote."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            work(writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"a try failed; see above. It said: {said}")
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0), said


def try_all(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Every point of an operation, one after the other, until one comes that is never reached."""
    operation = OPERATIONS[name]
    prepared = folder / "prepared"

    def prepare(told: int) -> None:
        async def main(cloud: Cloud) -> str:
            return await _prepared(cloud, operation)

        os.write(told, at_work(prepared, Killer(0, before=False), main).encode())

    _, server_id = _in_a_process(prepare)
    for point in range(1, MOST_POINTS):
        for before in (True, False):
            state = folder / f"{point}-{'before' if before else 'after'}"
            shutil.copytree(prepared, state)
            killer = Killer(0, before=before)

            def attempt(told: int, state: Path = state, killer: Killer = killer, point: int = point) -> None:
                async def main(cloud: Cloud) -> None:
                    killer._commit = point
                    await _tried(cloud, operation, server_id, killer, told)

                at_work(state, killer, main)

            ended, said = _in_a_process(attempt)
            words = dict(line.split(" ", 1) for line in said.splitlines())
            if not ended:
                yield {"commits": int(words["commits"]), "points": point - 1}
                return
            acknowledged = words.get("acknowledged", "")

            def look(told: int, state: Path = state, acknowledged: str = acknowledged) -> None:
                async def main(cloud: Cloud) -> list[str]:
                    return await _left(cloud, operation, server_id, acknowledged)

                os.write(told, json.dumps(at_work(state, Killer(0, before=False), main)).encode())

            _, found = _in_a_process(look)
            audited = app.audit_cloud(str(state)).found
            yield {
                "commit": point,
                "before": before,
                "acknowledged": acknowledged,
                "wrong": [*json.loads(found), *(str(each) for each in audited if not each.note)],
            }
            shutil.rmtree(state)


if __name__ == "__main__":
    for line in try_all(Path(sys.argv[1]), sys.argv[2]):
        print(json.dumps(line), flush=True)
