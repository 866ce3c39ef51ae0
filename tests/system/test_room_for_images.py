"""A host's disk fills up: images that nobody uses go when there is need, and no other; what runs waits for room."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from sundog.backends.contract import PowerState, ServerSpec
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.errors import BackendFailed
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.real_hosts import BedTrouble, guest_reference, play

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

POOL = "/var/lib/libvirt/sundog"


@contextmanager
def small_disk(bed: Bed, megabytes: int) -> Iterator[None]:
    """The first host's folder for disks is a file system of that size."""

    def run(script: str) -> None:
        done = bed.run(1, ["sh", "-c", script], capture_output=True)
        assert done.returncode == 0, done.stderr

    restart = "until kill -KILL $(cat /run/libvirtd.pid); do sleep 0.1; done 2>/dev/null"  # the last may just be coming
    run(f"mkdir -p {POOL} && mount -t tmpfs -o size={megabytes}m small {POOL} && mkdir {POOL}/console-logs; {restart}")
    try:
        yield
    finally:
        run(f"umount -l {POOL}; {restart}")


def test_images_that_nobody_uses_make_room_for_others(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> None:
    ids = Ids(np.random.default_rng())

    def make_spec(image: str) -> ServerSpec:
        reference = replace(guest_reference(), id=image)
        return ServerSpec(str(ids.uuid()), 1, "roomy", str(ids.uuid()), 1, 96, image=reference)

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        link = driver.links[0]

        async def spawn(image: str) -> ServerSpec:
            spec = make_spec(image)
            await driver.spawn(link.uuid, spec, deadline=120, start=False)
            return spec

        def images() -> list[str]:
            names = bed.run(1, ["ls", POOL], capture_output=True).stdout.split()
            bases = [name.removeprefix("base-").removesuffix(".qcow2") for name in names if name.endswith(".qcow2")]
            assert not [name for name in names if name.endswith(".complete") and name[:-9] not in names]
            return sorted(each for each in bases if len(each) < 10)

        first, second = await spawn("first"), await spawn("second")
        await driver.destroy(link.uuid, first.key, deadline=60)
        assert images() == ["first", "second"]
        third = await spawn("third")  # the first goes: nobody uses it
        await driver.destroy(link.uuid, third.key, deadline=60)
        assert images() == ["second", "third"]
        fourth = await spawn("fourth")  # the third goes, though the second was wanted before: that has a server
        assert images() == ["fourth", "second"]
        with pytest.raises(BackendFailed, match="bytes left"):
            await spawn("fifth")
        assert {copy.key for copy in await driver.list_servers(link.uuid, deadline=60)} == {second.key, fourth.key}
        for spec in (second, fourth):
            await driver.destroy(link.uuid, spec.key, deadline=60)
        await asyncio.gather(*(spawn(image) for image in ("sixth", "seventh")))  # both others go
        assert images() == ["seventh", "sixth"]
        for copy in await driver.list_servers(link.uuid, deadline=60):
            await driver.destroy(link.uuid, copy.key, deadline=60)

    with small_disk(bed, 45):
        play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)


WRITES = b"""#!/bin/sh
(dd if=/dev/urandom of=/dev/vda bs=1M seek=32 count=8 oflag=direct) &
"""


def test_what_a_full_disk_cannot_hold_is_not_there_and_a_guest_that_writes_waits_for_room(
    bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ids = Ids(np.random.default_rng())

    def make_spec(**facts: object) -> ServerSpec:
        uuid, project = str(ids.uuid()), str(ids.uuid())
        return ServerSpec(uuid, 1, "full", project, 1, 96, image=guest_reference(), **facts)  # type: ignore[arg-type]

    def fill() -> None:
        filled = bed.run(1, ["sh", "-c", f"cat /dev/zero > {POOL}/filling; ls -s {POOL}/filling"], capture_output=True)
        assert "No space left" in filled.stderr

    def files() -> set[str]:
        return set(bed.run(1, ["ls", POOL], capture_output=True).stdout.split()) - {"filling"}

    def written() -> int:
        disks = bed.run(1, ["sh", "-c", f"stat -c %s {POOL}/*.root.qcow2"], capture_output=True).stdout
        return max(map(int, disks.split()))

    async def scene(driver: LibvirtDriver, _trouble: BedTrouble) -> None:
        full, other = (link.uuid for link in driver.links)
        told = {"openstack/latest/meta_data.json": "{}"}
        runs, comes = make_spec(config_drive=True, drive=told, user_data=WRITES), make_spec()
        await driver.spawn(full, runs, deadline=120)
        await driver.spawn(other, comes, deadline=120, start=False)
        before = files()
        fill()
        for attempt in (
            driver.spawn(full, make_spec(config_drive=True, drive={"a": "x" * 10**6}), deadline=60),
            driver.resize_begin(other, comes.key, full, replace(comes, generation=2), deadline=60),
        ):
            with pytest.raises(BackendFailed, match=r"[Nn]o space left"):
                await attempt
        assert files() == before

        async def power() -> PowerState:
            (copy,) = await driver.list_servers(full, deadline=60)
            assert copy.key == runs.key
            return copy.power_state

        async with asyncio.timeout(120):
            while await power() != PowerState.PAUSED:
                await asyncio.sleep(0.3)
        bed.run(1, ["rm", f"{POOL}/filling"])
        await driver.unpause(full, runs.key, deadline=60)
        async with asyncio.timeout(120):  # it has no console any more: virtlogd gives up a log that it cannot write
            while written() < 8 * 2**20:
                await asyncio.sleep(0.3)
        assert await power() == PowerState.RUNNING
        (there,) = await driver.list_servers(other, deadline=60)
        assert (there.key, there.kept) == (comes.key, False)
        await driver.resize_begin(other, comes.key, full, replace(comes, generation=2), deadline=60)
        for link in driver.links:
            for copy in await driver.list_servers(link.uuid, deadline=60):
                await driver.destroy(link.uuid, copy.key, deadline=60)

    with small_disk(bed, 64):
        play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)
