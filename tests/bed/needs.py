"""What the test bed needs of the machine: Debian's packages, by the command or the file that each is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

MISSING = 75
"""The exit code where something is not installed, as of other tools here."""

HOSTS: Mapping[str, str] = {
    "libvirtd": "libvirt-daemon-system",
    "virtlogd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "nft": "nftables",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "genisoimage": "genisoimage",
    "ssh-keygen": "openssh-client",
}
"""For hosts: libvirt's networks ask for dnsmasq and iptables."""

GUEST: Mapping[str, str] = {
    "apt-get": "apt",
    "cpio": "cpio",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "syslinux": "syslinux",
    "zstd": "zstd",
    "/usr/lib/syslinux/mbr/mbr.bin": "syslinux-common",
}
"""For the guest's image. What goes into the guest is downloaded and unpacked, never installed."""

BUILD: Mapping[str, str] = {
    "gcc": "gcc",
    "pkg-config": "pkg-config",
    "/usr/include/libvirt/libvirt.h": "libvirt-dev",
    f"{sysconfig.get_paths()['include']}/Python.h": "python3-dev",
}
"""To install libvirt-python, the extra ``libvirt``: it is compiled."""

SEARCHED = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


class BedError(Exception):
    """Something cannot be done; the message says what, and what to do."""


class NotInstalled(BedError):
    """A package is missing."""


def missing(needs: Mapping[str, str]) -> list[str]:
    """The packages whose commands, or files if the name is a path, are not there; sorted."""
    return sorted({package for name, package in needs.items() if not _is_there(name)})


def need(needs: Mapping[str, str], *, install: bool = False) -> None:
    """Make sure that everything is there. NotInstalled names what is not, unless ``install`` asks apt to install it."""
    wanted = missing(needs)
    if not wanted:
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    if not install:
        raise NotInstalled(f"not installed: {', '.join(wanted)}; --install installs them (Debian, as root)")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for each in (["apt-get", "update", "-qq"], command):
        if subprocess.run(each, env=quiet, stdout=sys.stderr, check=False).returncode:
            raise NotInstalled(f"{' '.join(each)} failed; not installed: {', '.join(wanted)}")
    if still := missing(needs):
        raise NotInstalled(f"not there although apt-get installed them: {', '.join(still)}")


def _is_there(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(name, path=SEARCHED) is not None
