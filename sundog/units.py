"""Units of time and size: one parser for what people write, one formatter for what they read.

Inside the code a duration is a ``float`` in seconds, memory is MiB and disk is GiB; the names ``Seconds``, ``MiB``
and ``GiB`` say which. Text is parsed only at the edges (scenarios, command line).
"""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

Seconds: TypeAlias = float
MiB: TypeAlias = float
GiB: TypeAlias = float

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
WEEK: Final = 7 * DAY

_DURATIONS: Final = {
    "ms": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "min": MINUTE, "minute": MINUTE, "minutes": MINUTE,
    "h": HOUR, "hour": HOUR, "hours": HOUR,
    "d": DAY, "day": DAY, "days": DAY,
    "w": WEEK, "week": WEEK, "weeks": WEEK,
}  # fmt: skip

# In MiB. Decimal units are the manufacturer's (a 2 TB disk is 1.82 TiB), so both kinds are accepted and differ.
_SIZES: Final = {
    "KiB": 2.0**-10, "MiB": 1.0, "GiB": 2.0**10, "TiB": 2.0**20, "PiB": 2.0**30,
    "kB": 1e3 / 2**20, "MB": 1e6 / 2**20, "GB": 1e9 / 2**20, "TB": 1e12 / 2**20, "PB": 1e15 / 2**20,
}  # fmt: skip

_QUANTITY: Final = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)\s*")


def _split(text: str, what: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a {what}; write a number and a unit, such as {example!r}")
    return float(match[1]), match[2]


def parse_duration(value: str | float) -> Seconds:
    """Seconds in ``value``: ``"30 d"``, ``"10 min"``, ``"1.5h"``, or a bare number, which is seconds.

    Raises: ValueError naming the units that exist.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as '10 min'")
    if isinstance(value, int | float):
        seconds = float(value)
    else:
        number, unit = _split(value, "duration", "10 min")
        if unit and unit not in _DURATIONS:
            raise ValueError(f"{unit!r} is not a unit of time; use one of ms, s, min, h, d, w")
        seconds = number * _DURATIONS.get(unit, 1.0)
    if not math.isfinite(seconds):
        raise ValueError(f"{value!r} is not a finite duration")
    return seconds


def parse_mebibytes(value: str | float) -> MiB:
    """Mebibytes in ``value``: ``"128 GiB"``, ``"2 TB"``, or a bare number, which is MiB.

    Raises: ValueError naming the units that exist.
    """
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not a size; write a number and a unit, such as '128 GiB'")
    if isinstance(value, int | float):
        mebibytes = float(value)
    else:
        number, unit = _split(value, "size", "128 GiB")
        if unit and unit not in _SIZES:
            raise ValueError(f"{unit!r} is not a unit of size; use one of KiB, MiB, GiB, TiB, PiB, kB, MB, GB, TB, PB")
        mebibytes = number * _SIZES.get(unit, 1.0)
    if not math.isfinite(mebibytes):
        raise ValueError(f"{value!r} is not a finite size")
    return mebibytes


def parse_gibibytes(value: str | float) -> GiB:
    """Gibibytes in ``value``: ``"2 TiB"``, ``"500 GB"``, or a bare number, which is GiB (Nova's unit for disk).

    Raises: ValueError naming the units that exist.
    """
    if isinstance(value, str) and _QUANTITY.fullmatch(value) and not value.strip()[-1].isalpha():
        value = float(value)
    return parse_mebibytes(value) / 1024.0 if isinstance(value, str) else parse_mebibytes(value)


def format_duration(seconds: Seconds) -> str:
    """``seconds`` for a reader, in the largest unit that keeps it above one: ``"2.5 d"``, ``"90 s"``."""
    if not math.isfinite(seconds):
        return str(seconds)
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"


def format_mebibytes(mebibytes: MiB) -> str:
    """``mebibytes`` for a reader: ``"128 GiB"``."""
    for unit in ("PiB", "TiB", "GiB"):
        if abs(mebibytes) >= _SIZES[unit]:
            return f"{mebibytes / _SIZES[unit]:.4g} {unit}"
    return f"{mebibytes:.4g} MiB"
