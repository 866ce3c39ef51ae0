"""What the journal of a run holds: two runs of one seed have the same one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """A client asked for something."""

    client: str
    operation: str
    server: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Struck:
    """Something went wrong on order."""

    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Noted:
    """The control plane began or ended, or the run came to its next part."""

    what: str


@dataclass(frozen=True, slots=True)
class Found:
    """A server as it is at the end."""

    server: str
    state: str
    host: str
    generation: int
