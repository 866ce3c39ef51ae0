"""Consoles of real guests: what is typed is answered, what is shown is RFB, and both end when they must."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from sundog.backends.contract import ConsoleStream, HostState, PowerState, ServerSpec
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.errors import BackendFailed, NotSupported
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.real_hosts import BedTrouble, guest_reference, play

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "libvirt-images"


def make_spec() -> ServerSpec:
    ids = Ids(np.random.default_rng())
    return ServerSpec(str(ids.uuid()), 1, "seen", str(ids.uuid()), 1, 96, image=guest_reference())


async def read_until(stream: ConsoleStream, wanted: bytes, *, seconds: float = 120.0) -> bytes:
    seen = b""
    try:
        async with asyncio.timeout(seconds):
            while wanted not in seen:
                data = await stream.read()
                assert data, f"it ended after {seen!r}"
                seen += data
    except TimeoutError:
        pytest.fail(f"{wanted!r} is not in {seen!r}")
    return seen


async def ended(stream: ConsoleStream) -> None:
    async with asyncio.timeout(10):
        while await stream.read():
            pass
    with pytest.raises(BackendFailed, match="ended"):
        await stream.write(b"x")


def test_a_guest_answers_what_is_typed_on_its_serial_console_and_in_order(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        host = driver.links[0].uuid
        await driver.spawn(host, spec, deadline=60)
        try:
            line = await driver.open_console(host, spec.key, "serial", deadline=30)
            await read_until(line, b"ready")
            await line.write(b"\r")
            await asyncio.sleep(1.0)
            await line.write(b"echo $((6*7))-is-it; seq 1 3000 | tail -n 2; stty size\r")
            seen = await read_until(line, b"\n3000")
            assert b"\n42-is-it" in seen
            assert seen.index(b"\n42-is-it") < seen.index(b"\n2999")
            with pytest.raises(NotSupported):
                await driver.open_console(host, spec.key, "spice-html5", deadline=30)
        finally:
            await driver.destroy(host, spec.key, deadline=60)
        await ended(line)

    play(bed, folder, scene)


def test_a_screen_speaks_rfb_to_several_at_once(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        host = driver.links[0].uuid
        await driver.spawn(host, spec, deadline=60)
        try:
            screens = [await driver.open_console(host, spec.key, "novnc", deadline=30) for _ in range(2)]
            for screen in screens:
                await read_until(screen, b"RFB 003.008\n", seconds=10)
                await screen.write(b"RFB 003.008\n")
                await read_until(screen, b"\x01\x01", seconds=10)  # one kind of security: none
        finally:
            await driver.destroy(host, spec.key, deadline=60)
        for screen in screens:
            await ended(screen)

    play(bed, folder, scene)


def test_consoles_end_with_their_host_and_hold_up_nothing(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        host = driver.links[0].uuid
        await driver.spawn(host, spec, deadline=60)
        consoles = [await driver.open_console(host, spec.key, kind, deadline=30) for kind in ("serial", "novnc")]
        await asyncio.to_thread(bed.kill, 1)
        try:
            async with asyncio.timeout(60):
                for console in consoles:
                    while await console.read():
                        pass
        finally:
            await asyncio.to_thread(bed.revive, 1)
        async with asyncio.timeout(60):
            while driver.links[0].state is not HostState.UP:
                await asyncio.sleep(0.1)
        await driver.destroy(host, spec.key, deadline=60)

    play(bed, folder, scene)


def test_a_forced_migration_that_is_broken_off_lets_the_guest_go_on_at_home(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        a, b = driver.links
        await driver.spawn(a.uuid, spec, deadline=60)
        slow = lambda connection: connection.lookupByUUIDString(spec.uuid).migrateSetMaxSpeed(1)  # noqa: E731
        await a.call("test", slow)
        moving = asyncio.create_task(driver.live_migrate(a.uuid, spec.key, b.uuid, generation=2, deadline=120))
        try:
            async with asyncio.timeout(60):
                while True:
                    await asyncio.sleep(0.1)
                    try:
                        await driver.live_migration_force(a.uuid, spec.key, deadline=30)
                        break
                    except BackendFailed:
                        assert not moving.done()
            assert await a.call("test", lambda c: c.lookupByUUIDString(spec.uuid).state()[0]) == 3  # it stands still
            await driver.live_migration_abort(a.uuid, spec.key, deadline=30)
            with pytest.raises(BackendFailed):
                await moving
            assert await a.call("test", lambda c: c.lookupByUUIDString(spec.uuid).state()[0]) == 1
            assert await driver.list_servers(b.uuid, deadline=30) == ()
        finally:
            for link in (a, b):
                for copy in await driver.list_servers(link.uuid, deadline=30):
                    await driver.destroy(link.uuid, copy.key, deadline=60)

    play(bed, folder, scene)


def test_a_password_is_set_by_the_guests_agent_and_refused_without_one(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        host = driver.links[0].uuid
        await driver.spawn(host, spec, deadline=60)
        try:
            line = await driver.open_console(host, spec.key, "serial", deadline=30)
            await read_until(line, b"ready")
            await line.write(b"\r")
            async with asyncio.timeout(60):
                while True:
                    try:
                        await driver.set_password(host, spec.key, "p<a&s's\"w 1", deadline=60)
                        break
                    except BackendFailed as error:  # until the agent has told its host that it is there
                        if "no QEMU agent" not in str(error):
                            raise
                        await asyncio.sleep(0.2)
            talk = (
                (b"login root", b"Password: "), (b"another", b"guest login: "), (b"root", b"Password: "),
                (b"p<a&s's\"w 1", b"# "), (b"echo $((6*7))-in", b"\n42-in"),
            )  # fmt: skip
            for typed, answer in talk:
                await line.write(typed + b"\r")
                await read_until(line, answer)
            await line.write(b"killall qemu-ga; echo $((6*7))-gone\r")
            await read_until(line, b"\n42-gone")
            with pytest.raises(BackendFailed, match="agent"):
                await driver.set_password(host, spec.key, "a Password 2", deadline=60)
            copies = await driver.list_servers(host, deadline=30)
            assert [copy.power_state for copy in copies] == [PowerState.RUNNING]
        finally:
            await driver.destroy(host, spec.key, deadline=60)

    play(bed, folder, scene)
