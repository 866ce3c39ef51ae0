"""The books of a run, audited from its files alone: nothing here trusts what the run says about itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from sundog.analysis.tables import (
    ARRIVAL,
    COMPLETED,
    MIGRATION,
    OUTCOMES,
    REJECTED,
    RUNNING,
    Results,
)
from sundog.analysis.timeline import Ledger, build_ledger, first_stays, other_places

CAP: Final = 100
# Amounts that a scaled class cannot hold exactly (a tenth of a GPU) add up with rounding; whole units add up exactly.
TOLERANCE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: ``kind`` and what it is about. Fields that do not apply are empty or None; times in seconds."""

    kind: str
    message: str
    host: str = ""
    vm_id: int | str | None = None
    time_s: float | None = None
    resource: str = ""
    amount: float | None = None
    capacity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields, ready for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Conservation:
    """The audit: how much was checked, how many rules were broken, and the first of them in ``violations``."""

    requests: int
    outcomes: dict[str, int]
    stays: int
    broken: int
    violations: tuple[Violation, ...]

    @property
    def holds(self) -> bool:
        """True when nothing is broken."""
        return self.broken == 0

    def to_dict(self) -> dict[str, Any]:
        """The audit, ready for JSON."""
        return {
            "holds": self.holds,
            "requests": self.requests,
            "outcomes": dict(self.outcomes),
            "stays": self.stays,
            "broken": self.broken,
            "violations": [violation.to_dict() for violation in self.violations],
        }


@dataclass(frozen=True, slots=True)
class _Finding:
    """Where one rule is broken: how often, and the violations one by one, as far as someone asks."""

    count: int
    violations: Iterator[Violation]


@dataclass(frozen=True, slots=True, eq=False)
class _Books:
    """The results, sorted once for every rule."""

    results: Results
    entries: Ledger
    first_stays: npt.NDArray[np.intp]


def check_conservation(results: Results, ledger: Ledger | None = None, *, cap: int = CAP) -> Conservation:
    """Audit ``results``: counts add up, no host is over capacity at any instant, no VM is in two places.

    At equal times departures come before arrivals. A migration may begin while
    the VM is on one other host. At most ``cap``
    violations are listed; ``broken`` counts them all. A host that goes over capacity is one violation until it is back.
    ``ledger``: that of the results, if it is built already.
    """
    count = np.bincount(results.vms.outcome, minlength=len(OUTCOMES))
    books = _Books(results, ledger or build_ledger(results), first_stays(results.stays))
    findings = [*_over_capacity(books), _two_places(results), *_bad_stays(books), *_bad_vms(books)]
    listed = [violation for finding in findings for violation, _ in zip(finding.violations, range(cap), strict=False)]
    return Conservation(
        requests=len(results.vms),
        outcomes={name: int(number) for name, number in zip(OUTCOMES, count, strict=True)},
        stays=len(results.stays),
        broken=sum(finding.count for finding in findings),
        violations=tuple(listed[:cap]),
    )


def _over_capacity(books: _Books) -> Iterator[_Finding]:
    stays, hosts, entries = books.results.stays, books.results.hosts, books.entries
    for resource in books.results.resources:
        amount = stays.amount[resource]
        used = entries.level(np.concatenate((amount, -amount, np.zeros(len(entries.changes.host)))))
        capacity = hosts.capacity[resource]
        over = used > (capacity + TOLERANCE * np.maximum(capacity, 1.0))[entries.host]
        rows = np.flatnonzero(entries.jumps(over.view(np.int8)) > 0)
        rows = rows[np.argsort(entries.time_s(rows), kind="stable")]
        found = zip(entries.host[rows].tolist(), entries.time_s(rows).tolist(), used[rows].tolist(), strict=True)

        def violations(
            resource: str = resource,
            capacity: npt.NDArray = capacity,
            found: Iterable[tuple[int, float, float]] = found,
        ) -> Iterator[Violation]:
            for host, time, taken in found:
                name, limit = hosts.names[host], float(capacity[host])
                yield Violation(
                    "over capacity", f"host {name} holds {taken:g} {resource} of {limit:g} at {time:g} s",
                    host=name, time_s=time, resource=resource, amount=taken, capacity=limit,
                )  # fmt: skip

        yield _Finding(len(rows), violations())


def _two_places(results: Results) -> _Finding:
    stays = results.stays
    allowed = (stays.cause == MIGRATION).astype(np.int64)
    rows = np.flatnonzero(other_places(stays) > allowed)

    def violations() -> Iterator[Violation]:
        for row in rows:
            name, time, vm_id = _host_name(results, row), float(stays.start_s[row]), stays.vm_id[int(row)].as_py()
            yield Violation(
                "two places", f"VM {vm_id} starts on {name} at {time:g} s while it is elsewhere",
                host=name, vm_id=vm_id, time_s=time,
            )  # fmt: skip

    return _Finding(len(rows), violations())


def _host_name(results: Results, row: int | np.intp) -> str:
    host = int(results.stays.host[int(row)])
    return results.hosts.names[host] if host >= 0 else "(unknown)"


def _bad_stays(books: _Books) -> Iterator[_Finding]:
    results = books.results
    stays = results.stays
    yield _stay_finding(results, stays.vm < 0, "unknown VM", "is on {host} but not in vms.parquet")
    yield _stay_finding(results, stays.host < 0, "unknown host", "stays on a host that hosts.parquet does not have")
    yield _stay_finding(results, stays.end_s < stays.start_s, "backwards", "leaves {host} before it comes")
    yield _stay_finding(results, _starts_on_down_host(books), "host down", "starts on {host} while it is not up")
    outcome = results.vms.outcome[np.maximum(stays.vm, 0)] if len(results.vms) else np.zeros(len(stays), dtype=np.int8)
    open_end = np.isinf(stays.end_s) & (stays.vm >= 0)
    yield _stay_finding(
        results, open_end & (outcome != RUNNING), "never left", "is still on {host} though its outcome is not running"
    )
    starts = books.first_stays
    wrong = np.zeros(len(stays), dtype=np.bool_)
    wrong[starts] = stays.cause[starts] != ARRIVAL
    yield _stay_finding(results, wrong, "no arrival", "is first seen on {host} without having arrived")


def _stay_finding(results: Results, broken: npt.NDArray[np.bool_], kind: str, what: str) -> _Finding:
    rows = np.flatnonzero(broken)

    def violations() -> Iterator[Violation]:
        for row in rows:
            vm_id, name = results.stays.vm_id[int(row)].as_py(), _host_name(results, row)
            time = float(results.stays.start_s[row])
            message = f"VM {vm_id} {what.format(host=name)} ({time:g} s)"
            yield Violation(kind, message, host=name, vm_id=vm_id, time_s=time)

    return _Finding(len(rows), violations())


def _starts_on_down_host(books: _Books) -> npt.NDArray[np.bool_]:
    """Whether each stay starts strictly inside a time in which its host is not up. Shape: (stays,)."""
    stays, entries = books.results.stays, books.entries
    up = entries.level(entries.spread(0, 0, entries.changes.up)) > 0
    # The instant of a failure or of a repair belongs to both sides: what happens first in it is not in the files.
    down = ~up
    down[1:] &= ~up[:-1] | entries.first[1:]
    raw = np.zeros(len(entries.raw_time_s), dtype=np.bool_)
    raw[entries.order] = np.repeat(down, np.diff(entries.closing, prepend=-1))
    return raw[: len(stays)]


def _bad_vms(books: _Books) -> Iterator[_Finding]:
    results = books.results
    vms, stays = results.vms, results.stays
    outcome = vms.outcome
    known = stays.vm[stays.vm >= 0]
    placed = np.bincount(known, minlength=len(vms)) > 0
    started = np.isfinite(vms.start_s)
    ended = np.isfinite(vms.end_s)
    must_be_placed = (outcome != REJECTED) | started
    yield _vm_finding(results, must_be_placed & ~placed, "missing VM", "is {outcome} but stayed on no host")
    yield _vm_finding(results, (outcome == REJECTED) & placed, "rejected VM", "is rejected but stayed on a host")
    yield _vm_finding(results, (outcome == COMPLETED) & ~ended, "no end", "is completed but has no end")
    yield _vm_finding(results, (outcome == RUNNING) & ended, "has ended", "is running but has an end")
    yield _vm_finding(results, started & (vms.start_s < vms.arrival_s), "too early", "starts before it arrives")
    first = books.first_stays
    start, end = np.full(len(vms), np.nan), np.full(len(vms), -np.inf)
    start[stays.vm[first]] = stays.start_s[first]
    np.maximum.at(end, known, stays.end_s[stays.vm >= 0])
    other_start = placed & (start != vms.start_s)
    yield _vm_finding(results, other_start, "other start", "has another start than its first stay")
    # The last stay may be over before the VM's end: its host died and it waited, in vain, for another.
    yield _vm_finding(results, placed & ended & (end > vms.end_s), "late", "stays on a host after its end")


def _vm_finding(results: Results, broken: npt.NDArray[np.bool_], kind: str, what: str) -> _Finding:
    rows = np.flatnonzero(broken)

    def violations() -> Iterator[Violation]:
        for row in rows:
            vm_id = results.vms.vm_id[int(row)].as_py()
            text = what.format(outcome=OUTCOMES[int(results.vms.outcome[row])])
            yield Violation(kind, f"VM {vm_id} {text}", vm_id=vm_id, time_s=float(results.vms.arrival_s[row]))

    return _Finding(len(rows), violations())
