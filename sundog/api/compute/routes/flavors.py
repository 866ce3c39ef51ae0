"""Flavors, their extra specs, and who has access to them."""

from __future__ import annotations

from typing import Any

from sundog.api.compute.common import Steps, check_project, stepped, viewer
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import flavors as schemas
from sundog.api.compute.schemas.extra_specs import check_spec
from sundog.api.compute.schemas.server_details import nothing
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views import flavors as views
from sundog.api.compute.views.common import BASE, next_links, page_limit
from sundog.api.kit.context import Context
from sundog.api.kit.policy import ANYBODY, OF_ALL, Rule
from sundog.control.compute.flavors import FlavorQuery, no_spec
from sundog.control.compute.records import Flavor
from sundog.errors import Invalid, NotFound

# Nova asks no rule for these: whoever has a token sees the flavors that are theirs to use.
LIST = Rule("os_compute_api:flavors", ANYBODY, "Flavors: list and show", OF_ALL)
CREATE = RULES["os_compute_api:os-flavor-manage:create"]
UPDATE = RULES["os_compute_api:os-flavor-manage:update"]
DELETE = RULES["os_compute_api:os-flavor-manage:delete"]
SPECS = "os_compute_api:os-flavor-extra-specs"
ACCESS = "os_compute_api:os-flavor-access"

_TRUE = ("1", "t", "true", "on", "y", "yes")
_FALSE = ("0", "f", "false", "off", "n", "no")

AnyList = schemas.ListFlavors | schemas.ListFlavors_2_102
AnyNew = schemas.CreateFlavor | schemas.CreateFlavor_2_55 | schemas.CreateFlavor_2_102
LISTS: Steps = {"2.1": schemas.ListFlavors, "2.75": schemas.ListFlavors_2_75, "2.102": schemas.ListFlavors_2_102}
NEW: Steps = {"2.1": schemas.CreateFlavor, "2.55": schemas.CreateFlavor_2_55, "2.102": schemas.CreateFlavor_2_102}
ONE = f"{BASE}/flavors/{{flavor_id}}"


# ---------------------------------------------------------------- flavors


@stepped("GET", f"{BASE}/flavors", LIST, queries=LISTS)
async def list_flavors(ctx: Context, query: AnyList) -> dict[str, Any]:
    """List flavors in brief."""
    return _listed(ctx, query, detailed=False)


@stepped("GET", f"{BASE}/flavors/detail", LIST, queries=LISTS)
async def list_flavors_in_detail(ctx: Context, query: AnyList) -> dict[str, Any]:
    """List flavors with all that is known of them."""
    return _listed(ctx, query, detailed=True)


@stepped("GET", ONE, LIST, queries=nothing())
async def show_flavor(ctx: Context, flavor_id: str) -> dict[str, Any]:
    """Show a flavor."""
    flavor = ctx.cloud.compute.flavors.show(viewer(ctx), flavor_id)
    return {"flavor": views.full(ctx, flavor, specs=views.may_see_specs(ctx))}


@stepped("POST", f"{BASE}/flavors", CREATE, bodies=NEW)
async def create_flavor(ctx: Context, body: AnyNew) -> dict[str, Any]:
    """Create a flavor."""
    new = body.flavor
    told = Flavor(
        id=new.id or "",
        name=new.name,
        vcpus=new.vcpus,
        memory_mb=new.ram,
        root_gb=new.disk,
        ephemeral_gb=new.ephemeral,
        swap_mb=new.swap,
        rxtx_factor=getattr(new, "rxtx_factor", 1.0),
        is_public=new.is_public,
        description=getattr(new, "description", None),
    )
    flavor = ctx.cloud.compute.flavors.create(told)
    return {"flavor": views.full(ctx, flavor, specs=views.may_see_specs(ctx))}


@SERVICE.operation("PUT", ONE, UPDATE, since="2.55")
async def update_flavor(ctx: Context, flavor_id: str, body: schemas.UpdateFlavor) -> dict[str, Any]:
    """Describe a flavor anew."""
    flavor = ctx.cloud.compute.flavors.update(flavor_id, body.flavor.description)
    return {"flavor": views.full(ctx, flavor, specs=views.may_see_specs(ctx))}


@SERVICE.operation("DELETE", ONE, DELETE, status=202)
async def delete_flavor(ctx: Context, flavor_id: str) -> None:
    """Delete a flavor."""
    ctx.cloud.compute.flavors.delete(flavor_id)


def _listed(ctx: Context, query: AnyList, *, detailed: bool) -> dict[str, Any]:
    wanted = FlavorQuery(
        is_public=_is_public(query.is_public) if ctx.who.is_admin else True,
        disabled=None if ctx.who.is_admin else False,
        least_memory_mb=_least("minRam", query.min_ram),
        least_root_gb=_least("minDisk", query.min_disk),
        name=getattr(query, "name", None),
        sort_key=query.sort_key,
        descending=query.sort_dir == "desc",
        marker=query.marker,
        limit=page_limit(query.limit),
    )
    flavors = ctx.cloud.compute.flavors.list_all(viewer(ctx), wanted)
    specs = detailed and views.may_see_specs(ctx)
    told = [views.full(ctx, each, specs=specs) if detailed else views.brief(ctx, each) for each in flavors]
    more = next_links(ctx, [each.id for each in flavors], query.limit)
    return {"flavors": told} | ({"flavors_links": more} if more else {})


def _is_public(text: str | None) -> bool | None:
    """Whether only public flavors are wanted, only others, or both."""
    word = "true" if text is None else text.strip().lower()
    if word == "none":
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Invalid(f"Invalid is_public filter [{text}]")


def _least(name: str, text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        raise Invalid(f"Invalid {name} filter [{text}]") from None


# ---------------------------------------------------------------- extra specs


@stepped("GET", f"{ONE}/os-extra_specs", RULES[f"{SPECS}:index"], queries=nothing())
async def list_extra_specs(ctx: Context, flavor_id: str) -> dict[str, Any]:
    """List the extra specs of a flavor."""
    return {"extra_specs": dict(ctx.cloud.compute.flavors.show(viewer(ctx), flavor_id).extra_specs)}


@SERVICE.operation("POST", f"{ONE}/os-extra_specs", RULES[f"{SPECS}:create"])
async def create_extra_specs(ctx: Context, flavor_id: str, body: schemas.CreateSpecs) -> dict[str, Any]:
    """Add extra specs to a flavor, or change those that are there."""
    ctx.cloud.compute.flavors.set_specs(flavor_id, _specs(ctx, body.extra_specs))
    return {"extra_specs": body.extra_specs}


@stepped("GET", f"{ONE}/os-extra_specs/{{key}}", RULES[f"{SPECS}:show"], queries=nothing())
async def show_extra_spec(ctx: Context, flavor_id: str, key: str) -> dict[str, Any]:
    """Show an extra spec of a flavor."""
    specs = ctx.cloud.compute.flavors.show(viewer(ctx), flavor_id).extra_specs
    if key not in specs:
        raise no_spec(flavor_id, key)
    return {key: specs[key]}


@SERVICE.operation("PUT", f"{ONE}/os-extra_specs/{{key}}", RULES[f"{SPECS}:update"])
async def update_extra_spec(ctx: Context, flavor_id: str, key: str, body: schemas.UpdateSpec) -> dict[str, Any]:
    """Change an extra spec of a flavor, or add it."""
    specs = _specs(ctx, body.root)
    if key not in specs:
        raise Invalid("Request body and URI mismatch")
    ctx.cloud.compute.flavors.set_specs(flavor_id, specs)
    return body.root


@SERVICE.operation("DELETE", f"{ONE}/os-extra_specs/{{key}}", RULES[f"{SPECS}:delete"])
async def delete_extra_spec(ctx: Context, flavor_id: str, key: str) -> None:
    """Remove an extra spec of a flavor."""
    ctx.cloud.compute.flavors.delete_spec(flavor_id, key)


def _specs(ctx: Context, told: dict[str, Any]) -> dict[str, str]:
    specs = {name: str(value) for name, value in told.items()}
    if ctx.at_least("2.86"):
        for name, value in specs.items():
            check_spec(name, value)
    return specs


# ---------------------------------------------------------------- access


@stepped("GET", f"{ONE}/os-flavor-access", RULES[ACCESS], queries=nothing())
async def list_flavor_access(ctx: Context, flavor_id: str) -> dict[str, Any]:
    """List the projects that may use a flavor which is not public."""
    flavor = ctx.cloud.compute.flavors.show(viewer(ctx), flavor_id)
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.", flavor=flavor_id)
    return views.access(flavor_id, ctx.cloud.compute.flavors.access(flavor_id))


@SERVICE.operation("POST", f"{ONE}/action", RULES[f"{ACCESS}:add_tenant_access"], action="addTenantAccess")
async def add_flavor_access(ctx: Context, flavor_id: str, body: schemas.AddAccess) -> dict[str, Any]:
    """Let a project use a flavor that is not public."""
    project_id, public_too = body.addTenantAccess.tenant, not ctx.at_least("2.7")
    check_project(ctx, project_id)
    projects = ctx.cloud.compute.flavors.add_access(flavor_id, project_id, public_too=public_too)
    return views.access(flavor_id, projects)


@SERVICE.operation("POST", f"{ONE}/action", RULES[f"{ACCESS}:remove_tenant_access"], action="removeTenantAccess")
async def remove_flavor_access(ctx: Context, flavor_id: str, body: schemas.RemoveAccess) -> dict[str, Any]:
    """Let a project no longer use a flavor that is not public. The project may be gone itself."""
    projects = ctx.cloud.compute.flavors.remove_access(flavor_id, body.removeTenantAccess.tenant)
    return views.access(flavor_id, projects)
