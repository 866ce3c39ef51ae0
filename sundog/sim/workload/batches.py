"""Laws of batch size: how many VMs one request starts, and whether they also end together."""

from __future__ import annotations

import itertools
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from sundog.sim.workload.laws import Floats, Probability, known_law

Counts: TypeAlias = npt.NDArray[np.int64]

LARGEST_BATCH: Final = 1_000_000


class Batch(BaseModel):
    """What every law of batch size can be asked.

    ``shared_lifetime`` is the probability that all VMs of a batch have one and the same lifetime; in the other batches
    the lifetimes are independent. A VM's own law is the same in both, and the share is also the correlation between
    the lifetimes of two VMs of one batch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    shared_lifetime: Probability = 0.0

    def mean_size(self) -> float:
        """Mean number of VMs in a batch."""
        raise NotImplementedError

    def at(self, u: Floats) -> Counts:
        """Sizes for uniforms strictly inside (0, 1). Shape: that of ``u``."""
        raise NotImplementedError

    def size_biased(self, draws: Floats) -> Counts:
        """Sizes of the batches of n VMs picked at random: k counts k times. Shapes: ``draws`` (n, 2), result (n,)."""
        raise NotImplementedError


class ConstantBatch(Batch):
    """Every batch has ``size`` VMs."""

    law: Literal["constant"] = "constant"
    size: int = Field(default=1, ge=1, le=LARGEST_BATCH)

    def mean_size(self) -> float:
        """The size."""
        return float(self.size)

    def at(self, u: Floats) -> Counts:
        """``size`` everywhere."""
        return np.full(len(u), self.size, dtype=np.int64)

    def size_biased(self, draws: Floats) -> Counts:
        """``size`` everywhere."""
        return np.full(len(draws), self.size, dtype=np.int64)


class GeometricBatch(Batch):
    """P(size = k) = (1 - q) q ** (k - 1) for k = 1, 2, ..., by its ``mean``."""

    law: Literal["geometric"] = "geometric"
    mean: float = Field(ge=1, le=LARGEST_BATCH, allow_inf_nan=False)

    def mean_size(self) -> float:
        """The mean."""
        return self.mean

    def at(self, u: Floats) -> Counts:
        """Sizes by the inverse of the distribution function."""
        if self.mean == 1:
            return np.ones(len(u), dtype=np.int64)
        sizes: Counts = np.ceil(np.log(u) / np.log1p(-1 / self.mean)).astype(np.int64)
        return np.maximum(sizes, 1)

    def size_biased(self, draws: Floats) -> Counts:
        """The sum of two of these laws, less one."""
        return self.at(draws[:, 0]) + self.at(draws[:, 1]) - 1


class EmpiricalBatch(Batch):
    """A table ``[[0.57, 1], [0.75, 2], ..., [1, 1404]]`` of pairs (probability that a batch is no larger, size).

    Between two rows the probability is linear in the logarithm of the size. Both columns rise strictly; the last
    probability is 1. The first row is the smallest size.
    """

    law: Literal["empirical"] = "empirical"
    quantiles: tuple[tuple[Probability, Annotated[int, Field(ge=1, le=LARGEST_BATCH)]], ...]

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, rows: tuple[tuple[float, int], ...]) -> tuple[tuple[float, int], ...]:
        if not rows:
            raise ValueError("a table of batch sizes needs at least one row, [1, size]")
        if rows[0][0] <= 0 or rows[-1][0] != 1:
            raise ValueError(
                f"the first probability must be above 0 and the last 1, not {rows[0][0]:g} and {rows[-1][0]:g}"
            )
        for (p0, k0), (p1, k1) in itertools.pairwise(rows):
            if not (p0 < p1 and k0 < k1):
                raise ValueError(f"quantiles must rise strictly in both columns: ({p0:g}, {k0}) then ({p1:g}, {k1})")
        return rows

    @property
    def _cdf(self) -> Floats:
        """P(size <= k) for k from the smallest size to the largest. Shape: (largest - smallest + 1,)."""
        p, k = (np.array(column, dtype=np.float64) for column in zip(*self.quantiles, strict=True))
        cdf = np.interp(np.log(np.arange(k[0], k[-1] + 1)), np.log(k), p)
        cdf[-1] = 1.0
        return cdf

    @property
    def _smallest(self) -> int:
        return self.quantiles[0][1]

    def mean_size(self) -> float:
        """Mean of the whole table, interpolated sizes included."""
        return float(self._smallest + np.sum(1.0 - self._cdf))

    def at(self, u: Floats) -> Counts:
        """Sizes by the inverse of the distribution function."""
        above: Counts = np.searchsorted(self._cdf, u, side="left").astype(np.int64)
        return above + self._smallest

    def size_biased(self, draws: Floats) -> Counts:
        """Sizes with probability proportional to k P(size = k)."""
        weights = np.cumsum(np.diff(self._cdf, prepend=0.0) * (self._smallest + np.arange(len(self._cdf))))
        above: Counts = np.searchsorted(weights[:-1], draws[:, 0] * weights[-1], side="right").astype(np.int64)
        return above + self._smallest


BATCH_LAWS: Final = ("constant", "geometric", "empirical")

BatchLaw: TypeAlias = Annotated[
    ConstantBatch | GeometricBatch | EmpiricalBatch,
    Field(discriminator="law"),
    BeforeValidator(known_law(*BATCH_LAWS)),
]
