"""``sundog sweep``: a scenario with some of its keys varied, each combination played with the same seeds."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sundog.errors import InputError

# What studies need takes a second to import, for which no other command should wait.
if TYPE_CHECKING:
    from sundog.scenarios.sweep.crew import Crew
    from sundog.scenarios.sweep.folder import Row, SweepFolder
    from sundog.scenarios.sweep.plan import Plan

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as of any command."""


def sweep(
    scenario: Annotated[str, typer.Argument(help="A scenario file, a name of the library, or a result folder.")],
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="KEY=VALUES", help="policy=a,b or fleet.0.count=10:50:10. Repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Runs of each combination.")] = 10,
    seed0: Annotated[
        int | None, typer.Option("--seed0", min=0, help="Derive the seeds from this one, not from the scenario's.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key in every run. Repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the sweep; sweeps/NAME by default.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Runs at the same time; as many as CPUs by default.")
    ] = None,
    engine: Annotated[
        Literal["processes", "ray"], typer.Option("--engine", help="Where it runs: here, or on a Ray cluster.")
    ] = "processes",
    address: Annotated[
        str | None, typer.Option("--address", help="The Ray cluster; without it, Ray is started here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Start over where there is a sweep.")] = False,
) -> None:
    """Play every combination of the varied keys with the same seeds, and write one table of all results.

    The same command again goes on where it was interrupted.
    """
    from sundog.scenarios.sweep.folder import RESULTS, opened
    from sundog.scenarios.sweep.plan import plan_sweep

    if address is not None and engine != "ray":
        raise InputError("--address is that of a Ray cluster; give --engine ray with it")
    plan = plan_sweep(scenario, vary or [], replicates=seeds, options=options or [], seed0=seed0)
    folder = out if out is not None else Path("sweeps") / _folder_name(plan.base.scenario.name)
    messages = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    interrupted = False
    with opened(folder, plan, force=force) as sweep_folder:
        if had := len(plan) - len(sweep_folder.missing):
            messages.print(f"note: {had:,} of {len(plan):,} cells were done before")
        try:
            _play(plan, sweep_folder, _crew(plan, len(sweep_folder.missing), jobs, engine, address))
        except KeyboardInterrupt:
            interrupted = True
        rows = sweep_folder.rows
        sweep_folder.write_results()
    failed = [row for row in rows if row.played.error]
    _tell_failures(failed, messages)
    counts = {"cells": len(plan), "done": len(rows) - len(failed), "failed": len(failed)}
    if as_json:
        print(json.dumps({**counts, "partial": len(rows) < len(plan), "results": str(folder / RESULTS)}, indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True, markup=False)
        console.print(f"{counts['cells']:,} cells: {counts['done']:,} done, {counts['failed']:,} failed")
        console.print(f"Results: {(folder / RESULTS).resolve()}")
    if interrupted:
        messages.print("The sweep was interrupted; the same command goes on with it.")
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(failed[0].played.exit_code)


def _crew(plan: Plan, cells: int, jobs: int | None, engine: str, address: str | None) -> Crew | None:
    """Who plays the cells; None where there are none to play, since even an idle crew takes seconds to start."""
    from sundog.analysis import measure
    from sundog.scenarios.sweep.crew import Processes

    if not cells:
        return None
    if engine == "ray":
        from sundog.scenarios.sweep.ray_crew import RayCrew  # an extra that may not be installed

        return RayCrew(measure, plan, address=address, jobs=jobs, cells=cells)
    return Processes(min(jobs or _cpus(), cells), measure)


def _play(plan: Plan, folder: SweepFolder, crew: Crew | None) -> None:
    from sundog.scenarios.sweep.crew import conduct

    if crew is None:
        return
    with (
        _Cells(len(plan), len(plan) - len(folder.missing)) as bar,
        closing(conduct(folder.missing, crew)) as cells,
    ):
        for cell, played in cells:
            folder.keep(cell, played)
            bar.done(failed=bool(played.error))


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tell_failures(failed: Sequence[Row], messages: Console) -> None:
    """Each error once, with the first cell that had it."""
    by_error: dict[str, list[Row]] = {}
    for row in failed:
        by_error.setdefault(row.played.error, []).append(row)
    for error, rows in list(by_error.items())[:5]:
        where = ", ".join([*(f"{key}={value}" for key, value in rows[0].labels.items()), f"seed {rows[0].seed}"])
        others = f" (and {len(rows) - 1} more cells)" if len(rows) > 1 else ""
        messages.print(f"failed: {where}{others}: {error.rstrip()}")
    if len(by_error) > 5:
        messages.print(f"and {len(by_error) - 5} other errors: see the column 'error' of the results")


def _folder_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "sweep"


class _Cells:
    """The bar of a sweep on a terminal: cells done, failed, and the time left. Silent when nobody watches."""

    def __init__(self, cells: int, done: int) -> None:
        self._failed = 0
        self._task: TaskID | None = None
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("cells", total=cells, completed=done, told="")

    def __enter__(self) -> _Cells:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def done(self, *, failed: bool) -> None:
        """One more cell is done."""
        self._failed += failed
        if self._bar is not None and self._task is not None:
            told: Any = f"{self._failed:,} failed" if self._failed else ""
            self._bar.update(self._task, advance=1, told=told)
