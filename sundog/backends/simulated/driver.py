"""``ComputeDriver`` on simulated hosts: what each operation does there, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import simpy

from sundog.backends.asking import check_deadline, check_successor
from sundog.backends.contract import (
    Capabilities,
    ComputeDriver,
    ConsoleStream,
    Diagnostics,
    EventKind,
    HostRecord,
    HostState,
    ImageReference,
    ImageSink,
    MigrationProgress,
    PortSpec,
    PowerState,
    RebootKind,
    ServerCopy,
    ServerKey,
    ServerSpec,
    SnapshotRecord,
)
from sundog.backends.events import EventPublisher, EventQueue
from sundog.backends.playground import FaultKind
from sundog.backends.simulated.console import console_text, empty_qcow2
from sundog.backends.simulated.exchange import Exchange
from sundog.backends.simulated.faults import Faults, Verdict
from sundog.backends.simulated.ledger import Ledger
from sundog.backends.simulated.machine import LIVE, Call, Copy, HostSpec, Job, Machine, Steps
from sundog.backends.simulated.serial import SerialLine
from sundog.backends.simulated.timings import Timings, load_timings
from sundog.errors import BackendFailed, HostDown, InputError, NotSupported, OutcomeUnknown, PlainFailure
from sundog.runtime import aio, clock
from sundog.runtime.warp import World
from sundog.sim.network import Flow, HostNetwork, SharedLink
from sundog.units import MiB, Seconds

_MIB: Final = 2**20
_GIB: Final = 2**30
# Bytes that a snapshot hands to its sink at once.
_CHUNK: Final = 2**16

CAPABILITIES: Final = Capabilities(
    name="simulated",
    disk_formats=("qcow2", "raw"),
    pause=True,
    suspend=True,
    soft_reboot=True,
    rescue=True,
    rebuild=True,
    resize=True,
    live_migration=True,
    abort_live_migration=True,
    force_live_migration=True,
    snapshot=True,
    snapshot_running=True,
    plug_running=True,
    set_password=True,
    console_log=True,
    consoles=("serial",),
    config_drive=True,
    diagnostics=True,
    fence=True,
)
"""What simulated hosts can do; their disks may be shared besides."""


@dataclass(frozen=True, slots=True)
class DriverStatistics:
    """What is under way: all of it is 0 when nothing is. ``replies`` are callers who wait."""

    replies: int
    jobs: int
    turns: int
    transfers: int
    flows: int


class SimulatedDriver:
    """Drives ``hosts`` of ``world``: a ``ComputeDriver``.

    ``faults`` is where trouble is ordered. ``shared_disks`` says whether hosts see each other's disks. With a
    ``ledger`` hosts begin with what it says that they hold, and every change is written there. ``fetched`` is told of
    each image that was brought to a host (its uuid), and in how many seconds.
    Raises: InputError if two hosts have one name or uuid.
    """

    def __init__(
        self,
        world: World,
        hosts: Iterable[HostSpec],
        *,
        timings: Timings | None = None,
        shared_disks: bool = False,
        ledger: Ledger | None = None,
        fetched: Callable[[str, ImageReference, Seconds], None] = lambda _host, _image, _seconds: None,
    ) -> None:
        self._ledger, self._fetched = ledger, fetched
        self.world: Final = world
        self.timings: Final = timings or load_timings()
        fetch, store = self.timings.boot.fetch_mib_s, self.timings.store_mib_s
        self._downloads = SharedLink(world, store, each_mib_s=fetch)
        self._uploads = SharedLink(world, store, each_mib_s=fetch)
        self._network = HostNetwork(world, self.timings.migration)
        self._events = EventPublisher()
        self._machines: dict[str, Machine] = {}
        self._names: dict[str, None] = {}
        self._moving: dict[tuple[Machine, ServerKey], tuple[Job, Flow]] = {}
        self.faults: Final = Faults(self._machines.values, world.streams.child("faults-on-order"))
        self._exchange = Exchange(world, self.faults, self._keep)
        self._capabilities = replace(CAPABILITIES, shared_disks=shared_disks)
        for spec in hosts:
            self.add_host(spec)

    def add_host(self, spec: HostSpec) -> None:
        """A host that is there from now on, or from ``spec.at`` on if that is later.

        Raises: InputError if its name or uuid is taken.
        """
        for taken in dict.fromkeys((spec.name, spec.uuid)):
            if taken in self._names:
                raise InputError(f"there is a host {taken} already; give the new one another name", host=taken)
            self._names[taken] = None
        if spec.at > self.world.now:
            self.world.at(spec.at).callbacks.append(lambda _event: self._enter(spec).tell(EventKind.HOST_UP))
        else:
            self._enter(spec).tell(EventKind.HOST_UP)

    def _enter(self, spec: HostSpec) -> Machine:
        machine = Machine(
            len(self._machines),
            self.world,
            spec,
            self.timings,
            self._downloads,
            self._network,
            self._events.publish,
            self._keep,
            self._fetched,
        )
        if self._ledger is not None:
            machine.restore(self._ledger.load(spec.uuid))
        self._machines[spec.uuid] = machine
        return machine

    def _keep(self, *places: tuple[Machine, str]) -> None:
        """Write down what hosts hold of servers now."""
        if self._ledger is not None:
            self._ledger.save([machine.holding(server) for machine, server in dict.fromkeys(places)])

    def crash(self, host: str, server: ServerKey) -> None:
        """Let the guest of a running copy crash, now. Raises: BackendFailed if there is no such host or copy."""
        self._machine(host).crash(server)

    def truth(self) -> dict[str, tuple[ServerCopy, ...]]:
        """What really is on each host, by its uuid, whether or not it can be heard. For tests and audits of a study."""
        return {uuid: machine.listing() for uuid, machine in self._machines.items()}

    def statistics(self) -> DriverStatistics:
        """What is under way."""
        machines = self._machines.values()
        return DriverStatistics(
            sum(len(machine.calls) for machine in machines),
            sum(len(machine.jobs) for machine in machines),
            sum(machine.turns for machine in machines),
            self._downloads.transfers + self._uploads.transfers,
            self._network.flows,
        )

    # ------------------------------------------------------------------------------ a request, its work and its reply

    def _machine(self, host: str) -> Machine:
        machine = self._machines.get(host)
        if machine is None:
            raise BackendFailed(f"there is no host {host}; hosts() lists those that there are", host=host)
        return machine

    def _up(self, host: str) -> Machine:
        """The host, unless it is known to be down."""
        machine = self._machine(host)
        if machine.state is not HostState.UP:
            raise HostDown(f"host {machine.name} is {machine.state}; it must come back first", host=host)
        return machine

    def _wait(self, seconds: Seconds) -> simpy.Event:
        return self.world.at(self.world.now + seconds)

    def _disk_mib(self, spec: ServerSpec) -> MiB:
        """What a guest has on its disk: its image, and a share of the rest."""
        image = spec.image.size_bytes / _MIB if spec.image is not None else 0.0
        return image + self.timings.disk_used * (spec.root_gib + spec.ephemeral_gib) * 1024.0

    async def _on(
        self,
        operation: str,
        host: str,
        server: ServerKey,
        deadline: Seconds,
        act: Callable[[Machine, Copy], Steps],
        *,
        turn: bool = True,
    ) -> Any:
        """An operation on one copy that must be there."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            return (yield from act(machine, machine.usable(server)))

        return await self._exchange.ask(operation, machine, deadline, work, (machine, server), turn=turn)

    # ------------------------------------------------------------------------------------------------ the contract

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    def events(self) -> EventQueue:
        """What happens on the hosts from now on."""
        return self._events.stream()

    # -- hosts

    async def hosts(self, *, deadline: Seconds) -> Sequence[HostRecord]:
        """Every host in service, in the order in which they came."""
        check_deadline(deadline)
        return tuple(machine.record() for machine in self._machines.values())

    async def list_servers(self, host: str, *, deadline: Seconds) -> Sequence[ServerCopy]:
        """Every copy on the host, by uuid and then generation."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            yield self._wait(machine.seconds("query"))
            return machine.listing()

        listing: Sequence[ServerCopy] = await self._exchange.ask("list_servers", machine, deadline, work, turn=False)
        return listing

    async def fence(self, host: str, *, deadline: Seconds) -> None:
        """Switch the host off from outside."""
        check_deadline(deadline)
        machine = self._machine(host)
        verdict = self.faults.verdict("fence", machine)
        call = Call("fence", self.world.event())
        if verdict.kind is not FaultKind.HANG:
            self.world.process(self._fences(machine, call, verdict))
        await self._exchange.outcome(machine, call, deadline, {})  # not among the host's calls: those die with it

    def _fences(self, machine: Machine, call: Call, verdict: Verdict) -> Steps:
        yield self._wait(verdict.delay + machine.seconds("fence"))
        if verdict.kind is FaultKind.FAIL:
            call.settle(BackendFailed(f"fencing host {machine.name} failed, as was ordered", host=machine.uuid))
            return
        machine.kill(fenced=True)
        if verdict.kind is FaultKind.LOSE:
            call.settle(OutcomeUnknown(f"the answer to fencing host {machine.name} was lost", host=machine.uuid))
        call.settle(None)

    # -- the life of a copy

    async def spawn(
        self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True, reuse_disk: bool = False
    ) -> None:
        """Make a copy: fetch its image, define it, start it."""
        machine = self._up(host)
        if reuse_disk and not self.capabilities.shared_disks:
            raise NotSupported("hosts do not see each other's disks; spawn from the image instead", host=host)
        image = None if reuse_disk else self._bootable(spec.image)

        def work(_job: Job) -> Steps:
            copy = machine.finished(spec.key)
            if copy is None:
                self._alone(machine, spec.key)
                copy = yield from self._make(machine, spec, image)
            if start and copy.power in (PowerState.SHUTDOWN, PowerState.CRASHED):
                yield self._wait(machine.seconds("start"))
                machine.start(copy)

        await self._exchange.ask("spawn", machine, deadline, work, (machine, spec.key))

    def _alone(self, machine: Machine, key: ServerKey, *, but: ServerKey | None = None) -> None:
        others = tuple(each for each in machine.others(key) if each != but)
        if others:
            raise BackendFailed(
                f"host {machine.name} has another copy of server {key.uuid}, generation {others[0].generation}; "
                "destroy that first",
                host=machine.uuid,
                there=others,
            )

    def _there(self, machine: Machine, key: ServerKey) -> BackendFailed:
        return BackendFailed(
            f"host {machine.name} has server {key} already, and not from this move; raise the generation",
            host=machine.uuid, server=key,
        )  # fmt: skip

    def _bootable(self, image: ImageReference | None) -> ImageReference | None:
        if image is not None and image.disk_format not in self.capabilities.disk_formats:
            formats = ", ".join(self.capabilities.disk_formats)
            raise PlainFailure(
                f"image {image.id} is {image.disk_format}, and hosts boot from {formats}; convert it", image=image.id
            )
        return image

    def _make(self, machine: Machine, spec: ServerSpec, image: ImageReference | None) -> Steps:
        """A stopped copy. Unless it is there in the end, nothing of it is, but on a host that has died."""
        copy = machine.copies[spec.key] = Copy(spec, ports={port.id: port for port in spec.ports})
        try:
            if image is not None:
                yield from machine.fetch(image)
            yield self._wait(machine.seconds("define"))
        except BaseException:
            if machine.powered:
                machine.remove(spec.key)
            raise
        copy.power, copy.since = PowerState.SHUTDOWN, self.world.now
        return copy

    async def destroy(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove a copy."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            if server in machine.copies:
                yield self._wait(machine.seconds("destroy"))
                machine.remove(server)

        await self._exchange.ask("destroy", machine, deadline, work, (machine, server), breaks=True)

    async def rebuild(self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True) -> None:
        """Replace the older copy. It runs on until the image is there."""
        machine = self._up(host)
        image = self._bootable(spec.image)

        def work(_job: Job) -> Steps:
            copy = machine.finished(spec.key)
            if copy is None:
                older = [each for each in machine.others(spec.key) if each.generation < spec.generation]
                if spec.key not in machine.copies:
                    for each in older or [spec.key]:
                        machine.usable(each)
                self._alone(machine, spec.key, but=older[0] if older else None)
                if image is not None:
                    yield from machine.fetch(image)
                for each in older:
                    machine.remove(each)
                # From here on there is no way back: what breaks off now leaves an unfinished copy to be rebuilt again.
                copy = machine.copies[spec.key] = Copy(spec, ports={port.id: port for port in spec.ports})
                yield self._wait(machine.seconds("destroy") + machine.seconds("define"))
                copy.power, copy.since = PowerState.SHUTDOWN, self.world.now
            if start and copy.power in (PowerState.SHUTDOWN, PowerState.CRASHED):
                yield self._wait(machine.seconds("start"))
                machine.start(copy)

        await self._exchange.ask("rebuild", machine, deadline, work, (machine, spec.key))

    # -- power

    async def power_on(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Start a copy."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.power is PowerState.SUSPENDED:
                yield from self._resume(machine, copy)
            elif copy.power not in LIVE:
                yield self._wait(machine.seconds("start"))
                machine.start(copy)

        await self._on("power_on", host, server, deadline, act)

    async def power_off(self, host: str, server: ServerKey, *, deadline: Seconds, grace: Seconds = 0) -> None:
        """Stop a copy, by its guest if that takes no longer than ``grace``."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.power is not PowerState.SHUTDOWN:
                if copy.power is PowerState.RUNNING and grace:
                    yield self._wait(min(grace, machine.seconds("guest_shutdown")))
                yield self._wait(machine.seconds("destroy"))
                machine.set_power(copy, PowerState.SHUTDOWN, EventKind.STOPPED)

        await self._on("power_off", host, server, deadline, act)

    async def reboot(self, host: str, server: ServerKey, kind: RebootKind, *, deadline: Seconds) -> None:
        """Restart a copy."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if kind == "SOFT" and copy.power is not PowerState.RUNNING:
                raise self._cannot(machine, copy, "be asked to restart")
            yield self._wait(machine.seconds("guest_shutdown" if kind == "SOFT" else "destroy"))
            yield from self._restart(machine, copy)

        await self._on("reboot", host, server, deadline, act)

    def _restart(self, machine: Machine, copy: Copy) -> Steps:
        if copy.power in LIVE:
            machine.set_power(copy, PowerState.SHUTDOWN, EventKind.STOPPED)
        yield self._wait(machine.seconds("start"))
        machine.start(copy)

    def _cannot(self, machine: Machine, copy: Copy, what: str) -> BackendFailed:
        return BackendFailed(
            f"server {copy.key} on host {machine.name} is {copy.power} and cannot {what}",
            host=machine.uuid, server=copy.key, power_state=copy.power,
        )  # fmt: skip

    async def _turn_into(
        self, operation: str, host: str, server: ServerKey, deadline: Seconds, before: PowerState, after: PowerState,
        kind: EventKind, seconds: Callable[[Machine, Copy], Seconds],
    ) -> None:  # fmt: skip
        """From one power state to another; nothing happens to a copy that is there already."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.power is after:
                return
            if copy.power is not before:
                raise self._cannot(machine, copy, operation)
            yield self._wait(seconds(machine, copy))
            if copy.power is not before:  # it crashed meanwhile
                raise self._cannot(machine, copy, operation)
            machine.set_power(copy, after, kind)

        await self._on(operation, host, server, deadline, act)

    async def pause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Stop the vCPUs."""
        await self._turn_into(
            "pause", host, server, deadline, PowerState.RUNNING, PowerState.PAUSED, EventKind.PAUSED,
            lambda machine, _copy: machine.seconds("pause"),
        )  # fmt: skip

    async def unpause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Let the vCPUs go on."""
        await self._turn_into(
            "unpause", host, server, deadline, PowerState.PAUSED, PowerState.RUNNING, EventKind.UNPAUSED,
            lambda machine, _copy: machine.seconds("pause"),
        )  # fmt: skip

    async def suspend(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Write the memory to disk."""
        await self._turn_into(
            "suspend", host, server, deadline, PowerState.RUNNING, PowerState.SUSPENDED, EventKind.SUSPENDED,
            self._memory_seconds,
        )  # fmt: skip

    async def resume(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Read the memory from disk."""
        await self._turn_into(
            "resume", host, server, deadline, PowerState.SUSPENDED, PowerState.RUNNING, EventKind.RESUMED,
            self._memory_seconds,
        )  # fmt: skip

    def _memory_seconds(self, _machine: Machine, copy: Copy) -> Seconds:
        return copy.spec.memory_mib / self.timings.disk_mib_s

    def _resume(self, machine: Machine, copy: Copy) -> Steps:
        yield self._wait(self._memory_seconds(machine, copy))
        machine.set_power(copy, PowerState.RUNNING, EventKind.RESUMED)

    async def rescue(self, host: str, server: ServerKey, image: ImageReference, *, deadline: Seconds) -> None:
        """Restart from another image."""
        self._bootable(image)

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.rescue != image.id or copy.power not in LIVE:
                yield from machine.fetch(image)
                yield self._wait(machine.seconds("define"))
                copy.rescue = image.id
                yield from self._restart(machine, copy)

        await self._on("rescue", host, server, deadline, act)

    async def unrescue(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Restart from its own disk."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.rescue is not None or copy.power not in LIVE:
                yield self._wait(machine.seconds("define"))
                copy.rescue = None
                yield from self._restart(machine, copy)

        await self._on("unrescue", host, server, deadline, act)

    # -- moving

    async def resize_begin(
        self, host: str, server: ServerKey, target: str, spec: ServerSpec, *, deadline: Seconds
    ) -> None:
        """Stop and keep the copy, and copy its disk."""
        source, goal = self._up(host), self._up(target)
        check_successor(server, spec.key)

        def work(_job: Job) -> Steps:
            old = source.need(server)
            if goal.finished(spec.key) is not None:
                if old.kept:
                    return
                raise self._there(goal, spec.key)
            self._alone(goal, spec.key, but=server if goal is source else None)
            self._linked(source, goal)
            if not old.kept:
                old.ran = old.power in LIVE
            try:
                yield from self._resizes(source, goal, old, spec)
            except BaseException:
                if goal.powered:
                    goal.remove(spec.key)
                if source.powered:
                    old.kept = False
                    if old.ran and old.power is PowerState.SHUTDOWN:
                        source.start(old)
                raise

        await self._exchange.ask("resize_begin", source, deadline, work, (source, server), (goal, spec.key))

    def _resizes(self, source: Machine, goal: Machine, old: Copy, spec: ServerSpec) -> Steps:
        if old.power is not PowerState.SHUTDOWN:
            yield self._wait(source.seconds("destroy"))
            source.set_power(old, PowerState.SHUTDOWN, EventKind.STOPPED)
        old.kept = True
        new = goal.copies[spec.key] = Copy(spec, ports={port.id: port for port in spec.ports})
        disk = self._disk_mib(old.spec)
        if goal is source or self.capabilities.shared_disks:
            yield self._wait(source.seconds("define"))
        else:
            yield from self._network.finish(self._network.begin(source.uuid, goal.uuid, disk, running=False))
        yield self._wait(goal.seconds("define"))
        new.power, new.since = PowerState.SHUTDOWN, self.world.now

    def _linked(self, source: Machine, goal: Machine) -> None:
        if not goal.answers:
            raise BackendFailed(
                f"host {source.name} does not reach host {goal.name}; choose another target", host=goal.uuid
            )

    async def resize_finish(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Grow the disk, and start."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.power not in LIVE:
                yield self._wait(machine.seconds("grow_disk"))
                if start:
                    yield self._wait(machine.seconds("start"))
                    machine.start(copy)

        await self._on("resize_finish", host, server, deadline, act)

    async def resize_confirm(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove the kept copy."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            copy = machine.copies.get(server)
            if copy is None:
                return
            if not copy.kept:
                raise self._cannot(machine, copy, "be confirmed away: it is not kept for a revert")
            yield self._wait(machine.seconds("destroy"))
            machine.remove(server)

        await self._exchange.ask("resize_confirm", machine, deadline, work, (machine, server))

    async def resize_revert(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Make the kept copy an ordinary one again."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            copy = machine.need(server)
            if copy.kept:
                self._alone(machine, server)
                yield self._wait(machine.seconds("define"))
                copy.kept = False
            if start and copy.power is PowerState.SHUTDOWN:
                yield self._wait(machine.seconds("start"))
                machine.start(copy)

        await self._exchange.ask("resize_revert", machine, deadline, work, (machine, server))

    async def live_migrate(
        self, host: str, server: ServerKey, target: str, *, generation: int, deadline: Seconds
    ) -> None:
        """Copy the memory while the guest runs, then switch over at one instant."""
        source, goal = self._up(host), self._up(target)
        key = ServerKey(server.uuid, generation)
        check_successor(server, key)
        if source is goal:
            raise BackendFailed(f"server {server} is on host {source.name} already; choose another", host=host)

        def work(job: Job) -> Steps:
            if goal.finished(key) is not None:
                if server not in source.copies:
                    return
                raise self._there(goal, key)
            copy = source.usable(server)
            if copy.power not in LIVE:
                raise self._cannot(source, copy, "be migrated live; a stopped server is moved by a resize")
            self._alone(goal, key)
            self._linked(source, goal)
            yield from self._migrates(job, source, goal, copy, key)

        await self._exchange.ask("live_migrate", source, deadline, work, (source, server), (goal, key))

    def _migrates(self, job: Job, source: Machine, goal: Machine, copy: Copy, key: ServerKey) -> Steps:
        spec = replace(copy.spec, generation=key.generation)
        incoming = goal.copies[key] = Copy(spec)
        try:
            yield self._wait(goal.seconds("migrate"))
            mib = float(copy.spec.memory_mib)
            running = copy.power is PowerState.RUNNING
            flow = self._network.begin(source.uuid, goal.uuid, mib, running=running)
            self._moving[source, copy.key] = (job, flow)
            yield from self._network.finish(flow)
            yield self._wait(self.timings.migration.pause)
            if copy.power not in LIVE:
                raise self._cannot(source, copy, "be migrated live: it stopped meanwhile")
        except BaseException:
            if goal.powered:
                goal.remove(key)
            raise
        finally:
            self._moving.pop((source, copy.key), None)
        incoming.power, incoming.since, incoming.rescue = copy.power, copy.since, copy.rescue
        incoming.ports, incoming.starts = copy.ports, copy.starts
        source.remove(copy.key)
        goal.tell(EventKind.MIGRATED, key)

    async def live_migration_progress(
        self, host: str, server: ServerKey, *, deadline: Seconds
    ) -> MigrationProgress | None:
        """How far the copying is."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            yield self._wait(machine.seconds("query"))
            if (machine, server) not in self._moving:
                return None
            _, flow = self._moving[machine, server]
            flow.settle(self.world.now)
            sizes = (round(mib * _MIB) for mib in (flow.total, flow.sent, flow.remaining))
            return MigrationProgress(self.world.now - flow.begun, *sizes)

        progress: MigrationProgress | None = await self._exchange.ask(
            "live_migration_progress", machine, deadline, work, turn=False
        )
        return progress

    async def live_migration_abort(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Break the copying off."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            yield self._wait(machine.seconds("query"))
            if (machine, server) not in self._moving:
                raise BackendFailed(
                    f"server {server} on host {machine.name} is not being migrated; there is nothing to abort",
                    host=host, server=server,
                )  # fmt: skip
            job, _ = self._moving[machine, server]
            job.stop(BackendFailed(f"the live migration of server {server} was aborted", host=host, server=server))

        await self._exchange.ask("live_migration_abort", machine, deadline, work, turn=False)

    async def live_migration_force(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Stop the guest, so that what is left to be copied grows no more."""
        machine = self._up(host)

        def work(_job: Job) -> Steps:
            yield self._wait(machine.seconds("pause"))
            if (machine, server) not in self._moving:
                raise BackendFailed(
                    f"server {server} on host {machine.name} is not being migrated; there is nothing to force",
                    host=host, server=server,
                )  # fmt: skip
            _, flow = self._moving[machine, server]
            self._network.stand_still(flow)

        await self._exchange.ask("live_migration_force", machine, deadline, work, turn=False)

    # -- disks and images

    async def snapshot(self, host: str, server: ServerKey, sink: ImageSink, *, deadline: Seconds) -> SnapshotRecord:
        """Read the disk and send it to the store: the time of a used disk, and the bytes of an empty one."""
        due = clock.now() + deadline

        def act(machine: Machine, copy: Copy) -> Steps:
            disk = self._disk_mib(copy.spec)
            yield self._wait(machine.seconds("define") + disk / self.timings.disk_mib_s)
            yield from self._uploads.transfer(disk)
            image = copy.spec.image.size_bytes if copy.spec.image is not None else 0
            return copy.spec.root_gib * _GIB or -(-image // _MIB) * _MIB  # no root size: that of the image

        size: int = await self._on("snapshot", host, server, deadline, act)
        data = empty_qcow2(size)
        try:
            async with aio.timeout(max(0.0, due - clock.now())):
                for at in range(0, len(data), _CHUNK):
                    await sink.write(data[at : at + _CHUNK])
        except aio.CancelledError:
            raise
        except Exception as error:
            raise BackendFailed(
                f"the snapshot of server {server} could not be written: {error}", host=host, server=server
            ) from error
        return SnapshotRecord("qcow2", len(data), size)

    # -- ports

    async def plug(self, host: str, server: ServerKey, port: PortSpec, *, deadline: Seconds) -> None:
        """Give the copy a port."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.ports.get(port.id) != port:
                yield self._wait(machine.seconds("plug"))
                copy.ports[port.id] = port

        await self._on("plug", host, server, deadline, act)

    async def unplug(self, host: str, server: ServerKey, port: str, *, deadline: Seconds) -> None:
        """Take a port away."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if port in copy.ports:
                yield self._wait(machine.seconds("unplug"))
                del copy.ports[port]

        await self._on("unplug", host, server, deadline, act)

    # -- looking in

    async def console_log(
        self, host: str, server: ServerKey, *, deadline: Seconds, last_bytes: int = 100 * 1024
    ) -> bytes:
        """What the guest wrote."""

        def act(machine: Machine, copy: Copy) -> Steps:
            yield self._wait(machine.seconds("query"))
            text = self._console_text(copy, self.world.now)
            return text.encode()[-last_bytes:] if last_bytes > 0 else b""

        log: bytes = await self._on("console_log", host, server, deadline, act, turn=False)
        return log

    def _console_text(self, copy: Copy, now: Seconds) -> str:
        """All that its guest has written to its serial line by then."""
        boots = tuple(self._boot_seconds(copy, start) for start in copy.starts)
        return console_text(copy, boots, now)

    def _boot_seconds(self, copy: Copy, start: Seconds) -> Seconds:
        """How long the guest boots that was started at ``start``: the same whenever it is asked, and wherever it is."""
        rng = self.world.streams.child("guests").fresh(f"{copy.spec.uuid}/{start}")
        return float(self.timings.boot.guest.sample(rng, 1)[0])

    async def open_console(self, host: str, server: ServerKey, kind: str, *, deadline: Seconds) -> ConsoleStream:
        """The serial line. A simulated guest has no screen."""
        if kind not in self.capabilities.consoles:
            raise NotSupported(f"there is no {kind} console here: a simulated guest has no screen", kind=kind)

        def act(machine: Machine, copy: Copy) -> Steps:
            yield self._wait(machine.seconds("query"))
            if copy.power not in LIVE or machine.copies.get(server) is not copy:
                raise self._cannot(machine, copy, "show its console")
            booted = copy.starts[-1] + self._boot_seconds(copy, copy.starts[-1])
            line = SerialLine(
                copy.spec.name,
                lambda now: self._console_text(copy, now),
                booted,
                lambda: machine.answers and copy.power is PowerState.RUNNING,
            )
            machine.hang_up(server)
            machine.consoles[server] = line.end
            return line

        line: SerialLine = await self._on("open_console", host, server, deadline, act, turn=False)
        return line

    async def diagnostics(self, host: str, server: ServerKey, *, deadline: Seconds) -> Diagnostics:
        """How the copy is doing. Its vCPUs are taken to be busy for a tenth of the time."""

        def act(machine: Machine, copy: Copy) -> Steps:
            yield self._wait(machine.seconds("query"))
            spec, live = copy.spec, copy.power in LIVE
            uptime = self.world.now - copy.starts[-1] if live and copy.starts else 0.0
            return Diagnostics(
                copy.power, uptime, 0.1 * uptime * spec.vcpus, spec.vcpus, spec.memory_mib,
                spec.memory_mib if live else 0, tuple(port.mac_address for port in copy.ports.values()),
            )  # fmt: skip

        found: Diagnostics = await self._on("diagnostics", host, server, deadline, act, turn=False)
        return found

    async def set_password(self, host: str, server: ServerKey, password: str, *, deadline: Seconds) -> None:
        """Take the time of setting a password, and forget it."""

        def act(machine: Machine, copy: Copy) -> Steps:
            if copy.power is not PowerState.RUNNING:
                raise self._cannot(machine, copy, "have its password set")
            yield self._wait(machine.seconds("set_password"))

        await self._on("set_password", host, server, deadline, act)


if TYPE_CHECKING:

    def _keeps_the_contract(driver: SimulatedDriver) -> ComputeDriver:
        return driver
