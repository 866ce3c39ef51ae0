"""``sundog twin``: one small scenario on real hosts and on simulated ones, side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from sundog.cli.state import DEFAULT_STATE, api_packages
from sundog.errors import InputError

# What studies need takes a second to import, for which no other command should wait.
if TYPE_CHECKING:
    from sundog.app.twin import Compared, Decided, Twins
    from sundog.core.scheduler import Explanation

DIFFERENT: Final = 3
"""Exit code where the two sides did not decide the same."""

_LIBVIRT: Final = "libvirt"
_SIMULATED: Final = "simulated"
# Differences that are explained in full: what follows is mostly their consequence.
_EXPLAINED: Final = 3


def twin(
    scenario: Annotated[str, typer.Argument(help="A small scenario: a file, or a name of the library.")],
    options: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key: seed=7. Repeatable.")
    ] = None,
    backend: Annotated[
        str, typer.Option("--backend", metavar="NAME", help="What is real: libvirt, or simulated for a rehearsal.")
    ] = _LIBVIRT,
    state: Annotated[
        str, typer.Option("--state", metavar="DIR", help="The state folder whose real hosts are used.")
    ] = DEFAULT_STATE,
    image: Annotated[Path | None, typer.Option("--image", metavar="FILE", help="The disk to boot, qcow2.")] = None,
    timings: Annotated[
        Path | None, typer.Option("--timings", metavar="FILE", help="Timings of the simulated hosts: a calibration.")
    ] = None,
    booted: Annotated[
        str | None, typer.Option("--booted", metavar="TEXT", help="Wait until guests write this to their consoles.")
    ] = None,
    live_migrate: Annotated[
        bool, typer.Option("--live-migrate", help="Move each server to another host when it has come.")
    ] = False,
    durations: Annotated[
        Path | None, typer.Option("--durations", metavar="FILE", help="Add what was measured to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Play a small scenario on real hosts and in simulation; exit 3 if they do not decide the same."""
    with api_packages():
        from sundog.app import twin as twins
    from sundog.backends.durations import DurationsFile
    from sundog.backends.simulated import load_timings, read_timings
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import prepare

    if backend not in (_LIBVIRT, _SIMULATED):
        raise InputError(f"--backend: there is no backend {backend!r}; use {_LIBVIRT} or {_SIMULATED}")
    if image is not None and not image.is_file():
        raise InputError("--image: there is no such file", path=image)
    study = prepare(load_scenario(scenario, options or []))
    simulates = load_timings() if timings is None else read_timings(timings)
    real = backend == _LIBVIRT
    plan = twins.Plan(
        twins.requests_of(study, live_migrate=live_migrate),
        study.loaded.scenario.policy.name,
        twins.fresh_seed() if real else study.loaded.scenario.seed,
        image,
        booted,
    )
    if real:
        keep = DurationsFile(durations) if durations is not None else lambda _duration: None
        told = twins.play_on_real_hosts(plan, state, simulates, keep)
    else:
        told = twins.play_on_simulated_hosts(plan, study, load_timings(), simulates)
        if durations is not None:
            for each in told.real.durations:
                DurationsFile(durations)(each)
    tell(told, as_json=as_json)
    if told.different:
        raise typer.Exit(DIFFERENT)


def tell(told: Twins, *, as_json: bool) -> None:
    """Print both sides: decisions, durations, and why what differs does."""
    if as_json:
        print(json.dumps(_plain(told), indent=2))
        return
    console = Console(highlight=False)
    console.print(_decisions(told))
    console.print()
    console.print(_durations(told.compared()))
    console.print()
    for real, simulated in told.different[:_EXPLAINED]:
        console.print(f"{real.asked}: why", markup=False)
        for side, decided in (("real", real), ("simulated", simulated)):
            console.print(f"  {side}: {why(decided)}", soft_wrap=True, markup=False)
    same = len(told.real.decided) - len(told.different)
    console.print(f"{same} of {len(told.real.decided)} decisions are the same")


def _decisions(told: Twins) -> Table:
    table = Table("request", "real", "simulated", "", box=None, padding=(0, 2, 0, 0))
    for real, simulated in zip(told.real.decided, told.simulated.decided, strict=True):
        if real.asked.kind != "delete":
            mark = "same" if real.host == simulated.host else "DIFFERENT"
            table.add_row(str(real.asked), real.host or "nowhere", simulated.host or "nowhere", mark)
    return table


def _durations(compared: Sequence[Compared]) -> Table:
    table = Table("median of", "real", "simulated", "error", "operations", box=None, padding=(0, 2, 0, 0))
    for each in compared:
        error = f"{each.error:+.1%}" if math.isfinite(each.error) else "-"
        table.add_row(each.operation, f"{each.real:.4g} s", f"{each.simulated:.4g} s", error, str(each.counts[0]))
    return table


def why(decided: Decided) -> str:
    """How a side came to its decision, in a line."""
    parts = [f"it is on {decided.host}" if decided.host else "it is nowhere"]
    if decided.fault:
        parts.append(f"fault: {decided.fault}")
    if decided.explanation is not None:
        parts += _explained(decided.explanation)
    return "; ".join(parts)


def _explained(explanation: Explanation) -> list[str]:
    from sundog.core.scheduler import Decision

    decision = explanation.decision
    parts = [f"the scheduler chose {decision.host}" if isinstance(decision, Decision) else decision.reason]
    parts += [f"{each.filter} refused {each.refused} of {each.hosts}" for each in explanation.funnel if each.refused]
    best = [f"{each.host} ({each.score:.4g})" if each.score is not None else each.host for each in explanation.best]
    return [*parts, f"in its order: {', '.join(best)}"] if best else parts


def _plain(told: Twins) -> dict[str, Any]:
    return {
        "decisions": [
            {
                "request": str(real.asked),
                "real": real.host,
                "simulated": simulated.host,
                "same": real.host == simulated.host,
                "fault": {"real": real.fault, "simulated": simulated.fault},
                "why": None if real.host == simulated.host else {"real": why(real), "simulated": why(simulated)},
            }
            for real, simulated in zip(told.real.decided, told.simulated.decided, strict=True)
        ],
        "durations": [
            {**asdict(each), "error": each.error if math.isfinite(each.error) else None} for each in told.compared()
        ],
    }
