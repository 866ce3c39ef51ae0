"""Faults on order over HTTP: of hosts at once, of operations from now on."""

from __future__ import annotations

import asyncio

import pytest

from sundog.errors import BackendFailed, OutcomeUnknown
from tests.drivers import make_spec
from tests.unit.api.sundog.world import play

NOTICED = 60.0  # longer than it takes to notice that a host is gone, or back
BOOTED = 200.0  # longer than a host takes to boot


async def strike(here, kind, **scope):
    told = await here.told("POST", "/faults", {"fault": {"kind": kind, "scope": scope}}, status=201)
    assert told["fault"]["kind"] == kind
    return [each["name"] for each in told["fault"]["hosts"]]


def test_a_rack_dies_and_comes_back():
    async def main(here):
        assert await strike(here, "kill", rack="az1-r0") == ["small-0", "small-1"]
        await asyncio.sleep(NOTICED)
        down = [name for name, state in (await here.states()).items() if state == "down"]
        assert down == ["small-0", "small-1"]
        await strike(here, "revive", rack="az1-r0")
        await asyncio.sleep(BOOTED)
        assert set((await here.states()).values()) == {"up"}

    play(main)


def test_a_zone_is_cut_off_and_heals_and_a_host_is_fenced_by_id():
    async def main(here):
        assert await strike(here, "partition", zone="az2") == ["small-4", "small-5"]
        await asyncio.sleep(NOTICED)
        assert list((await here.states()).values()).count("down") == 2
        await strike(here, "heal", zone="az2")
        await asyncio.sleep(NOTICED)
        assert set((await here.states()).values()) == {"up"}
        host = (await here.told("GET", "/fleet/hosts/small-3"))["host"]["id"]
        assert await strike(here, "fence", host=host) == ["small-3"]
        assert (await here.states())["small-3"] == "fenced"

    play(main)


def test_an_empty_scope_is_all_hosts_but_must_be_said():
    async def main(here):
        assert (await here.ask("POST", "/faults", {"fault": {"kind": "kill"}})).status_code == 400
        assert len(await strike(here, "kill")) == 6

    play(main)


async def spawned(here, host, *, deadline=600.0):
    """How a spawn on the host of this name ends."""
    uuid = (await here.told("GET", f"/fleet/hosts/{host}"))["host"]["id"]
    spec = make_spec(f"server-{host}-{len(here.driver.truth()[uuid])}")
    try:
        await here.driver.spawn(uuid, spec, deadline=deadline)
    except (BackendFailed, OutcomeUnknown) as error:
        return type(error)
    return None


async def order(here, **fault):
    return (await here.told("POST", "/faults", {"fault": fault}, status=201))["fault"]


def test_the_next_operations_on_a_scope_fail_and_then_no_more():
    async def main(here):
        told = await order(here, kind="fail", operation="spawn", scope={"zone": "az1"}, count=2)
        assert told == {
            "id": 1, "kind": "fail", "operation": "spawn", "count": 2, "left": 2, "probability": 1.0, "seconds": 0.0,
            "scope": {"host": None, "rack": None, "zone": "az1"},
        }  # fmt: skip
        assert await spawned(here, "small-4") is None
        assert await spawned(here, "small-0") is BackendFailed
        assert (await here.told("GET", "/faults"))["faults"] == [told | {"left": 1}]
        assert (await here.told("GET", "/faults/1"))["fault"]["left"] == 1
        assert await spawned(here, "small-1") is BackendFailed
        assert await spawned(here, "small-1") is None
        assert (await here.told("GET", "/faults"))["faults"] == []
        assert (await here.ask("GET", "/faults/1")).status_code == 404

    play(main)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "hang"}, OutcomeUnknown), ({"kind": "lose"}, OutcomeUnknown),
        ({"kind": "delay", "seconds": 10_000.0}, OutcomeUnknown), ({"kind": "delay", "seconds": 5.0}, None),
    ],
)  # fmt: skip
def test_operations_hang_lose_their_reply_or_come_late(fault, error):
    async def main(here):
        await order(here, operation="spawn", **fault)
        assert await spawned(here, "small-0") is error
        await asyncio.sleep(100_000)

    play(main)


def test_an_order_that_stands_is_taken_back_once():
    async def main(here):
        await order(here, kind="fail", count=None)
        assert await spawned(here, "small-0") is BackendFailed
        assert (await here.ask("DELETE", "/faults/1")).status_code == 204
        assert await spawned(here, "small-0") is None
        assert (await here.ask("DELETE", "/faults/1")).status_code == 404
        for wrong in ("0", "-1", "first", "1" * 5000, "١"):
            assert (await here.ask("DELETE", f"/faults/{wrong}")).status_code == 404

    play(main)


def test_chance_is_the_clouds_own_and_repeats_with_its_seed():
    async def main(here):
        await order(here, kind="fail", operation="spawn", count=None, probability=0.5)
        return [await spawned(here, f"small-{number % 6}") is None for number in range(24)]

    first, again, other = (play(main, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert 4 < sum(first) < 20


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({}, "kind"),
        ({"kind": "melt", "scope": {}}, "kind"),
        ({"kind": ["kill"], "scope": {}}, "kind"),
        ({"kind": "kill", "scope": {"row": 3}}, "row"),
        ({"kind": "kill", "scope": {}, "count": 3}, "count"),
        ({"kind": "fail", "operation": "dance"}, "operation"),
        ({"kind": "fail", "count": 0}, "count"),
        ({"kind": "fail", "count": 10**40}, "count"),
        ({"kind": "fail", "probability": 0}, "probability"),
        ({"kind": "fail", "probability": 1.5}, "probability"),
        ({"kind": "fail", "probability": "NaN"}, "probability"),
        ({"kind": "fail", "seconds": -1}, "seconds"),
        ({"kind": "fail", "seconds": 1e300}, "seconds"),
        ({"kind": "delay"}, "needs its seconds"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_and_nothing_happens(fault, said):
    async def main(here):
        answer = await here.ask("POST", "/faults", {"fault": fault})
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]
        assert (await here.told("GET", "/faults"))["faults"] == []
        await asyncio.sleep(NOTICED)
        assert set((await here.states()).values()) == {"up"}

    play(main)


def test_a_scope_without_a_host_is_not_found():
    async def main(here):
        for kind in ("kill", "fail"):
            answer = await here.ask("POST", "/faults", {"fault": {"kind": kind, "scope": {"rack": "az9-r0"}}})
            assert answer.status_code == 404
            assert "rack 'az9-r0'" in answer.json()["error"]["message"]
        both = {"fault": {"kind": "kill", "scope": {"rack": "az1-r0", "zone": "az2"}}}
        assert (await here.ask("POST", "/faults", both)).status_code == 404

    play(main)


def test_nothing_goes_wrong_on_order_where_hosts_are_real():
    async def main(here):
        for fault in ({"kind": "kill", "scope": {}}, {"kind": "fail"}):
            assert (await here.ask("POST", "/faults", {"fault": fault})).status_code == 409
        assert (await here.told("GET", "/faults"))["faults"] == []
        assert (await here.ask("DELETE", "/faults/1")).status_code == 404

    play(main, real=True)


@pytest.mark.parametrize("token", ["member-a", "reader-a"])
def test_faults_are_the_administrators(token):
    async def main(here):
        for method, path, body in (
            ("GET", "/faults", None),
            ("GET", "/faults/1", None),
            ("POST", "/faults", {"fault": {"kind": "kill", "scope": {}}}),
            ("DELETE", "/faults/1", None),
        ):
            assert (await here.ask(method, path, body, token=token)).status_code == 403

    play(main)
