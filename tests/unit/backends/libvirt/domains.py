"""Domains for tests to write and to read."""

from __future__ import annotations

from typing import Any

from sundog.backends.contract import ServerKey
from sundog.backends.libvirt.records import (
    Disk,
    Domain,
    Interface,
    Stamp,
    domain_name,
    domain_uuid,
    network_name,
    tap_name,
)

SERVER = "6f9a1b52-3a57-4c66-9d0f-5b7b1b1a0c11"
PORT = "1c1f7c2e-9d0a-4b8e-8f55-0a4f6f1d2e33"
NETWORK = "b7e4f0d2-51c3-4e0b-a0c9-7f3d9a6c4b55"
CLOUD = "0b0f3f0e-8a53-4d0c-9a39-2f1f0c6f2a77"
POOL = "/var/lib/libvirt/sundog"


def make_domain(*, generation: int = 1, **facts: Any) -> Domain:
    key = ServerKey(SERVER, generation)
    stem = f"{POOL}/{SERVER}-{generation}"
    whole: dict[str, Any] = {
        "uuid": domain_uuid(key),
        "name": domain_name(key),
        "stamp": Stamp(SERVER, generation, "web", "a-project", cloud=CLOUD),
        "virt_type": "qemu",
        "vcpus": 2,
        "memory_mib": 256,
        "disks": (
            Disk("root", f"{stem}.root.qcow2", "qcow2", f"{POOL}/base-0001.qcow2"),
            Disk("ephemeral", f"{stem}.ephemeral.qcow2", "qcow2"),
            Disk("config", f"{stem}.config.iso", "raw"),
        ),
        "interfaces": (Interface(PORT, "fa:16:3e:00:00:01", network_name(NETWORK), tap_name(PORT), 1450),),
        "console_log": f"{stem}.console.log",
    }
    return Domain(**{**whole, **facts})
