"""What a host says of itself, read from libvirt's XML; and the pools, volumes and networks that we ask it for.

Formats: https://libvirt.org/format.html, the parts on capabilities, storage and networks.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from sundog.backends.libvirt.documents import document, parse
from sundog.errors import BackendFailed


@dataclass(frozen=True, slots=True)
class NumaCell:
    """A NUMA cell: its number, its processors and its memory."""

    number: int
    cpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is. ``virt_types`` are the kinds of domain that it runs, such as ``kvm``; ``features`` its CPU's."""

    uuid: str
    arch: str
    cells: tuple[NumaCell, ...]
    virt_types: tuple[str, ...]
    features: tuple[str, ...] = ()

    @property
    def cpus(self) -> int:
        """All its processors."""
        return sum(cell.cpus for cell in self.cells)

    @property
    def memory_mib(self) -> int:
        """All its memory."""
        return sum(cell.memory_mib for cell in self.cells)


def read_capabilities(text: str, features: tuple[str, ...] = ()) -> HostFacts:
    """The facts in ``virConnectGetCapabilities``. ``features`` are those of the CPU, which are asked for by itself."""
    root = parse(text)
    cells = tuple(
        NumaCell(int(cell.get("id", "0")), len(cell.findall("cpus/cpu")), int(cell.findtext("memory") or 0) // 1024)
        for cell in root.iterfind("host/topology/cells/cell")
    )
    kinds = (each.get("type", "") for each in root.iterfind("guest/arch[@name='x86_64']/domain"))
    return HostFacts(
        (root.findtext("host/uuid") or "").lower(), root.findtext("host/cpu/arch") or "", cells,
        tuple(dict.fromkeys(kinds)), features,
    )  # fmt: skip


def read_cpu(text: str) -> str:
    """The host's CPU in its capabilities, as XML that libvirt can be asked about; empty if it says no model."""
    cpu = parse(text).find("host/cpu")
    return "" if cpu is None or cpu.find("model") is None else ET.tostring(cpu, encoding="unicode")


def read_features(text: str) -> tuple[str, ...]:
    """The features that a CPU in XML has, in order."""
    names = (each.get("name", "") for each in parse(text).iterfind("feature") if each.get("policy") != "disable")
    return tuple(sorted(set(names)))


def read_pool_path(text: str) -> str:
    """Where the files of a pool lie on its host."""
    path = parse(text).findtext("target/path")
    if not path:
        raise BackendFailed("the storage pool has no target path; it must be one of the type 'dir' or 'netfs'")
    return path


def read_backing(text: str) -> str:
    """The path of the file below a volume; empty without one."""
    return parse(text).findtext("backingStore/path") or ""


def read_files(text: str) -> frozenset[str]:
    """The paths of all files that a domain has as disks, and of those below them."""
    return frozenset(path for each in parse(text).iterfind("devices//source") if (path := each.get("file")))


def write_pool(name: str, path: str) -> str:
    """The XML of a pool that is a folder."""
    root = Element("pool", type="dir")
    SubElement(root, "name").text = name
    SubElement(SubElement(root, "target"), "path").text = path
    return document(root)


def write_volume(name: str, disk_format: str, capacity_bytes: int, *, backing: str = "") -> str:
    """The XML of a volume that takes no room before it is written. ``backing`` is the path of a qcow2 file below it."""
    root = Element("volume", type="file")
    SubElement(root, "name").text = name
    SubElement(root, "capacity", unit="bytes").text = str(capacity_bytes)
    SubElement(root, "allocation", unit="bytes").text = "0"
    target = SubElement(root, "target")
    SubElement(target, "format", type=disk_format)
    if disk_format == "qcow2":
        SubElement(target, "compat").text = "1.1"
    SubElement(SubElement(target, "permissions"), "mode").text = "0600"
    if backing:
        below = SubElement(root, "backingStore")
        SubElement(below, "path").text = backing
        SubElement(below, "format", type="qcow2")
    return document(root)


def write_network(name: str, bridge: str, mtu: int, *, own: bool = True) -> str:
    """The XML of a network that is a bare bridge: no addresses, no DHCP, no way out but what is added to it.

    ``own`` False: libvirt does not make the bridge, somebody else does.
    """
    root = Element("network")
    SubElement(root, "name").text = name
    if not own:
        SubElement(root, "forward", mode="bridge")
        SubElement(root, "bridge", name=bridge)
        return document(root)
    SubElement(root, "bridge", name=bridge, stp="off", delay="0")
    SubElement(root, "mtu", size=str(mtu))
    return document(root)
