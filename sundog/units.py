"""Units of time and size: one parser for what people write, one formatter for what they read.

Inside the code a duration is a ``float`` in seconds, memory is MiB and disk is GiB; the names ``Seconds``, ``MiB``
and ``GiB`` say which. Text is parsed only at the edges (scenarios, command line).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of quantity: its units, of which the one that counts 1 is that of a bare number."""

    name: str
    of: str
    units: Mapping[str, float]
    known: str
    example: str

    def parse(self, value: object) -> float:
        if isinstance(value, str):
            match = _QUANTITY.fullmatch(value)
            if match is None:
                raise ValueError(f"{value!r} is not a {self.name}; write a number and a unit, such as {self.example!r}")
            if match[2] and match[2] not in self.units:
                raise ValueError(f"{match[2]!r} is not a unit of {self.of}; use one of {self.known}")
            number = float(match[1]) * self.units.get(match[2], 1.0)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{value!r} is not a {self.name}; write a number and a unit, such as {self.example!r}")
        else:
            number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{value!r} is not a finite {self.name}")
        return number


_SIZE_UNITS: Final = "KiB, MiB, GiB, TiB, PiB, kB, MB, GB, TB, PB"
_DURATION: Final = _Kind("duration", "time", _DURATIONS, "ms, s, min, h, d, w", "10 min")
_IN_MIB: Final = _Kind("size", "size", _SIZES, _SIZE_UNITS, "128 GiB")
_IN_GIB: Final = _Kind("size", "size", {unit: size / 1024.0 for unit, size in _SIZES.items()}, _SIZE_UNITS, "128 GiB")


def parse_duration(value: object) -> Seconds:
    """Seconds in ``value``: ``"30 d"``, ``"10 min"``, ``"1.5h"``, or a bare number, which is seconds.

    Raises: ValueError naming the units that exist.
    """
    return _DURATION.parse(value)


def parse_mebibytes(value: object) -> MiB:
    """Mebibytes in ``value``: ``"128 GiB"``, ``"2 TB"``, or a bare number, which is MiB.

    Raises: ValueError naming the units that exist.
    """
    return _IN_MIB.parse(value)


def parse_gibibytes(value: object) -> GiB:
    """Gibibytes in ``value``: ``"2 TiB"``, ``"500 GB"``, or a bare number, which is GiB (Nova's unit for disk).

    Raises: ValueError naming the units that exist.
    """
    return _IN_GIB.parse(value)


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
