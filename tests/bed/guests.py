"""Guests of tests: their disks, their config drives, and the XML that libvirt is told, made of elements."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from tests.bed.needs import BedError


@dataclass(frozen=True)
class Guest:
    """A small guest with one disk and no more than one card. ``bridge`` is one of its host; empty means no card."""

    name: str
    uuid: str
    disk: Path
    console: Path
    config_drive: Path | None = None
    bridge: str = ""
    mac: str = ""
    memory_mib: int = 128


def domain(guest: Guest) -> str:
    """The XML of the guest's domain, emulated. Its console is written to a file as well."""
    root = ET.Element("domain", type="qemu")
    for tag, text in (("name", guest.name), ("uuid", guest.uuid), ("vcpu", "1")):
        ET.SubElement(root, tag).text = text
    ET.SubElement(root, "memory", unit="MiB").text = str(guest.memory_mib)
    system = ET.SubElement(root, "os")
    ET.SubElement(system, "type", arch="x86_64", machine="pc").text = "hvm"
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    cpu = ET.SubElement(root, "cpu", mode="custom", match="exact")
    ET.SubElement(cpu, "model").text = "qemu64"
    devices = ET.SubElement(root, "devices")
    _disk(devices, "disk", "qcow2", guest.disk, ("vda", "virtio"))
    if guest.config_drive:
        ET.SubElement(_disk(devices, "cdrom", "raw", guest.config_drive, ("hda", "ide")), "readonly")
    if guest.bridge:
        card = ET.SubElement(devices, "interface", type="bridge")
        ET.SubElement(card, "source", bridge=guest.bridge)
        ET.SubElement(card, "mac", address=guest.mac)
        ET.SubElement(card, "model", type="virtio")
    serial = ET.SubElement(devices, "serial", type="pty")
    ET.SubElement(serial, "log", file=str(guest.console), append="on")
    ET.SubElement(devices, "memballoon", model="none")
    return ET.tostring(root, encoding="unicode")


def _disk(devices: ET.Element, device: str, kind: str, path: Path, target: tuple[str, str]) -> ET.Element:
    disk = ET.SubElement(devices, "disk", type="file", device=device)
    ET.SubElement(disk, "driver", name="qemu", type=kind, cache="none")
    ET.SubElement(disk, "source", file=str(path))
    ET.SubElement(disk, "target", dev=target[0], bus=target[1])
    return disk


def make_overlay(base: Path, disk: Path) -> None:
    """A disk on top of another, which stays as it is."""
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(disk))


def make_config_drive(folder: Path, *, host: str, key: str, user_data: str = "") -> Path:
    """A config drive as OpenStack makes them, in an empty folder that is there."""
    latest = folder / "drive/openstack/latest"
    latest.mkdir(parents=True)
    told = {"uuid": "0", "name": host, "hostname": f"{host}.novalocal", "public_keys": {"key": f"{key}\n"}}
    (latest / "meta_data.json").write_text(json.dumps(told))
    if user_data:
        (latest / "user_data").write_text(user_data)
    image = folder / "config.iso"
    _run("genisoimage", "-quiet", "-R", "-J", "-V", "config-2", "-o", str(image), str(folder / "drive"))
    return image


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BedError(f"{' '.join(command)}: {done.stderr.strip()}")
