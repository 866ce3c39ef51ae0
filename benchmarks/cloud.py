"""A cloud of 2,000 simulated hosts behind the API: its start, a thousand creates, and answers with 10,000 servers.

    .venv/bin/python benchmarks/cloud.py [--hosts 2000] [--servers 10000] [--storm 5000] [--json FILE]

The cloud is ``sundog serve`` with its state in a folder, asked over loopback from another process; told are wall
milliseconds as a client sees them. The storm is the control plane alone, in one process in jump mode: seconds of CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2 as httpx
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PORT = 5310
VERSION = {"openstack-api-version": "compute 2.104"}
CREATES, CLIENTS, BATCH, ASKED = 1000, 20, 500, 200


class Caller:
    """An administrator of a cloud that listens on ``PORT``."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = await self.client.request(method, path, json=body, headers=VERSION, **more)
        if answer.status_code >= 400:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    async def log_in(self, password: str) -> str:
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        answer = await self.client.post("/identity/v3/auth/tokens", json=body)
        self.client.headers["x-auth-token"] = answer.headers["x-subject-token"]
        return str(answer.json()["token"]["project"]["id"])


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    ordered = sorted(milliseconds)
    return {"p50_ms": round(statistics.median(ordered), 1), "p99_ms": round(ordered[int(0.99 * (len(ordered) - 1))], 1)}


async def timed(times: int, ask: Callable[[int], Awaitable[Any]]) -> dict[str, float]:
    """How long each of ``times`` requests takes, one after the other."""
    taken = []
    for index in range(times):
        begun = time.perf_counter()
        await ask(index)
        taken.append(1000 * (time.perf_counter() - begun))
    return summary(taken)


async def ask_all(password: str, servers: int) -> dict[str, Any]:
    """Everything that is asked of a running cloud."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{PORT}", timeout=300) as client:
        call = Caller(client)
        project = await call.log_in(password)
        none = {"instances": -1, "cores": -1, "ram": -1}
        await call("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": none})
        await call("PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": -1}})
        network = (await call("POST", "/network/v2.0/networks", {"network": {"name": "n"}}))["network"]["id"]
        subnet = {"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16"}
        await call("POST", "/network/v2.0/subnets", {"subnet": subnet})
        image = (await call("GET", "/image/v2/images"))["images"][0]["id"]
        new = {"name": "vm", "flavorRef": "1", "imageRef": image, "networks": [{"uuid": network}]}

        async def create(index: int = 0, **more: Any) -> str:
            made = await call("POST", "/compute/v2.1/servers", {"server": {**new, "name": f"vm{index}", **more}})
            return str(made["server"]["id"])

        found: dict[str, Any] = {}
        found["creates"] = await a_thousand(call, create)
        for _ in range(max(0, servers - CREATES) // BATCH):
            await create(min_count=BATCH, max_count=BATCH)
        await settled(call)
        ids = [await create(index) for index in range(5)]
        page = "/compute/v2.1/servers/detail?limit=1000"
        found["show"] = await timed(ASKED, lambda index: call("GET", f"/compute/v2.1/servers/{ids[index % 5]}"))
        found["list 1000 in detail"] = await timed(ASKED // 5, lambda _: call("GET", page))
        found["list 1000"] = await timed(ASKED // 5, lambda _: call("GET", page.replace("/detail", "")))
        found["create"] = await timed(ASKED, create)
        return found


async def a_thousand(call: Caller, create: Callable[[int], Awaitable[str]]) -> dict[str, Any]:
    """``CREATES`` servers by ``CLIENTS`` clients at once, and how long until all are ACTIVE."""
    begun, left, taken = time.perf_counter(), iter(range(CREATES)), []

    async def client() -> None:
        for index in left:
            start = time.perf_counter()
            await create(index)
            taken.append(1000 * (time.perf_counter() - start))

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    accepted = time.perf_counter() - begun
    states = await settled(call)
    told = {"accepted_s": round(accepted, 1), "active_s": round(time.perf_counter() - begun, 1), "states": states}
    return {**told, **summary(taken)}


async def settled(call: Caller) -> dict[str, int]:
    """Wait until nothing is being built; how many servers are in which status."""
    while (await call("GET", "/compute/v2.1/servers?status=BUILD&limit=1"))["servers"]:
        await asyncio.sleep(0.5)
    return {
        status: len((await call("GET", f"/compute/v2.1/servers?status={status}&limit=1000"))["servers"])
        for status in ("ACTIVE", "ERROR")
    }


def served(hosts: int, servers: int) -> dict[str, Any]:
    """Start a cloud, ask it, and stop it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sundog", "serve", "--hosts", str(hosts), "--speed", "600"]
        command += ["--state", folder + "/state", "--listen", f"127.0.0.1:{PORT}"]
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        if "listens" not in process.stdout.readline():
            raise SystemExit("the cloud did not start")
        found: dict[str, Any] = {"hosts": hosts, "servers": servers, "start_s": round(time.perf_counter() - begun, 1)}
        clouds = re.findall(r"OS_CLIENT_CONFIG_FILE=(\S+)", process.stdout.readline())[0]
        try:
            subprocess.run([sys.executable, ROOT / "tools/public-images", clouds, "cirros"], check=True, cwd=ROOT,
                           env={"PYTHONPATH": str(ROOT)})  # fmt: skip
            password = str(YAML(typ="safe").load(Path(clouds))["clouds"]["sundog"]["auth"]["password"])
            found |= asyncio.run(ask_all(password, servers))
            status = Path(f"/proc/{process.pid}/status").read_text()
            found["peak_mib"] = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) // 1024
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
        return found


def storm(servers: int, hosts: int) -> dict[str, Any]:
    """Boot ``servers`` at once in jump mode, without HTTP."""
    from sundog.backends.simulated import HostSpec
    from sundog.core.pool import Inventory
    from tests.computing import PROJECT, Small, run

    stock = {"VCPU": Inventory(64), "MEMORY_MB": Inventory(262_144), "DISK_GB": Inventory(4000)}

    async def main(cloud: Small) -> dict[str, Any]:
        cloud.compute.quotas.update(PROJECT, {"instances": -1, "cores": -1, "ram": -1})
        cloud.network.quotas.update(PROJECT, {"port": -1})
        begun = time.process_time()
        made = [cloud.create() for _ in range(servers)]
        await cloud.idle()
        taken = time.process_time() - begun
        if any(cloud.show(server).vm_state != "active" for server in made):
            raise SystemExit("not all servers of the storm are active")
        return {"servers": servers, "hosts": hosts, "cpu_s": round(taken, 1)}

    return run(main, hosts=[HostSpec(f"h{i}", f"h{i}", stock) for i in range(hosts)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=2000)
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--storm", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    told = parser.parse_args()
    found = {"boot storm": storm(told.storm, told.hosts)}
    print(json.dumps(found), flush=True)
    found["served"] = served(told.hosts, told.servers)
    print(json.dumps(found["served"], indent=1))
    if told.json:
        told.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
