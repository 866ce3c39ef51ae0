"""One host and what is on it: power, link, copies of servers, cache of images. All of it changes at instants.

A host can be powered off (its servers die), cut off (they run on, unheard), or both. The driver notices neither at
once: what it knows is ``state``, which follows by ``detect`` and ``reconnect`` seconds.
"""

from __future__ import annotations

import math
import uuid
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from ipaddress import IPv6Address
from typing import Any, TypeAlias

import numpy as np
import simpy

from sundog.backends.contract import (
    DeviceRecord,
    EventKind,
    HostRecord,
    HostState,
    ImageReference,
    LifecycleEvent,
    PortSpec,
    PowerState,
    ServerCopy,
    ServerKey,
    ServerSpec,
)
from sundog.backends.simulated.ledger import CopyRecord, Holding
from sundog.backends.simulated.timings import Step, Timings
from sundog.core.pool import Inventory
from sundog.errors import BackendFailed, NoSuchServer, OutcomeUnknown, SundogError
from sundog.runtime.seeds import Streams
from sundog.runtime.warp import World
from sundog.sim.fleet import GPU, Fleet
from sundog.sim.network import HostNetwork, SharedLink
from sundog.units import MiB, Seconds

Steps: TypeAlias = Generator[simpy.Event, Any, Any]

# Power states in which the guest is in the host's memory.
LIVE = (PowerState.RUNNING, PowerState.PAUSED)


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host to be simulated. ``at`` is when it enters service, in seconds of the world's clock."""

    uuid: str
    name: str
    inventory: Mapping[str, Inventory]
    traits: tuple[str, ...] = ()
    devices: tuple[DeviceRecord, ...] = ()
    zone: str | None = None
    rack: str | None = None
    aggregates: tuple[str, ...] = ()
    at: Seconds = 0.0


def hosts_of_fleet(fleet: Fleet, streams: Streams) -> tuple[HostSpec, ...]:
    """The hosts of a scenario's fleet. A host's uuid hangs on the seed and on its name alone."""
    uuids = streams.child("hosts")
    return tuple(_host_of_fleet(fleet, host, uuid_of(uuids, fleet.names[host])) for host in range(len(fleet)))


def uuid_of(streams: Streams, name: str) -> str:
    """The uuid of a host called ``name``: laid out as a random one (version 4)."""
    return str(uuid.UUID(bytes=streams.sequence(name).generate_state(4, np.uint32).astype("<u4").tobytes(), version=4))


def address_of(host: str) -> str:
    """The address of the host of this uuid: one of its own, in the range of those that lead nowhere else (RFC 4193)."""
    return str(IPv6Address(b"\xfd" + blake2s(host.encode(), digest_size=15).digest()))


def _host_of_fleet(fleet: Fleet, host: int, own: str) -> HostSpec:
    name, group = fleet.names[host], fleet.groups[int(fleet.group[host])]
    devices = tuple(DeviceRecord(f"{name}:gpu{i}", {GPU: Inventory(1)}) for i in range(group.type.gpus))
    return HostSpec(
        own, name, fleet.inventory(group.type), fleet.traits(group.type), devices, group.zone, fleet.racks[host],
        group.aggregates, group.at,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- a server


@dataclass(slots=True, eq=False)
class Copy:
    """What the host holds of a server. ``starts`` are the instants at which its guest began to boot.

    ``ran``: whether it was live when a resize stopped it, for the case that the resize fails.
    """

    spec: ServerSpec
    power: PowerState = PowerState.NOSTATE
    kept: bool = False
    ran: bool = False
    rescue: str | None = None
    ports: dict[str, PortSpec] = field(default_factory=dict)
    starts: list[Seconds] = field(default_factory=list)
    since: Seconds = 0.0

    @property
    def key(self) -> ServerKey:
        """Which copy this is."""
        return self.spec.key


@dataclass(slots=True, eq=False)
class Call:
    """An operation that somebody waits for. ``reply`` has its outcome; nobody listens any more once it is settled."""

    operation: str
    reply: simpy.Event
    job: Job | None = None
    lost: bool = False  # no answer to it can come any more, but nobody has noticed

    def settle(self, value: Any) -> None:
        """Answer with a value or an error, unless there was an answer before."""
        if self.reply.triggered:
            return
        if isinstance(value, Exception):
            self.reply.fail(value)
            self.reply.defused = True  # whoever asked may have been cancelled
        else:
            self.reply.succeed(value)


@dataclass(slots=True, eq=False)
class Job:
    """An operation as it happens on hosts. ``places``: which copies it is about, by host."""

    operation: str
    places: tuple[tuple[Machine, ServerKey], ...]
    process: simpy.Process | None = None
    begun: bool = False

    def stop(self, why: object) -> None:
        """Break it off, wherever it is. ``why`` is the error for who asked, or ``POWER_CUT``."""
        if self.process is not None and self.process.is_alive:
            self.process.interrupt(why)


POWER_CUT = "power cut"


# --------------------------------------------------------------------------------------------------------------- a host


class Machine:
    """A host, the ``number``-th of its driver. ``publish`` is told what happens on it, as far as it can be heard.

    ``keep`` is told of (this host, server) where what it holds has changed other than by an operation, ``fetched`` of
    images that were brought here.
    """

    def __init__(
        self,
        number: int,
        world: World,
        spec: HostSpec,
        timings: Timings,
        store: SharedLink,
        network: HostNetwork,
        publish: Callable[[LifecycleEvent], None],
        keep: Callable[..., None],
        fetched: Callable[[str, ImageReference, Seconds], None],
    ) -> None:
        self.number = number
        self._keep, self._fetched = keep, fetched
        self.world, self.spec, self.timings = world, spec, timings
        self.uuid, self.name = spec.uuid, spec.name
        self.store, self.network = store, network
        self._publish = publish
        self.powered = self.linked = True
        self.state = HostState.UP
        self.copies: dict[ServerKey, Copy] = {}
        self.calls: dict[Call, None] = {}
        self.jobs: dict[Job, None] = {}
        self.consoles: dict[ServerKey, Callable[[], None]] = {}  # how to end those that are open
        self._turns: dict[str, simpy.Resource] = {}
        self._link = simpy.Resource(world)
        self._images: OrderedDict[str, MiB] = OrderedDict()
        self._fetching: dict[str, simpy.Process] = {}
        self._luck: np.random.Generator | None = None
        # What was planned before the last of these does not happen any more.
        self._boots = 0  # switched on or off
        self._changes = 0  # fell silent, or was heard again

    # -- what is known of it

    @property
    def answers(self) -> bool:
        """Whether a request reaches it and its reply comes back."""
        return self.powered and self.linked

    def record(self) -> HostRecord:
        """The host as the contract shows it."""
        spec = self.spec
        return HostRecord(
            spec.uuid, spec.name, self.state, spec.inventory, spec.traits, spec.devices, spec.zone, spec.rack,
            spec.aggregates, "simulated", 1, address_of(spec.uuid),
        )  # fmt: skip

    def listing(self) -> tuple[ServerCopy, ...]:
        """Every copy, by uuid and generation."""
        busy = {key for job in self.jobs for machine, key in job.places if machine is self}
        return tuple(
            ServerCopy(key.uuid, key.generation, copy.power, copy.kept, key in busy, tuple(copy.ports))
            for key, copy in sorted(self.copies.items(), key=lambda item: (item[0].uuid, item[0].generation))
        )

    def tell(self, kind: EventKind, server: ServerKey | None = None) -> None:
        """Publish an event, if anybody can hear it."""
        if self.answers or server is None:
            self._publish(LifecycleEvent(kind, self.world.now, self.uuid, server))

    def seconds(self, step: Step) -> Seconds:
        """How long a step takes this time."""
        if self._luck is None:
            self._luck = self.world.streams.child("driver").stream(self.name)
        return float(self.timings.seconds[step] * math.exp(self.timings.spread * self._luck.standard_normal()))

    # -- its copies

    def need(self, key: ServerKey) -> Copy:
        """The copy ``key``, finished. Raises: NoSuchServer."""
        copy = self.copies.get(key)
        if copy is None or copy.power is PowerState.NOSTATE:
            there = tuple(each for each in self.copies if each.uuid == key.uuid)
            holds = ", ".join(f"generation {each.generation}" for each in there) or "nothing of it"
            what = "no server" if copy is None else "only an unfinished copy of server"
            raise NoSuchServer(
                f"host {self.name} has {what} {key}; it holds {holds}. Reconcile before asking again",
                host=self.uuid,
                server=key,
                there=there,
            )
        return copy

    def usable(self, key: ServerKey) -> Copy:
        """The copy ``key``, if it is not kept for a revert. Raises: NoSuchServer, BackendFailed."""
        copy = self.need(key)
        if copy.kept:
            raise BackendFailed(
                f"host {self.name} keeps server {key} for a resize to be reverted; confirm or revert that first",
                host=self.uuid,
                server=key,
            )
        return copy

    def finished(self, key: ServerKey) -> Copy | None:
        """The copy ``key``; None if there is none, or an unfinished one. Raises: BackendFailed if it is kept."""
        copy = self.copies.get(key)
        return None if copy is None or copy.power is PowerState.NOSTATE else self.usable(key)

    def others(self, key: ServerKey) -> tuple[ServerKey, ...]:
        """Copies of the same server with other generations."""
        return tuple(each for each in self.copies if each.uuid == key.uuid and each != key)

    def start(self, copy: Copy) -> None:
        """The guest begins to boot, now."""
        copy.starts.append(self.world.now)
        self.set_power(copy, PowerState.RUNNING, EventKind.STARTED)

    def set_power(self, copy: Copy, power: PowerState, kind: EventKind) -> None:
        """Change what a copy does, and tell."""
        copy.power, copy.since = power, self.world.now
        if power not in LIVE:
            self.hang_up(copy.key)
        self.tell(kind, copy.key)

    def remove(self, key: ServerKey) -> None:
        """Nothing of the copy is left."""
        copy = self.copies.pop(key, None)
        self.hang_up(key)
        if copy is not None and copy.power is not PowerState.NOSTATE:
            self.tell(EventKind.REMOVED, key)

    def hang_up(self, *keys: ServerKey) -> None:
        """End the consoles of these copies."""
        for key in keys:
            end = self.consoles.pop(key, None)
            if end is not None:
                end()

    def turn(self, server: str) -> simpy.Resource:
        """What an operation on a server holds, so that they happen one at a time."""
        return self._turns.setdefault(server, simpy.Resource(self.world))

    @property
    def turns(self) -> int:
        """How many servers something happens to."""
        return len(self._turns)

    def leave(self, job: Job) -> None:
        """A job has ended here."""
        self.jobs.pop(job, None)
        for _, key in job.places:
            turn = self._turns.get(key.uuid)
            if turn is not None and not turn.count and not turn.queue:
                del self._turns[key.uuid]

    # -- the ledger

    def holding(self, server: str) -> Holding:
        """What it holds of a server, to be kept."""
        copies = (copy for key, copy in self.copies.items() if key.uuid == server)
        return Holding(
            self.uuid,
            server,
            tuple(
                CopyRecord(copy.spec, copy.power, copy.kept, copy.ran, copy.rescue, tuple(copy.ports.values()))
                for copy in copies
            ),
        )

    def restore(self, holdings: Iterable[Holding]) -> None:
        """Hold what was kept. What ran runs, and boots now as far as its console is concerned."""
        for record in (copy for holding in holdings for copy in holding.copies):
            copy = Copy(record.spec, record.power, record.kept, record.ran, record.rescue, since=self.world.now)
            copy.ports = {port.id: port for port in record.ports}
            copy.starts = [self.world.now] if record.power in LIVE else []
            self.copies[copy.key] = copy

    # -- its images

    def fetch(self, image: ImageReference) -> Steps:
        """Have an image in the cache: at once if it is, else over the host's link, one image after the other.

        Raises: BackendFailed if the link to the store breaks meanwhile.
        """
        if image.id in self._images:
            self._images.move_to_end(image.id)
            return
        process = self._fetching.get(image.id)
        if process is None:
            process = self._fetching[image.id] = self.world.process(self._fetches(image))
        error = yield process
        if error is not None:
            raise error

    def _fetches(self, image: ImageReference) -> Steps:
        """The host fetches, whoever still waits for it. Its value is None or an error: nobody may be there to catch."""
        mib = image.size_bytes / 2**20
        try:
            if not self.linked:
                return self._no_store(image.id)
            with self._link.request() as mine:
                yield mine
                begin = self.world.now
                yield from self.store.transfer(mib)
        except simpy.Interrupt:
            return self._no_store(image.id)
        finally:
            del self._fetching[image.id]
        self._fetched(self.uuid, image, self.world.now - begin)
        self._images[image.id] = mib
        room = self.timings.boot.cache * 1024.0
        while len(self._images) > 1 and sum(self._images.values()) > room:
            self._images.popitem(last=False)
        return None

    def _no_store(self, image: str) -> BackendFailed:
        return BackendFailed(
            f"host {self.name} lost the store of images while it fetched {image}; try another host",
            host=self.uuid, image=image,
        )  # fmt: skip

    # -- what befalls it. Each of these does nothing to a host that is so already.

    def kill(self, *, fenced: bool = False) -> None:
        """Cut the power: what runs here dies, and what was under way stays half done."""
        self._boots += 1  # if it was about to come up, it does not
        if self.powered:
            self._fall_silent(powered=False)
            for job in list(self.jobs):
                mine = job.places[0][0] is self
                job.stop(POWER_CUT if mine else BackendFailed(f"host {self.name} lost its power", host=self.uuid))
            for copy in self.copies.values():
                if copy.power in LIVE or copy.power is PowerState.CRASHED:
                    copy.power, copy.since = PowerState.SHUTDOWN, self.world.now
            if self.copies:
                self._keep(*((self, key.uuid) for key in self.copies))
        if fenced:
            self._notice(HostState.FENCED)

    def revive(self) -> None:
        """Switch it on: it is back after it has booted, with its copies stopped."""
        if not self.powered:
            self._boots += 1
            boot = self._boots
            event = self.world.at(self.world.now + self.timings.host_boot)
            event.callbacks.append(lambda _event: self._booted() if boot == self._boots else None)

    def _booted(self) -> None:
        self.powered = True
        if self.state is HostState.FENCED and not self.linked:
            self.state = HostState.DOWN
        self._heard()

    def partition(self) -> None:
        """Cut its links: what runs here runs on, unheard."""
        if self.linked:
            self._fall_silent(linked=False)
            for job in list(self.jobs):
                if any(machine is not self for machine, _ in job.places):
                    job.stop(BackendFailed(f"the link of host {self.name} broke meanwhile", host=self.uuid))

    def heal(self) -> None:
        """Mend its links."""
        if not self.linked:
            self.linked = True
            self._heard()

    def crash(self, key: ServerKey) -> None:
        """The guest of a running copy crashes."""
        copy = self.need(key)
        if copy.power is PowerState.RUNNING:
            self.set_power(copy, PowerState.CRASHED, EventKind.CRASHED)
            self._keep((self, key.uuid))

    # -- what of that the driver notices

    def _later(self, seconds: Seconds, then: Callable[[], None]) -> None:
        """Do something after ``seconds``, unless it falls silent or is heard again before."""
        change = self._changes
        event = self.world.at(self.world.now + seconds)
        event.callbacks.append(lambda _event: then() if change == self._changes else None)

    def _fall_silent(self, *, powered: bool | None = None, linked: bool | None = None) -> None:
        """Power or links are cut, so that it does not answer, if it did before."""
        answered = self.answers
        self.powered = self.powered if powered is None else powered
        self.linked = self.linked if linked is None else linked
        for process in list(self._fetching.values()):
            process.interrupt()
        if answered:
            self._changes += 1
            self._later(self.timings.detect, lambda: self._notice(HostState.DOWN))

    def _notice(self, state: HostState) -> None:
        known = self.state
        if known is HostState.FENCED:
            return
        self.state = state
        self.hang_up(*self.consoles)
        if known is HostState.UP:
            self.tell(EventKind.HOST_DOWN)
        self.lose_calls(self.calls, "did not answer any more")

    def _heard(self) -> None:
        """From now on it answers again, and is called up when that has been noticed."""
        if not self.answers:
            return
        self._changes += 1
        self.lose_calls([call for call in self.calls if call.lost], "was away for a moment")
        self.hang_up(*(key for key in self.consoles if self.copies[key].power not in LIVE))
        if self.state is HostState.UP:
            self.tell(EventKind.LOST)  # it was away for so short that nobody noticed more than that
        else:
            self._later(self.timings.reconnect, self._reconnected)

    def _reconnected(self) -> None:
        self.state = HostState.UP
        self.tell(EventKind.HOST_UP)

    def lose_calls(self, calls: Iterable[Call], why: str) -> None:
        """Tell those who wait for ``calls`` that nobody knows."""
        for call in list(calls):
            call.settle(
                OutcomeUnknown(
                    f"host {self.name} {why}, so that {call.operation} may or may not have happened; reconcile",
                    host=self.uuid,
                    operation=call.operation,
                )
            )

    def reply(self, call: Call, value: object) -> None:
        """The answer to ``call`` leaves the host; it is lost if the host cannot be heard."""
        if self.answers:
            call.settle(value)
        else:
            call.lost = True

    def jobs_on(self, key: ServerKey) -> Iterator[Job]:
        """What is under way on one copy."""
        return (job for job in list(self.jobs) if (self, key) in job.places)


def first_error(error: BaseException) -> SundogError:
    """What stopped a job, for who asked: an interrupt carries it as its cause."""
    cause = error.cause if isinstance(error, simpy.Interrupt) else error
    if isinstance(cause, SundogError):
        return cause
    raise error
