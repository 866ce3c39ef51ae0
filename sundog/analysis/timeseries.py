"""``timeseries.parquet``: the run at equally spaced instants, for plots and for whoever opens it in pandas."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from sundog.analysis.fragmentation import Samples
from sundog.analysis.tables import REJECTED, Floats, Results
from sundog.analysis.timeline import Timeline

POINTS: Final = 501


def instants(horizon_s: float, points: int = POINTS) -> Floats:
    """Equally spaced instants from 0 to the end of the run, both included. Shape: (points,); a run of 0 s has one."""
    return np.linspace(0.0, horizon_s, points) if horizon_s > 0 else np.zeros(1)


def time_series(results: Results, timeline: Timeline, samples: Samples) -> pa.Table:
    """One row an instant; every value holds after all that happens at it. Columns as docs/reference/results.md."""
    times = samples.instants
    vms = results.vms
    rejected = np.sort(vms.arrival_s[vms.outcome == REJECTED])
    columns: dict[str, Floats] = {"time_s": times}
    for index, name in enumerate(results.resources):
        columns[f"allocated_{name}"] = timeline.allocated[name].at(times)
        columns[f"capacity_{name}"] = timeline.capacity[name].at(times)
        columns[f"density_{name}"] = timeline.packing(name).at(times)
        columns[f"free_{name}"] = samples.free[:, index]
        columns[f"stranded_{name}"] = samples.stranded[:, index]
        columns[f"fragmentation_{name}"] = samples.fragmented[:, index]
    counts = {
        "vms_running": timeline.vms_running.at(times),
        "hosts_up": timeline.hosts_up.at(times),
        "hosts_disabled": timeline.hosts_disabled.at(times),
        "hosts_empty": timeline.hosts_empty.at(times),
        "rejected_total": np.searchsorted(rejected, times, side="right"),
    }
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    arrays |= {name: pa.array(np.asarray(values).astype(np.int64)) for name, values in counts.items()}
    return pa.table(arrays)
