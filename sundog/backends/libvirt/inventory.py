"""A host's facts as the contract's record: inventory by resource class, traits by os-traits' names."""

from __future__ import annotations

from typing import Final

import os_traits

from sundog.backends.contract import DeviceRecord, HostRecord, HostState
from sundog.backends.libvirt.host_xml import HostFacts
from sundog.backends.libvirt.records import VirtType
from sundog.core.pool import Inventory

RESERVED_MEMORY_MIB: Final = 512
"""What is left to the host itself, as Nova's ``reserved_host_memory_mb``."""

# Features whose traits are not simply their names.
_NAMES: Final = {
    "aes": "AESNI", "fma": "FMA3", "pclmuldq": "CLMUL", "pni": "SSE3", "rtm": "TSX", "sha-ni": "SHA",
    "spec-ctrl": "INTEL_SPEC_CTRL", "md-clear": "INTEL_MD_CLEAR", "pcid": "INTEL_PCID",
}  # fmt: skip


def cpu_traits(features: tuple[str, ...]) -> tuple[str, ...]:
    """The traits of a CPU with these features, in order. A feature without a trait has none."""
    known = set(os_traits.get_traits(prefix="HW_CPU_X86_"))
    names = ("HW_CPU_X86_" + _NAMES.get(each, each.upper().translate(_PLAIN)) for each in features)
    return tuple(sorted({name for name in names if name in known}))


_PLAIN: Final = str.maketrans("", "", "-.")


def host_record(
    facts: HostFacts, name: str, state: HostState, *, virt_type: VirtType, disk_gib: int, version: int, address: str,
    reason: str = "",
) -> HostRecord:  # fmt: skip
    """The host as the control plane sees it. ``version`` is that of its hypervisor, ``disk_gib`` that of its pool.

    A guest that is translated sees a plain CPU whatever the host has, so its traits are told only with KVM.
    """
    reserved = min(RESERVED_MEMORY_MIB, facts.memory_mib // 4)
    inventory = {
        "VCPU": Inventory(facts.cpus, max_unit=facts.cpus),
        "MEMORY_MB": Inventory(facts.memory_mib, reserved=reserved, max_unit=facts.memory_mib),
        "DISK_GB": Inventory(disk_gib, max_unit=max(1, disk_gib)),
    }
    traits = ["COMPUTE_ARCH_X86_64", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_NODE"]
    if virt_type == "kvm":
        traits += cpu_traits(facts.features)
    known = set(os_traits.get_traits())
    cells = tuple(DeviceRecord(f"numa{cell.number}", {}, ("HW_NUMA_ROOT",)) for cell in facts.cells)
    return HostRecord(
        facts.uuid,
        name,
        state,
        inventory,
        tuple(sorted(each for each in traits if each in known)),
        cells if len(cells) > 1 else (),
        hypervisor_type="QEMU",
        hypervisor_version=version,
        address=address,
        reason="" if state is HostState.UP else reason,
    )
