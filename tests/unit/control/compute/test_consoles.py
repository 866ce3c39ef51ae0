"""Looking into servers, and setting a password that is written nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from sundog.backends.contract import ConsoleAddress
from sundog.backends.simulated.faults import FaultKind, HostFault, OperationFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.consoles import Consoles
from sundog.control.compute.records import Server
from sundog.control.compute.sagas.password import FORGOTTEN
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
            self.capabilities = replace(driver.capabilities, consoles=("novnc",), set_password=False)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._driver, name)

        async def console(self, host: str, server: Any, kind: str, *, deadline: float) -> ConsoleAddress:
            return ConsoleAddress(kind, host, 5900)

    async def main(cloud: Small) -> None:
        server = await active(cloud)
        with pytest.raises(Invalid, match=r"^Unavailable console type novnc\.$"):
            await cloud.compute.consoles.remote_console(OWNER, server.id, "vnc", "novnc")
        with pytest.raises(Invalid, match="crash dump is not supported"):
            cloud.compute.consoles.trigger_crash_dump(OWNER, server.id)
        other: Any = WithConsole(cloud.driver)
        able = Consoles(replace(cloud.compute.worker._parts, driver=other), cloud.compute.worker)
        assert (await able.remote_console(OWNER, server.id, "vnc", "novnc")).port == 5900
        with pytest.raises(NotSupported) as caught:
            await able.change_password(OWNER, server.id, SECRET)
        assert caught.value.facts["status"] == 501

    run(main)


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
