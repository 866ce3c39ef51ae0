"""Clocks: the virtual now for everything inside a world, the wall's time for its edges.

This is the only module that reads the machine's clocks. Code of the control plane and of the simulation calls ``now``
and ``utcnow``, which follow the running event loop, whatever that loop's time is. Progress bars, benchmarks and
report headers are edges: they may call the others, and nothing that they read may reach a result.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from sundog.units import Seconds

# What a virtual world's calendar shows at second 0, unless it is told otherwise: a Monday, so that weekly patterns of
# a workload fall on the days they are named after.
EPOCH: Final = datetime(2024, 1, 1, tzinfo=UTC)


class VirtualClock:
    """Mixed into an event loop whose ``time()`` counts simulated seconds from ``epoch``."""

    epoch: datetime = EPOCH


def now() -> Seconds:
    """Seconds on the running loop's clock. Only differences mean anything on an ordinary loop.

    Raises: RuntimeError where no loop runs.
    """
    return asyncio.get_running_loop().time()


def utcnow() -> datetime:
    """The date and time (aware, UTC): the epoch plus the loop's time in a virtual world, else the machine's.

    Raises: RuntimeError where no loop runs; an edge wants ``wall_utcnow``.
    """
    loop = asyncio.get_running_loop()
    return loop.epoch + timedelta(seconds=loop.time()) if isinstance(loop, VirtualClock) else wall_utcnow()


def wall_utcnow() -> datetime:
    """The machine's date and time (aware, UTC). For edges."""
    return datetime.now(UTC)


def wall_seconds() -> Seconds:
    """Seconds since 1970 on the machine's clock, which may be set back. For edges; measure with ``monotonic``."""
    return time.time()


def monotonic() -> Seconds:
    """Seconds on a clock of the machine that never goes back, from an arbitrary zero. For edges."""
    return time.monotonic()


def cpu_seconds() -> Seconds:
    """Seconds of processor time, user and system, that this process has used. For benchmarks."""
    return time.process_time()
