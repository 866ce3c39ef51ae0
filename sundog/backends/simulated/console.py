"""What a guest writes to its serial console, worked out when somebody looks; and the disk that a snapshot gives."""

from __future__ import annotations

import struct
from typing import Final

from sundog.backends.simulated.machine import Copy
from sundog.units import Seconds

_KERNEL: Final = (
    "Booting from hard disk...",
    "Linux version 6.12 (sundog@build)",
    "Command line: root=LABEL=root console=ttyS0",
    "ACPI: Core revision 20240827",
    "clocksource: kvm-clock",
    "virtio_blk virtio0: [vda] attached",
    "virtio_net virtio1 eth0: link becomes ready",
    "EXT4-fs (vda1): mounted filesystem",
    "systemd: running in system mode",
    "systemd: reached target basic.target",
)


def console_text(copy: Copy, boots: tuple[Seconds, ...], now: Seconds) -> str:
    """Everything that the guest wrote up to ``now``: its kernel at each start, and a login once it has booted.

    ``boots`` are the seconds that each of ``copy.starts`` takes to boot.
    """
    lines = []
    ends = (*copy.starts[1:], now)
    for start, seconds, end in zip(copy.starts, boots, ends, strict=True):
        size = f"Memory: {copy.spec.memory_mib} MiB, {copy.spec.vcpus} vCPUs"
        lines += [f"[{0:12.6f}] {line}" for line in (*_KERNEL, size)]
        if end - start >= seconds:
            lines += [f"[{seconds:12.6f}] cloud-init: finished", "", f"{copy.spec.name} login: "]
    return "\n".join(lines)


_CLUSTER: Final = 1 << 16
_ENTRIES: Final = _CLUSTER // 8


def empty_qcow2(virtual_bytes: int) -> bytes:
    """A valid qcow2 image (version 3) of an empty disk: header, refcounts and an empty table. Source: QEMU's qcow2.txt.

    Raises: ValueError for a disk of more than 4 TiB, whose table would not fit in one cluster.
    """
    l1_size = -(-virtual_bytes // (_CLUSTER * _ENTRIES))
    if l1_size > _ENTRIES:
        raise ValueError(f"a disk of {virtual_bytes} bytes is too large to be written as an empty image")
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, 16, virtual_bytes, 0, l1_size, 3 * _CLUSTER, _CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
    refcounts = struct.pack(">Q", 2 * _CLUSTER)
    in_use = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in (header, refcounts, in_use, b""))
