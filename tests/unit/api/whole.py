"""A whole cloud of four simulated hosts in a world, and requests to it in the same process."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx

from sundog import app
from sundog.backends.simulated import SimulatedFleet, identical_hosts
from sundog.control.identity import CatalogueItem, bootstrap
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.store import open_store
from sundog.runtime import warp

CHEAP = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)


class Whole:
    """The cloud; ``send`` is one request. Compute does not work by itself yet."""

    def __init__(self, world: warp.World, folder) -> None:
        self.fleet = SimulatedFleet(world, identical_hosts(4))
        store = open_store(app.MEMORY)
        self.cloud = app.make_cloud(store, folder, 1, CHEAP, driver=self.fleet.driver, playground=self.fleet)
        item = CatalogueItem("identity", "keystone", "/identity")
        made = bootstrap(self.cloud.identity, "canary-password", address="http://cloud.test", catalogue=[item])
        self.cloud.identity.users.create("stranger", made.domain_id, password="canary-stranger")
        self.app = app.make_app(self.cloud, 1)

    async def send(self, method: str, path: str, *, client: str = "127.0.0.1", host: str = "localhost", **options: Any):
        transport = httpx.ASGITransport(app=self.app, client=(client, 1))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as sender:
            return await sender.request(method, path, **options)

    async def token(self, name: str, password: str) -> str:
        user = {"name": name, "domain": {"id": "default"}, "password": password}
        scope = {"scope": {"project": {"name": "admin", "domain": {"id": "default"}}}} if name == "admin" else {}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}} | scope}
        return (await self.send("POST", "/identity/v3/auth/tokens", json=body)).headers["x-subject-token"]
