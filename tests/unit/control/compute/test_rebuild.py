"""Rebuilding gives a server a new disk and nothing else: no other place, nothing more held, no filter left out."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.records import Server
from sundog.core.lifecycle.servers import Power
from sundog.errors import Conflict, Forbidden, Invalid
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, Small, run, upload
from tests.crashing import Crash, run_to_crash

IMPATIENT = Settings(long=600.0, tries=2)


async def active(cloud: Small, **facts: Any) -> Server:
    server = cloud.create(**facts)
    await cloud.idle()
    return cloud.show(server)


def rebuild(cloud: Small, server: Server, image_id: str | None = None, **changes: Any) -> None:
    cloud.compute.rebuilding.rebuild(OWNER, server.id, image_id=image_id or cloud.image_id, changes=changes)


def state(cloud: Small, server: Server) -> tuple[Any, ...]:
    """Its states, its generation, and the generations of what hosts really hold of it."""
    now = cloud.show(server)
    held = [copy.generation for copies in cloud.copies().values() for copy in copies if copy.uuid == server.id]
    return now.vm_state, now.task_state, now.generation, held


def test_a_server_is_rebuilt_where_it_is_with_what_was_asked() -> None:
    async def main(cloud: Small) -> None:
        server, other = await active(cloud, metadata={"a": "1"}), await upload(cloud.images, name="other")
        before = (cloud.held(server.id), cloud.compute.servers.ports(server))
        rebuild(cloud, server, other, name="new", metadata={"b": "2"}, description="d", access_ip_v4="192.0.2.1")
        asked = cloud.show(server)
        assert (asked.task_state, asked.image_id, asked.name) == ("rebuilding", other, "new")
        await cloud.idle()
        after = cloud.show(server)
        assert state(cloud, server) == ("active", None, 2, [2])
        assert (after.host, after.image_id, dict(after.metadata), after.hostname) == (
            server.host, other, {"b": "2"}, server.hostname,
        )  # fmt: skip
        assert (after.description, after.access_ip_v4, after.power_state) == ("d", "192.0.2.1", Power.RUNNING)
        assert after.image is not None
        assert (after.image.name, dict(after.kept)) == ("other", {})
        assert (cloud.held(server.id), cloud.compute.servers.ports(after)) == before
        assert cloud.compute.actions.list_all(server.id)[0].action == "rebuild"

    run(main)


def test_a_stopped_server_stays_stopped() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.power.stop(OWNER, server.id)
        await cloud.idle()
        rebuild(cloud, server)
        await cloud.idle()
        assert state(cloud, server) == ("stopped", None, 2, [2])
        assert cloud.show(server).power_state == Power.SHUTDOWN
        assert cloud.copies()[server.host or ""][0].power_state == "shutdown"

    run(main)


def test_ossa_2017_006_after_a_hundred_rebuilds_nothing_more_is_held() -> None:
    async def main(cloud: Small) -> None:
        server, other = await active(cloud), await upload(cloud.images, name="other")
        used, ports = cloud.placement.pool.used.copy(), cloud.compute.servers.ports(server)
        for number in range(100):
            rebuild(cloud, server, (cloud.image_id, other)[number % 2])
            await cloud.idle()
        assert state(cloud, server) == ("active", None, 101, [101])
        assert (cloud.placement.pool.used == used).all()
        assert cloud.compute.servers.ports(server) == ports

    run(main)


def test_ossa_2017_005_an_image_that_its_host_may_not_run_is_refused_and_the_old_disk_stays() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        wanting = await upload(cloud.images, name="gold", properties={"trait:CUSTOM_GOLD": "required"})
        rebuild(cloud, server, wanting)
        await cloud.idle()
        after = cloud.show(server)
        assert state(cloud, server) == ("error", None, 1, [1])
        assert after.fault is not None
        assert after.fault.message == "No valid host was found. "
        assert "TraitsFilter" in after.fault.details
        assert (after.image_id, after.image) == (server.image_id, server.image)
        rebuild(cloud, server)
        await cloud.idle()
        assert state(cloud, server) == ("active", None, 2, [2])

    run(main)


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.LOSE])
def test_a_lost_reply_only_makes_it_take_longer(kind: FaultKind) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.driver.faults.order(OperationFault(kind, "rebuild", count=1))
        rebuild(cloud, server)
        await cloud.idle()
        assert state(cloud, server) == ("active", None, 2, [2])

    run(main)


def test_a_rebuild_that_fails_leaves_the_old_copy() -> None:
    async def main(cloud: Small) -> None:
        server, other = await active(cloud), await upload(cloud.images, name="other")
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "rebuild", count=1))
        rebuild(cloud, server, other, name="renamed")
        await cloud.idle()
        after = cloud.show(server)
        assert state(cloud, server) == ("error", None, 1, [1])
        assert (after.image_id, after.name, dict(after.kept)) == (cloud.image_id, "renamed", {})
        rebuild(cloud, server, other)
        await cloud.idle()
        assert state(cloud, server) == ("active", None, 2, [2])

    run(main)


def test_one_that_nobody_hears_of_any_more_counts_as_done_if_the_copy_is_there() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.driver.faults.order(OperationFault(FaultKind.LOSE, "rebuild", count=None))
        rebuild(cloud, server)
        await cloud.idle()
        assert state(cloud, server) == ("error", None, 2, [2])
        assert dict(cloud.show(server).kept) == {}

    run(main, settings=IMPATIENT)


def test_while_a_host_is_away_both_copies_are_kept_in_mind_and_deleting_removes_both() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        host = Scope(host=server.host)
        rebuild(cloud, server)
        await aio.sleep(1.5)
        cloud.driver.faults.strike(HostFault.PARTITION, host)
        await cloud.idle()
        assert dict(cloud.show(server).kept) == {"copies": [2]}
        cloud.driver.faults.strike(HostFault.HEAL, host)
        await aio.sleep(120.0)
        assert len(state(cloud, server)[3]) == 1  # reconciling has removed neither
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        assert cloud.copies() == {}

    run(main, settings=IMPATIENT)


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5, 2.5])
def test_deleting_meanwhile_leaves_no_copy(when: float) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        rebuild(cloud, server)
        await aio.sleep(when)
        cloud.compute.servers.delete(OWNER, server.id)
        await cloud.idle()
        await aio.sleep(60.0)
        assert (cloud.copies(), cloud.held(server.id)) == ({}, {})

    run(main)


@pytest.mark.parametrize("when", [0.0, 0.5, 1.5, 2.5, 60.0])
def test_after_a_crash_it_goes_on(when: float) -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        server = await active(cloud)
        rebuild(cloud, server)
        await aio.sleep(when)
        cloud = await crash(cloud)
        await cloud.idle()
        await aio.sleep(60.0)
        assert state(cloud, server) == ("active", None, 2, [2])
        assert [each.phase for each in cloud.compute.actions.list_all(server.id)] == ["done", "done"]

    run_to_crash(main)


def test_what_cannot_be_is_refused_before_anything_happens() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        large = await upload(cloud.images, name="large", min_ram=100_000)
        with pytest.raises(Invalid, match="could not be found"):
            rebuild(cloud, server, "nowhere")
        with pytest.raises(Invalid, match="memory is too small"):
            rebuild(cloud, server, large)
        with pytest.raises(Invalid, match="key_name"):
            rebuild(cloud, server, key_name="none")
        with pytest.raises(Invalid, match="ephemeral"):
            rebuild(cloud, server, preserve_ephemeral=True)
        with pytest.raises(Forbidden, match="metadata items"):
            rebuild(cloud, server, metadata={str(i): "" for i in range(200)})
        assert cloud.show(server) == server
        cloud.compute.servers.lock(ADMIN, server.id)
        with pytest.raises(Conflict, match="is locked"):
            rebuild(cloud, server)

    run(main)
