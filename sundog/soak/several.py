"""Many runs, on several processors, and what came of them in all."""

from __future__ import annotations

import hashlib
import multiprocessing
import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from sundog.soak.mix import load_mix, shipped
from sundog.soak.run import Outcome, run_seed

REPLAY_EVERY: Final = 25
"""Every so-many-th seed is run twice, by another process if there are several: its trace must be the same (I11)."""


@dataclass(frozen=True)
class Job:
    """One run: the mix by its name or file."""

    mix: str
    seed: int
    hours: float | None = None

    @property
    def command(self) -> str:
        """What repeats it."""
        hours = [] if self.hours is None else ["--hours", f"{self.hours:g}"]
        return shlex.join(["sundog", "soak", "--start", str(self.seed), "--seeds", "1", "--file", self.mix, *hours])


@dataclass(frozen=True)
class Result:
    """What came of a job; ``replay`` is None unless it was run twice."""

    job: Job
    outcome: Outcome
    replay: Outcome | None = None

    @property
    def violations(self) -> tuple[str, ...]:
        """What was violated; that the trace is another one the second time is one of them."""
        differs = self.replay is not None and self.replay.digest != self.outcome.digest
        again = ("I11 the same seed gave two different traces",) if differs else ()
        return (*self.outcome.violations, *again)


@dataclass
class Summary:
    """Of all runs: how many, of how many operations and crashes, and a hash of their traces."""

    runs: int = 0
    replays: int = 0
    violated: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""

    def add(self, result: Result) -> None:
        """One more."""
        self.runs += 1
        self.replays += result.replay is not None
        self.violated += bool(result.violations)
        for what, count in result.outcome.counts.items():
            self.counts[what] = self.counts.get(what, 0) + count
        self.digest = hashlib.sha256(f"{self.digest}{result.outcome.digest}".encode()).hexdigest()

    @property
    def operations(self) -> int:
        """How many requests clients made."""
        return sum(count for what, count in self.counts.items() if ": " in what)

    def line(self) -> str:
        """All of it."""
        crashes = self.counts.get("crash", 0)
        return (
            f"{self.runs} seeds, {self.operations:,} operations, {crashes:,} crashes of the control plane, "
            f"{self.replays} replayed: {self.violated} with violations; traces {self.digest[:16]}"
        )


def jobs_of(start: int, seeds: int, file: str | None, hours: float | None) -> list[Job]:
    """The runs of these seeds; without a file the mixes that are shipped take turns."""
    names = [file] if file is not None else list(shipped())
    for name in names:
        load_mix(name)
    return [Job(names[seed % len(names)], seed, hours) for seed in range(start, start + seeds)]


def play(job: Job) -> Outcome:
    """One run."""
    return run_seed(load_mix(job.mix), job.seed, hours=job.hours)


def play_all(jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """Every run, in their order; some of them twice."""
    twice = [job.seed % REPLAY_EVERY == 0 for job in jobs]
    if processes == 1:
        for job, again in zip(jobs, twice, strict=True):
            yield Result(job, play(job), play(job) if again else None)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        replays = {job.seed: pool.submit(play, job) for job, again in zip(jobs, twice, strict=True) if again}
        try:
            for job, outcome in zip(jobs, pool.map(play, jobs), strict=True):
                yield Result(job, outcome, replays[job.seed].result() if job.seed in replays else None)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
