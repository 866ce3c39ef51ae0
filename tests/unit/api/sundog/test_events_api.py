"""The live stream of events."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx2 as httpx
import pytest

from sundog.api.kit.server import Listen, serve
from sundog.api.sundog.streams import HEARTBEAT
from sundog.backends.events import LIMIT
from sundog.backends.playground import EVERYWHERE, HostFault, Scope
from sundog.backends.simulated import SimulatedFleet
from sundog.control.fleet import MOST_WATCHES
from sundog.runtime import aio, warp
from tests.drivers import make_spec
from tests.unit.api.kit.test_server import free_port
from tests.unit.api.sundog.world import PLAN, Listener, make_app, play


async def happen(here):
    """A server is made on a host, which then dies and is found to have."""
    host = (await here.told("GET", "/fleet/hosts/small-1"))["host"]["id"]
    await here.driver.spawn(host, make_spec("server-1"), deadline=600)
    await here.told("POST", "/faults", {"fault": {"kind": "kill", "scope": {"host": "small-1"}}}, status=201)
    await asyncio.sleep(60)
    return host


def test_what_happens_on_hosts_and_to_servers_is_told_with_its_time_and_names():
    async def main(here):
        listener = Listener(here.app)
        host = await happen(here)
        here.control.close()
        await listener.task
        assert listener.status == 200
        assert listener.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert listener.headers["cache-control"] == "no-store"
        started, down = listener.events
        assert started["kind"] == "started"
        assert started["host"] == {"id": host, "name": "small-1"}
        assert started["server"] == {"id": "server-1", "generation": 1}
        assert started["time"].startswith("2024-01-01T00:00:")
        assert (down["kind"], down["server"]) == ("host-down", None)
        assert "event: started\ndata: {" in listener.text
        assert listener.text.endswith("\n\n")
        return listener.text

    assert play(main) == play(main)


def test_the_time_is_when_it_happened_not_when_it_was_read():
    async def main(here):
        listener = Listener(here.app, slow=5.0)
        await asyncio.sleep(0)
        for kind in ("partition", "heal") * 3:
            await here.told("POST", "/faults", {"fault": {"kind": kind, "scope": {"host": "small-0"}}}, status=201)
        await asyncio.sleep(60)
        assert len({each["time"] for each in listener.events}) == 1
        assert len(listener.events) > 1
        await listener.go()

    play(main)


def test_silence_is_broken_by_comments():
    async def main(here):
        listener = Listener(here.app)
        await asyncio.sleep(HEARTBEAT * 600)  # while the clock jumps, a heartbeat is a quarter of an hour
        assert 5 < listener.text.count(": nothing happens\n\n") < 20
        assert listener.events == []
        await listener.go()

    play(main)


def test_a_client_that_goes_and_a_cloud_that_stops_leave_no_stream_open():
    async def main(here):
        one, other = Listener(here.app), Listener(here.app)
        await asyncio.sleep(1)
        await one.go()
        assert not one.ended
        here.control.close()
        await other.task
        assert other.ended
        for _ in range(2 * MOST_WATCHES):
            listener = Listener(here.app)
            await asyncio.sleep(0)
            await listener.go()
        listener = Listener(here.app)
        await asyncio.sleep(1)
        assert listener.status == 200
        await listener.go()

    play(main)


def test_a_slow_client_loses_events_and_is_told_so_while_others_lose_none():
    async def main(here):
        slow, quick = Listener(here.app, slow=1000.0), Listener(here.app)
        await asyncio.sleep(1)
        blinks = LIMIT // 6 + 10
        for _ in range(blinks):
            here.fleet.driver.faults.strike(HostFault.PARTITION, EVERYWHERE)
            here.fleet.driver.faults.strike(HostFault.HEAL, EVERYWHERE)
            await asyncio.sleep(0.1)
        assert len(quick.events) == 6 * blinks
        assert all(each["host"] is not None for each in quick.events)
        slow._slow = 0.0
        await asyncio.sleep(2000)
        assert len(slow.events) == LIMIT + 1
        assert slow.events[-1] | {"time": None} == {"kind": "lost", "time": None, "host": None, "server": None}
        await slow.go()
        await quick.go()

    play(main)


def test_there_is_a_most_of_streams():
    async def main(here):
        listeners = [Listener(here.app) for _ in range(MOST_WATCHES)]
        await asyncio.sleep(1)
        refused = Listener(here.app)
        await asyncio.sleep(1)
        assert refused.status == 503
        await listeners[0].go()
        again = Listener(here.app)
        await asyncio.sleep(1)
        assert again.status == 200
        here.control.close()
        for each in (*listeners, again, refused):
            await each.task

    play(main)


def test_a_stream_is_for_administrators():
    async def main(here):
        for token, status in (("member-a", 403), ("stranger", 401)):
            listener = Listener(here.app, token=token)
            await listener.task
            assert listener.status == status

    play(main)


@pytest.mark.parametrize("rate", [1.0, 600.0, 0.0])
def test_a_stream_over_a_socket_ends_in_order_when_the_server_is_told_to_stop(rate):
    async def main(world):
        fleet = SimulatedFleet(world, PLAN)
        control, app = make_app(fleet.driver, fleet)
        listen, listening = Listen(port=free_port()), asyncio.Event()
        lines: list[str] = []
        asyncio.get_running_loop().set_rate(rate)
        async with aio.TaskGroup() as group:
            serving = group.create_task(serve(app, listen, ready=listening.set, stopping=control.close))
            await listening.wait()
            async with (
                httpx.AsyncClient(base_url=listen.url, timeout=None, headers={"x-auth-token": "admin"}) as client,
                client.stream("GET", "/sundog/v1/events") as answer,
            ):
                async for line in answer.aiter_lines():  # a stream that is cut off raises
                    if not lines:
                        fleet.strike(HostFault.FENCE, Scope(host="small-0"))
                        os.kill(os.getpid(), signal.SIGTERM)
                    lines.append(line)
            await serving
        return lines

    assert "event: host-down" in warp.run(main, rate=60.0)
