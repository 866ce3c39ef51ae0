"""Recorded decisions of three private clouds, and what Sundog's policies would have decided in their place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.proofs.eucalyptus import CLOUDS, Log, list_of, log_of, one_step_ahead, replay, ring, study_of

pytestmark = [pytest.mark.trace, pytest.mark.slow]

AT_LEAST = {"DS1": (0.78, 0.20), "DS2": (0.50, 0.15), "DS3": (0.86, 0.20)}
"""Share of the decisions that agree, one step ahead, and how far ``random`` must stay below it, at the least."""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_one_step_ahead_most_decisions_are_the_recorded_ones(cloud: str, traces: Path) -> None:
    found, (share, beyond_chance) = replay(traces, cloud), AT_LEAST[cloud]
    assert found.step > share
    assert found.step > found.by_chance + beyond_chance


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_cores_in_use_are_those_of_the_log_at_every_instant(cloud: str, traces: Path) -> None:
    found = replay(traces, cloud)
    assert found.rejected == 0
    assert found.difference < 1e-12
    assert found.recorded == pytest.approx(found.simulated)


@pytest.mark.parametrize(("cloud", "wrong"), [("DS1", "first-fit"), ("DS2", "round-robin"), ("DS3", "first-fit")])
def test_the_scheduler_that_a_cloud_did_not_have_agrees_less(cloud: str, wrong: str, traces: Path) -> None:
    study = study_of(traces, cloud)
    log, order = log_of(study), replay(traces, cloud).nodes
    late = np.arange(len(log.node)) >= len(log.node) // 2
    assert one_step_ahead(study, log, order, policy=wrong)[late].mean() < replay(traces, cloud).step - 0.1


def test_the_order_of_nodes_is_found_again_where_it_is_known() -> None:
    rng = np.random.default_rng(1)
    around = (0, 3, 1, 4, 2)
    node = np.asarray([around[number % 5] if rng.random() < 0.8 else rng.integers(5) for number in range(300)])
    times = np.arange(300.0)
    log = Log(times, times + 1, np.ones(300), node, hosts=5, size=4)
    assert ring(log, 300) == around
    first_fit = np.asarray([(2, 0, 1)[(number % 6) // 2] for number in range(60)])
    # Two cores a node: six VMs fill all three in the order of the list, and leave before the next six.
    log = Log(np.arange(60.0), np.repeat(np.arange(6.0, 66.0, 6.0), 6), np.ones(60), first_fit, hosts=3, size=2)
    assert list_of(log, 60) == (2, 0, 1)
