"""Server groups."""

from __future__ import annotations

from typing import Any

from sundog.api.kit.context import Context
from sundog.control.compute.groups import ServerGroup


def group(ctx: Context, each: ServerGroup) -> dict[str, Any]:
    """A server group."""
    told: dict[str, Any] = {"id": each.id, "name": each.name, "members": list(each.members)}
    if ctx.at_least("2.13"):
        told |= {"project_id": each.project_id, "user_id": each.user_id}
    if not ctx.at_least("2.64"):
        return told | {"policies": [each.policy], "metadata": {}}
    rules = {} if each.max_server_per_host is None else {"max_server_per_host": each.max_server_per_host}
    return told | {"policy": each.policy, "rules": rules}
