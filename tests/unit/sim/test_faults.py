"""When hosts fail and come back: laws against their theory, outages, and machine events replayed from a file."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sundog.errors import InputError
from sundog.sim.spec import Evacuation, FaultsSpec
from sundog.units import DAY, HOUR
from tests.unit.sim.worlds import FOREVER, Played, make_engine, make_fleet, make_hosts, make_vm, play


def spec(**body: object) -> FaultsSpec:
    return FaultsSpec.model_validate(body)


def times_of(run: Played) -> tuple[np.ndarray, np.ndarray]:
    """The first sixty times to failure and to repair of each host, in seconds.

    Not all that fit into the run: those cut by its end are longer than others on average.
    """
    events = run.record.host_events
    up: dict[int, list[float]] = {host: [] for host in range(len(run.engine.fleet))}
    down: dict[int, list[float]] = {host: [] for host in range(len(run.engine.fleet))}
    since = dict.fromkeys(range(len(run.engine.fleet)), 0.0)
    for time, host, event in zip(events.time_s, events.host, events.event, strict=True):
        if event == "failed":
            up[host].append(time - since[host])
        elif event == "repaired":
            down[host].append(time - since[host])
        since[host] = time
    assert min(len(times) for times in (*up.values(), *down.values())) >= 60
    return np.concatenate([up[h][:60] for h in up]), np.concatenate([down[h][:60] for h in down])


def close(found: np.ndarray, mean: float, sigma: float) -> bool:
    """Whether a sample mean is within four standard errors of the true one."""
    return abs(found.mean() - mean) < 4 * sigma / math.sqrt(len(found))


# ---------------------------------------------------------------- laws


def test_mtbf_mttr_and_availability_are_those_of_the_scenario() -> None:
    fleet = make_fleet(make_hosts(40, 4))
    run = play([], fleet, faults=spec(hosts={"mtbf": "100 h", "mttr": "5 h"}), horizon=450 * DAY, seed=3)
    up, down = times_of(run)
    assert close(up, 100 * HOUR, 100 * HOUR)
    assert close(down, 5 * HOUR, 5 * HOUR)
    assert stats.kstest(up, stats.expon(scale=100 * HOUR).cdf).pvalue > 0.01
    assert stats.kstest(down, stats.expon(scale=5 * HOUR).cdf).pvalue > 0.01


def test_availability_of_vms_that_restart_with_their_host_is_mtbf_over_mtbf_and_mttr() -> None:
    fleet = make_fleet(make_hosts(40, 1))
    faults = spec(hosts={"mtbf": "100 h", "mttr": "5 h"}, evacuation={"mode": "restart"})
    run = play([make_vm(0, FOREVER) for _ in range(40)], fleet, faults=faults, horizon=400 * DAY, seed=2)
    available = 1 - run.record.downtime_s.sum() / (40 * 400 * DAY)
    # Of N cycles of an alternating renewal process: sigma of the availability is about A (1 - A) sqrt(2 / N).
    expected, cycles = 100 / 105, 40 * 400 * 24 / 105
    assert abs(available - expected) < 4 * expected * (1 - expected) * math.sqrt(2 / cycles)


def test_other_laws_of_failure_and_repair_are_followed() -> None:
    fleet = make_fleet(make_hosts(40, 4))
    faults = spec(hosts={
        "failure": {"law": "weibull", "shape": 0.7, "mean": "100 h"},
        "repair": {"law": "lognormal", "median": "2 h", "sigma": 0.5},
    })  # fmt: skip
    up, down = times_of(play([], fleet, faults=faults, horizon=500 * DAY, seed=3))
    scale = 100 * HOUR / math.gamma(1 + 1 / 0.7)
    assert stats.kstest(up, stats.weibull_min(0.7, scale=scale).cdf).pvalue > 0.01
    assert stats.kstest(down, stats.lognorm(0.5, scale=2 * HOUR).cdf).pvalue > 0.01


def test_each_time_is_measured_from_the_last_repair_or_failure() -> None:
    faults = spec(
        hosts={"failure": {"law": "deterministic", "value": 10}, "repair": {"law": "deterministic", "value": 3}}
    )
    run = play([], faults=faults, horizon=30)
    assert run.host_events == ["10 h-0 failed", "13 h-0 repaired", "23 h-0 failed", "26 h-0 repaired"]


def test_a_law_that_never_comes_is_no_failure() -> None:
    faults = spec(hosts={"failure": {"law": "infinite"}, "mttr": "1 h"})
    assert play([], faults=faults, horizon=30).host_events == []


def test_racks_fail_as_wholes_and_each_by_itself() -> None:
    fleet = make_fleet(make_hosts(6, 4, zone="z", racks=3))
    run = play([], fleet, faults=spec(racks={"mtbf": "50 h", "mttr": "5 h"}), horizon=100 * DAY, seed=4)
    events = run.record.host_events
    rows = list(zip(events.time_s, events.host, events.event, events.detail, strict=True))
    rows = [row for row in rows if row[2] != "added"]
    assert len(rows) > 100
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first[0] == second[0]
        assert first[2:] == second[2:]
        assert fleet.racks[first[1]] == fleet.racks[second[1]]
        assert first[3] == f"rack {fleet.racks[first[1]]} failure"
    assert len(dict.fromkeys(row[1] for row in rows)) == 6


def test_hosts_do_not_fail_before_they_enter_service_and_live_from_then_on() -> None:
    fleet = make_fleet(make_hosts(1, 4, at=100))
    faults = spec(
        hosts={"failure": {"law": "deterministic", "value": 10}, "repair": {"law": "deterministic", "value": 3}}
    )
    assert play([], fleet, faults=faults, horizon=120).host_events == [
        "100 h-0 added", "110 h-0 failed", "113 h-0 repaired",
    ]  # fmt: skip


def test_a_rack_that_is_down_when_its_host_enters_service_brings_it_in_down() -> None:
    fleet = make_fleet(make_hosts(1, 4, at=12))
    faults = spec(
        racks={"failure": {"law": "deterministic", "value": 10}, "repair": {"law": "deterministic", "value": 5}}
    )
    assert play([make_vm(13, 1)], fleet, faults=faults, horizon=20).host_events == [
        "12 h-0 added", "12 h-0 failed", "15 h-0 repaired",
    ]  # fmt: skip


def test_host_and_rack_failures_have_streams_of_their_own() -> None:
    fleet = make_fleet(make_hosts(4, 4, racks=2))
    hosts, racks = {"mtbf": "50 h", "mttr": "5 h"}, {"mtbf": "200 h", "mttr": "1 h"}

    def failures(faults: FaultsSpec, detail: str, seed: int = 5) -> list[float]:
        events = play([], fleet, faults=faults, horizon=50 * DAY, seed=seed).record.host_events
        return [
            t
            for t, e, d in zip(events.time_s, events.event, events.detail, strict=True)
            if (e, d) == ("failed", detail)
        ]

    alone, both = failures(spec(hosts=hosts), "host failure"), failures(spec(hosts=hosts, racks=racks), "host failure")
    # Those missing fell on hosts that were down with their rack; none is new.
    assert [time for time in both if time not in alone] == []
    assert len(both) > 0.9 * len(alone) > 20
    assert failures(spec(hosts=hosts), "host failure", seed=6) != alone


def test_a_host_or_rack_fails_at_the_same_times_however_many_others_there_are() -> None:
    def failures(count: int, racks: int, which: str) -> list[tuple[float, int, str]]:
        fleet = make_fleet(make_hosts(count, 4, zone="z", racks=racks), make_hosts(count, 8, name="big"))
        run = play([], fleet, faults=spec(**{which: {"mtbf": "50 h", "mttr": "5 h"}}), horizon=50 * DAY, seed=5)
        events = run.record.host_events
        rows = zip(events.time_s, events.host, events.event, strict=True)
        return [row for row in rows if row[1] < (3 if which == "hosts" else 1) and row[2] != "added"]

    assert failures(3, 1, "hosts") == failures(15, 4, "hosts")
    assert len(failures(3, 1, "hosts")) > 50
    assert failures(2, 2, "racks") == failures(12, 6, "racks")


# ---------------------------------------------------------------- outages


def test_an_outage_is_told_by_hosts_rack_or_zone() -> None:
    fleet = make_fleet(make_hosts(4, 4, zone="z", racks=2))
    for scope, hosts in (({"hosts": ["h-1", "h-3"]}, "13"), ({"rack": "z-r1"}, "23"), ({"zone": "z"}, "0123")):
        run = play([], fleet, faults=spec(outages=[{"at": 5, "duration": 10, **scope}]), horizon=50)
        assert run.host_events == [f"5 h-{h} failed" for h in hosts] + [f"15 h-{h} repaired" for h in hosts]
        assert run.record.host_events.detail[-1] == f"outage of {scope.get('zone') or scope.get('rack') or 'hosts'}"


def test_an_outage_at_the_beginning_is_there_before_the_first_vm() -> None:
    run = play([make_vm(-3, 10)], faults=spec(outages=[{"at": 0, "duration": 5, "hosts": ["h-0"]}]), horizon=20)
    assert run.outcomes == ["rejected: no host in service"]


@pytest.mark.parametrize(("scope", "said"), [
    ({"hosts": ["h-9"]}, "no host 'h-9'; names are such as 'h-0'"),
    ({"rack": "r"}, "no rack 'r'; it has rack-r0"),
    ({"zone": "z"}, "no zone 'z'; it has none"),
])  # fmt: skip
def test_an_outage_of_what_the_fleet_does_not_have_is_refused(scope: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_engine([], faults=spec(outages=[{"at": 5, "duration": 10, **scope}]))


# ---------------------------------------------------------------- machine events


def machine_events(*rows: tuple[float, int, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["time_s", "machine", "event"]).assign(
        event=lambda frame: pd.Categorical(frame["event"], ["add", "remove", "update"])
    )


def test_machine_events_take_hosts_down_and_up() -> None:
    events = machine_events(
        (0, 501, "add"), (0, 77, "add"), (0, 900, "add"),
        (4, 77, "remove"), (5, 501, "update"), (9, 77, "add"), (9, 501, "remove"),
    )  # fmt: skip
    run = play([make_vm(0, 20), make_vm(6, 8)], make_fleet(make_hosts(2, 1)), machine_events=events, horizon=30,
               evacuation=Evacuation(mode="restart"))  # fmt: skip
    assert run.host_events == ["4 h-1 failed", "9 h-1 repaired", "9 h-0 failed"]  # machine 900 is beyond the fleet
    assert run.record.host_events.detail[-1] == "machine event"
    assert run.outcomes == ["completed", "rejected: no room: VCPU"]


def test_machines_that_the_file_adds_later_are_down_until_then() -> None:
    events = machine_events((0, 1, "add"), (3, 2, "update"), (10, 2, "add"), (12, 3, "add"), (20, 2, "remove"))
    run = play([make_vm(0, 5, 4), make_vm(1, 5, 4), make_vm(11, 5, 4), make_vm(11, 3, 4)],
               make_fleet(make_hosts(2, 4)), machine_events=events, horizon=30)  # fmt: skip
    assert run.host_events == ["0 h-1 failed", "10 h-1 repaired", "20 h-1 failed"]
    assert run.stays == ["vm0 h-0 0..5 arrival", "vm2 h-0 11..16 arrival", "vm3 h-1 11..14 arrival"]


def test_events_that_change_nothing_are_passed_over() -> None:
    events = machine_events(
        (0, 1, "add"), (2, 1, "add"), (4, 1, "remove"), (5, 1, "remove"), (7, 1, "add"), (8, 1, "add")
    )
    assert play([], machine_events=events, horizon=30).host_events == ["4 h-0 failed", "7 h-0 repaired"]


def test_machines_removed_at_the_very_beginning_take_no_vm() -> None:
    events = machine_events((0, 1, "add"), (0, 2, "add"), (0, 1, "remove"))
    assert play([make_vm(0, 5)], make_fleet(make_hosts(2, 4)), machine_events=events).stays == ["vm0 h-1 0..5 arrival"]


def test_hosts_that_the_file_knows_no_machine_for_are_up() -> None:
    events = machine_events((0, 1, "add"), (2, 1, "remove"))
    run = play([make_vm(3, 5)], make_fleet(make_hosts(2, 4)), machine_events=events)
    assert run.stays == ["vm0 h-1 3..8 arrival"]
