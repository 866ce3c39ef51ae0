"""The server on a loop whose time is not the machine's, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

import httpx2 as httpx
import pytest

from sundog.api.kit.server import Listen, serve
from sundog.errors import InputError
from sundog.runtime import aio, warp
from tests.unit.api.kit.sample import make_app


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def served(listen: Listen, use) -> object:
    """What ``use`` returns when it is given a client of the server; the server is then told to stop, and does."""
    listening = asyncio.Event()
    async with aio.TaskGroup() as group:
        serving = group.create_task(serve(make_app(), listen, ready=listening.set))
        await listening.wait()
        async with httpx.AsyncClient(base_url=listen.url, timeout=None) as client:
            result = await use(client)
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    return result


@pytest.mark.parametrize("rate", [1.0, 60.0, 5000.0])
def test_it_serves_at_any_rate_and_stops_when_told(rate):
    async def main(_world):
        return await served(Listen(port=free_port()), lambda client: client.get("/zoo/v2.1/"))

    answer = warp.run(main, rate=rate)
    assert answer.status_code == 200
    assert answer.headers["x-openstack-request-id"] == "req-1"


def test_it_serves_and_stops_while_the_clock_is_paused():
    async def main(world):
        async def use(client):
            asyncio.get_running_loop().set_rate(0.0)
            return await client.get("/zoo/v2.1/")

        return await served(Listen(port=free_port()), use)

    assert warp.run(main, rate=60.0).status_code == 200


def test_it_serves_on_an_ordinary_loop():
    answer = asyncio.run(served(Listen(port=free_port()), lambda client: client.get("/zoo/v2.1/")))
    assert answer.status_code == 200


def test_a_port_in_use_is_said_so():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = Listen(port=taken.getsockname()[1])

        async def main(_world):
            await serve(make_app(), listen, ready=lambda: pytest.fail("it listens"))

        with pytest.raises(InputError, match=f"port {listen.port}: is it in use"):
            warp.run(main, rate=60.0)


def test_tls_files_that_cannot_be_used_are_said_so(tmp_path):
    (tmp_path / "cert.pem").write_text("no certificate")
    listen = Listen(port=free_port(), certificate=tmp_path / "cert.pem", key=tmp_path / "cert.pem")

    async def main(_world):
        await serve(make_app(), listen, ready=lambda: pytest.fail("it listens"))

    with pytest.raises(InputError, match="TLS files cannot be used"):
        warp.run(main, rate=60.0)


def test_the_address_of_an_ipv6_host_has_brackets():
    assert Listen("::1", 5000).url == "http://[::1]:5000"
