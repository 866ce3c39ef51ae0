"""Hosts that are in the books: what is thought of those that the driver has not heard of since it started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sundog.api.sundog import views
from sundog.backends.contract import HostRecord, HostState
from sundog.backends.playground import Scope
from sundog.backends.simulated import SimulatedDriver
from sundog.control.fleet import Fleet
from tests.computing import OWNER, Small, restart, run


class Unheard:
    """A driver that knows what one host has only when that has answered, as one of real hosts does."""

    def __init__(self, driver: SimulatedDriver, silent: str, *, named: bool) -> None:
        self._driver, self._silent, self._named = driver, silent, named

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def hosts(self, *, deadline: float) -> Sequence[HostRecord]:
        told = await self._driver.hosts(deadline=deadline)
        dark = [HostRecord(each.uuid, each.name, HostState.DOWN, {}, reason="no route") for each in told]
        known = [(old, new) for old, new in zip(told, dark, strict=True) if self._named or old.uuid != self._silent]
        return [new if old.uuid == self._silent else old for old, new in known]


@pytest.mark.parametrize("named", [False, True])
def test_a_host_that_has_not_answered_since_the_start_is_down_and_gets_no_server(*, named: bool) -> None:
    async def main(cloud: Small) -> None:
        silent, *others = cloud.compute.hosts.list_all()
        real = cloud.driver
        cloud.driver = Unheard(real, silent.uuid, named=named)  # type: ignore[assignment]
        cloud = await restart(cloud)
        assert [each.is_up for each in cloud.compute.hosts.list_all()] == [False, *[True] * len(others)]
        fleet = Fleet(cloud.driver, cloud.compute.hosts)
        dark = [(each.record.name, each.record.reason) for each in await fleet.hosts(state="down")]
        assert dark == ([(silent.name, "no route")] if named else [])
        if named:
            await fleet.drain(Scope(host=silent.name), "it is dead")
            assert cloud.compute.hosts.show(silent.uuid).disabled
            await fleet.undrain(Scope(host=silent.name))
        servers = cloud.create_several(6, OWNER)
        await cloud.idle()
        assert {cloud.show(each).host for each in servers} == {each.uuid for each in others}

        cloud.driver = real
        cloud = await restart(cloud)  # now it answers
        assert all(each.is_up for each in cloud.compute.hosts.list_all())

    run(main)


def test_a_host_that_never_answered_is_shown_and_is_in_no_books() -> None:
    async def main(cloud: Small) -> None:
        known = cloud.compute.hosts.list_all()
        new = HostRecord("new", "rack9-1", HostState.DOWN, {}, reason="it belongs to another cloud")
        real = cloud.driver

        class Larger(Unheard):
            async def hosts(self, *, deadline: float) -> Sequence[HostRecord]:
                return [*await real.hosts(deadline=deadline), new]

        cloud.driver = Larger(real, "", named=True)  # type: ignore[assignment]
        cloud = await restart(cloud)
        assert cloud.compute.hosts.list_all() == known
        fleet = Fleet(cloud.driver, cloud.compute.hosts)
        assert views.host(await fleet.host("rack9-1"))["state_reason"] == "it belongs to another cloud"
        assert views.host((await fleet.hosts(state="up"))[0])["state_reason"] is None

    run(main)
