"""Hosts over HTTP: who they are, and more of them."""

from __future__ import annotations

import pytest

from sundog.backends.playground import NewHosts
from sundog.backends.simulated import SimulatedFleet
from sundog.runtime import warp
from tests.unit.api.sundog.world import PLAN, play


async def names(here, query=""):
    return [each["name"] for each in (await here.told("GET", f"/fleet/hosts{query}"))["hosts"]]


def test_hosts_are_listed_by_state_rack_and_zone():
    async def main(here):
        assert await names(here) == [f"small-{number}" for number in range(6)]
        assert await names(here, "?zone=az2") == ["small-4", "small-5"]
        assert await names(here, "?rack=az1-r1&state=up") == ["small-2", "small-3"]
        assert await names(here, "?state=fenced") == []
        assert (await here.ask("GET", "/fleet/hosts?state=asleep")).status_code == 400

    play(main)


def test_a_host_is_shown_by_name_or_id_with_what_it_has():
    async def main(here):
        told = (await here.told("GET", "/fleet/hosts/small-2"))["host"]
        assert told == (await here.told("GET", f"/fleet/hosts/{told['id']}"))["host"]
        assert told["resources"] == {"VCPU": 8, "MEMORY_MB": 16384, "DISK_GB": 100}
        assert (told["rack"], told["zone"], told["state"]) == ("az1-r1", "az1", "up")
        assert (await here.ask("GET", "/fleet/hosts/small-9")).status_code == 404

    play(main)


def test_hosts_are_added_of_a_type_that_there_is_and_work_at_once():
    async def main(here):
        events = here.driver.events()
        asked = {"hosts": {"type": "small", "count": 2, "zone": "az2", "rack": "az2-r0"}}
        added = (await here.told("POST", "/fleet/hosts", asked, status=201))["hosts"]
        assert [(each["name"], each["rack"], each["zone"], each["state"]) for each in added] == [
            ("small-6", "az2-r0", "az2", "up"), ("small-7", "az2-r0", "az2", "up"),
        ]  # fmt: skip
        assert added[0]["resources"] == {"VCPU": 8, "MEMORY_MB": 16384, "DISK_GB": 100}
        assert [(await anext(events)).host for _ in added] == [each["id"] for each in added]
        assert await here.driver.list_servers(added[0]["id"], deadline=60) == ()
        assert len(await names(here)) == 8

    play(main)


def test_a_new_type_is_described_as_in_a_scenario_and_gets_a_rack_of_its_own():
    async def main(here):
        gpu = {"name": "gpu", "vcpus": 64, "memory": "512 GiB", "disk": "2 TB", "gpus": 2, "traits": ["HW_CPU_X86_AMX"]}
        asked = {"hosts": {"type": gpu, "count": 12, "zone": "az1"}}
        added = (await here.told("POST", "/fleet/hosts", asked, status=201))["hosts"]
        assert (added[0]["name"], added[-1]["name"]) == ("gpu-00", "gpu-11")
        assert {each["rack"] for each in added} == {"az1-r2"}
        assert added[0]["resources"] == {"VCPU": 64, "MEMORY_MB": 524288, "DISK_GB": 1862}
        assert (added[0]["devices"], added[0]["traits"]) == (["gpu-00:gpu0", "gpu-00:gpu1"], ["HW_CPU_X86_AMX"])
        more = (await here.told("POST", "/fleet/hosts", {"hosts": {"type": "gpu"}}, status=201))["hosts"]
        assert (more[0]["name"], more[0]["rack"], more[0]["zone"]) == ("gpu-12", "rack-r0", None)
        types = (await here.told("GET", "/fleet/types"))["types"]
        assert [each["name"] for each in types] == ["small", "gpu"]
        again = {"hosts": {"type": types[1], "zone": "az1"}}  # what is listed can be given again
        assert (await here.told("POST", "/fleet/hosts", again, status=201))["hosts"][0]["name"] == "gpu-13"

    play(main)


def test_what_was_added_is_there_at_the_next_start_with_the_same_ids():
    async def main(here):
        await here.told("POST", "/fleet/hosts", {"hosts": {"type": "small", "count": 2}}, status=201)
        big = {"name": "big", "vcpus": 64, "memory": 1024}
        await here.told("POST", "/fleet/hosts", {"hosts": {"type": big}}, status=201)
        return here.kept, {each["name"]: each["id"] for each in (await here.told("GET", "/fleet/hosts"))["hosts"]}

    kept, ids = play(main)
    assert [each.names for each in kept] == [("small-6", "small-7"), ("big-0",)]

    async def start(world):
        fleet = SimulatedFleet(world, PLAN, added=kept)
        assert [each.name for each in fleet.types()] == ["small", "big"]
        return {host.name: host.uuid for host in await fleet.driver.hosts(deadline=1)}

    assert warp.run(start, seed=1) == ids


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ({}, "type"),
        ({"type": "huge"}, "there is no host type 'huge'; there are small"),
        ({"type": {"name": "small", "vcpus": 9, "memory": 16384}}, "differs"),
        ({"type": {"name": "new", "vcpus": 9}}, "memory"),
        ({"type": {"name": "new", "vcpus": 0.5, "memory": 1024}}, "whole units"),
        ({"type": {"name": "new", "vcpus": 1e12, "memory": 1024}}, "cannot be counted"),
        ({"type": {"name": "new", "vcpus": 1.5, "memory": 1024, "reserved": {"vcpus": 1.2}}}, "leaves nothing"),
        ({"type": {"name": "new", "vcpus": 9, "memory": "lots"}}, "lots"),
        ({"type": {"name": "new line\n", "vcpus": 9, "memory": 1024}}, "pattern"),
        ({"type": {"name": "new", "vcpus": 9, "memory": 1024, "gpus": 2**40}}, "cannot be counted"),
        ({"type": "small", "count": 0}, "count"),
        ({"type": "small", "count": 1001}, "count"),
        ({"type": "small", "zone": "../az"}, "zone"),
        ({"type": "small", "rack": ""}, "rack"),
        ({"type": "small", "uuid": "mine"}, "uuid"),
    ],
)
def test_hosts_that_cannot_be_are_refused_and_none_is_added(hosts, said):
    async def main(here):
        answer = await here.ask("POST", "/fleet/hosts", {"hosts": hosts})
        assert answer.status_code == 400, answer.text
        assert said in answer.json()["error"]["message"]
        assert len(await names(here)) == 6
        assert here.kept == []

    play(main)


def test_hosts_that_cannot_be_kept_are_not_added():
    def full(_added):
        raise OSError("disk full")

    async def main(world):
        fleet = SimulatedFleet(world, PLAN, keep=full)
        with pytest.raises(OSError, match="disk full"):
            fleet.add_hosts(NewHosts("small"))
        return len(await fleet.driver.hosts(deadline=1))

    assert warp.run(main) == 6


async def enabled(here):
    return [each["name"] for each in (await here.told("GET", "/fleet/hosts"))["hosts"] if each["enabled"]]


def test_a_rack_is_drained_with_a_reason_and_undrained():
    async def main(here):
        body = {"drain": {"scope": {"rack": "az1-r0"}, "reason": "a new switch"}}
        told = (await here.told("POST", "/fleet/drain", body))["hosts"]
        assert [(each["name"], each["enabled"], each["reason"]) for each in told] == [
            ("small-0", False, "a new switch"), ("small-1", False, "a new switch"),
        ]  # fmt: skip
        assert await enabled(here) == ["small-2", "small-3", "small-4", "small-5"]
        one = {"undrain": {"scope": {"host": "small-1"}}}
        assert (await here.told("POST", "/fleet/undrain", one))["hosts"][0]["reason"] is None
        assert await enabled(here) == ["small-1", "small-2", "small-3", "small-4", "small-5"]

    play(main)


def test_a_host_that_was_just_added_can_be_drained():
    async def main(here):
        await here.told("POST", "/fleet/hosts", {"hosts": {"type": "small"}}, status=201)
        await here.told("POST", "/fleet/drain", {"drain": {"scope": {"host": "small-6"}}})
        assert "small-6" not in await enabled(here)

    play(main)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/fleet/drain", {"drain": {"scope": {"rack": "az9"}}}, 404),
        ("/fleet/drain", {"drain": {}}, 400),
        ("/fleet/drain", {"drain": {"scope": {}, "reason": ""}}, 400),
        ("/fleet/drain", {"drain": {"scope": {}, "reason": "x" * 256}}, 400),
        ("/fleet/undrain", {"undrain": {"scope": {"zone": "az9"}}}, 404),
        ("/fleet/undrain", {"undrain": {"scope": {}, "reason": "none"}}, 400),
    ],
)
def test_a_drain_of_nothing_or_of_nobody_knows_what_is_refused(path, body, status):
    async def main(here):
        assert (await here.ask("POST", path, body)).status_code == status
        assert len(await enabled(here)) == 6

    play(main)


def test_real_hosts_are_listed_and_none_is_added():
    async def main(here):
        assert len(await names(here)) == 6
        assert (await here.ask("GET", "/fleet/types")).status_code == 409
        assert (await here.ask("POST", "/fleet/hosts", {"hosts": {"type": "small"}})).status_code == 409

    play(main, real=True)


@pytest.mark.parametrize("token", ["member-a", "reader-a"])
def test_hosts_are_the_administrators(token):
    async def main(here):
        for path in ("/fleet/hosts", "/fleet/hosts/small-0", "/fleet/types", "/events"):
            assert (await here.ask("GET", path, token=token)).status_code == 403
        for path, body in (
            ("/fleet/hosts", {"hosts": {"type": "small"}}),
            ("/fleet/drain", {"drain": {"scope": {}}}),
            ("/fleet/undrain", {"undrain": {"scope": {}}}),
        ):
            assert (await here.ask("POST", path, body, token=token)).status_code == 403

    play(main)
