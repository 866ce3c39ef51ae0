"""Huawei-East-1: one row a completed VM (the ``-lt`` CSV or Parquet), or the original log of creations and deletions.

Source: huaweicloud/VM-placement-dataset, Huawei-East-1/README.md (``type``: 0 creation, 1 deletion; time in seconds,
memory in GB); the ``-lt`` form was derived from it by others and holds only VMs that have a deletion.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sundog.errors import InputError
from sundog.scenarios.traces.model import Option, Trace, flavor_names, in_arrival_order, locate
from sundog.scenarios.traces.tables import Source, read_table

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams

DESCRIPTION = "Huawei-East-1 (2021): completed VMs (-lt CSV, Parquet) or the original event CSV, told by the header"
OPTIONS: dict[str, Option] = {}

_EVENTS = ("vmid", "cpu", "memory", "time", "type")
_COMPLETED = (
    ("vmid", "cpu", "mem", "at", "lt"),
    ("vm_id", "vcpus", "mem_gb", "arrival_s", "lifetime_s"),
)
_CREATION, _DELETION = 0, 1
_FILES = ("*completed*.parquet", "Huawei-East-1.csv", "Huawei-East-1-lt.csv", "Huawei-East-1*.csv*")

_SHARED_CORES = "small flavours shared cores in the real cloud (about 1/3 core a vCPU); the vcpus here are nominal"
_SURVIVORS_MISSING = (
    "only VMs that were deleted within the month are in this file (the 7 % that lived on are not):"
    " fit for churn and packing, not for growth"
)


def read(path: Path, *, options: dict[str, Any], streams: Streams) -> Trace:
    """The trace in ``path``, any of the three forms, or in the folder ``path`` (the Parquet of completed VMs first).

    A VM that is created and never deleted outlives the trace.
    Raises: InputError for other columns, rows out of time order, ids that come twice, a deletion without its creation
    or before it, sizes that are not positive.
    """
    if path.is_dir():
        path = locate(path, *_FILES, what="Huawei trace")
    source = read_table(path)
    if all(source.has(name) for name in _EVENTS):
        source.require(_EVENTS)
        return _from_events(source)
    for names in _COMPLETED:
        if all(source.has(name) for name in names):
            source.require(names)
            return _from_completed(source, *names)
    forms = " or ".join(",".join(names) for names in (_EVENTS, *_COMPLETED))
    raise InputError(f"not a Huawei trace: found columns {','.join(source.table.column_names)}; expected {forms}",
                     path=path)  # fmt: skip


def _from_completed(source: Source, vm_id: str, cpu: str, memory: str, arrival: str, lifetime: str) -> Trace:
    ids = source.unique(vm_id)
    vcpus, gigabytes = source.number(cpu, above=0), source.number(memory, above=0)
    arrivals, lives = source.number(arrival), source.number(lifetime)
    source.refuse(lives < 0, lambda row: f"the VM ends before it starts: {lifetime} is {lives[row]:g}")
    source.ascending(arrival, arrivals)
    return Trace(_frame(ids, arrivals, lives, vcpus, gigabytes), notes=(_SURVIVORS_MISSING, _SHARED_CORES))


def _from_events(source: Source) -> Trace:
    ids, time, kind = source.identity("vmid"), source.number("time"), source.integer("type")
    vcpus, gigabytes = source.number("cpu", above=0), source.number("memory", above=0)
    source.ascending("time", time)
    source.refuse(
        (kind != _CREATION) & (kind != _DELETION),
        lambda row: f"type is {kind[row]}; expected {_CREATION} (creation) or {_DELETION} (deletion)",
    )
    rows = np.arange(len(source))
    created, deleted = rows[kind == _CREATION], rows[kind == _DELETION]
    vmid = pd.Index(ids)
    for rows_of, what in ((created, "created"), (deleted, "deleted")):
        again = rows_of[vmid[rows_of].duplicated()]
        if len(again):
            raise source.error(int(again[0]), f"VM {vmid[again[0]]} is {what} a second time")
    creation_of = vmid[created].get_indexer(vmid[deleted])
    orphans = deleted[creation_of < 0]
    if len(orphans):
        raise source.error(int(orphans[0]), f"VM {vmid[orphans[0]]} is deleted and was never created")
    early = deleted[deleted < created[creation_of]]
    if len(early):
        raise source.error(int(early[0]), f"VM {vmid[early[0]]} ends before it starts: its deletion comes first")
    lives = np.full(len(created), np.nan)
    lives[creation_of] = time[deleted] - time[created[creation_of]]
    alive = int(np.isnan(lives).sum())
    note = f"{alive} of {len(created)} VMs have no deletion and outlive the trace"
    frame = _frame(vmid[created].array, time[created], lives, vcpus[created], gigabytes[created])
    return Trace(frame, notes=(note, _SHARED_CORES))


def _frame(ids: Any, arrivals: np.ndarray, lives: np.ndarray, vcpus: np.ndarray, gigabytes: np.ndarray) -> pd.DataFrame:
    return in_arrival_order(
        {
            "vm_id": ids,
            "arrival_s": arrivals,
            "lifetime_s": lives,
            "vcpus": vcpus,
            "memory_mb": gigabytes * 1024.0,
            "flavor": flavor_names(vcpus, gigabytes),
        }
    )
