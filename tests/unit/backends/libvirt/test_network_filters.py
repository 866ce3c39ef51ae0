"""Filters on hosts whose libvirt says no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from sundog.backends.contract import HostState
from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.link import Link
from sundog.backends.libvirt.network import networks_over
from sundog.backends.libvirt.network_filters import filter_name
from sundog.backends.networks import Report, Wiring
from sundog.errors import BackendFailed
from sundog.runtime import aio
from tests.unit.backends.libvirt.wiring import TENANT


class Refusal(Exception):
    """As much of libvirt's error as is looked at."""

    def __init__(self, code: int) -> None:
        super().__init__("An error occurred, but the cause is unknown")
        self.code = code

    def get_error_code(self) -> int:
        return self.code


class Host:
    """As much of a host as has filters, one for each port. ``refusals`` are its answers to the next definitions."""

    number, name, uuid, state = 1, "host-1", "1", HostState.UP
    spec = SimpleNamespace(bridged=True, uri="qemu+tcp://nobody/system", shell="")
    library = SimpleNamespace(libvirtError=Refusal)

    def __init__(self, *refusals: int) -> None:
        self.networks, self.arriving = aio.Lock(), 0
        self.refusals = list(refusals)
        self.defined: list[str] = []

    async def call(self, operation: str, fn: Callable[[Any], Any], **_limits: Any) -> Any:
        try:
            return fn(self)
        except Refusal as error:
            raise BackendFailed(f"{operation} failed: {error}") from error

    def listAllNWFilters(self, _flags: int) -> list[Any]:  # noqa: N802 - libvirt's
        return [SimpleNamespace(name=lambda port=port: filter_name(port.id)) for port in TENANT.ports]

    def listAllNetworks(self, _flags: int) -> list[Any]:  # noqa: N802
        return []

    def nwfilterDefineXML(self, text: str) -> None:  # noqa: N802
        if self.refusals:
            raise Refusal(self.refusals.pop(0))
        self.defined.append(text)


def applied(host: Host) -> Report:
    async def main() -> Report:
        async with networks_over(lambda: [cast(Link, host)]) as networks:
            await networks.apply(Wiring((TENANT,)), deadline=5)
            return await networks.done(deadline=5)

    return asyncio.run(main())


def test_a_guest_that_ends_as_filters_change_delays_none_of_them() -> None:
    """libvirt lays the filter to the cards of guests, and stumbles over one that has just gone."""
    host = Host(Code.INTERNAL_ERROR)
    assert applied(host).failed == ()
    assert len(host.defined) == len(TENANT.ports)


def test_a_filter_that_cannot_be_is_tried_no_third_time() -> None:
    host = Host(Code.INTERNAL_ERROR, Code.INTERNAL_ERROR)
    assert applied(host).failed == ("host host-1: filter failed: An error occurred, but the cause is unknown",)
    host = Host(Code.NO_SUPPORT)
    assert len(applied(host).failed) == 1
