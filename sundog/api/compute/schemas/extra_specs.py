"""Extra specs that Nova knows, and what their values may be: since 2.86 others under its prefixes are refused.

Source: Nova's documentation of extra specs (https://docs.openstack.org/nova/latest/configuration/extra-specs.html).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import os_resource_classes
import os_traits

from sundog.errors import Invalid

Check = Callable[[str], str | None]
"""What is wrong with a value, None if nothing is."""

_TRUTH: Final = frozenset(("1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no"))
_CPUS: Final = r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*"
_GROUP: Final = "[a-zA-Z0-9_-]{0,64}"


def _text(_value: str) -> str | None:
    return None


def _truth(value: str) -> str | None:
    return None if value.strip().lower() in _TRUTH else f"'{value}' is not a valid boolean-like value."


def _whole(least: int | None = None, most: int | None = None) -> Check:
    def check(value: str) -> str | None:
        try:
            number = int(value)
        except ValueError:
            return f"'{value}' is not a valid integer value."
        if most is not None and number > most:
            return f"'{number}' is greater than the max value of '{most}'."
        if least is not None and number < least:
            return f"'{number}' is less than the min value of '{least}'."
        return None

    return check


def _one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"'{value}' is not one of: {', '.join(words)}."


def _like(pattern: str, simpler: str | None = None) -> Check:
    """``simpler`` takes the same texts in linear time, where the pattern that is told does not."""
    compiled = re.compile(simpler or pattern, re.ASCII)
    return lambda value: None if compiled.fullmatch(value) else f"'{value}' is not of the format '{pattern}'."


_SHARES: Final = _one_of("custom", "high", "normal", "low")
_CPU_LIST: Final = _like(_CPUS, r"\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*")
_WANTED: Final = _one_of("required", "forbidden")

_PLAIN: Final[Mapping[str, Check]] = {
    "accel:device_profile": _text,
    "group_policy": _one_of("isolate", "none"),
    "hide_hypervisor_id": _truth,
    "hw:boot_menu": _truth,
    "hw:cpu_cores": _whole(1),
    "hw:cpu_dedicated_mask": _CPU_LIST,
    "hw:cpu_max_cores": _whole(1),
    "hw:cpu_max_sockets": _whole(1),
    "hw:cpu_max_threads": _whole(1),
    "hw:cpu_policy": _one_of("dedicated", "shared", "mixed"),
    "hw:cpu_realtime": _truth,
    "hw:cpu_realtime_mask": _CPU_LIST,
    "hw:cpu_sockets": _whole(1),
    "hw:cpu_thread_policy": _one_of("prefer", "isolate", "require"),
    "hw:cpu_threads": _whole(1),
    "hw:emulator_threads_policy": _one_of("isolate", "share"),
    "hw:ephemeral_encryption": _truth,
    "hw:ephemeral_encryption_format": _one_of("plain", "luks", "luksv2"),
    "hw:hide_hypervisor_id": _truth,
    "hw:locked_memory": _truth,
    "hw:mem_encryption": _truth,
    "hw:mem_encryption_model": _one_of("amd-sev", "amd-sev-es", "amd-sev-snp"),
    "hw:mem_page_size": _like(r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)"),
    "hw:numa_nodes": _whole(1),
    "hw:pci_numa_affinity_policy": _one_of("required", "preferred", "legacy", "socket"),
    "hw:pmem": _like(r"([a-zA-Z0-9_]+(,)?)+", r"[a-zA-Z0-9_]+(,[a-zA-Z0-9_]+)*,?"),
    "hw:pmu": _truth,
    "hw:redirected_usb_ports": _whole(0, 15),
    "hw:serial_port_count": _whole(0),
    "hw:sound_model": _one_of("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    "hw:tpm_model": _one_of("tpm-tis", "tpm-crb"),
    "hw:tpm_secret_security": _one_of("user", "host", "deployment"),
    "hw:tpm_version": _one_of("1.2", "2.0"),
    "hw:usb_model": _one_of("none", "nec-xhci", "qemu-xhci"),
    "hw:vif_multiqueue_enabled": _truth,
    "hw:viommu_model": _one_of("intel", "smmuv3", "virtio", "auto"),
    "hw:virtio_packed_ring": _truth,
    "hw:watchdog_action": _one_of("none", "pause", "poweroff", "reset", "disabled"),
    "hw_rng:allowed": _truth,
    "hw_rng:rate_bytes": _whole(0),
    "hw_rng:rate_period": _whole(0),
    "hw_video:ram_max_mb": _whole(0),
    "os:secure_boot": _one_of("disabled", "required"),
    "pci_passthrough:alias": _like(r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*", r"[^:]+:\d+(?:\s*,[^:]+:\d+)*"),
    "vmware:hw_version": _text,
    "vmware:storage_policy": _text,
}

_OF_HOSTS: Final = (
    "id", "uuid", "service_id", "host", "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used",
    "local_gb_used", "hypervisor_type", "hypervisor_version", "hypervisor_hostname", "free_ram_mb", "free_disk_gb",
    "current_workload", "running_vms", "disk_available_least", "host_ip", "mapped", "cpu_allocation_ratio",
    "ram_allocation_ratio", "disk_allocation_ratio", "total_usable_ram_mb", "total_usable_disk_gb", "disk_mb_used",
    "free_disk_mb", "vcpus_total", "num_instances", "num_io_ops", "failed_builds", "aggregates", "cell_uuid",
    "updated",
)  # fmt: skip
_OF_HOSTS_DEEP: Final = (
    "cpu_info", "metrics", "stats", "numa_topology", "supported_hv_specs", "pci_device_pools", "nodename",
    "pci_stats", "supported_instances", "limits", "instances",
)  # fmt: skip
_LIMITS: Final = {
    "limit": _whole(0),
    "reservation": _whole(),
    "shares_level": _SHARES,
    "shares_share": _whole(0),
}


def _named() -> dict[str, Check]:
    told = dict(_PLAIN) | {f"capabilities:{name}": _text for name in _OF_HOSTS}
    for what in ("cpu", "memory", "disk_io", "vif"):
        told |= {f"quota:{what}_{name}": check for name, check in _LIMITS.items()}
    told |= {"quota:cpu_shares": _whole(0), "quota:cpu_period": _whole(0), "quota:cpu_quota": _whole()}
    for way in ("read", "write", "total"):
        told |= {f"quota:disk_{way}_{unit}_sec": _whole(0) for unit in ("bytes", "iops")}
    for way in ("inbound", "outbound"):
        told |= {f"quota:vif_{way}_{what}": _whole(0) for what in ("average", "peak", "burst")}
    return told


_NAMED: Final = _named()
_PATTERNS: Final[tuple[tuple[re.Pattern[str], Check], ...]] = (
    (re.compile(r"hw:numa_cpus\.\d+"), _CPU_LIST),
    (re.compile(r"hw:numa_mem\.\d+"), _whole(1)),
    (re.compile(rf"capabilities:({'|'.join(_OF_HOSTS_DEEP)})(:\w+)*"), _text),
    (re.compile(r"aggregate_instance_extra_specs:.+"), _text),
    (re.compile(rf"resources{_GROUP}:({'|'.join(os_resource_classes.STANDARDS)}|CUSTOM_[A-Z0-9_]+)"), _whole()),
    (re.compile(rf"trait{_GROUP}:CUSTOM_[A-Z0-9_]+"), _WANTED),
)
_TRAIT: Final = re.compile(rf"trait{_GROUP}:([A-Z0-9_]+)")
_PREFIXES: Final = re.compile(
    "accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware|"
    f"resources{_GROUP}|trait{_GROUP}"
)


def check_spec(name: str, value: str) -> None:
    """Look at an extra spec as Nova does since 2.86.

    Raises: Invalid for a value that cannot be, or a name that is not known under a prefix of Nova's.
    """
    check = _NAMED.get(name) or next((each for pattern, each in _PATTERNS if pattern.fullmatch(name)), None)
    trait = _TRAIT.fullmatch(name)
    if check is None and trait and trait[1] in os_traits.get_traits():
        check = _WANTED
    if check is None:
        prefix, colon, _ = name.partition(":")
        if colon and _PREFIXES.fullmatch(prefix):
            raise Invalid(
                f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.", name=name
            )
        return
    wrong = check(value)
    if wrong is not None:
        raise Invalid(f"Validation failed; {wrong}", name=name)
