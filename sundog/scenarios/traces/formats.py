"""The table of trace formats, and the one way to read any of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sundog.errors import InputError
from sundog.scenarios.traces import azure_packing, azure_v1, eucalyptus, huawei, normalised, openb
from sundog.scenarios.traces.model import Option, Trace, parse_options, suggest
from sundog.scenarios.traces.tables import head_of

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams


class Reader(Protocol):
    """What a format's module offers as ``read``: the whole trace at ``path``, with parsed options."""

    def __call__(self, path: Path, *, options: dict[str, Any], streams: Streams) -> Trace: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Format:
    """One format: its name in scenario files, a line about it, the options it knows, and its reader."""

    name: str
    description: str
    options: Mapping[str, Option]
    read: Reader


FORMATS: Mapping[str, Format] = {
    name: Format(name, module.DESCRIPTION, module.OPTIONS, module.read)
    for name, module in (
        ("normalised", normalised),
        ("azure-v1", azure_v1),
        ("huawei", huawei),
        ("eucalyptus", eucalyptus),
        ("openb", openb),
        ("azure-packing", azure_packing),
    )
}


def read_trace(
    format: str,  # noqa: A002 - the word that the scenario file uses
    path: Path,
    *,
    limit: int | None = None,
    time_scale: float = 1.0,
    streams: Streams,
    options: Mapping[str, Any] | None = None,
) -> Trace:
    """The trace at ``path``: a file, or the data set's folder.

    ``limit`` keeps the first so many VMs in arrival order; a shorter trace is the beginning of the whole one, drawn
    lifetimes included. ``time_scale`` multiplies arrivals and lifetimes: 0.5 plays it twice as fast.
    ``streams``: chance, for formats that sample. Reading again with the same seed gives the same trace.
    Raises: InputError for an unknown format or option (with the nearest known one), and whatever is wrong in the file.
    """
    if format not in FORMATS:
        raise InputError(f"unknown trace format {format!r}; {suggest(format, FORMATS)}", format=format)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InputError(f"limit is {limit!r}; give a whole number of VMs above 0, or leave it out", limit=limit)
    if not (math.isfinite(time_scale) and time_scale > 0):
        raise InputError(f"time_scale is {time_scale!r}; give a number above 0", time_scale=time_scale)
    parsed = parse_options(format, FORMATS[format].options, options)
    path = Path(path)
    if not path.exists():
        raise InputError("there is no such file or folder; check the path of the trace", path=path)
    trace = FORMATS[format].read(path, options=parsed, streams=streams)
    return _cut(replace(trace, notes=(*trace.notes, *_unfinished(path))), limit, time_scale)


def _unfinished(path: Path) -> tuple[str, ...]:
    """A note for a text file whose last line does not end: a number cut in its middle is still a number."""
    if path.is_dir() or head_of(path).startswith((b"PAR1", b"SQLite format 3", b"\x1f\x8b")):
        return ()
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        whole = file.read(1) == b"\n"
    return () if whole else ("the last line has no line end; if the file was cut short, its last row may be wrong",)


def _cut(trace: Trace, limit: int | None, time_scale: float) -> Trace:
    vms, notes = trace.vms, list(trace.notes)
    if limit is not None and limit < len(vms):
        notes.append(f"the first {limit} of {len(vms)} VMs (limit)")
        vms = vms.iloc[:limit].reset_index(drop=True)
    if time_scale != 1.0:
        notes.append(f"arrivals and lifetimes multiplied by {time_scale:g} (time_scale)")
        vms = vms.assign(arrival_s=vms["arrival_s"] * time_scale, lifetime_s=vms["lifetime_s"] * time_scale)
    return Trace(vms, trace.hosts, trace.variants, tuple(notes))
