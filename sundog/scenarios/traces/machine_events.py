"""Google ClusterData2011-2 ``machine_events``: machines that come, go and change, to replay as failures and repairs.

Source: google/cluster-data ClusterData2011_2.md. The original is a CSV without header: time in microseconds, machine,
event type (0 ADD, 1 REMOVE, 2 UPDATE), platform, CPU and memory as fractions of the largest machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sundog.errors import InputError
from sundog.scenarios.traces.model import locate
from sundog.scenarios.traces.tables import head_of, read_table

EVENTS = ("add", "remove", "update")
_NAMES = ("t_us", "machine_id", "event", "platform", "cpu", "mem")


def read_machine_events(path: Path) -> pd.DataFrame:
    """The events in ``path`` (Parquet, or the original CSV without header, ``.gz`` too), or in the file of that folder.

    Columns: ``time_s`` (float64), ``machine`` (int64), ``event`` (add | remove | update), ``cpu``, ``memory`` (float64,
    fractions of the largest machine, NaN where not recorded), in time order. At time 0 are the machines there already.
    Raises: InputError for other columns, an unknown event, negative or unsorted times.
    """
    if path.is_dir():
        path = locate(path, "*machine*events*.parquet", "*machine*events*.csv*", "part-*.csv*", what="machine events")
    original = head_of(path)[:4] != b"PAR1" and path.suffix.lower() not in (".parquet", ".pq")
    source = read_table(path, names=_NAMES if original and not _is_named(path) else None)
    source.require([name for name in _NAMES if name != "platform"])
    time, kind = source.number("t_us", least=0), source.integer("event")
    source.refuse((kind < 0) | (kind > 2), lambda row: f"event is {kind[row]}; expected 0 add, 1 remove, 2 update")
    source.ascending("t_us", time)
    return pd.DataFrame(
        {
            "time_s": time / 1e6,
            "machine": source.integer("machine_id"),
            "event": pd.Categorical.from_codes(kind, pd.Index(EVENTS)),
            "cpu": source.number("cpu", missing=np.nan, least=0),
            "memory": source.number("mem", missing=np.nan, least=0),
        }
    )


def _is_named(path: Path) -> bool:
    """Whether the first line names columns instead of being an event."""
    return head_of(path)[:1].isalpha()


def uptimes(events: pd.DataFrame) -> pd.DataFrame:
    """How long each machine was there: one row a stay, ``machine, start_s, end_s`` (NaN: to the end), by start.

    An add of a machine that is there, and a remove of one that is not, change nothing (the original has both).
    Raises: InputError where ``events`` are not in time order.
    """
    time, machine = events["time_s"].to_numpy(), events["machine"].to_numpy()
    if (np.diff(time) < 0).any():
        raise InputError("machine events are not in time order; sort them by time_s")
    there: dict[int, float] = {}
    stays: list[tuple[int, float, float]] = []
    for now, name, what in zip(time.tolist(), machine.tolist(), events["event"].tolist(), strict=True):
        if what == "add":
            there.setdefault(name, now)
        elif what == "remove" and name in there:
            stays.append((name, there.pop(name), now))
    stays += [(name, start, np.nan) for name, start in there.items()]
    stays.sort(key=lambda stay: (stay[1], stay[0]))
    return pd.DataFrame(stays, columns=["machine", "start_s", "end_s"])
