"""What is looked for in the data of an image while they arrive.

oslo.utils knows the formats and the tricks by which an image makes a host read its own files. What it lets pass is
added here: a declared format must be the one that was found, raw data must not begin like anything else, a disk has a
limit also where its file is small, tables must lie within the file, and no format may name a parent.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from oslo_utils.imageutils.format_inspector import (
    ALL_FORMATS,
    FileInspector,
    ImageFormatError,
    SafetyCheckFailed,
    SafetyViolation,
)

from sundog.errors import Unsupported

DISK_FORMATS: Final = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS: Final = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")

_PLAIN: Final = ("raw", "ami", "ari", "aki", "ploop")
"""Formats without a mark of their own."""

_WRAPPERS: Final = ("ovf", "ova", "docker", "compressed")
"""Containers in which the disk lies wrapped, so that its format does not show."""

_MARKS: Final[Mapping[str, tuple[int, tuple[bytes, ...]]]] = {
    "qcow2": (0, (b"QFI\xfb",)),
    "qed": (0, (b"QED\0",)),
    "vmdk": (0, (b"KDMV", b"COWD", b"# Disk DescriptorFile")),
    "vhd": (0, (b"conectix", b"cxsparse")),
    "vhdx": (0, (b"vhdxfile",)),
    "luks": (0, (b"LUKS\xba\xbe",)),
    "parallels": (0, (b"WithoutFreeSpace", b"WithouFreSpacExt")),
    "vdi": (0x40, (b"\x7f\x10\xda\xbe",)),
    "iso": (0x8001, (b"CD001", b"NSR02", b"NSR03")),
}
"""Where each format has its mark, and what it may be. Data that are cut short still begin with one."""

_HEAD: Final = 0x8010
"""As much of the beginning is kept as the marks need."""

# What a parser raises for data that it cannot make sense of.
_BROKEN: Final = (ImageFormatError, struct.error, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)

_VHDX_PARENT: Final = struct.pack("<IHH8B", 0xA8D35F2D, 0xB30B, 0x454D, *bytes.fromhex("ABF7D3D84834AB0C"))
_QCOW2_DATA_FILE: Final = 0x44415441
_PARENTLESS: Final = "ffffffff"


class Inspection:
    """Looks at the data of one image. Feed all of them, then ask for the :meth:`verdict`."""

    def __init__(self, disk_format: str, container_format: str, *, most_virtual: int) -> None:
        self._disk_format, self._container_format, self._most_virtual = disk_format, container_format, most_virtual
        self._inspectors: dict[str, FileInspector] = {name: make() for name, make in ALL_FORMATS.items()}
        self._given_up: set[str] = set()
        self._head = b""
        self._size = 0

    def feed(self, block: bytes) -> None:
        """Look at the next block."""
        self._size += len(block)
        if len(self._head) < _HEAD:
            self._head += block[: _HEAD - len(self._head)]
        for name, inspector in self._inspectors.items():
            if name in self._given_up:
                continue
            lacking = name == "vhdx" and _lacks_a_part(inspector)
            try:
                inspector.eat_chunk(block)
            except _BROKEN:
                self._given_up.add(name)
            if lacking and _lacks_a_part(inspector):
                self._given_up.add(name)  # or its tables would be read again for each further block

    def verdict(self) -> int | None:
        """How many bytes the disk has that the data describe; None if they do not say. Ask once.

        Raises: Unsupported, Glance's answer to data that it will not have.
        """
        for inspector in self._inspectors.values():
            inspector.finish()
        found = self._found()
        declared = self._disk_format
        if found == {"iso", "gpt"}:
            found = {"iso"}  # a CD that also boots from a stick
        if len(found) > 1:
            raise _refused(f"Multiple formats detected: {','.join(sorted(found))}")
        name = next(iter(found), "raw")
        # A disk with partitions is as raw as one without.
        plain = name in ("raw", "gpt")
        if declared in _PLAIN or (plain and self._container_format in _WRAPPERS):
            if not plain:
                raise _mismatch(declared, name)
            return self._size if declared == "raw" and self._container_format not in _WRAPPERS else None
        if name != declared:
            raise _mismatch(declared, name)
        return self._checked(name)

    def _found(self) -> set[str]:
        """The formats that the data have, by oslo.utils and by their marks."""
        found = {name for name, inspector in self._inspectors.items() if name != "raw" and _matches(inspector)}
        for name, (offset, marks) in _MARKS.items():
            if any(self._head.startswith(mark, offset) for mark in marks):
                found.add(name)
        return found

    def _checked(self, name: str) -> int:
        """The size of the disk, of data that are known to be of one format."""
        inspector = self._inspectors[name]
        if name in self._given_up:
            raise _refused(f"The {name} header cannot be read")
        try:
            inspector.safety_check()
            _CHECKS.get(name, _nothing)(inspector, self._head, self._size)
            size = inspector.virtual_size
        except (SafetyCheckFailed, SafetyViolation):
            raise _refused("Image failed safety checks") from None
        except _BROKEN:
            raise _refused(f"The {name} header cannot be read; are the data cut short?") from None
        if size > self._most_virtual:
            raise _refused(f"The disk in the image has {size} bytes; the limit is {self._most_virtual}")
        return size


def _matches(inspector: FileInspector) -> bool:
    try:
        return inspector.format_match
    except _BROKEN:
        return False


def _lacks_a_part(vhdx: FileInspector) -> bool:
    """Whether a table of a VHDX that is here whole has not led to what it should lead to, or not yet."""
    steps = (("header", "metadata"), ("metadata", "vds"))
    return any(vhdx.has_region(a) and vhdx.region(a).complete and not vhdx.has_region(b) for a, b in steps)


def _refused(message: str) -> Unsupported:
    return Unsupported(message)


def _mismatch(declared: str, found: str) -> Unsupported:
    return _refused(f"Image disk_format {declared} does not match stream data {found}")


# ---------------------------------------------------------------- what oslo.utils does not look at


def _nothing(_inspector: FileInspector, _head: bytes, _size: int) -> None:
    pass


def _check_qcow2(_inspector: FileInspector, head: bytes, size: int) -> None:
    """The tables lie within the file, and no extension of the header names a file.

    The layout is QEMU's docs/interop/qcow2.rst.
    """
    version, cluster_bits = struct.unpack_from(">I", head, 4)[0], struct.unpack_from(">I", head, 20)[0]
    entries, table = struct.unpack_from(">IQ", head, 36)
    if not 9 <= cluster_bits <= 21:
        raise SafetyViolation("cluster size")
    if table + 8 * entries > size:
        raise SafetyViolation("the table of clusters is outside of the file")
    if version < 3:
        place = 72
    else:
        place = struct.unpack_from(">I", head, 100)[0]
    while place + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, place)
        if kind == 0:
            break
        if kind == _QCOW2_DATA_FILE:
            raise SafetyViolation("data file")
        place += 8 + (length + 7) // 8 * 8


def _check_vmdk(inspector: FileInspector, head: bytes, _size: int) -> None:
    """The disk is in this file and nowhere else: one sparse extent, no parent."""
    if not head.startswith(b"KDMV") or struct.unpack_from("<Q", head, 12)[0] == 0:
        raise SafetyViolation("a descriptor alone")
    text: str = inspector.desc_text  # type: ignore[attr-defined]
    lines = [line.strip() for line in text.split("\n")]
    extents = [line.split() for line in lines if line.split(" ")[0] in ("rw", "rdonly", "noaccess")]
    if len(extents) != 1 or len(extents[0]) < 3 or extents[0][2] != "sparse":
        raise SafetyViolation("extents")
    for line in lines:
        key, _, value = (part.strip(' "\t\r') for part in line.partition("="))
        if key == "parentfilenamehint" or (key == "parentcid" and value != _PARENTLESS):
            raise SafetyViolation("parent")


def _check_vhd(_inspector: FileInspector, head: bytes, _size: int) -> None:
    """Dynamic or fixed, not a difference to a parent."""
    if struct.unpack_from(">I", head, 60)[0] not in (2, 3):
        raise SafetyViolation("kind of disk")


def _check_vhdx(inspector: FileInspector, _head: bytes, _size: int) -> None:
    """No parent, and a size."""
    if _VHDX_PARENT in inspector.region("metadata").data:
        raise SafetyViolation("parent")
    if not inspector.virtual_size:
        raise SafetyViolation("no size")


def _check_vdi(_inspector: FileInspector, head: bytes, _size: int) -> None:
    """Dynamic or static, not a difference to a parent."""
    if struct.unpack_from("<I", head, 0x4C)[0] not in (1, 2) or any(head[0x1A8:0x1B8]):
        raise SafetyViolation("kind of disk")


_CHECKS: Final = {
    "qcow2": _check_qcow2,
    "vmdk": _check_vmdk,
    "vhd": _check_vhd,
    "vhdx": _check_vhdx,
    "vdi": _check_vdi,
}
