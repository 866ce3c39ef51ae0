"""Loss systems: what queueing theory says, and what Sundog's own synthetic workload and engine do.

One cell is a scenario: Poisson arrivals of one or several flavors at one host (or at several hosts with whole slots),
blocked VMs are lost. It is played in independent replications, one seed each; in each, the share of blocked requests of
each class after the warm-up is one observation. The interval is Student's over the replications.

Sources: Erlang, "Løsning af nogle Problemer fra Sandsynlighedsregningen af Betydning for de automatiske
Telefoncentraler" (1917); Kaufman, "Blocking in a Shared Resource Environment" (IEEE Trans. Commun. 29, 1981); Roberts,
"A service system with heterogeneous user requirements" (1981). Both hold for every law of lifetimes of the same mean
(insensitivity: Sevastyanov 1957 for Erlang's, Kaufman 1981 for the other).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from scipy import stats

from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import prepare
from sundog.sim.records import Outcome

MEAN_S = 3600.0
"""Mean lifetime of every law."""
DAY_S = 86400.0
FULL: dict[str, int] = {"replications": 20, "arrivals": 100_000}
"""What the page shows."""
SHORT: dict[str, int] = {"replications": 8, "arrivals": 30_000}
WARMUP = 30
"""Mean lifetimes before anything is counted; the hosts are empty at first."""

LAWS: dict[str, dict[str, Any]] = {
    "exponential": {"law": "exponential", "mean": "1 h"},
    "deterministic": {"law": "deterministic", "value": "1 h"},
    "lognormal": {"law": "lognormal", "mean": "1 h", "sigma": 1.0},
    # Squared coefficient of variation 5.5.
    "hyperexponential": {
        "law": "hyperexponential",
        "branches": [{"probability": 0.9, "mean": "30 min"}, {"probability": 0.1, "mean": "5.5 h"}],
    },
}


def erlang_b(servers: int, load: float) -> float:
    """Share of requests blocked, by Erlang's recursion: ``servers`` slots, ``load`` erlangs offered."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


def kaufman_roberts(capacity: int, sizes: Sequence[int], loads: Sequence[float]) -> list[float]:
    """Share of requests blocked by class: ``capacity`` units, class *k* takes ``sizes[k]`` and offers ``loads[k]``."""
    weight = np.zeros(capacity + 1)
    weight[0] = 1.0
    for used in range(1, capacity + 1):
        gained = (a * b * weight[used - b] for a, b in zip(loads, sizes, strict=True) if b <= used)
        weight[used] = sum(gained) / used
        if weight[used] > 1e200:
            weight /= weight[used]
    weight /= weight.sum()
    return [float(weight[capacity - size + 1 :].sum()) for size in sizes]


@dataclass(frozen=True)
class Cell:
    """One system: ``hosts`` of ``vcpus`` each, classes of ``sizes`` vCPUs that offer ``loads`` erlangs, one law."""

    name: str
    vcpus: int
    sizes: tuple[int, ...]
    loads: tuple[float, ...]
    law: str
    hosts: int = 1
    policy: str = "first-fit"

    @property
    def theory(self) -> list[float]:
        """Blocking of each class. Several hosts are one system where every class takes one slot of them."""
        if len(self.sizes) == 1:
            return [erlang_b(self.hosts * self.vcpus // self.sizes[0], self.loads[0])]
        assert self.hosts == 1
        return kaufman_roberts(self.vcpus, self.sizes, self.loads)

    def scenario(self, arrivals: int, *, stretched: float = 1.0) -> dict[str, Any]:
        """The scenario file, for about so many arrivals after the warm-up. ``stretched`` puts an error into it."""
        per_day = sum(self.loads) * DAY_S / MEAN_S
        law = _stretched(LAWS[self.law], stretched)
        return {
            "name": "loss",
            "horizon": f"{WARMUP * MEAN_S + arrivals / per_day * DAY_S:.0f} s",
            "warmup": f"{WARMUP * MEAN_S:.0f} s",
            "fleet": [{"type": {"name": "h", "vcpus": self.vcpus, "memory": "64 TiB"}, "count": self.hosts}],
            "workload": {
                "synthetic": {
                    "arrivals_per_day": per_day,
                    "lifetimes": law,
                    "flavors": [
                        {"name": f"c{size}", "vcpus": size, "memory": "1 MiB", "weight": load}
                        for size, load in zip(self.sizes, self.loads, strict=True)
                    ],
                }
            },
            "policy": self.policy,
        }


def _stretched(law: dict[str, Any], by: float) -> dict[str, Any]:
    if by == 1.0:
        return law
    assert law["law"] == "exponential"
    return {**law, "mean": MEAN_S * by}


@dataclass(frozen=True)
class Measured:
    """A class of a cell: theory's blocking and that of each replication."""

    cell: Cell
    size: int
    theory: float
    blocked: np.ndarray = field(repr=False)

    @property
    def mean(self) -> float:
        """Mean over the replications."""
        return float(self.blocked.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return float(self.blocked.std(ddof=1) / np.sqrt(len(self.blocked)))

    @property
    def half(self) -> float:
        """Half the 95 % interval."""
        return float(stats.t.ppf(0.975, len(self.blocked) - 1)) * self.error

    def p_value(self, theory: float | None = None) -> float:
        """How likely replications at least so far from theory are, if theory holds (two-sided t-test)."""
        t = (self.mean - (self.theory if theory is None else theory)) / self.error
        return float(2 * stats.t.sf(abs(t), len(self.blocked) - 1))


@lru_cache(maxsize=512)
def measure(cell: Cell, replications: int, arrivals: int, *, stretched: float = 1.0) -> tuple[Measured, ...]:
    """Play a cell with seeds of its own, so that cells are independent; one :class:`Measured` a class."""
    first_seed = 1000 * zlib.crc32(f"{cell.name} {cell.law}".encode())
    blocked = np.zeros((len(cell.sizes), replications))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "loss.yaml"
        with file.open("w", encoding="utf-8") as out:
            YAML(typ="safe").dump(cell.scenario(arrivals, stretched=stretched), out)
        for number in range(replications):
            study = prepare(load_scenario(file, seed=first_seed + number))
            record = study.engine().run()
            work = study.workload
            vcpus = np.asarray([dict(shape.resources)["VCPU"] for shape in work.shapes])[work.shape]
            counted = work.arrival_s >= study.loaded.scenario.warmup
            for row, size in enumerate(cell.sizes):
                mine = record.outcome[counted & (vcpus == size)]
                blocked[row, number] = float((mine == Outcome.REJECTED).mean())
    return tuple(
        Measured(cell, size, theory, blocked[row])
        for row, (size, theory) in enumerate(zip(cell.sizes, cell.theory, strict=True))
    )


def cells() -> list[Cell]:
    """Every system of the proof: Erlang-B at four loads and on ten hosts, Kaufman-Roberts on two mixes, by each law."""
    found = []
    for law in LAWS:
        for servers, load in ((10, 5.0), (10, 9.0), (64, 60.0), (128, 140.0)):
            found.append(Cell(f"B({servers}, {load:g})", servers, (1,), (load,), law))
        found.append(Cell("B(10 x 4, 38)", 4, (1,), (38.0,), law, hosts=10, policy="random"))
        found.append(Cell("KR(64; 1, 2, 8)", 64, (1, 2, 8), (16.0, 8.0, 3.0), law))
        found.append(Cell("KR(48; 1, 4, 16)", 48, (1, 4, 16), (20.0, 5.0, 0.5), law))
    return found


def passes(measured: Sequence[Measured], family: float = 0.01) -> bool:
    """The test, decided beforehand: no class's p-value below ``family`` over the number of classes (Bonferroni), and no
    more 95 % intervals without theory's value than 99.9 % of a binomial.

    If theory holds, it fails once in about a hundred choices of seeds.
    """
    p = np.asarray([each.p_value() for each in measured])
    allowed = int(stats.binom.ppf(0.999, len(p), 0.05))
    return bool(p.min() >= family / len(p)) and int((p < 0.05).sum()) <= allowed


def against(measured: Sequence[Measured], theory: Sequence[float]) -> list[Measured]:
    """The same observations against another theory."""
    return [replace(each, theory=other) for each, other in zip(measured, theory, strict=True)]
