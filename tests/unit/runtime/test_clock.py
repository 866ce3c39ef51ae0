import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sundog.runtime import aio, clock, warp


def test_now_and_utcnow_follow_the_virtual_clock() -> None:
    async def main(world: warp.World) -> tuple[float, datetime]:
        await aio.sleep(90061.5)
        return clock.now(), clock.utcnow()

    assert warp.run(main) == (90061.5, datetime(2024, 1, 2, 1, 1, 1, 500_000, UTC))


def test_the_calendar_of_a_world_begins_where_it_is_told_to() -> None:
    begin = datetime(2019, 7, 1, tzinfo=UTC)

    async def main(world: warp.World) -> datetime:
        await aio.sleep(60)
        return clock.utcnow()

    assert warp.run(main, epoch=begin) == begin + timedelta(minutes=1)


def test_world_processes_read_the_same_clock() -> None:
    seen = []

    def host(world: warp.World) -> warp.ProcessGenerator:
        yield world.timeout(3)
        seen.append((world.now, clock.now(), clock.utcnow()))

    async def main(world: warp.World) -> None:
        await warp.of(world.process(host(world)))

    warp.run(main)
    assert seen == [(3.0, 3.0, clock.EPOCH + timedelta(seconds=3))]


def test_an_ordinary_loop_has_the_machine_s_time() -> None:
    async def main() -> tuple[bool, datetime]:
        return clock.now() == pytest.approx(asyncio.get_running_loop().time(), abs=60), clock.utcnow()

    before = clock.wall_utcnow()
    same, now = asyncio.run(main())
    assert same
    assert before <= now <= clock.wall_utcnow()
    assert now.tzinfo is UTC


def test_clocks_of_the_machine_count_up() -> None:
    assert clock.monotonic() <= clock.monotonic()
    assert 0.0 < clock.cpu_seconds() <= clock.cpu_seconds()
    assert clock.wall_seconds() > datetime(2024, 1, 1, tzinfo=UTC).timestamp()


def test_without_a_loop_there_is_no_virtual_now() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        clock.now()
