"""The hosts of a cloud that is served."""

from __future__ import annotations

import pytest

from sundog.backends.contract import HostState
from sundog.backends.simulated import FileLedger, FleetPlan, SimulatedDriver, SimulatedFleet, identical_hosts
from sundog.errors import InputError
from sundog.runtime import warp
from sundog.sim.spec import HostGroup, HostType, Overcommit
from tests.drivers import copies, make_spec

LATER = FleetPlan(
    groups=(
        HostGroup(type=HostType(name="old", vcpus=8, memory="16 GiB", disk="1 TiB"), count=2, zone="z1", racks=2),
        HostGroup(
            type=HostType(name="gpu", vcpus=16, memory="64 GiB", gpus=2, resources={"CUSTOM_NIC": 4}), count=1, at="1 h"
        ),
    ),
    overcommit=Overcommit(vcpus=2),
)


def hosts(driver: SimulatedDriver):
    async def ask(_world):
        return await driver.hosts(deadline=1)

    return warp.run(ask)


def made(plan, seed=1, **options):
    world = warp.World(seed=seed)
    return world, SimulatedFleet(world, plan, **options).driver


def test_identical_hosts_stand_in_racks_of_one_zone():
    _, driver = made(identical_hosts(100))
    told = hosts(driver)
    assert [host.name for host in told] == [f"compute-{number:02d}" for number in range(100)]
    assert list(dict.fromkeys(host.rack for host in told)) == ["nova-r0", "nova-r1", "nova-r2"]
    assert {(host.zone, host.state) for host in told} == {("nova", HostState.UP)}
    assert len({host.uuid for host in told}) == 100
    assert [len(identical_hosts(count).groups) for count in (1, 2)] == [1, 1]
    assert [identical_hosts(count).groups[0].racks for count in (1, 2, 10, 2000)] == [1, 2, 2, 50]


@pytest.mark.parametrize("count", [0, -1, 100_001])
def test_no_hosts_at_all_or_more_than_a_machine_can_hold_are_refused(count):
    with pytest.raises(InputError, match="makes no sense"):
        identical_hosts(count)


def test_a_uuid_hangs_on_the_seed_and_the_name_alone():
    few, more, other = (
        {host.name: host.uuid for host in hosts(made(identical_hosts(count), seed)[1])}
        for count, seed in ((20, 1), (30, 1), (20, 2))
    )
    assert few.items() < more.items()
    assert not set(few.values()) & set(other.values())


def test_a_plan_survives_a_round_trip_through_json():
    for plan in (LATER, identical_hosts(2000)):
        assert FleetPlan.model_validate_json(plan.model_dump_json()) == plan


def test_a_host_that_comes_later_comes_so_much_sooner_at_a_later_start():
    world, driver = made(LATER)
    world.run(until=3599)
    assert len(hosts(driver)) == 2
    world.run(until=3601)
    assert [host.name for host in hosts(driver)] == ["old-0", "old-1", "gpu-0"]
    world, driver = made(LATER, elapsed=3000)
    assert len(hosts(driver)) == 2
    world.run(until=601)
    assert len(hosts(driver)) == 3
    assert len(hosts(made(LATER, elapsed=7200)[1])) == 3


def test_what_hosts_hold_is_there_at_the_next_start(tmp_path):
    def start(main):
        ledger = FileLedger(tmp_path / "hosts.db")

        async def run(world):
            return await main(SimulatedFleet(world, identical_hosts(3), ledger=ledger).driver)

        try:
            return warp.run(run, seed=5)
        finally:
            ledger.close()

    async def spawn(driver):
        host = (await driver.hosts(deadline=1))[1].uuid
        await driver.spawn(host, make_spec(), deadline=600)
        return host

    async def look(driver):
        return await copies(driver, host)

    host = start(spawn)
    assert start(look) == ["s1/1 running"]
