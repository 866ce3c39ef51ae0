"""What an audit finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong, by what can be done about it."""

    OVER_CAPACITY = "over capacity"
    ORPHAN_ALLOCATION = "orphan allocation"
    WRONG_ALLOCATION = "wrong allocation"
    SEVERAL_COPIES = "several running copies"
    WRONG_SIZE = "wrong size"
    OVER_QUOTA = "over quota"
    SAME_ADDRESS = "same address"
    ORPHAN_PORT = "orphan port"
    WRONG_PORT = "wrong port"
    WRONG_POOL = "wrong address pool"
    WRONG_FLOATING = "wrong floating IP"
    STUCK_SERVER = "stuck server"
    STUCK_MIGRATION = "stuck migration"
    UNDER_WAY = "under way"
    STUCK_IMAGE = "stuck image"
    UNMADE_IMAGE = "unmade image"
    STRAY_FILE = "stray file"
    DRIFT = "drift"
    SILENT_HOST = "silent host"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    ``invariant`` is its number in docs/explanation/simulation-testing.md, ``ids`` what it is about, ``advice`` what to
    do. A ``note`` is worth knowing and breaks nothing.
    """

    invariant: str
    kind: Kind
    message: str
    ids: tuple[str, ...]
    advice: str
    note: bool = False

    def __str__(self) -> str:
        return f"{self.invariant} {'note: ' if self.note else ''}{self.message}; {self.advice}"
