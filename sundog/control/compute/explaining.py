"""Why a server is where it is, or nowhere: what the scheduler would say of the same wish now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sundog.control.compute.books import get_server
from sundog.control.compute.records import Host, Server
from sundog.control.compute.scheduling import Wish, request_of
from sundog.control.compute.work import Parts
from sundog.control.store import Reader
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import Viewer
from sundog.core.scheduler import ServerGroup
from sundog.core.scheduler.explain import Explanation, WhyNot, explain, why_not
from sundog.errors import InputError, NotFound

BEST: Final = 5
"""How many of the best hosts are shown."""


@dataclass(frozen=True, slots=True)
class Placing:
    """What would be decided for a server now.

    ``host`` is where it is. What it holds there counts as used, as for any other server; of its group it is no member.
    ``why_not`` is about the host that was asked for.
    """

    server: Server
    host: Host | None
    policy: str
    explanation: Explanation
    why_not: WhyNot | None


class Explaining:
    """Explains placements. Nothing is changed by it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def explain(
        self, viewer: Viewer, server_id: str, *, host: str | None = None, hidden: bool = False
    ) -> Placing:  # fmt: skip
        """What the scheduler would decide for a server now, and why not ``host``, where that is given.

        It is given by name, with ``hidden`` as a project may see it, see :func:`hidden_name`.

        Raises: NotFound, for a host that there is not too; Invalid for extra specs that ask nonsense.
        """
        scheduling = self._parts.scheduling
        with self._parts.books.reading() as tx:
            server = get_server(tx, viewer, server_id)
            wish = _wish(tx, server)
        if hidden and host is not None:
            host = self._unhidden(server.project_id, host)
        request, scheduler = request_of(wish), scheduling.scheduler
        member = server.group_id is not None and server.host is not None
        if member and server.group_id is not None:
            scheduling.moved(server.group_id, server.host, None)
        try:
            explanation = explain(scheduler, request, best=BEST)
            against = None if host is None else why_not(scheduler, request, host)
        except InputError as error:
            raise _no_host(host) from error
        finally:
            if member and server.group_id is not None:
                scheduling.moved(server.group_id, None, server.host)
        return Placing(
            server, self._parts.hosts.by_uuid(server.host), scheduler.policy_name, explanation, against
        )  # fmt: skip

    def _unhidden(self, project_id: str, hidden: str) -> str:
        """The name of a host. Raises: NotFound; its own name is none that a project may know."""
        for each in self._parts.hosts.list_all():
            if hidden_name(project_id, each.name) == hidden:
                return each.name
        raise _no_host(hidden)


def _no_host(name: str | None) -> NotFound:
    return NotFound(f"Compute host {name} could not be found.", host=name)


def hidden_name(project_id: str, host_name: str) -> str:
    """A host as a project may see it, Nova's ``hostId``: the same for all its servers, another for each project."""
    return hashlib.sha224(f"{project_id}{host_name}".encode()).hexdigest()


def _wish(reader: Reader, server: Server) -> Wish:
    """What decides where a server goes. A group that is gone asks nothing any more."""
    row = None if server.group_id is None else reader.get(tables.server_groups, id=server.group_id)
    group = None if row is None else ServerGroup(row["id"], row["policy"], row["max_server_per_host"] or 1)
    return Wish(
        server.id, server.project_id, server.flavor, server.image, group, server.availability_zone, server.hints
    )  # fmt: skip
