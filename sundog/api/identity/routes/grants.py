"""Who has which role on what: given, checked, taken away, listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sundog.api.identity import policy, views
from sundog.api.identity.lists import collection, here, truth
from sundog.api.identity.schemas import AssignmentListing, Listing
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import about, seen
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.control.identity.assignments import SYSTEM, Actor, Assignment, Names
from sundog.control.identity.payload import Scope
from sundog.errors import Invalid

_ON_SYSTEM = {
    ("create", "user"): policy.CREATE_SYSTEM_GRANT_FOR_USER,
    ("check", "user"): policy.CHECK_SYSTEM_GRANT_FOR_USER,
    ("revoke", "user"): policy.REVOKE_SYSTEM_GRANT_FOR_USER,
    ("list", "user"): policy.LIST_SYSTEM_GRANTS_FOR_USER,
    ("create", "group"): policy.CREATE_SYSTEM_GRANT_FOR_GROUP,
    ("check", "group"): policy.CHECK_SYSTEM_GRANT_FOR_GROUP,
    ("revoke", "group"): policy.REVOKE_SYSTEM_GRANT_FOR_GROUP,
    ("list", "group"): policy.LIST_SYSTEM_GRANTS_FOR_GROUP,
}
_ON_OTHERS = {
    "create": policy.CREATE_GRANT,
    "check": policy.CHECK_GRANT,
    "revoke": policy.REVOKE_GRANT,
    "list": policy.LIST_GRANTS,
}


def _paths(end: str) -> Iterator[tuple[str, str, str]]:
    """``(path, kind of target, kind of actor)`` of every path on which ``end`` is; ``end`` begins with ``/roles``."""
    for actor in ("user", "group"):
        yield f"/v3/system/{actor}s/{{{actor}_id}}{end}", "system", actor
        for target in ("project", "domain"):
            path = f"/{target}s/{{{target}_id}}/{actor}s/{{{actor}_id}}"
            yield f"/v3{path}{end}", target, actor
            inherited = "/roles/inherited_to_projects" if end == "/roles" else f"{end}/inherited_to_projects"
            yield f"/v3/OS-INHERIT{path}{inherited}", target, actor


def _everywhere(verb: str, end: str, *methods: str, status: int) -> Callable[[Any], Any]:
    """Declare the function below as what ``methods`` do on all paths, each by its own rule."""

    def register(handler: Any) -> Any:
        for path, target, actor in _paths(end):
            rule = _ON_SYSTEM[verb, actor] if target == "system" else _ON_OTHERS[verb]
            for method in methods:
                SERVICE.operation(method, path, rule, status=status, own=False)(handler)
        return handler

    return register


@_everywhere("create", "/roles/{role_id}", "PUT", status=204)
async def create_grant(
    ctx: Context, role_id: str, project_id: str = "", domain_id: str = "", user_id: str = "", group_id: str = ""
) -> None:
    """Give a role."""
    ctx.cloud.identity.assignments.grant(_asked(ctx, "create", role_id, project_id, domain_id, user_id, group_id))


@_everywhere("check", "/roles/{role_id}", "GET", "HEAD", status=204)
async def check_grant(
    ctx: Context, role_id: str, project_id: str = "", domain_id: str = "", user_id: str = "", group_id: str = ""
) -> None:
    """Check that a role was given."""
    ctx.cloud.identity.assignments.check(_asked(ctx, "check", role_id, project_id, domain_id, user_id, group_id))


@_everywhere("revoke", "/roles/{role_id}", "DELETE", status=204)
async def revoke_grant(
    ctx: Context, role_id: str, project_id: str = "", domain_id: str = "", user_id: str = "", group_id: str = ""
) -> None:
    """Take a role away."""
    ctx.cloud.identity.assignments.revoke(_asked(ctx, "revoke", role_id, project_id, domain_id, user_id, group_id))


@_everywhere("list", "/roles", "GET", status=200)
async def list_grants(
    ctx: Context, query: Listing, project_id: str = "", domain_id: str = "", user_id: str = "", group_id: str = ""
) -> dict[str, Any]:
    """List the roles that were given by name."""
    asked = _asked(ctx, "list", "", project_id, domain_id, user_id, group_id)
    found = ctx.cloud.identity.assignments.roles_of(asked.actor, asked.target, inherited=asked.inherited)
    return collection(ctx, "roles", [views.role(ctx, each) for each in found], query, ("name",))


@SERVICE.operation("GET", "/v3/role_assignments", policy.LIST_ROLE_ASSIGNMENTS, own=False)
async def list_role_assignments(ctx: Context, query: AssignmentListing) -> dict[str, Any]:
    """List who has which role on what."""
    _check(query)
    below = query.project_id if truth(query.include_subtree) else None
    _require_listing(ctx, query, below)
    given, names = ctx.cloud.identity.assignments.every(effective=truth(query.effective), below=below)
    chosen = [each for each in given if _chosen(each, query, below) and _visible(ctx, each, names)]
    named = truth(query.include_names)
    return {
        "role_assignments": [views.assignment(ctx, each, names, named=named) for each in chosen],
        "links": {"self": here(ctx), "previous": None, "next": None},
    }


def _asked(
    ctx: Context, verb: str, role_id: str, project_id: str, domain_id: str, user_id: str, group_id: str
) -> Assignment:
    """What a request is about, once the caller may ask it.

    Raises: Forbidden.
    """
    identity = ctx.cloud.identity
    actor = Actor("user", user_id) if user_id else Actor("group", group_id)
    target = Scope("project", project_id) if project_id else Scope("domain", domain_id) if domain_id else SYSTEM
    rule: Rule = _ON_SYSTEM[verb, actor.kind] if target == SYSTEM else _ON_OTHERS[verb]
    ctx.require(
        rule,
        about(
            user=seen(identity.users.show, user_id),
            group=seen(identity.groups.show, group_id),
            project=seen(identity.projects.show, project_id),
            domain=seen(identity.projects.show_domain, domain_id),
            role=seen(identity.roles.show, role_id),
        ),
    )
    return Assignment(actor, target, role_id, inherited="/OS-INHERIT/" in ctx.request.url.path)


def _check(query: AssignmentListing) -> None:
    """Raises: Invalid for filters that exclude each other."""
    targets = [each for each in (query.project_id, query.domain_id, query.system) if each is not None]
    if len(targets) > 1:
        raise Invalid("Specify a domain, a project or the system, not several of them")
    if query.user_id is not None and query.group_id is not None:
        raise Invalid("Specify a user or group, not both")
    if truth(query.effective) and query.group_id is not None:
        raise Invalid("Combining effective and group filter will always result in an empty list.")
    if truth(query.effective) and query.inherited_to is not None and query.domain_id is not None:
        raise Invalid("Combining effective, domain and inherited filters will always result in an empty list.")


def _require_listing(ctx: Context, query: AssignmentListing, below: str | None) -> None:
    if not truth(query.include_subtree):
        domain = {"target.domain_id": ctx.who.domain_id} if ctx.who.domain_id is not None else {}
        ctx.require(policy.LIST_ROLE_ASSIGNMENTS, domain)
        return
    top = seen(ctx.cloud.identity.projects.show, below)
    ctx.require(policy.LIST_ROLE_ASSIGNMENTS_FOR_TREE, {"target.domain_id": top.domain_id} if top is not None else {})
    if below is None:
        raise Invalid("scope.project.id must be specified if include_subtree is also specified")
    ctx.cloud.identity.projects.show(below)


def _chosen(given: Assignment, query: AssignmentListing, below: str | None) -> bool:
    """Whether an assignment is one that the query asks for."""
    target, actor = given.target, given.actor
    inherited = given.inherited or given.above is not None
    return (
        (query.role_id is None or given.role_id == query.role_id)
        and (query.user_id is None or actor == Actor("user", query.user_id))
        and (query.group_id is None or actor == Actor("group", query.group_id))
        and (below is not None or query.project_id is None or target == Scope("project", query.project_id))
        and (query.domain_id is None or target == Scope("domain", query.domain_id))
        and (query.system is None or target.kind == "system")
        and (query.inherited_to is None or inherited is (query.inherited_to == "projects"))
    )


def _visible(ctx: Context, given: Assignment, names: Names) -> bool:
    """With a token for a domain, what is on it and on its projects."""
    own = ctx.who.domain_id
    if own is None:
        return True
    if given.target.kind == "project":
        return names.projects[given.target.id].domain_id == own
    return given.target == Scope("domain", own)
