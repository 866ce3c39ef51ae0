"""A driver of a test bed's real hosts, for tests to play with; trouble with its wires and its hosts included."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sundog.backends.contract import HostState, ImageReference
from sundog.backends.libvirt.driver import LibvirtDriver, connected
from sundog.backends.libvirt.fencing import CommandFencer
from sundog.backends.libvirt.keeper import Fencer, Settings
from sundog.backends.libvirt.link import HostSpec, Patience
from tests.bed.bed import Bed
from tests.bed.image import guest_image
from tests.bed.layout import PORT
from tests.conftest import REPOSITORY
from tests.libvirt_wire import DOMAIN_CREATE, DOMAIN_DESTROY, DOMAIN_UNDEFINE_FLAGS, Trick, Wire

# A machine that is busy otherwise may keep a daemon waiting for seconds; a driver that is used gives up sooner.
PATIENCE = Patience(call=15.0, silent=20.0, keepalives=9)
SETTINGS = Settings(soft_s=20.0, detach_s=40.0, patience=PATIENCE)
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
async def driven(
    bed: Bed, folder: Path, settings: Settings = SETTINGS, *, fencer: Fencer | None = None, wired: bool = False
) -> AsyncIterator[tuple[LibvirtDriver, BedTrouble]]:
    """A driver of the bed's hosts, by way of wires that can be tampered with; the hosts are up.

    ``wired``: a network driver is to be made over it, which puts filters and tunnels there.
    """
    wires = {place.uuid: Wire(place.address, PORT) for place in bed.hosts()}
    specs = [
        HostSpec(
            place.name, f"qemu+tcp://127.0.0.1:{await wires[place.uuid].open()}/system", uuid=place.uuid,
            virt_type="qemu", address=place.address, filtered=wired, wire="eth1" if wired else "",
            shell=bed_tool(bed, "run", place.number),
        )
        for place in bed.hosts()
    ]  # fmt: skip
    trouble = BedTrouble(bed, wires, {place.uuid: place.number for place in bed.hosts()})
    try:
        images = File(guest_disk())
        async with connected(specs, images=images, folder=folder, settings=settings, fencer=fencer) as driver:
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


def bed_tool(bed: Bed, *words: object) -> tuple[str, ...]:
    """The command that does something to a bed from outside, also when its hosts have been off in between."""
    command = (sys.executable, REPOSITORY / "tools/libvirt-bed", "--bed", bed.layout.number, *words)
    return tuple(map(str, command))


def power_switch(bed: Bed) -> CommandFencer:
    """What switches the bed's hosts off, as their owner would be asked for it."""
    return CommandFencer({place.uuid: bed_tool(bed, "fault", "kill", place.number) for place in bed.hosts()})


def play(
    bed: Bed, folder: Path, scene: Callable[[LibvirtDriver, BedTrouble], Awaitable[Any]], *,
    settings: Settings = SETTINGS, **options: Any,
) -> Any:  # fmt: skip
    async def main() -> Any:
        async with driven(bed, folder, settings, **options) as (driver, trouble):
            return await scene(driver, trouble)

    return asyncio.run(main())


@cache
def guest_disk() -> Path:
    """The tiny guest's disk. It is looked for once: apt is asked for seconds, which must not be an asyncio loop's."""
    return guest_image().disk


def guest_reference() -> ImageReference:
    """The tiny guest as an image."""
    return ImageReference("guest", guest_disk().stat().st_size, "qcow2")
