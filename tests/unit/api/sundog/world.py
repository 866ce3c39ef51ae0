"""A small simulated cloud with ``/sundog/v1`` and nothing else, whose clock jumps, and clients in the same process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx

from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.sundog import SERVICE
from sundog.backends.contract import ComputeDriver
from sundog.backends.playground import Playground
from sundog.backends.simulated import AddedHosts, FleetPlan, SimulatedFleet
from sundog.control.clock import Clock
from sundog.control.compute.records import Host
from sundog.control.fleet import Fleet
from sundog.runtime import warp
from sundog.runtime.clock import EPOCH
from sundog.sim.spec import HostGroup, HostType
from tests.unit.api.kit.sample import authenticate

SMALL = HostType(name="small", vcpus=8, memory=16384.0, disk=100.0)
PLAN = FleetPlan(
    groups=(
        HostGroup(type=SMALL, count=4, zone="az1", racks=2),
        HostGroup(type=SMALL, count=2, zone="az2"),
    )
)


@dataclass
class Here:
    """What a test is given: the hosts, what was kept of them, and ``ask`` for one request."""

    fleet: SimulatedFleet
    control: Fleet
    app: Any
    kept: list[AddedHosts] = field(default_factory=list)

    @property
    def driver(self):
        return self.fleet.driver

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = "admin") -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            headers = {"x-auth-token": token}
            return await client.request(method, f"/sundog/v1{path}", headers=headers, json=body)

    async def told(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """The body of an answer that must have this status."""
        answer = await self.ask(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in (await self.told("GET", "/fleet/hosts"))["hosts"]}


class Services:
    """Compute's services on hosts, in memory: each host gets one when it is registered."""

    def __init__(self, driver: ComputeDriver) -> None:
        self._driver = driver
        self._hosts: dict[str, Host] = {}

    async def register(self) -> None:
        for number, each in enumerate(await self._driver.hosts(deadline=1)):
            known = Host(number, each.uuid, each.name, f"service-{number}", False, None, False, EPOCH, EPOCH, True, "")
            self._hosts.setdefault(each.uuid, known)

    def by_uuid(self, uuid: str | None) -> Host | None:
        return self._hosts.get(uuid or "")

    def update(self, service_id: str, *, disabled: bool | None, disabled_reason: str | None) -> Host:
        host = next(each for each in self._hosts.values() if each.service_id == service_id)
        after = replace(host, disabled=bool(disabled), disabled_reason=disabled_reason)
        self._hosts[host.uuid] = after
        return after


def make_app(driver: ComputeDriver, playground: Playground | None) -> tuple[Fleet, Any]:
    fleet = Fleet(driver, Services(driver), playground)
    cloud = SimpleNamespace(clock=Clock(), fleet=fleet)
    return fleet, application([SERVICE], Desk(cloud, Policy(SERVICE.rules), authenticate, lambda: "req-1"))


def play(
    main: Callable[[Here], Awaitable[Any]], *, seed: int = 1, real: bool = False, plan: FleetPlan = PLAN, **options: Any
) -> Any:
    """What ``main`` returns in a world of its own. With ``real`` the API is told that hosts are real."""

    async def run(world: warp.World) -> Any:
        kept: list[AddedHosts] = []
        fleet = SimulatedFleet(world, plan, keep=kept.append, **options)
        control, app = make_app(fleet.driver, None if real else fleet)
        return await main(Here(fleet, control, app, kept))

    return warp.run(run, seed=seed, horizon=10_000_000)


class Listener:
    """A client of the stream of events, over ASGI: what it was sent, until it goes or the stream ends.

    ``slow`` is how many seconds it takes each message to be taken in.
    """

    def __init__(self, app: Any, *, token: str = "admin", slow: float = 0.0) -> None:
        self.status, self.headers, self.text, self.ended = 0, {}, "", False
        self._gone, self._slow = asyncio.Event(), slow
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/sundog/v1/events", "raw_path": b"/sundog/v1/events", "query_string": b"",
            "root_path": "", "headers": [(b"x-auth-token", token.encode()), (b"host", b"cloud")],
            "client": ("127.0.0.1", 1), "server": ("cloud", 80),
        }  # fmt: skip
        self.task = asyncio.get_running_loop().create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if self._slow:
            await asyncio.sleep(self._slow)
        self.text += message["body"].decode()
        self.ended = not message.get("more_body", False)

    @property
    def events(self) -> list[Any]:
        """The data of the events so far."""
        return [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]

    async def go(self) -> None:
        """Hang up."""
        self._gone.set()
        await self.task
