"""Eucalyptus private clouds (UCSB): a log of ``START ts instance node cores`` and ``STOP ts instance`` lines.

Source: the traces' TRACE-README; Pucher, Wolski, Krintz et al., IC2E 2015. Times are whole seconds from the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sundog.errors import InputError
from sundog.scenarios.traces.model import Option, Trace, in_arrival_order, locate, positive_number

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams

DESCRIPTION = "Eucalyptus private clouds DS1 to DS6: START/STOP log with the node that was really used"
OPTIONS = {
    "memory_per_vcpu_mb": Option(
        positive_number, 1024.0, "MiB a VM asks for with each core, because the log has no memory"
    ),
}

_GAPS = (
    "where the log has a gap, VMs not seen after it were closed at its beginning and VMs first seen after it were"
    " opened at its end (TRACE-README); node is the host that was really used, at times beyond its cores"
)


@dataclass(frozen=True, slots=True)
class _Start:
    time: float
    vm_id: str
    node: str
    cores: int


def read(path: Path, *, options: dict[str, Any], streams: Streams) -> Trace:
    """The trace in the text file ``path`` (or the only ``*-trace.txt`` of that folder).

    A VM without STOP outlives the trace. Memory is ``memory_per_vcpu_mb`` times the cores.
    Raises: InputError with the line of an event that is malformed, out of time order, a second START of one VM, or a
    STOP of a VM that is not running.
    """
    if path.is_dir():
        path = _only_log(path)
    starts, lives = _events(path, _lines(path))
    vcpus = np.array([start.cores for start in starts], dtype=np.float64)
    life = np.array([lives.get(start.vm_id, np.nan) for start in starts], dtype=np.float64)
    per_vcpu = options["memory_per_vcpu_mb"]
    vms = in_arrival_order(
        {
            "vm_id": pd.array([start.vm_id for start in starts], dtype=pd.StringDtype()),
            "arrival_s": np.array([start.time for start in starts], dtype=np.float64),
            "lifetime_s": life,
            "vcpus": vcpus,
            "memory_mb": vcpus * per_vcpu,
            "node": pd.array([start.node for start in starts], dtype=pd.StringDtype()),
        }
    )
    notes = [f"the log has no memory: every VM was given {per_vcpu:g} MiB for each core (option memory_per_vcpu_mb)"]
    if np.isnan(life).any():
        notes.append(f"{int(np.isnan(life).sum())} of {len(life)} VMs have no STOP and outlive the trace")
    return Trace(vms, notes=(*notes, _GAPS))


def _only_log(folder: Path) -> Path:
    logs = sorted(entry.name for entry in folder.glob("*-trace.txt"))
    if len(logs) > 1:
        raise InputError(f"each file here is a cloud of its own; name one of {', '.join(logs)}", path=folder)
    return locate(folder, "*-trace.txt", what="Eucalyptus log")


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("there is no such file; check the path of the trace", path=path) from None
    except UnicodeDecodeError:
        raise InputError("not a text file; START and STOP lines are expected", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if not text.strip():
        raise InputError("the file is empty", path=path)
    return text.splitlines()


def _events(path: Path, lines: list[str]) -> tuple[list[_Start], dict[str, float]]:
    """Every start in file order, and the seconds lived of each VM that was stopped."""
    starts: list[_Start] = []
    running: dict[str, float] = {}
    lives: dict[str, float] = {}
    now = -np.inf
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            if fields[0] == "START":
                event = _start(fields)
                time, vm_id = event.time, event.vm_id
                if vm_id in running or vm_id in lives:
                    raise ValueError(f"VM {vm_id} starts a second time; ids are unique")
                starts.append(event)
                running[vm_id] = time
            else:
                time, vm_id = _stop(fields)
                if vm_id in running and time < running[vm_id]:
                    raise ValueError(f"VM {vm_id} ends before it starts: STOP at {time:g}, START at {running[vm_id]:g}")
                if vm_id not in running:
                    known = "a second time" if vm_id in lives else "and was never started"
                    raise ValueError(f"VM {vm_id} stops {known}")
                lives[vm_id] = time - running.pop(vm_id)
            if time < now:
                raise ValueError(f"time goes back from {now:g} to {time:g}; events must be in time order")
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from None
        now = time
    if not starts:
        raise InputError("not one START line", path=path)
    return starts, lives


def _start(fields: list[str]) -> _Start:
    if len(fields) != 5:
        raise ValueError(f"START takes a time, an instance, a node and cores; found {len(fields) - 1} fields")
    if not fields[4].isdecimal() or int(fields[4]) < 1:
        raise ValueError(f"cores is {fields[4]!r}; a whole number above 0 is expected")
    return _Start(_time(fields[1]), fields[2], fields[3], int(fields[4]))


def _stop(fields: list[str]) -> tuple[float, str]:
    if fields[0] != "STOP":
        raise ValueError(f"{fields[0][:40]!r} is not an event; START or STOP is expected")
    if len(fields) != 3:
        raise ValueError(f"STOP takes a time and an instance; found {len(fields) - 1} fields")
    return _time(fields[1]), fields[2]


def _time(word: str) -> float:
    try:
        time = float(word)
    except ValueError:
        raise ValueError(f"time is {word!r}; seconds are expected") from None
    if not np.isfinite(time):
        raise ValueError(f"time is {word}; a finite number of seconds is expected")
    return time
