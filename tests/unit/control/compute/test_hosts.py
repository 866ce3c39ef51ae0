"""Hosts that are in the books: what is thought of those that the driver has not heard of since it started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sundog.backends.contract import HostRecord
from sundog.backends.simulated import SimulatedDriver
from tests.computing import OWNER, Small, restart, run


class Unheard:
    """A driver that knows of one host only when that has answered, as one of real hosts does."""

    def __init__(self, driver: SimulatedDriver, silent: str) -> None:
        self._driver, self._silent = driver, silent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def hosts(self, *, deadline: float) -> Sequence[HostRecord]:
        return [each for each in await self._driver.hosts(deadline=deadline) if each.uuid != self._silent]


def test_a_host_that_has_not_answered_since_the_start_is_down_and_gets_no_server() -> None:
    async def main(cloud: Small) -> None:
        silent, *others = cloud.compute.hosts.list_all()
        real = cloud.driver
        cloud.driver = Unheard(real, silent.uuid)  # type: ignore[assignment]
        cloud = await restart(cloud)
        assert [each.is_up for each in cloud.compute.hosts.list_all()] == [False, *[True] * len(others)]
        servers = cloud.create_several(6, OWNER)
        await cloud.idle()
        assert {cloud.show(each).host for each in servers} == {each.uuid for each in others}

        cloud.driver = real
        cloud = await restart(cloud)  # now it answers
        assert all(each.is_up for each in cloud.compute.hosts.list_all())

    run(main)
