"""What clients were told: what was acknowledged, refused, or left open. It is what the end is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

Fact: TypeAlias = tuple[str, str, str]
"""Something that can be written: what it is of, the id of that, and which part of it; ``("name", server, "")``."""

ANYTHING: Final = "anything"
"""The value of a fact of which nobody was told."""


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
    """What all clients know. ``facts`` are the values that something may have by what was acknowledged: one, or
    several while an answer is missing. ``most`` is the highest limit that a project had of something, ``forced`` the
    servers that an administrator sent to a host past its filters."""

    requests: list[Request] = field(default_factory=list)
    facts: dict[Fact, list[object]] = field(default_factory=dict)
    forced: dict[str, None] = field(default_factory=dict)
    most: dict[tuple[str, str], int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """One more of something."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def allowed(self, project_id: str, name: str, most: int) -> None:
        """A project may have so many of something; -1 is no limit."""
        before = self.most.get((project_id, name), most)
        self.most[project_id, name] = -1 if -1 in (before, most) else max(before, most)

    def violation(self, what: str) -> None:
        """Something that must never be."""
        if what not in self.violations:
            self.violations.append(what)
