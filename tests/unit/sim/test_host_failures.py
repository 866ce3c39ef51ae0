"""Hosts that fail under their VMs: evacuation, restart, loss, and causes that overlap. Every stay by hand."""

from __future__ import annotations

import pytest

from sundog.sim.spec import Evacuation, FaultsSpec, Wait
from tests.unit.sim.worlds import FOREVER, at, finish, make_engine, make_fleet, make_hosts, make_vm, play

RESTART = Evacuation(mode="restart")
LOSE = Evacuation(mode="lose")


def evacuate(detect: float = 3, retry: float = 5, give_up: float = 20) -> Evacuation:
    return Evacuation(mode="evacuate", detect=detect, retry=retry, give_up=give_up)


def outage(*hosts: str, begin: float, lasts: float) -> dict:
    return {"at": begin, "duration": lasts, "hosts": list(hosts)}


def broken(*outages: dict, **rest: object) -> FaultsSpec:
    return FaultsSpec.model_validate({"outages": list(outages), **rest})


TWO = make_fleet(make_hosts(2, 4))


# ---------------------------------------------------------------- evacuation


def test_vms_of_a_dead_host_start_elsewhere_when_the_failure_was_noticed() -> None:
    rows = [make_vm(0, 30, 2), make_vm(0, 40, 1)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.stays == [
        "vm0 h-0 0..10 arrival", "vm1 h-0 0..10 arrival", "vm0 h-1 13..30 evacuation", "vm1 h-1 13..40 evacuation",
    ]  # fmt: skip
    assert run.outcomes == ["completed", "completed"]
    assert run.record.evacuations.tolist() == [1, 1]
    assert run.record.downtime_s.tolist() == [3, 3]


def test_evacuation_is_tried_again_until_there_is_room() -> None:
    rows = [make_vm(0, 30, 4), make_vm(0, 17, 3)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.stays[2:] == ["vm0 h-1 18..30 evacuation"]  # tried at 13 and 18
    assert run.record.downtime_s.tolist() == [8, 0]


def test_who_finds_no_host_until_it_is_given_up_is_lost() -> None:
    rows = [make_vm(0, 100, 4), make_vm(0, 200, 4)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.outcomes == ["lost: evacuation found no valid host", "completed"]
    assert run.record.end_s.tolist() == [28, 200]  # tried at 13, 18, 23 and 28; 33 is later than 10 + 20
    assert run.record.downtime_s.tolist() == [18, 0]
    assert run.record.evacuations.tolist() == [0, 0]
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm1 h-1 0..200 arrival"]


def test_the_last_try_may_fall_on_the_end_of_the_time_allowed() -> None:
    rows = [make_vm(0, 100, 4), make_vm(0, 28, 4)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate(give_up=18))
    assert run.stays[2] == "vm0 h-1 28..100 evacuation"


def test_noticing_later_than_giving_up_still_means_one_try() -> None:
    rows = [make_vm(0, 100), make_vm(0, 100, 4)]
    fleet = make_fleet(make_hosts(3, 4))
    faults = broken(outage("h-0", "h-1", begin=10, lasts=500))
    run = play([*rows, make_vm(0, 100)], fleet, faults=faults, evacuation=evacuate(detect=30, give_up=20))
    assert run.stays[3:] == ["vm0 h-2 40..100 evacuation", "vm2 h-2 40..100 evacuation"]
    assert run.outcomes[1] == "lost: evacuation found no valid host"
    assert run.record.end_s[1] == 40


def test_a_host_that_comes_back_soon_takes_its_own_vms_again() -> None:
    run = play([make_vm(0, 30, 4)], faults=broken(outage("h-0", begin=10, lasts=4)), evacuation=evacuate())
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm0 h-0 18..30 evacuation"]


def test_a_vm_whose_end_comes_while_it_is_down_is_completed_then() -> None:
    rows = [make_vm(0, 12, 4), make_vm(0, 100, 4)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.outcomes == ["completed", "completed"]
    assert run.record.end_s.tolist() == [12, 100]
    assert run.record.downtime_s.tolist() == [2, 0]
    assert run.record.reached_s == 100


def test_a_vm_that_ends_at_the_instant_of_the_failure_has_ended() -> None:
    run = play([make_vm(0, 10)], TWO, faults=broken(outage("h-0", begin=10, lasts=50)), horizon=100)
    assert run.outcomes == ["completed"]
    assert run.record.downtime_s.tolist() == [0]


def test_a_vm_that_ends_at_the_instant_of_its_evacuation_is_not_evacuated() -> None:
    run = play([make_vm(0, 13)], TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.stays == ["vm0 h-0 0..10 arrival"]
    assert run.outcomes == ["completed"]


def test_the_target_of_an_evacuation_fails_as_well() -> None:
    fleet = make_fleet(make_hosts(3, 4))
    faults = broken(outage("h-0", begin=10, lasts=500), outage("h-1", begin=15, lasts=500))
    run = play([make_vm(0, 100)], fleet, faults=faults, evacuation=evacuate())
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm0 h-1 13..15 evacuation", "vm0 h-2 18..100 evacuation"]
    assert run.record.evacuations.tolist() == [2]
    assert run.record.downtime_s.tolist() == [6]


def test_the_place_meant_for_an_evacuation_fails_before_it_is_noticed() -> None:
    fleet = make_fleet(make_hosts(3, 4))
    faults = broken(outage("h-0", begin=10, lasts=500), outage("h-1", begin=12, lasts=500))
    run = play([make_vm(0, 100)], fleet, faults=faults, evacuation=evacuate())
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm0 h-2 13..100 evacuation"]


def test_a_host_that_fails_again_while_its_vms_are_still_homeless_changes_nothing_for_them() -> None:
    rows = [make_vm(0, 100, 4), make_vm(0, 27, 4)]
    faults = broken(outage("h-0", begin=10, lasts=4), outage("h-0", begin=16, lasts=50))
    run = play(rows, TWO, faults=faults, evacuation=evacuate())
    # 13: both full or down; 18: h-0 is down again; 23 no; 28: h-1 is free since 27
    assert run.stays[2:] == ["vm0 h-1 28..100 evacuation"]


def test_failures_noticed_at_once_cost_no_downtime() -> None:
    run = play([make_vm(0, 30)], TWO, faults=broken(outage("h-0", begin=10, lasts=5)), evacuation=evacuate(detect=0))
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm0 h-1 10..30 evacuation"]
    assert run.record.downtime_s.tolist() == [0]


def test_still_without_a_host_at_the_horizon_is_lost() -> None:
    rows = [make_vm(0, FOREVER, 4), make_vm(0, FOREVER, 4)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate(), horizon=15)
    assert run.outcomes == ["lost: still down at the end", "running"]
    assert run.record.end_s[0] == 15
    assert run.record.downtime_s.tolist() == [5, 0]


def test_a_vm_that_stays_for_ever_keeps_a_run_without_horizon_going_while_it_is_down() -> None:
    run = play([make_vm(0, FOREVER)], TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.stays == ["vm0 h-0 0.. arrival"]  # nobody's fate is open at 0, so the run is over before anything fails
    rows = [make_vm(0, FOREVER), make_vm(0, 11)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=50)), evacuation=evacuate())
    assert run.stays[-1] == "vm0 h-1 13.. evacuation"
    assert run.record.reached_s == 13
    assert run.outcomes == ["running", "completed"]


# ---------------------------------------------------------------- restart, lose


def test_restart_waits_for_the_own_host_and_keeps_its_room_there() -> None:
    rows = [make_vm(0, 50, 3), make_vm(20, 5, 4), make_vm(41, 5, 2)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=30)), evacuation=RESTART)
    assert run.stays == [
        "vm0 h-0 0..10 arrival", "vm1 h-1 20..25 arrival", "vm0 h-0 40..50 restart", "vm2 h-1 41..46 arrival",
    ]  # fmt: skip
    assert run.record.downtime_s.tolist() == [30, 0, 0]
    assert run.record.evacuations.tolist() == [0, 0, 0]


def test_a_vm_deleted_while_its_host_is_down_gives_its_room_back_and_does_not_restart() -> None:
    rows = [make_vm(0, 20, 4), make_vm(0, 60, 4), make_vm(25, 10, 4)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=30)), evacuation=RESTART, on_full=Wait(wait=100))
    assert run.outcomes == ["completed", "completed", "completed"]
    assert run.record.downtime_s.tolist() == [10, 0, 0]
    assert run.stays[2:] == ["vm2 h-0 40..50 arrival"]


def test_restart_of_one_that_stays_for_ever_ends_a_run_without_horizon() -> None:
    faults = broken(outage("h-0", begin=10, lasts=30), hosts={"mtbf": "1000 d", "mttr": "1 s"})
    run = play([make_vm(0, FOREVER), make_vm(0, 11)], TWO, faults=faults, evacuation=RESTART)
    assert run.stays[-1] == "vm0 h-0 40.. restart"
    assert run.record.reached_s == 40


def test_who_waits_for_a_host_that_is_not_back_at_the_horizon_is_lost_and_holds_nothing() -> None:
    rows = [make_vm(0, 100, 4, group="g", group_policy="affinity")]
    run = play(rows, faults=broken(outage("h-0", begin=10, lasts=30)), evacuation=RESTART, horizon=30)
    assert run.outcomes == ["lost: still down at the end"]
    assert run.record.end_s.tolist() == [30]
    assert run.record.downtime_s.tolist() == [20]
    assert not run.engine.pool.used.any()


def test_lose_loses_them_at_once() -> None:
    rows = [make_vm(0, 50, 2), make_vm(0, FOREVER, 2), make_vm(0, 20, 1)]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=30)), evacuation=LOSE)
    assert run.outcomes == ["lost: host died", "lost: host died", "completed"]
    assert run.record.end_s.tolist() == [10, 10, 20]
    assert run.record.downtime_s.tolist() == [0, 0, 0]
    assert run.record.reached_s == 20


# ---------------------------------------------------------------- causes that overlap


def test_a_host_is_up_again_when_the_last_of_several_causes_has_ended() -> None:
    faults = broken(outage("h-0", begin=10, lasts=20), outage("h-0", begin=15, lasts=30))
    run = play([make_vm(0, 60), make_vm(32, 5, 4), make_vm(46, 5, 3)], make_fleet(), faults=faults, evacuation=RESTART)
    assert run.host_events == ["10 h-0 failed", "45 h-0 repaired"]
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm0 h-0 45..60 restart", "vm2 h-0 46..51 arrival"]
    assert run.outcomes[1] == "rejected: no host in service"


def test_a_cause_that_begins_at_the_instant_at_which_another_ends_keeps_the_host_down_if_told_before() -> None:
    faults = broken(outage("h-0", begin=10, lasts=10), outage("h-0", begin=20, lasts=10))
    run = play([make_vm(0, 60)], faults=faults, evacuation=RESTART)
    # At 20 the second outage, which was scheduled first, begins before the first ends: the host stays down.
    assert run.host_events == ["10 h-0 failed", "30 h-0 repaired"]
    assert run.record.downtime_s.tolist() == [20]


def test_hosts_that_fail_before_they_are_in_service_enter_down_and_say_so() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(2, 4, name="new", at=20))
    faults = broken(outage("new-0", begin=10, lasts=20), outage("new-1", begin=5, lasts=10))
    rows = [make_vm(0, 100, 4), make_vm(21, 5, 4), make_vm(22, 30, 4)]
    run = play(rows, fleet, faults=faults, on_full=Wait(wait=50))
    assert run.host_events == ["20 new-0 added", "20 new-0 failed", "20 new-1 added", "30 new-0 repaired"]
    assert run.stays[1:] == ["vm1 new-1 21..26 arrival", "vm2 new-1 26..56 arrival"]


def test_a_rack_takes_all_its_hosts_at_one_instant() -> None:
    fleet = make_fleet(make_hosts(4, 4, zone="z", racks=2))
    faults = broken({"at": 10, "duration": 30, "rack": "z-r0"})
    rows = [make_vm(0, 100, 4), make_vm(0, 100, 3), make_vm(0, 60, 4), make_vm(0, 50, 4), make_vm(1, 20, 2)]
    run = play(rows, fleet, faults=faults, evacuation=evacuate(give_up=60), on_full=Wait(wait=100))
    assert run.host_events == ["10 h-0 failed", "10 h-1 failed", "40 h-0 repaired", "40 h-1 repaired"]
    assert run.stays[:2] == ["vm0 h-0 0..10 arrival", "vm1 h-1 0..10 arrival"]
    assert run.stays[4:] == ["vm4 h-0 40..60 arrival", "vm0 h-1 43..100 evacuation", "vm1 h-3 53..100 evacuation"]


@pytest.mark.parametrize("evacuation", [LOSE, evacuate(detect=0)])
def test_nobody_is_put_onto_a_host_of_a_rack_that_fails_at_this_very_instant(evacuation: Evacuation) -> None:
    """With h-0 dead vm1, whose group was there, might go to h-1; but h-1 fails as well."""
    rows = [
        make_vm(0, 100, 4, group="g", group_policy="affinity"),
        make_vm(1, 9, 2, group="g", group_policy="affinity"),
    ]
    fleet = make_fleet(make_hosts(2, 4, zone="z"))
    faults = broken({"at": 10, "duration": 30, "rack": "z-r0"})
    run = play(rows, fleet, faults=faults, evacuation=evacuation, on_full=Wait(wait=100))
    assert [stay for stay in run.stays if stay.startswith("vm1")] == ["vm1 h-0 40..49 arrival"]


def test_a_whole_zone_goes_down_for_an_outage() -> None:
    fleet = make_fleet(make_hosts(2, 4, zone="a"), make_hosts(1, 4, zone="b"))
    run = play([make_vm(5, 3)], fleet, faults=broken({"at": 2, "duration": 5, "zone": "a"}), horizon=20)
    assert run.stays == ["vm0 h-2 5..8 arrival"]
    assert run.host_events == ["2 h-0 failed", "2 h-1 failed", "7 h-0 repaired", "7 h-1 repaired"]
    assert run.record.host_events.detail[-1] == "outage of a"


# ---------------------------------------------------------------- groups, and who waits


def test_an_affinity_group_is_evacuated_together() -> None:
    fleet = make_fleet(make_hosts(3, 4))
    rows = [make_vm(0, 100, 2, group="g", group_policy="affinity") for _ in range(2)] + [make_vm(0, 100, 1)]
    run = play(
        rows, fleet, faults=broken(outage("h-0", begin=10, lasts=500)), evacuation=evacuate(), policy="worst-fit"
    )
    assert run.stays[3:] == ["vm0 h-2 13..100 evacuation", "vm1 h-2 13..100 evacuation"]


def test_an_anti_affinity_group_stays_apart_when_it_is_evacuated() -> None:
    fleet = make_fleet(make_hosts(3, 4))
    rows = [make_vm(0, 100, group="g", group_policy="anti-affinity") for _ in range(2)]
    run = play(rows, fleet, faults=broken(outage("h-0", begin=10, lasts=500)), evacuation=evacuate())
    assert run.stays[2:] == ["vm0 h-2 13..100 evacuation"]


def test_who_waits_because_of_a_group_is_served_when_a_failure_frees_the_group() -> None:
    """vm1 may only join vm0 on h-0, which is full; with vm0 lost it may go anywhere."""
    rows = [
        make_vm(0, 100, 4, group="g", group_policy="affinity"),
        make_vm(1, 50, 2, group="g", group_policy="affinity"),
    ]
    run = play(rows, TWO, faults=broken(outage("h-0", begin=10, lasts=500)), evacuation=LOSE, on_full=Wait(wait=99))
    assert run.stays[1:] == ["vm1 h-1 10..60 arrival"]


def test_hosts_that_come_back_are_there_for_those_who_wait() -> None:
    faults = broken(outage("h-0", begin=10, lasts=10))
    run = play([make_vm(12, 5)], faults=faults, on_full=Wait(wait=100))
    assert run.stays == ["vm0 h-0 20..25 arrival"]


def test_whoever_restarts_has_its_room_before_those_who_wait() -> None:
    faults = broken(outage("h-0", begin=10, lasts=10))
    run = play([make_vm(0, 30, 3), make_vm(12, 5, 4)], faults=faults, on_full=Wait(wait=100), evacuation=RESTART)
    assert run.stays[1:] == ["vm0 h-0 20..30 restart", "vm1 h-0 30..35 arrival"]


def test_stop_in_the_middle_of_an_evacuation_leaves_books_that_balance() -> None:
    engine = make_engine(
        [make_vm(0, 100, 4), make_vm(0, 100, 2)], TWO, faults=broken(outage("h-0", begin=10, lasts=50)),
        evacuation=evacuate(), horizon=1000,
    )  # fmt: skip
    at(engine, 12, engine.stop)
    run = finish(engine)
    assert run.outcomes == ["lost: still down at the end", "running"]
    assert run.record.partial
    assert run.record.downtime_s.tolist() == [2, 0]


def test_a_gpu_of_a_dead_host_is_given_back() -> None:
    fleet = make_fleet(make_hosts(2, 4, gpus=1))
    rows = [make_vm(0, 100, gpus=1), make_vm(0, 5, gpus=1), make_vm(20, 90, gpus=1)]
    run = play(rows, fleet, faults=broken(outage("h-0", begin=10, lasts=5)), evacuation=evacuate())
    assert run.stays[2:] == ["vm0 h-1 13..100 evacuation", "vm2 h-0 20..110 arrival"]
