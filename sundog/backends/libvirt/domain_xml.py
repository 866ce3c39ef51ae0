"""A domain as libvirt's XML, and back. Only a serializer writes it, so that no name can become an element.

Formats: https://libvirt.org/formatdomain.html. What libvirt adds to a domain by itself (addresses, controllers, ids) is
skipped when it is read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast
from xml.etree.ElementTree import Element, SubElement

from sundog.backends.libvirt.documents import document, parse
from sundog.backends.libvirt.records import Disk, DiskFormat, DiskRole, Domain, Interface, Stamp, VirtType
from sundog.errors import BackendFailed

NAMESPACE: Final = "urn:sundog:copy:1"
ET.register_namespace("sundog", NAMESPACE)

# The parts of a stamp that may be any text.
_WORDS: Final = ("name", "project", "rescue", "cloud")
_TRUTH: Final = {True: "yes", False: "no"}
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
# What a guest's translated code may take of the host's memory, without KVM; QEMU alone would take 1 GiB.
_TCG_CACHE_MIB: Final = 32


def write_domain(domain: Domain) -> str:
    """The XML that defines a domain."""
    root = Element("domain", type=domain.virt_type)
    _text(root, "name", domain.name)
    _text(root, "uuid", domain.uuid)
    metadata = SubElement(root, "metadata")
    metadata.append(stamp_element(domain))
    _text(root, "memory", str(round(domain.memory_mib)), unit="MiB")
    _text(root, "vcpu", str(domain.vcpus), placement="static")
    system = SubElement(root, "os")
    _text(system, "type", "hvm", arch="x86_64", machine=domain.machine)
    SubElement(system, "boot", dev="hd")
    features = SubElement(root, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    if domain.virt_type == "qemu":
        _text(SubElement(features, "tcg"), "tb-cache", str(_TCG_CACHE_MIB), unit="MiB")
        cpu = SubElement(root, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", "qemu64", fallback="forbid")
    else:
        SubElement(root, "cpu", mode="host-model")
    SubElement(root, "clock", offset="utc")
    for event, action in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        _text(root, event, action)
    _devices(SubElement(root, "devices"), domain)
    return document(root)


def _devices(devices: Element, domain: Domain) -> None:
    for disk, target in zip(domain.disks, target_names(domain), strict=True):
        devices.append(_disk_element(disk, target))
    for interface in domain.interfaces:
        devices.append(_interface_element(interface))
    serial = SubElement(devices, "serial", type="pty")
    if domain.console_log:
        SubElement(serial, "log", file=domain.console_log, append="on")
    SubElement(serial, "target", port="0")
    SubElement(SubElement(devices, "console", type="pty"), "target", type="serial", port="0")
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    graphics = SubElement(devices, "graphics", type="vnc", port="-1", autoport="yes")
    SubElement(graphics, "listen", type="address", address=domain.vnc_address)
    SubElement(SubElement(devices, "video"), "model", type="vga", vram="16384", heads="1")
    _text(SubElement(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")
    SubElement(devices, "memballoon", model="virtio")


def target_names(domain: Domain) -> tuple[str, ...]:
    """The name by which libvirt knows each disk of a domain."""
    letters = iter(_LETTERS)
    return tuple("hda" if disk.role == "config" else f"vd{next(letters)}" for disk in domain.disks)


def write_backup(target: str, path: str, targets: Sequence[str]) -> str:
    """The XML that copies the disk ``target`` into the file ``path``, and none other of ``targets``."""
    root = Element("domainbackup", mode="push")
    disks = SubElement(root, "disks")
    for each in targets:
        disk = SubElement(disks, "disk", name=each, backup=_TRUTH[each == target])
        if each == target:
            disk.set("type", "file")
            SubElement(disk, "target", file=path)
            SubElement(disk, "driver", type="qcow2")
    return document(root)


def _disk_element(disk: Disk, target: str) -> Element:
    readonly = disk.role == "config"
    root = Element("disk", type="file", device="cdrom" if readonly else "disk")
    SubElement(root, "driver", name="qemu", type=disk.format, cache="none")
    SubElement(root, "source", file=disk.path)
    chain = SubElement(root, "backingStore")
    if disk.backing:
        chain.set("type", "file")
        SubElement(chain, "format", type="qcow2")
        SubElement(chain, "source", file=disk.backing)
        SubElement(chain, "backingStore")  # the end, so that nobody looks for more in the file itself
    SubElement(root, "target", dev=target, bus="ide" if readonly else "virtio")
    if readonly:
        SubElement(root, "readonly")
    SubElement(root, "alias", name=f"ua-{disk.role}-{target}")
    return root


def _interface_element(interface: Interface) -> Element:
    root = Element("interface", type="network")
    SubElement(root, "mac", address=interface.mac)
    SubElement(root, "source", network=interface.network)
    SubElement(root, "target", dev=interface.tap)
    SubElement(root, "model", type="virtio")
    SubElement(root, "mtu", size=str(interface.mtu))
    if interface.filter:
        SubElement(root, "filterref", filter=interface.filter)
    SubElement(root, "alias", name=f"ua-{interface.port}")
    return root


def write_interface(interface: Interface) -> str:
    """The XML that plugs an interface into a running domain."""
    return document(_interface_element(interface))


def stamp_element(domain: Domain) -> Element:
    """Our part of a domain's metadata: the stamp, and the role of each disk."""
    stamp = domain.stamp
    root = Element(f"{{{NAMESPACE}}}copy", server=stamp.server, generation=str(stamp.generation))
    root.set("finished", _TRUTH[stamp.finished])
    root.set("kept", _TRUTH[stamp.kept])
    root.set("ran", _TRUTH[stamp.ran])
    for name, value in zip(_WORDS, (stamp.name, stamp.project_id, stamp.rescue, stamp.cloud), strict=True):
        root.set(name, escape(value))
    for disk in domain.disks:
        SubElement(root, f"{{{NAMESPACE}}}disk", role=disk.role, file=disk.path)
    return root


def escape(text: str) -> str:
    """Any text as printable ASCII: XML knows no control characters, and takes others for mere space."""
    return text.encode("unicode_escape").decode("ascii")


def unescape(text: str) -> str:
    """The text that ``escape`` was given. Raises: ValueError for what it never gave."""
    return text.encode("ascii").decode("unicode_escape")


# ------------------------------------------------------------------------------------------------------------- reading


def read_stamp(text: str) -> Stamp | None:
    """The stamp in a domain's XML, or in its metadata alone; None if the domain is not ours."""
    element = _stamp_in(parse(text))
    return None if element is None else _stamp(element)


def read_domain(text: str) -> Domain | None:
    """The domain in libvirt's XML, live or as it was defined; None if it is not ours."""
    root = parse(text)
    element = _stamp_in(root)
    if element is None:
        return None
    roles = {each.get("file", ""): each.get("role", "") for each in element.iterfind(f"{{{NAMESPACE}}}disk")}
    devices = root.find("devices")
    if devices is None:
        devices = Element("devices")
    serial, listen, system = devices.find("serial/log"), devices.find("graphics/listen"), root.find("os/type")
    return Domain(
        uuid=_said(root, "uuid"),
        name=_said(root, "name"),
        stamp=_stamp(element),
        virt_type=cast(VirtType, root.get("type", "")),
        vcpus=int(_said(root, "vcpu")),
        memory_mib=_mebibytes(root),
        disks=tuple(_disk(each, roles) for each in devices.iterfind("disk")),
        interfaces=tuple(_interface(each) for each in devices.iterfind("interface")),
        console_log="" if serial is None else serial.get("file", ""),
        vnc_address="" if listen is None else listen.get("address", ""),
        machine="" if system is None else system.get("machine", ""),
    )


def read_screen(text: str) -> tuple[str, int] | None:
    """The address and the port on which a live domain's screen is shown; None if it has none."""
    graphics = parse(text).find("devices/graphics[@type='vnc']")
    if graphics is None or int(graphics.get("port", "-1")) < 0:
        return None
    listen = graphics.find("listen")
    return ("" if listen is None else listen.get("address", "")), int(graphics.get("port", "-1"))


def restamped(text: str, domain: Domain) -> str:
    """The XML ``text`` of a live domain with the stamp of ``domain`` and nothing else changed: for a migration."""
    root = parse(text)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = SubElement(root, "metadata")
    for old in metadata.findall(f"{{{NAMESPACE}}}copy"):
        metadata.remove(old)
    metadata.append(stamp_element(domain))
    return document(root)


def with_screen_at(text: str, address: str) -> str:
    """The XML ``text`` of a domain whose screen listens on ``address``."""
    root = parse(text)
    for graphics in root.iterfind("devices/graphics"):
        graphics.attrib.pop("listen", None)
        for listen in graphics.findall("listen"):
            listen.set("address", address)
    return document(root)


def next_generation(domain: Domain, generation: int) -> Domain:
    """The same domain as a copy of another generation."""
    return replace(domain, stamp=replace(domain.stamp, generation=generation))


def _stamp_in(root: Element) -> Element | None:
    tag = f"{{{NAMESPACE}}}copy"
    return root if root.tag == tag else root.find(f"metadata/{tag}")


def _stamp(element: Element) -> Stamp:
    try:
        server, generation = element.attrib["server"], int(element.attrib["generation"])
        name, project, rescue, cloud = (unescape(element.get(each, "")) for each in _WORDS)
    except (KeyError, ValueError) as error:
        raise BackendFailed(
            f"the stamp of a domain cannot be read: {error}; somebody changed it, so put it right with virsh edit"
        ) from error
    yes = [element.get(each) == "yes" for each in ("finished", "kept", "ran")]
    return Stamp(server, generation, name, project, yes[0], yes[1], yes[2], rescue, cloud)


def _disk(element: Element, roles: dict[str, str]) -> Disk:
    driver, source = element.find("driver"), element.find("source")
    path = "" if source is None else source.get("file", "")
    below = element.find("backingStore/source")
    fallback = "config" if element.get("device") == "cdrom" else "root"
    return Disk(
        cast(DiskRole, roles.get(path, fallback)),
        path,
        cast(DiskFormat, "raw" if driver is None else driver.get("type", "raw")),
        "" if below is None else below.get("file", ""),
    )


def _interface(element: Element) -> Interface:
    def said(tag: str, name: str) -> str:
        found = element.find(tag)
        return "" if found is None else found.get(name, "")

    return Interface(
        said("alias", "name").removeprefix("ua-"),
        said("mac", "address"),
        said("source", "network"),
        said("target", "dev"),
        int(said("mtu", "size") or 1500),
        said("filterref", "filter"),
    )


def _mebibytes(root: Element) -> int:
    memory = root.find("memory")
    if memory is None:
        raise BackendFailed("a domain of ours says no memory; somebody changed it, so put it right with virsh edit")
    scale = {"b": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 2.0**10}[memory.get("unit", "KiB")]
    return round(int(memory.text or 0) * scale)


def _said(root: Element, tag: str) -> str:
    text = root.findtext(tag)
    if text is None:
        raise BackendFailed(f"a domain has no <{tag}>; put it right with virsh edit")
    return text


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text
