"""Keeps a network driver told what there is to be: after changes, before a port is plugged, and again now and then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sundog.backends.networks import NetworkDriver, Report, Wiring
from sundog.control.network.books import Books
from sundog.control.network.wiring import read_wiring
from sundog.errors import SundogError
from sundog.runtime import aio, clock
from sundog.units import Seconds

LOOK_S: Final = 1.0
"""How often the books are looked at."""

AGAIN_S: Final = 60.0
"""How often everything is said again: hosts come back, and people pull cables."""

LIMIT_S: Final = 300.0


class Wirer:
    """The books of the network on one side, a driver on the other."""

    def __init__(self, books: Books, driver: NetworkDriver) -> None:
        self._books, self._driver = books, driver
        self._turn = aio.Lock()
        self._said: Wiring | None = None
        self._said_at: Seconds = 0.0
        self.report = Report()
        self.failure: SundogError | None = None

    async def settle(self, *, deadline: Seconds = LIMIT_S, again: bool = False) -> Report:
        """Tell the driver what is in the books, unless it was told that already; ``again`` tells it anyhow.

        Returns what became of it. Raises: what the driver does.
        """
        async with self._turn:
            with self._books.reading() as tx:
                wiring = read_wiring(tx)
            if again or wiring != self._said:
                self._said = None
                self.report = await self._driver.apply(wiring, deadline=deadline)
                self._said, self._said_at = wiring, clock.now()
            return self.report

    async def bind(self, host: str, ports: Sequence[str], *, deadline: Seconds = LIMIT_S) -> None:
        """Have these ports ready on a host before they are plugged there, with the filters that hold now."""
        await self.settle(deadline=deadline)
        await self._driver.bind(host, ports, deadline=deadline)

    async def run(self) -> None:
        """Look at the books for ever. What fails is kept in ``failure``, and tried again."""
        while True:
            try:
                await self.settle(again=self._said is not None and clock.now() - self._said_at >= AGAIN_S)
                self.failure = None
            except SundogError as error:
                self.failure = error
            await aio.sleep(LOOK_S)
