"""Consoles through the API: asked for, typed at, and the twelve attacks on them that must come to nothing (S11)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
from sqlalchemy import select

from sundog.backends.simulated import FaultKind, OperationFault
from sundog.control.store.tables import compute as tables
from sundog.control.store.tables import metadata
from sundog.runtime import aio
from tests.unit.api.compute.servers_api import Api, with_api
from tests.unit.api.websocket import Socket

SERIAL = {"remote_console": {"protocol": "serial", "type": "serial"}}


async def address(api: Api, server: str, **options: Any) -> str:
    answer = await api.alice.post(f"/servers/{server}/remote-consoles", SERIAL, v="2.6", **options)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["remote_console"]["url"]
    return url


async def target(api: Api, server: str) -> str:
    """Path and query of a console."""
    parts = urlsplit(await address(api, server))
    return f"{parts.path}?{parts.query}"


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


# ---------------------------------------------------------------- what it is for


def test_a_console_is_asked_for_and_typed_at() -> None:
    async def main(api: Api) -> None:
        server = await api.boot("web")
        url = await address(api, server)
        assert url.startswith("ws://cloud.test/compute/console?token=")
        socket = await Socket.connect(api.app, await target(api, server), protocols=("base64", "binary"))
        assert (socket.refused, socket.subprotocol) == (False, "binary")
        await socket.until(b"web login: ")
        await socket.send(b"root\r")
        await socket.until(b"Password: ")
        await socket.send("x\r")
        await socket.until(b"root@web:~$ ")
        await socket.send(b"hostname\r")
        assert await socket.until(b"$ ") == b"hostname\r\nweb\r\nroot@web:~$ "
        await socket.leave()

    with_api(main)


def test_the_older_actions_give_one_too_and_a_proxy_is_heeded() -> None:
    async def main(api: Api) -> None:
        server = await api.boot()
        answer = await api.alice.act(server, "os-getSerialConsole", {"type": "serial"})
        assert answer.status_code == 200, answer.text
        told = answer.json()["console"]
        assert told["type"] == "serial"
        assert not (await Socket.connect(api.app, f"/compute/console?token={token_of(told['url'])}")).refused
        assert (await api.alice.act(server, "os-getSerialConsole", {"type": "serial"}, v="2.6")).status_code == 404
        url = await address(api, server, headers={"x-forwarded-proto": "https", "x-forwarded-host": "cloud.example"})
        assert url.startswith("wss://cloud.example/compute/console?token=")

    with_api(main)


def test_screens_are_not_to_be_had_and_kinds_go_with_their_protocols() -> None:
    async def main(api: Api) -> None:
        server = await api.boot()
        path = f"/servers/{server}/remote-consoles"
        for protocol, kind in (("vnc", "novnc"), ("spice", "spice-html5"), ("vnc", "serial"), ("serial", "novnc")):
            body = {"remote_console": {"protocol": protocol, "type": kind}}
            answer = await api.alice.post(path, body, v="2.6")
            assert answer.status_code == 400
            assert answer.json()["badRequest"]["message"] == f"Unavailable console type {kind}."
        assert (await api.alice.act(server, "os-stop")).status_code == 202
        await api.small.idle()
        assert (await api.alice.post(path, SERIAL, v="2.6")).status_code == 409

    with_api(main)


def test_an_administrator_sees_what_a_token_is_good_for() -> None:
    async def main(api: Api) -> None:
        server = await api.boot()
        token = token_of(await address(api, server))
        path = f"/os-console-auth-tokens/{token}"
        assert (await api.alice.get(path, v="2.31")).status_code == 403
        assert (await api.admin.get(path)).status_code == 400
        for version in ("2.31", "2.99"):
            answer = await api.admin.get(path, v=version)
            assert answer.status_code == 200, answer.text
            host = api.small.compute.hosts.show(api.small.show(server).host or "").name
            assert answer.json() == {
                "console": {"instance_uuid": server, "host": host, "port": 0, "internal_access_path": None}
            }
        assert (await api.admin.get(f"{path}?x=1", v="2.98")).status_code == 200
        assert (await api.admin.get(f"{path}?x=1", v="2.99")).status_code == 400
        missing = await api.admin.get("/os-console-auth-tokens/none", v="2.31")
        assert (missing.status_code, missing.json()["itemNotFound"]["message"]) == (404, "Token not found")
        assert not (await Socket.connect(api.app, f"/compute/console?token={token}")).refused
        assert (await api.admin.get(path, v="2.31")).status_code == 404

    with_api(main)


def test_either_side_may_end_it() -> None:
    async def main(api: Api) -> None:
        server = await api.boot()
        first = await Socket.connect(api.app, await target(api, server), protocols=())
        assert first.subprotocol is None
        second = await Socket.connect(api.app, await target(api, server))
        assert await first.closed() == 1000  # a serial line has one end, and the second took it
        await second.leave()
        third = await Socket.connect(api.app, await target(api, server))
        await api.alice.act(server, "reboot", {"type": "HARD"})
        assert await third.closed() == 1000
        await api.small.idle()

    with_api(main)


# ---------------------------------------------------------------- S11: attacks


def attack(main: Any, **options: Any) -> None:
    """``main`` with the API, a server, and ``refused``: whether an address of a console is, with these headers."""

    async def body(api: Api) -> None:
        server = await api.boot("web")

        async def refused(where: str, *headers: tuple[str, str]) -> bool:
            socket = await Socket.connect(api.app, where, *headers)
            return socket.refused

        await main(api, server, refused)

    with_api(body, **options)


def test_s11_01_a_token_is_used_again() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        assert not await refused(where)
        assert await refused(where)

    attack(main)


def test_s11_02_a_token_is_used_by_many_at_the_same_time() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        outcomes = await aio.gather(*(refused(where) for _ in range(10)))
        assert sorted(outcomes) == [False] + 9 * [True]

    attack(main)


def test_s11_03_a_token_is_used_when_its_time_is_over() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        await aio.sleep(600.0)
        assert await refused(where)

    attack(main)


def test_s11_04_a_token_is_guessed_or_forged() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        token = token_of(where)
        with api.small.store.read() as tx:
            (row,) = tx.find(tables.console_tokens)
        for guess in (
            "", "?token=", "?token=x", f"?token={row['token_hash']}", f"?token={token[:-1]}", f"?token={token}%00",
            "?token=%ff%fe", "?token='%20OR%201=1--", f"?token={server}", "?token=alice", f"?token={'x' * 50_000}",
            f"?token={token}&token={token}", f"?Token={token}", f"?x={token}",
        ):  # fmt: skip
            assert await refused(f"/compute/console{guess}"), guess
        assert not await refused(where)  # none of that has used it up

    attack(main)


def test_s11_05_ossa_2015_005_a_page_of_somebody_else_asks() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        for origin in (
            "http://evil.test", "https://cloud.test", "http://cloud.test:8080", "http://cloud.test.evil.test", "null",
            "", "http://evilcloud.test", "file://", "http://cloud.test@evil.test", "http://[", "cloud.test",
            "http://cloud.test:99999",
        ):  # fmt: skip
            assert await refused(where, ("Origin", origin)), origin
        assert await refused(where, ("Origin", "http://cloud.test"), ("Origin", "http://evil.test"))
        assert not await refused(where, ("Origin", "http://Cloud.test:80"))  # our own, and none of that used it up

    attack(main)


def test_s11_06_somebody_asks_for_a_console_of_a_server_that_is_not_theirs() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        path = f"/servers/{server}/remote-consoles"
        assert (await api.bob.post(path, SERIAL, v="2.6")).status_code == 404
        assert (await api.reader.post(path, SERIAL, v="2.6")).status_code == 403
        assert (await api.nobody.post(path, SERIAL, v="2.6")).status_code in (403, 404)
        assert (await api.bob.act(server, "os-getSerialConsole", {"type": "serial"})).status_code == 404
        assert await refused("/compute/console?token=alice", ("X-Auth-Token", "alice"))

    attack(main)


@pytest.mark.parametrize("deed", ["live", "cold"])
def test_s11_07_a_token_is_used_after_its_server_moved(deed: str) -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        socket = await Socket.connect(api.app, await target(api, server))
        body: Any = {"block_migration": False, "disk_over_commit": False, "host": None} if deed == "live" else None
        answer = await api.admin.act(server, "os-migrateLive" if deed == "live" else "migrate", body)
        assert answer.status_code == 202, answer.text
        await api.small.idle()
        assert await refused(where)
        assert await socket.closed() == 1000  # what was open has ended as well: it does not lead to what is there next

    attack(main)


def test_s11_08_ossa_2013_006_a_token_is_used_after_its_server_was_deleted() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        socket = await Socket.connect(api.app, await target(api, server))
        assert (await api.alice.delete(f"/servers/{server}")).status_code == 204
        await api.small.idle()
        assert await refused(where)
        assert await socket.closed() == 1000

    attack(main)


def test_s11_09_a_token_is_used_after_its_server_was_stopped_and_started() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        socket = await Socket.connect(api.app, await target(api, server))
        for action in ("os-stop", "os-start"):
            assert (await api.alice.act(server, action)).status_code == 202
            await api.small.idle()
        assert await refused(where)
        assert await socket.closed() == 1000

    attack(main)


def test_s11_10_ossa_2020_001_a_token_is_looked_for_in_logs_answers_and_the_store(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[str] = []

    async def main(api: Api, server: str, refused: Any) -> None:
        for fault in (None, OperationFault(FaultKind.FAIL, "open_console")):
            where = await target(api, server)
            seen.append(token_of(where))
            (api.small.driver.faults.order(fault) if fault else None)
            assert await refused(where) is (fault is not None)
            answer = await api.admin.get(f"/os-console-auth-tokens/{seen[-1]}", v="2.31")
            assert seen[-1] not in answer.text
        with api.small.store.read() as tx:
            written = repr([list(tx.execute(select(table)).mappings()) for table in metadata.sorted_tables])
        assert not any(token in written for token in seen)

        broken, api.small.compute.consoles = api.small.compute.consoles, None  # type: ignore[assignment]
        assert (await api.admin.get(f"/os-console-auth-tokens/{seen[0]}", v="2.31")).status_code == 500
        assert await refused(f"/compute/console?token={seen[0]}")
        api.small.compute.consoles = broken

    with caplog.at_level(logging.DEBUG):
        attack(main)
    ours = "\n".join(caplog.handler.format(each) for each in caplog.records if not each.name.startswith("httpx"))
    assert "os-console-auth-tokens/***" in ours
    assert not any(token in ours for token in seen)


def test_s11_11_ossa_2021_002_a_redirect_is_looked_for() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        where = await target(api, server)
        transport = httpx.ASGITransport(app=api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
            for path in ("//evil.test/%2e%2e", "/%2f%2fevil.test", "//evil.test/compute/console", where, f"/{where}"):
                answer = await client.get(f"http://cloud.test{path}")
                assert answer.status_code == 404, path
                assert "location" not in answer.headers
        for path in ("//evil.test", "/compute/console/", "/console", "/"):
            assert await refused(f"{path}?{where.partition('?')[2]}"), path
        assert not await refused(where)

    attack(main)


def test_s11_12_a_console_is_flooded_or_left_without_a_word() -> None:
    async def main(api: Api, server: str, refused: Any) -> None:
        flooding = await Socket.connect(api.app, await target(api, server))
        for _ in range(200):
            await flooding.send(b"\x7fx" * 2000)
        await asyncio.sleep(1)
        other = await Socket.connect(api.app, await target(api, server))
        await flooding.closed()
        await other.until(b"login: ")
        await other.send(b"root\r")
        await other.until(b"Password: ")
        await other.leave()
        assert api.small.driver.statistics().jobs == 0

    attack(main)
