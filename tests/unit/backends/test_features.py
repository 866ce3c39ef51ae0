"""README's table of what works where says what the drivers' capability records say, and leaves nothing out."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

import pytest

from sundog.backends.contract import Capabilities, ComputeDriver
from sundog.backends.libvirt.driver import CAPABILITIES as LIBVIRT
from sundog.backends.libvirt.network import CAPABILITIES as LIBVIRT_NETWORKS
from sundog.backends.networks import NetworkCapabilities, NoWires
from sundog.backends.simulated.driver import CAPABILITIES as SIMULATED
from tests.conftest import REPOSITORY

# What real hosts are given besides, by a command of their owner's.
LATER = {"fence"}
# What simulated hosts can be told to have.
ON_DEMAND = {"shared_disks"}

ROWS = {
    "disk_formats": "create from an image, delete",
    "pause": "pause, unpause",
    "suspend": "suspend, resume",
    "soft_reboot": "reboot soft",
    "rescue": "rescue, unrescue",
    "rebuild": "rebuild",
    "resize": "resize, cold migration, confirm, revert",
    "live_migration": "live migration",
    "abort_live_migration": "abort a live migration",
    "force_live_migration": "force a live migration to its end",
    "snapshot": "snapshot, shelve",
    "snapshot_running": "snapshot of a running server",
    "shared_disks": "evacuation with the old disk, on shared storage",
    "plug_running": "attach and detach ports of a running server",
    "set_password": "set the administrator's password",
    "console_log": "console log",
    "serial": "serial console",
    "novnc": "VNC console",
    "config_drive": "config drive",
    "diagnostics": "diagnostics",
    "fence": "fence a host",
    "filters": "security groups, anti-spoofing",
    "stateful": "security groups, anti-spoofing",
    "between_hosts": "networks between hosts, DHCP, names",
    "dhcp": "networks between hosts, DHCP, names",
    "metadata": "metadata service, user data",
    "routers": "routers, NAT, floating IPs",
}

OPERATIONS = {
    "spawn": "create from an image, delete",
    "destroy": "create from an image, delete",
    "power_on": "start, stop, reboot hard",
    "power_off": "start, stop, reboot hard",
    "reboot": "reboot soft",
    "pause": "pause, unpause",
    "unpause": "pause, unpause",
    "suspend": "suspend, resume",
    "resume": "suspend, resume",
    "rescue": "rescue, unrescue",
    "unrescue": "rescue, unrescue",
    "rebuild": "rebuild",
    "resize_begin": "resize, cold migration, confirm, revert",
    "resize_finish": "resize, cold migration, confirm, revert",
    "resize_confirm": "resize, cold migration, confirm, revert",
    "resize_revert": "resize, cold migration, confirm, revert",
    "live_migrate": "live migration",
    "live_migration_abort": "abort a live migration",
    "live_migration_force": "force a live migration to its end",
    "snapshot": "snapshot, shelve",
    "plug": "attach and detach ports of a running server",
    "unplug": "attach and detach ports of a running server",
    "console_log": "console log",
    "open_console": "serial console",
    "diagnostics": "diagnostics",
    "set_password": "set the administrator's password",
    "fence": "fence a host",
}
# These look, and are asked by no user.
LOOKS = {"hosts", "list_servers", "live_migration_progress", "events"}


def table() -> dict[str, str]:
    """What the table says of each operation."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    part = text.partition("## What works where")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+) \| (simulated|libvirt|both) \|", part, re.MULTILINE))


def able(record: Capabilities | NetworkCapabilities) -> dict[str, bool]:
    """What a record says, field by field, kinds of console each by itself."""
    said: dict[str, Any] = {each.name: getattr(record, each.name) for each in fields(record) if each.name != "name"}
    kinds = said.pop("consoles", None)
    if kinds is not None:
        said |= {kind: kind in kinds for kind in ("serial", "novnc")}
    return {name: bool(value) for name, value in said.items()}


def where(simulated: bool, real: bool) -> str:
    return {(True, True): "both", (True, False): "simulated", (False, True): "libvirt"}[simulated, real]


RECORDS = [(SIMULATED, LIBVIRT), (NoWires.capabilities, LIBVIRT_NETWORKS)]
PAIRS = [(name, can, able(real)[name]) for simulated, real in RECORDS for name, can in able(simulated).items()]


@pytest.mark.parametrize(("name", "simulated", "real"), PAIRS)
def test_the_table_says_of_each_capability_which_drivers_have_it(name: str, simulated: bool, real: bool) -> None:
    assert table()[ROWS[name]] == where(simulated or name in ON_DEMAND, real or name in LATER)


def test_every_operation_of_the_contract_is_in_the_table() -> None:
    contract = {name for name, _ in inspect.getmembers(ComputeDriver, inspect.isfunction) if not name.startswith("_")}
    assert contract - LOOKS == set(OPERATIONS)
    assert set(OPERATIONS.values()) <= set(table())
