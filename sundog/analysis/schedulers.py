"""The figures of several schedulers: conflicts, commits, queues. There are none for a run with one.

Like all figures of requests they count those that arrived in the window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from sundog.analysis.metrics import SHARE, Figure, requests_in_window
from sundog.analysis.statistics import spread
from sundog.analysis.tables import REJECTED, Results

CONFLICT: Final = "conflict: "
STALE: Final = "stale view: "
"""How the reasons begin of requests that were rejected because of conflicts, and of an old view."""


def scheduler_figures(results: Results) -> Iterator[Figure]:
    """Nothing unless ``run.json`` says how many schedulers there were."""
    done, count = results.vms.scheduling, results.run.schedulers.get("count")
    if done is None or count is None:
        return
    rows = requests_in_window(results)
    start, end = results.window
    commits, choice = done.commits[rows], done.choice[rows]
    attempts, placed = int(commits.sum()), int((choice >= 0).sum())
    conflicts = attempts - placed
    yield Figure("scheduling.schedulers", int(count), "scheduler", "schedulers, each with a view of its own")
    yield Figure("scheduling.commits", attempts, "commit", "attempts to commit a decision")
    yield Figure("scheduling.conflicts", conflicts, "commit", "of those, refused: the view was old")
    yield Figure("scheduling.conflict_rate", _over(conflicts, attempts), SHARE, "conflicts / attempts to commit")
    about = "attempts to commit / requests that were placed"
    yield Figure("scheduling.commits_per_placement", _over(attempts, placed), "commit/VM", about)
    alternates = int((choice > 0).sum())
    yield Figure("scheduling.by_alternate", alternates, "VM", "placed on an alternate, not on the first choice")
    about = "seconds that schedulers spent on the requests / (schedulers x seconds of the window)"
    busy = _over(float(done.scheduling_s[rows].sum()), count * (end - start))
    yield Figure("scheduling.busy_share", busy, SHARE, about)
    queued = done.queued_s[rows]
    waits = spread(queued[~np.isnan(queued)])
    about = "time from arrival until the scheduler turned to the request"
    yield Figure("scheduling.queue_mean", waits.mean, "s", f"{about}, mean")
    yield Figure("scheduling.queue_p99", waits.p99, "s", f"{about}, 99 % quantile")
    rejected = rows[results.vms.outcome[rows] == REJECTED]
    about = "rejected because every attempt to commit was refused"
    yield Figure("scheduling.rejected_conflict", _because(results, rejected, CONFLICT), "VM", about)
    about = "rejected because the view had no host, while there was one"
    yield Figure("scheduling.rejected_stale", _because(results, rejected, STALE), "VM", about)


def _because(results: Results, rows: npt.NDArray[np.intp], beginning: str) -> int:
    """How many of these requests have a reason with this beginning."""
    reason = results.vms.reason
    named = np.asarray([name.startswith(beginning) for name in reason.names], dtype=bool)
    return int(named[reason.codes[rows]].sum()) if len(rows) else 0


def _over(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
