"""The store of a cloud is full, locked, read-only or gone for a while: 503 in each service's own shape, and then on.

Nothing is pretended here: disks are full, other processes hold locks, servers are stopped.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import text

from sundog import app
from sundog.backends.simulated import SimulatedDriver
from sundog.backends.simulated.console import empty_qcow2
from sundog.control.cloud import Cloud
from sundog.control.identity.bootstrap import bootstrap
from sundog.control.store import Store, open_store
from sundog.runtime import aio, warp
from tests.disks import small_disk
from tests.drivers import PLAIN, make_hosts
from tests.postgresql import running_server
from tests.unit.api.rbac.world import CHEAP

WRITES = (
    ("POST", "/compute/v2.1/servers", "serviceUnavailable"),
    ("POST", "/network/v2.0/networks", "NeutronError"),
    ("POST", "/image/v2/images", None),
    ("POST", "/identity/v3/projects", "error"),
    ("PUT", "/placement/traits/CUSTOM_ONE", "errors"),
)
"""One of each service, and the only key of its faults; Glance's are pages."""

READS = (
    "/compute/v2.1/servers/detail", "/network/v2.0/networks", "/image/v2/images", "/identity/v3/projects",
    "/placement/traits",
)  # fmt: skip


class Client:
    """An administrator of a whole cloud, in the same process."""

    def __init__(self, cloud: Cloud, store: Store, api: Any) -> None:
        self.cloud, self.store = cloud, store
        self._app, self._token = api, ""
        self.image_id = ""

    async def log_in(self, password: str) -> None:
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        wish = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
        self._token = (await self("POST", "/identity/v3/auth/tokens", {"auth": wish})).headers["x-subject-token"]

    async def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        headers = {"x-auth-token": self._token, "openstack-api-version": "placement 1.39"} | options.pop("headers", {})
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
            return await client.request(method, path, json=body, headers=headers, **options)

    def body(self, path: str) -> Any:
        server = {"name": "vm", "imageRef": self.image_id, "flavorRef": "1"}
        return {
            "/compute/v2.1/servers": {"server": server},
            "/network/v2.0/networks": {"network": {"name": "n"}},
            "/image/v2/images": {"name": "i", "disk_format": "raw", "container_format": "bare"},
            "/identity/v3/projects": {"project": {"name": "p"}},
        }.get(path)

    async def make_image(self) -> None:
        wish = {"name": "cirros", "disk_format": "qcow2", "container_format": "bare"}
        self.image_id = (await self("POST", "/image/v2/images", wish)).json()["id"]
        assert (await self.upload(self.image_id, empty_qcow2(1 << 30))).status_code == 204

    async def upload(self, image_id: str, data: bytes) -> httpx.Response:
        octets = {"content-type": "application/octet-stream"}
        return await self("PUT", f"/image/v2/images/{image_id}/file", content=data, headers=octets)

    async def servers(self) -> list[tuple[str, str]]:
        told = (await self("GET", "/compute/v2.1/servers/detail")).json()["servers"]
        return [(each["name"], each["status"]) for each in told]

    # ---- what must hold

    async def writes_are_refused(self) -> None:
        """Every service says 503 in its own shape, and nothing of how it came to that."""
        for method, path, key in WRITES:
            answer = await self(method, path, self.body(path))
            assert answer.status_code == 503, (path, answer.text)
            assert "Traceback" not in answer.text
            assert "sqlalchemy" not in answer.text
            if key is not None:
                assert set(answer.json()) == {key}, answer.text

    async def reads_go_on(self) -> None:
        for path in READS:
            answer = await self("GET", path)
            assert answer.status_code == 200, (path, answer.text)

    async def writes_are_taken(self) -> None:
        for method, path, _ in WRITES:
            answer = await self(method, path, self.body(path))
            assert answer.is_success, (path, answer.text)
        await self.cloud.compute.worker.idle()
        await compare_all(self.cloud)


async def compare_all(cloud: Cloud) -> None:
    """Every host agrees with the books."""
    for host in cloud.compute.hosts.list_all():
        assert not await cloud.compute.reconciler.look_at(host.uuid)


def in_a_cloud(main: Callable[[Client], Awaitable[None]], store: Store, folder: Path) -> None:
    """``main`` with a client of a cloud of three hosts over a store."""

    async def body(world: warp.World) -> None:
        driver = SimulatedDriver(world, make_hosts(3), timings=PLAIN)
        cloud = app.make_cloud(store, folder, 1, CHEAP, driver=driver)
        made = bootstrap(cloud.identity, "canary", address="http://cloud.test", catalogue=app.CATALOGUE)
        app.bootstrap_network(cloud.network, made.project_id)
        app.bootstrap_compute(cloud.compute)
        await cloud.compute.start()
        client = Client(cloud, store, app.make_app(cloud, 1))
        await client.log_in("canary")
        await client.make_image()
        await main(client)
        await cloud.compute.stop()

    try:
        warp.run(body, seed=1)
    finally:
        store.close()


# ---------------------------------------------------------------- SQLite


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process writes, and does not come to an end."""
    program = (
        "import sqlite3, sys\n"
        "file = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "file.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(folder / "sundog.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate("")


def test_a_database_that_another_process_keeps_locked(tmp_path: Path) -> None:
    async def main(client: Client) -> None:
        with locked(tmp_path):
            await client.writes_are_refused()
            await client.reads_go_on()
        assert await client.servers() == []
        await client.writes_are_taken()
        assert await client.servers() == [("vm", "ACTIVE")]

    in_a_cloud(main, open_store(tmp_path, lock_timeout=0.1), tmp_path)


def test_what_is_under_way_waits_for_the_lock(tmp_path: Path) -> None:
    async def main(client: Client) -> None:
        made = await client("POST", "/compute/v2.1/servers", client.body("/compute/v2.1/servers"))
        assert made.status_code == 202, made.text
        with locked(tmp_path):
            await aio.sleep(20.0)
            assert await client.servers() == [("vm", "BUILD")]
        await client.cloud.compute.worker.idle()
        assert await client.servers() == [("vm", "ACTIVE")]
        await compare_all(client.cloud)

    in_a_cloud(main, open_store(tmp_path, lock_timeout=0.1), tmp_path)


def test_a_database_that_cannot_be_written(tmp_path: Path) -> None:
    async def main(client: Client) -> None:
        with client.store.read() as tx:
            tx.execute(text("PRAGMA query_only = ON"))
        await client.writes_are_refused()
        await client.reads_go_on()
        with client.store.read() as tx:
            tx.execute(text("PRAGMA query_only = OFF"))
        await client.writes_are_taken()

    in_a_cloud(main, open_store(tmp_path), tmp_path)


def test_a_disk_without_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "6m") as disk:

        async def main(client: Client) -> None:
            wish = {"name": "big", "disk_format": "raw", "container_format": "bare"}
            image = (await client("POST", "/image/v2/images", wish)).json()["id"]
            answer = await client.upload(image, bytes(7 << 20))
            assert (answer.status_code, "Traceback" in answer.text) == (413, False)
            assert (await client("GET", f"/image/v2/images/{image}")).json()["status"] == "queued"
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file:
                while True:
                    try:
                        file.write(bytes(4096))
                    except OSError:
                        break
            for number in range(10_000):  # what room is left in the database's own files is used up first
                answer = await client("PUT", f"/placement/traits/CUSTOM_{'X' * 200}_{number}")
                if not answer.is_success:
                    break
            assert answer.status_code == 503, answer.text
            assert set(answer.json()) == {"errors"}
            assert "Traceback" not in answer.text
            await client.reads_go_on()
            ballast.unlink()
            await client.writes_are_taken()
            assert await client.servers() == [("vm", "ACTIVE")]

        in_a_cloud(main, open_store(disk), disk)


# ---------------------------------------------------------------- PostgreSQL


@pytest.mark.postgresql
def test_a_server_that_is_started_again_between_two_requests(tmp_path: Path) -> None:
    with running_server() as server:

        async def main(client: Client) -> None:
            await client.reads_go_on()
            server.stop()
            server.start()
            await client.writes_are_taken()
            server.stop()
            await client.writes_are_refused()
            answer = await client("GET", "/network/v2.0/networks")
            assert (answer.status_code, set(answer.json())) == (503, {"NeutronError"})
            server.start()
            await client.reads_go_on()
            assert await client.servers() == [("vm", "ACTIVE")]
            await compare_all(client.cloud)

        in_a_cloud(main, open_store(server.make_database()), tmp_path)
