from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.scenarios.traces import Trace, trace_info


def make_trace(rows, **more):
    names = ["vm_id", "arrival_s", "lifetime_s", "vcpus", "memory_mb"]
    return Trace(pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[1:], float)).assign(**more))


def test_figures_of_a_small_trace():
    rows = [(0, -5, 10, 2, 100), (1, 0, 5, 1, 50), (2, 5, None, 4, 10), (3, 6, 0, 64, 999)]
    more = {"gpus": [1.0, 0, 2, 0], "gpu_share": [0.5, 1, 1, 1], "flavor": list("aabc"), "group": [1, 1, 2, 3]}
    info = trace_info(make_trace(rows, **more))
    assert info["vms"] == 4
    assert (info["first_arrival_s"], info["last_arrival_s"], info["last_end_s"]) == (-5.0, 6.0, 6.0)
    assert info["alive_at_start"] == 1
    assert info["outlive_trace"] == 1
    assert info["lifetime_s"]["p50"] == 5.0
    assert info["lifetime_s"]["max"] == 10.0
    assert info["vcpus"] == {"min": 1.0, "mean": 17.75, "max": 64.0, "sum": 71.0}
    assert info["gpus"]["sum"] == 2.5
    assert info["flavors"] == {"count": 3, "top": {"a": 2, "b": 1, "c": 1}}
    assert info["groups"] == 3
    assert json.loads(json.dumps(info)) == info


def test_departures_come_before_arrivals_of_that_instant_and_a_life_of_no_time_weighs_nothing():
    rows = [(0, -5, 10, 2, 100), (1, 0, 5, 1, 50), (2, 5, None, 4, 10), (3, 6, 0, 64, 999)]
    peak = trace_info(make_trace(rows))["peak"]
    assert peak["vms"] == {"value": 2.0, "at_s": 0.0}
    assert peak["vcpus"] == {"value": 4.0, "at_s": 5.0}
    assert peak["memory_mb"] == {"value": 150.0, "at_s": 0.0}


def test_sizes_that_hang_on_the_machine_are_not_known():
    info = trace_info(make_trace([(0, 0, 1, None, None)]))
    assert info["vcpus"] is None
    assert info["peak"]["vcpus"] is None
    assert info["peak"]["vms"] == {"value": 1.0, "at_s": 0.0}
    json.dumps(info, allow_nan=False)


def test_an_inventory_is_told_by_type():
    model = pd.array([None, None], pd.StringDtype())
    hosts = pd.DataFrame({"host": ["a", "b"], "type": ["x", "x"], "count": [1, 1], "gpu_model": model})
    info = trace_info(Trace(make_trace([(0, 0, 1, 1, 1)]).vms, hosts=hosts))
    assert info["hosts"] == {"count": 2, "types": [{"type": "x", "count": 2, "gpu_model": None}]}
    json.dumps(info, allow_nan=False)


@given(
    st.lists(st.tuples(st.integers(-5, 20), st.none() | st.integers(0, 20), st.integers(1, 9)), min_size=1, max_size=15)
)
def test_the_peak_is_what_counting_at_every_arrival_finds(rows):
    rows.sort(key=lambda row: row[0])
    table = [(i, arrival, life, size, size) for i, (arrival, life, size) in enumerate(rows)]
    peak = trace_info(make_trace(table))["peak"]
    ends = [np.inf if life is None else arrival + life for arrival, life, _ in rows]
    spans = [(start, end, size) for (start, _, size), end in zip(rows, ends, strict=True)]
    loads = [sum(size for start, end, size in spans if start <= now < end) for now, _, _ in rows]
    if max(loads) == 0:
        assert peak["vcpus"] is None
    else:
        assert peak["vcpus"]["value"] == pytest.approx(max(loads))
