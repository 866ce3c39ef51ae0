"""Hosts follow a wiring each at its own pace, what closes before what opens; and nobody waits for another's host."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.contract import HostState
from sundog.backends.libvirt.link import Link
from sundog.backends.libvirt.network import CALM_S, HOST_S, LATE_S, SETTLE_S, LibvirtNetworks, networks_over
from sundog.backends.libvirt.network_changes import taken_back
from sundog.backends.libvirt.network_filters import filter_name, port_of
from sundog.backends.networks import Address, Report, Rule, WiredNetwork, WiredPort, Wiring
from sundog.errors import HostDown, OutcomeUnknown
from sundog.runtime import aio, clock, warp
from tests.unit.backends.libvirt.wiring import WEB

EVERYBODY = Rule("egress", 4)

# ------------------------------------------------------------------------------------------------ what a change closes

SSH = Rule("ingress", 4, 6, 22, 22)
FROM_TWO = Rule("ingress", 4, remotes=("10.0.0.1/32", "10.0.0.2/32"))
FROM_ONE = replace(FROM_TWO, remotes=("10.0.0.2/32",))
PORT = replace(WEB, rules=(EVERYBODY, SSH, FROM_ONE))


@pytest.mark.parametrize(
    "after",
    [
        PORT,
        replace(PORT, rules=(SSH, EVERYBODY, FROM_TWO)),
        replace(PORT, rules=(EVERYBODY, SSH, replace(FROM_ONE, remotes=None))),
        replace(PORT, rules=(EVERYBODY, SSH, FROM_ONE, Rule("ingress", 6))),
        replace(PORT, addresses=(*PORT.addresses, Address("another", "10.9.0.1"))),
        replace(PORT, secured=False),
        replace(PORT, dhcp_options=()),
    ],
)
def test_what_lets_more_through_closes_nothing(after: WiredPort) -> None:
    assert taken_back(PORT, after) is None


@pytest.mark.parametrize(
    ("after", "ends"),
    [
        (replace(PORT, rules=(EVERYBODY, FROM_ONE)), ()),
        (replace(PORT, rules=(EVERYBODY, replace(SSH, high=23), FROM_ONE)), ()),
        (replace(PORT, rules=(EVERYBODY, SSH)), FROM_ONE.remotes),
        (replace(PORT, rules=(EVERYBODY, SSH, replace(FROM_ONE, remotes=("10.0.0.3/32",)))), FROM_ONE.remotes),
        (replace(PORT, addresses=()), ()),
        (replace(PORT, pairs=()), ()),
        (replace(PORT, mac="fa:16:3e:00:00:07"), ()),
        (replace(PORT, enabled=False), FROM_ONE.remotes),
        (replace(PORT, enabled=False, secured=False), FROM_ONE.remotes),
    ],
)
def test_what_lets_less_through_says_from_where(after: WiredPort, ends: tuple[str, ...]) -> None:
    assert taken_back(PORT, after) == frozenset(ends)


def test_a_port_that_let_everything_through_closes_and_one_that_let_nothing_opens() -> None:
    assert taken_back(replace(PORT, secured=False), PORT) is not None
    assert taken_back(replace(PORT, enabled=False), PORT) is None


ENDS = st.none() | st.lists(st.sampled_from(["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]), unique=True).map(tuple)
RULES = st.lists(st.builds(Rule, st.just("ingress"), st.just(4), st.sampled_from([None, 6, 17]), remotes=ENDS))


@given(RULES, RULES)
def test_a_change_only_opens_if_everybody_who_was_let_in_still_is(before: list[Rule], after: list[Rule]) -> None:
    def let_in(rules: list[Rule]) -> set[tuple[int | None, str]]:
        """Those of whom rules speak, and one of whom they do not."""
        all_ends = ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32", "10.0.0.4/32"]
        return {(rule.protocol, end) for rule in rules for end in (all_ends if rule.remotes is None else rule.remotes)}

    lost = let_in(before) - let_in(after)
    ends = taken_back(replace(WEB, rules=tuple(before)), replace(WEB, rules=tuple(after)))
    assert (ends is None) == (lost == set())
    assert {end for kind, end in lost if Rule("ingress", 4, kind) not in before} <= (ends or set())


# --------------------------------------------------------------------------------------------------- hosts that follow


class Host:
    """As much of a host as has filters. Each is laid down in a second, while somebody else may ask for the next."""

    spec = SimpleNamespace(bridged=True, uri="qemu+tcp://nobody/system", shell="")
    library = SimpleNamespace(libvirtError=OSError)

    def __init__(self, number: int) -> None:
        self.number, self.name, self.uuid, self.state = number, f"host-{number}", str(number), HostState.UP
        self.networks, self.arriving = aio.Lock(), 0
        self.filters: dict[str, str] = {}
        self.laid: list[tuple[float, str]] = []
        self.hangs = False

    async def call(self, operation: str, fn: Callable[[Any], Any], **_limits: Any) -> Any:
        if self.hangs:
            await aio.sleep(3600.0)
            raise HostDown(f"host {self.name} is down")
        if operation == "filter":
            await aio.sleep(1.0)
        return fn(self)

    def listAllNWFilters(self, _flags: int) -> list[Any]:  # noqa: N802 - libvirt's
        return [SimpleNamespace(name=lambda name=name: name) for name in self.filters]

    def listAllNetworks(self, _flags: int) -> list[Any]:  # noqa: N802
        return []

    def networkLookupByName(self, _name: str) -> Any:  # noqa: N802
        return SimpleNamespace(isActive=lambda: True)

    def nwfilterDefineXML(self, text: str) -> None:  # noqa: N802
        name = re.findall(r'name="([^"]+)"', text)[0]
        self.filters[name] = text
        self.laid.append((clock.now(), port_of(name) or ""))

    def nwfilterLookupByName(self, name: str) -> Any:  # noqa: N802
        return SimpleNamespace(undefine=lambda: self.filters.pop(name))

    def lets_in(self, port: str, ip: str) -> bool:
        return f'srcipaddr="{ip}"' in self.filters[filter_name(port)].partition('priority="500"')[2]


def member(number: int, *extra: Rule, members: Iterable[int]) -> WiredPort:
    """The port of a server in a group that lets its members in."""
    # Every other address, so that no two of them are one prefix.
    group = Rule("ingress", 4, remotes=tuple(f"10.0.0.{2 * each}/32" for each in members))
    address = Address("subnet", f"10.0.0.{2 * number}")
    return WiredPort(f"port-{number}", f"fa:16:3e:00:00:{number:02x}", (address,), rules=(EVERYBODY, group, *extra))


def group_of(*numbers: int, extra: tuple[Rule, ...] = ()) -> Wiring:
    return Wiring((WiredNetwork("net", ports=tuple(member(each, *extra, members=numbers) for each in numbers)),))


def play(act: Callable[[LibvirtNetworks, Host, Host], Awaitable[None]]) -> None:
    async def main(_world: object) -> None:
        hosts = Host(1), Host(2)
        async with networks_over(lambda: [cast(Link, host) for host in hosts]) as networks:
            await act(networks, *hosts)

    warp.run(main)


async def joined(networks: LibvirtNetworks, host: Host, wiring: Wiring, port: str) -> float:
    """How long it takes until a port of a wiring that is new may be plugged."""
    begun = clock.now()
    await networks.apply(wiring, deadline=60)
    await networks.bind(host.uuid, [port], deadline=60)
    return clock.now() - begun


async def settled(networks: LibvirtNetworks, host: Host, wiring: Wiring) -> None:
    """A wiring whose ports are all on a host, which has done what it says."""
    await networks.apply(wiring, deadline=60)
    await networks.bind(host.uuid, [port.id for network in wiring.networks for port in network.ports], deadline=60)
    await networks.done(deadline=60)


def test_a_new_member_waits_for_its_own_filter_and_at_most_one_other() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        for count in range(1, 20):
            assert await joined(networks, host, group_of(*range(count)), f"port-{count - 1}") <= 2.0
        assert await networks.done(deadline=60) == Report()
        assert all(host.lets_in(f"port-{each}", "10.0.0.36") for each in range(18))

    play(act)


def test_a_host_that_never_answers_delays_nobody_elsewhere() -> None:
    async def act(networks: LibvirtNetworks, host: Host, other: Host) -> None:
        await joined(networks, other, group_of(0), "port-0")
        other.hangs = True
        for count in range(2, 10):
            assert await joined(networks, host, group_of(*range(count)), f"port-{count - 1}") <= 2.0
        with pytest.raises(OutcomeUnknown, match=r"networks of host-2 were not"):
            await networks.done(deadline=LATE_S)
        assert networks.report.left_out == ("host host-2 was not done after 60 s; it goes on",)
        other.hangs = False
        await networks.apply(group_of(*range(9)), deadline=60)
        await networks.done(deadline=7200)
        await networks.apply(group_of(*range(9)), deadline=60)
        assert await networks.done(deadline=60) == Report()
        assert other.lets_in("port-0", "10.0.0.16")

    play(act)


def test_many_changes_while_a_host_is_told_are_told_at_once() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        await settled(networks, host, group_of(*range(5)))
        before = len(host.laid)
        for count in range(6, 60):
            await networks.apply(group_of(*range(count)), deadline=60)
            await aio.sleep(0.05)
        await networks.done(deadline=60)
        assert len(host.laid) - before <= 10  # 54 changes of five filters, in under three seconds
        assert all(host.lets_in(f"port-{each}", "10.0.0.116") for each in range(5))

    play(act)


def test_what_closes_is_told_before_what_only_opens() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        numbers, ping = range(10), Rule("ingress", 4, 1)
        last = member(9, ping, members=numbers)

        def wiring(numbers: Iterable[int], last: WiredPort) -> Wiring:
            (network,) = group_of(*numbers).networks
            return Wiring((replace(network, ports=(*(p for p in network.ports if p.id != last.id), last)),))

        await settled(networks, host, wiring(numbers, last))
        await networks.apply(wiring(range(11), last), deadline=60)
        await aio.sleep(2.5)  # eight are still to be told of the new member
        closed = clock.now()
        await networks.apply(wiring(range(11), replace(last, rules=(EVERYBODY,))), deadline=60)
        await networks.done(deadline=60)
        (told,) = (at for at, port in host.laid if port == "port-9" and at > closed)
        assert told - closed <= 2.0

    play(act)


def test_what_only_opens_waits_for_servers_that_come_and_what_closes_does_not() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        await settled(networks, host, group_of(*range(5)))
        host.laid.clear()
        host.arriving = 1
        for count in range(6, 12):
            await networks.apply(group_of(*range(count)), deadline=60)
            await aio.sleep(1.0)
        assert host.laid == []
        await networks.apply(group_of(*range(1, 11)), deadline=60)
        await aio.sleep(4.5)
        assert [port for _, port in host.laid][:4] == ["port-1", "port-2", "port-3", "port-4"]
        await networks.apply(group_of(*range(1, 14)), deadline=60)
        begun = clock.now()
        await networks.done(deadline=60)
        assert CALM_S < clock.now() - begun < 2 * CALM_S + 5
        assert all(host.lets_in(f"port-{each}", "10.0.0.26") for each in range(1, 5))

    play(act)


def test_a_server_that_comes_is_not_kept_waiting_by_what_opens_for_it() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        await settled(networks, host, group_of(*range(5)))
        await networks.apply(group_of(*range(6)), deadline=60)
        await aio.sleep(SETTLE_S / 2)  # its network is told of it before its host is
        begun, host.arriving = clock.now(), 1
        await networks.bind(host.uuid, ["port-5"], deadline=60)
        assert clock.now() - begun == 1.0, "its own filter"
        host.arriving = 0
        await networks.done(deadline=60)
        assert all(host.lets_in(f"port-{each}", "10.0.0.10") for each in range(5))

    play(act)


def test_what_opens_is_not_kept_waiting_by_what_changes_elsewhere() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        await settled(networks, host, group_of(*range(3)))
        for count in range(30):  # nothing of which is on this host
            stranger = replace(member(50 + count, members=()), id="stranger")
            await networks.apply(
                Wiring((*group_of(*range(4)).networks, WiredNetwork("elsewhere", ports=(stranger,)))), deadline=60
            )
            await aio.sleep(SETTLE_S / 3)
        assert all(host.lets_in(f"port-{each}", "10.0.0.6") for each in range(3))

    play(act)


def test_an_address_that_another_has_now_is_closed_everywhere_before_that_one_is_plugged() -> None:
    async def act(networks: LibvirtNetworks, host: Host, other: Host) -> None:
        await joined(networks, other, group_of(0, 1, 2), "port-0")
        await networks.done(deadline=60)
        assert other.lets_in("port-0", "10.0.0.4")
        stranger = replace(member(2, members=()), id="stranger", rules=())
        (network,) = group_of(0, 1).networks
        await networks.apply(Wiring((replace(network, ports=(*network.ports, stranger)),)), deadline=60)
        assert not other.lets_in("port-0", "10.0.0.4")
        await networks.bind(host.uuid, ["stranger"], deadline=60)

    play(act)


def test_such_an_address_on_a_host_that_never_answers_is_waited_for_so_long_and_not_longer() -> None:
    async def act(networks: LibvirtNetworks, _host: Host, other: Host) -> None:
        await joined(networks, other, group_of(0, 1, 2), "port-0")
        await networks.done(deadline=60)
        other.hangs = True
        begun = clock.now()
        await networks.apply(group_of(0, 1), deadline=60)
        assert clock.now() == begun
        (network,) = group_of(0, 1).networks
        stranger = replace(member(2, members=()), id="stranger", rules=())
        await networks.apply(Wiring((replace(network, ports=(*network.ports, stranger)),)), deadline=60)
        assert clock.now() == begun + HOST_S

    play(act)


def test_a_server_that_starts_again_has_its_filter_as_it_is_by_then() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        numbers = range(10)
        await settled(networks, host, group_of(*numbers, extra=(SSH,)))
        await networks.apply(group_of(*numbers), deadline=60)
        await networks.catch_up(cast(Link, host), ["port-9"])
        assert 'dstportstart="22"' not in host.filters[filter_name("port-9")]
        assert 'dstportstart="22"' in host.filters[filter_name("port-5")]

    play(act)


def test_a_filter_goes_with_its_port() -> None:
    async def act(networks: LibvirtNetworks, host: Host, _other: Host) -> None:
        await joined(networks, host, group_of(0, 1), "port-0")
        await networks.bind(host.uuid, ["port-1"], deadline=60)
        await networks.apply(group_of(1), deadline=60)
        await networks.done(deadline=60)
        assert list(host.filters) == [filter_name("port-1")]
        assert not host.lets_in("port-1", "10.0.0.0")

    play(act)
