"""Fleets that come from a table of hosts instead of the scenario."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sundog.scenarios.schema import InventoryGroup, Loaded
from sundog.scenarios.traces import Trace, host_types
from sundog.scenarios.traces.tables import read_table
from sundog.sim.requests import is_absent
from sundog.sim.spec import HostGroup, HostType


def host_groups(loaded: Loaded, trace: Trace, files: dict[str, Path]) -> list[HostGroup]:
    """The fleet entries of a scenario, with inventories taken in; the tables that were read are put into ``files``.

    Raises: InputError for an inventory that is missing, empty or not a table of hosts.
    """
    groups: list[HostGroup] = []
    for number, entry in enumerate(loaded.scenario.fleet):
        if isinstance(entry, HostGroup):
            groups.append(entry)
        else:
            groups.extend(_inventory(loaded, entry, number, trace, files))
    return groups


def _inventory(
    loaded: Loaded, entry: InventoryGroup, number: int, trace: Trace, files: dict[str, Path]
) -> list[HostGroup]:
    loc, key = ("fleet", number, "inventory"), f"fleet.{number}.inventory"
    if entry.inventory == "trace":
        if trace.hosts is None:
            raise loaded.origin.error(loc, f"{key}: the trace has no inventory of hosts; describe the fleet")
        hosts = trace.hosts
    else:
        path = loaded.resolve(entry.inventory, *loc)
        if not path.exists():
            raise loaded.origin.error(loc, f"{key}: there is no {path}")
        files[key] = path
        hosts = _read_inventory(path)
    types = host_types(hosts) if entry.order == "types" else _runs(hosts)
    groups = []
    for row in types.to_dict("records"):
        count = round(float(row["count"]) * entry.scale)
        if count < 1:
            continue
        sizes: dict[str, Any] = {"name": str(row["type"]), "vcpus": row["vcpus"], "memory": row["memory_mb"]}
        if not is_absent(row.get("disk_gb")):
            sizes["disk"] = float(row["disk_gb"])
        if not is_absent(row.get("gpus")):
            sizes |= {
                "gpus": int(row["gpus"]),
                "gpu_model": None if is_absent(row.get("gpu_model")) else row["gpu_model"],
            }
        groups.append(HostGroup(type=HostType(**sizes), count=count, zone=entry.zone, racks=min(entry.racks, count)))
    if not groups:
        raise loaded.origin.error(loc, f"{key}: the inventory has no hosts")
    return groups


def _runs(hosts: pd.DataFrame) -> pd.DataFrame:
    """``hosts`` with neighbours of one type as one row, ``count`` summed."""
    names = hosts["type"].to_numpy(dtype=object)
    run = pd.Series(np.cumsum(np.append(True, names[1:] != names[:-1])))
    counts = hosts["count"].groupby(run).sum(min_count=1) if "count" in hosts else hosts["type"].groupby(run).size()
    first = hosts[~run.duplicated()].reset_index(drop=True)
    return first.assign(count=counts.to_numpy())


def _read_inventory(path: Path) -> pd.DataFrame:
    source = read_table(path)
    source.require(["type", "vcpus", "memory_mb"])
    columns: dict[str, Any] = {
        "type": source.text("type", required=True),
        "count": source.integer("count", missing=1, least=1) if source.has("count") else 1,
        "vcpus": source.number("vcpus", above=0),
        "memory_mb": source.number("memory_mb", above=0),
    }
    if source.has("disk_gb"):
        columns["disk_gb"] = source.number("disk_gb", missing=math.nan, least=0)
    if source.has("gpus"):
        columns["gpus"] = source.integer("gpus", missing=0, least=0)
    if source.has("gpu_model"):
        columns["gpu_model"] = source.text("gpu_model")
    return pd.DataFrame(columns)
