"""What clients were told: what was acknowledged, refused, or left open. It is what the end is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """What a client knows about its request."""

    DONE = "done"
    """It was acknowledged."""
    REFUSED = "refused"
    """It was refused: nothing of it may have happened."""
    UNKNOWN = "unknown"
    """The connection broke: it may or may not have been taken."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request for an action of servers: those that the answer named, none if there was none."""

    id: str
    action: str
    servers: tuple[str, ...]
    outcome: Outcome


@dataclass
class Told:
    """What all clients know. ``metadata`` are the values that an item of a server may have, by server and
    key; None is to have none."""

    requests: list[Request] = field(default_factory=list)
    metadata: dict[tuple[str, str], list[str | None]] = field(default_factory=dict)
    most: dict[tuple[str, str], int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """One more of something."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def violation(self, what: str) -> None:
        """Something that must never be."""
        if what not in self.violations:
            self.violations.append(what)
