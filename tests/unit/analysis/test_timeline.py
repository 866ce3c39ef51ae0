"""The exact figures against plain loops that look at every second of small workloads whose times are whole seconds."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.analysis import Results, check_conservation
from sundog.analysis.fragmentation import request_mix, sample
from sundog.analysis.timeline import build_timeline, stable_order
from tests.unit.analysis.folders import make_event, make_host, make_stay, make_vm, write_result

END = 12
SECONDS = range(END)


@st.composite
def workloads(draw) -> tuple[list[dict], list[dict]]:
    """Stays of a few VMs on three hosts, at whole seconds, some overlapping, some open, and events of the hosts."""
    stays = []
    for vm in range(draw(st.integers(0, 6))):
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, END))
            end = draw(st.none() | st.integers(start, END + 2))
            amount = draw(st.sampled_from([1.0, 2.0, 3.0, 0.1]))
            stays.append(make_stay(vm, f"h{draw(st.integers(0, 2))}", float(start), end, vcpus=amount))
    kinds = st.sampled_from(["failed", "repaired", "disabled", "enabled", "removed", "added"])
    events = [
        make_event(float(draw(st.integers(0, END))), f"h{draw(st.integers(0, 2))}", draw(kinds))
        for _ in range(draw(st.integers(0, 8)))
    ]
    return stays, events


def load(stays: list[dict], events: list[dict]) -> Results:
    vms = [make_vm(vm, 0.0, "running") for vm in sorted({stay["vm_id"] for stay in stays})]
    hosts = [make_host(f"h{i}", vcpus=float(4 + i), added_s=[0.0, 0.0, 3.0][i]) for i in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        return Results.load(
            write_result(Path(folder), vms=vms, stays=stays, hosts=hosts, events=events, horizon_s=float(END))
        )


def states(events: list[dict], host: int, time: float) -> tuple[bool, bool, bool]:
    """(present, up, taking VMs) by playing the events one after the other."""
    added_s = [0.0, 0.0, 3.0][host]
    present = failed = disabled = False
    mine = [(added_s, -1, "added")]
    mine += [(e["time_s"], i, e["event"]) for i, e in enumerate(events) if e["host"] == f"h{host}"]
    for at, _, event in sorted(mine):
        if at > time:
            break
        present = event != "removed" if event in ("added", "removed") else present
        failed = event == "failed" if event in ("failed", "repaired") else failed
        disabled = event == "disabled" if event in ("disabled", "enabled") else disabled
    return present, present and not failed, present and not failed and not disabled


def on_at(stays: list[dict], time: float) -> list[dict]:
    return [s for s in stays if s["start_s"] <= time and (s["end_s"] is None or s["end_s"] > time)]


@given(workloads(), st.integers(0, END - 1))
def test_exact_figures_equal_a_sum_over_every_second(workload, warm):
    stays, events = workload
    timeline = build_timeline(load(stays, events))
    reference: dict[str, list[float]] = {"allocated": [], "capacity": [], "running": [], "empty": [], "up": []}
    shares, packings = [], []
    for time in range(warm, END + 1):
        here = on_at(stays, time)
        allocated = sum(s["vcpus"] for s in here)
        up = [h for h in range(3) if states(events, h, time)[1]]
        capacity = float(sum(4 + h for h in up))
        used = sum(4 + h for h in range(3) if any(s["host"] == f"h{h}" for s in here))
        reference["allocated"].append(allocated)
        reference["capacity"].append(capacity)
        reference["running"].append(len({s["vm_id"] for s in here}))
        reference["up"].append(len(up))
        reference["empty"].append(
            sum(states(events, h, time)[2] and not any(s["host"] == f"h{h}" for s in here) for h in range(3))
        )
        shares.append(allocated / capacity if capacity else np.nan)
        packings.append(allocated / used if used else np.nan)
    span = (float(warm), float(END))
    for name, steps in {
        "allocated": timeline.allocated["vcpus"],
        "capacity": timeline.capacity["vcpus"],
        "running": timeline.vms_running,
        "empty": timeline.hosts_empty,
        "up": timeline.hosts_up,
    }.items():
        values = reference[name]
        assert steps.pieces(*span).mean() == pytest.approx(np.mean(values[:-1]), abs=1e-9), name
        assert steps.pieces(*span).highest() == pytest.approx(max(values), abs=1e-9), name
        assert steps.pieces(*span).lowest() == pytest.approx(min(values), abs=1e-9), name
        assert steps.last(*span) == pytest.approx(values[-1], abs=1e-9), name
    for share, values in ((timeline.utilisation("vcpus"), shares), (timeline.packing("vcpus"), packings)):
        known = [value for value in values[:-1] if not np.isnan(value)]
        expected = np.mean(known) if known else np.nan
        assert share.pieces(*span).mean() == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(workloads())
def test_sampled_occupancy_equals_what_is_on_the_hosts(workload):
    stays, events = workload
    results = load(stays, events)
    mix = request_mix(results)
    times = np.arange(END + 1, dtype=float)
    samples = sample(results, mix, times)
    for place, time in enumerate(times):
        here = on_at(stays, time)
        free = stranded = 0.0
        for host in range(3):
            mine = [s for s in here if s["host"] == f"h{host}"]
            room = max(4 + host - sum(s["vcpus"] for s in mine), 0.0) if states(events, host, time)[2] else 0.0
            memory = 1024.0 - sum(s["memory_mb"] for s in mine)
            free += room
            stranded += room if len(mix.asked) and (room < 4.0 - 1e-6 or memory < 256.0) else 0.0
        assert samples.free[place, 0] == pytest.approx(free, abs=1e-6)
        assert samples.stranded[place, 0] == pytest.approx(stranded, abs=1e-6)


@given(workloads())
def test_the_audit_finds_every_host_and_second_over_capacity(workload):
    stays, events = workload
    found = check_conservation(load(stays, events), cap=10_000)
    over = {(v.host, v.time_s) for v in found.violations if v.kind == "over capacity" and v.resource == "vcpus"}
    expected = set()
    for host in range(3):
        before = False
        for time in range(END + 3):
            here = [s for s in on_at(stays, time) if s["host"] == f"h{host}"]
            now = sum(s["vcpus"] for s in here) > 4 + host + 1e-5
            if now and not before:
                expected.add((f"h{host}", float(time)))
            before = now
    assert over == expected


@given(st.lists(st.sampled_from([0, 1, 7, 0xFFFF, 0x10000, 0x10007, 0x7FFFFFFF])))
def test_rows_are_sorted_by_keys_of_any_width_and_stay_in_order_within_one(keys):
    order = np.arange(len(keys))[::-1]
    found = stable_order(np.array(keys, dtype=np.int32), order)
    assert found.tolist() == sorted(order.tolist(), key=keys.__getitem__)
