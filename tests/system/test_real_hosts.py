"""Real guests on real hosts: what the contract's clauses cannot see from outside."""

from __future__ import annotations

import asyncio
import json
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sundog.backends.contract import EventKind, PortSpec, PowerState, ServerKey, ServerSpec
from sundog.backends.libvirt.domain_xml import NAMESPACE
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import clock
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed, virsh
from tests.bed.guests import Guest, domain
from tests.real_hosts import BedTrouble, guest_reference, play

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "libvirt-images"


def make_spec(**facts: object) -> ServerSpec:
    ids = Ids(np.random.default_rng())
    spec = ServerSpec(str(ids.uuid()), 1, "a <guest> & more", str(ids.uuid()), 1, 96, image=guest_reference())
    return replace(spec, **facts)  # type: ignore[arg-type]


def devices(text: str) -> list[tuple[str, ...]]:
    """What of a domain's XML says where it is: disks with what is below them, cards, screens, our stamp."""
    root = ET.fromstring(text)
    told: list[tuple[str, ...]] = [
        ("disk", *(each.get("file", "") for each in disk.iter("source"))) for disk in root.iterfind("devices/disk")
    ]
    for kind, tag, name in (
        ("interface", "mac", "address"),
        ("interface", "source", "network"),
        ("interface", "target", "dev"),
        ("graphics", "listen", "address"),
    ):
        told += [(kind, each.get(name, "")) for each in root.iterfind(f"devices/{kind}/{tag}")]
    told += [("stamp", *sorted(map(str, each.items()))) for each in root.iterfind(f"metadata/{{{NAMESPACE}}}copy")]
    return told


async def wait_until(holds: Callable[[], Awaitable[bool]], *, seconds: float = 120.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.2)


async def power(driver: LibvirtDriver, host: str, key: ServerKey) -> PowerState | None:
    copies = await driver.list_servers(host, deadline=30)
    return next((copy.power_state for copy in copies if copy.key == key), None)


def test_ossa_2020_006_a_guest_goes_on_after_a_live_migration_and_starts_again_as_it_is_defined_there(
    bed: Bed, folder: Path
) -> None:
    told = {"uuid": "0", "name": "web", "hostname": "web-1.novalocal"}
    spec = make_spec(
        config_drive=True,
        drive={"openstack/latest/meta_data.json": json.dumps(told)},
        user_data=b"#!/bin/sh\nn=0; while :; do n=$((n+1)); echo counted-$n; sleep 1; done &\n",
    )

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        a, b = (link.uuid for link in driver.links)
        await driver.spawn(a, spec, deadline=60)

        async def says(host: str, key: ServerKey, what: bytes) -> bool:
            return what in await driver.console_log(host, key, deadline=30)

        try:
            await wait_until(lambda: says(a, spec.key, b"counted-3"))
            assert await says(a, spec.key, b"web-1")
            card = PortSpec(str(uuid.uuid4()), str(uuid.uuid4()), "fa:16:3e:77:00:01")
            await driver.plug(a, spec.key, card, deadline=60)
            moved = ServerKey(spec.uuid, 2)
            await driver.live_migrate(a, spec.key, b, generation=2, deadline=120)
            await wait_until(lambda: says(b, moved, b"counted-"))
            assert not await says(b, moved, b"counted-1\r\n")  # it went on, and did not boot again
            name, there = f"sundog-{spec.uuid}", bed.hosts()[1]
            runs, starts = (devices(virsh(there, "dumpxml", *how, name).stdout) for how in ((), ("--inactive",)))
            assert runs == starts  # CVE-2020-17376: a reboot would use what is defined
            assert {device[0] for device in runs} == {"disk", "interface", "graphics", "stamp"}
            files = [file for device in runs if device[0] == "disk" for file in device[1:]]
            assert bed.run(2, ["ls", *files], capture_output=True).returncode == 0
            await driver.reboot(b, moved, "SOFT", deadline=120)  # from what is defined there, not from what ran here
            await wait_until(lambda: says(b, moved, b"counted-1\r\n"))
        finally:
            for host, generation in ((a, 1), (b, 2)):
                await driver.destroy(host, ServerKey(spec.uuid, generation), deadline=60)

    play(bed, folder, scene)


def test_domains_of_others_are_never_shown_and_never_touched(bed: Bed, folder: Path, tmp_path: Path) -> None:
    spec = make_spec(image=None)
    theirs = domain(Guest(f"sundog-{spec.uuid}", spec.uuid, tmp_path / "no-disk", tmp_path / "log"))

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        link = driver.links[0]
        await link.call("test", lambda connection: connection.defineXML(theirs))
        try:
            assert await driver.list_servers(link.uuid, deadline=30) == ()
            with pytest.raises(BackendFailed, match="not ours"):
                await driver.spawn(link.uuid, spec, deadline=30)
            await driver.destroy(link.uuid, spec.key, deadline=30)
            await link.call("test", lambda connection: connection.lookupByUUIDString(spec.uuid).XMLDesc(0))
        finally:
            await link.call("test", lambda connection: connection.lookupByUUIDString(spec.uuid).undefine())

    play(bed, folder, scene)


def test_a_guest_that_hangs_holds_up_nobody_and_can_be_deleted(bed: Bed, folder: Path) -> None:
    stuck, well = make_spec(), make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        host = driver.links[0].uuid
        await driver.spawn(host, stuck, deadline=60)
        await asyncio.to_thread(bed.hang, 1, "qemu")
        try:
            with pytest.raises((OutcomeUnknown, BackendFailed)):
                await driver.pause(host, stuck.key, deadline=2)
            begin = clock.now()
            await driver.spawn(host, well, deadline=60)
            assert await power(driver, host, well.key) is PowerState.RUNNING
            await driver.destroy(host, stuck.key, deadline=60)
            assert clock.now() - begin < 60
            assert await power(driver, host, stuck.key) is None
        finally:
            await asyncio.to_thread(bed.wake, 1, "qemu")
            for spec in (stuck, well):
                await driver.destroy(host, spec.key, deadline=60)

    play(bed, folder, scene)


def test_a_daemon_that_is_killed_harms_no_guest_and_no_host_is_called_down(bed: Bed, folder: Path) -> None:
    spec, later = make_spec(), make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        host = driver.links[0].uuid
        await driver.spawn(host, spec, deadline=60)
        stream = driver.events()
        await asyncio.to_thread(bed.run, 1, ["pkill", "-KILL", "libvirtd"])
        try:
            await driver.spawn(host, later, deadline=60)
            assert await power(driver, host, spec.key) is PowerState.RUNNING
        except OutcomeUnknown:  # it was under way when the connection broke
            await driver.spawn(host, later, deadline=60)
        finally:
            for each in (spec, later):
                await driver.destroy(host, each.key, deadline=60)
        stream.close()
        kinds = [event.kind async for event in stream if event.server is None]
        assert kinds == [EventKind.LOST]

    play(bed, folder, scene)


def test_what_is_done_behind_our_back_is_seen(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        link = driver.links[0]
        await driver.spawn(link.uuid, spec, deadline=60)
        stream = driver.events()

        async def by_hand(act: str) -> None:
            await link.call("test", lambda connection: getattr(connection.lookupByUUIDString(spec.uuid), act)())

        expected = (
            ("destroy", EventKind.STOPPED, PowerState.SHUTDOWN),
            ("create", EventKind.STARTED, PowerState.RUNNING),
            ("suspend", EventKind.PAUSED, PowerState.PAUSED),
            ("resume", EventKind.UNPAUSED, PowerState.RUNNING),
            ("destroy", EventKind.STOPPED, PowerState.SHUTDOWN),
            ("undefine", EventKind.REMOVED, None),
        )
        for act, kind, state in expected:
            await by_hand(act)
            async with asyncio.timeout(2):
                event = await anext(aiter(stream))
            assert (event.kind, event.server) == (kind, spec.key)
            assert await power(driver, link.uuid, spec.key) is state
        stream.close()
        await driver.destroy(link.uuid, spec.key, deadline=30)
        files = ["find", "/var/lib/libvirt/sundog", "-name", f"{spec.uuid}*"]
        assert bed.run(1, files, capture_output=True).stdout == ""

    play(bed, folder, scene)
