"""Real hosts for a cloud: a driver over those of its state folder, which follows what is added and removed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sundog.app.hosts import FILE_NAME, KnownHost, read_hosts
from sundog.app.wires import Guests, make_node
from sundog.backends.contract import HostState, ImageReference
from sundog.backends.libvirt.driver import LibvirtDriver, connected
from sundog.backends.libvirt.fencing import CommandFencer
from sundog.backends.libvirt.images import Fetched
from sundog.backends.libvirt.network import LibvirtNetworks, networks_over
from sundog.backends.libvirt.network_metadata import Doors
from sundog.backends.libvirt.network_node import why_no_node
from sundog.control.compute import Compute
from sundog.control.image.files import BLOCK, ImageFiles
from sundog.errors import SundogError
from sundog.runtime import aio
from sundog.units import Seconds

_LOG: Final = logging.getLogger("sundog.hosts")

# How long a start waits for hosts that do not answer; it goes on without them.
_PATIENCE: Final[Seconds] = 10.0
# Between two looks at which hosts there are to be, and which there are.
_LOOK: Final[Seconds] = 1.0


class Uploaded:
    """The data of images that were uploaded to this cloud, for its driver."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    async def read(self, image: ImageReference) -> AsyncIterator[bytes]:
        """Its bytes, a block after the other; others have their turn between two."""
        with self._files.open(image.id) as file:
            while block := file.read(BLOCK):
                yield block
                await aio.sleep(0)


@dataclass(frozen=True, slots=True)
class Real:
    """The real hosts of a cloud: drivers of their servers and networks, who answers guests, and what fences hosts.

    ``node``: this machine is the network node.
    """

    driver: LibvirtDriver
    networks: LibvirtNetworks
    guests: Guests
    fencer: CommandFencer
    node: bool


@asynccontextmanager
async def real_hosts(
    folder: Path, cloud: str, *, work: Path | None = None,
    fetched: Fetched = lambda _host, _image, _seconds: None, patience: Seconds = _PATIENCE,
) -> AsyncIterator[Real]:  # fmt: skip
    """The hosts of a state folder, those that answer connected, for as long as the block.

    ``cloud`` is the id of the cloud that they belong to. ``work`` is where images are, the same folder if it is left
    out. ``fetched`` is told of each image that was brought to a host. Each host has ``patience`` to be connected once;
    those that take longer come later. Raises: InputError if the hosts cannot be read, or libvirt-python is not
    installed.
    """
    work = work or folder
    images, guests = Uploaded(ImageFiles(work / "images")), Guests()
    doors = Doors(guests.ask)
    node = make_node(folder, cloud, doors)
    hosts = read_hosts(folder)
    fencer = CommandFencer(fence_commands(hosts))
    specs = [host.spec(cloud, node=node is not None) for host in hosts]
    made = connected(specs, images=images, folder=work / "flat-images", fetched=fetched, fencer=fencer)
    async with made as driver, networks_over(lambda: driver.links, node, why=why_no_node()) as networks:
        driver.plug_into(networks)
        with suppress(TimeoutError):
            async with aio.timeout(patience):
                while not all(link.is_known for link in driver.links):
                    await aio.sleep(0.05)
        for link in driver.links:
            if link.state is not HostState.UP:
                _LOG.warning("host %s is down: %s", link.name, link.reason)
        try:
            yield Real(driver, networks, guests, fencer, node is not None)
        finally:
            doors.close_all()


async def follow_hosts(real: Real, compute: Compute, folder: Path, cloud: str) -> None:
    """Drive the hosts that the state folder of a cloud has, and let compute know those that come, for ever."""
    driver, path = real.driver, folder / FILE_NAME
    read, up = _stamp(path), _up(driver)
    while True:
        await aio.sleep(_LOOK)
        try:
            if _stamp(path) != read:
                read = _stamp(path)
                hosts = read_hosts(folder)
                real.fencer.commands = fence_commands(hosts)
                driver.drive(host.spec(cloud, node=real.node) for host in hosts)
            if _up(driver) != up:
                up = _up(driver)
                compute.reconciler.wake(await compute.hosts.look())
        except SundogError as error:
            _LOG.warning("the hosts stay as they are: %s", error)


def fence_commands(hosts: Sequence[KnownHost]) -> dict[str, tuple[str, ...]]:
    """What switches hosts off, by their uuids."""
    return {host.uuid: host.fence for host in hosts if host.fence}


def _up(driver: LibvirtDriver) -> list[str]:
    return [link.uuid for link in driver.links if link.state is HostState.UP]


def _stamp(path: Path) -> tuple[int, int] | None:
    """What is another one when the file was replaced."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns
