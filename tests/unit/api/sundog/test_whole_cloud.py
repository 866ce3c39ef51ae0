"""Hosts over HTTP in a whole cloud: what compute and Placement know of them."""

from __future__ import annotations

import json
from dataclasses import asdict

from sundog.runtime import warp
from tests.unit.api.whole import Whole


def play(folder, main):
    async def inside(world):
        here = Whole(world, folder)
        headers = {"x-auth-token": await here.token("admin", "canary-password")}

        async def ask(method, path, body=None):
            answer = await here.send(method, path, headers=headers, json=body)
            assert answer.status_code < 300, answer.text
            return answer.json()

        return await main(here, ask)

    return warp.run(inside, horizon=10_000_000)


def test_a_host_that_is_added_is_a_resource_provider_at_once(tmp_path):
    async def main(here, ask):
        asked = {"hosts": {"type": "compute", "count": 2, "zone": "nova"}}
        added = (await ask("POST", "/sundog/v1/fleet/hosts", asked))["hosts"]
        providers = (await ask("GET", "/placement/resource_providers"))["resource_providers"]
        assert {each["id"]: each["name"] for each in added}.items() <= {
            each["uuid"]: each["name"] for each in providers
        }.items()
        assert len(providers) == 6

    play(tmp_path, main)


def test_a_drained_host_is_disabled_for_the_scheduler(tmp_path):
    async def main(here, ask):
        def enabled():
            pool = here.cloud.placement.pool
            return [pool.name(row) for row in pool.roots() if pool.enabled[row]]

        reason = {"drain": {"scope": {"rack": "nova-r0"}, "reason": "a new switch"}}
        await ask("POST", "/sundog/v1/fleet/drain", reason)
        assert enabled() == ["compute-2", "compute-3"]
        service = here.cloud.compute.hosts.by_name("compute-0")
        assert (service.disabled, service.disabled_reason) == (True, "a new switch")
        await ask("POST", "/sundog/v1/fleet/undrain", {"undrain": {"scope": {}}})
        assert len(enabled()) == 4

    play(tmp_path, main)


def test_everybody_may_ask_what_hosts_can_do(tmp_path):
    async def main(here, ask):
        told = (await ask("GET", "/sundog/v1/capabilities"))["capabilities"]
        assert told == json.loads(json.dumps(asdict(here.cloud.compute.driver.capabilities)))
        assert (told["name"], told["pause"], told["consoles"]) == ("simulated", True, ["serial"])

    play(tmp_path, main)


def test_nothing_of_networks_is_left_out_where_nothing_is_sent(tmp_path):
    async def main(here, ask):
        assert await ask("GET", "/sundog/v1/wires") == {"wires": {"left_out": [], "failed": []}}

    play(tmp_path, main)
