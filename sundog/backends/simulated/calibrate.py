"""Timings out of durations: what simulated hosts have to be told so that they take as long as others did.

Pure functions. Everything is fitted by medians, so that a few odd operations change nothing; those that failed do not
count, nor do those that others were under way beside, as long as enough are left. A step that no operation is made of
alone is what is missing to those that it is a part of. What too few operations tell of stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Any, Final

from sundog.backends.durations import FETCH, GUEST_BOOT, Duration, Outcome
from sundog.backends.simulated.timings import Step, Timings
from sundog.runtime.seeds import Streams
from sundog.sim.workload.laws import LogNormal
from sundog.units import MiB, Seconds

AT_LEAST: Final = 3
"""Operations that have to tell of a thing before it is believed."""

# A spread is told by this many operations of one kind, and by so many together.
_A_KIND: Final = 5
_TOGETHER: Final = 15
# Memory has to differ by this factor for what a migration takes to be divided into what hangs on it and what does not.
_APART: Final = 1.5
# What the median of absolute deviations is of the standard deviation of a normal law.
_OF_SIGMA: Final = 0.67449
# What took less than that found nothing to do.
_NO_TIME: Final[Seconds] = 1e-6
# Beyond this it is no spread any more but two kinds of operations in one; and no rates are beyond these.
_MOST_SPREAD: Final = 3.0
_RATES: Final = (1e-6, 1e12)
# The law of guests' boots takes no smaller one.
_LEAST_SIGMA: Final = 0.001
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Fit:
    """One parameter: its value, what it was before, and how many operations told it; 0 is for one that was kept.

    ``told`` says which operations they were, or what would have told it.
    """

    name: str
    value: float
    before: float
    observations: int
    told: str


@dataclass(frozen=True, slots=True)
class MedianError:
    """The median of some operations, in seconds, and of what the timings make of each under its own conditions."""

    operation: str
    observations: int
    measured: Seconds
    predicted: Seconds

    @property
    def error(self) -> float:
        """By which share of it the measured median is missed."""
        return self.predicted / self.measured - 1.0 if self.measured else math.inf if self.predicted else 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted, and how."""

    timings: Timings
    fits: tuple[Fit, ...]


# ---------------------------------------------------------------- what an operation is made of


def steps_of(record: Duration) -> tuple[Step, ...] | None:
    """The steps of an operation on a simulated host, one after the other; None for one that is not modelled so."""
    start: tuple[Step, ...] = ("start",) if record.starts else ()
    made: dict[str, tuple[Step, ...]] = {
        "spawn": ("define", *start),
        "rebuild": ("destroy", "define", *start),
        "destroy": ("destroy",),
        "resize_confirm": ("destroy",),
        "power_on": ("start",),
        "power_off": ("guest_shutdown", "destroy") if record.grace else ("destroy",),
        "reboot": ("guest_shutdown", "start") if record.soft else ("destroy", "start"),
        "pause": ("pause",),
        "unpause": ("pause",),
        "rescue": ("define", "start"),
        "unrescue": ("define", "start"),
        "resize_finish": ("grow_disk", *start),
        "resize_revert": ("define", *start),
        "live_migrate": ("migrate",),
        "plug": ("plug",),
        "unplug": ("unplug",),
        "set_password": ("set_password",),
        "diagnostics": ("query",),
        "fence": ("fence",),
        "suspend": (),
        "resume": (),
        FETCH: (),
    }
    return made.get(record.operation)


def predicted(timings: Timings, record: Duration) -> Seconds | None:
    """The median of what such an operation takes on a simulated host by itself; None if that is not known."""
    if record.operation == GUEST_BOOT:
        return _guest_of(timings)[0]
    steps, carried = steps_of(record), _carried(timings, record)
    if steps is None or carried is None:
        return None
    parts = [timings.seconds[step] for step in steps]
    if record.operation == "power_off" and record.grace:
        parts[0] = min(parts[0], record.grace)
    return median_of_sum(parts, timings.spread) + carried


def _guest_of(timings: Timings) -> tuple[Seconds | None, float]:
    """The median and the sigma of what guests boot, where the law has them."""
    law = timings.boot.guest
    return (law.median, law.sigma) if isinstance(law, LogNormal) else (None, 0.0)


def _carried(timings: Timings, record: Duration) -> Seconds | None:
    """What moving bytes takes of it."""
    if record.operation in ("suspend", "resume"):
        return None if record.memory_mib is None else record.memory_mib / timings.disk_mib_s
    if record.operation == "live_migrate":
        move = timings.migration
        return (
            None if record.memory_mib is None else record.memory_mib * move.rounds / move.bandwidth_mib_s + move.pause
        )
    if record.operation == FETCH or record.image_there is False:
        rate = min(timings.boot.fetch_mib_s, timings.store_mib_s)
        return None if record.image_bytes is None else record.image_bytes / _MIB / rate
    return 0.0 if record.image_bytes is None or record.image_there else None


def median_of_sum(medians: Sequence[Seconds], spread: float) -> Seconds:
    """The median of a sum of independent log-normal times with these medians and one ``spread``.

    By the log-normal law with the sum's mean and variance (Fenton and Wilkinson): exact for one.
    """
    if len(medians) < 2:
        return sum(medians)
    grown = math.exp(spread**2)
    mean = sum(medians) * math.sqrt(grown)
    variance = sum(each**2 for each in medians) * grown * (grown - 1.0)
    return mean / math.sqrt(1.0 + variance / mean**2) if mean else 0.0


# ---------------------------------------------------------------- fitting


class _Fitting:
    """Timings that are being put together: what was fitted so far, and of what."""

    def __init__(self, records: Iterable[Duration], before: Timings, at_least: int) -> None:
        self.before, self.at_least = before, at_least
        self.seconds: dict[Step, Seconds] = dict(before.seconds)
        self.spread = before.spread
        self.fits: list[Fit] = []
        self._by_operation: dict[str, list[Duration]] = {}
        for record in records:
            if record.outcome is Outcome.DONE and record.seconds >= _NO_TIME:
                self._by_operation.setdefault(record.operation, []).append(record)

    def chosen(self, operation: str, suits: Callable[[Duration], bool] = lambda _record: True) -> list[Duration]:
        """The operations of a kind that tell of it, none if there are too few."""
        found = undisturbed([each for each in self._by_operation.get(operation, ()) if suits(each)], self.at_least)
        return found if len(found) >= self.at_least else []

    def keep(self, name: str, value: float, told: str) -> None:
        """Note that nothing has told a parameter."""
        self.fits.append(Fit(name, value, value, 0, told))

    def note(self, name: str, value: float, before: float, records: Sequence[Duration]) -> None:
        """Note what some operations told."""
        kinds = ", ".join(dict.fromkeys(each.operation for each in records))
        crowd = ", with others beside" if any(each.beside for each in records) else ""
        self.fits.append(Fit(name, value, before, len(records), kinds + crowd))

    # -- steps

    def step(self, step: Step, *tellers: tuple[tuple[str, ...], Callable[[Duration], bool]]) -> bool:
        """Fit a step by the first of the ``tellers`` (operations, and which of them) that suffice."""
        for operations, suits in tellers:
            records = [each for operation in operations for each in self.chosen(operation, suits)]
            if records:
                others = [self.seconds[each] for each in steps_of(records[0]) or () if each != step]
                took = median(each.seconds for each in records)
                self.seconds[step] = _missing(took, others, self.spread)
                self.note(f"seconds.{step}", self.seconds[step], self.before.seconds[step], records)
                return True
        self.keep(f"seconds.{step}", self.seconds[step], " or ".join(each for names, _ in tellers for each in names))
        return False

    def boots(self) -> None:
        """Fit what a server takes that is made and started, whose image is there: ``start`` and ``define``."""
        told = self.step("start", (("power_on",), _any), (("reboot",), lambda each: each.soft is False))
        made = self.chosen("spawn", _starts_at_once)
        if told or not made:
            self.step("define", (("spawn",), _starts_at_once))
            return
        self.fits.pop()  # both in the proportion that they had
        took = median(each.seconds for each in made)
        both: tuple[Step, ...] = ("start", "define")
        factor = took / max(median_of_sum([self.seconds[each] for each in both], self.spread), 1e-9)
        for each in both:
            before = self.seconds[each]
            self.seconds[each] = before * factor
            self.note(f"seconds.{each}", self.seconds[each], before, made)

    def spreads(self, operations: Sequence[str], suits: Callable[[Duration], bool]) -> bool:
        """Fit the spread by operations of nothing but steps, around the medians of their kinds; whether they told it.

        Several steps vary less together than each does: by the root of what their squares are of their sum's square.
        """
        kinds = [self.chosen(each, suits) for each in operations]
        kinds = [records for records in kinds if len(records) >= _A_KIND]
        records = [each for found in kinds for each in found]
        if len(records) < _TOGETHER:
            return False
        off = []
        for found in kinds:
            steps = [self.seconds[step] for step in steps_of(found[0]) or ()]
            whole = sum(steps)
            together = math.sqrt(sum((each / whole) ** 2 for each in steps)) if whole else 1.0
            centre = median(math.log(each.seconds) for each in found)
            off += [abs(math.log(each.seconds) - centre) / together for each in found]
        self.spread = min(_MOST_SPREAD, median(off) / _OF_SIGMA)
        self.note("spread", self.spread, self.before.spread, records)
        return True

    # -- rates

    def rate(self, name: str, before: float, amounts: Sequence[tuple[MiB, Duration]], told: str) -> float:
        """MiB a second: the median of what operations carried."""
        records = [(mib, each) for mib, each in amounts if mib > 0.0]
        if len(records) < self.at_least:
            self.keep(name, before, told)
            return before
        value = _rate(median(mib / each.seconds for mib, each in records))
        self.note(name, value, before, [each for _, each in records])
        return value

    def fetches(self) -> tuple[float, float]:
        """What a host fetches images at, and the store sends at least, in MiB/s."""
        known = self.chosen(FETCH, lambda each: each.image_bytes is not None)
        quiet = [each for each in known if not each.elsewhere]
        chosen = quiet if len(quiet) >= self.at_least else known
        amounts = [((each.image_bytes or 0) / _MIB, each) for each in chosen]
        fetch = self.rate("boot.fetch_mib_s", self.before.boot.fetch_mib_s, amounts, FETCH)
        store = self.before.store_mib_s
        if fetch > store:
            self.note("store_mib_s", fetch, store, chosen)
            return fetch, fetch
        self.keep("store_mib_s", store, "nothing as yet: it is known to be no less than what one host fetches at")
        return fetch, store

    def migrations(self) -> dict[str, float]:
        """What copying memory is told by: its rate and the pause. ``migrate`` is what is done before."""
        spec, before = self.before.migration, self.before.seconds["migrate"]
        records = self.chosen("live_migrate", lambda each: (each.memory_mib or 0.0) >= 1.0)
        if not records:
            for name, value in (
                ("seconds.migrate", before), ("migration.bandwidth_mib_s", spec.bandwidth_mib_s),
                ("migration.pause", spec.pause),
            ):  # fmt: skip
                self.keep(name, value, "live_migrate")
            return {}
        points = [(each.memory_mib or 0.0, each.seconds) for each in records]
        slope = _slope(points)
        told = slope is not None
        if slope is None:
            slope = spec.rounds / spec.bandwidth_mib_s
            fastest = median(seconds / mib for mib, seconds in points)
            slope = min(slope, fastest)
            told = slope == fastest
        rest = max(0.0, median(seconds - slope * mib for mib, seconds in points))
        pause = min(spec.pause, rest)
        self.seconds["migrate"] = rest - pause
        self.note("seconds.migrate", rest - pause, before, records)
        bandwidth = _rate(spec.rounds / slope)
        if told:
            self.note("migration.bandwidth_mib_s", bandwidth, spec.bandwidth_mib_s, records)
        else:
            self.keep("migration.bandwidth_mib_s", spec.bandwidth_mib_s, "live_migrate of servers of several sizes")
            bandwidth = spec.bandwidth_mib_s
        if pause == spec.pause:
            self.keep("migration.pause", pause, "nothing as yet: it is a part of what live_migrate takes")
        else:
            self.note("migration.pause", pause, spec.pause, records)
        return {"bandwidth_mib_s": bandwidth, "pause": pause}

    def guests(self) -> LogNormal | None:
        """How long guests boot."""
        told, sigma_before = _guest_of(self.before)
        median_before = told or 0.0
        records = self.chosen(GUEST_BOOT)
        if not records:
            self.keep("boot.guest.median", median_before, GUEST_BOOT)
            self.keep("boot.guest.sigma", sigma_before, GUEST_BOOT)
            return None
        centre = median(math.log(each.seconds) for each in records)
        off = median(abs(math.log(each.seconds) - centre) for each in records) / _OF_SIGMA
        sigma = min(_MOST_SPREAD, max(_LEAST_SIGMA, off))
        self.note("boot.guest.median", math.exp(centre), median_before, records)
        self.note("boot.guest.sigma", sigma, sigma_before, records)
        return LogNormal(median=math.exp(centre), sigma=sigma)


_OF_ONE_STEP: Final = (
    "pause", "unpause", "plug", "unplug", "set_password", "diagnostics", "fence", "destroy", "power_off", "power_on",
)  # fmt: skip

# Those that take several as well, always the same ones where the guest is started.
_OF_STEPS: Final = (*_OF_ONE_STEP, "spawn", "rebuild", "unrescue", "resize_finish", "resize_revert", "resize_confirm")


def calibrate(records: Iterable[Duration], before: Timings, *, at_least: int = AT_LEAST) -> Calibration:
    """Timings that make simulated hosts take as long as these operations; what they do not tell is as ``before``."""
    records = tuple(records)
    fitting = _Fitting(records, before, at_least)
    if not fitting.spreads(_OF_ONE_STEP, _of_one_step):
        # What operations of several steps tell hangs on how long each is; and how long each is, a little, on that.
        guessed = _Fitting(records, before, at_least)
        _fit_steps(guessed)
        told = guessed.spreads(_OF_STEPS, _of_steps)
        fitting.spread = guessed.spread
        if told:
            fitting.fits.append(guessed.fits[-1])
        else:
            fitting.keep("spread", before.spread, f"{_TOGETHER} operations of nothing but steps, {_A_KIND} of a kind")
    _fit_steps(fitting)
    move = fitting.migrations()
    fetch, store = fitting.fetches()
    saved = [each for name in ("suspend", "resume") for each in fitting.chosen(name)]
    disk = fitting.rate(
        "disk_mib_s", before.disk_mib_s, [(each.memory_mib or 0.0, each) for each in saved], "suspend or resume"
    )
    guest = fitting.guests()
    boot = before.boot.model_copy(update={"fetch_mib_s": fetch} | ({} if guest is None else {"guest": guest}))
    timings = before.model_copy(
        update={
            "seconds": fitting.seconds,
            "spread": fitting.spread,
            "disk_mib_s": disk,
            "store_mib_s": store,
            "boot": boot,
            "migration": before.migration.model_copy(update=move),
        }
    )
    for name in ("detect", "reconnect", "host_boot", "disk_used"):
        fitting.keep(name, getattr(before, name), "no operation")
    fitting.keep("migration.rounds", before.migration.rounds, "nothing: it and the bandwidth make one rate")
    return Calibration(timings, tuple(fitting.fits))


def _fit_steps(fitting: _Fitting) -> None:
    """Fit what operations without transfers tell, in an order in which each step is known before it is subtracted."""
    for step, operations in _TOLD_ALONE.items():
        fitting.step(step, (operations, _any))
    fitting.step("destroy", (("destroy",), _any), (("power_off",), lambda each: not each.grace))
    fitting.boots()
    fitting.step(
        "guest_shutdown",
        (("power_off",), lambda each: bool(each.grace)),
        (("reboot",), lambda each: bool(each.soft)),
    )
    fitting.step("grow_disk", (("resize_finish",), lambda each: bool(each.starts)))


_TOLD_ALONE: Final[dict[Step, tuple[str, ...]]] = {
    "pause": ("pause", "unpause"),
    "plug": ("plug",),
    "unplug": ("unplug",),
    "set_password": ("set_password",),
    "query": ("diagnostics",),
    "fence": ("fence",),
}


def _any(_record: Duration) -> bool:
    return True


def _rate(mib_s: float) -> float:
    return min(max(mib_s, _RATES[0]), _RATES[1])


def _starts_at_once(record: Duration) -> bool:
    """Whether a guest was started, and no image had to be brought for it."""
    return bool(record.starts) and (record.image_bytes is None or record.image_there is True)


def _of_one_step(record: Duration) -> bool:
    return len(steps_of(record) or ()) == 1


def _of_steps(record: Duration) -> bool:
    """Whether it was started, or needed not be, and nothing was carried."""
    starts = record.starts is not False and (record.image_bytes is None or record.image_there is True)
    return starts and not record.grace and not record.soft


def _missing(took: Seconds, others: Sequence[Seconds], spread: float) -> Seconds:
    """The median of a step that makes up, with ``others``, a median of ``took``; 0 if they take as long already."""
    low, high = 0.0, took
    if median_of_sum([*others, low], spread) >= took:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if median_of_sum([*others, middle], spread) < took:
            low = middle
        else:
            high = middle
    return high


def _slope(points: Sequence[tuple[MiB, Seconds]]) -> float | None:
    """Seconds a MiB: the median over all pairs that are apart (Theil and Sen). None if it tells nothing."""
    sizes = sorted(mib for mib, _ in points)
    if sizes[0] * _APART > sizes[-1]:
        return None
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if abs(math.log(b[0] / a[0])) > 0.1]
    slope = median(slopes)
    return slope if slope > 1.0 / _RATES[1] else None


# ---------------------------------------------------------------- what is kept out, and how far off it is


def kind_of(record: Duration) -> str:
    """What an operation is compared with: the same, where a boot that had to wait for its image is another kind."""
    return f"{record.operation} with its image" if record.image_there is False else record.operation


def undisturbed(records: Sequence[Duration], at_least: int = AT_LEAST) -> list[Duration]:
    """Those that had the hosts for themselves, if there are enough; otherwise all."""
    alone = [each for each in records if not each.beside]
    return alone if len(alone) >= at_least else list(records)


def hold_out(
    records: Sequence[Duration], share: float, streams: Streams
) -> tuple[tuple[Duration, ...], tuple[Duration, ...]]:
    """What is fitted by, and what is kept out of that to see how good it is: a ``share`` of each kind of operation."""
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        places.setdefault(record.operation, []).append(place)
    out: dict[int, None] = {}
    for operation, mine in places.items():
        order = streams.child("held-out").fresh(operation).permutation(len(mine))
        out |= dict.fromkeys(mine[int(each)] for each in order[: math.floor(share * len(mine))])
    kept = tuple(record for place, record in enumerate(records) if place not in out)
    return kept, tuple(records[place] for place in sorted(out))


def median_errors(timings: Timings, records: Iterable[Duration]) -> tuple[MedianError, ...]:
    """How far off the timings are, for each kind of operation that they say anything of, in order of its name."""
    kinds: dict[str, list[tuple[Duration, Seconds]]] = {}
    for record in records:
        expected = predicted(timings, record) if record.outcome is Outcome.DONE else None
        if expected is not None:
            kinds.setdefault(kind_of(record), []).append((record, expected))
    errors = []
    for operation, found in sorted(kinds.items()):
        expected_of = {id(record): expected for record, expected in found}
        chosen = undisturbed([record for record, _ in found])
        measured = median(each.seconds for each in chosen)
        errors.append(MedianError(operation, len(chosen), measured, median(expected_of[id(each)] for each in chosen)))
    return tuple(errors)


def document(made: Calibration, records: Sequence[Duration], errors: Sequence[MedianError]) -> dict[str, Any]:
    """The calibration as what is written to its file: ``read_timings`` reads it."""
    days = sorted(each.began.date().isoformat() for each in records)
    done = sum(each.outcome is Outcome.DONE for each in records)
    source: dict[str, Any] = {
        "measured": f"{done} operations on {len({each.host for each in records})} hosts"
        + (f", {len(records) - done} more that failed" if done < len(records) else ""),
        "date": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "observations": {each.name: each.observations for each in made.fits if each.observations},
        "assumed": [each.name for each in made.fits if not each.observations],
    }
    if errors:
        source["held_out"] = {
            each.operation: {
                "observations": each.observations,
                "median": round(each.measured, 4),
                "error": round(each.error, 4),
            }
            for each in errors
        }
    words = {
        "name": "calibrated",
        "summary": "Operations of a compute driver, as they were measured.",
        "source": source,
    }
    return {**words, **_rounded(made.timings.model_dump(mode="json"))}


def _rounded(value: Any) -> Any:
    """Six digits of every number, which is more than anybody measures."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
