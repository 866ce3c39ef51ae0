"""``sundog soak``: random clients and random faults against the whole control plane, in virtual time."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sundog.cli.state import api_packages
from sundog.runtime import clock

_LINE_EVERY = 60.0


def soak(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs.")] = 20,
    start: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    hours: Annotated[
        float | None, typer.Option(min=0.01, help="Simulated hours of clients and faults; the mix says so if left out.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(metavar="MIX", help="What happens: a YAML file, or a name; the shipped ones take turns."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many processes.")] = 1,
    hashes: Annotated[bool, typer.Option("--hashes", help="Print the hash of every run's trace.")] = False,
) -> None:
    """Try the control plane with random clients, faults and crashes; exit 1 if something is not as it must be."""
    with api_packages():
        from sundog.soak.several import Summary, jobs_of, play_all
    summary = Summary()
    begun = last = clock.monotonic()
    for result in play_all(jobs_of(start, seeds, file, hours), jobs):
        summary.add(result)
        if hashes:
            print(f"seed {result.job.seed}: {result.outcome.digest}")
        for violation in result.violations:
            print(f"seed {result.job.seed}: {violation}")
        if result.violations:
            print(f"  repeat it with: {result.job.command}", flush=True)
        if clock.monotonic() - last >= _LINE_EVERY:
            last = clock.monotonic()
            print(f"{summary.runs} of {seeds} seeds, {summary.violated} with violations", file=sys.stderr, flush=True)
    print(f"{summary.line()} ({clock.monotonic() - begun:.0f} s)")
    if summary.violated:
        raise typer.Exit(1)
