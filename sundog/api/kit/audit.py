"""Who changed what: one event for each request to an operation that may change something, whatever came of it.

The endpoint of a service notes it, from the table of operations, so that no handler can forget to. An event has names
and ids alone: who asked, by which operation, about which things, when, by which request, and with what outcome. Bodies,
queries and headers are never looked at, since secrets are sent in them; of an answer the ids of what was made are kept.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sundog.control.principal import Principal

_LOG: Final = logging.getLogger("sundog.audit")

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing. All others leave an event, also where an action only shows something."""

_IDS: Final = ("id", "uuid", "name")
"""By what a thing is known, the first that it has: keypairs have a name alone."""


@dataclass(frozen=True, slots=True)
class Event:
    """A request that may have changed something.

    ``operation`` is its method and path as declared, with its action if it has one; ``target`` are the parts of the
    path by their names; ``made`` are the ids in the answer. ``status`` is None if nobody knows what came of it: the
    request was cut short. ``who`` is None for who is not known, as at a login that failed. ``time`` is the cloud's.
    """

    time: datetime
    request_id: str
    service: str
    operation: str
    rule: str
    who: Principal | None
    client: str
    target: Mapping[str, str] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    status: int | None = None

    @property
    def outcome(self) -> str:
        """``success``, ``failure``, or ``unknown``."""
        return "unknown" if self.status is None else "success" if self.status < 400 else "failure"

    def line(self) -> str:
        """The event as JSON, without the end of the line."""
        return json.dumps(
            {
                "time": self.time.isoformat(),
                "request_id": self.request_id,
                "service": self.service,
                "operation": self.operation,
                "rule": self.rule,
                "who": None if self.who is None else _told(self.who),
                "client": self.client,
                "target": dict(self.target),
                "made": list(self.made),
                "status": self.status,
                "outcome": self.outcome,
            }
        )


@dataclass(slots=True)
class Notes:
    """What is found out of a request for its event: the bearer of a token that it was given, what was ``made``."""

    who: Principal | None = None
    made: tuple[str, ...] = ()


Audit = Callable[[Event], None]


def unheard(_event: Event) -> None:
    """An audit that keeps nothing: that of a desk which is told of no other."""


class AuditFile:
    """Events as lines of JSON at the end of a file that only its owner reads.

    The file is opened for each line, so that it may be renamed while the cloud runs; a line is written in one piece. A
    line that cannot be written goes to the log instead, with the reason: what it tells of has happened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, event: Event) -> None:
        """Write an event down."""
        line = event.line()
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, f"{line}\n".encode())
            finally:
                os.close(file)
        except OSError as exc:
            _LOG.error("%s cannot be written (%s): %s", self._path, exc.strerror, line)


def made_by(told: Any) -> tuple[str, ...]:
    """The ids of what an answer tells of.

    That is ``{"server": {"id": …}}``, ``{"id": …}``, ``{"ports": [{"id": …}, …]}`` or ``{"image_id": …}``.
    """
    if not isinstance(told, Mapping):
        return ()
    if len(told) != 1:
        return _ids_in([told])
    ((name, inner),) = told.items()
    if isinstance(inner, str):
        return (inner,) if name == "id" or name.endswith("_id") else ()
    return _ids_in(inner if isinstance(inner, list | tuple) else [inner])


def _ids_in(things: Iterable[Any]) -> tuple[str, ...]:
    found = (next((each[name] for name in _IDS if name in each), None) for each in things if isinstance(each, Mapping))
    return tuple(each for each in found if isinstance(each, str))


def _told(who: Principal) -> dict[str, Any]:
    return {
        "user_id": who.user_id,
        "project_id": who.project_id,
        "domain_id": who.domain_id,
        "system": who.is_system,
        "roles": list(who.roles),
        "token_id": who.token_id,
    }
