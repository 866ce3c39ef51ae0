"""Audits: whether a cloud is what it should be, and what to do where it is not.

The invariants have numbers, I1 to I12; docs/explanation/simulation-testing.md lists them. ``books`` and ``addresses``
have those that the store alone decides, ``hosts`` those for which hosts are asked, ``healing`` what can be put right.
"""

from __future__ import annotations

from sundog.control.audit.addresses import check_addresses
from sundog.control.audit.books import check_books, check_images, check_progress, check_sizes, look
from sundog.control.audit.findings import Finding, Kind
from sundog.control.audit.healing import heal
from sundog.control.audit.hosts import check_copies, check_hosts
from sundog.control.audit.parts import Audited
from sundog.runtime.clock import utcnow
from sundog.units import Seconds

__all__ = [
    "PATIENCE",
    "Audited",
    "Finding",
    "Kind",
    "audit",
    "check_addresses",
    "check_books",
    "check_copies",
    "check_sizes",
    "heal",
    "look",
]

PATIENCE: Seconds = 6 * 3600.0
"""How long something may be under way before it is called stuck: longer than every deadline and its repetitions."""


async def audit(cloud: Audited, *, patience: Seconds = PATIENCE) -> list[Finding]:
    """Everything that is not as it should be, notes too. Changes nothing."""
    with cloud.store.read() as reader:
        snapshot = look(reader)
        more = [*check_sizes(reader), *check_addresses(reader)]
    now = utcnow()
    return [
        *check_books(snapshot),
        *more,
        *check_progress(snapshot, now, patience),
        *check_images(snapshot, now, patience, cloud.image.files()),
        *await check_hosts(cloud.compute),
    ]
