"""VMs that come, wait and go on hosts that do not fail: every stay by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sundog.core.scheduler import Request
from sundog.errors import InvariantError
from sundog.sim.spec import FaultsSpec, Wait
from tests.unit.sim.worlds import FOREVER, at, finish, make_engine, make_fleet, make_hosts, make_vm, play


def test_a_vm_stays_from_its_arrival_for_its_lifetime() -> None:
    run = play([make_vm(5, 10), make_vm(7, 2.5)])
    assert run.stays == ["vm0 h-0 5..15 arrival", "vm1 h-0 7..9.5 arrival"]
    assert run.outcomes == ["completed", "completed"]
    assert run.record.start_s.tolist() == [5, 7]
    assert run.record.end_s.tolist() == [15, 9.5]
    assert run.record.downtime_s.tolist() == [0, 0]
    assert run.record.placements == 2
    assert run.record.reached_s == 15
    assert not run.record.partial


def test_who_leaves_at_an_instant_makes_room_for_who_arrives_at_it() -> None:
    run = play([make_vm(0, 10, 4), make_vm(10, 10, 4)])
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm1 h-0 10..20 arrival"]


def test_all_who_leave_at_an_instant_leave_before_anyone_arrives() -> None:
    run = play([make_vm(0, 10, 2), make_vm(3, 7, 2), make_vm(10, 1, 4)])
    assert run.stays[2] == "vm2 h-0 10..11 arrival"


def test_a_vm_of_zero_lifetime_is_placed_and_gone_at_the_same_instant() -> None:
    run = play([make_vm(3, 0, 4), make_vm(4, 5, 4)])
    assert run.stays == ["vm0 h-0 3..3 arrival", "vm1 h-0 4..9 arrival"]
    assert run.outcomes == ["completed", "completed"]


def test_a_vm_of_zero_lifetime_holds_its_room_until_the_others_of_its_instant_were_placed() -> None:
    run = play([make_vm(3, 0, 4), make_vm(3, 5, 4)])
    assert run.outcomes == ["completed", "rejected: no room: VCPU"]


def test_one_who_waits_gets_the_room_of_a_vm_of_zero_lifetime_at_the_same_instant() -> None:
    run = play([make_vm(3, 0, 4), make_vm(3, 5, 4)], on_full=Wait(wait=1))
    assert run.stays == ["vm0 h-0 3..3 arrival", "vm1 h-0 3..8 arrival"]


def test_a_vm_that_outlives_the_trace_runs_to_the_end() -> None:
    run = play([make_vm(0, FOREVER), make_vm(5, 10)], horizon=100)
    assert run.stays == ["vm0 h-0 0.. arrival", "vm1 h-0 5..15 arrival"]
    assert run.outcomes == ["running", "completed"]
    assert math.isnan(run.record.end_s[0])
    assert run.record.reached_s == 100


def test_a_vm_alive_at_the_beginning_starts_at_zero_with_the_rest_of_its_life() -> None:
    run = play([make_vm(-30, 40), make_vm(-5, FOREVER), make_vm(0, 3)], horizon=50)
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm1 h-0 0.. arrival", "vm2 h-0 0..3 arrival"]


def test_one_alive_at_the_beginning_that_has_to_wait_lives_for_what_was_left_of_its_life() -> None:
    run = play([make_vm(-30, 40, 4), make_vm(-20, 25, 4)], on_full=Wait(wait=100))
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm1 h-0 10..15 arrival"]


def test_a_request_that_finds_no_room_is_rejected_with_the_reason() -> None:
    run = play([make_vm(0, 10, 3), make_vm(1, 10, 2), make_vm(2, 10, 5), make_vm(3, 10, 1, 63500)])
    assert run.outcomes == [
        "completed", "rejected: no room: VCPU", "rejected: too large for any host", "rejected: no room: MEMORY_MB",
    ]  # fmt: skip
    assert run.stays == ["vm0 h-0 0..10 arrival"]
    assert np.isnan(run.record.start_s[1:]).all()
    assert np.isnan(run.record.end_s[1:]).all()


def test_the_policy_says_which_host() -> None:
    fleet = make_fleet(make_hosts(2, 4))
    rows = [make_vm(0, 10, 2), make_vm(1, 10, 1), make_vm(2, 10, 1)]
    assert [stay.split()[1] for stay in play(rows, fleet, policy="first-fit").stays] == ["h-0", "h-0", "h-0"]
    assert [stay.split()[1] for stay in play(rows, fleet, policy="worst-fit").stays] == ["h-0", "h-1", "h-1"]


# ---------------------------------------------------------------- waiting


def test_those_who_wait_are_served_first_come_first_served_when_room_appears() -> None:
    rows = [make_vm(0, 10, 4), make_vm(1, 5, 3), make_vm(2, 5, 3), make_vm(3, 5, 3)]
    run = play(rows, on_full=Wait(wait=100))
    assert run.stays == [
        "vm0 h-0 0..10 arrival", "vm1 h-0 10..15 arrival", "vm2 h-0 15..20 arrival", "vm3 h-0 20..25 arrival",
    ]  # fmt: skip


def test_one_that_does_not_fit_holds_up_nobody_behind_it() -> None:
    rows = [make_vm(0, 10, 2), make_vm(0, 30, 2), make_vm(1, 5, 4), make_vm(2, 5, 2), make_vm(3, 5, 4)]
    run = play(rows, on_full=Wait(wait=100))
    assert run.stays[2:] == ["vm3 h-0 10..15 arrival", "vm2 h-0 30..35 arrival", "vm4 h-0 35..40 arrival"]


def test_those_who_wait_see_all_the_room_of_an_instant_at_once() -> None:
    """Two leave at 10: served between them, the small one would have taken the room of the one ahead of it."""
    rows = [make_vm(0, 10, 2), make_vm(0, 10, 2), make_vm(1, 5, 4), make_vm(2, 5, 1)]
    run = play(rows, on_full=Wait(wait=100))
    assert run.stays[2:] == ["vm2 h-0 10..15 arrival", "vm3 h-0 15..20 arrival"]


def test_one_who_waits_comes_before_one_who_arrives_when_the_room_appears() -> None:
    run = play([make_vm(0, 10, 4), make_vm(1, 5, 4), make_vm(10, 5, 4)], on_full=Wait(wait=100))
    assert run.stays[1:] == ["vm1 h-0 10..15 arrival", "vm2 h-0 15..20 arrival"]


def test_who_has_waited_as_long_as_allowed_is_rejected_with_the_first_reason() -> None:
    run = play([make_vm(0, 100, 4), make_vm(1, 5, 2)], on_full=Wait(wait=20))
    assert run.outcomes == ["completed", "rejected: no room: VCPU, waited in vain"]


def test_room_at_the_last_instant_of_the_wait_is_taken() -> None:
    run = play([make_vm(0, 21, 4), make_vm(1, 5, 2)], on_full=Wait(wait=20))
    assert run.stays[1] == "vm1 h-0 21..26 arrival"
    late = play([make_vm(0, 21.5, 4), make_vm(1, 5, 2)], on_full=Wait(wait=20))
    assert late.outcomes[1] == "rejected: no room: VCPU, waited in vain"


def test_who_still_waits_at_the_horizon_is_rejected_and_says_so() -> None:
    run = play([make_vm(0, 100, 4), make_vm(1, 5, 2)], on_full=Wait(wait=60), horizon=50)
    assert run.outcomes == ["running", "rejected: no room: VCPU, still waiting at the end"]
    assert run.record.reached_s == 50


def test_one_too_large_for_any_host_does_not_wait() -> None:
    run = play([make_vm(0, 10, 9), make_vm(1, 10)], on_full=Wait(wait=1000))
    assert run.outcomes[0] == "rejected: too large for any host"
    assert run.record.reached_s == 11


def test_the_place_of_each_decision_on_an_arrival_can_be_seen() -> None:
    seen: list[tuple[int, float]] = []

    def look(vm: int, request: Request) -> None:
        assert request.shape == engine.workload.shapes[engine.workload.shape[vm]]
        seen.append((vm, engine.now))

    rows = [make_vm(0, 10, 4), make_vm(1, 5, 4)]
    engine = make_engine(rows, on_full=Wait(wait=100), on_decision=look)
    finish(engine)
    assert seen == [(0, 0), (1, 1), (1, 10)]
    assert engine.waits


def test_one_of_a_group_that_does_not_fit_says_nothing_about_others_of_its_size() -> None:
    """vm3 may only go where vm0 is; vm4 has the same size and may go anywhere."""
    rows = [
        make_vm(0, 90, 2, group="g", group_policy="affinity"),
        make_vm(0, 90, 2),
        make_vm(0, 10, 4),
        make_vm(1, 5, 2, group="g", group_policy="affinity"),
        make_vm(2, 5, 2),
    ]
    run = play(rows, make_fleet(make_hosts(2, 4)), on_full=Wait(wait=20))
    assert run.outcomes[3] == "rejected: no room: VCPU, waited in vain"
    assert run.stays[3] == "vm4 h-1 10..15 arrival"


# ---------------------------------------------------------------- beginning and end


def test_an_empty_workload_is_over_at_once_or_lasts_to_the_horizon() -> None:
    run = play([])
    assert (run.stays, run.record.reached_s, run.record.events) == ([], 0, 0)
    assert play([], horizon=60).record.reached_s == 60


def test_without_a_horizon_a_run_ends_with_its_last_vm_event_whatever_else_goes_on() -> None:
    faults = FaultsSpec.model_validate({"hosts": {"mtbf": "1000 d", "mttr": "1 s"}})
    run = play([make_vm(0, 10), make_vm(5, FOREVER), make_vm(8, 3)], faults=faults)
    assert run.outcomes == ["completed", "running", "completed"]
    assert run.record.reached_s == 11


def test_without_a_horizon_a_run_ends_when_the_last_who_waited_stays_for_ever() -> None:
    """Nothing but the faults, which never end, would be left to happen."""
    faults = FaultsSpec.model_validate({"hosts": {"mtbf": "1000 d", "mttr": "1 s"}})
    run = play([make_vm(0, 10, 4), make_vm(1, FOREVER, 4)], faults=faults, on_full=Wait(wait=60))
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm1 h-0 10.. arrival"]
    assert run.record.reached_s == 10


def test_a_horizon_cuts_what_runs_and_leaves_out_what_comes_later() -> None:
    rows = [make_vm(0, 10), make_vm(5, 45), make_vm(40, 20), make_vm(50, 1), make_vm(51, 1)]
    run = play(rows, horizon=50)
    assert run.outcomes == ["completed", "completed", "running", "running"]
    assert run.stays[1:] == ["vm1 h-0 5..50 arrival", "vm2 h-0 40.. arrival", "vm3 h-0 50.. arrival"]
    assert run.record.reached_s == 50
    assert run.engine.workload.notes == ("1 VMs arrive after the horizon and are left out",)


def test_a_horizon_of_the_engine_alone_leaves_those_who_have_not_arrived_out_of_the_record() -> None:
    engine = make_engine([make_vm(0, 10), make_vm(60, 10)])
    engine.horizon_s = 50.0
    record = finish(engine).record
    assert len(record.outcome) == len(record.end_s) == len(record.downtime_s) == 1


def test_stop_ends_the_run_after_the_event_at_hand_with_books_that_balance() -> None:
    rows = [make_vm(0, 100, 2), make_vm(5, 10, 2), make_vm(6, 10, 2), make_vm(30, 10, 2)]
    engine = make_engine(rows, on_full=Wait(wait=60), horizon=1000)
    at(engine, 10, engine.stop)
    run = finish(engine)
    assert run.record.partial
    assert run.record.reached_s == 10
    assert run.outcomes == ["running", "running", "rejected: no room: VCPU, still waiting at the end"]
    assert run.stays == ["vm0 h-0 0.. arrival", "vm1 h-0 5.. arrival"]


def test_stop_before_the_run_leaves_an_empty_partial_record() -> None:
    engine = make_engine([make_vm(0, 10)])
    engine.stop()
    record = finish(engine).record
    assert (record.partial, record.reached_s, len(record.outcome)) == (True, 0, 0)


def test_stop_from_progress_ends_a_long_run() -> None:
    engine = make_engine([make_vm(i, 0.5) for i in range(6000)])
    looks: list[tuple[float, int]] = []

    def look(now: float, arrived: int) -> None:
        looks.append((now, arrived))
        engine.stop()

    record = finish(engine, progress=look).record
    assert record.partial
    assert len(looks) == 1
    assert looks[0] == (record.reached_s, len(record.outcome))
    assert 0 < len(record.outcome) < 6000


def test_progress_is_told_time_and_arrivals_to_the_end() -> None:
    looks: list[tuple[float, int]] = []
    finish(make_engine([make_vm(i, 0.5) for i in range(6000)]), progress=lambda *seen: looks.append(seen))
    assert looks == sorted(looks)
    assert len(looks) > 1
    assert looks[-1] == (5999.5, 6000)


# ---------------------------------------------------------------- capacity that comes later


def test_hosts_that_enter_service_serve_those_who_wait_and_only_from_then_on() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(1, 4, name="new", at=20))
    rows = [make_vm(0, 100, 4), make_vm(1, 5, 4), make_vm(30, 5, 4)]
    run = play(rows, fleet, on_full=Wait(wait=60))
    assert run.stays[1:] == ["vm1 new-0 20..25 arrival", "vm2 new-0 30..35 arrival"]
    assert run.host_events == ["20 new-0 added"]


def test_one_too_large_for_the_hosts_of_today_waits_for_those_of_tomorrow() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(1, 8, name="big", at=20))
    run = play([make_vm(0, 5, 8), make_vm(21, 5, 9)], fleet, on_full=Wait(wait=60))
    assert run.stays == ["vm0 big-0 20..25 arrival"]
    assert run.outcomes[1] == "rejected: too large for any host"  # no more hosts to come


def test_a_fleet_of_which_nothing_is_in_service_yet_rejects_or_lets_wait() -> None:
    fleet = make_fleet(make_hosts(1, 4, at=20))
    assert play([make_vm(0, 5)], fleet).outcomes == ["rejected: no hosts"]
    run = play([make_vm(0, 5)], fleet, on_full=Wait(wait=60))
    assert run.stays == ["vm0 h-0 20..25 arrival"]


def test_hosts_that_would_enter_after_the_horizon_never_do() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(1, 8, name="big", at=70))
    run = play([make_vm(0, 5, 8)], fleet, on_full=Wait(wait=60), horizon=65)
    assert run.outcomes == ["rejected: too large for any host"]
    assert run.engine.row_of(1) == -1
    assert run.host_events == []


def test_two_hosts_of_one_entry_come_at_one_instant() -> None:
    """Served between the two, both who wait would have had to share the first host."""
    fleet = make_fleet(make_hosts(1, 4), make_hosts(2, 4, name="new", at=20))
    rows = [make_vm(0, 100, 4), make_vm(1, 5, 2), make_vm(2, 5, 2)]
    run = play(rows, fleet, on_full=Wait(wait=60), policy="worst-fit")
    assert run.stays[1:] == ["vm1 new-0 20..25 arrival", "vm2 new-1 20..25 arrival"]


# ---------------------------------------------------------------- what the books refuse


def test_a_host_cannot_come_up_or_be_opened_more_often_than_the_opposite() -> None:
    engine = make_engine([])
    with pytest.raises(InvariantError, match="h-0 came up more often"):
        engine.host_up(0, "")
    with pytest.raises(InvariantError, match="h-0 was enabled more often"):
        engine.set_enabled(0, True, "")


def test_a_host_that_two_close_is_open_when_both_have_opened_it() -> None:
    engine = make_engine([make_vm(0, 5), make_vm(10, 5), make_vm(20, 5)])
    for when, enabled in ((5, False), (6, False), (7, True), (15, True)):
        at(engine, when, lambda enabled=enabled: engine.set_enabled(0, enabled, "by hand"))
    run = finish(engine)
    assert run.outcomes == ["completed", "rejected: no host in service", "completed"]
    assert run.host_events == ["5 h-0 disabled", "15 h-0 enabled"]


def test_counts_of_events_and_placements() -> None:
    run = play([make_vm(0, 10, 4), make_vm(1, 5, 4), make_vm(2, FOREVER, 1)])
    assert (run.record.events, run.record.placements) == (4, 1)  # three arrivals, one departure
