"""Moving copies: resize and cold migration, live migration, and a disk into an image."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from sundog.backends.asking import check_successor
from sundog.backends.contract import (
    ImageSink,
    MigrationProgress,
    PowerState,
    ServerKey,
    ServerSpec,
    SnapshotRecord,
)
from sundog.backends.libvirt.domain_xml import next_generation, restamped, target_names, with_screen_at, write_backup
from sundog.backends.libvirt.keeper import LONG_S, LOOK_S, Keeper, cannot, undo_on_failure
from sundog.backends.libvirt.link import HostSpec, Link, Seen, kept_aside
from sundog.backends.libvirt.native import Connection
from sundog.backends.libvirt.plan import plan, stem, volume_name
from sundog.backends.libvirt.records import Disk, Domain, domain_name, domain_uuid, finished
from sundog.backends.libvirt.states import LIVE, PAUSED_BY_USER, DomainState
from sundog.backends.libvirt.storage import copy_volume
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import aio, clock
from sundog.units import Seconds

_GIB: Final = 2**30


class Mover(Keeper):
    """The operations that move a copy from host to host, or its disk into an image."""

    async def resize_begin(
        self, host: str, server: ServerKey, target: str, spec: ServerSpec, *, deadline: Seconds
    ) -> None:
        """Stop the copy, keep it, and bring its disks to the target."""
        source, goal = self._up(host), self._up(target)
        check_successor(server, spec.key)

        async def work() -> None:
            old = await self._need(source, server)
            there = await self._copies(goal, server.uuid)
            new = next((seen for seen in there if seen.key == spec.key), None)
            if new is not None and new.domain.stamp.finished:
                if old.domain.stamp.kept:
                    return
                raise _there(goal, spec.key)
            self._alone(goal, there, spec.key, but=server if goal is source else None)
            ran = old.domain.stamp.ran if old.domain.stamp.kept else old.power in LIVE
            async with undo_on_failure() as undo:
                undo.push_async_callback(self._take_back, source, server, start=ran)
                if not old.domain.stamp.kept:
                    if old.power is PowerState.SUSPENDED:
                        raise cannot(source, old, "be moved; resume it first")
                    if old.power in LIVE:
                        await self._shut_down(source, old, self._settings.soft_s)
                    await self._set_aside(source, old.domain, ran=ran)
                domain = _moved(old.domain, spec, goal.spec)
                undo.push_async_callback(self._remove, goal, domain)
                await self._define(goal, domain)
                await self._bring_disks(source, old.domain, goal, domain)
                if spec.root_gib and domain.disk("root") is not None:
                    await goal.storage.grow(volume_name(spec.key, "root"), spec.root_gib * _GIB)
                await self._have_networks(goal, domain)
                await self._define(goal, finished(domain))

        await self._operations.ask("resize_begin", deadline, work, (source, server), (goal, spec.key))

    async def _set_aside(self, link: Link, domain: Domain, *, ran: bool) -> None:
        """Let a stopped copy be a kept one. Whenever this is cut short, the copy is there at least once."""
        key = domain.stamp.key
        kept = kept_aside(
            domain, uuid=domain_uuid(key, kept=True), name=domain_name(key, kept=True), kept=True, ran=ran
        )
        await self._define(link, kept)
        link.forget(domain)
        await self._undefine(link, domain)

    async def _take_back(self, link: Link, key: ServerKey, *, start: bool) -> None:
        """Let a kept copy be an ordinary one again, and start it if it is to run."""
        copies = [seen for seen in await self._copies(link, key.uuid) if seen.key == key]
        for seen in copies:
            if seen.domain.stamp.kept:
                back = kept_aside(seen.domain, uuid=domain_uuid(key), name=domain_name(key), kept=False, ran=False)
                if len(copies) == 1:
                    await self._define(link, back)
                link.forget(seen.domain)
                await self._undefine(link, seen.domain)
        if start and copies:
            seen = await self._need(link, key)
            if seen.power not in LIVE:
                await self._start(link, seen.domain)

    async def _bring_disks(self, source: Link, old: Domain, goal: Link, new: Domain) -> None:
        """The files of every disk that both have, and the base below the first."""
        for disk in new.disks:
            before = old.disk(disk.role)
            if before is None:
                continue
            if disk.backing and goal is not source:
                await self._images.from_host(source, goal, PurePosixPath(disk.backing).name)
            name, new_name = PurePosixPath(before.path).name, PurePosixPath(disk.path).name
            scratch = self._images.scratch(f"{goal.name}-{new_name}")
            try:
                await copy_volume(source.storage, name, goal.storage, new_name, disk.format, scratch)
            finally:
                scratch.unlink(missing_ok=True)

    async def resize_finish(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Start the new copy, whose disk was made large enough when it was brought."""

        async def act(link: Link, seen: Seen) -> None:
            if start and seen.power not in LIVE:
                await self._start(link, seen.domain)

        await self._on("resize_finish", host, server, deadline, act)

    async def resize_confirm(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove the kept copy."""
        link = self._up(host)

        async def work() -> None:
            for seen in await self._copies(link, server.uuid):
                if seen.key == server:
                    if not seen.domain.stamp.kept:
                        raise cannot(link, seen, "be confirmed away: it is not kept for a revert")
                    await self._remove(link, seen.domain)

        await self._operations.ask("resize_confirm", deadline, work, (link, server))

    async def resize_revert(self, host: str, server: ServerKey, *, deadline: Seconds, start: bool = True) -> None:
        """Make the kept copy an ordinary one again."""
        link = self._up(host)

        async def work() -> None:
            await self._need(link, server)
            self._alone(link, await self._copies(link, server.uuid), server)
            await self._take_back(link, server, start=start)

        await self._operations.ask("resize_revert", deadline, work, (link, server))

    # -- live migration

    async def live_migrate(
        self, host: str, server: ServerKey, target: str, *, generation: int, deadline: Seconds
    ) -> None:
        """Let libvirt move the guest, its memory and its disks, with the new generation in its stamp."""
        source, goal = self._up(host), self._up(target)
        key = ServerKey(server.uuid, generation)
        check_successor(server, key)
        if source is goal:
            raise BackendFailed(f"server {server} is on host {source.name} already; choose another", host=host)

        async def work() -> None:
            there = await self._landed(goal, server.uuid)
            arrived = next((seen for seen in there if seen.key == key), None)
            here = [seen for seen in await self._copies(source, server.uuid) if seen.key == server]
            if arrived is not None and arrived.power in LIVE:
                if here and here[0].power is PowerState.RUNNING:
                    raise _there(goal, key)
                for seen in here:  # an earlier try was cut short after the guest had gone over
                    await self._remove(source, seen.domain)
                return
            if arrived is not None and not here:
                raise cannot(goal, arrived, "be migrated live: it has arrived, and stopped since")
            seen = await self._usable(source, server)
            if seen.power not in LIVE:
                raise cannot(source, seen, "be migrated live; a stopped server is moved by a resize")
            self._alone(goal, there, key)
            await self._migrate(source, goal, seen.domain, next_generation(seen.domain, generation))

        await self._operations.ask("live_migrate", deadline, work, (source, server), (goal, key))

    async def _landed(self, goal: Link, server: str) -> list[Seen]:
        """The copies of a server on a host, once none of them is on its way: whoever began to move it is no more."""
        due = clock.now() + goal.patience.call
        while True:
            there = await self._copies(goal, server)
            if clock.now() >= due or not any(seen.arriving for seen in there):
                return there
            await aio.sleep(LOOK_S)

    async def _migrate(self, source: Link, goal: Link, domain: Domain, arriving: Domain) -> None:
        key = domain.stamp.key
        async with undo_on_failure() as undo:
            undo.push_async_callback(self._clear, goal, arriving)
            await self._prepare_disks(source, goal, domain)
            await self._have_networks(goal, arriving)
            goal.expect(arriving)
            task = asyncio.ensure_future(self._move(source, goal, domain, arriving))
            moving = (source.number, key)
            self._moving[moving] = lambda: self._abort_job(source, domain)
            try:
                await asyncio.shield(task)
            except aio.CancelledError:
                with contextlib.suppress(BackendFailed, OutcomeUnknown):
                    await aio.shield(self._abort_job(source, domain))
                await aio.shield(_settled(task))
                raise
            finally:
                del self._moving[moving]
        await self._remove(source, domain)

    async def _prepare_disks(self, source: Link, goal: Link, domain: Domain) -> None:
        """What a guest's disks are copied into: overlays of the same base and size, and whatever nobody writes to."""
        for disk in domain.disks:
            name = PurePosixPath(disk.path).name
            if disk.role == "config":
                scratch = self._images.scratch(f"{goal.name}-{name}")
                try:
                    await copy_volume(source.storage, name, goal.storage, name, disk.format, scratch)
                finally:
                    scratch.unlink(missing_ok=True)
                continue
            base = PurePosixPath(disk.backing).name
            if base:
                await self._images.from_host(source, goal, base)
            size = await source.storage.capacity(name)
            if size is None:
                raise BackendFailed(f"host {source.name} misses the volume {name}", host=source.uuid)
            await goal.storage.create(name, disk.format, size, backing=base)

    async def _move(self, source: Link, goal: Link, domain: Domain, arriving: Domain) -> None:
        """The migration itself, steered from here: hosts need not be let in to each other's libvirt."""
        native = self._native
        flags = (
            native.VIR_MIGRATE_LIVE
            | native.VIR_MIGRATE_PERSIST_DEST
            | native.VIR_MIGRATE_NON_SHARED_INC
            | native.VIR_MIGRATE_ABORT_ON_ERROR
        )

        def move(connection: Connection) -> None:
            there = connection.lookupByUUIDString(domain.uuid)
            live = there.XMLDesc(native.VIR_DOMAIN_XML_MIGRATABLE | native.VIR_DOMAIN_XML_SECURE)
            kept = there.XMLDesc(native.VIR_DOMAIN_XML_INACTIVE | native.VIR_DOMAIN_XML_SECURE)
            parameters = {
                native.VIR_MIGRATE_PARAM_URI: f"tcp://{goal.spec.address}",
                native.VIR_MIGRATE_PARAM_DEST_XML: _listening(restamped(live, arriving), goal),
                native.VIR_MIGRATE_PARAM_PERSIST_XML: _listening(restamped(kept, arriving), goal),
                native.VIR_MIGRATE_PARAM_LISTEN_ADDRESS: goal.spec.address,
            }
            if lane.use(lambda goes_to: there.migrate3(goes_to, parameters, flags)) is None:
                raise BackendFailed(f"server {domain.stamp.key} did not arrive on host {goal.name}", host=goal.uuid)

        async with goal.lane() as lane:
            await goal.call("live_migrate", lambda _connection: None, lane=lane)  # it is there
            await source.call("live_migrate", move, server=domain.stamp.key, limit=LONG_S)

    async def _clear(self, link: Link, arriving: Domain) -> None:
        """Leave nothing on the host that a guest did not reach in the end."""
        if any(seen.key == arriving.stamp.key for seen in await self._copies(link, arriving.stamp.server)):
            return  # it did: what failed came after
        await self._delete_files(link, arriving, arriving.disks)
        await link.storage.delete_logs(PurePosixPath(arriving.console_log).name)
        await self._leave_networks(link, arriving)
        link.forget(arriving)

    async def _abort_job(self, link: Link, domain: Domain) -> None:
        await link.call("abort", lambda connection: connection.lookupByUUIDString(domain.uuid).abortJob())

    async def _abort(self, link: Link, server: ServerKey) -> None:
        """Break a migration off, if there is one."""
        abort = self._moving.get((link.number, server))
        if abort is not None:
            with contextlib.suppress(BackendFailed):
                await abort()

    async def live_migration_progress(
        self, host: str, server: ServerKey, *, deadline: Seconds
    ) -> MigrationProgress | None:
        """How far the copying is, as QEMU says."""
        link = self._up(host)
        none = self._native.VIR_DOMAIN_JOB_NONE

        async def work() -> MigrationProgress | None:
            if (link.number, server) not in self._moving:
                return None
            said = await link.call(
                "live_migration_progress",
                lambda connection: connection.lookupByUUIDString(domain_uuid(server)).jobStats(0),
                server=server,
            )
            if said.get("type", none) == none:
                return None
            sizes = (int(said.get(f"memory_{each}", 0)) for each in ("total", "processed", "remaining"))
            return MigrationProgress(said.get("time_elapsed", 0) / 1000.0, *sizes)

        return await self._operations.ask("live_migration_progress", deadline, work, turn=False)

    async def live_migration_abort(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Break the copying off."""
        link = self._up(host)

        async def work() -> None:
            abort = self._moving.get((link.number, server))
            if abort is None:
                raise BackendFailed(
                    f"server {server} on host {link.name} is not being migrated; there is nothing to abort",
                    host=host, server=server,
                )  # fmt: skip
            await abort()

        await self._operations.ask("live_migration_abort", deadline, work, turn=False)

    async def live_migration_force(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Pause the guest, so that what is left to be copied grows no more; it goes on where it arrives."""
        link = self._up(host)

        async def work() -> None:
            moving = (link.number, server) in self._moving
            if not moving or not await link.call("live_migration_force", self._stand_still(server), server=server):
                raise BackendFailed(
                    f"server {server} on host {link.name} is not being migrated; there is nothing to force",
                    host=host, server=server,
                )  # fmt: skip

        await self._operations.ask("live_migration_force", deadline, work, turn=False)

    def _stand_still(self, server: ServerKey) -> Callable[[Connection], bool]:
        """Pause a guest that is being moved; False if it is not. libvirt lets it go on at the end, either way."""
        native = self._native

        def pause(connection: Connection) -> bool:
            domain = connection.lookupByUUIDString(domain_uuid(server))
            said = domain.jobStats(0)
            moves = said.get("operation") == native.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
            if said.get("type", native.VIR_DOMAIN_JOB_NONE) == native.VIR_DOMAIN_JOB_NONE or not moves:
                return False
            if domain.state(0)[0] == DomainState.PAUSED:
                return True
            domain.suspend()
            state, reason = domain.state(0)
            if state == DomainState.PAUSED and reason == PAUSED_BY_USER:  # the migration had just failed
                domain.resume()
                return False
            return True

        return pause

    # -- disks and images

    async def snapshot(self, host: str, server: ServerKey, sink: ImageSink, *, deadline: Seconds) -> SnapshotRecord:
        """Copy the disk on its host, by QEMU while the guest runs, and read the copy."""

        async def act(link: Link, seen: Seen) -> SnapshotRecord:
            root = seen.domain.disk("root")
            if root is None:
                raise cannot(link, seen, "be made an image: it has no disk of its own")
            source, name = PurePosixPath(root.path).name, f"{stem(server)}snapshot.qcow2"
            size = await link.storage.capacity(source)
            if size is None:
                raise BackendFailed(f"host {link.name} misses the volume {source}", host=host)
            try:
                if seen.power in LIVE:
                    await link.storage.create(name, "qcow2", size)
                    await self._back_up(link, seen, root, link.storage.path(name))
                else:
                    await link.storage.flatten(source, name, size, limit=LONG_S)
                written = 0
                async with contextlib.aclosing(link.storage.download(name)) as parts:
                    async for data in parts:
                        await _write(sink, data, server)
                        written += len(data)
            finally:
                await aio.shield(link.storage.delete(name))
            return SnapshotRecord("qcow2", written, size)

        return await self._on("snapshot", host, server, deadline, act)

    async def _back_up(self, link: Link, seen: Seen, disk: Disk, path: str) -> None:
        """Let QEMU write what the disk holds at one instant into a file, while its guest goes on."""
        native = self._native
        targets = target_names(seen.domain)
        text = write_backup(targets[seen.domain.disks.index(disk)], path, targets)
        flag = native.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL
        await self._do(link, seen, "snapshot", lambda domain: domain.backupBegin(text, None, flag))
        try:
            while True:
                said = await self._do(link, seen, "snapshot", lambda domain: domain.jobStats(0))
                if said.get("type", native.VIR_DOMAIN_JOB_NONE) == native.VIR_DOMAIN_JOB_NONE:
                    break
                await aio.sleep(LOOK_S)
        except aio.CancelledError:
            with contextlib.suppress(BackendFailed, OutcomeUnknown):
                await aio.shield(self._abort_job(link, seen.domain))
            raise
        flags = native.VIR_DOMAIN_JOB_STATS_COMPLETED
        done = await self._do(link, seen, "snapshot", lambda domain: domain.jobStats(flags))
        if not done.get("success", True):
            raise BackendFailed(
                f"the disk of server {seen.key} on host {link.name} could not be copied: {done.get('errmsg', '')}",
                host=link.uuid, server=seen.key,
            )  # fmt: skip


async def _write(sink: ImageSink, data: bytes, server: ServerKey) -> None:
    try:
        await sink.write(data)
    except aio.CancelledError:
        raise
    except Exception as error:
        raise BackendFailed(f"the snapshot of server {server} could not be written: {error}", server=server) from error


async def _settled(task: asyncio.Future[None]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


def _moved(old: Domain, spec: ServerSpec, host: HostSpec) -> Domain:
    """The domain of a copy that is made from the disks of another: its size is new, what is on its disks is not."""
    fresh = plan(spec, host, root=old.disk("root") is not None, config=old.disk("config") is not None)
    disks = []
    for disk in fresh.disks:
        before = old.disk(disk.role)
        disks.append(replace(disk, backing=before.backing, format=before.format) if before is not None else disk)
    return replace(fresh, disks=tuple(disks))


def _listening(text: str, goal: Link) -> str:
    """The XML of a domain whose screen is shown on the address of the host that it goes to."""
    return with_screen_at(text, goal.spec.address)


def _there(link: Link, key: ServerKey) -> BackendFailed:
    return BackendFailed(
        f"host {link.name} has server {key} already, and not from this move; raise the generation",
        host=link.uuid, server=key,
    )  # fmt: skip
