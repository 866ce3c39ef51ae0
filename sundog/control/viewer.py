"""For whom something is looked up: what belongs to others is not there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewer:
    """A project, None for who has none; or with ``sees_all`` somebody who sees the things of all projects."""

    project_id: str | None
    sees_all: bool = False


EVERYTHING = Viewer("", sees_all=True)
"""The cloud itself."""
