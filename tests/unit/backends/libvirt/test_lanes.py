"""No two threads use one connection, whatever hangs, breaks off or is given up."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sundog.backends.contract import HostState
from sundog.backends.libvirt.lanes import Lane, NotOpened
from sundog.backends.libvirt.link import HostSpec, Link, Patience
from sundog.backends.libvirt.threads import NotStarted
from sundog.errors import HostDown, OutcomeUnknown, SundogError
from tests.unit.backends.libvirt.fake_libvirt import UUID, Connection, Host, Library, LibvirtError

URI = "qemu+tls://a/system"


class Shared:
    """What a connection is to those who use it; ``ended`` counts how often it was closed."""

    def __init__(self) -> None:
        self.ended = 0

    def isAlive(self) -> bool:  # noqa: N802
        return not self.ended


def make_lane() -> tuple[Lane, list[Shared]]:
    made: list[Shared] = []

    def make() -> Shared:
        made.append(Shared())
        return made[-1]

    def end(connection: Shared) -> None:
        connection.ended += 1

    return Lane(make, end), made


def test_a_connection_is_made_by_its_first_user_and_kept() -> None:
    lane, made = make_lane()
    assert made == []
    assert lane.is_usable()
    first, second = lane.use(lambda connection: connection), lane.use(lambda connection: connection)
    assert made == [first] == [second]


def test_a_second_user_is_refused_and_does_not_spoil_the_first() -> None:
    lane, _ = make_lane()

    def intrude() -> None:
        assert not lane.is_usable()
        with pytest.raises(NotStarted):
            lane.use(lambda _connection: None)

    lane.use(lambda _connection: intrude())
    assert lane.is_usable()


def test_a_connection_that_is_given_up_is_closed_once_by_its_last_user() -> None:
    lane, made = make_lane()

    def given_up() -> None:
        assert not lane.give_up()  # it is in use
        assert made[0].ended == 0

    lane.use(lambda _connection: given_up())
    assert made[0].ended == 1
    assert not lane.give_up()
    with pytest.raises(NotStarted):
        lane.use(lambda _connection: None)


def test_a_connection_that_nobody_uses_is_closed_by_whoever_gives_it_up() -> None:
    lane, made = make_lane()
    lane.use(lambda _connection: None)
    assert lane.give_up()
    assert not lane.give_up()
    lane.close()
    lane.close()
    assert made[0].ended == 1


def test_a_connection_that_cannot_be_made_is_tried_again_by_the_next() -> None:
    tries = iter((NotOpened("refused"), None))

    def make() -> Shared:
        if (error := next(tries)) is not None:
            raise error
        return Shared()

    lane = Lane(make, lambda _connection: None)
    with pytest.raises(NotOpened):
        lane.use(lambda _connection: None)
    assert isinstance(lane.use(lambda connection: connection), Shared)


class Watched(Connection):
    """A connection that says when two threads are in it."""

    def __init__(self, host: Host, seen: Seen) -> None:
        super().__init__(host)
        self.seen, self.inside = seen, threading.Lock()

    def work(self, seconds: float) -> None:
        with self.seen.alone(self):
            time.sleep(seconds)

    def getLibVersion(self) -> int:  # noqa: N802
        with self.seen.alone(self):
            return super().getLibVersion()

    def close(self) -> None:
        with self.seen.alone(self):
            super().close()


class Seen:
    """What was seen of connections."""

    def __init__(self) -> None:
        self.made: list[Watched] = []
        self.shared = 0

    def alone(self, connection: Watched) -> Any:
        if connection.inside.locked():
            self.shared += 1
        return connection.inside


class Watching(Library):
    """The library, whose connections are watched."""

    def __init__(self, seen: Seen, host: Host) -> None:
        super().__init__(a=host)
        self.seen, self.refused = seen, False

    def open(self, uri: str) -> Watched:
        if self.refused:
            raise LibvirtError("unable to connect to server: Connection refused", 38)
        super().open(uri)
        self.seen.made.append(Watched(self.hosts[uri], self.seen))
        return self.seen.made[-1]


@contextlib.asynccontextmanager
async def connected(library: Library, patience: Patience = Patience()) -> AsyncIterator[Link]:  # noqa: B008 - frozen
    """A host that is up."""
    link = Link(0, HostSpec("host-1", URI, uuid=UUID, cloud="ours"), library, lambda _event: None, patience)
    task = asyncio.create_task(link.run())
    try:
        await up(link)
        yield link
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def up(link: Link) -> None:
    async with asyncio.timeout(30):
        while link.state is not HostState.UP:
            await asyncio.sleep(0.001)


def test_calls_that_hang_and_hosts_that_break_off_leave_each_connection_to_one_thread() -> None:
    seen, host, dice = Seen(), Host(), random.Random(5)
    library = Watching(seen, host)
    patience = Patience(pulse=0.02, silent=0.2, restart=0.2, connect=5.0, call=0.05)

    async def main() -> None:
        async with connected(library, patience) as link:

            async def ask(seconds: float) -> None:
                try:
                    await link.call("work", lambda connection: connection.work(seconds))
                except (OutcomeUnknown, HostDown):
                    pass
                except SundogError as error:
                    assert "not begun" in error.message  # noqa: PT017 - which of them it is

            for _ in range(6):
                asked = [asyncio.create_task(ask(dice.choice((0.0, 0.001, 0.01, 0.1)))) for _ in range(30)]
                await asyncio.sleep(0.02)
                host.refuses = {"getLibVersion": LibvirtError("End of file while reading data", 38)}
                library.refused = True
                await asyncio.gather(*asked)
                host.refuses, library.refused = {}, False
                await up(link)
            await ask(0.0)
        async with asyncio.timeout(30):  # who hung has come back, and closed what it used
            while not all(connection.closed for connection in seen.made):
                await asyncio.sleep(0.005)

    asyncio.run(main())
    assert seen.shared == 0
    assert len(seen.made) > 12


def test_however_many_call_at_once_there_are_no_more_connections_than_calls_at_a_time() -> None:
    seen = Seen()
    library = Watching(seen, Host())

    async def main() -> None:
        async with connected(library) as link:
            few = len(seen.made)
            for _ in range(3):
                await asyncio.gather(*(link.call("work", lambda each: each.work(0.001)) for _ in range(50)))
            assert few < len(seen.made) <= few + 3  # one of four was there
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(9):
                    lane = await stack.enter_async_context(link.lane())
                    await link.call("work", lambda each: each.work(0.0), lane=lane)
            async with asyncio.timeout(30):  # those that are too many once nobody uses them
                while sum(not each.closed for each in seen.made) > few + 3:
                    await asyncio.sleep(0.005)

    asyncio.run(main())


def test_calls_that_may_take_long_hold_up_no_others_on_their_host() -> None:
    ended = threading.Event()

    async def main() -> None:
        async with connected(Library(a=Host())) as link:
            moves = [asyncio.create_task(link.call("move", lambda _: ended.wait(), limit=3600)) for _ in range(20)]
            await asyncio.sleep(0.05)
            try:
                assert await link.call("look", lambda _connection: "seen", limit=1.0) == "seen"
                assert not any(move.done() for move in moves)
            finally:
                ended.set()
            assert await asyncio.gather(*moves) == [True] * 20

    asyncio.run(main())


def test_what_takes_several_calls_has_its_connection_to_itself() -> None:
    seen = Seen()
    library = Watching(seen, Host())

    async def main() -> None:
        async with connected(library) as link, link.lane() as lane:
            mine = [await link.call("mine", lambda connection: connection, lane=lane) for _ in range(3)]
            others = {await link.call("other", lambda connection: connection) for _ in range(3)}
            assert len(set(mine)) == 1
            assert len(others) == 1
            assert others.isdisjoint(mine)

    asyncio.run(main())
