"""One host: its connections, whether it answers, what it holds as far as it told, and calls to it.

Connections lead to a host. The first hears events and does the work, with as many beside it as there are calls at a
time; one is for serial lines. Another does nothing but ask, every other second, whether anybody is there, in a thread
of its own: so work that hangs is never taken for a dead host, nor a dead host for slow work. All send keepalives. When
the first or that one ends, all are made again: subscribe to events first, list then, and only then is the host up; so
nothing that happened meanwhile is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from sundog.backends.contract import EventKind, HostRecord, HostState, LifecycleEvent, PowerState, ServerKey
from sundog.backends.libvirt.consoles import Screen, SerialLine
from sundog.backends.libvirt.domain_xml import read_domain
from sundog.backends.libvirt.failures import Code, Meaning, meaning, tells_of_no_machine, translate
from sundog.backends.libvirt.host_xml import HostFacts, read_capabilities, read_cpu, read_features
from sundog.backends.libvirt.identity import FILE, Identity, read_identity, why_quarantined, write_identity
from sundog.backends.libvirt.inventory import host_record
from sundog.backends.libvirt.lanes import Lane, NotOpened
from sundog.backends.libvirt.native import OLDEST, Connection, Library, dotted
from sundog.backends.libvirt.records import Domain, VirtType
from sundog.backends.libvirt.states import is_arriving, kind_of, power_of
from sundog.backends.libvirt.storage import Storage
from sundog.backends.libvirt.threads import NoAnswer, NotStarted, Workers
from sundog.errors import BackendFailed, HostDown, OutcomeUnknown, SundogError
from sundog.runtime import aio, clock
from sundog.units import Seconds

T = TypeVar("T")

_LOG: Final = logging.getLogger("sundog.hosts")
_LONG_S: Final[Seconds] = 60.0
"""What may take longer has threads of its own."""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """How a host is reached, and what is to run there.

    ``uuid`` is the host's own, where it is known already: a host that says another one is not let in. ``address`` is
    where other hosts reach it for migrations, and where consoles listen. ``pool`` is the folder for its disks, the same
    on every host. ``cloud`` is the id of the cloud whose host it is to be: one that is another's is not let in.
    ``filtered``: a network driver puts the filters of ports there, and no card is plugged without its
    own. ``wire`` is the card that joins its networks to those of other hosts, the one with ``address`` if it is empty;
    ``shell`` the beginning of a command that runs another one there, for a host that is reached neither over SSH nor
    on this machine. ``bridged``: the host is the network node as well, whose bridges its networks use.
    """

    name: str
    uri: str
    uuid: str = ""
    virt_type: VirtType = "kvm"
    address: str = "127.0.0.1"
    pool: str = "/var/lib/libvirt/sundog"
    cloud: str = ""
    filtered: bool = False
    wire: str = ""
    shell: tuple[str, ...] = ()
    bridged: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host may take, in seconds."""

    call: Seconds = 60.0
    """For an ordinary call; those that move data have their own."""
    connect: Seconds = 10.0
    pulse: Seconds = 2.0
    """Between one sign of life and the next."""
    silent: Seconds = 8.0
    """Without a sign of life before a host is down."""
    restart: Seconds = 20.0
    """The same after its daemon ended, for as long as nothing says that the machine went with it."""
    keepalives: int = 3
    """How many keepalives, a pulse apart, may be missing before a connection is given up."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A copy on a host, as it was found there."""

    domain: Domain
    power: PowerState
    arriving: bool = False
    """It is being moved here, and may yet stay where it was."""

    @property
    def key(self) -> ServerKey:
        """Which copy."""
        return self.domain.stamp.key


@dataclass(slots=True)
class Known:
    """What is known of a domain between two listings: enough to say what an event means."""

    key: ServerKey
    power: PowerState
    networks: tuple[str, ...] = ()
    since: Seconds | None = None


class _Quarantined(HostDown):
    """The host answers, but is not what it was."""


class Link:
    """One host. ``run`` keeps it connected; ``publish`` is told what happens on it.

    ``twin_of`` finds the name of another host with a uuid. A host that is ``quarantined`` is down, with the reason:
    what is on it stays as it is, and it is looked at again until an administrator has put it right.
    """

    def __init__(
        self, number: int, spec: HostSpec, library: Library, publish: Callable[[LifecycleEvent], None],
        patience: Patience = Patience(), twin_of: Callable[[Link, str], str | None] = lambda _link, _uuid: None,
    ) -> None:  # fmt: skip
        self.number, self.spec, self.patience = number, spec, patience
        self.state = HostState.DOWN
        self.reason = "it was not connected yet"
        self.quarantined = False
        self.facts: HostFacts | None = None
        self.known: dict[str, Known] = {}
        self.storage = Storage(self)
        self.networks = aio.Lock()
        self.arriving = 0
        self.fencing = aio.Lock()
        self.lines: dict[SerialLine, None] = {}
        self.screens: dict[Screen, None] = {}
        self._library, self._publish, self._twin_of = library, publish, twin_of
        self._version, self._disk_gib = 0, 0
        self._lanes: set[Lane] = set()
        self._free: list[Lane] = []
        self._line_lane = self._pulse = self._lane()
        self._round = 0  # of connections: what an older one says does not count
        self._tries = 0
        self._broken = aio.Event()
        self._ready = aio.Event()
        self._heard_at = self._ended_at = -math.inf
        self._workers = Workers(f"libvirt-{spec.name}")
        self._long = Workers(f"libvirt-long-{spec.name}", size=8)
        self._openers = Workers(f"libvirt-open-{spec.name}", size=1, most=4)
        self._pulses = Workers(f"libvirt-pulse-{spec.name}", size=1, most=4)
        self._listeners = Workers(f"libvirt-console-{spec.name}", size=1, most=4)
        self._all_workers = (self._workers, self._long, self._openers, self._pulses, self._listeners)

    @property
    def uuid(self) -> str:
        """The host's own uuid; empty until it is known."""
        return self.spec.uuid or (self.facts.uuid if self.facts is not None else "")

    @property
    def name(self) -> str:
        """The host's name, for people."""
        return self.spec.name

    @property
    def library(self) -> Library:
        """libvirt."""
        return self._library

    def record(self) -> HostRecord | None:
        """The host as the contract shows it; None as long as nobody knows which one it is."""
        if self.facts is None:
            if not self.spec.uuid:
                return None
            return HostRecord(self.spec.uuid, self.name, self.state, {}, reason=self.reason)
        return host_record(
            self.facts, self.name, self.state, virt_type=self.spec.virt_type, disk_gib=self._disk_gib,
            version=self._version, address=self.spec.address, reason=self.reason,
        )  # fmt: skip

    @property
    def is_known(self) -> bool:
        """Whether it is known to be up or down: it is up, or at least one attempt to connect it has ended."""
        return self.state is HostState.UP or self._tries > 0

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """A server is about to run there; what can wait does, as long as ``arriving`` is not 0."""
        self.arriving += 1
        try:
            yield
        finally:
            self.arriving -= 1

    def statistics(self) -> dict[str, int]:
        """How many threads the host has."""
        return {"threads": sum(each.statistics()["threads"] for each in self._all_workers)}

    # ------------------------------------------------------------------------------------------------------- calls

    async def call(
        self, operation: str, fn: Callable[[Connection], T], *, server: ServerKey | None = None,
        limit: Seconds | None = None, lane: Lane | None = None,
    ) -> T:  # fmt: skip
        """What ``fn`` makes of a connection, in a thread; of that of a ``lane``, if its holder asks.

        What may take longer than a minute, as a migration, has threads of its own: it can be looked at and broken off.
        Raises: HostDown; what ``translate`` makes of an error of libvirt; OutcomeUnknown after ``limit`` seconds.
        """
        limit = limit or self.patience.call
        await self._reach()
        if lane is not None:
            return await self._through(self._workers.call, operation, lane, fn, server, limit)
        workers = self._long if limit > _LONG_S else self._workers
        async with self._turn(workers, operation, limit), self.lane() as own:  # so no more connections than calls
            return await self._through(workers.make, operation, own, fn, server, limit)

    @contextlib.asynccontextmanager
    async def _turn(self, workers: Workers, operation: str, limit: Seconds) -> AsyncIterator[None]:
        try:
            async with workers.turn(limit):
                yield
        except NotStarted as error:
            raise self._not_begun(operation, error) from error

    def _not_begun(self, operation: str, error: NotStarted) -> BackendFailed:
        return BackendFailed(f"{operation} on host {self.name} was not begun: {error}", host=self.uuid)

    @contextlib.asynccontextmanager
    async def lane(self) -> AsyncIterator[Lane]:
        """A connection for the block alone: for what takes several calls, as streams do, or concerns two hosts.

        Raises: HostDown.
        """
        await self._reach()
        while self._free and not self._is_alive(self._free[-1]):
            self._discard([self._free.pop()])
        lane = self._free.pop() if self._free else self._lane()
        try:
            yield lane
        finally:
            if lane in self._lanes and self._is_alive(lane) and len(self._free) < self._workers.size:
                self._free.append(lane)
            else:
                self._discard([lane])

    def _lane(self, connection: Connection = None, end: Callable[[Connection], None] | None = None) -> Lane:
        """A connection of this round, there already or to be made when it is used."""
        lane = Lane(self._open, end or self._close, connection)
        self._lanes.add(lane)
        return lane

    def _discard(self, lanes: Iterable[Lane], lines: Iterable[SerialLine] = ()) -> None:
        """Let connections go that are of no use any more, without waiting for whoever is at their other end."""
        lanes = list(lanes)
        self._lanes.difference_update(lanes)
        ends: list[Callable[[], None]] = [partial(line.release, abort=False) for line in lines]
        ends += [lane.close for lane in lanes if lane.give_up()]
        if ends:
            name = f"libvirt-close-{self.name}"
            threading.Thread(target=lambda: [end() for end in ends], name=name, daemon=True).start()

    async def _reach(self) -> None:
        """Return while the host is connected. One that is up and is being connected again is waited for.

        Raises: HostDown.
        """
        with contextlib.suppress(TimeoutError):
            if self.state is HostState.UP:
                async with aio.timeout(max(self.patience.silent, self.patience.restart) + self.patience.pulse):
                    await self._ready.wait()
        if self.state is not HostState.UP or not self._ready.is_set():
            raise HostDown(f"host {self.name} is {self.state}: {self.reason}", host=self.uuid)

    async def _through(
        self, make: Callable[[Callable[[], T], Seconds], Awaitable[T]], operation: str, lane: Lane,
        fn: Callable[[Connection], T], server: ServerKey | None, limit: Seconds,
    ) -> T:  # fmt: skip
        """What ``fn`` makes of the connection of a lane, in a thread of whoever has calls made."""
        try:
            return await make(lambda: lane.use(fn), limit)
        except self._library.libvirtError as error:
            said = meaning(error.get_error_code(), alive=self._is_alive(lane))
            raise translate(
                said, str(error), operation=operation, host=self.uuid, name=self.name, server=server
            ) from error
        except NotOpened as error:
            raise translate(
                Meaning.UNREACHABLE, str(error), operation=operation, host=self.uuid, name=self.name, server=server
            ) from error
        except NotStarted as error:
            raise self._not_begun(operation, error) from error
        except NoAnswer as error:
            raise OutcomeUnknown(
                f"{operation} on host {self.name} may or may not have happened: {error}; reconcile", host=self.uuid
            ) from error

    def _is_alive(self, lane: Lane) -> bool:
        """Whether a connection still stands."""
        with contextlib.suppress(self._library.libvirtError):
            return lane.is_usable()
        return False

    # ------------------------------------------------------------------------------------------------- connections

    async def run(self) -> None:
        """Keep the host connected, until cancelled. It is down when it was silent for too long, and not before."""
        try:
            while True:
                try:
                    await self._connect()
                except _Quarantined as error:
                    self.reason, self.quarantined = error.message, True
                    self._down()
                except SundogError as error:
                    self.reason = error.message
                    if tells_of_no_machine(error.message):
                        self._ended_at = -math.inf
                    elif self._lanes:
                        self._end()
                else:
                    await self._watch()
                self._tries += 1
                self._drop()
                if self._left() <= 0:
                    self._down()
                await aio.sleep(0.2 if self.state is HostState.UP else self.patience.pulse)
        finally:
            self._hang_up()
            self._drop()
            for workers in self._all_workers:
                workers.close()

    def _left(self) -> Seconds:
        """How long the host may still be silent before it is down."""
        if self.state is not HostState.UP:
            return 0.0
        left = self.patience.silent - (clock.now() - self._heard_at)
        return max(left, self.patience.restart - (clock.now() - self._ended_at))

    def _down(self) -> None:
        if self.state is HostState.UP:
            self.state = HostState.DOWN
            self._hang_up()
            self._tell(EventKind.HOST_DOWN)
            self._ready.set()  # who waits is told at once
            self._ready.clear()

    def _hang_up(self) -> None:
        for screen in list(self.screens):
            screen.end()

    def _tell(self, kind: EventKind, server: ServerKey | None = None) -> None:
        self._publish(LifecycleEvent(kind, clock.now(), self.uuid, server))

    async def _connect(self) -> None:
        """Both connections, with all that must be known before the host is up. Raises: SundogError."""
        self._round += 1
        self._broken = aio.Event()
        number, loop = self._round, asyncio.get_running_loop()

        def broke(_connection: Connection, reason: int, _opaque: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._break, number, reason)

        def happened(_connection: Connection, domain: Any, event: int, detail: int, _opaque: Any) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._heard, number, domain.UUIDString(), event, detail)

        def make() -> tuple[Connection, Connection, int]:
            made = []
            for _ in range(2):
                connection = self._open()
                made.append(connection)
                with contextlib.suppress(self._library.libvirtError):  # a driver inside this process has none
                    connection.registerCloseCallback(broke, None)
            kind = self._library.VIR_DOMAIN_EVENT_ID_LIFECYCLE
            return made[0], made[1], made[0].domainEventRegisterAny(None, kind, happened, None)

        try:
            first, pulse, subscription = await self._openers.call(
                make, min(self.patience.connect, max(1.0, self._left())) if self._left() > 0 else self.patience.connect
            )
        except (self._library.libvirtError, NotOpened) as error:
            raise translate(
                Meaning.UNREACHABLE, str(error), operation="connect", host=self.uuid, name=self.name
            ) from error
        except (NotStarted, NoAnswer) as error:
            raise HostDown(f"host {self.name} cannot be connected: {error}", host=self.uuid) from error
        self._heard_at = clock.now()

        def close_first(connection: Connection) -> None:
            with contextlib.suppress(self._library.libvirtError):
                connection.domainEventDeregisterAny(subscription)
            self._close(connection)

        lane, self._pulse, self._line_lane = self._lane(first, close_first), self._lane(pulse), self._lane()
        await self._get_to_know(lane)
        self._free.append(lane)
        self._ready.set()

    def _open(self) -> Connection:
        try:
            connection = self._library.open(self.spec.uri)
        except self._library.libvirtError as error:
            raise NotOpened(str(error)) from error
        with contextlib.suppress(self._library.libvirtError):  # a driver inside this process has none
            connection.setKeepAlive(max(1, round(self.patience.pulse)), self.patience.keepalives)
        return connection

    def _close(self, connection: Connection) -> None:
        for end in (connection.unregisterCloseCallback, connection.close):
            with contextlib.suppress(self._library.libvirtError):
                end()

    async def _get_to_know(self, lane: Lane) -> None:
        async def ask(operation: str, fn: Callable[[Connection], T]) -> T:
            return await self._through(self._workers.call, operation, lane, fn, None, self.patience.call)

        facts, version, lib_version, hostname = await ask("inventory", self._inventory)
        if lib_version < OLDEST:
            raise HostDown(
                f"host {self.name} has libvirt {dotted(lib_version)}; it takes {dotted(OLDEST)} or later",
                host=self.uuid,
            )
        found = Identity(facts.uuid, hostname, self.name, self.spec.cloud)
        self._judge(found)
        if self.spec.virt_type not in facts.virt_types:
            raise HostDown(
                f"host {self.name} cannot run {self.spec.virt_type} guests; it can run "
                f"{', '.join(facts.virt_types) or 'none'}: load the kvm module, or say virt_type: qemu",
                host=self.uuid,
            )
        self._disk_gib = await ask("inventory", self.storage.prepare)
        seen = await ask("list_servers", self.survey)
        data = await ask("identify", lambda connection: self.storage.read_file(connection, FILE))
        self._judge(found, data, len(seen))
        if (left := read_identity(data or b"")) is None or left.cloud != found.cloud:
            mine = write_identity(found)
            await ask("identify", lambda connection: self.storage.write_file(connection, FILE, mine))
            data = await ask("identify", lambda connection: self.storage.read_file(connection, FILE))
        self._judge(found, data, len(seen))  # once more: another host or cloud may have come meanwhile
        self.facts, self._version, self.quarantined = facts, version, False
        before = self.state
        self.known = {
            each.domain.uuid: Known(each.key, each.power, tuple(card.network for card in each.domain.interfaces))
            for each in seen
        }
        self.state, self.reason, self._heard_at = HostState.UP, "", clock.now()
        self._tell(EventKind.LOST if before is HostState.UP else EventKind.HOST_UP)

    def _judge(self, found: Identity, data: bytes | None = None, copies: int = 0) -> None:
        """Raises: _Quarantined if the host is not what it was."""
        why = why_quarantined(
            found, data=data, expected=self.uuid, twin=self._twin_of(self, found.uuid), copies=copies
        )  # fmt: skip
        if why:
            raise _Quarantined(why, host=self.uuid)

    def _inventory(self, connection: Connection) -> tuple[HostFacts, int, int, str]:
        text = connection.getCapabilities()
        features: tuple[str, ...] = ()
        if cpu := read_cpu(text):
            with contextlib.suppress(self._library.libvirtError):
                flag = self._library.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
                features = read_features(connection.baselineCPU([cpu], flag))
        return (
            read_capabilities(text, features), connection.getVersion(), connection.getLibVersion(),
            connection.getHostname(),
        )  # fmt: skip

    async def _watch(self) -> None:
        """Return when a connection has ended, or nobody answers on the other."""
        pulse = self._pulse
        while not self._broken.is_set():
            try:
                await self._pulses.call(
                    lambda: pulse.use(lambda connection: connection.getLibVersion()), self.patience.silent
                )
                self._heard_at = clock.now()
            except (NoAnswer, NotStarted) as error:
                self.reason = f"its daemon gives no sign of life: {error}"
                return
            except self._library.libvirtError as error:
                self.reason = f"its connection broke: {error}"
                self._end()
                return
            with contextlib.suppress(TimeoutError):
                async with aio.timeout(self.patience.pulse):
                    await self._broken.wait()

    def _break(self, number: int, reason: int) -> None:
        if number == self._round:
            words = ("an error", "its end", "keepalives without an answer", "the client")
            self.reason = f"its connection ended by {words[reason] if reason < len(words) else reason}"
            self._end()
            self._broken.set()

    def _end(self) -> None:
        """A connection ended. Where there were signs of life just before, the daemon did; else it is silence's end."""
        if clock.now() - self._heard_at <= 2.0 * self.patience.pulse:
            self._ended_at = clock.now()

    def _drop(self) -> None:
        """Let all connections go, without waiting for a host that does not answer."""
        self._ready.clear()
        self._round += 1
        lines = list(self.lines)
        self.lines.clear()
        for line in lines:
            line.end()
        self._free.clear()
        self._discard(self._lanes, lines)

    # ---------------------------------------------------------------------------------------------------- consoles

    async def open_line(self, line: SerialLine, uuid: str) -> None:
        """Have a serial line take over that of a domain. Raises: as ``call``."""
        await self._reach()
        opened = partial(line.open, uuid=uuid)
        await self._through(self._listeners.call, "open_console", self._line_lane, opened, line.key, self.patience.call)

    async def on_lines(self, fn: Callable[[], T]) -> T:
        """Something with a serial line that waits for nobody, in a thread that others do not keep busy.

        Raises: HostDown if it gave no answer all the same.
        """
        lane = self._line_lane
        try:
            return await self._listeners.call(lambda: lane.hold(fn), self.patience.call)
        except (NoAnswer, NotStarted) as error:
            raise HostDown(f"the consoles of host {self.name} do not answer: {error}", host=self.uuid) from error

    async def let_go(self, line: SerialLine) -> None:
        """Give the stream of a line back, if its connection did not end with it. Raises: HostDown."""
        line.give_up()
        if line in self.lines:
            del self.lines[line]
            await self.on_lines(line.release)

    # ----------------------------------------------------------------------------------------------------- domains

    def survey(self, connection: Connection) -> list[Seen]:
        """Every copy on the host, by uuid and then generation. To be called in a thread."""
        found = [each for each in map(self.look, connection.listAllDomains(0)) if each is not None]
        return sorted(found, key=lambda seen: (seen.key.uuid, seen.key.generation))

    def look(self, domain: Any) -> Seen | None:
        """A domain of libvirt's as a copy; None if it is not ours, or has just gone. To be called in a thread.

        One whose stamp somebody changed so that it cannot be read is nobody's, and the others are seen all the same.
        One that names no cloud is of a time when copies did not: on a host of ours it is ours, and says so from the
        next change on.
        """
        try:
            read = read_domain(domain.XMLDesc(0))
            if read is None or read.stamp.cloud not in ("", self.spec.cloud):
                return None
            read = replace(read, stamp=replace(read.stamp, cloud=self.spec.cloud))
            state, reason = domain.state(0)
            saved = bool(domain.hasManagedSaveImage(0))
            arriving = is_arriving(state, reason, persistent=bool(domain.isPersistent()))
        except self._library.libvirtError as error:
            if error.get_error_code() == Code.NO_DOMAIN:
                return None
            raise
        except BackendFailed as error:
            _LOG.warning("host %s: %s", self.name, error.message)
            return None
        return Seen(read, power_of(state, reason, saved=saved, finished=read.stamp.finished), arriving)

    def expect(self, domain: Domain) -> None:
        """From now on events of this domain are those of its copy. To be said before it is defined."""
        power = PowerState.SHUTDOWN
        if (before := self.known.get(domain.uuid)) is not None:
            power = before.power
        networks = tuple(card.network for card in domain.interfaces)
        self.known[domain.uuid] = Known(domain.stamp.key, power, networks)

    def vacate(self, domain: Domain) -> None:
        """A domain is going, or gone: its networks are no longer its own. That it went is still to be heard."""
        if (known := self.known.get(domain.uuid)) is not None:
            known.networks = ()

    def forget(self, domain: Domain) -> None:
        """Events of this domain mean nothing any more."""
        self.known.pop(domain.uuid, None)

    def started(self, uuid: str) -> Seconds | None:
        """When a domain was started, on the loop's clock; None if that was before we looked."""
        known = self.known.get(uuid)
        return None if known is None else known.since

    def _heard(self, number: int, uuid: str, event: int, detail: int) -> None:
        known = self.known.get(uuid)
        if number != self._round or known is None:
            return
        kind, after = kind_of(event, detail, known.power)
        if after is not None:
            known.power = after
        if kind in (EventKind.STARTED, EventKind.RESUMED, EventKind.MIGRATED):
            known.since = clock.now()
        if kind is EventKind.REMOVED:
            del self.known[uuid]
        if kind is not None:
            self._tell(kind, known.key)

    def retire(self) -> None:
        """It is not ours to drive any more, whatever it does."""
        self.reason = "it was removed from the hosts of this cloud"
        self._down()
        self.state = HostState.DOWN

    def fenced(self) -> None:
        """Nothing runs on it any more, until it is connected again."""
        self._down()
        self.state, self.reason = HostState.FENCED, "it was fenced"
        self.known.clear()


def kept_aside(domain: Domain, *, uuid: str, name: str, kept: bool, ran: bool) -> Domain:
    """The domain under another uuid and name, as a kept copy or an ordinary one again."""
    return replace(domain, uuid=uuid, name=name, stamp=replace(domain.stamp, kept=kept, ran=ran))
