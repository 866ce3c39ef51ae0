"""Keeps a network driver told what there is to be: after changes, before a port is plugged, and again now and then."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from sundog.backends.networks import NetworkDriver, Report, Wiring
from sundog.control.network.books import Books
from sundog.control.network.wiring import read_wiring
from sundog.errors import InvariantError, SundogError
from sundog.runtime import aio, clock
from sundog.units import Seconds

_LOG: Final = logging.getLogger("sundog.network")

LOOK_S: Final = 1.0
"""How often the books are looked at."""

SOON_S: Final = 5.0
"""After how long what failed is tried again."""

AGAIN_S: Final = 60.0
"""How often everything is said again: hosts come back, and people pull cables."""

LIMIT_S: Final = 300.0


class Wires(Protocol):
    """What the control plane has of the wires between servers."""

    @property
    def report(self) -> Report:
        """What is not so of what is in the books, as far as it is known."""
        ...

    async def settle(self) -> Report:
        """Return when the driver has what is in the books; before anything is sent by a new or moved server.

        What a server needs on its own host the drivers see to; other hosts follow.

        Raises: BackendFailed, OutcomeUnknown.
        """
        ...

    def forget(self) -> None:
        """A host has come, or come back, and may know nothing of what was said before."""
        ...

    async def run(self) -> None:
        """Follow the books, for as long as there is anything to follow."""
        ...


class Unwired:
    """The wires of a cloud in which nothing is sent."""

    report: Final = Report()

    async def settle(self) -> Report:
        """There is nothing to be done."""
        return self.report

    def forget(self) -> None:
        """Nothing is known."""

    async def run(self) -> None:
        """Nothing is followed."""


class Wirer:
    """The books of the network on one side, a driver on the other."""

    def __init__(self, books: Books, driver: NetworkDriver) -> None:
        self._books, self._driver = books, driver
        self._turn = aio.Lock()
        self._said: Wiring | None = None
        self._said_at: Seconds = 0.0
        self._seen = -1
        self._rounds = 0
        self._told: frozenset[str] = frozenset()
        self.failure: SundogError | None = None

    @property
    def report(self) -> Report:
        """What became of the books as they were last said, and why saying them failed, if it did."""
        report, failure = self._driver.report, () if self.failure is None else (self.failure.message,)
        return Report(report.left_out, (*report.failed, *failure))

    def forget(self) -> None:
        """Whoever settles next says everything again."""
        self._said = None
        self._rounds += 1

    async def settle(self, *, deadline: Seconds = LIMIT_S, again: bool = False) -> Report:
        """Tell the driver what is in the books, unless it was told that already; ``again`` tells it anyhow.

        Returns what became of it. Raises: what the driver does.
        """
        async with self._turn:
            changes = self._books.changes
            if self._said is not None and changes == self._seen and not again:
                return self._driver.report
            with self._books.reading() as tx:
                wiring = read_wiring(tx)
            self._seen = changes
            if again or wiring != self._said:
                self._said, rounds = None, self._rounds
                await self._driver.apply(wiring, deadline=deadline)
                if rounds == self._rounds:  # nothing was forgotten meanwhile
                    self._said, self._said_at = wiring, clock.now()
            return self._driver.report

    async def run(self) -> None:
        """Look at the books for ever. What fails is kept in ``failure``, and tried again."""
        while True:
            try:
                await self.settle(again=self._is_due())
                self.failure = None
            except SundogError as error:
                self.failure = error
            except Exception as error:  # noqa: BLE001 - the root of a task: guests must not lose their wires for a bug
                _LOG.error("the network is not as it is to be", exc_info=error)
                self.failure = InvariantError(f"{type(error).__name__}: {error}")
            self._tell()
            await aio.sleep(LOOK_S if self.failure is None else SOON_S)

    def _is_due(self) -> bool:
        """Whether it is time to say everything again."""
        wait = SOON_S if self._driver.report.failed else AGAIN_S
        return self._said is not None and clock.now() - self._said_at >= wait

    def _tell(self) -> None:
        """Say what is new of what is not as it is to be, each once for as long as it stays."""
        report = self.report
        lines = (*report.left_out, *report.failed)
        for line in lines:
            if line not in self._told:
                _LOG.warning("%s", line)
        self._told = frozenset(lines)
