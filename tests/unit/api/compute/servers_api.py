"""The API of servers over the whole of compute and simulated hosts, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx

from sundog.api.compute import SERVICE
from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.control.compute.bootstrap import bootstrap
from sundog.control.principal import Principal
from sundog.errors import Unauthorized
from tests.computing import PROJECT, USER, Small, run

MEMBER = ("member", "reader")
OTHER = "55555555555555555555555555555555"
BEARERS = {
    "alice": Principal(USER, project_id=PROJECT, roles=MEMBER),
    "reader": Principal("66666666666666666666666666666666", project_id=PROJECT, roles=("reader",)),
    "manager": Principal("77777777777777777777777777777777", project_id=PROJECT, roles=("manager", *MEMBER)),
    "bob": Principal("88888888888888888888888888888888", project_id=OTHER, roles=MEMBER),
    "admin": Principal("3" * 32, project_id="4" * 32, roles=("admin", "manager", *MEMBER)),
    "system": Principal("a" * 32, is_system=True, roles=("admin", "manager", *MEMBER)),
    "nobody": Principal("99999999999999999999999999999999"),
}


def authenticate(token: str) -> Principal:
    if token not in BEARERS:
        raise Unauthorized("The request you have made requires authentication.")
    return BEARERS[token]


class Person:
    """A client that asks for a version: ``await alice.get("/servers", v="2.61")``."""

    def __init__(self, app: Any, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(
        self, method: str, path: str, *, v: str | None = None, headers: Any = None, **options: Any
    ) -> httpx.Response:
        told = {"x-auth-token": self._token} | ({} if v is None else {"openstack-api-version": f"compute {v}"})
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
            return await client.request(method, f"/compute/v2.1{path}", headers=told | (headers or {}), **options)

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self("POST", path, json=json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self("PUT", path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self("DELETE", path, **options)

    async def act(self, server_id: str, action: str, value: Any = None, **options: Any) -> httpx.Response:
        """An action on a server."""
        return await self.post(f"/servers/{server_id}/action", {action: value}, **options)


class Api:
    """A small cloud behind its API, and clients of it."""

    def __init__(self, small: Small) -> None:
        self.small = small
        numbers = iter(range(1, 1_000_000))
        cloud = SimpleNamespace(compute=small.compute, network=small.network, image=small.images)
        desk = Desk(cloud, Policy(SERVICE.rules), authenticate, lambda: f"req-{next(numbers)}")
        self.app = application([SERVICE], desk)
        self.alice, self.reader, self.manager, self.bob, self.admin, self.system, self.nobody = (
            Person(self.app, token) for token in BEARERS
        )

    async def boot(self, name: str = "vm", *, v: str = "2.1", who: Person | None = None, **facts: Any) -> str:
        """A server that is ACTIVE; its id."""
        made = await (who or self.alice).post("/servers", self.wish(name, v=v, **facts), v=v)
        assert made.status_code == 202, made.text
        await self.small.idle()
        server_id: str = made.json()["server"]["id"]
        return server_id

    def wish(self, name: str = "vm", *, v: str = "2.1", **facts: Any) -> dict[str, Any]:
        """The body of a request for a server."""
        server: dict[str, Any] = {"name": name, "imageRef": self.small.image_id, "flavorRef": "1"}
        if int(v.split(".")[1]) >= 37:
            server["networks"] = "auto"
        return {"server": server | facts}

    async def shown(self, server_id: str, *, v: str = "2.1", who: Person | None = None) -> dict[str, Any]:
        """A server as it is shown."""
        answer = await (who or self.alice).get(f"/servers/{server_id}", v=v)
        assert answer.status_code == 200, answer.text
        server: dict[str, Any] = answer.json()["server"]
        return server


def with_api(main: Callable[[Api], Awaitable[None]], **options: Any) -> None:
    """``main`` with the API of a small cloud."""

    async def body(small: Small) -> None:
        bootstrap(small.compute)
        await main(Api(small))

    run(body, **options)
