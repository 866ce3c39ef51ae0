"""``/metrics``: what it says, and to whom."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sundog import app
from sundog.api.kit.meter import Meter
from sundog.backends.playground import FaultKind, HostFault, OperationFault, Scope
from sundog.control.placement.records import NewProvider
from sundog.core.pool import Inventory
from sundog.runtime import warp
from tests.unit.api.whole import Whole


class Here(Whole):
    """A whole cloud, and what it says at /metrics."""

    async def samples(self) -> dict[tuple[str, ...], float]:
        """Every sample, by its name and the values of its labels in the order of their names."""
        answer = await self.send("GET", "/metrics")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return {
            (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }


@pytest.fixture
def play(tmp_path):
    def run(main, **options):
        async def inside(world):
            return await main(Here(world, tmp_path))

        return warp.run(inside, horizon=10_000_000, **options)

    return run


def test_hosts_are_counted_by_state_and_faults_and_streams_too(play):
    async def main(here):
        told = await here.samples()
        assert {state: told["sundog_hosts", state] for state in ("up", "down", "fenced")} == {
            "up": 4, "down": 0, "fenced": 0,
        }  # fmt: skip
        here.fleet.strike(HostFault.KILL, Scope(rack="nova-r0"))
        here.fleet.strike(HostFault.FENCE, Scope(host="compute-3"))
        here.fleet.order(OperationFault(FaultKind.FAIL))
        watch = here.cloud.fleet.watch()
        await asyncio.sleep(60)
        told = await here.samples()
        assert [told["sundog_hosts", state] for state in ("up", "down", "fenced")] == [1, 2, 1]
        assert (told["sundog_faults_ordered",], told["sundog_event_streams",]) == (1, 1)
        watch.close()

    play(main)


def test_capacity_and_use_are_summed_by_resource_class(play):
    async def main(here):
        inventories = {"VCPU": Inventory(8, 2, 4.0), "MEMORY_MB": Inventory(1024)}
        placement = here.cloud.placement
        for name in ("one", "two"):
            placement.create_provider(NewProvider(name, inventories=inventories))
        told = await here.samples()
        assert told["sundog_capacity", "VCPU"] == 48
        assert told["sundog_capacity", "MEMORY_MB"] == 2048
        assert told["sundog_used", "VCPU"] == 0
        assert ("sundog_capacity", "DISK_GB") not in told

    play(main)


def test_servers_are_counted_by_status(play):
    async def main(here):
        app.bootstrap_compute(here.cloud.compute)
        await here.cloud.compute.start()
        version = {"openstack-api-version": "compute 2.37"}
        headers = {"x-auth-token": await here.token("admin", "canary-password")} | version
        image = {"name": "disk", "disk_format": "raw", "container_format": "bare"}
        made = (await here.send("POST", "/image/v2/images", headers=headers, json=image)).json()["id"]
        octets = headers | {"content-type": "application/octet-stream"}
        assert (await here.send("PUT", f"/image/v2/images/{made}/file", headers=octets, content=b"x")).is_success
        server = {"name": "one", "imageRef": made, "flavorRef": "1", "networks": "none"}
        for _ in range(2):
            answer = await here.send("POST", "/compute/v2.1/servers", headers=headers, json={"server": server})
            assert answer.status_code == 202, answer.text
        assert (await here.samples())["sundog_servers", "BUILD"] == 2
        await asyncio.sleep(600)
        gone = answer.json()["server"]["id"]
        assert (await here.send("DELETE", f"/compute/v2.1/servers/{gone}", headers=headers)).is_success
        await asyncio.sleep(600)
        told = await here.samples()
        assert {key[1]: value for key, value in told.items() if key[0] == "sundog_servers"} == {"ACTIVE": 1}
        assert (told["sundog_used", "VCPU"], told["sundog_used", "MEMORY_MB"]) == (1, 512)
        await here.cloud.compute.stop()

    play(main)


def test_the_clock_is_told(play):
    async def main(here):
        await asyncio.sleep(3600)
        asyncio.get_running_loop().set_rate(60.0)
        told = await here.samples()
        assert told["sundog_clock_rate",] == 60
        assert 3600 <= told["sundog_clock_elapsed_seconds_total",] < 3700
        assert told["sundog_clock_seconds",] == pytest.approx(1704067200 + 3600, abs=100)
        assert told["sundog_clock_lag_seconds",] < 60
        assert told["sundog_clock_slipped_seconds_total",] >= 0

    play(main)


def test_requests_are_counted_by_service_method_and_status(play):
    async def main(here):
        await here.send("GET", "/identity/v3")
        await here.send("GET", "/identity/v3/")
        await here.send("GET", "/network/v2.0/networks")
        await here.send("GET", "/nowhere/at/all")
        await here.send("BREW", "/image/v2/images")
        told = await here.samples()
        assert told["sundog_api_requests_total", "GET", "identity", "200"] == 2
        assert told["sundog_api_requests_total", "GET", "network", "401"] == 1
        assert told["sundog_api_requests_total", "GET", "other", "404"] == 1
        assert told["sundog_api_requests_total", "other", "image", "405"] == 1
        assert told["sundog_api_request_seconds_count", "GET", "identity"] == 2
        assert told["sundog_api_request_seconds_bucket", "+Inf", "GET", "identity"] == 2
        assert (await here.samples())["sundog_api_requests_total", "GET", "metrics", "200"] == 1

    play(main)


def test_two_clouds_in_one_process_share_nothing(play):
    async def main(here):
        other = app.make_app(here.cloud, 2)
        await here.send("GET", "/identity/v3")
        assert next(iter(other.state.meter.registry.collect())).samples == []
        here.app = other
        assert ("sundog_api_requests_total", "GET", "identity", "200") not in await here.samples()

    play(main)


def test_seconds_are_the_machines_and_only_known_words_become_labels():
    meter = Meter([("zoo", "/zoo")])
    meter.note("/zoology", "GET", 200, 0.004)
    meter.note("/zoo/animals", "x" * 1000, 200, 0.004)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in meter.registry.collect()
        for sample in family.samples
    }
    assert found["sundog_api_requests_total", "other", "GET", "200"] == 1
    assert found["sundog_api_request_seconds_bucket", "zoo", "other", "0.005"] == 1
    assert found["sundog_api_request_seconds_bucket", "zoo", "other", "0.0025"] == 0


@pytest.mark.parametrize(
    ("client", "host", "headers", "status"),
    [
        ("127.0.0.1", "127.0.0.1:5000", {}, 200),
        ("::1", "[::1]:5000", {}, 200),
        ("127.0.0.1", "localhost:5000", {}, 200),
        ("192.0.2.1", "localhost", {}, 401),  # from elsewhere, whatever it says
        ("127.0.0.1", "cloud.example.org", {}, 401),  # a proxy of this machine, or a page in a browser
        ("127.0.0.1", "localhost", {"x-forwarded-for": "192.0.2.1"}, 401),
        ("127.0.0.1", "localhost", {"x-forwarded-host": "localhost"}, 401),
        ("127.0.0.1", "localhost", {"forwarded": "for=192.0.2.1"}, 401),
        ("192.0.2.1", "cloud.example.org", {"x-auth-token": "wrong"}, 401),
    ],
)
def test_without_a_token_it_is_for_this_machine_alone(play, client, host, headers, status):
    async def main(here):
        answer = await here.send("GET", "/metrics", client=client, host=host, headers=headers)
        assert answer.status_code == status
        assert ("sundog_hosts" in answer.text) == (status == 200)

    play(main)


def test_from_elsewhere_it_is_for_administrators(play):
    async def main(here):
        for name, password, status in (("admin", "canary-password", 200), ("stranger", "canary-stranger", 403)):
            headers = {"x-auth-token": await here.token(name, password)}
            answer = await here.send("GET", "/metrics", client="192.0.2.1", host="cloud.example.org", headers=headers)
            assert answer.status_code == status

    play(main)


def test_every_metric_is_documented_and_no_other(play):
    async def main(here):
        answer = await here.send("GET", "/metrics")
        return {family.name for family in text_string_to_metric_families(answer.text)}

    page = (Path(__file__).parents[4] / "docs/reference/sundog.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(sundog_[a-z_]+)", page, flags=re.MULTILINE))
    assert {re.sub("_total$", "", name) for name in told} == {
        name for name in play(main) if name.startswith("sundog_") and not name.endswith("_created")
    }
