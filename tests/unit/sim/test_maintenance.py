"""Planned maintenance: drains, live migrations and what gets in their way. Every stay by hand.

A migration takes 10 s (``SLOW``: 1000 MiB at 100 MiB/s), one at a time from a host.
"""

from __future__ import annotations

from typing import Any

import pytest

from sundog.errors import InputError
from sundog.sim.engine import Engine
from sundog.sim.spec import Evacuation, FaultsSpec, Maintenance, Migration, Wait
from tests.unit.sim.worlds import FOREVER, at, finish, make_engine, make_fleet, make_hosts, make_vm, play

TWO = make_fleet(make_hosts(1, 4), make_hosts(1, 4, name="spare"))
THREE = make_fleet(make_hosts(1, 4), make_hosts(2, 4, name="spare"))
RESTART = Evacuation(mode="restart")


def work(begin: float = 10, duration: float = 20, host_type: str | None = "h", **more: Any) -> Maintenance:
    more = {"drain_timeout": 100, "retry": 5} | more
    return Maintenance(at=begin, duration=duration, type=host_type, **more)


def down(*hosts: str, begin: float, lasts: float = 500, evacuation: Evacuation | None = None) -> FaultsSpec:
    outage = {"at": begin, "duration": lasts, "hosts": list(hosts)}
    rules = evacuation or Evacuation(detect=3, retry=5, give_up=50)
    return FaultsSpec.model_validate({"outages": [outage], "evacuation": rules})


def used(engine: Engine) -> list[float]:
    """vCPUs claimed on each host of the fleet, in order."""
    return [float(engine.pool.used[0, engine.row_of(host)]) for host in range(len(engine.fleet))]


# ---------------------------------------------------------------- a drain that nothing disturbs


def test_a_host_is_drained_one_vm_after_the_other_then_down_then_open_again() -> None:
    rows = [make_vm(0, 100, 2), make_vm(0, 100, 1), make_vm(60, 5, 4)]
    run = play(rows, TWO, maintenance=[work()])
    assert run.stays == [
        "vm0 h-0 0..20 arrival",
        "vm1 h-0 0..30 arrival",
        "vm0 spare-0 10..100 migration",
        "vm1 spare-0 20..100 migration",
        "vm2 h-0 60..65 arrival",
    ]
    assert run.host_events == ["10 h-0 disabled", "30 h-0 stopped", "50 h-0 enabled", "50 h-0 started"]
    assert run.record.migrations.tolist() == [1, 1, 0]
    assert run.record.downtime_s.tolist() == [0, 0, 0]


def test_source_and_target_both_hold_the_vm_while_it_is_copied() -> None:
    engine = make_engine([make_vm(0, 100, 3)], TWO, maintenance=[work()])
    seen: list[tuple[float, list[float]]] = []
    for when in (9, 10.5, 19.5, 20.5):
        at(engine, when, lambda: seen.append((engine.now, used(engine))))
        at(engine, when, engine.pool.check)
    finish(engine)
    assert seen == [(9, [3, 0]), (10.5, [3, 3]), (19.5, [3, 3]), (20.5, [0, 3])]


def test_a_migration_takes_memory_times_rounds_over_bandwidth_and_a_pause_that_is_downtime() -> None:
    migration = Migration(bandwidth_mib_s=200, rounds=1.5, pause=0.25, parallel=1)
    run = play([make_vm(0, 100, 1, 4000)], TWO, maintenance=[work()], migration=migration)
    assert run.stays == ["vm0 h-0 0..40 arrival", "vm0 spare-0 10..100 migration"]
    assert run.record.downtime_s.tolist() == [0.25]


def test_several_senders_share_the_vms_of_a_host() -> None:
    migration = Migration(bandwidth_mib_s=100, rounds=1, pause=0, parallel=2)
    run = play([make_vm(0, 100) for _ in range(3)], TWO, maintenance=[work()], migration=migration)
    assert run.stays[3:] == [
        "vm0 spare-0 10..100 migration", "vm1 spare-0 10..100 migration", "vm2 spare-0 20..100 migration",
    ]  # fmt: skip
    assert [stay.split()[2] for stay in run.stays[:3]] == ["0..20", "0..20", "0..30"]


def test_hosts_are_worked_on_in_order_as_many_at_once_as_told() -> None:
    fleet = make_fleet(make_hosts(3, 4))
    one = play([], fleet, maintenance=[work(duration=20)], horizon=100)
    assert [event for event in one.host_events if event.endswith("stopped")] == [
        "10 h-0 stopped", "30 h-1 stopped", "50 h-2 stopped",
    ]  # fmt: skip
    two = play([], fleet, maintenance=[work(duration=20, at_once=2)], horizon=100)
    assert [event for event in two.host_events if event.endswith("stopped")] == [
        "10 h-0 stopped", "10 h-1 stopped", "30 h-2 stopped",
    ]  # fmt: skip
    many = play([], fleet, maintenance=[work(duration=20, at_once=9)], horizon=100)
    assert [event for event in many.host_events if event.endswith("started")] == [
        "30 h-0 started", "30 h-1 started", "30 h-2 started",
    ]  # fmt: skip


def test_every_repeats_the_round_and_a_round_that_takes_longer_delays_the_next() -> None:
    fleet = make_fleet(make_hosts(2, 4))
    run = play([], fleet, maintenance=[work(duration=20, every=100)], horizon=240)
    assert [event for event in run.host_events if event.endswith("stopped")] == [
        "10 h-0 stopped", "30 h-1 stopped", "110 h-0 stopped", "130 h-1 stopped", "210 h-0 stopped", "230 h-1 stopped",
    ]  # fmt: skip
    late = play([], fleet, maintenance=[work(duration=20, every=15)], horizon=100)
    assert [event for event in late.host_events if event.endswith("stopped")] == [
        "10 h-0 stopped", "30 h-1 stopped", "50 h-0 stopped", "70 h-1 stopped", "90 h-0 stopped",
    ]  # fmt: skip


def test_maintenance_at_the_very_beginning_drains_those_who_are_there() -> None:
    run = play([make_vm(-5, 100), make_vm(5, 100)], TWO, maintenance=[work(begin=0)])
    assert run.stays == ["vm0 h-0 0..10 arrival", "vm0 spare-0 0..95 migration", "vm1 spare-0 5..105 arrival"]


def test_hosts_that_are_not_in_service_when_a_round_begins_are_left_out_of_it() -> None:
    fleet = make_fleet(make_hosts(1, 4, at=15), make_hosts(1, 4))
    run = play([], fleet, maintenance=[work(every=50)], horizon=130)
    assert [event for event in run.host_events if event.endswith("stopped")] == [
        "10 h-1 stopped", "60 h-0 stopped", "80 h-1 stopped", "110 h-0 stopped", "130 h-1 stopped",
    ]  # fmt: skip
    nobody = play([], make_fleet(make_hosts(1, 4, at=15)), maintenance=[work()], horizon=50)
    assert nobody.host_events == ["15 h-0 added"]


def test_only_the_hosts_selected_are_worked_on() -> None:
    fleet = make_fleet(make_hosts(2, 4, zone="a", racks=2), make_hosts(1, 4, zone="b"))
    plan = Maintenance(at=10, duration=5, zone="a", rack="a-r1")
    assert play([], fleet, maintenance=[plan], horizon=50).host_events[0] == "10 h-1 disabled"
    with pytest.raises(InputError, match="no zone 'c'"):
        make_engine([], fleet, maintenance=[Maintenance(at=10, duration=5, zone="c")])
    with pytest.raises(InputError, match="no host of the fleet has all of zone 'b', rack 'a-r1'"):
        make_engine([], fleet, maintenance=[Maintenance(at=10, duration=5, zone="b", rack="a-r1")])


# ---------------------------------------------------------------- drains that find no place, or no time


def test_a_drain_is_tried_again_until_there_is_room() -> None:
    rows = [make_vm(0, 100, 3), make_vm(0, 17, 3)]
    run = play(rows, TWO, maintenance=[work()])
    assert run.stays == ["vm0 h-0 0..30 arrival", "vm1 spare-0 0..17 arrival", "vm0 spare-0 20..100 migration"]


def test_what_cannot_be_moved_in_time_is_stopped_for_the_work_and_starts_again_after_it() -> None:
    rows = [make_vm(0, 100, 3), make_vm(0, 100, 3)]
    run = play(rows, TWO, maintenance=[work(drain_timeout=12)])
    assert run.stays == ["vm0 h-0 0..22 arrival", "vm1 spare-0 0..100 arrival", "vm0 h-0 42..100 restart"]
    assert run.record.downtime_s.tolist() == [20, 0]
    assert run.record.evacuations.tolist() == [0, 0]
    assert run.host_events == ["10 h-0 disabled", "22 h-0 stopped", "42 h-0 enabled", "42 h-0 started"]


@pytest.mark.parametrize("mode", ["evacuate", "restart", "lose"])
def test_vms_stopped_for_the_work_are_not_taken_for_those_of_a_dead_host(mode: Any) -> None:
    rows = [make_vm(0, 100, 3), make_vm(0, FOREVER, 4), make_vm(0, FOREVER, 1)]
    run = play(rows, TWO, maintenance=[work(drain_timeout=12)], evacuation=Evacuation(mode=mode, detect=1))
    assert run.outcomes == ["completed", "running", "running"]
    assert run.stays[3:] == ["vm0 h-0 42..100 restart", "vm2 h-0 42.. restart"]


def test_a_stopped_vm_keeps_its_room_and_may_be_deleted_meanwhile() -> None:
    engine = make_engine([make_vm(0, 30, 3), make_vm(0, 100, 3)], TWO, maintenance=[work(drain_timeout=12)])
    seen: list[list[float]] = []
    for when in (25, 31):
        at(engine, when, lambda: seen.append(used(engine)))
    run = finish(engine)
    assert seen == [[3, 3], [0, 3]]
    assert run.stays == ["vm0 h-0 0..22 arrival", "vm1 spare-0 0..100 arrival"]
    assert run.record.downtime_s.tolist() == [8, 0]


def test_a_host_that_is_not_drained_in_time_may_be_left_alone() -> None:
    rows = [make_vm(0, 100, 3), make_vm(0, 100, 3), make_vm(30, 5, 1)]
    run = play(rows, TWO, maintenance=[work(drain_timeout=12, on_timeout="skip")])
    assert run.host_events == ["10 h-0 disabled", "22 h-0 enabled"]
    assert run.record.host_events.detail[-1] == "maintenance skipped: not drained in time"
    assert run.stays == ["vm0 h-0 0..100 arrival", "vm1 spare-0 0..100 arrival", "vm2 h-0 30..35 arrival"]


def test_copies_that_take_longer_than_the_time_allowed_are_finished_and_no_more_begin() -> None:
    rows = [make_vm(0, 100) for _ in range(3)]
    run = play(rows, TWO, maintenance=[work(drain_timeout=15)])
    assert run.stays == [
        "vm0 h-0 0..20 arrival",
        "vm1 h-0 0..30 arrival",
        "vm2 h-0 0..30 arrival",
        "vm0 spare-0 10..100 migration",
        "vm1 spare-0 20..100 migration",
        "vm2 h-0 50..100 restart",
    ]
    assert run.record.downtime_s.tolist() == [0, 0, 20]


def test_a_drain_is_over_when_the_last_vm_leaves_of_itself() -> None:
    rows = [make_vm(0, 23, 3), make_vm(0, 100, 3)]
    run = play(rows, TWO, maintenance=[work()])
    assert run.host_events[:2] == ["10 h-0 disabled", "25 h-0 stopped"]


def test_room_on_a_drained_host_is_there_for_those_who_wait_when_it_opens() -> None:
    rows = [make_vm(0, 100, 4), make_vm(0, 100, 4), make_vm(12, 5, 4)]
    run = play(rows, THREE, maintenance=[work(), work(begin=25, host_type="spare", drain_timeout=2)],
               on_full=Wait(wait=200), migration=Migration(bandwidth_mib_s=500, rounds=1, pause=0))  # fmt: skip
    assert run.stays[:4] == [
        "vm0 h-0 0..12 arrival", "vm1 spare-0 0..27 arrival", "vm0 spare-1 10..49 migration", "vm2 h-0 32..37 arrival",
    ]  # fmt: skip


# ---------------------------------------------------------------- migrations that do not end well


def test_a_vm_that_leaves_in_the_middle_of_its_migration_gives_both_places_back() -> None:
    engine = make_engine([make_vm(0, 15, 3)], TWO, maintenance=[work()], horizon=100)
    seen: list[list[float]] = []
    for when in (14, 15.5):
        at(engine, when, lambda: seen.append(used(engine)))
    run = finish(engine)
    assert seen == [[3, 3], [0, 0]]
    assert run.stays == ["vm0 h-0 0..15 arrival", "vm0 spare-0 10..15 migration"]
    assert run.outcomes == ["completed"]
    assert run.record.migrations.tolist() == [0]


def test_a_vm_that_leaves_at_the_instant_its_migration_would_end_has_left() -> None:
    run = play([make_vm(0, 20, 3)], TWO, maintenance=[work()], horizon=100)
    assert run.stays == ["vm0 h-0 0..20 arrival", "vm0 spare-0 10..20 migration"]
    assert run.record.migrations.tolist() == [0]


def test_death_of_the_target_leaves_the_vm_where_it_was_and_it_is_moved_elsewhere_later() -> None:
    engine = make_engine([make_vm(0, 100, 3)], THREE, maintenance=[work()], faults=down("spare-0", begin=15))
    seen: list[list[float]] = []
    for when in (14, 16):
        at(engine, when, lambda: seen.append(used(engine)))
    run = finish(engine)
    assert seen == [[3, 3, 0], [3, 0, 0]]
    assert run.stays == [
        "vm0 h-0 0..35 arrival", "vm0 spare-0 10..15 migration", "vm0 spare-1 25..100 migration",
    ]  # fmt: skip
    assert run.record.downtime_s.tolist() == [0]
    assert run.record.migrations.tolist() == [1]


@pytest.mark.parametrize(("mode", "later"), [
    (Evacuation(detect=3, retry=5, give_up=50), ["vm0 spare-0 18..100 evacuation"]),
    (RESTART, ["vm0 h-0 60..100 restart"]),
    (Evacuation(mode="lose"), []),
])  # fmt: skip
def test_death_of_the_source_ends_the_migration_and_the_vm_is_one_of_a_dead_host(
    mode: Evacuation, later: list[str]
) -> None:
    engine = make_engine(
        [make_vm(0, 100, 3)], TWO, maintenance=[work(drain_timeout=30)],
        faults=down("h-0", begin=15, lasts=45, evacuation=mode), horizon=200,
    )  # fmt: skip
    seen: list[list[float]] = []
    at(engine, 16, lambda: seen.append(used(engine)))
    run = finish(engine)
    assert run.stays == ["vm0 h-0 0..15 arrival", "vm0 spare-0 10..15 migration", *later]
    assert seen == [[3 if mode is RESTART else 0, 0]]
    assert run.record.migrations.tolist() == [0]
    assert run.outcomes == ["completed" if later else "lost: host died"]


def test_death_of_a_host_that_has_no_part_in_it_leaves_a_migration_alone() -> None:
    rows = [make_vm(0, 100, 3)]
    run = play(rows, THREE, maintenance=[work()], faults=down("spare-1", begin=15, lasts=2))
    assert run.stays == ["vm0 h-0 0..20 arrival", "vm0 spare-0 10..100 migration"]


def test_room_that_an_ended_migration_gives_back_is_there_for_those_who_wait() -> None:
    rows = [make_vm(0, 100, 3), make_vm(11, 5, 4)]
    faults = down("h-0", begin=15, lasts=500, evacuation=RESTART)
    run = play(rows, TWO, maintenance=[work()], faults=faults, on_full=Wait(wait=50), horizon=40)
    assert run.stays[2:] == ["vm1 spare-0 15..20 arrival"]


def test_the_repair_of_a_host_that_died_in_a_drain_goes_on_with_the_drain() -> None:
    """The VM starts again on its own host, which is still closed, and then moves."""
    rows = [make_vm(0, 100, 3)]
    faults = down("h-0", begin=12, lasts=10, evacuation=RESTART)
    run = play(rows, TWO, maintenance=[work()], faults=faults)
    assert run.stays == [
        "vm0 h-0 0..12 arrival",
        "vm0 spare-0 10..12 migration",
        "vm0 h-0 22..35 restart",
        "vm0 spare-0 25..100 migration",
    ]


def test_a_host_that_fails_during_the_work_is_back_when_both_are_over() -> None:
    rows = [make_vm(0, 100, 3), make_vm(0, 100, 3)]
    run = play(rows, TWO, maintenance=[work(drain_timeout=12)], faults=down("h-0", begin=30, lasts=60))
    assert run.stays[2:] == ["vm0 h-0 90..100 restart"]
    assert run.host_events == ["10 h-0 disabled", "22 h-0 stopped", "42 h-0 enabled", "90 h-0 repaired"]


def test_a_sender_whose_migration_was_cut_short_does_not_end_the_next_one_of_the_vm() -> None:
    """The copy from h-0, cut at 12, would have ended at 20; by then the VM is on its way from spare-0."""
    rules = Evacuation(detect=1, retry=5, give_up=50)
    plans = [work(begin=10), work(begin=15, host_type="spare", duration=5)]
    run = play(
        [make_vm(0, 40, 3)], THREE, maintenance=plans, faults=down("h-0", begin=12, evacuation=rules), horizon=44
    )
    assert run.stays[1:4] == [
        "vm0 spare-0 10..12 migration", "vm0 spare-0 13..25 evacuation", "vm0 spare-1 15..40 migration",
    ]  # fmt: skip


def test_the_end_of_the_run_in_the_middle_of_a_migration_leaves_both_places_held() -> None:
    run = play([make_vm(0, 100, 3)], TWO, maintenance=[work()], horizon=15)
    assert run.stays == ["vm0 h-0 0.. arrival", "vm0 spare-0 10.. migration"]
    assert run.outcomes == ["running"]
    assert used(run.engine) == [3, 3]


def test_senders_pass_over_vms_that_have_gone_or_been_evacuated_meanwhile() -> None:
    """vm1 ends while vm0 is copied; then the source dies, and what was left of the queue is evacuated."""
    rows = [make_vm(0, 100), make_vm(0, 15), make_vm(0, 100)]
    run = play(rows, TWO, maintenance=[work()], faults=down("h-0", begin=25))
    assert run.stays[3:] == [
        "vm0 spare-0 10..100 migration", "vm2 spare-0 20..25 migration", "vm2 spare-0 28..100 evacuation",
    ]  # fmt: skip


# ---------------------------------------------------------------- plans that meet


def test_two_plans_for_one_host_keep_it_closed_until_both_are_done() -> None:
    rows = [make_vm(0, 100, 2), make_vm(36, 5, 4)]
    plans = [work(begin=10, duration=10), work(begin=15, duration=30)]
    run = play(rows, TWO, maintenance=plans)
    # The second waits for the copy that the first began; the work of one is not the death of the host for the other.
    assert run.stays == ["vm0 h-0 0..20 arrival", "vm0 spare-0 10..100 migration"]
    assert run.record.evacuations.tolist() == [0, 0]
    assert run.host_events == ["10 h-0 disabled", "20 h-0 stopped", "50 h-0 enabled", "50 h-0 started"]
    assert run.outcomes[1] == "rejected: no room: VCPU"


def test_a_plan_that_is_out_of_time_stops_the_vms_that_another_one_is_moving() -> None:
    plans = [work(begin=10, duration=10), work(begin=11, duration=10, drain_timeout=4)]
    run = play([make_vm(0, 100, 2)], TWO, maintenance=plans)
    assert run.stays[:2] == ["vm0 h-0 0..15 arrival", "vm0 spare-0 10..15 migration"]
    assert run.record.evacuations.tolist() == [0]
    assert run.outcomes == ["completed"]


def test_a_vm_on_its_way_to_a_host_that_is_to_be_worked_on_goes_on_from_there() -> None:
    plans = [work(begin=10), work(begin=15, host_type="spare", duration=5)]
    run = play([make_vm(0, 200, 3)], THREE, maintenance=plans)
    assert run.stays == [
        "vm0 h-0 0..20 arrival",
        "vm0 spare-0 10..30 migration",
        "vm0 spare-1 20..45 migration",
        "vm0 spare-0 35..200 migration",
    ]


def test_a_vm_on_its_way_to_a_host_whose_time_is_up_stays_where_it_was() -> None:
    plans = [work(begin=10), work(begin=15, host_type="spare", duration=5, drain_timeout=2)]
    run = play([make_vm(0, 100, 3)], TWO, maintenance=plans)
    assert run.stays == [
        "vm0 h-0 0..35 arrival", "vm0 spare-0 10..17 migration", "vm0 spare-0 25..100 migration",
    ]  # fmt: skip
    assert run.record.downtime_s.tolist() == [0]


# ---------------------------------------------------------------- server groups


def test_the_last_member_of_an_affinity_group_moves_and_the_group_with_it() -> None:
    rows = [
        make_vm(0, 100, 2, group="g", group_policy="affinity"),
        make_vm(15, 50, 1, group="g", group_policy="affinity"),
    ]
    run = play(rows, THREE, maintenance=[work()])
    assert run.stays == [
        "vm0 h-0 0..20 arrival", "vm0 spare-0 10..100 migration", "vm1 spare-0 15..65 arrival",
    ]  # fmt: skip


def test_members_of_an_affinity_group_cannot_move_apart_and_are_stopped_together() -> None:
    rows = [make_vm(0, 100, 1, group="g", group_policy="affinity") for _ in range(2)]
    run = play(rows, TWO, maintenance=[work(drain_timeout=7)])
    assert run.stays == [
        "vm0 h-0 0..17 arrival", "vm1 h-0 0..17 arrival", "vm0 h-0 37..100 restart", "vm1 h-0 37..100 restart",
    ]  # fmt: skip


def test_members_of_an_anti_affinity_group_move_to_hosts_without_one() -> None:
    fleet = make_fleet(make_hosts(1, 4), make_hosts(3, 4, name="spare"))
    rows = [make_vm(0, 100, 1, group="g", group_policy="anti-affinity") for _ in range(2)]
    rows += [make_vm(12, 50, 1, group="g", group_policy="anti-affinity") for _ in range(2)]
    run = play(rows, fleet, maintenance=[work()])
    assert run.stays == [
        "vm0 h-0 0..20 arrival", "vm1 spare-0 0..100 arrival", "vm0 spare-1 10..100 migration",
        "vm2 spare-2 12..62 arrival",
    ]  # fmt: skip
    assert run.outcomes[3] == "rejected: server group anti-affinity"


def test_a_group_is_where_its_member_was_when_a_migration_ends_without_success() -> None:
    rows = [make_vm(0, 100, 1, group="g", group_policy="anti-affinity")]
    rows += [make_vm(16, 50, 1, group="g", group_policy="anti-affinity") for _ in range(2)]
    engine = make_engine(rows, THREE, maintenance=[work()], faults=down("spare-0", begin=15, lasts=200), horizon=40)
    seen: list[dict[int, int]] = []
    for when in (14, 15.5):
        at(engine, when, lambda: seen.append(dict(engine.scheduler.groups.members("g"))))
    run = finish(engine)
    rows_of = [engine.row_of(host) for host in range(3)]
    assert seen == [{rows_of[1]: 1}, {rows_of[0]: 1}]
    assert run.stays[2:] == ["vm1 spare-1 16.. arrival"]


def test_a_group_forgets_a_member_that_leaves_in_the_middle_of_its_migration() -> None:
    rows = [make_vm(0, 15, 1, group="g", group_policy="affinity")]
    engine = make_engine(rows, TWO, maintenance=[work()], horizon=50)
    finish(engine)
    assert not engine.scheduler.groups.members("g")
