"""Resizes and cold migrations: whatever goes wrong, the server ends at the target or at home, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.records import Flavor, Server
from sundog.core.lifecycle.servers import Power
from sundog.errors import Conflict, Invalid, QuotaExceeded
from sundog.runtime import aio
from tests.computing import ADMIN, LARGE, OWNER, SMALL, Small, audit, restart, run
from tests.moving import QUICK, agreed, built, deleted

End = Callable[[Small, str], object]


def confirm(cloud: Small, server_id: str) -> None:
    cloud.compute.moves.confirm_resize(OWNER, server_id)


def revert(cloud: Small, server_id: str) -> None:
    cloud.compute.moves.revert_resize(OWNER, server_id)


async def caught(cloud: Small, end: End | None, seconds: float) -> Server:
    """A server in the midst of its resize, or of that resize's end: so many seconds after it was asked for."""
    server = await built(cloud)
    cloud.compute.moves.resize(OWNER, server.id, LARGE)
    if end is not None:
        await cloud.idle()
        end(cloud, server.id)
    await aio.sleep(seconds)
    return server


@pytest.mark.parametrize("stopped", [False, True])
def test_a_resized_server_waits_at_its_new_host_and_stays_there_when_confirmed(stopped: bool) -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud, stopped=stopped)
        cloud.compute.moves.resize(OWNER, before.id, LARGE)
        accepted = cloud.show(before)
        assert (accepted.vm_state, accepted.task_state, accepted.host) == (
            before.vm_state, "resize_prep", before.host,
        )  # fmt: skip
        await cloud.idle()
        waiting = cloud.show(before)
        assert waiting.vm_state == "resized"
        assert waiting.host != before.host
        assert waiting.flavor.name == "large"
        assert waiting.power_state == before.power_state
        audit(cloud)
        confirm(cloud, before.id)
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.power_state, after.host, after.kept) == (
            before.vm_state, before.power_state, waiting.host, before.kept,
        )  # fmt: skip
        audit(cloud)
        (move,) = cloud.compute.migrations.list_all()
        assert (move.type, move.status, move.source, move.target) == ("resize", "confirmed", before.host, after.host)
        assert [each.action for each in cloud.compute.actions.list_all(before.id)][:2] == ["confirmResize", "resize"]

    run(main)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_reverted_server_is_what_and_where_it_was(stopped: bool) -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud, stopped=stopped)
        cloud.compute.moves.resize(OWNER, before.id, LARGE)
        await cloud.idle()
        revert(cloud, before.id)
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.power_state, after.host, after.flavor, after.generation) == (
            before.vm_state, before.power_state, before.host, before.flavor, before.generation,
        )  # fmt: skip
        audit(cloud)
        assert cloud.compute.migrations.list_all()[0].status == "reverted"
        cloud.compute.moves.migrate(ADMIN, before.id)
        await cloud.idle()
        assert cloud.show(before).generation == 3  # no generation is ever used again
        audit(cloud)

    run(main)


def test_a_server_is_migrated_to_the_host_that_was_asked_for() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        other = next(host for host in ("h2", "h1") if host != before.host)
        cloud.compute.moves.migrate(ADMIN, before.id, host=other)
        await cloud.idle()
        assert (cloud.show(before).host, cloud.show(before).flavor) == (other, before.flavor)
        assert cloud.compute.migrations.list_all()[0].type == "migration"
        revert(cloud, before.id)
        await agreed(cloud)

    run(main)


def test_what_cannot_be_is_refused_and_changes_nothing() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        moves = cloud.compute.moves
        with pytest.raises(Invalid, match="When resizing, instances must change flavor!"):
            moves.resize(OWNER, server.id, SMALL)
        with pytest.raises(Invalid, match="Resize to zero disk flavor is not allowed"):
            moves.resize(OWNER, server.id, Flavor("4", "none", vcpus=1, memory_mb=512))
        with pytest.raises(QuotaExceeded, match="Quota exceeded for cores: Requested 40, but already used 1 of 20"):
            moves.resize(OWNER, server.id, Flavor("5", "huge", vcpus=41, memory_mb=512, root_gb=1))
        with pytest.raises(Invalid, match="Cannot migrate to the host where the server exists"):
            moves.migrate(ADMIN, server.id, host=server.host)
        with pytest.raises(Invalid, match="Compute host nowhere could not be found"):
            moves.migrate(ADMIN, server.id, host="nowhere")
        with pytest.raises(Conflict, match=r"Cannot 'confirmResize' instance .* while it is in vm_state active"):
            moves.confirm_resize(OWNER, server.id)
        assert cloud.compute.migrations.list_all() == []
        assert [each.action for each in cloud.compute.actions.list_all(server.id)] == ["create"]
        audit(cloud)

    run(main)


def test_without_a_host_a_server_stays_as_it_was_and_its_action_says_why() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        with pytest.raises(Invalid, match=r"No valid host was found\. There are not enough hosts available\."):
            cloud.compute.moves.resize(OWNER, before.id, LARGE)
        assert cloud.show(before) == before
        action = cloud.compute.actions.list_all(before.id)[0]
        assert (action.action, action.phase, action.message) == (
            "resize", "done", "No valid host was found. There are not enough hosts available.",
        )  # fmt: skip
        assert [each.result for each in cloud.compute.actions.events(action)] == ["Error"]
        assert cloud.compute.migrations.list_all()[0].status == "error"
        audit(cloud)

    run(main, hosts=1)


def test_a_disk_does_not_shrink() -> None:
    async def main(cloud: Small) -> None:
        server = cloud.create(flavor=LARGE)
        await cloud.idle()
        cloud.compute.moves.resize(OWNER, server.id, SMALL)
        await cloud.idle()
        after = cloud.show(server)
        assert (after.vm_state, after.flavor.name) == ("active", "large")
        assert cloud.compute.actions.list_all(server.id)[0].message == "Resize error: Unable to resize disk down."
        audit(cloud)

    run(main)


def test_a_resize_under_way_counts_as_the_larger_flavor() -> None:
    async def main(cloud: Small) -> None:
        servers = cloud.create_several(2)
        await cloud.idle()
        wide = Flavor("6", "wide", vcpus=8, memory_mb=512, root_gb=1)
        wider = Flavor("7", "wider", vcpus=13, memory_mb=512, root_gb=1)
        cloud.compute.moves.resize(OWNER, servers[0].id, wide)
        with pytest.raises(QuotaExceeded, match="already used 9 of 20"):
            cloud.compute.moves.resize(OWNER, servers[1].id, wider)
        await cloud.idle()
        audit(cloud)

    run(main)


def test_only_one_of_two_servers_gets_the_last_place() -> None:
    async def main(cloud: Small) -> None:
        servers = cloud.create_several(2)
        await cloud.idle()
        for server in servers:
            if cloud.show(server).host != "h0":
                cloud.compute.moves.migrate(ADMIN, server.id, host="h0")
                await cloud.idle()
                confirm(cloud, server.id)
                await cloud.idle()
        all_of_one = Flavor("8", "all", vcpus=8, memory_mb=512, root_gb=1)
        cloud.compute.moves.resize(ADMIN, servers[0].id, all_of_one)
        with pytest.raises(Invalid, match="No valid host"):
            cloud.compute.moves.resize(ADMIN, servers[1].id, Flavor("9", "one", vcpus=2, memory_mb=16384, root_gb=1))
        await agreed(cloud)

    run(main, hosts=2)


def test_a_resize_may_stay_on_its_host_where_that_is_allowed() -> None:
    async def main(cloud: Small) -> None:
        for end in (revert, confirm):
            server = await built(cloud)
            cloud.compute.moves.resize(OWNER, server.id, LARGE)
            await cloud.idle()
            assert cloud.show(server).host == server.host
            audit(cloud)
            end(cloud, server.id)
            await agreed(cloud)
        assert cloud.show(server).flavor.name == "large"

    run(main, hosts=1, settings=Settings(resize_to_same_host=True))


# ---------------------------------------------------------------- what goes wrong

OPERATIONS = ("resize_begin", "resize_finish", "resize_confirm", "resize_revert", "destroy", "list_servers")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_that_goes_wrong_leaves_a_server_in_one_place(operation: str) -> None:
    async def main(cloud: Small) -> None:
        for kind, end, count in product(FaultKind, (confirm, revert), (1, 4)):
            before = await built(cloud)
            cloud.driver.faults.order(OperationFault(kind, operation, count=count, seconds=3000.0))
            cloud.compute.moves.resize(OWNER, before.id, LARGE)
            await cloud.idle()
            audit(cloud)
            server = cloud.show(before)
            assert server.vm_state in ("active", "resized")
            if server.vm_state == "resized":
                end(cloud, before.id)
                await cloud.idle()
                server = cloud.show(before)
            failed = [each.message for each in cloud.compute.actions.list_all(before.id) if each.message]
            assert failed or (server.vm_state == "active" and server.power_state == Power.RUNNING)
            assert server.vm_state != "error" or (operation, count) == ("resize_revert", 4)
            cloud.driver.faults.clear()
            await agreed(cloud)
            await deleted(cloud, server)

    run(main, settings=QUICK)


@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION])
@pytest.mark.parametrize("end", [None, confirm, revert])
@pytest.mark.parametrize("who", ["source", "target"])
def test_a_host_that_dies_in_the_middle_comes_back_to_books_that_are_right(
    fault: HostFault, end: End | None, who: str
) -> None:
    cure = HostFault.REVIVE if fault is HostFault.KILL else HostFault.HEAL

    async def main(cloud: Small) -> None:
        for step in range(10):
            before = await built(cloud)
            cloud.compute.moves.resize(OWNER, before.id, LARGE)
            move = cloud.compute.migrations.list_all()[0]
            if end is not None:
                await cloud.idle()
                end(cloud, before.id)
            await aio.sleep(0.5 * step + 0.1)
            lost = Scope(host=move.source if who == "source" else move.target)
            cloud.driver.faults.strike(fault, lost)
            await aio.sleep(100.0)
            assert cloud.most_running() <= 1
            cloud.driver.faults.strike(cure, lost)
            await aio.sleep(300.0)
            await agreed(cloud)
            assert cloud.show(before).vm_state in ("active", "stopped", "resized")
            await deleted(cloud, before)

    run(main, settings=QUICK)


def test_a_target_that_is_said_to_be_dead_is_not_waited_for() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        cloud.compute.moves.resize(OWNER, before.id, LARGE)
        while cloud.show(before).task_state != "resize_finish":
            await aio.sleep(0.25)
        target = cloud.show(before).host or ""
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=target))
        await aio.sleep(1000.0)
        assert cloud.show(before).task_state == "resize_finish"  # it may run there, as far as anybody knows
        cloud.compute.hosts.update(cloud.compute.hosts.show(target).service_id, forced_down=True)
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.host, after.power_state) == ("active", before.host, Power.RUNNING)
        cloud.driver.faults.strike(HostFault.REVIVE, Scope(host=target))
        cloud.compute.hosts.update(cloud.compute.hosts.show(target).service_id, forced_down=False)
        await aio.sleep(300.0)
        await agreed(cloud)

    run(main)


@pytest.mark.parametrize("end", [None, confirm, revert])
def test_the_control_plane_may_die_at_any_moment_of_a_resize(end: End | None) -> None:
    async def main(cloud: Small) -> None:
        for step in range(12):
            before = await caught(cloud, end, 0.5 * step)
            cloud = await restart(cloud)
            await agreed(cloud)
            if end is None:
                assert cloud.show(before).vm_state == "resized"
                revert(cloud, before.id)
                await agreed(cloud)
            after = cloud.show(before)
            assert (after.vm_state, after.power_state) == ("active", Power.RUNNING)
            assert after.flavor.name == ("large" if end is confirm else "small")
            await deleted(cloud, before)
        await cloud.compute.stop()

    run(main)


@pytest.mark.parametrize("end", [None, confirm, revert])
def test_ossa_2015_015_a_server_that_is_deleted_at_any_moment_of_a_resize_leaves_nothing(end: End | None) -> None:
    async def main(cloud: Small) -> None:
        for step in range(30):
            server = await caught(cloud, end, 0.19 * step)
            await deleted(cloud, server)

    run(main)


@pytest.mark.parametrize("end", [None, confirm, revert])
def test_a_delete_that_fails_ends_the_resize_that_it_broke_off(end: End | None) -> None:
    async def main(cloud: Small) -> None:
        for step in range(30):
            server = await caught(cloud, end, 0.19 * step)
            cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "destroy", count=None))
            cloud.compute.servers.delete(OWNER, server.id)
            await cloud.idle()
            cloud.driver.faults.clear()
            assert cloud.show(server).vm_state == "error"
            assert cloud.held(server.id)
            await agreed(cloud)
            await deleted(cloud, server)

    run(main, settings=QUICK)
