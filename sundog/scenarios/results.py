"""What a run leaves in its folder: the tables of requests, stays, hosts and host events, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sundog.core.scheduler import Shape
from sundog.sim.boot import BootTimes
from sundog.sim.fleet import GPU, Fleet, Resource
from sundog.sim.records import Cause, Outcome, Record, Scheduling
from sundog.sim.requests import CARRIED, Workload
from sundog.units import format_mebibytes


def vms_table(workload: Workload, fleet: Fleet, record: Record, boot: BootTimes | None) -> pa.Table:
    """``vms.parquet``: one row a request that arrived, in arrival order."""
    n = len(record.outcome)
    frame, lifetime = workload.frame.iloc[:n], workload.lifetime_s[:n]
    columns: dict[str, Any] = {
        "vm_id": pa.array(frame["vm_id"], from_pandas=True),
        "arrival_s": workload.arrival_s[:n],
        "lifetime_s": pa.array(lifetime, mask=np.isinf(lifetime)),
    }
    first = _first_stays(record, n)
    host_group = fleet.group[record.stays.host] if record.stays.count else np.empty(0, dtype=np.int32)
    # What a VM takes may depend on the machine: on the one it ran on first, or else on the first that could run it.
    group = np.where(first >= 0, host_group[first] if record.stays.count else 0, -1)
    for resource in workload.resources:
        columns[resource.name] = amounts(workload, fleet, resource, workload.shape[:n], group)
    columns["flavor"] = _coded(workload.shape[:n], [shape.name or _size_name(shape) for shape in workload.shapes])
    columns |= {name: _as_arrow(frame[name]) for name in CARRIED if name in frame}
    columns["outcome"] = _coded(record.outcome, [each.name.lower() for each in Outcome])
    columns["reason"] = _coded(record.reason, record.reasons)
    columns["start_s"] = pa.array(record.start_s, from_pandas=True)
    columns["end_s"] = pa.array(record.end_s, from_pandas=True)
    columns["boot_s"] = pa.array(_boot_of_vms(record, boot, n, workload), from_pandas=True)
    columns["evacuations"] = record.evacuations
    columns["migrations"] = record.migrations
    columns["downtime_s"] = record.downtime_s + _boot_after_failures(record, boot, n)
    if record.scheduling is not None:
        columns |= _scheduling(record.scheduling)
    return pa.table(columns)


def _scheduling(scheduling: Scheduling) -> dict[str, Any]:
    """What several schedulers did for each request."""
    return {
        "scheduler": scheduling.scheduler,
        "commits": scheduling.commits,
        "choice": pa.array(scheduling.choice, mask=scheduling.choice < 0),
        "queued_s": pa.array(scheduling.queued_s, from_pandas=True),
        "scheduling_s": scheduling.busy_s,
    }


def placements_table(workload: Workload, fleet: Fleet, record: Record) -> pa.Table:
    """``placements.parquet``: one row a stay of a VM on a host, in the order they began."""
    stays = record.stays
    columns: dict[str, Any] = {
        "vm_id": pa.array(workload.frame["vm_id"], from_pandas=True).take(pa.array(stays.vm)),
        "host": _coded(stays.host, fleet.names),
        "start_s": stays.start_s,
        "end_s": pa.array(stays.end_s, from_pandas=True),
        "cause": _coded(stays.cause, [each.name.lower() for each in Cause]),
    }
    group = fleet.group[stays.host]
    for resource in workload.resources:
        columns[resource.name] = amounts(workload, fleet, resource, workload.shape[stays.vm], group)
    return pa.table(columns)


def hosts_table(workload: Workload, fleet: Fleet) -> pa.Table:
    """``hosts.parquet``: one row a host, with its physical sizes and its capacity after reserved and overcommit."""
    types = [group.type for group in fleet.groups]

    def by_group(values: list[Any]) -> pa.Array:
        return pa.array(values).take(pa.array(fleet.group))

    columns: dict[str, Any] = {
        "host": list(fleet.names),
        "type": by_group([each.name for each in types]),
        "zone": by_group([group.zone or "" for group in fleet.groups]),
        "rack": list(fleet.racks),
        "added_s": by_group([group.at for group in fleet.groups]),
    }
    for resource in workload.resources:
        columns[resource.name] = by_group([fleet.sizes(each, resource) for each in types])
        columns[f"capacity_{resource.name}"] = by_group([_capacity(workload, fleet, each, resource) for each in types])
    return pa.table(columns)


def events_table(fleet: Fleet, record: Record) -> pa.Table:
    """``events.parquet``: what happened to hosts, in order."""
    events = record.host_events
    return pa.table(
        {
            "time_s": pa.array(events.time_s, type=pa.float64()),
            "host": _coded(np.asarray(events.host, dtype=np.int32), fleet.names),
            "event": pa.array(events.event, type=pa.string()),
            "detail": pa.array(events.detail, type=pa.string()),
        }
    )


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Stable JSON: same value, same bytes."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_table(path: Path, table: pa.Table) -> None:
    """A Parquet file; the same table gives the same bytes."""
    # Times and ids hardly repeat: a dictionary of them would be tried, at length, and given up.
    repeating = [name for name in table.column_names if not name.endswith("_s") and name != "vm_id"]
    pq.write_table(table, path, compression="zstd", use_dictionary=repeating)


def amounts(
    workload: Workload, fleet: Fleet, resource: Resource, shape: NDArray[np.int32], group: NDArray[np.int32]
) -> NDArray[np.float64]:
    """What VMs of these shapes take on hosts of these fleet entries (-1: on the first kind of machine that fits)."""
    table = np.zeros((len(fleet.groups) + 1, len(workload.shapes)))
    for column, each in enumerate(workload.shapes):
        if resource.resource_class == GPU and each.devices is not None:
            table[:, column] = each.devices.count * sum(amount for _, amount in each.devices.resources)
        elif each.variants:
            by_trait = {v.trait: dict(v.resources).get(resource.resource_class, 0.0) for v in each.variants}
            table[-1, column] = next(iter(by_trait.values()))
            for row, host_group in enumerate(fleet.groups):
                traits = fleet.traits(host_group.type)
                table[row, column] = next((by_trait[trait] for trait in by_trait if trait in traits), 0.0)
        else:
            table[:, column] = dict(each.resources).get(resource.resource_class, 0.0)
    result: NDArray[np.float64] = table[group, shape]
    return result


def _size_name(shape: Shape) -> str:
    """A flavor for a trace that names none."""
    asked = dict(shape.resources)
    parts = [f"{asked.get('VCPU', 0):g} vCPU", format_mebibytes(asked.get("MEMORY_MB", 0.0))]
    if shape.devices is not None:
        parts.append(f"{shape.devices.count * sum(amount for _, amount in shape.devices.resources):g} GPU")
    return " / ".join(parts)


def _capacity(workload: Workload, fleet: Fleet, host_type: Any, resource: Resource) -> float:
    if resource.resource_class == GPU:
        return float(host_type.gpus)
    inventory = fleet.inventory(host_type).get(resource.resource_class)
    if inventory is None:
        return 0.0
    item = workload.classes[resource.resource_class]
    units = int((item.units(inventory.total) - item.units(inventory.reserved)) * inventory.allocation_ratio)
    return float(item.value(units))


def _first_stays(record: Record, vms: int) -> NDArray[np.int64]:
    """The first stay of each VM, -1 where it has none."""
    first = np.full(vms, -1, dtype=np.int64)
    first[record.stays.vm[::-1]] = np.arange(record.stays.count - 1, -1, -1)
    return first


def _boot_of_vms(record: Record, boot: BootTimes | None, vms: int, workload: Workload) -> NDArray[np.float64]:
    """From arrival until the guest was up for the first time; NaN if it never was."""
    result = np.full(vms, np.nan)
    if boot is None:
        return result
    first = _first_stays(record, vms)
    started = first >= 0
    stay = first[started]
    up = record.stays.start_s[stay] + boot.seconds[stay]
    end = record.stays.end_s[stay]
    alive = np.isnan(end) | (up <= end)
    arrival = np.maximum(workload.arrival_s[:vms][started], 0.0)
    result[started] = np.where(alive & (workload.arrival_s[:vms][started] >= 0), up - arrival, np.nan)
    return result


def _boot_after_failures(record: Record, boot: BootTimes | None, vms: int) -> NDArray[np.float64]:
    """Seconds that guests took to boot again after their host had died or was worked on."""
    extra = np.zeros(vms)
    if boot is not None:
        again = np.isin(record.stays.cause, (Cause.EVACUATION, Cause.RESTART))
        length = np.nan_to_num(record.stays.end_s[again], nan=record.reached_s) - record.stays.start_s[again]
        np.add.at(extra, record.stays.vm[again], np.minimum(boot.seconds[again], length))
    return extra


def _coded(codes: NDArray[Any], texts: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(texts, type=pa.string()))


def _as_arrow(column: pd.Series) -> pa.Array:
    return pa.array(column, from_pandas=True)
