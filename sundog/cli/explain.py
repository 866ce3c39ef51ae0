"""Why a VM is where it is: the run is played again from its lock, and the decision explained when it is taken."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sundog.core.scheduler import Decision, Explanation, Request, WhyNot, explain, why_not
from sundog.errors import InputError
from sundog.scenarios.load import load_scenario
from sundog.scenarios.lock import changed_files
from sundog.scenarios.run import prepare
from sundog.scenarios.schema import LOCK_FILE
from sundog.sim.engine import Engine
from sundog.units import format_duration


@dataclass(frozen=True, slots=True)
class Told:
    """A decision of a run and its explanation. ``time_s`` is when it was taken, ``demand`` what was asked."""

    vm_id: str
    time_s: float
    demand: str
    explanation: Explanation
    why_not: WhyNot | None
    outcome: str

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        decision = self.explanation.decision
        return {
            "vm_id": self.vm_id,
            "time_s": self.time_s,
            "demand": self.demand,
            "outcome": self.outcome,
            "host": decision.host if isinstance(decision, Decision) else None,
            "reason": None if isinstance(decision, Decision) else decision.reason,
            "funnel": [asdict(count) for count in self.explanation.funnel],
            "best": [asdict(scored) for scored in self.explanation.best],
            "relaxations": [asdict(each) for each in self.explanation.relaxations],
            "why_not": None if self.why_not is None else asdict(self.why_not),
        }

    def render(self) -> RenderableType:
        """All of it for a terminal."""
        decision = self.explanation.decision
        where = f"placed on {decision.host}" if isinstance(decision, Decision) else f"rejected: {decision.reason}"
        head = Text(f"VM {self.vm_id} at {format_duration(self.time_s)}, asking {self.demand}: {where}")
        parts: list[RenderableType] = [head, self._funnel()]
        if self.explanation.best:
            parts.append(self._best())
        gains = [f"without {each.filter}: {each.hosts:,} hosts" for each in self.explanation.relaxations]
        if gains and not isinstance(decision, Decision):
            parts.append(Text("Feasible if one filter were left out: " + "; ".join(gains)))
        if self.why_not is not None:
            parts.append(self._not_there(self.why_not))
        return Group(*parts)

    def _funnel(self) -> Table:
        table = Table(
            "filter", "hosts", "refused", title="Filters", title_justify="left", box=None, padding=(0, 2, 0, 0)
        )
        for count in self.explanation.funnel:
            table.add_row(count.filter, f"{count.hosts:,}", f"{count.refused:,}")
        return table

    def _best(self) -> Table:
        scored = self.explanation.best[0].breakdown
        made_of = ["made of (what is not 0)"] if scored else []
        table = Table("rank", "host", "score", *made_of, title="Best hosts", title_justify="left", box=None)
        for each in self.explanation.best:
            score = "" if each.score is None else f"{each.score:.6g}"
            parts = [f"{name} {value:.6g}" for name, value in each.breakdown.items() if value]
            table.add_row(str(each.rank), each.host, score, *([", ".join(parts)] if scored else []))
        return table

    def _not_there(self, told: WhyNot) -> Text:
        if told.chosen:
            return Text(f"{told.host} is the host that was chosen.")
        if told.scored is not None:
            if told.scored.score is None:
                return Text(f"{told.host} was feasible; the policy chooses without scoring, and chose another.")
            place = f"number {told.scored.rank} in the policy's order, with score {told.scored.score:.6g}"
            return Text(f"{told.host} was feasible, but came only as {place}.")
        lines = [f"{told.host} was not feasible:"]
        lines += [f"  {name}: {reason}" for name, reason in told.failed]
        if told.relax is not None:
            lines.append(f"  Leaving out {told.relax} alone would have made it feasible.")
        return Text("\n".join(lines))


def explain_decision(folder: Path, vm_id: str, *, host: str | None = None, best: int = 5) -> Told:
    """The explanation of the decision on one VM of a result folder.

    Raises: InputError if the folder is none, has no such VM, or its trace has changed since.
    """
    lock = folder / LOCK_FILE
    if not lock.is_file():
        raise InputError(f"{folder} is not a result folder: it has no {LOCK_FILE}", path=folder)
    vm, outcome = _find_vm(folder, vm_id)
    loaded = load_scenario(lock)
    changed = changed_files(loaded)
    if changed:
        raise InputError(f"{changed[0]} has changed since the run, or is gone; its decisions cannot be repeated")
    study = prepare(loaded)
    caught: list[Told] = []
    engine: Engine

    def watch(candidate: int, request: Request) -> None:
        if candidate != vm:
            return
        told = explain(engine.deciding, request, best=best)
        other = None if host is None else why_not(engine.deciding, request, host)
        caught[:] = [Told(vm_id, engine.now, request.shape.describe(), told, other, outcome)]
        if isinstance(told.decision, Decision) or not engine.waits:
            engine.stop()

    engine = study.engine(on_decision=watch)
    engine.run()
    if not caught:
        raise InputError(f"the run never decided on VM {vm_id!r}: it arrived after the run was interrupted")
    return caught[0]


def _find_vm(folder: Path, vm_id: str) -> tuple[int, str]:
    """Its place in arrival order, and how it ended."""
    try:
        vms = pd.read_parquet(folder / "vms.parquet", columns=["vm_id", "outcome"])
    except (OSError, ValueError) as exc:
        raise InputError(f"cannot be read: {exc}", path=folder / "vms.parquet") from exc
    found = np.flatnonzero((vms["vm_id"].astype(str) == vm_id).to_numpy())
    if not len(found):
        first = ", ".join(vms["vm_id"].head(3).astype(str))
        raise InputError(f"the run has no VM {vm_id!r}; ids are such as {first}", path=folder)
    return int(found[0]), str(vms["outcome"].iloc[found[0]])
