"""A driver around another that takes the time of its operations. Nothing else about them changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sundog.backends.contract import (
    Capabilities,
    ComputeDriver,
    ConsoleStream,
    Diagnostics,
    EventStream,
    HostRecord,
    ImageReference,
    ImageSink,
    MigrationProgress,
    PortSpec,
    RebootKind,
    ServerCopy,
    ServerKey,
    ServerSpec,
    SnapshotRecord,
)
from sundog.backends.durations import FETCH, Duration, Outcome
from sundog.errors import BackendFailed, NotSupported
from sundog.runtime import clock
from sundog.units import GiB, MiB, Seconds

T = TypeVar("T")

# Sizes of a server's copies that are remembered: while it moves it has two.
_COPIES: Final = 2


@dataclass(frozen=True, slots=True)
class _Size:
    vcpus: int
    memory_mib: MiB
    disk_gib: GiB


@dataclass(slots=True, eq=False)
class _Running:
    """An operation under way. ``fetched``: whether the image that it needs was brought to its host meanwhile."""

    hosts: tuple[str, ...]
    image: ImageReference | None
    beside: int = 0
    elsewhere: int = 0
    fetched: bool = False

    def meets(self, other: _Running) -> None:
        """Both are under way at one time."""
        near = any(host in other.hosts for host in self.hosts)
        for each in (self, other):
            each.beside += near
            each.elsewhere += not near


class Stopwatch:
    """Takes times and hands them to ``sink``. ``hears_fetches``: whether somebody calls ``fetched``."""

    def __init__(self, sink: Callable[[Duration], None], *, hears_fetches: bool = False) -> None:
        self._sink = sink
        self._hears_fetches = hears_fetches
        self._running: dict[_Running, None] = {}
        self._sizes: dict[str, dict[int, _Size]] = {}

    @contextmanager
    def time(
        self, operation: str, *hosts: str, server: ServerKey | None = None, image: ImageReference | None = None,
        **conditions: Any,
    ) -> Iterator[None]:  # fmt: skip
        """Take the time of the block, an operation on ``hosts``; what it raises passes through."""
        mine = _Running(tuple(dict.fromkeys(hosts)), image)
        for other in self._running:
            mine.meets(other)
        self._running[mine] = None
        size = self._sizes.get(server.uuid, {}).get(server.generation) if server is not None else None
        began, begin = clock.utcnow(), clock.now()
        outcome = Outcome.UNKNOWN
        try:
            yield
            outcome = Outcome.DONE
        except (BackendFailed, NotSupported):
            outcome = Outcome.FAILED
            raise
        finally:
            seconds = clock.now() - begin
            del self._running[mine]
            there = not mine.fetched if self._hears_fetches and image is not None and outcome is Outcome.DONE else None
            told = Duration(
                operation,
                seconds,
                outcome,
                hosts[0],
                began,
                target=hosts[1] if len(hosts) > 1 else "",
                vcpus=size.vcpus if size is not None else None,
                memory_mib=size.memory_mib if size is not None else None,
                disk_gib=size.disk_gib if size is not None else None,
                image_bytes=image.size_bytes if image is not None else None,
                image_there=there,
                beside=mine.beside,
                elsewhere=mine.elsewhere,
                **conditions,
            )
            self._sink(told)

    def fetched(self, host: str, image: ImageReference, seconds: Seconds) -> None:
        """An image was brought to a host, just now, within ``seconds``. Who waited for it is none that was beside."""
        others = [each for each in self._running if host not in each.hosts or each.image != image]
        for each in self._running:
            each.fetched |= host in each.hosts and each.image == image
        near = sum(host in each.hosts for each in others)
        began = clock.utcnow() - timedelta(seconds=seconds)
        self._sink(
            Duration(
                FETCH, seconds, Outcome.DONE, host, began,
                image_bytes=image.size_bytes, beside=near, elsewhere=len(others) - near,
            )
        )  # fmt: skip

    def note(self, duration: Duration) -> None:
        """Hand on what somebody else measured."""
        self._sink(duration)

    # -- how large servers are

    def learn(self, spec: ServerSpec) -> None:
        """Remember how large a copy is; of the server's earlier ones only the last."""
        self._keep(spec.key, _Size(spec.vcpus, float(spec.memory_mib), float(spec.root_gib + spec.ephemeral_gib)))

    def renumber(self, server: ServerKey, generation: int) -> None:
        """The copy goes on as another generation."""
        size = self._sizes.get(server.uuid, {}).get(server.generation)
        if size is not None:
            self._keep(ServerKey(server.uuid, generation), size)

    def forget(self, server: ServerKey) -> None:
        """The copy is gone."""
        copies = self._sizes.get(server.uuid, {})
        copies.pop(server.generation, None)
        if not copies:
            self._sizes.pop(server.uuid, None)

    def _keep(self, server: ServerKey, size: _Size) -> None:
        copies = self._sizes.setdefault(server.uuid, {})
        copies[server.generation] = size
        for generation in sorted(copies)[:-_COPIES]:
            del copies[generation]

    @property
    def remembered(self) -> int:
        """Of how many copies the size is known."""
        return sum(len(copies) for copies in self._sizes.values())


class TimedDriver:
    """Does what ``driver`` does, and lets ``stopwatch`` take the time of what changes something: a ``ComputeDriver``.

    What only looks is not timed, but ``diagnostics``: it is asked all the time, and would drown the rest.
    """

    def __init__(self, driver: ComputeDriver, stopwatch: Stopwatch) -> None:
        self._driver, self._watch = driver, stopwatch

    async def _timed(self, operation: str, host: str, server: ServerKey, asked: Awaitable[T], **conditions: Any) -> T:
        with self._watch.time(operation, host, server=server, **conditions):
            return await asked

    # -- what only looks

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._driver.capabilities

    def events(self) -> EventStream:
        """What happens on the hosts from now on."""
        return self._driver.events()

    async def hosts(self, *, deadline: Seconds) -> Sequence[HostRecord]:
        """Every host that it knows."""
        return await self._driver.hosts(deadline=deadline)

    async def list_servers(self, host: str, *, deadline: Seconds) -> Sequence[ServerCopy]:
        """Every copy on the host."""
        return await self._driver.list_servers(host, deadline=deadline)

    async def live_migration_progress(
        self, host: str, server: ServerKey, *, deadline: Seconds
    ) -> MigrationProgress | None:
        """How far a live migration is."""
        return await self._driver.live_migration_progress(host, server, deadline=deadline)

    async def console_log(
        self, host: str, server: ServerKey, *, deadline: Seconds, last_bytes: int = 100 * 1024
    ) -> bytes:
        """What the guest wrote."""
        return await self._driver.console_log(host, server, deadline=deadline, last_bytes=last_bytes)

    async def open_console(self, host: str, server: ServerKey, kind: str, *, deadline: Seconds) -> ConsoleStream:
        """A console of the copy."""
        return await self._driver.open_console(host, server, kind, deadline=deadline)

    async def diagnostics(self, host: str, server: ServerKey, *, deadline: Seconds) -> Diagnostics:
        """How the copy is doing."""
        asked = self._driver.diagnostics(host, server, deadline=deadline)
        return await self._timed("diagnostics", host, server, asked)

    # -- the life of a copy

    async def fence(self, host: str, *, deadline: Seconds) -> None:
        """Make sure that nothing runs on the host."""
        with self._watch.time("fence", host):
            await self._driver.fence(host, deadline=deadline)

    async def spawn(
        self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True, reuse_disk: bool = False
    ) -> None:
        """Make a copy."""
        self._watch.learn(spec)
        image = None if reuse_disk else spec.image
        try:
            with self._watch.time("spawn", host, server=spec.key, image=image, starts=start):
                await self._driver.spawn(host, spec, deadline=deadline, start=start, reuse_disk=reuse_disk)
        except BackendFailed:
            self._watch.forget(spec.key)
            raise

    async def destroy(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove a copy."""
        await self._timed("destroy", host, server, self._driver.destroy(host, server, deadline=deadline))
        self._watch.forget(server)

    async def rebuild(self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True) -> None:
        """Replace the older copy."""
        self._watch.learn(spec)
        with self._watch.time("rebuild", host, server=spec.key, image=spec.image, starts=start):
            await self._driver.rebuild(host, spec, deadline=deadline, start=start)

    # -- power

    async def power_on(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Start a copy."""
        await self._timed("power_on", host, server, self._driver.power_on(host, server, deadline=deadline))

    async def power_off(self, host: str, server: ServerKey, *, deadline: Seconds, grace: Seconds = 0) -> None:
        """Stop a copy."""
        asked = self._driver.power_off(host, server, deadline=deadline, grace=grace)
        await self._timed("power_off", host, server, asked, grace=grace)

    async def reboot(self, host: str, server: ServerKey, kind: RebootKind, *, deadline: Seconds) -> None:
        """Restart a copy."""
        asked = self._driver.reboot(host, server, kind, deadline=deadline)
        await self._timed("reboot", host, server, asked, soft=kind == "SOFT")

    async def pause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Stop the vCPUs."""
        await self._timed("pause", host, server, self._driver.pause(host, server, deadline=deadline))

    async def unpause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Let the vCPUs go on."""
        await self._timed("unpause", host, server, self._driver.unpause(host, server, deadline=deadline))

    async def suspend(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Write the memory to disk."""
        await self._timed("suspend", host, server, self._driver.suspend(host, server, deadline=deadline))

    async def resume(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Read the memory from disk."""
        await self._timed("resume", host, server, self._driver.resume(host, server, deadline=deadline))

    async def rescue(self, host: str, server: ServerKey, image: ImageReference, *, deadline: Seconds) -> None:
        """Restart from another image."""
        asked = self._driver.rescue(host, server, image, deadline=deadline)
        await self._timed("rescue", host, server, asked, image=image)

    async def unrescue(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Restart from its own disk."""
        await self._timed("unrescue", host, server, self._driver.unrescue(host, server, deadline=deadline))

    # -- moving

    async def resize_begin(
        self, host: str, server: ServerKey, target: str, spec: ServerSpec, *, deadline: Seconds
    ) -> None:
        """Keep the copy, and make another of its disk."""
        with self._watch.time("resize_begin", host, target, server=server):
            await self._driver.resize_begin(host, server, target, spec, deadline=deadline)
        self._watch.learn(spec)

    async def resize_finish(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Grow the disk, and start."""
        asked = self._driver.resize_finish(host, server, deadline=deadline, start=start)
        await self._timed("resize_finish", host, server, asked, starts=start)

    async def resize_confirm(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove the kept copy."""
        await self._timed("resize_confirm", host, server, self._driver.resize_confirm(host, server, deadline=deadline))
        self._watch.forget(server)

    async def resize_revert(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Make the kept copy an ordinary one again."""
        asked = self._driver.resize_revert(host, server, deadline=deadline, start=start)
        await self._timed("resize_revert", host, server, asked, starts=start)

    async def live_migrate(
        self, host: str, server: ServerKey, target: str, *, generation: int, deadline: Seconds
    ) -> None:
        """Move the running copy."""
        with self._watch.time("live_migrate", host, target, server=server):
            await self._driver.live_migrate(host, server, target, generation=generation, deadline=deadline)
        self._watch.renumber(server, generation)
        self._watch.forget(server)

    async def live_migration_abort(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Break a live migration off."""
        asked = self._driver.live_migration_abort(host, server, deadline=deadline)
        await self._timed("live_migration_abort", host, server, asked)

    async def live_migration_force(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Let a live migration come to its end."""
        asked = self._driver.live_migration_force(host, server, deadline=deadline)
        await self._timed("live_migration_force", host, server, asked)

    # -- the rest

    async def snapshot(self, host: str, server: ServerKey, sink: ImageSink, *, deadline: Seconds) -> SnapshotRecord:
        """Write the copy's disk to ``sink``."""
        asked = self._driver.snapshot(host, server, sink, deadline=deadline)
        return await self._timed("snapshot", host, server, asked)

    async def plug(self, host: str, server: ServerKey, port: PortSpec, *, deadline: Seconds) -> None:
        """Give the copy a port."""
        await self._timed("plug", host, server, self._driver.plug(host, server, port, deadline=deadline))

    async def unplug(self, host: str, server: ServerKey, port: str, *, deadline: Seconds) -> None:
        """Take a port from the copy."""
        await self._timed("unplug", host, server, self._driver.unplug(host, server, port, deadline=deadline))

    async def set_password(self, host: str, server: ServerKey, password: str, *, deadline: Seconds) -> None:
        """Set the password of the guest's administrator."""
        asked = self._driver.set_password(host, server, password, deadline=deadline)
        await self._timed("set_password", host, server, asked)


if TYPE_CHECKING:

    def _keeps_the_contract(driver: TimedDriver) -> ComputeDriver:
        return driver
