"""``check_driver``: does a driver keep the contract? In the spirit of Gymnasium's ``check_env``.

It makes servers of its own on the hosts that are up, plays through every clause, looks at what the hosts then hold, and
removes them again. The first clause that does not hold is a ``ContractBroken`` that says which, what was seen, and what
was expected. Nobody else's servers are touched, so it may be run against a live cloud; the clauses about trouble only
where somebody is given who can provoke it. The clauses themselves are in ``clauses.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sundog.backends.checking import Check, Trouble
from sundog.backends.clauses import CLAUSES
from sundog.backends.contract import ComputeDriver, ImageReference
from sundog.runtime.ids import Ids
from sundog.units import Seconds

__all__ = ["CLAUSES", "DriverCheck", "Trouble", "check_driver"]


@dataclass(frozen=True, slots=True)
class DriverCheck:
    """What ``check_driver`` saw of a driver that is in order: the clauses that held, and those not tried, with why."""

    driver: str
    clauses: tuple[str, ...]
    skipped: tuple[str, ...]


async def check_driver(
    driver: ComputeDriver,
    *,
    image: ImageReference,
    ids: Ids,
    deadline: Seconds = 300.0,
    patience: Seconds = 600.0,
    memory_mib: int = 256,
    only: Sequence[str] = (),
    trouble: Trouble | None = None,
) -> DriverCheck:
    """Check a driver; at least one host must be up, and two for the clauses about moving.

    ``image`` is one that its hosts can boot from. ``ids`` gives the uuids of the servers that are made, each of one
    vCPU and ``memory_mib``. ``deadline`` is long enough for any operation, ``patience`` for a host
    to be called down, or up. ``only`` names the clauses to try.

    Raises: ContractBroken for the first clause that does not hold; its name is the attribute ``clause``.
    """
    unknown = [name for name in only if name not in CLAUSES]
    if unknown:
        raise ValueError(f"there is no clause {unknown[0]!r}; the clauses are {', '.join(CLAUSES)}")
    check = Check(driver, image, ids, deadline, patience, memory_mib, trouble)
    await check.prepare()
    held, skipped = [], []
    for name, clause in CLAUSES.items():
        if only and name not in only:
            continue
        reason = clause.missing(check)
        if reason is not None:
            skipped.append(f"{name}: {reason}")
            continue
        check.clause = name
        await check.play(clause.play)
        held.append(name)
    return DriverCheck(check.capabilities.name, tuple(held), tuple(skipped))
