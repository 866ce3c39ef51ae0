"""``ComputeDriver`` on real hosts: what each operation does there.

A copy is made in an order that a power cut cannot confuse: first a domain with our stamp that says *unfinished*, then
its files, then the finished domain. It is removed in the opposite one. So what is on a host is always on its list.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sundog.backends.asking import check_deadline
from sundog.backends.contract import (
    Capabilities,
    ComputeDriver,
    ConsoleStream,
    Diagnostics,
    HostRecord,
    HostState,
    ImageReference,
    PortSpec,
    PowerState,
    RebootKind,
    ServerCopy,
    ServerKey,
    ServerSpec,
)
from sundog.backends.events import EventQueue
from sundog.backends.libvirt.config_drive import drive_files, make_drive
from sundog.backends.libvirt.consoles import Screen, SerialLine, connect_screen
from sundog.backends.libvirt.domain_xml import read_domain, read_screen, write_interface
from sundog.backends.libvirt.images import FORMATS, Base, Fetched, Images, ImageSource, base_name, check_image
from sundog.backends.libvirt.keeper import LONG_S, LOOK_S, Fencer, Settings, cannot, distinct, undo_on_failure
from sundog.backends.libvirt.link import HostSpec, Link, Seen
from sundog.backends.libvirt.moves import Mover
from sundog.backends.libvirt.native import library
from sundog.backends.libvirt.plan import blanks, interface, plan, volume_name
from sundog.backends.libvirt.records import Disk, Domain, Interface, finished
from sundog.backends.libvirt.states import LIVE
from sundog.errors import BackendFailed, NoSuchServer, NotSupported, PlainFailure
from sundog.runtime import aio, clock
from sundog.units import Seconds

T = TypeVar("T")

_GIB: Final = 2**30


CAPABILITIES: Final = Capabilities(
    name="libvirt",
    disk_formats=FORMATS,
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
    consoles=("serial", "novnc"),
    config_drive=True,
    diagnostics=True,
    fence=False,
)
"""What real hosts can do. ``fence`` besides, once a host has a command for it."""

_ORDINARY: Final = Settings()
# How long a guest's agent may take to answer, in seconds.
_AGENT_S: Final = 10
# Where a screen listens that is shown on every address of its host.
_ANY: Final = ("", "0.0.0.0", "::")  # noqa: S104 - nobody listens there


@asynccontextmanager
async def connected(
    hosts: Iterable[HostSpec], *, images: ImageSource, folder: Path, fencer: Fencer | None = None,
    settings: Settings = _ORDINARY, fetched: Fetched = lambda _host, _image, _seconds: None,
) -> AsyncIterator[LibvirtDriver]:  # fmt: skip
    """A driver of ``hosts`` for as long as the block. ``folder`` is where images are kept on this machine, and
    ``fetched`` is told of each that was brought to a host.

    Raises: InputError if two hosts have one name, address or uuid, or libvirt-python is not installed.
    """
    native, specs = library(), distinct(hosts)
    async with aio.background() as tasks:
        driver = LibvirtDriver(native, specs, Images(images, folder, fetched), tasks, fencer, settings)
        try:
            yield driver
        finally:
            driver.close()
            driver.disconnect()


class LibvirtDriver(Mover):
    """Drives real hosts: a ``ComputeDriver``. Made by ``connected``."""

    def close(self) -> None:
        """Let what is idle go. The hosts' tasks are the business of ``connected``."""
        self._images.close()

    def statistics(self) -> dict[str, int]:
        """What is under way, and how many threads there are."""
        threads = sum(link.statistics()["threads"] for link in self.links)
        return {**self._operations.statistics(), "threads": threads}

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. Hosts come and go, and with them the ways to fence one."""
        return replace(CAPABILITIES, fence=any(self._can_fence(link) for link in self.links))

    def _can_fence(self, link: Link) -> bool:
        return self._fencer is not None and self._fencer.fences(link.spec)

    def events(self) -> EventQueue:
        """What happens on the hosts from now on."""
        return self._events.stream()

    async def hosts(self, *, deadline: Seconds) -> Sequence[HostRecord]:
        """Every host whose uuid is known, in the order in which they were given."""
        check_deadline(deadline)
        return tuple(record for link in self.links if (record := link.record()) is not None)

    async def list_servers(self, host: str, *, deadline: Seconds) -> Sequence[ServerCopy]:
        """Every copy on the host, by uuid and then generation; with those that are being made there."""
        link = self._up(host)
        seen = await self._operations.ask(
            "list_servers", deadline, lambda: link.call("list_servers", link.survey), turn=False
        )
        busy = self._operations.busy(link)
        found: dict[ServerKey, ServerCopy] = {}
        for each in seen:
            stamp = each.domain.stamp
            if each.key not in found or stamp.kept:  # while a copy steps aside, it is there twice for a moment
                ports = tuple(card.port for card in each.domain.interfaces)
                found[each.key] = ServerCopy(
                    stamp.server, stamp.generation, each.power, stamp.kept, each.arriving or each.key in busy, ports
                )
        for key, making in busy.items():
            if making and key not in found:
                found[key] = ServerCopy(key.uuid, key.generation, PowerState.NOSTATE, busy=True)
        return tuple(sorted(found.values(), key=lambda copy: (copy.uuid, copy.generation)))

    async def fence(self, host: str, *, deadline: Seconds) -> None:
        """Have the host switched off."""
        link, fencer = self._link(host), self._fencer
        if fencer is None:
            raise NotSupported(f"nothing was given that can fence host {link.name}; see to it by hand", host=host)

        async def work() -> None:
            async with link.fencing:  # several may ask at once, and it is to be switched off once
                if link.state is not HostState.FENCED:
                    await fencer.fence(link.spec)
                    link.fenced()

        await self._operations.ask("fence", deadline, work, turn=False)

    # -------------------------------------------------------------------------------------------- the life of a copy

    async def spawn(
        self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True, reuse_disk: bool = False
    ) -> None:
        """Make a copy: its domain, its image, its files; then start it."""
        link = self._up(host)
        if reuse_disk:
            raise NotSupported("hosts do not see each other's disks; spawn from the image instead", host=host)

        async def work() -> None:
            copies = await self._copies(link, spec.uuid)
            mine = next((seen for seen in copies if seen.key == spec.key), None)
            self._alone(link, copies, spec.key)
            if mine is not None and mine.domain.stamp.finished:
                if start and mine.power in (PowerState.SHUTDOWN, PowerState.CRASHED):
                    await self._start(link, mine.domain)
                return
            async with undo_on_failure() as undo:
                domain = _plan(spec, link)
                undo.push_async_callback(self._remove, link, domain)
                with link.expecting():
                    await self._make(link, spec, domain)
                    if start:
                        await self._start(link, domain)

        await self._operations.ask("spawn", deadline, work, (link, spec.key))

    async def _make(self, link: Link, spec: ServerSpec, domain: Domain, *, old: tuple[Disk, ...] = ()) -> None:
        """A stopped copy. ``old`` are disks that go with what it replaces."""
        if spec.image is not None:
            check_image(spec.image)  # before anything is there
        await self._define(link, replace(domain, disks=domain.disks + old))
        if old:
            await self._stop(link, domain)
            await self._delete_files(link, domain, old)
        base = await self._images.on_host(link, spec.image) if spec.image is not None else None
        if base is not None:
            size = _root_bytes(spec, base)
            await link.storage.create(volume_name(spec.key, "root"), "qcow2", size, backing=base.volume)
        if domain.disk("config") is not None:
            drive, name = make_drive(drive_files(spec)), volume_name(spec.key, "config")
            await link.storage.create(name, "raw", len(drive))
            await link.storage.upload(name, io.BytesIO(drive), len(drive))
        for blank in blanks(spec):
            await link.storage.create(blank.volume, "qcow2", blank.size_bytes)
        await self._have_networks(link, domain)
        await self._define(link, finished(domain))

    async def destroy(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Remove a copy, and break off what happens to it."""
        link = self._up(host)

        async def cut() -> None:
            for seen in await self._copies(link, server.uuid):
                if seen.key == server and seen.power in LIVE:
                    await self._abort(link, server)
                    await self._stop(link, seen.domain)

        async def work() -> None:
            mine = [seen for seen in await self._copies(link, server.uuid) if seen.key == server]
            for seen in mine:
                await self._remove(link, seen.domain)
            if not mine:
                await self._remove_files(link, server)

        await self._operations.ask("destroy", deadline, work, (link, server), first=cut)

    async def rebuild(self, host: str, spec: ServerSpec, *, deadline: Seconds, start: bool = True) -> None:
        """Replace the older copy; it runs on until the image is there."""
        link = self._up(host)

        async def work() -> None:
            copies = await self._copies(link, spec.uuid)
            mine = next((seen for seen in copies if seen.key == spec.key), None)
            older = [seen for seen in copies if seen.key.generation < spec.generation]
            self._alone(link, copies, spec.key, but=older[0].key if older else None)
            if mine is None or not mine.domain.stamp.finished:
                before = older[0] if older else mine
                if before is None:
                    raise NoSuchServer(f"host {link.name} has no server {spec.uuid} to rebuild", host=host, there=())
                if mine is None:
                    await self._usable(link, before.key)
                if spec.image is not None:
                    _root_bytes(spec, await self._images.on_host(link, spec.image))
                domain = _plan(spec, link)
                new = {disk.path for disk in domain.disks}
                # From here on there is no way back: what breaks off now leaves an unfinished copy to be rebuilt again.
                old = tuple(disk for disk in before.domain.disks if disk.path not in new)
                await self._make(link, spec, domain, old=old)
                if before.key != spec.key:
                    await link.storage.delete_logs(PurePosixPath(before.domain.console_log).name)
                await self._leave_unused(link, before.domain, domain)
                if start:
                    await self._start(link, domain)
            elif start and mine.power in (PowerState.SHUTDOWN, PowerState.CRASHED):
                await self._start(link, mine.domain)

        await self._operations.ask("rebuild", deadline, work, (link, spec.key))

    async def _leave_unused(self, link: Link, before: Domain, after: Domain) -> None:
        """Leave the networks that a copy no longer has."""
        left = tuple(card for card in before.interfaces if card not in after.interfaces)
        if left:
            link.expect(after)
            await self._leave_networks(link, replace(before, uuid="", interfaces=left))

    # -- power

    async def power_on(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Start a copy; libvirt brings memory back that was saved."""

        async def act(link: Link, seen: Seen) -> None:
            if seen.power not in LIVE:
                await self._start(link, seen.domain)

        await self._on("power_on", host, server, deadline, act)

    async def power_off(self, host: str, server: ServerKey, *, deadline: Seconds, grace: Seconds = 0) -> None:
        """Stop a copy, by its guest if that takes no longer than ``grace``."""

        async def act(link: Link, seen: Seen) -> None:
            if seen.power is PowerState.SUSPENDED:
                await self._do(link, seen, "power_off", lambda domain: domain.managedSaveRemove(0))
            elif seen.power in LIVE:
                await self._shut_down(link, seen, grace)

        await self._on("power_off", host, server, deadline, act)

    async def reboot(self, host: str, server: ServerKey, kind: RebootKind, *, deadline: Seconds) -> None:
        """Stop a copy, by its guest if that is to be soft, and start it."""

        async def act(link: Link, seen: Seen) -> None:
            if kind == "SOFT" and seen.power is not PowerState.RUNNING:
                raise cannot(link, seen, "be asked to restart")
            soft = min(self._settings.soft_s, deadline / 2)
            await self._restart(link, seen, grace=soft if kind == "SOFT" else 0.0)

        await self._on("reboot", host, server, deadline, act)

    async def _restart(self, link: Link, seen: Seen, *, grace: Seconds = 0.0) -> None:
        if seen.power in LIVE:
            await self._shut_down(link, seen, grace)
        elif seen.power is PowerState.SUSPENDED:
            await self._do(link, seen, "restart", lambda domain: domain.managedSaveRemove(0))
        await self._start(link, seen.domain)

    async def _turn_into(
        self, operation: str, host: str, server: ServerKey, deadline: Seconds, before: PowerState, after: PowerState,
        act: Callable[[Any], object],
    ) -> None:  # fmt: skip
        """From one power state to another; nothing happens to a copy that is there already."""

        async def turn(link: Link, seen: Seen) -> None:
            if seen.power is after:
                return
            if seen.power is not before:
                raise cannot(link, seen, operation)
            if after is PowerState.RUNNING:
                await self._catch_up(link, seen.domain)
            await self._do(link, seen, operation, act, limit=LONG_S)

        await self._on(operation, host, server, deadline, turn)

    async def pause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Stop the vCPUs."""
        await self._turn_into(
            "pause", host, server, deadline, PowerState.RUNNING, PowerState.PAUSED, lambda domain: domain.suspend()
        )

    async def unpause(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Let the vCPUs go on."""
        await self._turn_into(
            "unpause", host, server, deadline, PowerState.PAUSED, PowerState.RUNNING, lambda domain: domain.resume()
        )

    async def suspend(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Write the memory to the host's disk."""
        await self._turn_into(
            "suspend", host, server, deadline, PowerState.RUNNING, PowerState.SUSPENDED,
            lambda domain: domain.managedSave(0),
        )  # fmt: skip

    async def resume(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Read the memory from the host's disk."""
        await self._turn_into(
            "resume", host, server, deadline, PowerState.SUSPENDED, PowerState.RUNNING, lambda domain: domain.create()
        )

    async def rescue(self, host: str, server: ServerKey, image: ImageReference, *, deadline: Seconds) -> None:
        """Restart from an overlay of another image, which goes with the rescue."""

        async def act(link: Link, seen: Seen) -> None:
            domain = seen.domain
            if domain.stamp.rescue == image.id:
                if seen.power not in LIVE:
                    await self._restart(link, seen)
                return
            own = tuple(disk for disk in domain.disks if disk.role != "rescue")
            base = await self._images.on_host(link, image)
            if domain.stamp.rescue:
                await self._stop(link, domain)  # its disk is about to be replaced
            volume = volume_name(seen.key, "rescue")
            await link.storage.create(volume, "qcow2", base.capacity_bytes, backing=base.volume)
            boot = Disk("rescue", link.storage.path(volume), "qcow2", link.storage.path(base.volume))
            changed = replace(domain, disks=(boot, *own), stamp=replace(domain.stamp, rescue=image.id))
            await self._define(link, changed)
            await self._restart(link, seen)

        await self._on("rescue", host, server, deadline, act)

    async def unrescue(self, host: str, server: ServerKey, *, deadline: Seconds) -> None:
        """Restart from its own disk."""

        async def act(link: Link, seen: Seen) -> None:
            domain = seen.domain
            if domain.stamp.rescue:
                own = tuple(disk for disk in domain.disks if disk.role != "rescue")
                await self._define(link, replace(domain, disks=own, stamp=replace(domain.stamp, rescue="")))
                await self._restart(link, seen)
                await link.storage.delete(volume_name(seen.key, "rescue"))
            elif seen.power not in LIVE:
                await self._restart(link, seen)

        await self._on("unrescue", host, server, deadline, act)

    # -- ports

    async def plug(self, host: str, server: ServerKey, port: PortSpec, *, deadline: Seconds) -> None:
        """Give the copy a card."""

        async def act(link: Link, seen: Seen) -> None:
            card, cards = interface(port, filtered=link.spec.filtered), seen.domain.interfaces
            if any(each.port == port.id for each in cards):
                return
            after = replace(seen.domain, interfaces=(*cards, card))
            text, flags = write_interface(card), self._reach(seen)
            await self._have_networks(link, after)
            link.expect(after)
            await self._do(link, seen, "plug", lambda domain: domain.attachDeviceFlags(text, flags))

        await self._on("plug", host, server, deadline, act)

    async def unplug(self, host: str, server: ServerKey, port: str, *, deadline: Seconds) -> None:
        """Take a card away; a running guest must let go of it."""

        async def act(link: Link, seen: Seen) -> None:
            card = next((each for each in seen.domain.interfaces if each.port == port), None)
            if card is None:
                return
            text, due = write_interface(card), clock.now() + min(self._settings.detach_s, deadline)
            native = self._native
            if seen.power in LIVE:
                config, live = native.VIR_DOMAIN_AFFECT_CONFIG, native.VIR_DOMAIN_AFFECT_LIVE
                while port in await self._ports(link, seen):
                    if clock.now() > due:
                        raise BackendFailed(
                            f"the guest of server {server} on host {link.name} does not let go of port {port}; "
                            "try again when it has booted",
                            host=host, server=server,
                        )  # fmt: skip
                    with contextlib.suppress(BackendFailed):  # it was asked before, and has not answered yet
                        await self._do(link, seen, "unplug", lambda domain: domain.detachDeviceFlags(text, live))
                    await aio.sleep(LOOK_S)
                if any(each.port == port for each in await self._defined(link, seen)):
                    await self._do(link, seen, "unplug", lambda domain: domain.detachDeviceFlags(text, config))
            else:
                flags = self._reach(seen)
                await self._do(link, seen, "unplug", lambda domain: domain.detachDeviceFlags(text, flags))
            after = replace(seen.domain, interfaces=tuple(e for e in seen.domain.interfaces if e.port != port))
            await self._leave_unused(link, seen.domain, after)

        await self._on("unplug", host, server, deadline, act)

    def _reach(self, seen: Seen) -> int:
        """What a change of a device is to reach: the domain as it is defined, and the guest if it runs."""
        config: int = self._native.VIR_DOMAIN_AFFECT_CONFIG
        return config | self._native.VIR_DOMAIN_AFFECT_LIVE if seen.power in LIVE else config

    async def _ports(self, link: Link, seen: Seen) -> tuple[str, ...]:
        now = await self._need(link, seen.key)
        return tuple(card.port for card in now.domain.interfaces)

    async def _defined(self, link: Link, seen: Seen) -> tuple[Interface, ...]:
        """The cards that the domain has at its next start."""
        flag = self._native.VIR_DOMAIN_XML_INACTIVE
        domain = read_domain(await self._do(link, seen, "look", lambda each: str(each.XMLDesc(flag))))
        return () if domain is None else domain.interfaces

    # -- looking in

    async def console_log(
        self, host: str, server: ServerKey, *, deadline: Seconds, last_bytes: int = 100 * 1024
    ) -> bytes:
        """What the guest wrote, from the file that its host keeps."""

        async def act(link: Link, seen: Seen) -> bytes:
            return await link.storage.tail(PurePosixPath(seen.domain.console_log).name, last_bytes)

        return await self._on("console_log", host, server, deadline, act, turn=False)

    async def open_console(self, host: str, server: ServerKey, kind: str, *, deadline: Seconds) -> ConsoleStream:
        """The serial line through libvirt, or the screen where the host shows it."""
        if kind not in CAPABILITIES.consoles:
            raise NotSupported(f"there is no {kind} console here; there is a serial line and novnc", kind=kind)

        async def act(link: Link, seen: Seen) -> ConsoleStream:
            if seen.power not in LIVE:
                raise cannot(link, seen, "show a console")
            return await self._open_line(link, seen) if kind == "serial" else await self._open_screen(link, seen)

        return await self._on("open_console", host, server, deadline, act, turn=False)

    async def _open_line(self, link: Link, seen: Seen) -> SerialLine:
        before = [line for line in link.lines if line.key == seen.key]
        line = SerialLine(link, seen.key)
        link.lines[line] = None
        try:
            await link.open_line(line, seen.domain.uuid)
        except BaseException:
            with contextlib.suppress(BackendFailed):
                await aio.shield(link.let_go(line))
            raise
        for each in before:
            each.end()
        self._group.create_task(line.run(), name=f"serial line of {seen.key}")
        return line

    async def _open_screen(self, link: Link, seen: Seen) -> Screen:
        text = await self._do(link, seen, "open_console", lambda domain: str(domain.XMLDesc(0)))
        place = read_screen(text)
        if place is None:
            raise cannot(link, seen, "show a screen: it has none")
        address, port = place
        screen = await connect_screen(
            seen.key, link.spec.address if address in _ANY else address, port, link.screens.pop
        )
        link.screens[screen] = None
        return screen

    async def diagnostics(self, host: str, server: ServerKey, *, deadline: Seconds) -> Diagnostics:
        """How the copy is doing, as its host says."""

        async def act(link: Link, seen: Seen) -> Diagnostics:
            _, _, memory_kib, _, cpu_ns = await self._do(link, seen, "diagnostics", lambda domain: domain.info())
            live = seen.power in LIVE
            since = link.started(seen.domain.uuid)
            return Diagnostics(
                seen.power, clock.now() - since if live and since is not None else 0.0, cpu_ns / 1e9,
                seen.domain.vcpus, round(seen.domain.memory_mib), memory_kib // 1024 if live else 0,
                tuple(card.mac for card in seen.domain.interfaces),
            )  # fmt: skip

        return await self._on("diagnostics", host, server, deadline, act, turn=False)

    async def set_password(self, host: str, server: ServerKey, password: str, *, deadline: Seconds) -> None:
        """Let the guest's agent set the password of root."""

        async def act(link: Link, seen: Seen) -> None:
            if seen.power is not PowerState.RUNNING:
                raise cannot(link, seen, "have its password set")

            def set_it(domain: Any) -> None:
                domain.agentSetResponseTimeout(_AGENT_S, 0)
                domain.setUserPassword("root", password, 0)

            await self._do(link, seen, "set_password", set_it)

        await self._on("set_password", host, server, deadline, act)


def _plan(spec: ServerSpec, link: Link) -> Domain:
    return plan(spec, link.spec, root=_has_root(spec), base=_base_name(spec), config=spec.config_drive)


def _has_root(spec: ServerSpec) -> bool:
    return spec.image is not None or spec.root_gib > 0


def _base_name(spec: ServerSpec) -> str:
    return base_name(spec.image.id) if spec.image is not None else ""


def _root_bytes(spec: ServerSpec, base: Base) -> int:
    """The size of a root disk: what was asked for, or that of its image."""
    asked = spec.root_gib * _GIB
    if asked and base.capacity_bytes > asked:
        raise PlainFailure(
            f"the image of server {spec.uuid} has a disk of {base.capacity_bytes} bytes, and its own is to have "
            f"{asked}; choose a larger flavor",
            image=spec.image,
        )
    return asked or base.capacity_bytes


if TYPE_CHECKING:

    def _keeps_the_contract(driver: LibvirtDriver) -> ComputeDriver:
        return driver
