"""One run: a small cloud, an hour or so of clients and trouble, then peace, and what must hold."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from sundog.backends.playground import Scope
from sundog.backends.simulated import HostSpec, SimulatedDriver
from sundog.backends.simulated.console import empty_qcow2
from sundog.backends.simulated.machine import uuid_of
from sundog.control.compute.books import find_servers
from sundog.control.compute.records import Caller, ServerQuery
from sundog.control.image.records import NewImage
from sundog.control.network import bootstrap as bootstrap_network
from sundog.control.network.routers import GatewaySpec
from sundog.control.store import Store, open_store
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import EVERYTHING
from sundog.core.pool import Inventory
from sundog.errors import SundogError
from sundog.runtime import aio, warp
from sundog.runtime.journal import Journal
from sundog.soak import checks
from sundog.soak.clients import Client, Project
from sundog.soak.dice import Dice
from sundog.soak.events import Found, Noted
from sundog.soak.mix import CloudPart, Mix
from sundog.soak.operations import OPERATIONS, Operation
from sundog.soak.plane import SETTINGS, Life, Plane
from sundog.soak.tending import COMPUTE_LIMITS, NETWORK_LIMITS
from sundog.soak.told import Told
from sundog.soak.trouble import Troublemaker
from sundog.units import Seconds

ADMIN = Caller("a" * 32, "b" * 32, "req-setup", is_admin=True)

_LONGEST: Seconds = 12 * 3600.0
"""How long everything may take to settle once nothing goes wrong any more."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run: the hash of its trace, what was violated, and how often what was done."""

    seed: int
    digest: str
    violations: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    log: tuple[str, ...] = ()


def run_seed(
    mix: Mix,
    seed: int,
    *,
    hours: float | None = None,
    keep_log: bool = False,
    operations: Mapping[str, Operation] = OPERATIONS,
) -> Outcome:
    """One run. The same mix and seed give the same outcome, always and everywhere.

    ``hours`` are those of the mix unless they are told. With ``keep_log`` the outcome has the whole trace as text.
    ``operations`` are what clients may do, by the names that the mix uses.
    """
    told = Told()
    journals: list[Journal] = []
    with tempfile.TemporaryDirectory(prefix="sundog-soak-") as folder, _complaints(told):
        store = _new_store(Path(folder))

        async def main(world: warp.World) -> None:
            journals.append(Journal(keep=keep_log))
            run = _Run(world, mix, store, Path(folder), journals[0], told, operations)
            await run.play(hours or mix.hours)

        try:
            warp.run(main, seed=seed)
        except (SundogError, ExceptionGroup, AssertionError, LookupError, TypeError, AttributeError) as error:
            told.violation(f"the run broke: {type(error).__name__}: {error!r}")
        finally:
            store.close()
    log = tuple(f"{entry.time:10.3f} {entry.event}" for entry in journals[0]) if keep_log else ()
    return Outcome(seed, journals[0].digest(), tuple(told.violations), told.counts, log)


@contextmanager
def _complaints(told: Told) -> Iterator[None]:
    """What the control plane logs as an error is a violation: it met what it was not written for."""

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            told.violation(f"logged: {record.getMessage()}: {error!r}" if error else f"logged: {record.getMessage()}")

    log, handler = logging.getLogger("sundog"), Complaints(level=logging.ERROR)
    before = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before


@cache
def _template() -> Path:
    """A store with its tables, to be copied: making them takes longer than a short run."""
    folder = Path(tempfile.mkdtemp(prefix="sundog-soak-template-"))
    store = open_store(folder)
    store.migrate()
    store.close()
    return folder


def _new_store(folder: Path) -> Store:
    shutil.copy(_template() / "sundog.db", folder / "sundog.db")
    return open_store(folder)


class _Run:
    """The parts of one run."""

    def __init__(
        self,
        world: warp.World,
        mix: Mix,
        store: Store,
        folder: Path,
        journal: Journal,
        told: Told,
        operations: Mapping[str, Operation],
    ) -> None:
        self._operations = operations
        self._mix, self._store, self._journal, self._told = mix, store, journal, told
        self._streams = world.streams.child("soak")
        dice = Dice(self._streams.stream("cloud"))
        hosts = _hosts(world, mix.cloud, dice)
        self._driver = SimulatedDriver(world, hosts, shared_disks=dice.chance(0.5))
        settings = replace(
            SETTINGS,
            shelved_offload_time=dice.pick((0.0, -1.0, 120.0)),
            resize_to_same_host=dice.chance(0.3),
        )  # fmt: skip
        streams = self._streams.child("plane")
        self._plane = Plane(store, self._driver, folder / "images", streams, self._note, settings)
        self._trouble = Troublemaker(self._plane, self._driver, _scopes(hosts), journal)

    def _note(self, what: str) -> None:
        self._told.count(what.partition(" ")[0])
        self._journal.append(Noted(what))

    async def play(self, hours: float) -> None:
        """All of it."""
        async with aio.TaskGroup() as always:
            tasks = [always.create_task(self._listen()), always.create_task(self._plane.keep_up())]
            await self._plane.start()
            projects, image_id = await self._furnish()
            async with aio.TaskGroup() as for_now:
                busy = [
                    *(for_now.create_task(work) for work in self._clients(projects, image_id)),
                    *(for_now.create_task(work) for work in self._troubles()),
                    for_now.create_task(self._look_now_and_then()),
                ]
                await aio.sleep(hours * 3600.0)
                for task in busy:
                    task.cancel()
            self._trouble.end()
            self._note("peace")
            await self._settled()
            checks.check_acknowledged(self._store, self._told)
            self._reopen()
            life = await self._settled()
            await checks.check_end(self._store, self._driver, life, self._told)
            self._write_down()
            await self._empty()
            for task in tasks:
                task.cancel()

    # ---------------------------------------------------------------- before

    async def _furnish(self) -> tuple[list[Project], str]:
        """What there is at the beginning: an image, an external network, and two projects with a network each."""
        life = self._plane.life
        assert life is not None
        new = NewImage(
            name="cirros", owner=ADMIN.project_id, visibility="public", disk_format="qcow2", container_format="bare",
            min_disk=0, min_ram=0,
        )  # fmt: skip
        image = life.image.create(new)
        await life.image.data.upload(ADMIN.principal, image.id, _bytes(empty_qcow2(1 << 30)))
        public = bootstrap_network(life.network, ADMIN.project_id)
        projects = []
        for number in (1, 2):
            project_id = str(number) * 32
            (network,) = life.network.networks.create([{"project_id": project_id, "name": f"net{number}"}])
            subnet_spec = {
                "network_id": network.id, "project_id": project_id, "ip_version": 4, "cidr": f"10.{number}.0.0/24",
            }  # fmt: skip
            (subnet,) = life.network.subnets.create(EVERYTHING, [subnet_spec])
            router_spec = {"project_id": project_id, "name": "way out", "gateway": GatewaySpec(public.id)}
            (router,) = life.network.routers.create(EVERYTHING, [router_spec])
            life.network.routers.add_interface(EVERYTHING, router.id, subnet_id=subnet.id)
            for name, most in COMPUTE_LIMITS[3:]:
                life.compute.quotas.update(project_id, {name: most})
            life.network.quotas.update(project_id, dict(NETWORK_LIMITS))
            projects.append(Project(project_id, str(number + 2) * 32, network.id, public.id))
        return projects, image.id

    def _clients(self, projects: list[Project], image_id: str) -> Iterator[Coroutine[Any, Any, None]]:
        for group, part in enumerate(self._mix.clients):
            dice = Dice(self._streams.stream(f"clients {group}"))
            for number in range(dice.whole(*part.count)):
                name = f"c{group}.{number}"
                project = projects[number % len(projects)]
                client = Client(
                    name, self._plane, project, projects, image_id,
                    dice=Dice(self._streams.stream(f"client {name}")), told=self._told, journal=self._journal,
                    is_admin=part.admin, loses=part.loses,
                )  # fmt: skip
                yield client.work(self._operations, part.operations, part.pause_s)

    def _troubles(self) -> Iterator[Coroutine[Any, Any, None]]:
        for number, part in enumerate(self._mix.trouble):
            yield self._trouble.make(part, Dice(self._streams.stream(f"trouble {number}")))

    # ---------------------------------------------------------------- meanwhile

    async def _listen(self) -> None:
        """Write down what happens on hosts."""
        async for event in self._driver.events():
            self._journal.append(event)

    async def _look_now_and_then(self) -> None:
        dice = Dice(self._streams.stream("looks"))
        while True:
            await aio.sleep(dice.seconds(240.0))
            self._told.count("looks")
            checks.check_instant(self._store, self._driver, self._plane.life, self._told)

    # ---------------------------------------------------------------- after

    async def _settled(self) -> Life:
        """Wait until nothing is under way, and hosts and books have been compared."""
        waited = 0.0
        while waited < _LONGEST and (self._plane.life is None or self._under_way()):
            await aio.sleep(120.0)
            waited += 120.0
        for _ in range(3):
            self._trouble.cure()  # a fence that an evacuation asked for may have come late
            await aio.sleep(SETTINGS.sync_interval)
        while self._plane.life is None:  # a crash that was on its way
            await aio.sleep(60.0)
        return self._plane.life

    def _reopen(self) -> None:
        """Take back what administrators said of hosts."""
        life = self._plane.life
        assert life is not None
        for host in life.compute.hosts.list_all():
            for part in ("disabled", "forced_down"):
                self._told.facts["host", host.uuid, part] = [False]
            life.compute.hosts.update(host.service_id, disabled=False, forced_down=False)

    def _under_way(self) -> bool:
        with self._store.read() as reader:
            return reader.count(tables.actions, tables.actions.c.phase != "done") > 0

    async def _empty(self) -> None:
        """Delete every server; after that nothing may be left of any."""
        life = self._plane.life
        if life is None:
            return
        for server in life.compute.servers.list_all(EVERYTHING, ServerQuery(sort=(("id", False),))):
            life.compute.servers.delete(ADMIN, server.id)
        await self._settled()
        checks.check_empty(self._store, self._driver, self._told)

    def _write_down(self) -> None:
        """How it ended, into the trace."""
        with self._store.read() as reader:
            for server in find_servers(reader):
                self._journal.append(Found(server.id, server.vm_state, server.host or "", server.generation))
        self._told.count("runs")


def _hosts(world: warp.World, part: CloudPart, dice: Dice) -> list[HostSpec]:
    inventory = {
        "VCPU": Inventory(part.vcpus),
        "MEMORY_MB": Inventory(part.memory_mb),
        "DISK_GB": Inventory(part.disk_gb),
    }
    uuids = world.streams.child("hosts")
    return [
        HostSpec(
            uuid_of(uuids, f"h{i}"), f"h{i}", inventory,
            zone=f"z{i % part.zones}", rack=f"r{i % part.racks}",
        )
        for i in range(dice.whole(*part.hosts))
    ]  # fmt: skip


def _scopes(hosts: list[HostSpec]) -> dict[str, list[Scope]]:
    racks = dict.fromkeys(host.rack for host in hosts)
    zones = dict.fromkeys(host.zone for host in hosts)
    return {
        "host": [Scope(host=host.name) for host in hosts],
        "rack": [Scope(rack=rack) for rack in racks],
        "zone": [Scope(zone=zone) for zone in zones],
    }


async def _bytes(data: bytes) -> AsyncIterator[bytes]:
    yield data
