"""One core: the same fleet and the same requests give the same decisions in a study and behind OpenStack's API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pandas as pd
import pytest

from sundog import app
from sundog.backends.simulated import SimulatedDriver, hosts_of_fleet
from sundog.control.compute.records import Flavor
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.identity import bootstrap
from sundog.control.store import open_store
from sundog.runtime import aio, clock, warp
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import fleet_of, prepare, run_study
from sundog.sim.fleet import build_fleet
from tests.computing import ADMIN, upload

SCENARIO = """
name: one-core
fleet: FLEET
overcommit: {vcpus: RATIO}
workload: {trace: {path: TRACE, format: normalised}}
policy: POLICY
horizon: 60 d
seed: 7
"""
FLEET = """[
  {count: 3, racks: 3, type: {name: small, vcpus: 16, memory: 64 GiB, disk: 400 GiB}},
  {count: 1, type: {name: large, vcpus: 48, memory: 128 GiB, disk: 1000 GiB}}]"""
STEP = 600.0  # longer than anything takes, so that what happens at one step has happened by the next


@dataclass(frozen=True)
class Wanted:
    """A server: which one, from which step to which, and of which flavor."""

    name: str
    begin: int
    end: int
    flavor: Flavor


SIZES = [Flavor(f"f{v}-{m}", f"f{v}-{m}", v, 1024 * m, root_gb=10 * v) for v in (1, 2, 4, 8) for m in (2 * v, 4 * v)]


def workload(seed: int, count: int, sizes: Sequence[Flavor] = SIZES) -> list[Wanted]:
    """Servers of a few sizes that come one by one, and go half a step aside of all that come."""
    rng = np.random.default_rng(seed)
    steps = rng.permutation(np.arange(1, 3 * count))[: 2 * count]
    pairs = np.sort(steps.reshape(count, 2), axis=1)
    order = np.argsort(pairs[:, 0])
    return [
        Wanted(f"vm{i}", int(pairs[k, 0]), int(pairs[k, 1]), sizes[int(rng.integers(len(sizes)))])
        for i, k in enumerate(order)
    ]


def scenario_file(
    folder: Path, policy: str, servers: Sequence[Wanted], *, fleet: str = FLEET, ratio: float = 1.5
) -> Path:
    trace = folder / "trace.csv"
    pd.DataFrame(
        {
            "vm_id": [each.name for each in servers],
            "arrival_s": [STEP * each.begin for each in servers],
            "lifetime_s": [STEP * (each.end - each.begin) for each in servers],
            "vcpus": [each.flavor.vcpus for each in servers],
            "memory_mb": [each.flavor.memory_mb for each in servers],
            "disk_gb": [each.flavor.root_gb for each in servers],
            "flavor": [each.flavor.name for each in servers],
        }
    ).to_csv(trace, index=False)
    path = folder / "scenario.yaml"
    text = SCENARIO.replace("TRACE", str(trace)).replace("POLICY", policy)
    path.write_text(text.replace("FLEET", fleet).replace("RATIO", str(ratio)))
    return path


def in_a_study(path: Path, out: Path) -> dict[str, str | None]:
    """The host of each server, None for one that was refused, as ``sundog run`` decides."""
    folder = run_study(prepare(load_scenario(str(path))), out)
    stays = pd.read_parquet(folder / "placements.parquet")
    hosts = dict(zip(stays["vm_id"].astype(str), stays["host"].astype(str), strict=True))
    vms = pd.read_parquet(folder / "vms.parquet")
    return {name: hosts.get(name) for name in vms["vm_id"].astype(str)}


def behind_the_api(path: Path, policy: str, servers: Sequence[Wanted], folder: Path) -> dict[str, str | None]:
    """The same of a cloud, asked by requests of OpenStack's API, at the same instants of its own time."""
    loaded = load_scenario(str(path))
    fleet = build_fleet(fleet_of(loaded), loaded.scenario.overcommit)

    async def main(world: warp.World) -> dict[str, str | None]:
        driver = SimulatedDriver(world, hosts_of_fleet(fleet, world.streams))
        settings = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)
        cloud = app.make_cloud(open_store(":memory:"), folder, 7, settings, driver=driver, placement_policy=policy)
        made = bootstrap(cloud.identity, "secret", address="http://cloud.test", catalogue=app.CATALOGUE)
        cloud.compute.quotas.update(made.project_id, {"instances": -1, "cores": -1, "ram": -1})
        for flavor in {each.flavor.id: each.flavor for each in servers}.values():
            cloud.compute.flavors.create(flavor)
        image = await upload(cloud.image, ADMIN)
        await cloud.compute.start()
        transport = httpx.ASGITransport(app=app.make_app(cloud, 7))
        found: dict[str, str | None] = {}
        ids: dict[str, str] = {}
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
            events = sorted(
                [(each.begin, "create", each) for each in servers] + [(each.end, "delete", each) for each in servers],
                key=lambda event: event[0],
            )
            for step, what, each in events:
                await aio.sleep(STEP * step - clock.now())
                client.headers["x-auth-token"] = await token(client)
                if what == "create":
                    body = {"name": each.name, "flavorRef": each.flavor.id, "imageRef": image, "networks": "none"}
                    headers = {"openstack-api-version": "compute 2.104"}
                    answer = await client.post("/compute/v2.1/servers", json={"server": body}, headers=headers)
                    assert answer.status_code == 202, answer.text
                    ids[each.name] = answer.json()["server"]["id"]
                    await aio.sleep(STEP / 2)
                    told = (await client.get(f"/compute/v2.1/servers/{ids[each.name]}")).json()["server"]
                    assert told["status"] in ("ACTIVE", "ERROR"), told
                    found[each.name] = told["OS-EXT-SRV-ATTR:host"]
                    assert (found[each.name] is None) == (told["status"] == "ERROR")
                else:
                    answer = await client.delete(f"/compute/v2.1/servers/{ids[each.name]}")
                    assert answer.status_code == 204, answer.text
        await cloud.compute.stop()
        return found

    return warp.run(main, seed=7)


async def token(client: httpx.AsyncClient) -> str:
    """An administrator's token: time flies here, and tokens with it."""
    user = {"name": "admin", "domain": {"id": "default"}, "password": "secret"}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    answer = await client.post("/identity/v3/auth/tokens", json=body, headers={"x-auth-token": ""})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["x-subject-token"])


@pytest.mark.parametrize("policy", ["nova", "best-fit", "dot-product", "round-robin"])
def test_a_study_and_the_api_take_the_same_decisions(policy: str, tmp_path: Path) -> None:
    servers = workload(seed=3, count=90)
    path = scenario_file(tmp_path, policy, servers)

    study = in_a_study(path, tmp_path / "out")
    cloud = behind_the_api(path, policy, servers, tmp_path)

    assert cloud == study
    hosts = set(study.values())
    assert len(hosts) == 5, "there should be servers on all four hosts, and some that were refused"
    assert None in hosts
