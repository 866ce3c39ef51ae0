"""What a server is to be on a host: its domain and its files. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sundog.backends.contract import PortSpec, ServerKey, ServerSpec
from sundog.backends.libvirt.link import HostSpec
from sundog.backends.libvirt.network_filters import filter_name
from sundog.backends.libvirt.records import (
    Disk,
    DiskRole,
    Domain,
    Interface,
    Stamp,
    domain_name,
    domain_uuid,
    network_name,
    tap_name,
)

_GIB = 2**30
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty disk to be made, by the name of its volume."""

    role: DiskRole
    volume: str
    size_bytes: int


def stem(key: ServerKey) -> str:
    """What the names of a copy's files begin with."""
    return f"{key.uuid}-{key.generation}."


def volume_name(key: ServerKey, role: DiskRole) -> str:
    """The name of a copy's disk on its host."""
    return f"{stem(key)}{role}.{'iso' if role == 'config' else 'qcow2'}"


def log_name(key: ServerKey) -> str:
    """The name of a copy's console log on its host."""
    return f"{stem(key)}log"


def blanks(spec: ServerSpec) -> tuple[Blank, ...]:
    """The disks of a server that begin empty."""
    sizes: tuple[tuple[DiskRole, int], ...] = (
        ("root", spec.root_gib * _GIB if spec.image is None else 0),
        ("ephemeral", spec.ephemeral_gib * _GIB),
        ("swap", spec.swap_mib * _MIB),
    )
    return tuple(Blank(role, volume_name(spec.key, role), size) for role, size in sizes if size)


def interface(port: PortSpec, *, filtered: bool = False) -> Interface:
    """A port as a network card."""
    filtering = filter_name(port.id) if filtered else ""
    return Interface(port.id, port.mac_address, network_name(port.network_id), tap_name(port.id), port.mtu, filtering)


def plan(spec: ServerSpec, host: HostSpec, *, base: str = "", config: bool = False, root: bool = True) -> Domain:
    """The domain of a server. ``base`` is the volume below its root disk; ``root``: it has one; ``config``: a drive."""
    key = spec.key
    roles: list[DiskRole] = ["root"] if root else []
    roles += [blank.role for blank in blanks(spec) if blank.role != "root"]
    disks = [Disk(role, f"{host.pool}/{volume_name(key, role)}", "qcow2") for role in roles]
    if base and disks:
        disks[0] = Disk("root", disks[0].path, "qcow2", f"{host.pool}/{base}")
    if config:
        disks.append(Disk("config", f"{host.pool}/{volume_name(key, 'config')}", "raw"))
    return Domain(
        uuid=domain_uuid(key),
        name=domain_name(key),
        stamp=Stamp(spec.uuid, spec.generation, spec.name, spec.project_id, finished=False, cloud=host.cloud),
        virt_type=host.virt_type,
        vcpus=spec.vcpus,
        memory_mib=spec.memory_mib,
        disks=tuple(disks),
        interfaces=tuple(interface(port, filtered=host.filtered) for port in spec.ports),
        console_log=f"{host.pool}/console-logs/{log_name(key)}",
        vnc_address=host.address,
    )
