"""A real host is known by its uuid and by our file on it: one that is not what it was is left alone, guests and all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from sundog.backends.contract import EventKind, HostState, ServerSpec
from sundog.backends.libvirt.domain_xml import read_stamp, write_domain
from sundog.backends.libvirt.driver import LibvirtDriver, connected
from sundog.backends.libvirt.link import HostSpec, Link
from sundog.backends.libvirt.plan import plan
from sundog.errors import BackendFailed, HostDown, InputError
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.real_hosts import SETTINGS, File, guest_disk, guest_reference

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

FILE = "/var/lib/libvirt/sundog/host.json"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "libvirt-images"


def make_spec() -> ServerSpec:
    ids = Ids(np.random.default_rng())
    return ServerSpec(str(ids.uuid()), 1, "stays", str(ids.uuid()), 1, 96, image=guest_reference())


@asynccontextmanager
async def driving(bed: Bed, folder: Path, cloud: str = "") -> AsyncIterator[LibvirtDriver]:
    """A driver that was told no uuids: it must find out which host is which."""
    specs = [
        HostSpec(place.name, place.tcp, virt_type="qemu", address=place.address, cloud=cloud) for place in bed.hosts()
    ]
    async with connected(specs, images=File(guest_disk()), folder=folder, settings=SETTINGS) as driver:
        yield driver


async def wait_until(link: Link, *, up: bool) -> None:
    try:
        async with asyncio.timeout(60):
            while (link.state is HostState.UP) != up or link.quarantined == up:
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise AssertionError(f"host {link.name} is {link.state}: {link.reason}") from error


def do(bed: Bed, number: int, script: str) -> str:
    done = bed.run(number, ["sh", "-c", script], capture_output=True)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def restart_libvirtd(bed: Bed, number: int) -> None:
    do(bed, number, "kill -KILL $(cat /run/libvirtd.pid)")


@contextmanager
def renamed(bed: Bed, number: int) -> Iterator[None]:
    name = do(bed, number, "hostname").strip()
    do(bed, number, "hostname another")
    restart_libvirtd(bed, number)
    try:
        yield
    finally:
        do(bed, number, f"hostname {name}")
        restart_libvirtd(bed, number)


@contextmanager
def twin(bed: Bed) -> Iterator[None]:
    """The second host has the uuid of the first."""
    first, second = (place.uuid for place in bed.hosts())
    conf = "/etc/libvirt/libvirtd.conf"
    do(bed, 2, f"sed -i s/{second}/{first}/ {conf} && grep -q {first} {conf}")
    restart_libvirtd(bed, 2)
    try:
        yield
    finally:
        do(bed, 2, f"sed -i s/{first}/{second}/ {conf}")
        restart_libvirtd(bed, 2)


def test_a_host_that_was_renamed_is_left_alone_and_its_guest_runs_on(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def main() -> None:
        async with driving(bed, folder) as driver:
            link = driver.links[0]
            await wait_until(link, up=True)
            assert json.loads(do(bed, 1, f"cat {FILE}"))["uuid"] == link.uuid == bed.hosts()[0].uuid
            await driver.spawn(link.uuid, spec, deadline=60)
            stream = driver.events()
            with renamed(bed, 1):
                await wait_until(link, up=False)
                assert "is now another" in link.reason
                for attempt in (
                    driver.list_servers(link.uuid, deadline=30), driver.destroy(link.uuid, spec.key, deadline=30),
                    driver.spawn(link.uuid, make_spec(), deadline=30),
                ):  # fmt: skip
                    with pytest.raises(HostDown, match="renamed"):
                        await attempt
                assert next(record.state for record in await driver.hosts(deadline=1)) is HostState.DOWN
                assert do(bed, 1, "virsh -q list --name").strip() == f"sundog-{spec.uuid}"
            await wait_until(link, up=True)
            stream.close()
            told = [event.kind async for event in stream if event.host == link.uuid and event.server is None]
            assert [kind for kind in told if kind is not EventKind.LOST] == [EventKind.HOST_DOWN, EventKind.HOST_UP]
            copies = await driver.list_servers(link.uuid, deadline=30)
            assert [(copy.key, copy.power_state) for copy in copies] == [(spec.key, "running")]
            await driver.destroy(link.uuid, spec.key, deadline=60)

    asyncio.run(main())


def test_of_two_hosts_with_one_uuid_only_one_is_let_in_and_no_guest_is_touched(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def main() -> None:
        async with driving(bed, folder) as driver:
            first, second = driver.links
            for link in (first, second):
                await wait_until(link, up=True)
            await driver.spawn(second.uuid, spec, deadline=60)
        with twin(bed):
            async with driving(bed, folder) as driver:  # one that knows of nothing yet
                first, second = driver.links
                async with asyncio.timeout(60):
                    while not (second.quarantined and first.state is HostState.UP):
                        await asyncio.sleep(0.05)
                assert second.state is HostState.DOWN
                assert [record.name for record in await driver.hosts(deadline=1)] == [first.name]
                assert await driver.list_servers(first.uuid, deadline=30) == ()
                await driver.destroy(first.uuid, spec.key, deadline=30)  # what is not there is no matter
                assert do(bed, 2, "virsh -q list --name").strip() == f"sundog-{spec.uuid}"
        async with driving(bed, folder) as driver:
            second = driver.links[1]
            await wait_until(second, up=True)
            await driver.destroy(second.uuid, spec.key, deadline=60)

    asyncio.run(main())


def test_a_host_whose_disk_is_not_there_is_not_let_in_while_it_has_servers(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def main() -> None:
        async with driving(bed, folder) as driver:
            link = driver.links[0]
            await wait_until(link, up=True)
            await driver.spawn(link.uuid, spec, deadline=60)
            do(bed, 1, f"mv {FILE} {FILE}.away")
            try:
                restart_libvirtd(bed, 1)
                await wait_until(link, up=False)
                assert "not mounted" in link.reason
            finally:
                do(bed, 1, f"mv {FILE}.away {FILE}")
            await wait_until(link, up=True)
            await driver.destroy(link.uuid, spec.key, deadline=60)

    asyncio.run(main())


def test_hosts_that_were_said_to_have_one_uuid_are_refused_at_once(bed: Bed, folder: Path) -> None:
    uuid = bed.hosts()[0].uuid

    async def main() -> None:
        specs = [HostSpec(name, f"qemu:///{name}", uuid=uuid) for name in ("a", "b")]
        with pytest.raises(InputError, match="uuid"):
            async with connected(specs, images=File(guest_disk()), folder=folder):
                pass

    asyncio.run(main())


@pytest.fixture
def nobodys(bed: Bed) -> Iterator[None]:
    """Hosts that belong to no cloud, at the start and at the end."""
    for number in (1, 2):
        do(bed, number, f"rm -f {FILE}")
    yield
    for number in (1, 2):
        do(bed, number, f"rm -f {FILE}")


@pytest.mark.usefixtures("nobodys")
def test_a_host_of_another_cloud_is_left_alone_and_its_guest_runs_on(bed: Bed, folder: Path) -> None:
    spec = make_spec()

    async def main() -> None:
        async with driving(bed, folder, "one") as driver:
            link = driver.links[0]
            await wait_until(link, up=True)
            await driver.spawn(link.uuid, spec, deadline=60)
            async with driving(bed, folder, "two") as other:
                async with asyncio.timeout(60):
                    while not all(each.quarantined for each in other.links):
                        await asyncio.sleep(0.05)
                assert "belongs to cloud one, and this is cloud two" in other.links[0].reason
                assert await other.hosts(deadline=1) == ()
            copies = await driver.list_servers(link.uuid, deadline=30)
            assert [(copy.key, copy.power_state) for copy in copies] == [(spec.key, "running")]
            await driver.destroy(link.uuid, spec.key, deadline=60)

    asyncio.run(main())


@pytest.mark.usefixtures("nobodys")
def test_a_copy_of_another_cloud_is_not_shown_and_not_touched(bed: Bed, folder: Path) -> None:
    spec = make_spec()
    theirs = plan(spec, HostSpec("theirs", "", virt_type="qemu", cloud="two"))

    async def main() -> None:
        async with driving(bed, folder, "one") as driver:
            link = driver.links[0]
            await wait_until(link, up=True)
            await link.call("test", lambda connection: connection.defineXML(write_domain(theirs)))
            try:
                assert await driver.list_servers(link.uuid, deadline=30) == ()
                with pytest.raises(BackendFailed, match="not ours"):
                    await driver.spawn(link.uuid, spec, deadline=30)
                await driver.destroy(link.uuid, spec.key, deadline=30)
                text = await link.call("test", lambda each: str(each.lookupByUUIDString(spec.uuid).XMLDesc(0)))
                assert read_stamp(text) == theirs.stamp
            finally:
                await link.call("test", lambda connection: connection.lookupByUUIDString(spec.uuid).undefine())

    asyncio.run(main())


@pytest.mark.usefixtures("nobodys")
def test_a_host_of_the_time_before_clouds_had_ids_is_taken_over_with_its_guest(bed: Bed, folder: Path) -> None:
    spec = make_spec()
    uuid, name = bed.hosts()[0].uuid, bed.hosts()[0].name

    async def main() -> None:
        async with driving(bed, folder) as driver:  # one that writes no id
            link = driver.links[0]
            await wait_until(link, up=True)
            await driver.spawn(link.uuid, spec, deadline=60)
        old = json.dumps({"version": 1, "uuid": uuid, "hostname": name, "name": name})
        do(bed, 1, f"echo '{old}' > {FILE}")
        async with driving(bed, folder, "one") as driver:
            link = driver.links[0]
            await wait_until(link, up=True)
            assert json.loads(do(bed, 1, f"tr -d '\\0' < {FILE}")) == json.loads(old) | {"version": 2, "cloud": "one"}
            copies = await driver.list_servers(link.uuid, deadline=30)
            assert [(copy.key, copy.power_state) for copy in copies] == [(spec.key, "running")]
            await driver.destroy(link.uuid, spec.key, deadline=60)

    asyncio.run(main())
