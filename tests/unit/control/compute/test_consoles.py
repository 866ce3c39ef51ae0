"""Looking into servers, and setting a password that is written nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.consoles import Consoles
from sundog.control.compute.records import Server
from sundog.control.compute.sagas.common import key_of
from sundog.control.compute.sagas.password import FORGOTTEN
from sundog.control.store.tables import compute as tables
from sundog.control.store.tables import metadata
from sundog.errors import Conflict, Invalid, NotFound, NotSupported, SundogError
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, Small, run
from tests.crashing import Crash, run_to_crash

IMPATIENT = Settings(quick=30.0, tries=2)
SECRET = "correct-horse-battery"


async def active(cloud: Small, **facts: Any) -> Server:
    server = cloud.create(**facts)
    await cloud.idle()
    await aio.sleep(300.0)
    return cloud.show(server)


def test_the_console_says_what_the_guest_wrote_or_its_last_lines() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud, name="web")
        text = await cloud.compute.consoles.console_output(OWNER, server.id)
        assert "Linux version" in text
        last = await cloud.compute.consoles.console_output(OWNER, server.id, lines=2)
        assert last.splitlines() == text.splitlines()[-2:]
        assert last.endswith("web login: ")
        assert await cloud.compute.consoles.console_output(OWNER, server.id, lines=0) == ""
        with pytest.raises(NotFound):
            await cloud.compute.consoles.console_output(type(OWNER)("9" * 32, "8" * 32), server.id)

    run(main)


def test_a_server_that_is_not_there_or_whose_host_is_gone_is_not_ready() -> None:
    async def main(cloud: Small) -> None:
        consoles, building = cloud.compute.consoles, cloud.create()
        with pytest.raises(Conflict, match="is not ready"):
            await consoles.console_output(OWNER, building.id)
        await cloud.idle()
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=building.host))
        await aio.sleep(60.0)
        for look in (consoles.console_output, consoles.diagnostics):
            with pytest.raises(Conflict, match="is not ready"):
                await look(OWNER, building.id)

    run(main)


def test_diagnostics_are_of_active_servers() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        found = await cloud.compute.consoles.diagnostics(OWNER, server.id)
        assert (found.vcpus, found.memory_mib, found.power_state) == (1, 512, "running")
        assert found.mac_addresses == tuple(each.mac_address for each in cloud.compute.servers.ports(server))
        cloud.compute.power.stop(OWNER, server.id)
        await cloud.idle()
        with pytest.raises(Conflict, match=r"'get_diagnostics' .* vm_state stopped"):
            await cloud.compute.consoles.diagnostics(OWNER, server.id)

    run(main)


def test_consoles_are_those_of_the_capability_record() -> None:
    class WithConsole:
        """The simulated driver, with a console."""

        def __init__(self, driver: Any) -> None:
            self._driver = driver
            self.capabilities = replace(driver.capabilities, consoles=("serial", "novnc"), set_password=False)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._driver, name)

        async def open_console(self, host: str, server: Any, kind: str, *, deadline: float) -> Any:
            return await self._driver.open_console(host, server, "serial", deadline=deadline)

    async def main(cloud: Small) -> None:
        server = await active(cloud)
        with pytest.raises(Invalid, match=r"^Unavailable console type novnc\.$"):
            cloud.compute.consoles.grant(OWNER, server.id, "vnc", "novnc")
        with pytest.raises(Invalid, match=r"^Unavailable console type serial\.$"):
            cloud.compute.consoles.grant(OWNER, server.id, "vnc", "serial")
        with pytest.raises(Invalid, match="crash dump is not supported"):
            cloud.compute.consoles.trigger_crash_dump(OWNER, server.id)
        other: Any = WithConsole(cloud.driver)
        able = Consoles(replace(cloud.compute.worker._parts, driver=other), cloud.compute.worker)
        screen = await able.open(able.grant(OWNER, server.id, "vnc", "novnc"))
        assert b"login: " in await screen.read()
        await screen.close()
        with pytest.raises(NotSupported) as caught:
            await able.change_password(OWNER, server.id, SECRET)
        assert caught.value.facts["status"] == 501

    run(main)


# ---------------------------------------------------------------- tokens


def test_a_token_opens_a_console_once() -> None:
    async def main(cloud: Small) -> None:
        consoles, server = cloud.compute.consoles, await active(cloud, name="web")
        token = consoles.grant(OWNER, server.id, "serial", "serial")
        assert token not in everything_written(cloud)
        grant = consoles.show_grant(token)
        assert (grant.server_id, grant.host, grant.generation) == (server.id, server.host, server.generation)
        console = await consoles.open(token)
        assert (await console.read()).endswith(b"web login: ")
        for again in (token, token + "x", "", "\ud800", "\0"):
            with pytest.raises(NotFound, match=r"^Token not found$"):
                await consoles.open(again)
            with pytest.raises(NotFound):
                consoles.show_grant(again)

    run(main)


def test_of_two_who_use_one_token_at_the_same_time_one_gets_in() -> None:
    async def main(cloud: Small) -> None:
        consoles, server = cloud.compute.consoles, await active(cloud)
        token = consoles.grant(OWNER, server.id, "serial", "serial")
        tries = [asyncio.ensure_future(consoles.open(token)) for _ in range(5)]
        await asyncio.wait(tries)
        assert sum(each.exception() is None for each in tries) == 1

    run(main)


def test_a_token_is_good_for_ten_minutes_and_then_forgotten() -> None:
    async def main(cloud: Small) -> None:
        consoles, server = cloud.compute.consoles, await active(cloud)
        token, other = (consoles.grant(OWNER, server.id, "serial", "serial") for _ in range(2))
        await aio.sleep(599.0)
        await consoles.open(token)
        await aio.sleep(1.0)
        with pytest.raises(NotFound):
            await consoles.open(other)
        assert len(tokens_of(cloud)) == 1
        consoles.grant(OWNER, server.id, "serial", "serial")
        assert len(tokens_of(cloud)) == 1
        await aio.sleep(600.0)
        consoles.forget_expired()
        assert tokens_of(cloud) == []

    run(main)


def tokens_of(cloud: Small) -> list[Any]:
    with cloud.store.read() as tx:
        return tx.find(tables.console_tokens)


ENDS: dict[str, Callable[[Small, str], Any]] = {
    "stop": lambda cloud, server: cloud.compute.power.stop(OWNER, server),
    "suspend": lambda cloud, server: cloud.compute.power.suspend(OWNER, server),
    "shelve": lambda cloud, server: cloud.compute.moves.shelve(OWNER, server),
    "delete": lambda cloud, server: cloud.compute.servers.delete(OWNER, server),
    "live-migrate": lambda cloud, server: cloud.compute.moves.live_migrate(ADMIN, server),
    "migrate": lambda cloud, server: cloud.compute.moves.migrate(ADMIN, server),
    "crash": lambda cloud, server: cloud.driver.crash(
        cloud.show(server).host or "", key_of(cloud.show(server))
    ),
}  # fmt: skip


@pytest.mark.parametrize("deed", ENDS)
def test_a_token_dies_with_the_run_of_its_copy_and_so_does_a_console(deed: str) -> None:
    async def main(cloud: Small) -> None:
        consoles, server = cloud.compute.consoles, await active(cloud)
        token, other = (consoles.grant(OWNER, server.id, "serial", "serial") for _ in range(2))
        console = await consoles.open(other)
        ENDS[deed](cloud, server.id)
        await cloud.idle()
        await aio.sleep(60.0)
        assert tokens_of(cloud) == []
        with pytest.raises(NotFound):
            await consoles.open(token)
        while await console.read():
            pass
        if deed == "stop":  # and it does not come to life again with the server
            with pytest.raises(Conflict, match="is not ready"):
                consoles.grant(OWNER, server.id, "serial", "serial")
            cloud.compute.power.start(OWNER, server.id)
            await cloud.idle()
            with pytest.raises(NotFound):
                await consoles.open(token)

    run(main)


def test_a_token_is_used_up_though_the_host_does_not_answer() -> None:
    async def main(cloud: Small) -> None:
        consoles, server = cloud.compute.consoles, await active(cloud)
        token = consoles.grant(OWNER, server.id, "serial", "serial")
        cloud.driver.faults.order(OperationFault(FaultKind.FAIL, "open_console"))
        with pytest.raises(Conflict, match="is not ready"):
            await consoles.open(token)
        with pytest.raises(NotFound):
            await consoles.open(token)

    run(main)


def test_a_token_outlives_a_restart_of_the_control_plane() -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        server = await active(cloud)
        token = cloud.compute.consoles.grant(OWNER, server.id, "serial", "serial")
        cloud = await crash(cloud)
        assert b"Linux" in await (await cloud.compute.consoles.open(token)).read()

    run_to_crash(main)


# ---------------------------------------------------------------- passwords


def everything_written(cloud: Small) -> str:
    """All rows of the store, as text."""
    with cloud.store.read() as tx:
        return repr([list(tx.execute(select(table)).mappings()) for table in metadata.sorted_tables])


def test_a_password_is_set_and_written_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        setting = asyncio.get_running_loop().create_task(
            cloud.compute.consoles.change_password(OWNER, server.id, SECRET)
        )
        await aio.sleep(0.5)
        assert cloud.show(server).task_state == "updating_password"
        assert SECRET not in everything_written(cloud) + repr(cloud.compute.worker._parts)
        await setting
        assert (cloud.show(server).vm_state, cloud.show(server).task_state) == ("active", None)
        assert SECRET not in everything_written(cloud)
        assert cloud.compute.worker._parts.secrets == {}
        assert cloud.compute.actions.list_all(server.id)[0].action == "changePassword"

    with caplog.at_level(logging.DEBUG):
        run(main)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.HANG, FaultKind.LOSE])
def test_one_that_is_not_taken_says_so(kind: FaultKind) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.driver.faults.order(
            OperationFault(kind, "set_password", count=1 if kind is FaultKind.FAIL else 2)
        )  # fmt: skip
        with pytest.raises(Conflict, match="Failed to set admin password") as caught:
            await cloud.compute.consoles.change_password(OWNER, server.id, SECRET)
        assert SECRET not in str(caught.value)
        assert (cloud.show(server).vm_state, cloud.show(server).task_state) == ("active", None)
        assert cloud.compute.worker._parts.secrets == {}
        cloud.driver.faults.order(OperationFault(FaultKind.LOSE, "set_password", count=1))
        await cloud.compute.consoles.change_password(OWNER, server.id, SECRET)

    run(main, settings=IMPATIENT)


@pytest.mark.parametrize("noticed", [0.0, 3600.0])
def test_a_host_that_is_down_takes_no_password(noticed: float) -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.driver.faults.strike(HostFault.KILL, Scope(host=server.host))
        await aio.sleep(noticed)
        with pytest.raises(Conflict, match=r"^The host of instance .* does not answer"):
            await cloud.compute.consoles.change_password(OWNER, server.id, SECRET)
        assert cloud.show(server).task_state is None

    run(main)


def test_a_refused_request_keeps_no_secret() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        cloud.compute.servers.lock(ADMIN, server.id)
        with pytest.raises(Conflict, match="is locked"):
            await cloud.compute.consoles.change_password(OWNER, server.id, SECRET)
        assert cloud.compute.worker._parts.secrets == {}

    run(main)


def test_after_a_crash_it_fails_and_says_why() -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        server = await active(cloud)
        setting = asyncio.get_running_loop().create_task(
            cloud.compute.consoles.change_password(OWNER, server.id, SECRET)
        )
        await aio.sleep(0.5)
        cloud = await crash(cloud)
        await asyncio.wait([setting])
        with contextlib.suppress(SundogError):
            setting.result()
        await cloud.idle()
        (action, _) = cloud.compute.actions.list_all(server.id)
        assert (action.phase, action.message) == ("done", FORGOTTEN)
        assert (cloud.show(server).vm_state, cloud.show(server).task_state) == ("active", None)

    run_to_crash(main)
