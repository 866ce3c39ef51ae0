"""What we let libvirt know as a domain, as frozen records: a copy of a server, its disks and its interfaces.

A domain is ours if and only if it carries the stamp of our cloud; everything else on a host is somebody else's and is
never touched. A copy's domain has the server's own uuid, so that a guest finds it in its firmware; only a copy that is
kept for a revert steps aside, to a uuid and a name of its own, because the new copy may be on the same host.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Final, Literal

from sundog.backends.contract import ServerKey
from sundog.units import MiB

# The root of the uuids of kept copies. Never to be changed: domains on hosts have them.
_KEPT: Final = uuid.UUID("5bd5cdb1-36a1-4a5a-9c0b-6cf4a1a3f4b4")

VirtType = Literal["kvm", "qemu"]
DiskFormat = Literal["qcow2", "raw"]
DiskRole = Literal["root", "ephemeral", "swap", "config", "rescue"]


@dataclass(frozen=True, slots=True)
class Stamp:
    """How we know a domain again. ``name`` and ``project_id`` are for people who look with virsh.

    ``finished`` is False while a copy is being made. ``kept`` is the source of a resize, and ``ran`` whether that is to
    run again if the move fails. ``rescue`` is the image that a copy was booted from instead of its own disk. ``cloud``
    is the id of the cloud whose copy it is; empty for a cloud without one, and for one made when there were no ids.
    """

    server: str
    generation: int
    name: str = ""
    project_id: str = ""
    finished: bool = True
    kept: bool = False
    ran: bool = False
    rescue: str = ""
    cloud: str = ""

    @property
    def key(self) -> ServerKey:
        """Which copy this is."""
        return ServerKey(self.server, self.generation)


@dataclass(frozen=True, slots=True)
class Disk:
    """A file of a host as a disk of a guest. Formats are always said, and never found out by looking at the file.

    ``backing`` is the path of the qcow2 file below an overlay, empty without one. Every disk but the config drive can
    be written.
    """

    role: DiskRole
    path: str
    format: DiskFormat
    backing: str = ""


@dataclass(frozen=True, slots=True)
class Interface:
    """A port as a network card. ``network`` is libvirt's network on the host, ``tap`` the device's name there.

    ``filter`` is the name of libvirt's filter for it, empty without one; it is on the host before the card is plugged.
    """

    port: str
    mac: str
    network: str
    tap: str
    mtu: int = 1500
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Domain:
    """A copy as libvirt is to run it. The order of disks and interfaces is the order in which the guest sees them."""

    uuid: str
    name: str
    stamp: Stamp
    virt_type: VirtType
    vcpus: int
    memory_mib: MiB
    disks: tuple[Disk, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    console_log: str = ""
    vnc_address: str = "127.0.0.1"
    machine: str = "pc"

    def disk(self, role: DiskRole) -> Disk | None:
        """The first disk of a role."""
        return next((disk for disk in self.disks if disk.role == role), None)


def domain_uuid(key: ServerKey, *, kept: bool = False) -> str:
    """The uuid of a copy's domain."""
    return str(uuid.uuid5(_KEPT, str(key))) if kept else key.uuid


def domain_name(key: ServerKey, *, kept: bool = False) -> str:
    """The name of a copy's domain, which is unique on a host."""
    return f"sundog-{key.uuid}-kept-{key.generation}" if kept else f"sundog-{key.uuid}"


def tap_name(port: str) -> str:
    """The name of a port's device on a host: at most 15 characters, as Linux wants it, and Neutron's own."""
    return f"tap{port[:11]}"


def network_name(network: str) -> str:
    """The name of a network of ours as libvirt's on a host."""
    return f"sundog-{network}"


def bridge_name(network: str) -> str:
    """The name of a network's bridge on a host: at most 15 characters."""
    return f"sbr{network.replace('-', '')[:11]}"


def finished(domain: Domain) -> Domain:
    """The same domain, made to its end."""
    return replace(domain, stamp=replace(domain.stamp, finished=True))
