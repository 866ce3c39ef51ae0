"""``check_driver`` on real hosts: the driver of libvirt keeps the contract, in order and in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sundog.backends.conformance import CLAUSES, check_driver
from sundog.backends.contract import HostState, ImageReference
from sundog.backends.libvirt.driver import LibvirtDriver, connected
from sundog.backends.libvirt.keeper import Settings
from sundog.backends.libvirt.link import HostSpec, Patience
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.bed.image import guest_image
from tests.bed.layout import PORT
from tests.conformance.libvirt_wire import DOMAIN_CREATE, DOMAIN_DESTROY, DOMAIN_UNDEFINE_FLAGS, Trick, Wire

pytest_plugins = ["tests.bed.fixtures"]
pytestmark = [pytest.mark.libvirt, pytest.mark.slow]
pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

SETTINGS = Settings(soft_s=20.0, detach_s=40.0, patience=Patience(call=10.0))
PROCEDURES = {
    ("spawn", "fail"): DOMAIN_CREATE,
    ("spawn", "hang"): DOMAIN_CREATE,
    ("spawn", "lose"): DOMAIN_CREATE,
    ("power_off", "fail"): DOMAIN_DESTROY,
    ("destroy", "lose"): DOMAIN_UNDEFINE_FLAGS,
}


class File:
    """An image in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def read(self, _image: ImageReference) -> AsyncIterator[bytes]:
        with self.path.open("rb") as file:
            while data := file.read(2**20):
                yield data


class BedTrouble:
    """Trouble on a test bed: on the wire for single calls, in the bed for hosts."""

    def __init__(self, bed: Bed, wires: dict[str, Wire], numbers: dict[str, int]) -> None:
        self.bed, self.wires, self.numbers = bed, wires, numbers

    def _order(self, host: str, operation: str, trick: Trick) -> None:
        self.wires[host].tricks[PROCEDURES[operation, trick]] = trick

    async def fail(self, host: str, operation: str) -> None:
        self._order(host, operation, "fail")

    async def hang(self, host: str, operation: str) -> None:
        self._order(host, operation, "hang")

    async def lose_reply(self, host: str, operation: str) -> None:
        self._order(host, operation, "lose")

    async def cut_power(self, host: str) -> None:
        await asyncio.to_thread(self.bed.kill, self.numbers[host])

    async def switch_on(self, host: str) -> None:
        await asyncio.to_thread(self.bed.revive, self.numbers[host])


@asynccontextmanager
async def driven(bed: Bed, folder: Path) -> AsyncIterator[tuple[LibvirtDriver, BedTrouble]]:
    """A driver of the bed's hosts, by way of wires that can be tampered with; the hosts are up."""
    wires = {place.uuid: Wire(place.address, PORT) for place in bed.hosts()}
    specs = [
        HostSpec(
            place.name, f"qemu+tcp://127.0.0.1:{await wires[place.uuid].open()}/system", uuid=place.uuid,
            virt_type="qemu", address=place.address,
        )
        for place in bed.hosts()
    ]  # fmt: skip
    trouble = BedTrouble(bed, wires, {place.uuid: place.number for place in bed.hosts()})
    try:
        async with connected(specs, images=File(guest_image().disk), folder=folder, settings=SETTINGS) as driver:
            await wait_up(driver)
            yield driver, trouble
        async with asyncio.timeout(10):  # it leaves no connection behind
            for wire in wires.values():
                await wire.idle()
    finally:
        for wire in wires.values():
            await wire.close()


async def wait_up(driver: LibvirtDriver) -> None:
    async with asyncio.timeout(30):
        while not all(link.state is HostState.UP for link in driver.links):
            await asyncio.sleep(0.05)


def play(bed: Bed, folder: Path, scene: Callable[[LibvirtDriver, BedTrouble], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with driven(bed, folder) as (driver, trouble):
            return await scene(driver, trouble)

    return asyncio.run(main())


@pytest.mark.parametrize("clause", CLAUSES)
def test_real_hosts_keep_the_contract(bed: Bed, tmp_path_factory: pytest.TempPathFactory, clause: str) -> None:
    disk = guest_image().disk
    image = ImageReference("guest", disk.stat().st_size, "qcow2")

    async def scene(driver: LibvirtDriver, trouble: BedTrouble) -> None:
        found = await check_driver(
            driver, image=image, ids=Ids(np.random.default_rng()), deadline=60.0, patience=60.0, memory_mib=96,
            only=[clause], trouble=trouble,
        )  # fmt: skip
        assert found.clauses == (clause,)
        assert found.skipped == ()
        assert not any(wire.tricks for wire in trouble.wires.values()), "a trick was never played"

    play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)
