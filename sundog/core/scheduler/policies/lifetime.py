"""Lifetime-aware placement: let servers end together, so that hosts become empty.

Sources: Ling et al., "LAVA: Lifetime-Aware VM Allocation with Learned Distributions and Adaptation to Mispredictions"
(arXiv:2412.09840, MLSys 2025), whose scoring NILAS this is; Barbalho et al., "Virtual Machine Allocation with Lifetime
Predictions" (MLSys 2023), whose predictions are made once, at the start (``repredict: false``).

A **predictor** is an object with ``remaining(consumer, shape, age_s) -> float``: the seconds that a server which has
lived ``age_s`` is expected to live on. It may have ``prepare(outlook)``, called before the run.
"""

from __future__ import annotations

import bisect
import importlib
import math
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sundog.core.scheduler.hosts import Floats, HostView, uniform
from sundog.core.scheduler.policies.fit import room_left
from sundog.core.scheduler.policies.outlook import Outlook
from sundog.core.scheduler.request import Request, Shape

HOUR: Final = 3600.0
EDGES: Final = tuple(hours * HOUR for hours in (0, 0.5, 1, 2, 4, 8, 16, 24, 48, 96, 168))
"""Extensions of a host's life up to which they count alike, in seconds. That they are cut into a few steps is as in
NILAS; where is ours."""


class Predictor(Protocol):
    """How long a server is expected to live on."""

    def remaining(self, consumer: int, shape: Shape, age_s: float) -> float:
        """Seconds to go for a server of ``shape`` that has lived ``age_s``; ``consumer`` is -1 where nobody said."""
        ...


class Oracle:
    """Knows every lifetime, and with ``noise`` errs on it by a log-normal factor of that sigma, the same for one VM."""

    def __init__(self, noise: float = 0.0, seed: int = 0) -> None:
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < math.inf:
            raise ValueError(f"noise is {noise!r}; it is a finite number of 0 or more")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ValueError(f"seed is {seed!r}; it is a whole number")
        self.noise, self.seed = float(noise), seed
        self._lifetime_s: Floats = np.empty(0)

    def prepare(self, outlook: Outlook) -> None:
        """Learn the lifetimes."""
        self._lifetime_s = outlook.lifetime_s

    def remaining(self, consumer: int, shape: Shape, age_s: float) -> float:
        """What is left, times the factor of this VM; unknown ones live for ever."""
        if not 0 <= consumer < len(self._lifetime_s):
            return math.inf
        left = max(float(self._lifetime_s[consumer]) - age_s, 0.0)
        if not self.noise:
            return left
        one, two = (uniform(self.seed, consumer, draw) for draw in (1, 2))
        normal = math.sqrt(-2.0 * math.log(1.0 - one)) * math.cos(2.0 * math.pi * two)
        return left * math.exp(self.noise * normal)


class Expected:
    """The expectation of what is left, given the age, over all lifetimes of the VMs of this flavor (equal shapes).

    It knows the distribution, not the VM. Lifetimes that outlive the study count with the longest that does not. What
    is older than all others, or of a shape never seen, is expected to live as long again, and at least an hour.
    """

    def __init__(self) -> None:
        self._ends: dict[Shape, tuple[list[float], list[float]]] = {}

    def prepare(self, outlook: Outlook) -> None:
        """Learn the lifetimes of each shape."""
        finite = outlook.lifetime_s[np.isfinite(outlook.lifetime_s)]
        longest = float(finite.max()) if len(finite) else HOUR
        self._ends = {}
        for code, shape in enumerate(outlook.shapes):
            ends = np.sort(np.minimum(outlook.lifetime_s[outlook.shape == code], longest))
            self._ends[shape] = (ends.tolist(), np.append(np.cumsum(ends[::-1])[::-1], 0.0).tolist())

    def remaining(self, consumer: int, shape: Shape, age_s: float) -> float:
        """Mean of the lifetimes above ``age_s``, less ``age_s``."""
        ends, sums = self._ends.get(shape, ([], [0.0]))
        above = bisect.bisect_right(ends, age_s)
        return sums[above] / (len(ends) - above) - age_s if above < len(ends) else max(age_s, HOUR)


PREDICTORS: Final[dict[str, Any]] = {"oracle": Oracle, "expected": Expected}


class Nilas:
    """The host whose end the server would put off least; among those, the one that would be left with the least room.

    A host ends when the last of its servers is expected to. The time by which a server would put that off is cut into
    steps at ``edges`` (seconds), so that small differences do not outweigh packing. An empty host ends now.

    ``predictor``: ``expected`` (by flavor and age), ``oracle`` (with ``noise`` and ``seed``), or ``module:Class``; what
    stands beside goes to it. Expectations are renewed when the servers of a host change and when its end has come;
    with ``repredict`` false, never.

    Raises: ValueError for a predictor that does not exist or refuses its parameters, or edges that do not ascend.
    """

    def __init__(
        self,
        predictor: str = "expected",
        repredict: bool = True,
        edges: Sequence[float] = EDGES,
        **parameters: Any,
    ) -> None:
        made = PREDICTORS.get(predictor) if isinstance(predictor, str) else None
        if made is None and isinstance(predictor, str) and ":" in predictor:
            module, _, name = predictor.partition(":")
            try:
                made = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError, ValueError) as exc:
                raise ValueError(f"predictor {predictor!r} cannot be imported: {exc}") from exc
        if made is None:
            raise ValueError(f"predictor is {predictor!r}; it is one of {', '.join(PREDICTORS)}, or 'module:Class'")
        try:
            self.predictor: Predictor = made(**parameters)
        except TypeError as exc:
            raise ValueError(f"predictor {predictor!r} does not take these parameters: {exc}") from exc
        if not callable(getattr(self.predictor, "remaining", None)):
            raise ValueError(f"predictor {predictor!r} has no remaining(consumer, shape, age_s)")
        if not isinstance(repredict, bool):
            raise ValueError(f"repredict is {repredict!r}; it is true or false")
        self.edges: NDArray[np.float64] = np.asarray(edges, dtype=np.float64).reshape(-1)
        if not len(self.edges) or np.isnan(self.edges).any() or (np.diff(self.edges) <= 0).any():
            raise ValueError(f"edges are {edges!r}; give ascending numbers of seconds")
        self.repredict = repredict
        self._born: dict[int, float] = {}
        self._at: dict[int, int] = {}
        self._there: dict[int, dict[int, Shape]] = {}
        self._first: dict[int, float] = {}  # by consumer: the end that was predicted at the start
        self._ends: Floats = np.empty(0)  # by row: when the host is expected to end, -inf for one that is empty
        self._changed: dict[int, None] = {}  # rows whose servers changed since that was worked out
        self._arrival_s: Floats = np.empty(0)

    def prepare(self, outlook: Outlook) -> None:
        """Tell the predictor, and note who was there before the beginning."""
        self._arrival_s = outlook.arrival_s
        learn = getattr(self.predictor, "prepare", None)
        if callable(learn):
            learn(outlook)

    def placed(self, request: Request, row: int, consumer: int, now: float) -> None:
        """Note a server on the host of provider row ``row``; one that moved keeps its age."""
        if consumer in self._at:
            self._left(consumer)
        else:
            self._born[consumer] = self._birth(consumer, now)
        self._at[consumer] = row
        self._there.setdefault(row, {})[consumer] = request.shape
        self._changed[row] = None

    def released(self, consumer: int) -> None:
        """Forget a server."""
        if consumer in self._at:
            self._left(consumer)
            del self._at[consumer], self._born[consumer]
            self._first.pop(consumer, None)

    def score(self, request: Request, hosts: HostView) -> Floats:
        """Minus a thousand for each step of extension, and minus the room left (see ``best-fit``)."""
        parts = self.breakdown(request, hosts)
        return parts["extension"] + parts["room"]

    def breakdown(self, request: Request, hosts: HostView) -> dict[str, Floats]:
        """``extension``, which decides first, and ``room``."""
        now = hosts.now
        own = now + self._remaining(hosts.consumer, request.shape, now - self._birth(hosts.consumer, now))
        self._renew(now, int(hosts.rows[-1]) + 1 if hosts.n else 0)
        ends = np.maximum(self._ends[hosts.rows], now)
        with np.errstate(invalid="ignore"):
            later = np.where(ends >= own, 0.0, own - ends)  # both may be infinite: then nothing is put off
        steps = np.searchsorted(self.edges, later, side="left").astype(np.float64)
        extension: Floats = steps * -1000.0 + 0.0  # no minus zero
        return {"extension": extension, "room": -room_left(hosts, [1.0] * len(hosts.classes_asked()))}

    def _birth(self, consumer: int, now: float) -> float:
        """When a server arrived; before the beginning for those that were there already."""
        if consumer in self._born:
            return self._born[consumer]
        return min(float(self._arrival_s[consumer]), now) if 0 <= consumer < len(self._arrival_s) else now

    def _remaining(self, consumer: int, shape: Shape, age_s: float) -> float:
        return max(float(self.predictor.remaining(consumer, shape, max(age_s, 0.0))), 0.0)

    def _renew(self, now: float, rows: int) -> None:
        """Work out anew when hosts end whose servers changed, or whose end has come."""
        rows = max(rows, max(self._changed, default=-1) + 1)
        if rows > len(self._ends):
            self._ends = np.concatenate([self._ends, np.full(rows - len(self._ends), -np.inf)])
        due = np.flatnonzero((self._ends > -np.inf) & (self._ends <= now)).tolist() if self.repredict else []
        for row in dict.fromkeys([*self._changed, *due]):
            there = self._there.get(row, {})
            ends = (self._end_of(consumer, shape, now) for consumer, shape in there.items())
            self._ends[row] = max(ends, default=-math.inf)
        self._changed.clear()

    def _end_of(self, consumer: int, shape: Shape, now: float) -> float:
        if self.repredict:
            return now + self._remaining(consumer, shape, now - self._born[consumer])
        if consumer not in self._first:
            self._first[consumer] = self._born[consumer] + self._remaining(consumer, shape, 0.0)
        return self._first[consumer]

    def _left(self, consumer: int) -> None:
        row = self._at[consumer]
        del self._there[row][consumer]
        self._changed[row] = None
