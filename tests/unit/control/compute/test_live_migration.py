"""Live migrations: a server runs at home or at its target, and always at one of both."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute.creating import wish_for
from sundog.control.compute.migrations import MigrationQuery
from sundog.control.compute.records import Migration, Server
from sundog.control.compute.scheduling import shape_of
from sundog.core.lifecycle.servers import Power
from sundog.errors import Conflict, Invalid, NotFound
from sundog.runtime import aio
from tests.computing import ADMIN, LARGE, OWNER, SMALL, Small, audit, restart, run
from tests.moving import QUICK, agreed, built, deleted


def newest(cloud: Small) -> Migration:
    return cloud.compute.migrations.list_all()[0]


def test_a_server_runs_on_at_another_host() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        cloud.compute.moves.live_migrate(ADMIN, before.id)
        under_way = cloud.show(before)
        assert (under_way.vm_state, under_way.task_state, under_way.host) == ("active", "migrating", before.host)
        await cloud.idle()
        after = cloud.show(before)
        assert (after.vm_state, after.power_state) == ("active", Power.RUNNING)
        assert after.host != before.host
        assert (newest(cloud).type, newest(cloud).status, newest(cloud).target) == (
            "live-migration", "completed", after.host,
        )  # fmt: skip
        assert cloud.compute.actions.list_all(before.id)[0].action == "live-migration"
        audit(cloud)

    run(main)


def test_a_paused_server_stays_paused() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        cloud.compute.power.pause(OWNER, before.id)
        await cloud.idle()
        cloud.compute.moves.live_migrate(ADMIN, before.id)
        await cloud.idle()
        assert (cloud.show(before).vm_state, cloud.show(before).power_state) == ("paused", Power.PAUSED)
        audit(cloud)

    run(main)


def test_a_server_goes_to_the_host_that_was_asked_for_if_it_fits() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        moves = cloud.compute.moves
        other, third = (host for host in ("h0", "h1", "h2") if host != before.host)
        moves.live_migrate(ADMIN, before.id, host=other)
        await cloud.idle()
        assert cloud.show(before).host == other
        with pytest.raises(Invalid, match=f"Unable to migrate instance .* to current host .{other}."):
            moves.live_migrate(ADMIN, before.id, host=other)
        with pytest.raises(Invalid, match="Compute host nowhere could not be found"):
            moves.live_migrate(ADMIN, before.id, host="nowhere")
        service = cloud.compute.hosts.show(third).service_id
        cloud.compute.hosts.update(service, disabled=True)
        with pytest.raises(Invalid, match="No valid host"):
            moves.live_migrate(ADMIN, before.id, host=third)
        cloud.compute.hosts.update(service, forced_down=True)
        with pytest.raises(Invalid, match=f"Compute service of {third} is unavailable at this time"):
            moves.live_migrate(ADMIN, before.id, host=third)
        cloud.compute.power.stop(OWNER, before.id)
        await cloud.idle()
        with pytest.raises(Conflict, match="while it is in vm_state stopped"):
            moves.live_migrate(ADMIN, before.id)
        audit(cloud)

    run(main)


def test_a_migration_says_how_far_it_is() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        cloud.compute.moves.live_migrate(ADMIN, before.id)
        await aio.sleep(1.2)
        progress = await cloud.compute.migrations.progress(newest(cloud))
        assert progress is not None
        assert progress.memory_total_bytes == 512 << 20
        assert 0 < progress.memory_processed_bytes < progress.memory_total_bytes
        await cloud.idle()
        assert await cloud.compute.migrations.progress(newest(cloud)) is None

    run(main)


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.2, 2.0])
@pytest.mark.parametrize("crash", [False, True])
def test_a_migration_that_is_aborted_leaves_the_server_at_home(seconds: float, crash: bool) -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        cloud.compute.moves.live_migrate(ADMIN, before.id)
        await aio.sleep(seconds)
        cloud.compute.migrations.abort(ADMIN, before.id, newest(cloud).number)
        if crash:
            cloud = await restart(cloud)
        await cloud.idle()
        after = cloud.show(before)
        at_home = after.host == before.host
        assert newest(cloud).status == ("cancelled" if at_home else "completed")
        assert at_home or seconds == 2.0
        assert (after.vm_state, after.power_state) == ("active", Power.RUNNING)
        await agreed(cloud)
        with pytest.raises(Conflict, match="while it is in task_state None"):
            cloud.compute.migrations.abort(ADMIN, before.id, newest(cloud).number)
        await cloud.compute.stop()

    run(main)


def test_only_a_migration_of_the_server_that_is_under_way_can_be_aborted() -> None:
    async def main(cloud: Small) -> None:
        before = await built(cloud)
        cloud.compute.moves.live_migrate(ADMIN, before.id)
        await cloud.idle()
        first = newest(cloud).number
        cloud.compute.moves.live_migrate(ADMIN, before.id)
        with pytest.raises(Invalid, match=r"state of instance .* is completed"):
            cloud.compute.migrations.abort(ADMIN, before.id, first)
        with pytest.raises(NotFound, match="Migration 99 for instance"):
            cloud.compute.migrations.abort(ADMIN, before.id, 99)
        await cloud.idle()

    run(main)


BUSY = replace(SMALL, memory_mb=4000)
"""Two that leave one host together never arrive: each has half a link, and writes as fast as that carries."""


async def stuck(cloud: Small) -> tuple[Server, Server]:
    """Two servers whose live migrations make no progress."""
    servers = [cloud.create(flavor=BUSY) for _ in range(9)]
    await cloud.idle()
    one, other, *_ = [cloud.show(each) for each in servers if each.host == servers[0].host]
    for each in (one, other):
        cloud.compute.moves.live_migrate(ADMIN, each.id)
    await aio.sleep(200.0)
    assert [cloud.show(each).task_state for each in (one, other)] == ["migrating", "migrating"]
    return one, other


def migration(cloud: Small, server: Server) -> Migration:
    return cloud.compute.migrations.find(MigrationQuery(server_id=server.id))[0]


@pytest.mark.parametrize("crash", [False, True])
def test_a_migration_that_makes_no_progress_is_forced_to_its_end(crash: bool) -> None:
    async def main(cloud: Small) -> None:
        one, other = await stuck(cloud)
        cloud.compute.migrations.force_complete(ADMIN, one.id, migration(cloud, one).number)
        if crash:
            cloud = await restart(cloud)
        await aio.sleep(60.0)
        after = cloud.show(one)
        assert (after.vm_state, after.task_state, after.power_state) == ("active", None, Power.RUNNING)
        assert after.host != one.host
        assert migration(cloud, one).status == "completed"
        assert [each.action for each in cloud.compute.actions.list_all(one.id)][:2] == [
            "live_migration_force_complete", "live-migration",
        ]  # fmt: skip
        await cloud.idle()  # the other has the whole link then
        assert migration(cloud, other).status == "completed"
        await agreed(cloud)
        await cloud.compute.stop()

    run(main)


def test_only_a_migration_that_copies_can_be_forced() -> None:
    async def main(cloud: Small) -> None:
        one, other = await stuck(cloud)
        force, number = cloud.compute.migrations.force_complete, migration(cloud, one).number
        for wrong in (99, migration(cloud, other).number):
            with pytest.raises(Invalid, match=f"Migration {wrong} for instance .* not found"):
                force(ADMIN, one.id, wrong)
        with pytest.raises(NotFound):
            force(ADMIN, "0" * 32, number)
        cloud.compute.servers.lock(ADMIN, one.id)
        with pytest.raises(Conflict, match="is locked"):
            force(OWNER, one.id, number)
        for each in (one, other):
            cloud.compute.migrations.abort(ADMIN, each.id, migration(cloud, each).number)
        await cloud.idle()
        with pytest.raises(Conflict, match=r"'force_complete' .* while it is in task_state None"):
            force(ADMIN, one.id, number)
        cloud.compute.moves.live_migrate(ADMIN, one.id)
        with pytest.raises(Invalid, match=r"is accepted\. Cannot force complete while"):
            force(ADMIN, one.id, migration(cloud, one).number)
        with pytest.raises(Invalid, match=r"is cancelled\. Cannot force complete while"):
            force(ADMIN, one.id, number)
        cloud.compute.power.pause(ADMIN, other.id)
        await cloud.idle()
        cloud.compute.moves.live_migrate(ADMIN, other.id)
        with pytest.raises(Conflict, match=r"'force_complete' .* while it is in vm_state paused"):
            force(ADMIN, other.id, migration(cloud, other).number)
        await cloud.idle()

    run(main)


def test_a_member_of_an_affinity_group_may_leave_if_it_is_alone() -> None:
    from sundog.control.store.tables import compute as tables

    async def main(cloud: Small) -> None:
        now = cloud.compute.books.now()
        with cloud.store.begin() as tx:
            tx.insert(
                tables.server_groups, id="g" * 32, project_id=OWNER.project_id, user_id=OWNER.user_id, name="together",
                policy="affinity", max_server_per_host=None, created_at=now,
            )  # fmt: skip
        one = cloud.create(group_id="g" * 32)
        await cloud.idle()
        cloud.compute.moves.live_migrate(ADMIN, one.id)
        await cloud.idle()
        assert cloud.show(one).host != one.host
        two = cloud.create(group_id="g" * 32)
        assert two.host == cloud.show(one).host
        await cloud.idle()
        with pytest.raises(Invalid, match="No valid host"):
            cloud.compute.moves.live_migrate(ADMIN, one.id)
        audit(cloud)

    run(main)


def test_a_host_that_is_asked_for_is_checked_unless_it_is_forced() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        for checked in (False, True):
            with cloud.store.read() as tx:
                wish = wish_for(tx, server, force_hosts=("h1",), checked=checked)
            details = shape_of(wish).details
            assert details is not None
            assert details.forced is not checked

    run(main)


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("operation", ["live_migrate", "list_servers", "destroy"])
def test_an_operation_that_goes_wrong_leaves_a_server_running_in_one_place(operation: str) -> None:
    async def main(cloud: Small) -> None:
        for kind, count in product(FaultKind, (1, 4)):
            before = await built(cloud)
            cloud.driver.faults.order(OperationFault(kind, operation, count=count, seconds=3000.0))
            cloud.compute.moves.live_migrate(ADMIN, before.id)
            await cloud.idle()
            cloud.driver.faults.clear()
            await agreed(cloud)
            after = cloud.show(before)
            assert (after.vm_state, after.power_state) == ("active", Power.RUNNING)
            failed = cloud.compute.actions.list_all(before.id)[0].message
            assert (after.host == before.host) == (newest(cloud).status == "failed") == (failed is not None)
            await deleted(cloud, before)

    run(main, settings=QUICK)


@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION])
@pytest.mark.parametrize("who", ["source", "target", "both"])
def test_a_host_that_dies_in_the_middle_comes_back_to_books_that_are_right(fault: HostFault, who: str) -> None:
    cure = HostFault.REVIVE if fault is HostFault.KILL else HostFault.HEAL

    async def main(cloud: Small) -> None:
        for step in range(12):
            before = await built(cloud)
            cloud.compute.moves.live_migrate(ADMIN, before.id)
            move = newest(cloud)
            await aio.sleep(0.25 * step + 0.1)
            lost = {"source": [move.source], "target": [move.target], "both": [move.source, move.target]}[who]
            for host in lost:
                cloud.driver.faults.strike(fault, Scope(host=host))
            await aio.sleep(100.0)
            assert cloud.most_running() <= 1
            for host in lost:
                cloud.driver.faults.strike(cure, Scope(host=host))
            await aio.sleep(300.0)
            await agreed(cloud)
            after = cloud.show(before)
            died = fault is HostFault.KILL and after.host in lost
            assert after.vm_state == "active" or died
            await deleted(cloud, before)

    run(main, settings=QUICK)


def test_the_control_plane_may_die_at_any_moment_of_a_migration() -> None:
    async def main(cloud: Small) -> None:
        for step in range(12):
            before = await built(cloud)
            cloud.compute.moves.live_migrate(ADMIN, before.id)
            await aio.sleep(0.25 * step)
            cloud = await restart(cloud)
            await agreed(cloud)
            after = cloud.show(before)
            assert (after.vm_state, after.power_state) == ("active", Power.RUNNING)
            assert after.host != before.host
            await deleted(cloud, before)
        await cloud.compute.stop()

    run(main)


def test_a_server_that_is_deleted_at_any_moment_of_a_migration_leaves_nothing() -> None:
    async def main(cloud: Small) -> None:
        for step in range(40):
            server = await built(cloud)
            cloud.compute.moves.live_migrate(ADMIN, server.id)
            await aio.sleep(0.07 * step)
            await deleted(cloud, server)

    run(main)


def test_two_servers_do_not_get_one_place() -> None:
    from sundog.control.compute.records import Flavor

    async def main(cloud: Small) -> None:
        big = Flavor("8", "big", vcpus=5, memory_mb=9000, root_gb=1)
        servers = cloud.create_several(2, flavor=big)
        await cloud.idle()
        assert len({cloud.show(server).host for server in servers}) == 2
        cloud.compute.moves.live_migrate(ADMIN, servers[0].id)
        with pytest.raises(Invalid, match="No valid host"):
            cloud.compute.moves.live_migrate(ADMIN, servers[1].id)
        await agreed(cloud)

    run(main)


def test_a_locked_server_is_moved_by_administrators_only() -> None:
    async def main(cloud: Small) -> None:
        server = await built(cloud)
        cloud.compute.servers.lock(OWNER, server.id)
        with pytest.raises(Conflict, match="is locked"):
            cloud.compute.moves.resize(OWNER, server.id, LARGE)
        cloud.compute.moves.live_migrate(ADMIN, server.id)
        await cloud.idle()
        assert cloud.show(server).host != server.host

    run(main)
