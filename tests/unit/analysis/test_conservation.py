from __future__ import annotations

from pathlib import Path

import pytest

from sundog.analysis import Conservation, Results, check_conservation
from tests.unit.analysis.folders import make_event, make_stay, make_vm, simulate, write_result


def audit(folder: Path, **contents) -> Conservation:
    return check_conservation(Results.load(write_result(folder, **contents)))


def kinds(found: Conservation) -> list[str]:
    return [violation.kind for violation in found.violations]


def test_a_simulated_cloud_with_failures_balances(tmp_path):
    results = Results.load(simulate(tmp_path, seed=3, hosts=40, days=3.0))
    found = check_conservation(results)
    assert found.holds, found.violations[:3]
    assert sum(found.outcomes.values()) == found.requests == len(results.vms)
    assert (results.stays.cause > 0).any()


def test_a_place_freed_at_an_instant_can_be_taken_at_that_instant(tmp_path):
    vms = [make_vm(1, 0.0, end_s=10.0, vcpus=8.0), make_vm(2, 10.0, "running", vcpus=8.0)]
    stays = [make_stay(2, "h0", 10.0, None, vcpus=8.0), make_stay(1, "h0", 0.0, 10.0, vcpus=8.0)]
    assert audit(tmp_path, vms=vms, stays=stays).holds


def test_a_host_over_capacity_is_found_with_the_time_and_the_amounts(tmp_path):
    vms = [make_vm(i, 10.0 * i, end_s=90.0) for i in (1, 2, 3)]
    stays = [make_stay(i, "h1", 10.0 * i, 90.0) for i in (1, 2, 3)]
    found = audit(tmp_path, vms=vms, stays=stays)
    assert found.broken == 1
    violation = found.violations[0]
    assert (violation.kind, violation.host, violation.time_s) == ("over capacity", "h1", 30.0)
    assert (violation.resource, violation.amount, violation.capacity) == ("vcpus", 12.0, 8.0)


def test_fractions_that_fill_a_host_exactly_are_not_over_capacity(tmp_path):
    vms = [make_vm(i, 0.0, "running") for i in range(80)]
    stays = [make_stay(i, "h0", 0.0, None, vcpus=0.1, memory_mb=0.1) for i in range(80)]
    assert audit(tmp_path, vms=vms, stays=stays).holds


@pytest.mark.parametrize(("cause", "expected"), [("evacuation", ["two places"]), ("migration", [])])
def test_only_a_migration_may_hold_two_places(tmp_path, cause, expected):
    vms = [make_vm(1, 0.0, end_s=50.0)]
    stays = [make_stay(1, "h0", 0.0, 30.0), make_stay(1, "h1", 20.0, 50.0, cause=cause)]
    assert kinds(audit(tmp_path, vms=vms, stays=stays)) == expected


def test_a_migration_may_not_hold_three_places(tmp_path):
    vms = [make_vm(1, 0.0, end_s=50.0)]
    stays = [
        make_stay(1, "h0", 0.0, 30.0),
        make_stay(1, "h1", 10.0, 40.0, cause="migration"),
        make_stay(1, "h0", 20.0, 50.0, cause="migration"),
    ]
    found = audit(tmp_path, vms=vms, stays=stays)
    assert kinds(found) == ["two places"]
    assert (found.violations[0].vm_id, found.violations[0].time_s) == (1, 20.0)


def test_a_vm_may_migrate_again_after_a_migration_that_was_given_up(tmp_path):
    vms = [make_vm(1, 0.0, end_s=50.0)]
    stays = [
        make_stay(1, "h0", 0.0, 40.0),
        make_stay(1, "h1", 10.0, 20.0, cause="migration"),
        make_stay(1, "h1", 30.0, 50.0, cause="migration"),
    ]
    assert audit(tmp_path, vms=vms, stays=stays).holds


def test_a_vm_that_restarts_where_it_was_is_in_one_place(tmp_path):
    vms = [make_vm(1, 0.0, "running", downtime_s=10.0)]
    stays = [make_stay(1, "h0", 0.0, 30.0), make_stay(1, "h0", 40.0, None, cause="restart")]
    events = [make_event(30.0, "h0", "failed"), make_event(40.0, "h0", "repaired")]
    assert audit(tmp_path, vms=vms, stays=stays, events=events).holds


def test_a_vm_that_ran_nowhere_is_missing(tmp_path):
    vms = [make_vm(1, 0.0, end_s=50.0), make_vm(2, 1.0, "running"), make_vm(3, 2.0, "rejected")]
    found = audit(tmp_path, vms=vms, stays=[make_stay(1, "h0", 0.0, 50.0)])
    assert [(v.kind, v.vm_id) for v in found.violations] == [("missing VM", 2)]


PLACED = make_stay(1, "h0", 0.0, 50.0)


@pytest.mark.parametrize(
    ("vm", "stay", "events", "expected"),
    [
        (make_vm(1, 0.0, end_s=50.0), PLACED | {"vm_id": 9}, [], ["unknown VM", "missing VM"]),
        (make_vm(1, 0.0, end_s=50.0), PLACED | {"host": "h7"}, [], ["unknown host"]),
        (make_vm(1, 0.0, "rejected"), PLACED | {"end_s": 50.0}, [], ["rejected VM", "other start"]),
        (make_vm(1, 0.0, end_s=50.0), PLACED | {"end_s": None}, [], ["never left", "late"]),
        (make_vm(1, 0.0, end_s=50.0), PLACED | {"end_s": 60.0}, [], ["late"]),
        (make_vm(1, 0.0), PLACED, [], ["no end"]),
        (make_vm(1, 0.0, "running", end_s=50.0), PLACED, [], ["has ended"]),
        (make_vm(1, 5.0, end_s=50.0, start_s=0.0), PLACED, [], ["too early"]),
        (make_vm(1, 0.0, end_s=50.0, start_s=1.0), PLACED, [], ["other start"]),
        (make_vm(1, 0.0, end_s=50.0), PLACED | {"cause": "migration"}, [], ["no arrival"]),
        (make_vm(1, 0.0, "running"), PLACED | {"end_s": -1.0}, [], ["backwards"]),
        (
            make_vm(1, 30.0, end_s=50.0),
            PLACED | {"start_s": 30.0},
            [make_event(20.0, "h0", "failed"), make_event(40.0, "h0", "repaired")],
            ["host down"],
        ),
        (
            make_vm(1, 40.0, end_s=50.0),
            PLACED | {"start_s": 40.0},
            [make_event(20.0, "h0", "failed"), make_event(40.0, "h0", "repaired")],
            [],
        ),
    ],
)
def test_each_rule_finds_what_breaks_it(tmp_path, vm, stay, events, expected):
    assert kinds(audit(tmp_path, vms=[vm], stays=[stay], events=events)) == expected


def test_the_list_is_capped_and_the_count_is_not(tmp_path):
    vms = [make_vm(i, 0.0, "running") for i in range(500)]
    found = audit(tmp_path, vms=vms, stays=[])
    assert found.broken == 500
    assert len(found.violations) == 100
    assert not found.holds
    assert found.to_dict()["violations"][0]["kind"] == "missing VM"
