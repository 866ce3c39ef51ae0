"""From records to what goes over the wire."""

from __future__ import annotations

from typing import Any

from sundog.control.clock import Reading


def clock(reading: Reading) -> dict[str, Any]:
    """The clock: the calendar's time in UTC, seconds since the cloud's start, rate and lag."""
    return {
        "clock": {
            "time": reading.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "elapsed_s": reading.elapsed_s,
            "rate": reading.rate,
            "lag_s": reading.lag_s,
            "slipped_s": reading.slipped_s,
        }
    }
