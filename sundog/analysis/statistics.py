"""Small statistics that every table of the report shares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sundog.analysis.tables import Floats

DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are spread: how many, mean, median, 90 % and 99 % quantiles and maximum. NaN where there are none."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    maximum: float


def spread(values: Floats) -> Spread:
    """The spread of the values that are not NaN. Quantiles interpolate linearly between order statistics.

    Source: Hyndman and Fan (1996), definition 7, numpy's default.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return Spread(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    p50, p90, p99 = (float(q) for q in np.quantile(known, [0.5, 0.9, 0.99]))
    return Spread(len(known), float(known.mean()), p50, p90, p99, float(known.max()))


def significant(value: float, digits: int = DIGITS) -> float:
    """``value`` to ``digits`` significant digits: the last bits of a sum are not results."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value
