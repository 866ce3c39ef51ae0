"""The cloud's clock, read and set."""

from __future__ import annotations

import asyncio
import math

import pytest

from sundog.control.clock import FASTEST, Clock
from sundog.errors import Conflict, Invalid
from sundog.runtime import aio, clock, warp


def test_a_reading_is_what_the_loop_shows():
    async def main(_world):
        await aio.sleep(90.0)
        return Clock().read()

    reading = warp.run(main)
    assert (reading.elapsed_s, reading.time, reading.rate) == (90.0, clock.EPOCH.replace(minute=1, second=30), math.inf)


def test_the_rate_can_be_set_and_time_goes_on_from_where_it_was():
    async def main(_world):
        cloud_clock = Clock()
        await aio.sleep(10.0)
        told = cloud_clock.set_rate(600.0)
        return told, cloud_clock.set_rate(0.0)

    faster, paused = warp.run(main)
    assert (faster.rate, paused.rate) == (600.0, 0.0)
    assert 10.0 <= faster.elapsed_s <= paused.elapsed_s


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, 2 * FASTEST])
def test_a_rate_that_makes_no_sense_is_refused(rate):
    async def main(_world):
        Clock().set_rate(rate)

    with pytest.raises(Invalid, match="makes no sense"):
        warp.run(main)


def test_a_step_plays_all_that_happens_up_to_its_end_and_pauses_there():
    async def main(world):
        seen, cloud_clock = [], Clock()

        async def hourly():
            while True:
                await aio.sleep(3600.0)
                seen.append(clock.now())

        async with aio.TaskGroup() as group:
            watching = group.create_task(hourly())
            cloud_clock.set_rate(0.0)
            reading = await cloud_clock.step(3 * 3600.0 + 1.0)
            watching.cancel()
        return seen, reading

    seen, reading = warp.run(main, rate=1.0)
    assert seen == [3600.0, 7200.0, 10800.0]
    assert reading.rate == 0.0
    assert 10801.0 <= reading.elapsed_s < 14400.0


def test_while_a_step_is_under_way_nobody_else_sets_the_clock():
    async def main(_world):
        cloud_clock = Clock()
        async with aio.TaskGroup() as group:
            group.create_task(cloud_clock.step(1000.0))
            await aio.sleep(1.0)
            with pytest.raises(Conflict):
                cloud_clock.set_rate(1.0)
            with pytest.raises(Conflict):
                await cloud_clock.step(1.0)
        return cloud_clock.set_rate(5.0).rate

    assert warp.run(main) == 5.0


def test_a_step_whose_client_is_gone_leaves_the_rate_as_it_was():
    async def main(_world):
        cloud_clock = Clock()
        cloud_clock.set_rate(50.0)
        stepping = asyncio.ensure_future(cloud_clock.step(1e6))
        await aio.sleep(10.0)
        stepping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stepping
        return cloud_clock.set_rate(cloud_clock.read().rate).rate

    assert warp.run(main) == 50.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_a_step_must_lead_ahead(seconds):
    async def main(_world):
        await Clock().step(seconds)

    with pytest.raises(Invalid, match="makes no sense"):
        warp.run(main)


def test_on_real_hosts_time_can_be_read_and_not_set():
    async def main():
        cloud_clock = Clock()
        with pytest.raises(Conflict, match="real hosts"):
            cloud_clock.set_rate(2.0)
        with pytest.raises(Conflict, match="real hosts"):
            await cloud_clock.step(2.0)
        return cloud_clock.read()

    reading = asyncio.run(main())
    assert (reading.rate, reading.lag_s, reading.slipped_s) == (1.0, 0.0, 0.0)
