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
    ends = (*copy.starts, now)[1:]
    for start, seconds, end in zip(copy.starts, boots, ends, strict=True):
        size = f"Memory: {copy.spec.memory_mib} MiB, {copy.spec.vcpus} vCPUs"
        lines += [f"[{0:12.6f}] {line}" for line in (*_KERNEL, size)]
        if end >= start + seconds:  # as the sum has it, so that who waits until then sees it
            lines += [f"[{seconds:12.6f}] cloud-init: finished", "", f"{copy.spec.name} login: "]
    return "\n".join(lines)


# Bits of a cluster: 64 KiB is what everybody has; up to 4 TiB their table fits in one. Larger disks take 2 MiB.
_BITS: Final = 16
_BITS_OF_LARGE: Final = 21


def empty_qcow2(virtual_bytes: int) -> bytes:
    """A valid qcow2 image (version 3) of an empty disk: header, refcounts and an empty table.

    Source: QEMU's docs/interop/qcow2.rst.
    """
    bits = _BITS if virtual_bytes <= 1 << (_BITS - 3 + _BITS - 3 + _BITS) else _BITS_OF_LARGE
    cluster = 1 << bits
    l1_size = -(-virtual_bytes // (cluster * (cluster // 8)))
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, bits, virtual_bytes, 0, l1_size, 3 * cluster, cluster, 1, 0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
    refcounts = struct.pack(">Q", 2 * cluster)
    in_use = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(cluster, b"\0") for part in (header, refcounts, in_use, b""))
