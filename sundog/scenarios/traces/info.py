"""What ``sundog trace info`` says about a trace: counts, spans, sizes, lifetimes, and the busiest instants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sundog.scenarios.traces.model import Trace, host_types

_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
_TOP_FLAVORS = 20


def trace_info(trace: Trace) -> dict[str, Any]:
    """Figures of ``trace``, ready for JSON (what is not known is None). Times in s, memory in MiB.

    ``peak`` gives the largest number of VMs alive at once, and of vCPUs, MiB and GPUs they ask for, each with the time
    ``at_s`` it is first reached, if every VM is placed as it arrives; departures come before arrivals of that instant.
    """
    vms = trace.vms
    arrival, life = vms["arrival_s"].to_numpy(), vms["lifetime_s"].to_numpy()
    known = life[~np.isnan(life)]
    amounts = {name: vms[name].to_numpy(dtype=np.float64) for name in ("vcpus", "memory_mb")}
    if "gpus" in vms:
        share = vms["gpu_share"].to_numpy() if "gpu_share" in vms else 1.0
        amounts["gpus"] = vms["gpus"].to_numpy() * share
    return {
        "vms": len(vms),
        "first_arrival_s": float(arrival.min()) if len(vms) else None,
        "last_arrival_s": float(arrival.max()) if len(vms) else None,
        "last_end_s": float(np.nanmax(arrival + life)) if len(known) else None,
        "alive_at_start": int((arrival < 0).sum()),
        "outlive_trace": int(len(life) - len(known)),
        "lifetime_s": _spread(known),
        **{name: _sizes(values) for name, values in amounts.items()},
        "peak": _peaks(arrival, life, {"vms": np.ones(len(vms)), **amounts}),
        "flavors": _flavors(vms),
        "groups": int(vms["group"].nunique()) if "group" in vms else None,
        "projects": int(vms["project_id"].nunique()) if "project_id" in vms else None,
        "hosts": _hosts(trace),
        "notes": list(trace.notes),
    }


def _spread(values: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    names = ["min", *(f"p{round(q * 100)}" for q in _QUANTILES[1:-1]), "max"]
    spread = dict(zip(names, np.quantile(values, _QUANTILES).tolist(), strict=True))
    return {**spread, "mean": float(values.mean())}


def _sizes(values: np.ndarray) -> dict[str, float] | None:
    if not len(values) or np.isnan(values).any():
        return None
    return {"min": float(values.min()), "mean": float(values.mean()), "max": float(values.max()),
            "sum": float(values.sum())}  # fmt: skip


def _peaks(arrival: np.ndarray, life: np.ndarray, amounts: dict[str, np.ndarray]) -> dict[str, Any]:
    ends = ~np.isnan(life)
    # A VM that lives 0 s would leave before it comes; it weighs nothing at any instant.
    lives = np.isnan(life) | (life > 0)
    ends &= lives
    time = np.concatenate([(arrival + life)[ends], arrival[lives]])
    order = np.argsort(time, kind="stable")  # stable: ends stand first, so they go first
    peaks: dict[str, Any] = {}
    for name, amount in amounts.items():
        if not len(order) or np.isnan(amount).any():
            peaks[name] = None
            continue
        alive = np.cumsum(np.concatenate([-amount[ends], amount[lives]])[order])
        top = int(np.argmax(alive))
        peaks[name] = {"value": round(float(alive[top]), 6), "at_s": float(time[order[top]])}
    return peaks


def _flavors(vms: pd.DataFrame) -> dict[str, Any] | None:
    if "flavor" not in vms:
        return None
    counts = vms["flavor"].value_counts()
    counts = counts[counts > 0]
    return {"count": len(counts), "top": {str(name): int(n) for name, n in counts.head(_TOP_FLAVORS).items()}}


def _hosts(trace: Trace) -> dict[str, Any] | None:
    if trace.hosts is None:
        return None
    types = host_types(trace.hosts)
    records = types.astype(object).where(types.notna(), None).to_dict("records")
    return {"count": len(trace.hosts), "types": records}
