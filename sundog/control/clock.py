"""The cloud's clock: what time it is, how fast it goes, and going on to an instant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

from sundog.errors import Conflict, Invalid
from sundog.runtime import aio, clock
from sundog.units import Seconds

FASTEST: Final = 1e6
"""Simulated seconds a real one, at most: the clock never jumps while clients are connected, or their timeouts would."""

LONGEST: Final[Seconds] = 100 * 365.25 * 86_400
"""A step may be a century long. Calendars end, and a step that does not would keep the clock from everybody."""


@runtime_checkable
class Adjustable(Protocol):
    """A loop whose time can be told to go faster, slower, or not at all."""

    @property
    def rate(self) -> float:
        """Simulated seconds a real second."""
        ...

    def set_rate(self, rate: float) -> None:
        """Go on at another rate from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What the clock shows. ``elapsed_s`` counts from the start of the cloud; ``rate`` is 1.0 on real hosts.

    ``lag_s`` is how many real seconds a simulated cloud is behind its rate, ``slipped_s`` how many it gave up since it
    started.
    """

    time: datetime
    elapsed_s: Seconds
    rate: float
    lag_s: Seconds = 0.0
    slipped_s: Seconds = 0.0


class Clock:
    """Reads and sets the clock of the running loop."""

    def __init__(self) -> None:
        self._stepping = False

    def read(self) -> Reading:
        """What the clock shows now."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, Adjustable):
            return Reading(clock.utcnow(), clock.now(), 1.0)
        statistics = loop.statistics()  # type: ignore[attr-defined]
        return Reading(clock.utcnow(), clock.now(), loop.rate, statistics.lag, statistics.slipped)

    def set_rate(self, rate: float) -> Reading:
        """Go on at ``rate``; 0 is a pause.

        Raises: Invalid for a rate below 0 or above ``FASTEST``; Conflict on real hosts, and while a step is under way.
        """
        if not 0.0 <= rate <= FASTEST:
            raise Invalid(f"a rate of {rate:g} makes no sense; use 0 for a pause, or up to {FASTEST:g}", rate=rate)
        if self._stepping:
            raise Conflict("the clock is on its way to an instant; wait until it has come there")
        self._adjustable().set_rate(rate)
        return self.read()

    async def step(self, seconds: Seconds) -> Reading:
        """Go on for that long as fast as events can be played, and pause there.

        Raises: Invalid for a time that is not ahead, or more than a century; Conflict on real hosts, and while another
        step is under way.
        """
        if not 0.0 < seconds <= LONGEST:
            raise Invalid(
                f"a step of {seconds:g} seconds makes no sense; it must lead ahead, a century at most", seconds=seconds
            )
        loop = self._adjustable()
        if self._stepping:
            raise Conflict("the clock is on its way to an instant; wait until it has come there")
        self._stepping, before = True, loop.rate
        loop.set_rate(FASTEST)
        try:
            await aio.sleep(seconds)
        except BaseException:
            loop.set_rate(before)  # whoever asked has gone: time goes on as it did
            raise
        else:
            loop.set_rate(0.0)
        finally:
            self._stepping = False
        return self.read()

    def _adjustable(self) -> Adjustable:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, Adjustable):
            raise Conflict("this cloud has real hosts: its time is everybody's and cannot be set")
        return loop
