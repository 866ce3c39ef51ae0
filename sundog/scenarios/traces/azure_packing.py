"""Azure Packing 2020: VM requests of one zone over 14 days, with sizes as fractions of each machine generation.

Source: Azure/AzurePublicDataset AzureTracesForPacking2020.md (Hadary et al., "Protean", OSDI 2020). Tables
``vm{vmId, tenantId, vmTypeId, priority, starttime, endtime}`` and ``vmType{id, vmTypeId, machineId, core, memory, hdd,
ssd, nic}``. Times are in days; a negative start is a VM alive when collection began, a null end one alive 90 days on.
Priority 0 is high, 1 is low; low ones may have been evicted early, so their ends depend on Azure's own choices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from sundog.errors import InputError
from sundog.scenarios.traces.model import Option, Trace, in_arrival_order, locate, positive_number
from sundog.scenarios.traces.tables import Source, head_of, read_table
from sundog.units import DAY

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{value!r} is not the id of a machine")
    return str(value)


DESCRIPTION = "Azure Packing 2020 (Protean): sqlite file or CSV exports; sizes are fractions of a machine"
OPTIONS = {
    "machine": Option(_word, None, "id of one machine generation, whose fractions become vcpus and memory_mb"),
    "machine_vcpus": Option(positive_number, None, "vCPUs of that machine"),
    "machine_memory_mb": Option(positive_number, None, "MiB of memory of that machine"),
}

_VM: Final = ("vmId", "tenantId", "vmTypeId", "priority", "starttime", "endtime")
_VM_TYPE: Final = ("vmTypeId", "machineId", "core", "memory", "hdd", "ssd", "nic")
_CHUNK: Final = 200_000

_EVICTABLE = "low-priority VMs (priority 1) could be evicted, so their lifetimes depend on what Azure decided"


def read(path: Path, *, options: dict[str, Any], streams: Streams) -> Trace:
    """The trace in the sqlite file ``path``, or in ``vm.csv`` and ``vmType.csv`` (in ``path`` or beside it).

    ``flavor`` is the VM type; ``vcpus`` and ``memory_mb`` are NaN and ``variants`` has the fractions, unless the option
    ``machine`` (with its sizes) picks one machine generation: then VMs without a size there are dropped, with a note.
    Raises: InputError for other tables or columns, ids that come twice, an end before the start, a VM of no known type.
    """
    vm, vm_type = _tables(path)
    variants, notes = _variants(vm_type)
    vms, more = _vms(vm, vm_type.path, variants)
    notes += more
    hosts = _machines(variants)
    if options["machine"] is None:
        if options["machine_vcpus"] is not None or options["machine_memory_mb"] is not None:
            raise InputError("machine_vcpus and machine_memory_mb need the option machine, the id of that machine")
        return Trace(vms, hosts, variants, tuple(notes))
    vms, more = _on_one_machine(vms, variants, options)
    return Trace(vms, None, None, (*notes, *more))


def _tables(path: Path) -> tuple[Source, Source]:
    if path.is_dir():
        path = locate(path, "*.sqlite", "*.sqlite3", "*.db", "vm.csv", "vm.csv.gz", what="Azure Packing trace")
    if head_of(path) == b"SQLite format 3\0":
        return _from_sqlite(path, "vm", _VM), _from_sqlite(path, "vmType", _VM_TYPE)
    if path.suffix.lower() in (".sqlite", ".sqlite3", ".db"):
        raise InputError("not an sqlite database; is it cut short, or still compressed?", path=path)
    types = locate(path.parent, "vmType.csv", "vmType.csv.gz", what="table of VM types")
    return _as_named(read_table(path), _VM), _as_named(read_table(types), _VM_TYPE)


def _from_sqlite(path: Path, table: str, names: Sequence[str]) -> Source:
    # A folder or file name may hold ? and #, which as_uri escapes; ro: nothing is created where the file is missing.
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            cursor = database.execute(f"SELECT * FROM {table}")  # noqa: S608 - one of two names of ours
            found = [column[0] for column in cursor.description]
            chunks = []
            while rows := cursor.fetchmany(_CHUNK):
                chunks.append(pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=found))
    except sqlite3.Error as error:
        raise InputError(f"table {table} cannot be read: {error}; is the file whole?", path=path) from None
    except pa.ArrowInvalid as error:
        raise InputError(f"table {table} mixes numbers and text in a column: {error}", path=path) from None
    empty = pa.table({name: pa.array([], pa.null()) for name in found})
    try:
        whole = pa.concat_tables(chunks, promote_options="permissive") if chunks else empty
    except pa.ArrowTypeError as error:
        raise InputError(f"table {table} mixes numbers and text in a column: {error}", path=path) from None
    return _as_named(Source(path, whole, None, of=table), names)


def _as_named(source: Source, names: Sequence[str]) -> Source:
    """``source`` with the columns spelt as the documentation does; exports differ in case."""
    spelling = {name.lower(): name for name in names}
    renamed = source.table.rename_columns([spelling.get(name.lower(), name) for name in source.table.column_names])
    again = Source(source.path, renamed, source.first_line, of=source.of)
    again.require(names)
    return again


def _variants(source: Source) -> tuple[pd.DataFrame, list[str]]:
    flavor, machine = (pd.Series(source.identity(name)).astype(pd.StringDtype()) for name in ("vmTypeId", "machineId"))
    fractions: dict[str, Any] = {name: source.number(name, least=0) for name in ("core", "memory")}
    # A type that uses no hard drive, or none of the network, may have null for it.
    fractions |= {name: source.number(name, missing=0.0, least=0) for name in ("hdd", "ssd", "nic")}
    variants = pd.DataFrame({"flavor": flavor, "machine": machine, **fractions})
    source.refuse(
        variants.duplicated(["flavor", "machine"]).to_numpy(),
        lambda row: f"VM type {flavor[row]} is there a second time for machine {machine[row]}",
    )
    too_big = int((variants[list(fractions)] > 1).any(axis=1).sum())
    return variants, [f"{too_big} VM types ask for more than the whole of a machine"] if too_big else []


def _vms(source: Source, types: Path, variants: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    ids = source.unique("vmId")
    start, end = source.number("starttime"), source.number("endtime", missing=np.nan)
    source.refuse(
        end < start, lambda row: f"the VM ends before it starts: starttime {start[row]:g}, endtime {end[row]:g}"
    )
    flavor = pd.Series(source.identity("vmTypeId")).astype(pd.StringDtype()).astype("category")
    unknown = ~flavor.isin(variants["flavor"]).to_numpy()
    source.refuse(unknown, lambda row: f"VM type {flavor[row]} is not in {types.name}")
    nothing = np.full(len(source), np.nan)
    vms = in_arrival_order(
        {
            "vm_id": ids,
            "arrival_s": start * DAY,
            "lifetime_s": (end - start) * DAY,
            "vcpus": nothing,
            "memory_mb": nothing,
            "flavor": flavor.array,
            "project_id": pd.Series(source.identity("tenantId", required=False)).astype(pd.StringDtype()),
            "priority": source.integer("priority"),
        }
    )
    alive, outlive = int((start < 0).sum()), int(np.isnan(end).sum())
    return vms, [
        f"{alive} VMs are alive at the beginning; {outlive} were alive 90 days on and outlive the trace",
        _EVICTABLE,
    ]


def _machines(variants: pd.DataFrame) -> pd.DataFrame:
    """Machine generations in order of appearance; how many there are, and their sizes, the trace does not tell."""
    machines = variants["machine"].drop_duplicates().reset_index(drop=True)
    return pd.DataFrame({"type": machines, "count": pd.array([pd.NA] * len(machines), dtype=pd.Int64Dtype())}).assign(
        vcpus=np.nan, memory_mb=np.nan
    )


def _on_one_machine(
    vms: pd.DataFrame, variants: pd.DataFrame, options: dict[str, Any]
) -> tuple[pd.DataFrame, list[str]]:
    machine, cpus, memory = options["machine"], options["machine_vcpus"], options["machine_memory_mb"]
    if cpus is None or memory is None:
        raise InputError("the option machine needs machine_vcpus and machine_memory_mb, the sizes of that machine")
    here = variants[variants["machine"] == machine].set_index("flavor")
    if here.empty:
        known = ", ".join(variants["machine"].drop_duplicates())
        raise InputError(f"no machine {machine!r} in the trace; it has {known}", option="machine")
    flavor = vms["flavor"].astype(pd.StringDtype())
    fits = flavor.isin(here.index[(here["core"] > 0) & (here["memory"] > 0)]).to_numpy()
    kept, flavor = vms[fits].reset_index(drop=True), flavor[fits]
    kept["vcpus"] = here["core"].reindex(flavor).to_numpy() * cpus
    kept["memory_mb"] = here["memory"].reindex(flavor).to_numpy() * memory
    dropped = len(vms) - len(kept)
    return kept, [f"sizes are those on machine {machine}; {dropped} VMs have none there and were dropped"]
