"""Image properties as Nova knows them: which there are, their old names, and one way of writing their values.

Source: ``nova.objects.image_meta.ImageMetaProps`` and ``nova.objects.fields`` (OpenStack Nova 34, Apache-2.0), whose
names are its interface. A property that Nova does not know is dropped before the scheduler sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_TEXTS: Final = [
    "hw_auto_disk_config",
    "hw_cpu_realtime_mask",
    "hw_disk_type",
    "hw_machine_type",
    "hw_mem_page_size",
    "img_owner_id",
    "img_root_device_name",
    "img_signature",
    "os_admin_user",
    "os_command_line",
    "os_distro",
    "hw_numa_cpus",
    "hw_numa_mem",
    "hw_ephemeral_encryption_secret_uuid",
    "img_signature_certificate_uuid",
    "img_block_device_mapping",
    "img_mappings",
    "img_hv_requested_version",
    "hw_tpm_version",
    "img_signature_hash_method",
    "img_signature_key_type",
    "hw_cdrom_bus",
    "hw_disk_bus",
    "hw_floppy_bus",
    "hw_rescue_bus",
    "hw_cpu_policy",
    "hw_cpu_thread_policy",
    "hw_firmware_type",
    "hw_input_bus",
    "hw_mem_encryption_model",
    "hw_pci_numa_affinity_policy",
    "hw_pointer_model",
    "hw_rescue_device",
    "hw_rng_model",
    "hw_scsi_model",
    "hw_video_model",
    "hw_vif_model",
    "hw_viommu_model",
    "hw_watchdog_action",
    "hw_tpm_model",
    "hw_ephemeral_encryption_format",
    "hw_maxphysaddr_mode",
    "hw_sound_model",
    "hw_usb_model",
    "img_config_drive",
    "os_secure_boot",
    "os_type",
]
_TRUTHS: Final = [
    "hw_boot_menu",
    "hw_firmware_stateless",
    "hw_ipxe_boot",
    "hw_locked_memory",
    "hw_mem_encryption",
    "hw_pmu",
    "hw_qemu_guest_agent",
    "hw_time_hpet",
    "hw_vif_multiqueue_enabled",
    "hw_ephemeral_encryption",
    "hw_virtio_packed_ring",
    "img_bittorrent",
    "img_bdm_v2",
    "img_cache_in_nova",
    "img_linked_clone",
    "img_use_agent",
    "img_hide_hypervisor_id",
    "os_require_quiesce",
    "os_skip_agent_inject_files_at_boot",
    "os_skip_agent_inject_ssh",
]
_NUMBERS: Final = [
    "hw_cpu_cores",
    "hw_cpu_sockets",
    "hw_cpu_max_cores",
    "hw_cpu_max_sockets",
    "hw_cpu_max_threads",
    "hw_cpu_threads",
    "hw_device_id",
    "hw_numa_nodes",
    "hw_serial_port_count",
    "hw_video_ram",
    "hw_maxphysaddr_bits",
    "hw_redirected_usb_ports",
    "img_compression_level",
    "img_version",
]
OLD_NAMES: Final[Mapping[str, str]] = {
    "architecture": "hw_architecture",
    "owner_id": "img_owner_id",
    "vmware_disktype": "hw_disk_type",
    "vmware_image_version": "img_version",
    "vmware_ostype": "os_distro",
    "auto_disk_config": "hw_auto_disk_config",
    "ipxe_boot": "hw_ipxe_boot",
    "xenapi_device_id": "hw_device_id",
    "xenapi_image_compression_level": "img_compression_level",
    "vmware_linked_clone": "img_linked_clone",
    "xenapi_use_agent": "img_use_agent",
    "xenapi_skip_agent_inject_ssh": "os_skip_agent_inject_ssh",
    "xenapi_skip_agent_inject_files_at_boot": "os_skip_agent_inject_files_at_boot",
    "cache_in_nova": "img_cache_in_nova",
    "vm_mode": "hw_vm_mode",
    "bittorrent": "img_bittorrent",
    "mappings": "img_mappings",
    "block_device_mapping": "img_block_device_mapping",
    "bdm_v2": "img_bdm_v2",
    "root_device_name": "img_root_device_name",
    "hypervisor_version_requires": "img_hv_requested_version",
    "hypervisor_type": "img_hv_type",
}
"""Names that properties had once, with those that they have now."""
_ALIASES: Final[Mapping[str, Mapping[str, str]]] = {
    "hw_architecture": dict.fromkeys(("i386", "i486", "i586", "x86_32", "x86_32p"), "i686") | {"amd64": "x86_64"},
    "img_hv_type": {"xapi": "xen"},
    "hw_vm_mode": {"pv": "xen", "hv": "hvm", "baremetal": "hvm"},
}

KNOWN: Final = frozenset([*_TEXTS, *_TRUTHS, *_NUMBERS, *_ALIASES, "hw_emulation_architecture"])


def canonical(properties: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The properties that Nova knows, by their present names and with values as Nova writes them, sorted.

    Truths become ``True`` and ``False``, numbers lose leading zeros, architectures and hypervisors get their one name.
    """
    found: dict[str, str] = {}
    for name, value in properties.items():
        if name in OLD_NAMES and OLD_NAMES[name] not in properties:
            found[OLD_NAMES[name]] = _value(OLD_NAMES[name], value)
    found |= {name: _value(name, value) for name, value in properties.items() if name in KNOWN}
    traits = required_traits(properties)
    if traits:
        found["traits_required"] = str(traits)  # a property of its own to Nova, a list
    return tuple(sorted(found.items()))


def one_name(kind: str, value: str) -> str:
    """The one name of a value of ``hw_architecture``, ``img_hv_type`` or ``hw_vm_mode``."""
    return _ALIASES[kind].get(value.lower(), value.lower())


def required_traits(properties: Mapping[str, str]) -> list[str]:
    """The traits that an image asks for: properties ``trait:NAME`` that are ``required``."""
    return [name.removeprefix("trait:") for name, value in properties.items() if _is_trait(name, value)]


def _value(name: str, value: str) -> str:
    if name in _TRUTHS:
        return "True" if value.strip().lower() in ("1", "t", "true", "on", "y", "yes") else "False"
    if name in _NUMBERS:
        try:
            return str(int(value))
        except ValueError:
            return value
    if name == "hw_emulation_architecture":
        return one_name("hw_architecture", value)
    return one_name(name, value) if name in _ALIASES else value


def _is_trait(name: str, value: str) -> bool:
    return name.startswith("trait:") and value == "required"
