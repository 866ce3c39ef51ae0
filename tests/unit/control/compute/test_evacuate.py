"""Evacuations: a server of a dead host is made anew, and what the dead host holds never runs beside it."""

from __future__ import annotations

from itertools import product

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute.records import Migration, Server
from sundog.core.lifecycle.servers import Power, VmState
from sundog.errors import Invalid, NotFound
from sundog.runtime import aio
from tests.computing import ADMIN, Small, audit, restart, run
from tests.moving import QUICK, agreed, built, deleted


def newest(cloud: Small) -> Migration:
    return cloud.compute.migrations.list_all()[0]


async def lost(cloud: Small, fault: HostFault = HostFault.KILL, *, stopped: bool = False) -> Server:
    """A server whose host does not answer any more."""
    server = await built(cloud, stopped=stopped)
    cloud.driver.faults.strike(fault, Scope(host=server.host))
    await aio.sleep(20.0)
    return server


async def back(cloud: Small, host: str | None) -> None:
    """A host is switched on and reachable again."""
    for cure in (HostFault.REVIVE, HostFault.HEAL):
        cloud.driver.faults.strike(cure, Scope(host=host))
    await aio.sleep(300.0)
    assert cloud.compute.hosts.is_up(host)


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION, HostFault.FENCE])
def test_a_server_is_made_anew_and_its_old_copy_goes_when_the_host_is_back(fault: HostFault, stopped: bool) -> None:
    async def main(cloud: Small) -> None:
        before = await lost(cloud, fault, stopped=stopped)
        cloud.compute.moves.evacuate(ADMIN, before.id)
        assert cloud.show(before).task_state == "rebuilding"
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.power_state) == (before.vm_state, before.power_state)
        assert after.host != before.host
        assert cloud.compute.hosts.is_off(before.host or "")  # it was fenced first
        assert cloud.most_running() <= 1
        assert (newest(cloud).type, newest(cloud).status) == ("evacuation", "done")
        assert cloud.held(before.id).keys() == {after.host}
        assert [port.host_id for port in cloud.compute.servers.ports(after)] == [after.host] * bool(
            cloud.compute.servers.ports(after)
        )
        await back(cloud, before.host)
        await agreed(cloud)

    run(main)


def test_disks_that_hosts_share_are_used_again() -> None:
    async def main(cloud: Small) -> None:
        before = await lost(cloud)
        began = cloud.driver.world.now
        cloud.compute.moves.evacuate(ADMIN, before.id)
        await cloud.idle()
        assert cloud.show(before).vm_state == "active"
        assert cloud.driver.world.now - began == pytest.approx(3.0 + 1.0 + 1.0)  # fence, define, start: no image
        await back(cloud, before.host)
        await agreed(cloud)

    run(main, shared_disks=True)


def test_what_cannot_be_is_refused_and_changes_nothing() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        moves = cloud.compute.moves
        with pytest.raises(Invalid, match=f"Compute service of {server.host} is still in use"):
            moves.evacuate(ADMIN, server.id)
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=server.host))
        await aio.sleep(20.0)
        with pytest.raises(Invalid, match="The target host can't be the same one"):
            moves.evacuate(ADMIN, server.id, host=server.host)
        with pytest.raises(NotFound, match="Compute host nowhere could not be found"):
            moves.evacuate(ADMIN, server.id, host="nowhere")
        for host in ("h0", "h1", "h2"):
            cloud.compute.hosts.update(cloud.compute.hosts.show(host).service_id, disabled=True)
        with pytest.raises(Invalid, match="No valid host"):
            moves.evacuate(ADMIN, server.id)
        assert cloud.show(server).vm_state == "active"
        assert cloud.held(server.id).keys() == {server.host}

    run(main)


def test_a_server_in_error_is_evacuated_to_the_host_that_was_asked_for() -> None:
    async def main(cloud: Small) -> None:
        before = await lost(cloud)
        cloud.compute.servers.reset_state(ADMIN, before.id, VmState.ERROR)
        other = next(host for host in ("h2", "h1") if host != before.host)
        cloud.compute.moves.evacuate(ADMIN, before.id, host=other)
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.host, after.fault) == ("active", other, None)

    run(main)


@pytest.mark.parametrize("state", [VmState.ACTIVE, VmState.STOPPED, VmState.ERROR])
def test_a_server_that_is_to_stop_does_not_run_where_it_is_made_anew_unless_it_was_in_error(state: VmState) -> None:
    async def main(cloud: Small) -> None:
        before = await lost(cloud, stopped=state == VmState.STOPPED)
        if state == VmState.ERROR:
            cloud.compute.servers.reset_state(ADMIN, before.id, VmState.ERROR)
        cloud.compute.moves.evacuate(ADMIN, before.id, stops=True)
        await aio.sleep(1.0)
        cloud = await restart(cloud)  # it is written down
        await cloud.idle()
        after, runs = cloud.show(before), state == VmState.ERROR
        assert (after.vm_state, after.power_state) == (
            (VmState.ACTIVE, Power.RUNNING) if runs else (VmState.STOPPED, Power.SHUTDOWN)
        )
        assert cloud.most_running() == runs
        assert newest(cloud).status == "done"
        assert after.host != before.host
        if not runs:
            cloud.compute.power.start(ADMIN, before.id)
            await cloud.idle()
            assert cloud.show(before).vm_state == VmState.ACTIVE
        await back(cloud, before.host)
        await agreed(cloud)
        await cloud.compute.stop()

    run(main)


def test_an_administrators_word_is_enough() -> None:
    async def main(cloud: Small) -> None:
        before = await lost(cloud)
        service = cloud.compute.hosts.show(before.host or "").service_id
        cloud.compute.hosts.update(service, forced_down=True)
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "fence", count=None))
        cloud.compute.moves.evacuate(ADMIN, before.id)
        await cloud.idle()
        assert cloud.show(before).host != before.host
        cloud.compute.hosts.update(service, forced_down=False)
        await back(cloud, before.host)
        await agreed(cloud)

    run(main)


def test_an_administrators_word_is_made_true_where_hosts_can_be_fenced() -> None:
    async def main(cloud: Small) -> None:
        before = await lost(cloud, HostFault.PARTITION)  # it runs on, whatever is said of its host
        service = cloud.compute.hosts.show(before.host or "").service_id
        cloud.compute.hosts.update(service, forced_down=True)
        cloud.compute.moves.evacuate(ADMIN, before.id)
        await cloud.idle()
        assert cloud.show(before).host != before.host
        assert cloud.most_running() == 1
        cloud.compute.hosts.update(service, forced_down=False)
        await back(cloud, before.host)
        await agreed(cloud)

    run(main)


@pytest.mark.parametrize("lifted", [False, True])
def test_what_a_host_holds_that_was_said_to_be_down_goes_soon_after_it_answers(lifted: bool) -> None:
    """Its administrator was wrong, and it could not be fenced: two copies run until it is found."""

    async def main(cloud: Small) -> None:
        before = await lost(cloud, HostFault.PARTITION)
        service = cloud.compute.hosts.show(before.host or "").service_id
        cloud.compute.hosts.update(service, forced_down=True)
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "fence", count=None))
        cloud.compute.moves.evacuate(ADMIN, before.id)
        await cloud.idle()
        assert cloud.most_running() == 2
        if lifted:
            cloud.compute.hosts.update(service, forced_down=False)
        cloud.driver.faults.strike(HostFault.HEAL, Scope(host=before.host))
        await aio.sleep(10.0)
        assert cloud.most_running() == 1
        assert cloud.copies().keys() == {cloud.show(before).host}
        cloud.compute.hosts.update(service, forced_down=False)
        await agreed(cloud)

    run(main)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("operation", ["fence", "spawn", "destroy", "list_servers"])
def test_an_operation_that_goes_wrong_makes_no_second_copy(operation: str) -> None:
    async def main(cloud: Small) -> None:
        for kind, count in product(FaultKind, (1, 4)):
            before = await lost(cloud)
            cloud.driver.faults.order(OperationFault(kind, operation, count=count, seconds=3000.0))
            cloud.compute.moves.evacuate(ADMIN, before.id)
            await cloud.idle()
            assert cloud.most_running() <= 1
            cloud.driver.faults.clear()
            after = cloud.show(before)
            done = newest(cloud).status == "done"
            assert done == (after.host != before.host)
            assert after.vm_state == ("active" if done or operation == "fence" else "error")
            await back(cloud, before.host)
            await agreed(cloud)
            await deleted(cloud, before)

    run(main, settings=QUICK)


@pytest.mark.parametrize("who", ["source", "target"])
@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION])
def test_a_host_that_comes_or_goes_in_the_middle_makes_no_second_copy(fault: HostFault, who: str) -> None:
    async def main(cloud: Small) -> None:
        for step in range(10):
            before = await lost(cloud, fault)
            cloud.compute.moves.evacuate(ADMIN, before.id)
            move = newest(cloud)
            await aio.sleep(1.1 * step + 0.1)
            if who == "target":
                cloud.driver.faults.strike(fault, Scope(host=move.target))
            else:
                cloud.driver.faults.strike(HostFault.HEAL, Scope(host=move.source))
                cloud.driver.faults.strike(HostFault.REVIVE, Scope(host=move.source))
            await aio.sleep(130.0)
            assert cloud.most_running() <= 1
            for host in (move.source, move.target):
                await back(cloud, host)
            await agreed(cloud)
            await deleted(cloud, before)

    run(main, settings=QUICK)


def test_the_control_plane_may_die_at_any_moment_of_an_evacuation() -> None:
    async def main(cloud: Small) -> None:
        for step in range(12):
            before = await lost(cloud)
            cloud.compute.moves.evacuate(ADMIN, before.id)
            await aio.sleep(0.75 * step)
            cloud = await restart(cloud)
            await cloud.idle()
            after = cloud.show(before)
            assert (after.vm_state, after.power_state) == ("active", Power.RUNNING)
            assert after.host != before.host
            await back(cloud, before.host)
            await agreed(cloud)
            await deleted(cloud, before)
        await cloud.compute.stop()

    run(main)


def test_a_server_that_is_deleted_at_any_moment_of_an_evacuation_leaves_nothing() -> None:
    async def main(cloud: Small) -> None:
        for step in range(20):
            before = await lost(cloud)
            cloud.compute.moves.evacuate(ADMIN, before.id)
            await aio.sleep(0.43 * step)
            cloud.compute.servers.delete(ADMIN, before.id)
            await cloud.idle()
            assert cloud.placement.books.consumers == {}
            await aio.sleep(10.0)  # fencing may have begun
            await back(cloud, before.host)
            audit(cloud)
            assert cloud.copies() == {}

    run(main)
