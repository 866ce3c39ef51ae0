"""Projects and their tags."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from sundog.api.identity import policy, told, views
from sundog.api.identity.lists import collection, here, truth
from sundog.api.identity.schemas import CreateProject, ProjectListing, ProjectShow, Tag, Tags, UpdateProject
from sundog.api.identity.service import SERVICE
from sundog.api.identity.targets import shown, within
from sundog.api.kit.context import Context
from sundog.api.kit.policy import Rule
from sundog.api.kit.service import Reply
from sundog.control.identity.records import Project
from sundog.errors import Invalid

_TAG: TypeAdapter[str] = TypeAdapter(Tag)


@SERVICE.operation("GET", "/v3/projects", policy.LIST_PROJECTS, own=False)
async def list_projects(ctx: Context, query: ProjectListing) -> dict[str, Any]:
    """List projects; with a token for a domain, those of the domain."""
    ctx.require(policy.LIST_PROJECTS, within(ctx, "target.domain_id"))
    every = ctx.cloud.identity.projects.list_all(is_domain=truth(query.is_domain))
    found = [each for each in every if ctx.who.domain_id in (None, each.domain_id) and _tagged(each.tags, query)]
    items = [views.project(ctx, each) for each in found]
    return collection(ctx, "projects", items, query, ("domain_id", "enabled", "name", "parent_id"))


@SERVICE.operation("POST", "/v3/projects", policy.CREATE_PROJECT, status=201, own=False)
async def create_project(ctx: Context, body: CreateProject) -> dict[str, Any]:
    """Create a project, or a domain by the name of one."""
    values = told.given(body.project)
    if not body.project.is_domain and body.project.parent_id is None:
        values["domain_id"] = told.domain_of(ctx, body.project.domain_id)
    ctx.require(policy.CREATE_PROJECT, {"target.project.domain_id": values.get("domain_id")})
    with told.bad_if_missing():
        project = ctx.cloud.identity.projects.create(**told.lean(values), extra=told.rest(body.project))
    return {"project": views.project(ctx, project)}


@SERVICE.operation("GET", "/v3/projects/{project_id}", policy.GET_PROJECT, own=False)
async def show_project(ctx: Context, project_id: str, query: ProjectShow) -> dict[str, Any]:
    """Show a project; if asked, with those above and below it."""
    project = _shown(ctx, policy.GET_PROJECT, project_id)
    return {"project": views.project(ctx, project) | _around(ctx, project, query)}


@SERVICE.operation("PATCH", "/v3/projects/{project_id}", policy.UPDATE_PROJECT, own=False)
async def update_project(ctx: Context, project_id: str, body: UpdateProject) -> dict[str, Any]:
    """Change a project."""
    project, part = _shown(ctx, policy.UPDATE_PROJECT, project_id), body.project
    told.check_same(
        part,
        "project",
        id=project.id,
        domain_id=project.domain_id or None,
        parent_id=project.parent_id,
        is_domain=project.is_domain,
    )
    changes = told.texts(told.given(part), "description")
    project = ctx.cloud.identity.projects.update(project_id, changes, extra=told.rest(part), tags=changes.get("tags"))
    return {"project": views.project(ctx, project)}


@SERVICE.operation("DELETE", "/v3/projects/{project_id}", policy.DELETE_PROJECT, status=204, own=False)
async def delete_project(ctx: Context, project_id: str) -> None:
    """Delete a project."""
    _shown(ctx, policy.DELETE_PROJECT, project_id)
    ctx.cloud.identity.projects.delete(project_id)


@SERVICE.operation("GET", "/v3/projects/{project_id}/tags", policy.LIST_PROJECT_TAGS, own=False)
async def list_project_tags(ctx: Context, project_id: str) -> dict[str, Any]:
    """List the tags of a project."""
    return _tags(ctx, _shown(ctx, policy.LIST_PROJECT_TAGS, project_id).tags)


@SERVICE.operation("PUT", "/v3/projects/{project_id}/tags", policy.UPDATE_PROJECT_TAGS, own=False)
async def update_project_tags(ctx: Context, project_id: str, body: Tags) -> dict[str, Any]:
    """Replace the tags of a project."""
    _shown(ctx, policy.UPDATE_PROJECT_TAGS, project_id)
    return _tags(ctx, ctx.cloud.identity.projects.set_tags(project_id, body.tags).tags)


@SERVICE.operation("DELETE", "/v3/projects/{project_id}/tags", policy.DELETE_PROJECT_TAGS, status=204, own=False)
async def delete_project_tags(ctx: Context, project_id: str) -> None:
    """Take all tags from a project."""
    _shown(ctx, policy.DELETE_PROJECT_TAGS, project_id)
    ctx.cloud.identity.projects.set_tags(project_id, ())


@SERVICE.operation("GET", "/v3/projects/{project_id}/tags/{tag}", policy.GET_PROJECT_TAG, status=204, own=False)
@SERVICE.operation("HEAD", "/v3/projects/{project_id}/tags/{tag}", policy.GET_PROJECT_TAG, status=204, own=False)
async def check_project_tag(ctx: Context, project_id: str, tag: str) -> None:
    """Check that a project has a tag."""
    _shown(ctx, policy.GET_PROJECT_TAG, project_id)
    ctx.cloud.identity.projects.check_tag(project_id, tag)


@SERVICE.operation("PUT", "/v3/projects/{project_id}/tags/{tag}", policy.CREATE_PROJECT_TAG, status=201, own=False)
async def create_project_tag(ctx: Context, project_id: str, tag: str) -> Reply:
    """Tag a project."""
    _shown(ctx, policy.CREATE_PROJECT_TAG, project_id)
    try:
        _TAG.validate_python(tag)
    except ValidationError:
        raise Invalid("a tag has 1 to 255 characters, none of them a comma or a slash", tag=tag) from None
    ctx.cloud.identity.projects.add_tag(project_id, tag)
    return Reply(None, headers={"Location": here(ctx)})


@SERVICE.operation("DELETE", "/v3/projects/{project_id}/tags/{tag}", policy.DELETE_PROJECT_TAG, status=204, own=False)
async def delete_project_tag(ctx: Context, project_id: str, tag: str) -> None:
    """Take a tag from a project."""
    _shown(ctx, policy.DELETE_PROJECT_TAG, project_id)
    ctx.cloud.identity.projects.remove_tag(project_id, tag)


def _shown(ctx: Context, rule: Rule, project_id: str) -> Project:
    return shown(ctx, rule, "project", ctx.cloud.identity.projects.show, project_id)


def _tags(ctx: Context, tags: tuple[str, ...]) -> dict[str, Any]:
    return {"tags": list(tags), "links": {"self": here(ctx), "previous": None, "next": None}}


def _tagged(tags: tuple[str, ...], query: ProjectListing) -> bool:
    """Whether a project's tags are as the query asks: all of some, any of some, not all, not any."""
    own = set(tags)
    every, some, not_every, not_any = (
        set(text.split(",")) if text else None
        for text in (query.tags, query.tags_any, query.not_tags, query.not_tags_any)
    )
    return (
        (every is None or every <= own)
        and (some is None or bool(some & own))
        and (not_every is None or not not_every <= own)
        and (not_any is None or not not_any & own)
    )


def _around(ctx: Context, project: Project, query: ProjectShow) -> dict[str, Any]:
    """The projects above and below a project: whole ones on which the caller has a role, or the ids of all."""
    answer: dict[str, Any] = {}
    for name, as_list, as_ids in (
        ("parents", query.parents_as_list, query.parents_as_ids),
        ("subtree", query.subtree_as_list, query.subtree_as_ids),
    ):
        if truth(as_list) and truth(as_ids):
            raise Invalid(f"Cannot use {name}_as_list and {name}_as_ids query params at the same time.")
    projects, assignments = ctx.cloud.identity.projects, ctx.cloud.identity.assignments
    parents = projects.above(project.id)
    if truth(query.parents_as_ids):
        ids: dict[str, Any] | None = None
        for each in reversed(parents):
            ids = {each.id: ids}
        answer["parents"] = ids
    if truth(query.subtree_as_ids):
        answer["subtree"] = _branch(project.id, projects.below(project.id))
    if truth(query.parents_as_list) or truth(query.subtree_as_list):
        own = {each.id for each in assignments.projects_for(ctx.who.user_id)}
        if truth(query.parents_as_list):
            answer["parents"] = [{"project": views.project(ctx, each)} for each in parents if each.id in own]
        if truth(query.subtree_as_list):
            below = [each for each in projects.below(project.id) if each.id in own]
            answer["subtree"] = [{"project": views.project(ctx, each)} for each in below]
    return answer


def _branch(project_id: str, below: list[Project]) -> dict[str, Any] | None:
    children = [each.id for each in below if each.parent_id == project_id]
    return {child: _branch(child, below) for child in children} or None
