"""Laws of lifetime: how long a VM lives, as small frozen values that can be written in YAML.

A law is asked in three ways, all vectorised: lifetimes from uniforms (an ordinary arrival), lifetimes given an age
already reached (a VM found running), and length-biased lifetimes (the VM that an inspector finds at a random instant).
The last two are what an equilibrium start needs; see ``initial.py``.

Laws take uniforms rather than a generator, so that every VM owns two draws whatever its law is: changing the law of one
flavor leaves the lifetimes of all others alone (common random numbers).
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from sundog.units import Seconds, parse_duration

Floats: TypeAlias = npt.NDArray[np.float64]


def _special() -> Any:
    """SciPy's special functions, imported when they are needed: a cloud that is served never does."""
    from scipy import special

    return special


def _duration(value: object) -> Seconds:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError(f"{value!r} is not above zero; a lifetime must be positive, such as '10 min'")
    return seconds


Duration: TypeAlias = Annotated[float, BeforeValidator(_duration)]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


LEAST_UNIFORM: Final = 2.0**-54
"""Stands for a draw of 0."""


def open_uniforms(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Floats:
    """Uniforms strictly inside (0, 1), so that no law answers a lifetime of zero or infinity. Shape: ``shape``."""
    uniforms: Floats = rng.random(shape)
    return np.maximum(uniforms, LEAST_UNIFORM, out=uniforms)


def known_law(*names: str) -> Callable[[Any], Any]:
    """A validator that refuses an unknown ``law:`` with the close names, before the union of laws is tried."""

    def check(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is not a law; write a mapping such as {{law: {names[0]}, ...}}")
        law = value.get("law")
        if law is None:
            raise ValueError(f"which law? add 'law:' with one of {', '.join(names)}")
        if law not in names:
            close = difflib.get_close_matches(str(law), names, n=2)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise ValueError(f"unknown law {law!r}; {hint}the laws are {', '.join(names)}")
        return value

    return check


class Law(BaseModel):
    """What every law of lifetime can be asked. Units: seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def mean_s(self) -> Seconds:
        """Mean lifetime in seconds; ``inf`` for VMs that never leave."""
        raise NotImplementedError

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x). Shape: that of ``x``."""
        raise NotImplementedError

    def cdf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime <= x). Shape: that of ``x``."""
        return 1.0 - self.sf(x)

    def at(self, draws: Floats) -> Floats:
        """Lifetimes for ``draws``, uniforms strictly inside (0, 1). Shapes: ``draws`` (n, 2), the result (n,)."""
        raise NotImplementedError

    def beyond(self, age: Floats, draws: Floats) -> Floats:
        """Whole lifetimes of VMs that have reached ``age``. Shapes: ``age`` (n,), ``draws`` (n, 2), the result (n,)."""
        raise NotImplementedError

    def length_biased(self, draws: Floats) -> Floats:
        """Lifetimes with density x f(x) / mean: those of the VMs running at a random instant."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, n: int) -> Floats:
        """``n`` independent lifetimes."""
        return self.at(open_uniforms(rng, (n, 2)))


class ClosedLaw(Law):
    """A law whose survival function has a closed inverse."""

    def isf(self, s: npt.ArrayLike) -> Floats:
        """The lifetime that is exceeded with probability ``s``, which lies in (0, 1). Shape: that of ``s``."""
        raise NotImplementedError

    def quantile(self, p: npt.ArrayLike) -> Floats:
        """The lifetime that is not exceeded with probability ``p``. Shape: that of ``p``."""
        return self.isf(1.0 - np.asarray(p, dtype=np.float64))

    def at(self, draws: Floats) -> Floats:
        """See ``Law.at``: the first uniform is the probability of living longer."""
        return self.isf(draws[:, 0])

    def beyond(self, age: Floats, draws: Floats) -> Floats:
        """See ``Law.beyond``: the first uniform scales the probability of reaching the age."""
        return np.maximum(self.isf(np.maximum(self.sf(age) * draws[:, 0], 2.0**-1000)), age)


class Exponential(ClosedLaw):
    """Memoryless: a VM's age says nothing of what is left."""

    law: Literal["exponential"] = "exponential"
    mean: Duration

    def mean_s(self) -> Seconds:
        """Mean lifetime in seconds."""
        return self.mean

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x)."""
        return np.exp(-np.maximum(np.asarray(x, dtype=np.float64), 0.0) / self.mean)

    def isf(self, s: npt.ArrayLike) -> Floats:
        """Inverse of ``sf``."""
        return -self.mean * np.log(np.asarray(s, dtype=np.float64))

    def length_biased(self, draws: Floats) -> Floats:
        """Gamma of shape 2: the sum of two exponentials."""
        return self.isf(draws[:, 0]) + self.isf(draws[:, 1])


class LogNormal(ClosedLaw):
    """Log-normal, by its ``median`` or its ``mean``, and ``sigma``, the standard deviation of ln(lifetime)."""

    law: Literal["lognormal"] = "lognormal"
    median: Duration | None = None
    mean: Duration | None = None
    sigma: float = Field(gt=0, le=10, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_location(self) -> LogNormal:
        if (self.median is None) == (self.mean is None):
            raise ValueError("a log-normal takes exactly one of 'median' and 'mean', and 'sigma'")
        return self

    @property
    def _mu(self) -> float:
        if self.median is not None:
            return math.log(self.median)
        assert self.mean is not None
        return math.log(self.mean) - self.sigma**2 / 2

    def mean_s(self) -> Seconds:
        """Mean lifetime in seconds."""
        return math.exp(self._mu + self.sigma**2 / 2)

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x)."""
        with np.errstate(divide="ignore"):
            log = np.log(np.maximum(np.asarray(x, dtype=np.float64), 0.0))
        return np.asarray(_special().ndtr((self._mu - log) / self.sigma), dtype=np.float64)

    def isf(self, s: npt.ArrayLike) -> Floats:
        """Inverse of ``sf``."""
        return np.exp(
            self._mu - self.sigma * np.asarray(_special().ndtri(np.asarray(s, dtype=np.float64)), dtype=np.float64)
        )

    def length_biased(self, draws: Floats) -> Floats:
        """Log-normal again, with its median moved up by sigma squared in the logarithm."""
        return self.isf(draws[:, 0]) * math.exp(self.sigma**2)


class Weibull(ClosedLaw):
    """Weibull: ``shape`` below one means that the old live on. ``scale`` (the 63rd percentile) or ``mean``."""

    law: Literal["weibull"] = "weibull"
    shape: float = Field(ge=0.1, le=100, allow_inf_nan=False)
    scale: Duration | None = None
    mean: Duration | None = None

    @model_validator(mode="after")
    def _one_location(self) -> Weibull:
        if (self.scale is None) == (self.mean is None):
            raise ValueError("a Weibull takes exactly one of 'scale' and 'mean', and 'shape'")
        return self

    @property
    def _scale(self) -> float:
        if self.scale is not None:
            return self.scale
        assert self.mean is not None
        return self.mean / float(_special().gamma(1 + 1 / self.shape))

    def mean_s(self) -> Seconds:
        """Mean lifetime in seconds."""
        return self._scale * float(_special().gamma(1 + 1 / self.shape))

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x)."""
        return np.exp(-((np.maximum(np.asarray(x, dtype=np.float64), 0.0) / self._scale) ** self.shape))

    def isf(self, s: npt.ArrayLike) -> Floats:
        """Inverse of ``sf``."""
        return self._scale * (-np.log(np.asarray(s, dtype=np.float64))) ** (1 / self.shape)

    def length_biased(self, draws: Floats) -> Floats:
        """(x / scale) ** shape is Gamma of shape 1 + 1 / ``shape``."""
        power = np.asarray(_special().gammainccinv(1 + 1 / self.shape, draws[:, 0]), dtype=np.float64)
        return self._scale * power ** (1 / self.shape)


class Branch(BaseModel):
    """One exponential of a hyper-exponential: chosen with ``probability``, of the given ``mean``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    probability: Probability
    mean: Duration


class HyperExponential(Law):
    """A choice among exponentials: many short lives and a few long ones. Probabilities sum to one."""

    law: Literal["hyperexponential"] = "hyperexponential"
    branches: tuple[Branch, ...]

    @field_validator("branches")
    @classmethod
    def _sum_to_one(cls, branches: tuple[Branch, ...]) -> tuple[Branch, ...]:
        total = math.fsum(branch.probability for branch in branches)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the probabilities of the branches sum to {total:.6g}; they must sum to one")
        return branches

    @property
    def _p(self) -> Floats:
        return np.array([branch.probability for branch in self.branches if branch.probability > 0])

    @property
    def _m(self) -> Floats:
        return np.array([branch.mean for branch in self.branches if branch.probability > 0])

    def mean_s(self) -> Seconds:
        """Mean lifetime in seconds."""
        return float(self._p @ self._m)

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x)."""
        points = np.maximum(np.asarray(x, dtype=np.float64), 0.0)
        return np.asarray(np.exp(-points[..., None] / self._m) @ self._p)

    def at(self, draws: Floats) -> Floats:
        """The branch is chosen by the second uniform, its exponential by the first."""
        longer: Floats = -np.log(draws[:, 0])
        return longer * self._m[_choose(self._p, draws[:, 1])]

    def beyond(self, age: Floats, draws: Floats) -> Floats:
        """An old VM is likelier to be of a long branch; what is left is exponential again."""
        # The longest branch's exponent is taken out, so that a great age does not underflow all branches to zero.
        exponent = age[:, None] * (1 / self._m.max() - 1 / self._m)
        cumulative = np.cumsum(self._p * np.exp(exponent), axis=1)
        branch = (draws[:, 1:] * cumulative[:, -1:] > cumulative).sum(axis=1)
        left: Floats = -np.log(draws[:, 0]) * self._m[np.minimum(branch, len(self._m) - 1)]
        return age + left

    def length_biased(self, draws: Floats) -> Floats:
        """A branch by its share of time; then Gamma of shape 2, its second uniform being what the choice leaves."""
        u, v = draws.T
        share = self._p * self._m / (self._p @ self._m)
        branch = _choose(share, v)
        start = np.concatenate(([0.0], np.cumsum(share)[:-1]))[branch]
        rest = np.clip((v - start) / share[branch], 2.0**-54, 1 - 2.0**-53)
        twice: Floats = -(np.log(u) + np.log(rest)) * self._m[branch]
        return twice


class Empirical(ClosedLaw):
    """A table of quantiles: ``[[0, 30 s], [0.5, 25 min], ..., [1, 90 d]]``, pairs (probability, lifetime).

    Between two rows the logarithm of the lifetime is linear in probability, so that a fit over six decades needs few
    rows. Both columns rise strictly; the first probability is 0 and the last is 1.
    """

    law: Literal["empirical"] = "empirical"
    quantiles: tuple[tuple[Probability, Duration], ...]

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, rows: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if len(rows) < 2:
            raise ValueError("a table of quantiles needs at least two rows, for the probabilities 0 and 1")
        if rows[0][0] != 0 or rows[-1][0] != 1:
            raise ValueError(f"quantiles run from probability 0 to 1, not from {rows[0][0]:g} to {rows[-1][0]:g}")
        for (p0, x0), (p1, x1) in itertools.pairwise(rows):
            if not (p0 < p1 and x0 < x1):
                raise ValueError(
                    f"quantiles must rise strictly in both columns: ({p0:g}, {x0:g} s) then ({p1:g}, {x1:g} s)"
                )
        return rows

    @property
    def _p(self) -> Floats:
        return np.array([p for p, _ in self.quantiles])

    @property
    def _log(self) -> Floats:
        return np.log([x for _, x in self.quantiles])

    @property
    def _segment_means(self) -> Floats:
        """Each segment's part of the mean; a segment is log-uniform. Shape: (rows - 1,)."""
        x = np.exp(self._log)
        return np.diff(self._p) * np.diff(x) / np.diff(self._log)

    def mean_s(self) -> Seconds:
        """Mean lifetime in seconds."""
        return float(self._segment_means.sum())

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x)."""
        with np.errstate(divide="ignore"):
            log = np.log(np.maximum(np.asarray(x, dtype=np.float64), 0.0))
        return 1.0 - np.interp(log, self._log, self._p)

    def isf(self, s: npt.ArrayLike) -> Floats:
        """Inverse of ``sf``."""
        return np.exp(np.interp(1.0 - np.asarray(s, dtype=np.float64), self._p, self._log))

    def length_biased(self, draws: Floats) -> Floats:
        """A segment by its share of the mean; inside it a length-biased log-uniform is plain uniform."""
        u, v = draws.T
        segment = _choose(self._segment_means / self._segment_means.sum(), v)
        x: Floats = np.exp(self._log)
        found: Floats = x[segment] + u * (x[segment + 1] - x[segment])
        return found


class Deterministic(ClosedLaw):
    """Every VM lives equally long."""

    law: Literal["deterministic"] = "deterministic"
    value: Duration

    def mean_s(self) -> Seconds:
        """The lifetime in seconds."""
        return self.value

    def sf(self, x: npt.ArrayLike) -> Floats:
        """P(lifetime > x): one before ``value`` and zero from there on."""
        return np.where(np.asarray(x, dtype=np.float64) < self.value, 1.0, 0.0)

    def isf(self, s: npt.ArrayLike) -> Floats:
        """``value`` everywhere."""
        return np.full(np.shape(s), self.value)

    def length_biased(self, draws: Floats) -> Floats:
        """``value`` everywhere."""
        return np.full(len(draws), self.value)


class Infinite(Law):
    """VMs never leave: their lifetime is NaN, which in the normalised trace says that they outlive it."""

    law: Literal["infinite"] = "infinite"

    def mean_s(self) -> Seconds:
        """Infinity."""
        return math.inf

    def sf(self, x: npt.ArrayLike) -> Floats:
        """One everywhere."""
        return np.ones(np.shape(x))

    def at(self, draws: Floats) -> Floats:
        """NaN everywhere."""
        return np.full(len(draws), np.nan)


def _choose(probabilities: Floats, v: Floats) -> npt.NDArray[np.intp]:
    """The index at which cumulative ``probabilities`` pass ``v``. Shape: that of ``v``."""
    inner = np.cumsum(probabilities)[:-1]
    return np.searchsorted(inner, v, side="right")


LIFETIME_LAWS: Final = (
    "exponential", "lognormal", "weibull", "hyperexponential", "empirical", "deterministic", "infinite",
)  # fmt: skip

LifetimeLaw: TypeAlias = Annotated[
    Exponential | LogNormal | Weibull | HyperExponential | Empirical | Deterministic | Infinite,
    Field(discriminator="law"),
    BeforeValidator(known_law(*LIFETIME_LAWS)),
]
