"""Sundog's own form: one row a VM in arrival order, Parquet or CSV; what ``sundog trace convert`` writes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sundog.errors import InputError, OutputError
from sundog.scenarios.traces.model import COLUMN_NAMES, COLUMNS, Column, Option, Trace, in_arrival_order, nearest
from sundog.scenarios.traces.tables import Source, read_table

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams

DESCRIPTION = "Sundog's own: Parquet or CSV, one row a VM in arrival order"
OPTIONS: dict[str, Option] = {}

_ARROW = {"number": pa.float64(), "integer": pa.int64(), "text": pa.string()}
_CSV = (".csv", ".csv.gz")
_PARQUET = (".parquet", ".pq")


def read(path: Path, *, options: dict[str, Any], streams: Streams) -> Trace:
    """The trace in the Parquet or CSV file ``path``; columns that Sundog does not know are left out, with a note.

    Raises: InputError for a missing, empty or cut file, a missing column, a wrong type, NaN, a size that is not
    positive, a VM that ends before it starts, an id that comes twice, or arrivals out of order.
    """
    source = read_table(path)
    source.require([column.name for column in COLUMNS if column.required])
    columns = {column.name: _column(source, column) for column in COLUMNS if source.has(column.name)}
    source.ascending("arrival_s", columns["arrival_s"])
    unknown = [name for name in source.table.column_names if name not in COLUMN_NAMES]
    notes = [f"column {name} is not one that Sundog knows and was left out; {nearest(name, COLUMN_NAMES)}".rstrip("; ")
             for name in unknown]  # fmt: skip
    return Trace(in_arrival_order(columns), notes=tuple(notes))


def _column(source: Source, column: Column) -> Any:
    if column.name == "vm_id":
        return source.unique("vm_id")
    if column.name == "lifetime_s":
        life = source.number("lifetime_s", missing=np.nan)
        source.refuse(life < 0, lambda row: f"the VM ends before it starts: lifetime_s is {life[row]:g}")
        return life
    if column.kind == "identity":
        return source.identity(column.name, required=False)
    if column.kind == "text":
        return source.text(column.name, values=column.values)
    if column.kind == "integer":
        return source.integer(column.name, missing=0)
    default = None if column.required else _WHERE_EMPTY[column.name]
    return source.number(column.name, missing=default, above=column.above, least=column.least, most=column.most)


# What an empty cell of an optional number means.
_WHERE_EMPTY = {"disk_gb": 0.0, "gpus": 0.0, "gpu_share": 1.0}


def write_normalised(trace: Trace, path: Path, *, force: bool = False) -> None:
    """Write ``trace.vms`` to ``path``, Parquet or CSV by its ending; whole or not at all (temporary file, then rename).

    Raises: OutputError where ``path`` exists (unless ``force``) or cannot be written; InputError for another ending
    or for a trace whose demand depends on the machine, which one row a VM cannot say.
    """
    if not path.name.endswith(_CSV + _PARQUET):
        raise InputError(f"name the file .parquet or .csv, not {path.suffix or 'without an ending'}", path=path)
    if trace.variants is not None:
        raise InputError(
            "what these VMs ask for depends on the machine, so there is no one size to write;"
            " run the trace as it is, or read it with the options machine, machine_vcpus and machine_memory_mb"
        )
    table = as_table(trace.vms)
    if path.name.endswith(_CSV):
        _refuse_line_breaks(table)
    if path.exists() and not force:
        raise OutputError(f"{path}: the file exists; use --force to replace it", path=path)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            _write(table, file, path)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}", path=path) from None
    finally:
        part.unlink(missing_ok=True)


def as_table(vms: pd.DataFrame) -> pa.Table:
    """``vms`` with the normalised columns as an Arrow table; NaN and NA become null."""
    arrays = {}
    for column in COLUMNS:
        if column.name not in vms:
            continue
        series = vms[column.name]
        if column.kind == "identity":
            wanted = pa.int64() if pd.api.types.is_integer_dtype(series.dtype) else pa.string()
        else:
            wanted = _ARROW[column.kind]
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(pd.StringDtype())
        array = pa.array(series, from_pandas=True)
        arrays[column.name] = array.cast(wanted)
    return pa.table(arrays)


def _write(table: pa.Table, file: Any, path: Path) -> None:
    if path.name.endswith(_PARQUET):
        pyarrow.parquet.write_table(table, file, compression="zstd")
    elif path.name.endswith(".gz"):
        # mtime: the same trace gives the same bytes. (Arrow's own compressed stream would close the file.)
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
            pyarrow.csv.write_csv(table, packed)
    else:
        pyarrow.csv.write_csv(table, file)


def _refuse_line_breaks(table: pa.Table) -> None:
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type) and pa.compute.any(pa.compute.match_substring(column, "\n")).as_py():
            raise InputError(f"{name} holds a line break, which a CSV line cannot; write Parquet instead")
