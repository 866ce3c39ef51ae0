"""What libvirt is told of a guest, and what an image of guests is called."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.bed.guests import Guest, domain
from tests.bed.image import Package, key
from tests.bed.needs import NotInstalled, missing, need

GUEST = Guest("a <b> & 'c'", "11111111-0000-4000-8000-000000000001", Path("/disk"), Path("/console"))
PACKAGES = [Package("busybox_1.deb", "SHA256:1"), Package("linux_2.deb", "SHA256:2")]


def test_a_guest_is_emulated_and_its_disk_s_format_is_told() -> None:
    root = ET.fromstring(domain(GUEST))
    assert root.get("type") == "qemu"
    assert root.findtext("name") == GUEST.name
    disks = root.findall("devices/disk")
    assert [disk.find("driver").get("type") for disk in disks] == ["qcow2"]  # type: ignore[union-attr]
    assert root.find("devices/interface") is None


def test_an_image_is_made_anew_when_a_package_changes() -> None:
    newer = [PACKAGES[0], Package("linux_3.deb", "SHA256:3")]
    rebuilt = [PACKAGES[0], Package("linux_2.deb", "SHA256:4")]
    assert key(PACKAGES) == key(list(PACKAGES))
    assert len({key(each) for each in (PACKAGES, newer, rebuilt)}) == 3


def test_what_is_not_installed_is_named_once_and_nothing_is_installed_unasked() -> None:
    needs = {"sh": "dash", "no-such-command": "some-package", "/no/such/file": "some-package", "/bin/sh": "dash"}
    assert missing(needs) == ["some-package"]
    with pytest.raises(NotInstalled, match="not installed: some-package; --install"):
        need(needs)
    need({"sh": "dash"})
