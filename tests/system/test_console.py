"""A serial console of a cloud as a user starts it: OpenStack's API, a real WebSocket, and nothing in the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from ruamel.yaml import YAML
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.system.test_serve import served

pytestmark = [pytest.mark.system, pytest.mark.slow]


@contextmanager
def client_of(address: str, clouds: str) -> Iterator[httpx.Client]:
    """The administrator's, with a token."""
    auth = YAML(typ="safe").load(Path(clouds))["clouds"]["sundog"]["auth"]
    domain = {"id": "default"}
    user = {"name": auth["username"], "domain": domain, "password": auth["password"]}
    scope = {"project": {"name": auth["project_name"], "domain": domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    with httpx.Client(base_url=f"http://{address}", timeout=60) as client:
        answer = client.post("/identity/v3/auth/tokens", json=body)
        assert answer.status_code == 201, answer.text
        client.headers["x-auth-token"] = answer.headers["x-subject-token"]
        client.headers["openstack-api-version"] = "compute 2.79"
        yield client


def active(client: httpx.Client) -> str:
    """A server that runs."""
    image = client.post(
        "/image/v2/images", json={"name": "raw", "disk_format": "raw", "container_format": "bare"}
    ).json()["id"]
    octets = {"content-type": "application/octet-stream"}
    assert client.put(f"/image/v2/images/{image}/file", content=bytes(2**20), headers=octets).status_code == 204
    wish = {"server": {"name": "web", "imageRef": image, "flavorRef": "1", "networks": "none"}}
    answer = client.post("/compute/v2.1/servers", json=wish)
    assert answer.status_code == 202, answer.text
    server: str = answer.json()["server"]["id"]
    for _ in range(200):
        status = client.get(f"/compute/v2.1/servers/{server}").json()["server"]["status"]
        if status == "ACTIVE":
            return server
        assert status == "BUILD", status
        time.sleep(0.1)
    raise AssertionError("the server was not ACTIVE after 20 s")


def console_of(client: httpx.Client, server: str) -> str:
    body = {"remote_console": {"protocol": "serial", "type": "serial"}}
    answer = client.post(f"/compute/v2.1/servers/{server}/remote-consoles", json=body)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["remote_console"]["url"]
    return url


async def opened(url: str) -> Any:
    return await connect(url)


async def until(socket: Any, end: bytes) -> bytes:
    data = b""
    async with asyncio.timeout(30):
        while not data.endswith(end):
            data += await socket.recv()
    return data


def test_somebody_logs_in_on_a_real_socket(tmp_path: Path) -> None:
    with (
        served(tmp_path / "state", "--hosts", 2, "--speed", 600) as (address, clouds),
        client_of(address, clouds) as client,
    ):
        server = active(client)
        url = console_of(client, server)
        assert url.startswith(f"ws://{address}/compute/console?token=")

        async def main() -> None:
            async with connect(url, subprotocols=["binary"], origin=f"http://{address}") as socket:  # type: ignore[arg-type, list-item]
                assert socket.subprotocol == "binary"
                await until(socket, b"web login: ")
                await socket.send(b"root\r")
                await until(socket, b"Password: ")
                await socket.send("x\r")
                await until(socket, b"root@web:~$ ")
                await socket.send(b"echo hello\r")
                assert b"\r\nhello\r\n" in await until(socket, b"$ ")
                with pytest.raises(InvalidStatus):
                    await connect(url)
                with pytest.raises(InvalidStatus):
                    await connect(console_of(client, server), origin="http://evil.test")  # type: ignore[arg-type]
                await asyncio.sleep(2)  # twenty simulated minutes: nothing of ours ends it for being quiet
                await socket.send(b"whoami\r")
                await until(socket, b"$ ")
                assert client.post(f"/compute/v2.1/servers/{server}/action", json={"os-stop": None}).status_code == 202
                with pytest.raises(ConnectionClosed):
                    await until(socket, b"never")

        asyncio.run(main())


def test_a_message_that_is_too_long_ends_it_and_so_does_the_end_of_the_cloud(tmp_path: Path) -> None:
    with ExitStack() as stop:
        address, clouds = stop.enter_context(served(tmp_path / "state", "--hosts", 2, "--speed", 600))
        client = stop.enter_context(client_of(address, clouds))
        server = active(client)

        async def flood() -> None:
            async with connect(console_of(client, server)) as socket:
                await socket.send(b"x" * 2**20)
                with pytest.raises(ConnectionClosed):
                    await until(socket, b"never")

        asyncio.run(flood())
        with asyncio.Runner() as runner:
            socket = runner.run(opened(console_of(client, server)))
            stop.close()  # the cloud stops in order, though a console is open
            with pytest.raises(ConnectionClosed):
                runner.run(until(socket, b"never"))
            runner.run(socket.wait_closed())
