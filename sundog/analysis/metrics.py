"""The figures of a run. Every one is a value with a unit and one sentence that defines it.

Figures of time (allocation, hosts) are weighted by time over the window; figures of requests count those that arrived
in it; figures of events count those that happened in it. The window runs from the end of the warm-up to the end of the
run.
A figure that does not exist (a mean over nothing) is NaN here and null in ``summary.json``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sundog.analysis.fragmentation import RequestMix, Samples
from sundog.analysis.statistics import spread
from sundog.analysis.tables import (
    ARRIVAL,
    COMPLETED,
    EVACUATION,
    FAILED,
    LOST,
    MIGRATION,
    REJECTED,
    RUNNING,
    Coded,
    Floats,
    Resource,
    Results,
    Vms,
)
from sundog.analysis.timeline import Timeline
from sundog.units import HOUR

SHARE = "share"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: its key (``group.name``), value, unit and definition."""

    key: str
    value: float | int
    unit: str
    about: str


def requests_in_window(results: Results) -> npt.NDArray[np.intp]:
    """Rows of the requests that arrived in the window."""
    start, end = results.window
    return np.flatnonzero((results.vms.arrival_s >= start) & (results.vms.arrival_s <= end))


def figures(results: Results, timeline: Timeline, samples: Samples) -> list[Figure]:
    """All figures of the run, in the order of ``docs/reference/results.md``."""
    rows = requests_in_window(results)
    found: list[Figure] = [*_request_figures(results, rows), *_vm_figures(results, timeline)]
    for index, resource in enumerate(results.run.resources):
        found += _allocation_figures(results, timeline, resource)
        found += _fragmentation_figures(results, timeline, samples, index, resource)
        found += _rejected_amount_figures(results, rows, resource)
    return [*found, *_host_figures(results, timeline), *_disturbance_figures(results), *_delay_figures(results, rows)]


def _request_figures(results: Results, rows: npt.NDArray[np.intp]) -> Iterator[Figure]:
    outcome = results.vms.outcome[rows]
    total = len(rows)
    start, end = results.window
    yield Figure("requests.total", total, "VM", "requests that arrived in the window")
    earlier = int((results.vms.arrival_s < start).sum())
    yield Figure("requests.earlier", earlier, "VM", "arrived before the window or alive at the beginning; not counted")
    for code, name, about in (
        (COMPLETED, "completed", "of those, ran until the end of their lifetime"),
        (RUNNING, "running", "of those, still running when the run ended"),
        (REJECTED, "rejected", "of those, never placed"),
        (LOST, "lost", "of those, placed, then lost with a failed host"),
    ):
        yield Figure(f"requests.{name}", int((outcome == code).sum()), "VM", about)
    rejected = int((outcome == REJECTED).sum())
    yield Figure("requests.rejected_share", _over(rejected, total), SHARE, "rejected / total requests of the window")
    rate = _over(total, (end - start) / HOUR) if end > start else math.nan
    yield Figure("requests.per_hour", rate, "VM/h", "requests of the window / hours of the window")


def _vm_figures(results: Results, timeline: Timeline) -> Iterator[Figure]:
    window = results.window
    running = timeline.vms_running.pieces(*window)
    yield Figure("vms.running_mean", running.mean(), "VM", "time-weighted mean of VMs that are on a host")
    yield Figure("vms.running_peak", running.highest(), "VM", "most VMs on hosts at one instant of the window")
    yield Figure("vms.running_end", timeline.vms_running.last(*window), "VM", "VMs on hosts when the run ended")


def _allocation_figures(results: Results, timeline: Timeline, resource: Resource) -> Iterator[Figure]:
    window, name, unit = results.window, resource.name, resource.unit
    allocated = timeline.allocated[name].pieces(*window)
    key = f"allocation.{name}"
    label = resource.label
    yield Figure(f"{key}.mean", allocated.mean(), unit, f"{label} allocated, time-weighted mean")
    yield Figure(f"{key}.peak", allocated.highest(), unit, f"{label} allocated, most at one instant")
    yield Figure(f"{key}.end", timeline.allocated[name].last(*window), unit, f"{label} allocated when the run ended")
    about = f"{label} allocated / capacity in service at the same instant"
    share = timeline.utilisation(name).pieces(*window)
    yield Figure(f"{key}.mean_share", share.mean(), SHARE, f"{about}, time-weighted mean")
    yield Figure(f"{key}.peak_share", share.highest(), SHARE, f"{about}, highest")
    yield Figure(f"{key}.end_share", timeline.utilisation(name).last(*window), SHARE, f"{about}, when the run ended")
    yield Figure(
        f"capacity.{name}.mean", timeline.capacity[name].pieces(*window).mean(), unit,
        f"{label} of the hosts in service, after overcommit and reserve, time-weighted mean",
    )  # fmt: skip
    yield Figure(
        f"packing.{name}.density", timeline.packing(name).pieces(*window).mean(), SHARE,
        f"{label} allocated / capacity of the hosts that hold at least one VM, time-weighted mean",
    )  # fmt: skip


def _fragmentation_figures(
    results: Results, timeline: Timeline, samples: Samples, index: int, resource: Resource
) -> Iterator[Figure]:
    start, end = results.window
    inside = (samples.instants >= start) & (samples.instants <= end) if end > start else np.zeros(0, dtype=np.intp)
    capacity = timeline.capacity[resource.name].at(samples.instants)[inside]
    free = samples.free[inside, index]
    for key, amount, what in (
        ("stranded", samples.stranded[inside, index], "on hosts that the commonest request does not fit"),
        ("fragmentation", samples.fragmented[inside, index], "expected to be of no use to a request of the mix (FGD)"),
    ):
        about = f"free {resource.label} {what}, mean of the sampled instants"
        name = f"{key}.{resource.name}"
        yield Figure(f"{name}.mean", _mean(amount), resource.unit, about)
        yield Figure(f"{name}.share_of_capacity", _over(amount.sum(), capacity.sum()), SHARE, f"{about} / capacity")
        yield Figure(f"{name}.share_of_free", _over(amount.sum(), free.sum()), SHARE, f"{about} / free")


def _rejected_amount_figures(results: Results, rows: npt.NDArray[np.intp], resource: Resource) -> Iterator[Figure]:
    asked = results.vms.asked[resource.name][rows]
    rejected = results.vms.outcome[rows] == REJECTED
    key = f"rejections.{resource.name}"
    yield Figure(
        f"{key}.amount_share", _over(asked[rejected].sum(), asked.sum()), SHARE,
        f"{resource.label} asked by rejected requests / by all requests",
    )  # fmt: skip
    hours = _asked_hours(results.vms, rows, results.run.horizon_s)
    value = math.nan if hours is None else _over((asked * hours)[rejected].sum(), (asked * hours).sum())
    yield Figure(
        f"{key}.hours_share", value, SHARE,
        f"{resource.label}-hours asked by rejected requests / by all requests; lifetimes are cut at the end of the run,"
        " null where vms.parquet has no lifetime_s",
    )  # fmt: skip


def _asked_hours(vms: Vms, rows: npt.NDArray[np.intp], horizon_s: float) -> Floats | None:
    """Hours that each request asks for before the end of the run; None where the lifetimes are not in the table."""
    if vms.lifetime_s is None:
        return None
    until_end = np.maximum(horizon_s - vms.arrival_s[rows], 0.0)
    return np.fmin(vms.lifetime_s[rows], until_end) / HOUR


def _host_figures(results: Results, timeline: Timeline) -> Iterator[Figure]:
    window = results.window
    up, empty = timeline.hosts_up.pieces(*window), timeline.hosts_empty.pieces(*window)
    yield Figure("hosts.total", len(results.hosts), "host", "hosts that were ever part of the fleet")
    yield Figure("hosts.up_mean", up.mean(), "host", "hosts up (added, not failed, not removed), mean")
    yield Figure("hosts.up_min", up.lowest(), "host", "fewest hosts up at one instant")
    yield Figure(
        "hosts.disabled_mean", timeline.hosts_disabled.pieces(*window).mean(), "host", "up, but taking no new VMs, mean"
    )
    yield Figure("hosts.empty_mean", empty.mean(), "host", "hosts up and not disabled, without a VM, mean")
    yield Figure("hosts.empty_min", empty.lowest(), "host", "fewest empty hosts at one instant")
    yield Figure("hosts.empty_max", empty.highest(), "host", "most empty hosts at one instant")
    yield Figure(
        "hosts.availability", _over(up.mean(), timeline.hosts_present.pieces(*window).mean()), SHARE,
        "host-hours up / host-hours of hosts that are part of the fleet",
    )  # fmt: skip
    events = results.events
    failures = (events.event == FAILED) & _inside(events.time_s, window)
    yield Figure("hosts.failures", int(failures.sum()), "failure", "host failures in the window")


def _disturbance_figures(results: Results) -> Iterator[Figure]:
    vms, stays, window = results.vms, results.stays, results.window
    moved = _inside(stays.start_s, window)
    evacuated = int((moved & (stays.cause == EVACUATION)).sum())
    lost = int(((vms.outcome == LOST) & _inside(vms.end_s, window)).sum())
    yield Figure("evacuations.total", evacuated + lost, "VM", "VMs that had to leave a failed host: evacuated or lost")
    yield Figure("evacuations.success", evacuated, "VM", "evacuations that found another host")
    yield Figure("evacuations.lost", lost, "VM", "VMs lost in the window because no other host took them")
    yield Figure("evacuations.success_share", _over(evacuated, evacuated + lost), SHARE, "success / total evacuations")
    migrations = int((moved & (stays.cause == MIGRATION)).sum())
    yield Figure("migrations.total", migrations, "VM", "migrations that began in the window")
    up, down = _up_and_down(results)
    yield Figure(
        "availability.vms", _over(up.sum(), up.sum() + down.sum()), SHARE,
        "uptime / (uptime + downtime) of all VMs that ran in the window",
    )  # fmt: skip
    yield Figure("availability.downtime", float(down.sum()), "s", "downtime of those VMs, added up")
    yield Figure("availability.disturbed", int((down > 0).sum()), "VM", "of those VMs, had any downtime")


def _up_and_down(results: Results) -> tuple[Floats, Floats]:
    """Seconds up and down, in the window, of each VM that lived in it; uptime is the part of its life that is not down.

    The run gives one downtime a VM. Where only some of what disturbed it (evacuations, migrations, restarts, its loss)
    lies in the window, that part of the downtime counts.
    """
    vms, stays, window = results.vms, results.stays, results.window
    start, end = window
    ends = np.fmin(vms.end_s, end)
    lived = np.flatnonzero((vms.start_s <= end) & (ends >= start) & (end > start))
    moves = np.flatnonzero((stays.cause != ARRIVAL) & (stays.vm >= 0))
    vm, at = stays.vm[moves], stays.start_s[moves]
    lost = vms.outcome == LOST
    disturbed = np.bincount(vm, minlength=len(vms)) + lost
    inside = np.bincount(vm[_inside(at, window)], minlength=len(vms)) + (lost & _inside(vms.end_s, window))
    part = np.where(disturbed > 0, inside / np.maximum(disturbed, 1), 1.0)
    down = (vms.downtime_s * part)[lived]
    life = ends[lived] - np.maximum(vms.start_s[lived], start)
    return np.maximum(life - down, 0.0), down


def _delay_figures(results: Results, rows: npt.NDArray[np.intp]) -> Iterator[Figure]:
    for key, values, about in (
        ("boot", boot_times(results, rows), "from arrival until the guest is up"),
        ("wait", waiting_times(results, rows), "from arrival until placed on a host"),
        ("lifetime", lifetimes(results, rows), "from start to end of the completed VMs"),
    ):
        values_spread = spread(values)
        for name, what in (("mean", "mean"), ("p50", "median"), ("p90", "90 % quantile"), ("p99", "99 % quantile")):
            yield Figure(f"{key}.{name}", getattr(values_spread, name), "s", f"time {about}, {what}")


def boot_times(results: Results, rows: npt.NDArray[np.intp]) -> Floats:
    """Seconds from arrival until the guest is up, where known."""
    values = results.vms.boot_s[rows]
    return values[~np.isnan(values)]


def waiting_times(results: Results, rows: npt.NDArray[np.intp]) -> Floats:
    """Seconds from arrival until placed, of the requests that were."""
    values = results.vms.start_s[rows] - results.vms.arrival_s[rows]
    return values[~np.isnan(values)]


def lifetimes(results: Results, rows: npt.NDArray[np.intp]) -> Floats:
    """Seconds from start to end of the completed VMs. VMs still running are left out, so long ones are too few."""
    done = rows[results.vms.outcome[rows] == COMPLETED]
    values = results.vms.end_s[done] - results.vms.start_s[done]
    return values[~np.isnan(values)]


def rejections_by(results: Results, column: Coded) -> list[dict[str, Any]]:
    """Rejected requests of the window by the names of ``column``, most first.

    A row: name, requests (rejected), share_of_rejected, share_of_requests, requests_of_name (all requests that carry
    the name), rejected_share (of those, rejected), and for each resource ``<r>_share`` (amount asked by these rejected
    requests / by all requests) and ``<r>_hours_share`` (the same for resource-hours).
    """
    rows = requests_in_window(results)
    vms = results.vms
    codes, size = column.codes[rows], len(column.names)
    rejected = vms.outcome[rows] == REJECTED
    count = np.bincount(codes[rejected], minlength=size)
    all_of_name = np.bincount(codes, minlength=size)
    shares: dict[str, Floats] = {}
    hours = _asked_hours(vms, rows, results.run.horizon_s)
    for resource in results.resources:
        asked = vms.asked[resource][rows]
        shares[f"{resource}_share"] = _shares(codes, asked, rejected, size)
        shares[f"{resource}_hours_share"] = _shares(codes, None if hours is None else asked * hours, rejected, size)
    order = [int(code) for code in np.lexsort((np.arange(size), -count)) if count[code]]
    return [
        {
            "name": column.names[code],
            "requests": int(count[code]),
            "share_of_rejected": _over(count[code], rejected.sum()),
            "share_of_requests": _over(count[code], len(rows)),
            "requests_of_name": int(all_of_name[code]),
            "rejected_share": _over(count[code], all_of_name[code]),
            **{name: float(values[code]) for name, values in shares.items()},
        }
        for code in order
    ]


def _shares(codes: npt.NDArray, amount: Floats | None, rejected: npt.NDArray[np.bool_], size: int) -> Floats:
    if amount is None or not amount.sum():
        return np.full(size, np.nan)
    return np.bincount(codes[rejected], weights=amount[rejected], minlength=size) / amount.sum()


def host_types(results: Results) -> list[dict[str, Any]]:
    """The fleet by host type, in the order of the file: type, hosts, zones, and capacity of each resource."""
    hosts = results.hosts
    found = []
    for code, name in enumerate(hosts.type.names):
        rows = np.flatnonzero(hosts.type.codes == code)
        zones = sorted({hosts.zone[int(row)] for row in rows})
        capacity = {f"capacity_{r}": float(hosts.capacity[r][rows].sum()) for r in results.resources}
        found.append({"type": name, "hosts": len(rows), "zones": ", ".join(zones), **capacity})
    return found


def mix_table(results: Results, mix: RequestMix) -> list[dict[str, Any]]:
    """The request mix, commonest first: name, the amounts asked, requests, share of all requests."""
    total = max(1, len(requests_in_window(results)) or len(results.vms))
    return [
        {
            "name": name,
            **{resource: float(mix.asked[i, r]) for r, resource in enumerate(results.resources)},
            "requests": int(mix.count[i]),
            "share_of_requests": float(mix.count[i] / total),
        }
        for i, name in enumerate(mix.names)
    ]


def _inside(times: Floats, window: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (times >= window[0]) & (times <= window[1])


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan


def _over(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else math.nan
