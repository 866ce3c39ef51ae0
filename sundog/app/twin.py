"""One small scenario twice: on real hosts and on simulated ones like them, both behind a control plane, side by side.

The requests of the scenario come in its order, each as soon as nothing is under way any more from those before. So what
is decided does not hang on how long anything took, and has to be the same on both sides; how long it took is compared
by the medians of each kind of operation.

The control planes are new ones, of nothing but memory: the cloud of the state folder learns nothing of this, and must
have nothing on its hosts meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sundog.app import cloud_id, make_cloud, state_folder
from sundog.app.hosts import read_hosts
from sundog.app.real import real_hosts
from sundog.backends.contract import ComputeDriver, HostRecord, HostState, ServerKey
from sundog.backends.durations import GUEST_BOOT, Duration, Outcome
from sundog.backends.simulated import HostSpec, SimulatedDriver, Timings, hosts_of_fleet
from sundog.backends.simulated.calibrate import kind_of, undisturbed
from sundog.backends.simulated.console import empty_qcow2
from sundog.backends.timed import Stopwatch, TimedDriver
from sundog.control.cloud import Cloud
from sundog.control.compute import Caller
from sundog.control.compute.records import Flavor, NewServer, Server, ServerFlavor, ServerQuery
from sundog.control.compute.scheduling import Wish, request_of
from sundog.control.image.files import BLOCK
from sundog.control.image.records import NewImage
from sundog.control.store import open_store
from sundog.core.lifecycle.servers import VmState
from sundog.core.scheduler import Explanation, explain
from sundog.errors import BackendFailed, Conflict, InputError, Invalid, OutcomeUnknown
from sundog.runtime import aio, clock, warp
from sundog.runtime.ids import random_seed
from sundog.scenarios.run import Study
from sundog.sim.requests import Workload
from sundog.units import Seconds

REQUEST: Final = "request"
"""What the names of durations begin with that a user sees: from asking until nothing is under way."""

LOGIN: Final = "login: "
"""What a simulated guest writes when it has booted."""

_ASKING: Final = Caller("1" * 32, "2" * 32, "twin", is_admin=True)
_QUICK: Final[Seconds] = 60.0
_PATIENCE: Final[Seconds] = 600.0
"""How long a guest may boot."""
_LOOK: Final[Seconds] = 0.1
_DISK_BYTES: Final = 2**30
_KNOWN: Final = ("VCPU", "MEMORY_MB", "DISK_GB")

Kind: TypeAlias = Literal["create", "live-migrate", "delete"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: what is asked for which server, and of which size that is."""

    kind: Kind
    server: str
    flavor: Flavor

    def __str__(self) -> str:
        return f"{self.kind} {self.server}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What both sides are asked. ``image`` is a qcow2 file; without one it is an empty disk, that boots nowhere.

    ``booted`` is what a guest of the real side writes to its console when it has booted, where that is to be waited
    for; simulated ones write ``LOGIN``. ``seed`` is that of ids and of the scheduler's dice.
    """

    asked: tuple[Asked, ...]
    policy: str
    seed: int
    image: Path | None = None
    booted: str | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a request: the host where the server was then, None for nowhere, and how the scheduler saw it.

    ``explanation`` is None for what the scheduler was not asked. ``fault`` says what went wrong, if something did.
    """

    asked: Asked
    host: str | None
    explanation: Explanation | None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """What happened on one side: the decisions in the order of the requests, and how long operations took."""

    decided: tuple[Decided, ...]
    durations: tuple[Duration, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind of operation on both sides: how many there were, and their medians in seconds."""

    operation: str
    counts: tuple[int, int]
    real: Seconds
    simulated: Seconds

    @property
    def error(self) -> float:
        """By which share of it the real median is missed."""
        return self.simulated / self.real - 1.0 if self.real else math.inf if self.simulated else 0.0


@dataclass(frozen=True, slots=True)
class Twins:
    """Both sides."""

    real: Side
    simulated: Side

    @property
    def different(self) -> tuple[tuple[Decided, Decided], ...]:
        """The decisions that are not the same, in order; the first may have caused the others."""
        pairs = zip(self.real.decided, self.simulated.decided, strict=True)
        return tuple((real, simulated) for real, simulated in pairs if real.host != simulated.host)

    def compared(self) -> tuple[Compared, ...]:
        """How long each kind of operation took on both sides, those that were done on both."""
        real, simulated = _by_kind(self.real.durations), _by_kind(self.simulated.durations)
        return tuple(
            Compared(kind, (len(real[kind]), len(simulated[kind])), _median(real[kind]), _median(simulated[kind]))
            for kind in sorted(real)
            if kind in simulated
        )


def _by_kind(durations: Sequence[Duration]) -> dict[str, list[Seconds]]:
    """Seconds by kind of operation."""
    kinds: dict[str, list[Duration]] = {}
    for each in durations:
        if each.outcome is Outcome.DONE:
            kinds.setdefault(kind_of(each), []).append(each)
    return {name: sorted(each.seconds for each in undisturbed(found)) for name, found in kinds.items()}


def _median(values: Sequence[Seconds]) -> Seconds:
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2.0


# ---------------------------------------------------------------- what is asked


def requests_of(study: Study, *, live_migrate: bool = False) -> tuple[Asked, ...]:
    """The requests of a scenario in their order: servers come, move once if that is wanted, and go.

    At one instant those that go come first. Raises: InputError for a scenario that asks more than sizes.
    """
    scenario, workload = study.loaded.scenario, study.workload
    if scenario.policy.parameters:
        raise InputError(
            f"a cloud is served with policies by name, and {scenario.policy.name} has options here; leave them out",
            path=study.loaded.path,
        )
    horizon = scenario.horizon if scenario.horizon is not None else math.inf
    events: list[tuple[float, int, int, tuple[Asked, ...]]] = []
    for vm in range(len(workload)):
        name, flavor = str(workload.frame["vm_id"].iloc[vm]), _flavor(study, workload, vm)
        come = [Asked("create", name, flavor)] + ([Asked("live-migrate", name, flavor)] if live_migrate else [])
        begin = float(workload.arrival_s[vm])
        end = begin + float(workload.lifetime_s[vm])
        events.append((begin, 1, vm, tuple(come)))
        if end <= horizon and math.isfinite(end):
            events.append((end, 0, vm, (Asked("delete", name, flavor),)))
    return tuple(asked for *_, found in sorted(events, key=lambda event: event[:3]) for asked in found)


def _flavor(study: Study, workload: Workload, vm: int) -> Flavor:
    shape = workload.shapes[int(workload.shape[vm])]
    more = (
        shape.devices, shape.required_traits, shape.forbidden_traits, shape.any_traits, shape.aggregates, shape.zone,
        shape.variants, shape.forbidden_aggregates,
    )  # fmt: skip
    amounts = dict(shape.resources)
    if any(more) or int(workload.group[vm]) >= 0 or not set(amounts) <= set(_KNOWN):
        raise InputError(
            f"VM {workload.frame['vm_id'].iloc[vm]} asks more than vCPUs, memory and disk ({shape.describe()}), which "
            "a twin does not play; leave zones, traits, groups and devices out", path=study.loaded.path,
        )  # fmt: skip
    vcpus, memory, disk = (math.ceil(amounts.get(name, 0.0)) for name in _KNOWN)
    name = f"{max(1, vcpus)}-{max(1, memory)}-{disk}"
    return Flavor(name, name, max(1, vcpus), max(1, memory), root_gb=disk)


# ---------------------------------------------------------------- both sides


def play_on_real_hosts(plan: Plan, state: str, timings: Timings, keep: Callable[[Duration], None]) -> Twins:
    """Play a plan on the hosts of a state folder, and on simulated ones like them. ``keep`` gets what was measured.

    Raises: InputError if there are no hosts, or not all answer, or there are servers on them; OutputError if the cloud
    of the state folder is served just now.
    """
    if plan.image is None:
        raise InputError("real hosts boot what there is to boot: give a disk with --image, qcow2")
    if not read_hosts(Path(state).expanduser()):
        raise InputError("there are no real hosts in this state folder; sundog host add URI adds one", path=state)

    async def main(folder: Path, work: Path) -> tuple[Side, tuple[HostRecord, ...]]:
        told: list[Duration] = []

        def hear(duration: Duration) -> None:
            told.append(duration)
            keep(duration)

        # What ends services is to leave as little on hosts as Ctrl-C does, which cancels this.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
        watch = Stopwatch(hear, hears_fetches=True)
        async with real_hosts(folder, cloud_id(state), work=work, fetched=watch.fetched) as real:
            driver = real.driver
            records = tuple(await driver.hosts(deadline=_QUICK))
            down = [each.name for each in read_hosts(folder) if each.uuid not in _up(records)]
            if down:
                raise InputError(f"host {down[0]} does not answer; sundog host list says why")
            for record in records:
                if await driver.list_servers(record.uuid, deadline=_QUICK):
                    raise InputError(
                        f"there are servers on host {record.name}; a twin needs hosts with nothing on them, and would "
                        "not know what is whose", host=record.uuid,
                    )  # fmt: skip
            return await _played(plan, driver, watch, told, work, plan.booted), records

    with state_folder(state) as folder, tempfile.TemporaryDirectory(prefix="sundog-twin-") as work:
        real, records = asyncio.run(main(folder, Path(work)))
    return Twins(real, _simulated(plan, tuple(map(_like, records)), timings, seed=plan.seed))


def play_on_simulated_hosts(plan: Plan, study: Study, before: Timings, timings: Timings) -> Twins:
    """Play a plan on simulated hosts twice: with the timings ``before`` in the place of real ones, and with others."""
    hosts = hosts_of_fleet(study.fleet, warp.World(seed=plan.seed).streams)
    first = _simulated(plan, hosts, before, seed=plan.seed + 1)  # another luck with how long things take
    return Twins(first, _simulated(plan, hosts, timings, seed=plan.seed))


def fresh_seed() -> int:
    """A seed for ids: hosts keep images by their ids, so no two twins may have the same."""
    return random_seed()


def _up(records: Sequence[HostRecord]) -> tuple[str, ...]:
    return tuple(record.uuid for record in records if record.state is HostState.UP)


def _like(record: HostRecord) -> HostSpec:
    """A simulated host that is as a real one."""
    return HostSpec(
        record.uuid, record.name, record.inventory, record.traits, record.devices, record.zone, record.rack,
        record.aggregates,
    )  # fmt: skip


def _simulated(plan: Plan, hosts: Sequence[HostSpec], timings: Timings, *, seed: int) -> Side:
    async def main(world: warp.World) -> Side:
        told: list[Duration] = []
        watch = Stopwatch(told.append, hears_fetches=True)
        driver = SimulatedDriver(world, hosts, timings=timings, fetched=watch.fetched)
        return await _played(plan, driver, watch, told, Path(work), None if plan.booted is None else LOGIN)

    with tempfile.TemporaryDirectory(prefix="sundog-twin-") as work:
        return warp.run(main, seed=seed)


# ---------------------------------------------------------------- one side


@dataclass(slots=True)
class _Playing:
    """One side while it is played. ``told`` gets what users see of it, ``note`` what belongs to the hosts."""

    cloud: Cloud
    driver: ComputeDriver
    told: list[Duration]
    image: str
    note: Callable[[Duration], None]
    booted: str | None
    ids: dict[str, str] = field(default_factory=dict)

    async def play(self, asked: Asked) -> Decided:
        """Ask, and wait until nothing is under way."""
        compute = self.cloud.compute
        explanation, fault = self._explanation(asked), None
        before = self._host(asked)
        begin, began = clock.now(), clock.utcnow()
        try:
            if asked.kind == "create":
                new = NewServer(asked.server, asked.flavor, self.image, networks=())
                self.ids[asked.server] = compute.servers.create(_ASKING, new)[0].id
            elif asked.kind == "live-migrate":
                compute.moves.live_migrate(_ASKING, self.ids[asked.server])
            else:
                compute.servers.delete(_ASKING, self.ids[asked.server])
        except (Conflict, Invalid) as error:
            fault = error.message
        await compute.worker.idle()
        if asked.kind == "delete":
            return Decided(asked, None, None, fault)
        server = compute.servers.show(_ASKING.viewer, self.ids[asked.server])
        if server.fault is not None:
            fault = server.fault.message
        if server.vm_state == VmState.ACTIVE and server.host is not None and server.host != before:
            self.told.append(Duration(f"{REQUEST} {asked.kind}", clock.now() - begin, Outcome.DONE, server.host, began))
            if asked.kind == "create" and self.booted is not None:
                fault = await self._wait_until_booted(server, self.booted)
                outcome = Outcome.DONE if fault is None else Outcome.UNKNOWN
                self.told.append(Duration(f"{REQUEST} boot", clock.now() - begin, outcome, server.host, began))
        host = compute.hosts.by_uuid(server.host)
        return Decided(asked, None if host is None else host.name, explanation, fault)

    def _explanation(self, asked: Asked) -> Explanation | None:
        """What the scheduler says of it just before."""
        scheduling, flavor = self.cloud.compute.scheduling, ServerFlavor.of(asked.flavor)
        if asked.kind == "create":
            wish = Wish(asked.server, _ASKING.project_id, flavor)
            return explain(scheduling.scheduler, request_of(wish))
        if asked.kind == "live-migrate":
            home = self.cloud.compute.hosts.by_uuid(self._host(asked))
            wish = Wish(asked.server, _ASKING.project_id, flavor, ignore_hosts=() if home is None else (home.name,))
            return explain(scheduling.scheduler, request_of(wish))
        return None

    def _host(self, asked: Asked) -> str | None:
        """The uuid of the host where the server is now, None if it is nowhere."""
        if asked.server not in self.ids:
            return None
        return self.cloud.compute.servers.show(_ASKING.viewer, self.ids[asked.server]).host

    async def _wait_until_booted(self, server: Server, marker: str) -> str | None:
        """Look at the console until the guest has booted, and note how long that took; what is wrong if it does not."""
        begin, began, host = clock.now(), clock.utcnow(), server.host or ""
        with suppress(TimeoutError):
            async with aio.timeout(_PATIENCE):
                while True:
                    log = await self._console(host, ServerKey(server.id, server.generation))
                    if marker.encode() in log:
                        flavor = server.flavor
                        booted = Duration(
                            GUEST_BOOT, clock.now() - begin, Outcome.DONE, host, began,
                            vcpus=flavor.vcpus, memory_mib=float(flavor.memory_mb), disk_gib=float(flavor.root_gb),
                        )  # fmt: skip
                        self.note(booted)
                        return None
                    await aio.sleep(_LOOK)
        return f"the guest did not write {marker!r} within {_PATIENCE:g} s"

    async def _console(self, host: str, key: ServerKey) -> bytes:
        with suppress(BackendFailed, OutcomeUnknown):
            return await self.driver.console_log(host, key, deadline=_QUICK)
        return b""

    async def clear(self) -> None:
        """Delete what is left."""
        compute = self.cloud.compute
        await compute.worker.idle()
        for server in compute.servers.list_all(_ASKING.viewer, ServerQuery()):
            compute.servers.delete(_ASKING, server.id)
        await compute.worker.idle()


async def _played(
    plan: Plan, driver: ComputeDriver, watch: Stopwatch, told: list[Duration], folder: Path, booted: str | None
) -> Side:
    timed = TimedDriver(driver, watch)
    store = open_store(":memory:")
    try:
        cloud = make_cloud(store, folder, plan.seed, driver=timed, placement_policy=plan.policy)
        cloud.compute.quotas.update(_ASKING.project_id, dict.fromkeys(("instances", "cores", "ram"), -1))
        for flavor in {asked.flavor.id: asked.flavor for asked in plan.asked}.values():
            cloud.compute.flavors.create(flavor)
        image = await _uploaded(cloud, plan.image)
        await cloud.compute.start()
        playing = _Playing(cloud, driver, told, image, watch.note, booted)
        try:
            decided = [await playing.play(asked) for asked in plan.asked]
        finally:
            await _in_any_case(playing.clear())
            await cloud.compute.stop()
        return Side(tuple(decided), tuple(told))
    finally:
        store.close()


async def _in_any_case(work: Awaitable[None]) -> None:
    """Also while we are being cancelled: nothing may be left on the hosts."""
    await aio.shield(work)


async def _uploaded(cloud: Cloud, path: Path | None) -> str:
    new = NewImage(name="twin", owner=_ASKING.project_id, disk_format="qcow2", container_format="bare")
    image = cloud.image.create(new)
    await cloud.image.data.upload(_ASKING.principal, image.id, _blocks(path))
    return image.id


async def _blocks(path: Path | None) -> AsyncIterator[bytes]:
    if path is None:
        yield empty_qcow2(_DISK_BYTES)
        return
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
    except OSError as exc:
        raise InputError(f"the image cannot be read: {exc.strerror}", path=path) from exc
