"""Images that are not what they seem, and honest ones to compare with, made by code from the formats' own layouts.

The honest ones are as small as their format allows: headers, tables, no data.
"""

from __future__ import annotations

import struct

SECTOR = 512
GIB = 1 << 30
SECRET = b"/etc/passwd"


def padded(data: bytes, size: int) -> bytes:
    assert len(data) <= size
    return data + bytes(size - len(data))


# ---------------------------------------------------------------- qcow2


def qcow2(
    size: int = GIB,
    *,
    version: int = 3,
    backing: bytes = b"",
    incompatible: int = 0,
    extensions: tuple[tuple[int, bytes], ...] = (),
    cluster_bits: int = 16,
    l1_entries: int = 2,
    l1_at: int = 0x30000,
    length: int = 0x30000 + 16,
) -> bytes:
    """Header, refcount table, refcount block, L1 table: what ``qemu-img create`` makes."""
    header_length = 104
    more = b"".join(
        struct.pack(">II", kind, len(data)) + padded(data, (len(data) + 7) // 8 * 8) for kind, data in extensions
    )
    more += struct.pack(">II", 0, 0)
    backing_at = header_length + len(more) if backing else 0
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing_at, len(backing), cluster_bits, size, 0, l1_entries, l1_at,
        0x10000, 1, 0, 0,
    )  # fmt: skip
    header += struct.pack(">QQQII", incompatible, 0, 0, 4, header_length)
    return padded(header + more + backing, length)


# ---------------------------------------------------------------- VMDK


def descriptor(kind: str = "monolithicSparse", *, extents: str | None = None, more: str = "") -> bytes:
    extents = extents or 'RW 2048 SPARSE "disk.vmdk"'
    return (
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        f'createType="{kind}"\n{more}# Extent description\n{extents}\n# The Disk Data Base\nddb.adapterType = "ide"\n'
    ).encode()


def vmdk(text: bytes | None = None, *, sectors: int = 2048, version: int = 1) -> bytes:
    """A sparse extent with its descriptor in it."""
    text = text if text is not None else descriptor()
    header = struct.pack("<4sIIQQQQIQQ", b"KDMV", version, 3, sectors, 128, 1, 20, 512, 21, 26)
    return padded(padded(header, SECTOR) + padded(text, 20 * SECTOR), 128 * SECTOR)


# ---------------------------------------------------------------- the others


def vhd(size: int = GIB, kind: int = 3) -> bytes:
    """A footer's copy at the beginning, as of a dynamic disk; kind 4 is a difference to a parent."""
    footer = struct.pack(">8sIIQI4sI4sQQ4sI", b"conectix", 2, 0x10000, 512, 0, b"qemu", 0x50003, b"Wi2k", size, size,
                         bytes(4), kind)  # fmt: skip
    return padded(padded(footer, SECTOR) + struct.pack(">8s", b"cxsparse"), 8 * SECTOR)


def vdi(size: int = GIB, kind: int = 1, link: bytes = bytes(16)) -> bytes:
    header = bytearray(padded(b"<<< QEMU VM Virtual Disk Image >>>\n", 1024))
    struct.pack_into("<II", header, 0x40, 0xBEDA107F, 0x00010001)
    struct.pack_into("<I", header, 0x4C, kind)
    struct.pack_into("<Q", header, 0x170, size)
    header[0x1A8:0x1B8] = link
    return bytes(header)


def guid(text: str) -> bytes:
    a, b, c, d, e = text.split("-")
    return struct.pack("<IHH", int(a, 16), int(b, 16), int(c, 16)) + bytes.fromhex(d + e)


def vhdx(size: int = GIB, *, parent: bool = False) -> bytes:
    """Identifier, one region table, the metadata region with the size of the disk."""
    data = bytearray(0x400000)
    data[:8] = b"vhdxfile"
    struct.pack_into("<IIII", data, 0x30000, 0x69676572, 0, 1, 0)
    data[0x30010:0x30020] = guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
    struct.pack_into("<QII", data, 0x30020, 0x200000, 0x100000, 1)
    items = [("2FA54224-CD1B-4876-B211-5DBED83BF4B8", 0x10000, 8)]
    if parent:
        items.append(("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C", 0x10008, 64))
    struct.pack_into("<8sHH", data, 0x200000, b"metadata", 0, len(items))
    for number, (name, offset, length) in enumerate(items):
        at = 0x200020 + 32 * number
        data[at : at + 16] = guid(name)
        struct.pack_into("<III", data, at + 16, offset, length, 6)
    struct.pack_into("<Q", data, 0x210000, size)
    return bytes(data)


def iso(*, boot_sector: bytes = b"") -> bytes:
    data = bytearray(40 * 2048)
    data[: len(boot_sector)] = boot_sector
    data[0x8000:0x8006] = b"\x01CD001"
    struct.pack_into("<I", data, 0x8000 + 80, 40)
    struct.pack_into("<H", data, 0x8000 + 128, 2048)
    return bytes(data)


def mbr(blocks: int = 4) -> bytes:
    """A raw disk with one partition."""
    sector = bytearray(SECTOR)
    struct.pack_into("<B3BB3BII", sector, 446, 0x80, 1, 1, 0, 0x83, 1, 1, 1, 1, 2047)
    sector[510:512] = b"\x55\xaa"
    return padded(bytes(sector), blocks * SECTOR)


QED = padded(struct.pack("<4sIII", b"QED\0", 65536, 4, 1), 4096)
LUKS = padded(struct.pack(">6sH32s32s32sII", b"LUKS\xba\xbe", 1, b"aes", b"xts-plain64", b"sha256", 4096, 64), 8192)

HONEST: dict[str, bytes] = {
    "raw": bytes(4096),
    "qcow2": qcow2(),
    "vmdk": vmdk(),
    "vhd": vhd(),
    "vhdx": vhdx(),
    "vdi": vdi(),
    "iso": iso(),
    "ami": b"ext2" * 1024,
    "aki": mbr(),
    "ari": b"\x1f\x8b" + bytes(1000),
    "ploop": b"p" * 2048,
}

# What it is, what it claims to be, what its bytes are.
HOSTILE: list[tuple[str, str, bytes]] = [
    ("a backing file on the host", "qcow2", qcow2(backing=SECRET)),
    ("a backing file over the network", "qcow2", qcow2(backing=b"nbd://192.0.2.1:10809/secret")),
    ("a backing file in the older version", "qcow2", qcow2(version=2, backing=SECRET)),
    ("an external data file", "qcow2", qcow2(incompatible=4, extensions=((0x44415441, SECRET),))),
    ("an external data file without its bit", "qcow2", qcow2(extensions=((0x44415441, SECRET),))),
    ("a feature that nobody knows", "qcow2", qcow2(incompatible=1 << 20)),
    ("the first version", "qcow2", qcow2(version=1)),
    ("a version that is not there yet", "qcow2", qcow2(version=9)),
    ("a disk of 60 TB", "qcow2", qcow2(60 * 10**12)),
    ("a disk of all bytes there are", "qcow2", qcow2(2**64 - 1)),
    ("a header that is cut short", "qcow2", qcow2()[:40]),
    ("a file that ends before its table", "qcow2", qcow2(length=0x10000)),
    ("a table outside of the file", "qcow2", qcow2(l1_at=1 << 60)),
    ("a table of all entries there are", "qcow2", qcow2(l1_entries=2**32 - 1)),
    ("clusters of no size", "qcow2", qcow2(cluster_bits=0)),
    ("clusters of any size", "qcow2", qcow2(cluster_bits=60)),
    ("nothing at all", "qcow2", b""),
    ("raw that is qcow2 with a backing file", "raw", qcow2(backing=SECRET)),
    ("raw that is qcow2", "raw", qcow2()),
    ("raw that is qcow2 cut short", "raw", qcow2(backing=SECRET)[:40]),
    ("raw that is the mark of qcow2 alone", "raw", b"QFI\xfb"),
    ("raw that is a VMDK descriptor", "raw", descriptor("monolithicFlat", extents='RW 64 FLAT "/etc/passwd" 0')),
    ("raw that is sparse VMDK", "raw", vmdk()),
    ("raw that is VHD", "raw", vhd()),
    ("raw that is VHDX", "raw", vhdx()),
    ("raw that is VHDX cut short", "raw", vhdx()[:64]),
    ("raw that is VDI", "raw", vdi()),
    ("raw that is QED", "raw", QED),
    ("raw that is LUKS", "raw", LUKS),
    ("raw that is a CD", "raw", iso()),
    ("qcow2 that is raw", "qcow2", bytes(4096)),
    ("vmdk that is qcow2", "vmdk", qcow2()),
    ("a CD that is qcow2 too", "iso", iso(boot_sector=qcow2(backing=SECRET)[:512])),
    ("qcow2 that is a CD too", "qcow2", iso(boot_sector=qcow2()[:512])),
    ("a kernel that is qcow2", "aki", qcow2(backing=SECRET)),
    ("a VMDK descriptor alone", "vmdk", descriptor()),
    ("a VMDK descriptor of a flat file on the host", "vmdk",
     descriptor("monolithicFlat", extents='RW 64 FLAT "/etc/passwd" 0')),
    ("a flat extent in a sparse file", "vmdk", vmdk(descriptor(extents='RW 64 FLAT "passwd" 0'))),
    ("a path in a sparse extent", "vmdk", vmdk(descriptor(extents='RW 64 SPARSE "/etc/passwd"'))),
    ("two extents", "vmdk", vmdk(descriptor(extents='RW 64 SPARSE "a"\nRW 64 SPARSE "b"'))),
    ("no extents", "vmdk", vmdk(descriptor(extents="# none"))),
    ("a VMDK of several files", "vmdk", vmdk(descriptor("twoGbMaxExtentFlat"))),
    ("a VMDK with a parent", "vmdk", vmdk(descriptor(more='parentFileNameHint="/etc/passwd"\n'))),
    ("a VMDK with the id of a parent", "vmdk", vmdk(descriptor().replace(b"ffffffff", b"12345678"))),
    ("a VMDK without size, whose descriptor counts", "vmdk", vmdk(sectors=0)),
    ("a VMDK of all sectors there are", "vmdk", vmdk(sectors=2**63)),
    ("a VMDK without descriptor", "vmdk", vmdk(b"")),
    ("a VMDK of a version that is not there", "vmdk", vmdk(version=77)),
    ("a VMDK cut short", "vmdk", vmdk()[:600]),
    ("a VHD that differs from a parent", "vhd", vhd(kind=4)),
    ("a VHD of all bytes there are", "vhd", vhd(2**64 - 1)),
    ("a VHD cut short", "vhd", vhd()[:100]),
    ("a VHDX with a parent", "vhdx", vhdx(parent=True)),
    ("a VHDX cut short", "vhdx", vhdx()[:0x31000]),
    ("a VHDX of 60 TB", "vhdx", vhdx(60 * 10**12)),
    ("a VDI that differs from a parent", "vdi", vdi(kind=4)),
    ("a VDI with a link", "vdi", vdi(link=b"x" * 16)),
    ("a VDI of 60 TB", "vdi", vdi(60 * 10**12)),
    ("a VDI cut short", "vdi", vdi()[:0x48]),
    ("QED by its name", "qcow2", QED),
]  # fmt: skip
