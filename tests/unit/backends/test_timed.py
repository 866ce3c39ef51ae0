"""The driver that takes times: what it records, and that nothing else changes (``check_driver`` is in conformance)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from sundog.backends.contract import ServerKey
from sundog.backends.durations import Duration, Outcome
from sundog.backends.simulated import SimulatedDriver
from sundog.backends.timed import Stopwatch, TimedDriver
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import aio, warp
from tests.drivers import PLAIN, key, make_hosts, make_image, make_port, make_spec

LONG = 1000.0


class Sink:
    """Drops what a snapshot writes."""

    async def write(self, data: bytes) -> None:
        pass


def times(
    main: Callable[[TimedDriver, Stopwatch, SimulatedDriver], Coroutine[Any, Any, None]], **options: Any
) -> list[Duration]:
    """What is recorded of what ``main`` does with three hosts."""
    told: list[Duration] = []

    async def inside(world: warp.World) -> None:
        watch = Stopwatch(told.append, hears_fetches=True)
        driver = SimulatedDriver(world, make_hosts(3), timings=PLAIN, fetched=watch.fetched, **options)
        await main(TimedDriver(driver, watch), watch, driver)

    warp.run(inside)
    return told


def test_a_boot_is_recorded_with_its_server_and_its_image() -> None:
    async def main(driver: TimedDriver, _watch: Stopwatch, _inner: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec("s1", ephemeral_gib=2), deadline=LONG)
        await driver.spawn("h0", make_spec("s2", memory_mib=512), deadline=LONG, start=False)
        await driver.spawn("h0", make_spec("s3", image=None), deadline=LONG)

    fetch, first, second, third = times(main)
    assert (fetch.operation, fetch.seconds, fetch.image_bytes, fetch.beside) == ("fetch", 2.0, 200 * 2**20, 0)
    assert fetch.began == first.began
    assert (first.operation, first.seconds, first.host, first.outcome) == ("spawn", 4.0, "h0", Outcome.DONE)
    assert (first.vcpus, first.memory_mib, first.disk_gib) == (1, 1024.0, 3.0)
    assert (first.image_bytes, first.image_there, first.starts) == (200 * 2**20, False, True)
    assert (second.seconds, second.memory_mib, second.image_there, second.starts) == (1.0, 512.0, True, False)
    assert (third.seconds, third.image_bytes, third.image_there) == (2.0, None, None)


def test_sizes_are_remembered_while_servers_move_and_forgotten_when_they_go() -> None:
    async def main(driver: TimedDriver, watch: Stopwatch, _inner: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec("s1"), deadline=LONG)
        await driver.live_migrate("h0", key("s1", 1), "h1", generation=2, deadline=LONG)
        await driver.resize_begin("h1", key("s1", 2), "h2", make_spec("s1", 3, memory_mib=2048), deadline=LONG)
        assert watch.remembered == 2
        await driver.resize_finish("h2", key("s1", 3), deadline=LONG)
        await driver.resize_confirm("h1", key("s1", 2), deadline=LONG)
        assert watch.remembered == 1
        await driver.rebuild("h2", make_spec("s1", 4, memory_mib=2048), deadline=LONG)
        await driver.destroy("h2", key("s1", 4), deadline=LONG)
        await driver.destroy("h2", key("s1", 3), deadline=LONG)
        assert watch.remembered == 0

    told = [
        (each.operation, each.host, each.target, each.memory_mib) for each in times(main) if each.image_bytes is None
    ]
    assert told == [
        ("live_migrate", "h0", "h1", 1024.0),
        ("resize_begin", "h1", "h2", 1024.0),
        ("resize_finish", "h2", "", 2048.0),
        ("resize_confirm", "h1", "", 1024.0),
        ("destroy", "h2", "", 2048.0),
        ("destroy", "h2", "", 2048.0),
    ]


def test_a_server_that_moves_for_ever_is_remembered_twice_at_most() -> None:
    watch = Stopwatch(lambda _told: None)
    for generation in range(1, 20):
        watch.learn(make_spec("s1", generation))
    assert watch.remembered == 2


def test_operations_say_how_many_were_under_way_beside_them() -> None:
    async def main(driver: TimedDriver, _watch: Stopwatch, _inner: SimulatedDriver) -> None:
        async def later(seconds: float, number: int, host: str) -> None:
            await aio.sleep(seconds)
            await driver.spawn(host, make_spec(f"s{number}", image=None), deadline=LONG)

        await aio.gather(later(0, 0, "h0"), later(1, 1, "h0"), later(2.5, 2, "h0"), later(1, 3, "h1"))

    told = times(main)
    assert [(each.host, each.beside, each.elsewhere) for each in told] == [
        ("h0", 1, 1),
        ("h0", 2, 1),
        ("h1", 0, 3),
        ("h0", 1, 1),
    ]


def test_those_who_wait_for_one_image_all_say_that_it_was_not_there() -> None:
    async def main(driver: TimedDriver, _watch: Stopwatch, _inner: SimulatedDriver) -> None:
        other = make_image("other", mib=10)
        await aio.gather(
            driver.spawn("h0", make_spec("s1"), deadline=LONG),
            driver.spawn("h0", make_spec("s2"), deadline=LONG),
            driver.spawn("h1", make_spec("s3", image=other), deadline=LONG),
            driver.spawn("h0", make_spec("s4", image=None), deadline=LONG),
        )

    told = times(main)
    assert [(each.host, each.beside) for each in told if each.operation == "fetch"] == [("h1", 0), ("h0", 1)]
    there = [each.image_there for each in told if each.operation == "spawn"]
    assert there == [None, False, False, False]


def test_what_fails_and_what_nobody_knows_of_is_recorded_as_such() -> None:
    async def main(driver: TimedDriver, watch: Stopwatch, _inner: SimulatedDriver) -> None:
        with pytest.raises(BackendFailed):
            await driver.power_off("h0", key("s9"), deadline=LONG)
        with pytest.raises(BackendFailed):
            await driver.spawn("nowhere", make_spec("s1"), deadline=LONG)
        assert watch.remembered == 0
        with pytest.raises(OutcomeUnknown):
            await driver.spawn("h0", make_spec("s1"), deadline=1.5)
        with pytest.raises(TimeoutError):
            async with aio.timeout(0.25):
                await driver.fence("h0", deadline=LONG)

    told = [(each.operation, each.outcome, each.seconds, each.image_there) for each in times(main)]
    assert told == [
        ("power_off", "failed", 0.0, None),
        ("spawn", "failed", 0.0, None),
        ("spawn", "unknown", 1.5, None),
        ("fence", "unknown", 0.25, None),
    ]


def test_every_other_operation_is_recorded_by_its_name() -> None:
    async def main(driver: TimedDriver, _watch: Stopwatch, _inner: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec("s1"), deadline=LONG)
        server = ServerKey("s1", 1)
        await driver.power_off("h0", server, deadline=LONG, grace=60)
        await driver.power_on("h0", server, deadline=LONG)
        await driver.reboot("h0", server, "SOFT", deadline=LONG)
        await driver.reboot("h0", server, "HARD", deadline=LONG)
        await driver.pause("h0", server, deadline=LONG)
        await driver.unpause("h0", server, deadline=LONG)
        await driver.suspend("h0", server, deadline=LONG)
        await driver.resume("h0", server, deadline=LONG)
        await driver.rescue("h0", server, make_image("rescue"), deadline=LONG)
        await driver.unrescue("h0", server, deadline=LONG)
        await driver.plug("h0", server, make_port(), deadline=LONG)
        await driver.unplug("h0", server, "port-1", deadline=LONG)
        await driver.set_password("h0", server, "secret", deadline=LONG)
        await driver.snapshot("h0", server, Sink(), deadline=LONG)
        await driver.diagnostics("h0", server, deadline=LONG)
        await driver.console_log("h0", server, deadline=LONG)
        await driver.list_servers("h0", deadline=LONG)
        await driver.resize_begin("h0", server, "h0", replace(make_spec("s1", 2)), deadline=LONG)
        await driver.destroy("h0", ServerKey("s1", 2), deadline=LONG)
        await driver.resize_revert("h0", server, deadline=LONG)
        await driver.fence("h0", deadline=LONG)

    told = times(main)
    assert [each.operation for each in told[2:]] == [
        "power_off", "power_on", "reboot", "reboot", "pause", "unpause", "suspend", "resume", "fetch", "rescue",
        "unrescue", "plug", "unplug", "set_password", "snapshot", "diagnostics", "resize_begin", "destroy",
        "resize_revert", "fence",
    ]  # fmt: skip
    assert [each.soft for each in told if each.operation == "reboot"] == [True, False]
    assert [each.grace for each in told if each.grace is not None] == [60.0]
    assert all("secret" not in each.line() and "s1" not in each.line() for each in told)
