"""What operations have in common: who asks, whose servers they are about, and how they differ by version."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from sundog.api.compute.policy import RULES
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import servers as views
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.api.kit.service import Handler
from sundog.api.kit.versions import Version, parse_version
from sundog.control.compute.records import Caller, Flavor, Server
from sundog.control.viewer import Viewer
from sundog.errors import Invalid, NotFound
from sundog.runtime.ids import random_secret

_PASSWORD_LENGTH: Final = 12

Steps = Mapping[str, type[BaseModel]]
"""Models by the first version that each is for."""


def caller(ctx: Context) -> Caller:
    """Who asks, as the control plane writes it down."""
    return Caller.of(ctx.who, ctx.request_id)


def viewer(ctx: Context) -> Viewer:
    """For whom things are looked up."""
    return caller(ctx).viewer


def check_project(ctx: Context, project_id: str) -> None:
    """Raises: Invalid if there is no such project."""
    try:
        ctx.cloud.identity.projects.show(project_id)
    except NotFound:
        raise Invalid(f"Project ID {project_id} is not a valid project.", project=project_id) from None


def server_of(ctx: Context, server_id: str, rule: str, *, deleted: bool = False) -> Server:
    """A server for which the caller passes a rule.

    Raises: NotFound for one that the caller does not see; Forbidden.
    """
    server: Server = ctx.cloud.compute.servers.show(caller(ctx).viewer, server_id, deleted=deleted)
    ctx.require(RULES[rule], target(server))
    return server


def target(server: Server) -> dict[str, str]:
    """What policy is asked about."""
    return {"project_id": server.project_id, "user_id": server.user_id}


def flavor_of(ctx: Context, reference: str) -> Flavor:
    """The flavor of an id, which may be the end of an address.

    Raises: Invalid if the caller sees no such flavor.
    """
    flavor_id = reference.rstrip("/").rpartition("/")[2]
    try:
        flavor: Flavor = ctx.cloud.compute.flavors.show(caller(ctx).viewer, flavor_id)
    except NotFound as error:
        raise Invalid(error.message, flavor=flavor_id) from None
    return flavor


def around(ctx: Context, servers: list[Server]) -> views.Around:
    """What is told with servers: a few questions for all of them together."""
    compute = ctx.cloud.compute
    return views.Around(
        compute.servers.addresses(servers),
        compute.servers.security_groups(servers),
        views.hosts_of(servers, compute.hosts.by_uuid),
    )


def new_password() -> str:
    """A password for a guest, in letters and digits. It is told once and kept nowhere."""
    letters = re.sub(r"[^A-Za-z0-9]", "", random_secret(2 * _PASSWORD_LENGTH))
    return letters[:_PASSWORD_LENGTH] if len(letters) >= _PASSWORD_LENGTH else new_password()


# ---------------------------------------------------------------- operations by version


def stepped(
    method: str,
    path: str,
    rule: Rule,
    *,
    bodies: Steps | None = None,
    queries: Steps | None = None,
    until: str | None = None,
    **options: Any,
) -> Callable[[Handler], Handler]:
    """Declare the function below once for each version in which its body or its query changes.

    ``until`` is the last version that has the operation at all; all else is as for the service's ``operation``.
    """

    def register(handler: Handler) -> Handler:
        starts = sorted({parse_version(each) for each in (*(bodies or ()), *(queries or ()))})
        for index, start in enumerate(starts):
            last = starts[index + 1] if index + 1 < len(starts) else None
            end = f"{last.major}.{last.minor - 1}" if last is not None else until
            register_one = SERVICE.operation(
                method,
                path,
                rule,
                since=None if str(start) == "2.1" else str(start),
                until=end,
                body=None if bodies is None else in_force(bodies, start),
                query=None if queries is None else in_force(queries, start),
                **options,
            )
            register_one(handler)
        return handler

    return register


def in_force(steps: Steps, version: Version) -> type[BaseModel]:
    """The model of a version: that of the last step which is not after it."""
    return steps[str(max(each for each in map(parse_version, steps) if each <= version))]
