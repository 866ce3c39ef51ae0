"""Placement's operations."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping
from typing import Any, Final

from sundog.api.kit.bodies import parse_query
from sundog.api.kit.context import Context
from sundog.api.kit.policy import OF_PROJECTS
from sundog.api.kit.service import NO_TOKEN, Reply, Service
from sundog.api.kit.versions import Version
from sundog.api.placement import policy, queries, schemas, views, wording
from sundog.api.placement.history import HISTORY
from sundog.control.placement.records import MOST, NewProvider, Provider, Reshaped, Wanted
from sundog.core.pool import Inventory
from sundog.errors import Conflict, Invalid, NotFound, Unsupported

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""The project and the user of consumers for which a client older than 1.8 said none."""

SERVICE: Final = Service(
    "placement",
    prefix="/placement",
    fault_of=wording.fault,
    invalid=wording.invalid,
    admit=wording.admit,
    history=HISTORY,
    scopes=OF_PROJECTS,
)


@SERVICE.operation("GET", "", NO_TOKEN)
async def show_versions(ctx: Context) -> Any:
    """Show the versions of the service."""
    return views.dated(ctx, views.version(str(HISTORY.newest), str(HISTORY.oldest)))


# ---------------------------------------------------------------- providers


@SERVICE.operation("GET", "/resource_providers", policy.PROVIDERS_LIST)
async def list_resource_providers(ctx: Context) -> Any:
    """List providers, all or those that the query describes."""
    query = parse_query(schemas.list_providers(_version(ctx)), ctx.request, wording.invalid)
    found = ctx.cloud.placement.find_providers(**queries.provider_filter(_version(ctx), query))
    every = [views.provider(ctx, each) for each in found]
    return views.dated(ctx, {"resource_providers": every}, views.latest(each.updated_at for each in found))


@SERVICE.operation("POST", "/resource_providers", policy.PROVIDERS_CREATE, status=201, until="1.13")
async def create_resource_provider(ctx: Context, body: schemas.CreateProvider) -> Any:
    """Make a provider."""
    return _created(ctx, NewProvider(body.name, _normal(body.uuid)))


@SERVICE.operation("POST", "/resource_providers", policy.PROVIDERS_CREATE, status=201, since="1.14")
async def create_nested_resource_provider(ctx: Context, body: schemas.CreateProvider_1_14) -> Any:
    """Make a provider, below another if one is named."""
    return _created(ctx, NewProvider(body.name, _normal(body.uuid), body.parent_provider_uuid))


def _created(ctx: Context, new: NewProvider) -> Reply:
    made = ctx.cloud.placement.create_provider(new)
    location = ctx.link(f"/resource_providers/{made.uuid}")
    if ctx.at_least("1.20"):
        return views.dated(ctx, views.provider(ctx, made), made.updated_at, status=200, location=location)
    return Reply(None, 201, {"location": location})


@SERVICE.operation("GET", "/resource_providers/{uuid}", policy.PROVIDERS_SHOW)
async def show_resource_provider(ctx: Context, uuid: str) -> Any:
    """Show a provider."""
    found = ctx.cloud.placement.provider(uuid)
    return views.dated(ctx, views.provider(ctx, found), found.updated_at)


@SERVICE.operation("PUT", "/resource_providers/{uuid}", policy.PROVIDERS_UPDATE, until="1.13")
async def update_resource_provider(ctx: Context, uuid: str, body: schemas.UpdateProvider) -> Any:
    """Rename a provider."""
    parent = ctx.cloud.placement.provider(uuid).parent_uuid
    return _updated(ctx, ctx.cloud.placement.update_provider(uuid, body.name, parent_uuid=parent))


@SERVICE.operation("PUT", "/resource_providers/{uuid}", policy.PROVIDERS_UPDATE, since="1.14")
async def update_nested_resource_provider(ctx: Context, uuid: str, body: schemas.UpdateProvider_1_14) -> Any:
    """Rename a provider, or put it somewhere else."""
    parent = body.parent_provider_uuid
    if "parent_provider_uuid" not in body.model_fields_set:
        parent = ctx.cloud.placement.provider(uuid).parent_uuid
    may = ctx.at_least("1.37")
    return _updated(ctx, ctx.cloud.placement.update_provider(uuid, body.name, parent_uuid=parent, may_reparent=may))


def _updated(ctx: Context, provider: Provider) -> Reply:
    return views.dated(ctx, views.provider(ctx, provider), provider.updated_at)


@SERVICE.operation("DELETE", "/resource_providers/{uuid}", policy.PROVIDERS_DELETE, status=204)
async def delete_resource_provider(ctx: Context, uuid: str) -> None:
    """Delete a provider that has no children and no allocations."""
    ctx.cloud.placement.delete_provider(uuid)


# ---------------------------------------------------------------- inventories

_INVENTORIES: Final = "/resource_providers/{uuid}/inventories"


@SERVICE.operation("GET", _INVENTORIES, policy.INVENTORIES_LIST)
async def list_inventories(ctx: Context, uuid: str) -> Any:
    """List a provider's inventories."""
    return _inventories(ctx, ctx.cloud.placement.provider(uuid))


@SERVICE.operation("PUT", _INVENTORIES, policy.INVENTORIES_UPDATE)
async def update_inventories(ctx: Context, uuid: str, body: schemas.UpdateInventories) -> Any:
    """Replace a provider's inventories."""
    after = ctx.cloud.placement.set_inventories(
        uuid,
        {name: _inventory(record) for name, record in body.inventories.items()},
        generation=body.resource_provider_generation,
        may_reserve_all=ctx.at_least("1.26"),
    )
    return _inventories(ctx, after)


@SERVICE.operation("POST", _INVENTORIES, policy.INVENTORIES_CREATE, status=201)
async def create_inventory(ctx: Context, uuid: str, body: schemas.CreateInventory) -> Any:
    """Give a provider some of another resource class."""
    record, name = _inventory(body), body.resource_class
    after = ctx.cloud.placement.add_inventory(uuid, name, record, may_reserve_all=ctx.at_least("1.26"))
    location = ctx.link(f"/resource_providers/{uuid}/inventories/{name}")
    told = views.inventory(record, after.generation)
    return views.dated(ctx, told, after.updated_at, status=201, location=location)


@SERVICE.operation("DELETE", _INVENTORIES, policy.INVENTORIES_DELETE, status=204, until="1.4")
async def no_delete_inventories(ctx: Context, uuid: str) -> None:
    """Refuse: until 1.5 inventories are deleted one by one."""
    raise Unsupported("The method DELETE is not allowed for this resource.", status=405)


@SERVICE.operation("DELETE", _INVENTORIES, policy.INVENTORIES_DELETE, status=204, since="1.5")
async def delete_inventories(ctx: Context, uuid: str) -> None:
    """Take all inventories of a provider away."""
    ctx.cloud.placement.delete_inventories(uuid)


@SERVICE.operation("GET", _INVENTORIES + "/{resource_class}", policy.INVENTORIES_SHOW)
async def show_inventory(ctx: Context, uuid: str, resource_class: str) -> Any:
    """Show what a provider has of a resource class."""
    provider = ctx.cloud.placement.provider(uuid)
    record = ctx.cloud.placement.inventories(uuid).get(resource_class)
    if record is None:
        raise NotFound(f"No inventory of class {resource_class} for {uuid}")
    return views.dated(ctx, views.inventory(record, provider.generation), provider.updated_at)


@SERVICE.operation("PUT", _INVENTORIES + "/{resource_class}", policy.INVENTORIES_UPDATE)
async def update_inventory(ctx: Context, uuid: str, resource_class: str, body: schemas.UpdateInventory) -> Any:
    """Change what a provider has of a resource class."""
    record = _inventory(body)
    after = ctx.cloud.placement.update_inventory(
        uuid,
        resource_class,
        record,
        generation=body.resource_provider_generation,
        may_reserve_all=ctx.at_least("1.26"),
    )
    return views.dated(ctx, views.inventory(record, after.generation), after.updated_at)


@SERVICE.operation("DELETE", _INVENTORIES + "/{resource_class}", policy.INVENTORIES_DELETE, status=204)
async def delete_inventory(ctx: Context, uuid: str, resource_class: str) -> None:
    """Take what a provider has of a resource class away."""
    ctx.cloud.placement.delete_inventory(uuid, resource_class)


def _inventories(ctx: Context, provider: Provider) -> Reply:
    every = ctx.cloud.placement.inventories(provider.uuid)
    return views.dated(ctx, views.inventories(every, provider.generation), provider.updated_at if every else None)


def _inventory(record: schemas.InventoryRecord) -> Inventory:
    return Inventory(
        total=record.total,
        reserved=record.reserved,
        allocation_ratio=record.allocation_ratio,
        min_unit=record.min_unit,
        max_unit=None if record.max_unit == MOST else record.max_unit,
        step_size=record.step_size,
    )


# ---------------------------------------------------------------- aggregates and traits of a provider

_AGGREGATES: Final = "/resource_providers/{uuid}/aggregates"
_TRAITS: Final = "/resource_providers/{uuid}/traits"


@SERVICE.operation("GET", _AGGREGATES, policy.AGGREGATES_LIST, since="1.1")
async def list_aggregates(ctx: Context, uuid: str) -> Any:
    """List the aggregates of a provider."""
    generation = ctx.cloud.placement.provider(uuid).generation
    return views.dated(ctx, views.aggregates(ctx, ctx.cloud.placement.aggregates_of(uuid), generation))


@SERVICE.operation("PUT", _AGGREGATES, policy.AGGREGATES_UPDATE, since="1.1", until="1.18")
async def update_aggregates(ctx: Context, uuid: str, body: schemas.Aggregates) -> Any:
    """Replace the aggregates of a provider."""
    after = ctx.cloud.placement.set_aggregates(uuid, body.root)
    return views.dated(ctx, views.aggregates(ctx, body.root, after.generation))


@SERVICE.operation("PUT", _AGGREGATES, policy.AGGREGATES_UPDATE, since="1.19")
async def update_aggregates_by_generation(ctx: Context, uuid: str, body: schemas.Aggregates_1_19) -> Any:
    """Replace the aggregates of a provider, if its generation is still the one given."""
    generation = body.resource_provider_generation
    after = ctx.cloud.placement.set_aggregates(uuid, body.aggregates, generation=generation)
    return views.dated(ctx, views.aggregates(ctx, body.aggregates, after.generation))


@SERVICE.operation("GET", _TRAITS, policy.PROVIDER_TRAITS_LIST, since="1.6")
async def list_provider_traits(ctx: Context, uuid: str) -> Any:
    """List the traits of a provider."""
    return _traits(ctx, ctx.cloud.placement.provider(uuid))


@SERVICE.operation("PUT", _TRAITS, policy.PROVIDER_TRAITS_UPDATE, since="1.6")
async def update_provider_traits(ctx: Context, uuid: str, body: schemas.UpdateTraits) -> Any:
    """Replace the traits of a provider."""
    return _traits(ctx, ctx.cloud.placement.set_traits(uuid, body.traits, generation=body.resource_provider_generation))


@SERVICE.operation("DELETE", _TRAITS, policy.PROVIDER_TRAITS_DELETE, status=204, since="1.6")
async def delete_provider_traits(ctx: Context, uuid: str) -> None:
    """Take all traits of a provider away."""
    ctx.cloud.placement.set_traits(uuid, [])


def _traits(ctx: Context, provider: Provider) -> Reply:
    names = list(ctx.cloud.placement.traits_of(provider.uuid))
    told = {"traits": names, "resource_provider_generation": provider.generation}
    return views.dated(ctx, told, provider.updated_at if names else None)


# ---------------------------------------------------------------- traits


@SERVICE.operation("GET", "/traits", policy.TRAITS_LIST, since="1.6")
async def list_traits(ctx: Context, query: schemas.ListTraits) -> Any:
    """List traits, all or those that the query describes."""
    return views.dated(ctx, {"traits": ctx.cloud.placement.traits(**queries.trait_filter(query))})


@SERVICE.operation("GET", "/traits/{name}", policy.TRAITS_SHOW, status=204, since="1.6")
async def show_trait(ctx: Context, name: str) -> Any:
    """Say that there is such a trait."""
    return views.dated(ctx, None, ctx.cloud.placement.trait(name))


@SERVICE.operation("PUT", "/traits/{name}", policy.TRAITS_UPDATE, status=201, since="1.6")
async def create_trait(ctx: Context, name: str) -> Any:
    """Make a custom trait, if there is none of this name."""
    try:
        wording.checked(schemas.TraitName, {"name": name})
    except Invalid:
        raise Invalid(
            "The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "
            '"CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_"'
        ) from None
    is_new = ctx.cloud.placement.create_trait(name)
    made = ctx.cloud.placement.trait(name)
    return views.dated(ctx, None, made, status=201 if is_new else 204, location=ctx.link(f"/traits/{name}"))


@SERVICE.operation("DELETE", "/traits/{name}", policy.TRAITS_DELETE, status=204, since="1.6")
async def delete_trait(ctx: Context, name: str) -> None:
    """Delete a custom trait that no provider has."""
    ctx.cloud.placement.delete_trait(name)


# ---------------------------------------------------------------- resource classes


@SERVICE.operation("GET", "/resource_classes", policy.CLASSES_LIST, since="1.2")
async def list_resource_classes(ctx: Context) -> Any:
    """List all resource classes."""
    every = ctx.cloud.placement.resource_classes()
    told = {"resource_classes": [views.resource_class(ctx, name) for name in every]}
    return views.dated(ctx, told, views.latest(times.updated_at for times in every.values() if times))


@SERVICE.operation("POST", "/resource_classes", policy.CLASSES_CREATE, status=201, since="1.2")
async def create_resource_class(ctx: Context, body: schemas.ResourceClassName) -> Any:
    """Make a custom resource class."""
    if not ctx.cloud.placement.create_resource_class(body.name):
        raise Conflict(f"Conflicting resource class already exists: {body.name}")
    return Reply(None, 201, {"location": ctx.link(f"/resource_classes/{body.name}")})


@SERVICE.operation("GET", "/resource_classes/{name}", policy.CLASSES_SHOW, since="1.2")
async def show_resource_class(ctx: Context, name: str) -> Any:
    """Show a resource class."""
    times = ctx.cloud.placement.resource_class(name)
    return views.dated(ctx, views.resource_class(ctx, name), times.updated_at if times else None)


@SERVICE.operation("PUT", "/resource_classes/{name}", policy.CLASSES_UPDATE, since="1.2", until="1.6")
async def rename_resource_class(ctx: Context, name: str, body: schemas.ResourceClassName) -> Any:
    """Rename a custom resource class."""
    ctx.cloud.placement.rename_resource_class(name, body.name)
    return views.resource_class(ctx, body.name)


@SERVICE.operation("PUT", "/resource_classes/{name}", policy.CLASSES_UPDATE, status=201, since="1.7")
async def ensure_resource_class(ctx: Context, name: str) -> Any:
    """Make a custom resource class, if there is none of this name."""
    wording.checked(schemas.ResourceClassName, {"name": name})
    is_new = ctx.cloud.placement.create_resource_class(name)
    return Reply(None, 201 if is_new else 204, {"location": ctx.link(f"/resource_classes/{name}")})


@SERVICE.operation("DELETE", "/resource_classes/{name}", policy.CLASSES_DELETE, status=204, since="1.2")
async def delete_resource_class(ctx: Context, name: str) -> None:
    """Delete a custom resource class that no provider has."""
    ctx.cloud.placement.delete_resource_class(name)


# ---------------------------------------------------------------- usages


@SERVICE.operation("GET", "/resource_providers/{uuid}/usages", policy.PROVIDER_USAGES)
async def show_provider_usages(ctx: Context, uuid: str) -> Any:
    """Show what is used of a provider."""
    generation = ctx.cloud.placement.provider(uuid).generation
    told = {"resource_provider_generation": generation, "usages": ctx.cloud.placement.usages(uuid)}
    return views.dated(ctx, told)


@SERVICE.operation("GET", "/usages", policy.USAGES, since="1.9", until="1.37", own=False)
async def show_usages(ctx: Context) -> Any:
    """Show what a project uses."""
    return _usages(ctx, schemas.Usages)


@SERVICE.operation("GET", "/usages", policy.USAGES, since="1.38", own=False)
async def show_usages_by_type(ctx: Context) -> Any:
    """Show what a project uses, by the type of its consumers."""
    return _usages(ctx, schemas.Usages_1_38)


def _usages(ctx: Context, model: type[schemas.Usages]) -> Reply:
    ctx.require(policy.USAGES, {"project_id": ctx.request.query_params.get("project_id")})
    query = parse_query(model, ctx.request, wording.invalid)
    usages = ctx.cloud.placement.project_usages(
        query.project_id, user_id=query.user_id, consumer_type=getattr(query, "consumer_type", None)
    )
    return views.dated(ctx, views.project_usages(ctx, usages))


# ---------------------------------------------------------------- allocations

_CONSUMER: Final = "/allocations/{consumer_uuid}"


@SERVICE.operation("GET", "/resource_providers/{uuid}/allocations", policy.PROVIDER_ALLOCATIONS)
async def list_provider_allocations(ctx: Context, uuid: str) -> Any:
    """List what is held on a provider, by consumer."""
    every = ctx.cloud.placement.held_on(uuid)
    told = views.provider_allocations(ctx, every, ctx.cloud.placement.provider(uuid))
    return views.dated(ctx, told, views.latest(held.consumer.updated_at for held in every))


@SERVICE.operation("GET", _CONSUMER, policy.ALLOCATIONS_LIST)
async def list_consumer_allocations(ctx: Context, consumer_uuid: str) -> Any:
    """List what a consumer holds, by provider."""
    placement = ctx.cloud.placement
    consumer, held = placement.consumer(consumer_uuid), placement.held(consumer_uuid)
    generations = {uuid: placement.provider(uuid).generation for uuid in held}
    told = views.consumer_allocations(ctx, consumer, held, generations)
    return views.dated(ctx, told, None if consumer is None else consumer.updated_at)


@SERVICE.operation("PUT", _CONSUMER, policy.ALLOCATIONS_UPDATE, status=204, until="1.7")
async def set_allocations(ctx: Context, consumer_uuid: str, body: schemas.Allocations) -> None:
    """Set what a consumer holds."""
    _set_one(ctx, consumer_uuid, _listed(body), NOBODY, NOBODY)


@SERVICE.operation("PUT", _CONSUMER, policy.ALLOCATIONS_UPDATE, status=204, since="1.8", until="1.11")
async def set_allocations_1_8(ctx: Context, consumer_uuid: str, body: schemas.Allocations_1_8) -> None:
    """Set what a consumer holds."""
    _set_one(ctx, consumer_uuid, _listed(body), body.project_id, body.user_id)


@SERVICE.operation("PUT", _CONSUMER, policy.ALLOCATIONS_UPDATE, status=204, since="1.12", until="1.27")
async def set_allocations_1_12(ctx: Context, consumer_uuid: str, body: schemas.Allocations_1_12) -> None:
    """Set what a consumer holds."""
    ctx.cloud.placement.set_allocations([_wanted(_consumer(consumer_uuid), body)])


@SERVICE.operation("PUT", _CONSUMER, policy.ALLOCATIONS_UPDATE, status=204, since="1.28", until="1.33")
async def set_allocations_1_28(ctx: Context, consumer_uuid: str, body: schemas.Allocations_1_28) -> None:
    """Set what a consumer holds, if its generation is still the one given."""
    ctx.cloud.placement.set_allocations([_wanted(_consumer(consumer_uuid), body)])


@SERVICE.operation("PUT", _CONSUMER, policy.ALLOCATIONS_UPDATE, status=204, since="1.34", until="1.37")
async def set_allocations_1_34(ctx: Context, consumer_uuid: str, body: schemas.Allocations_1_34) -> None:
    """Set what a consumer holds; a candidate with its mappings can be sent as it is."""
    ctx.cloud.placement.set_allocations([_wanted(_consumer(consumer_uuid), body)])


@SERVICE.operation("PUT", _CONSUMER, policy.ALLOCATIONS_UPDATE, status=204, since="1.38")
async def set_allocations_1_38(ctx: Context, consumer_uuid: str, body: schemas.Allocations_1_38) -> None:
    """Set what a consumer of a type holds."""
    ctx.cloud.placement.set_allocations([_wanted(_consumer(consumer_uuid), body)])


@SERVICE.operation("POST", "/allocations", policy.ALLOCATIONS_MANAGE, status=204, since="1.13", until="1.27")
async def set_several_allocations(ctx: Context, body: schemas.Several) -> None:
    """Set what several consumers hold, all or none."""
    _set_several(ctx, body.root)


@SERVICE.operation("POST", "/allocations", policy.ALLOCATIONS_MANAGE, status=204, since="1.28", until="1.33")
async def set_several_allocations_1_28(ctx: Context, body: schemas.Several_1_28) -> None:
    """Set what several consumers hold, all or none, if their generations are still those given."""
    _set_several(ctx, body.root)


@SERVICE.operation("POST", "/allocations", policy.ALLOCATIONS_MANAGE, status=204, since="1.34", until="1.37")
async def set_several_allocations_1_34(ctx: Context, body: schemas.Several_1_34) -> None:
    """Set what several consumers hold, all or none."""
    _set_several(ctx, body.root)


@SERVICE.operation("POST", "/allocations", policy.ALLOCATIONS_MANAGE, status=204, since="1.38")
async def set_several_allocations_1_38(ctx: Context, body: schemas.Several_1_38) -> None:
    """Set what several consumers of types hold, all or none."""
    _set_several(ctx, body.root)


@SERVICE.operation("DELETE", _CONSUMER, policy.ALLOCATIONS_DELETE, status=204)
async def delete_allocations(ctx: Context, consumer_uuid: str) -> None:
    """Give back all that a consumer holds."""
    ctx.cloud.placement.delete_allocations(consumer_uuid)


def _set_one(
    ctx: Context, consumer_uuid: str, allocations: Mapping[str, Mapping[str, int]], project_id: str, user_id: str
) -> None:
    ctx.cloud.placement.set_allocations([Wanted(_consumer(consumer_uuid), allocations, project_id, user_id)])


def _set_several(ctx: Context, every: Mapping[str, Any]) -> None:
    ctx.cloud.placement.set_allocations([_wanted(uuid, body) for uuid, body in every.items()])


def _listed(body: schemas.Allocations) -> dict[str, dict[str, int]]:
    return {each.resource_provider.uuid: each.resources for each in body.allocations}


def _wanted(consumer_uuid: str, body: schemas.DeletableAllocations) -> Wanted:
    return Wanted(
        consumer_uuid=consumer_uuid,
        allocations={uuid: each.resources for uuid, each in body.allocations.items()},
        project_id=body.project_id,
        user_id=body.user_id,
        consumer_type=getattr(body, "consumer_type", None),
        generation=getattr(body, "consumer_generation", None),
        check_generation=isinstance(body, schemas.Allocations_1_28),
    )


def _consumer(uuid: str) -> str:
    """A consumer's UUID as Placement writes it.

    Raises: Invalid.
    """
    if not schemas.is_uuid(uuid):
        raise Invalid(f"Malformed consumer_uuid: {uuid}")
    return str(uuids.UUID(uuid))


def _normal(uuid: str | None) -> str | None:
    return str(uuids.UUID(uuid)) if uuid else None


# ---------------------------------------------------------------- candidates and the reshaper


@SERVICE.operation("GET", "/allocation_candidates", policy.CANDIDATES_LIST, since="1.10")
async def list_allocation_candidates(ctx: Context) -> Any:
    """List the ways in which a request could be served now."""
    asked = queries.candidates_asked(_version(ctx), ctx.request.query_params.multi_items())
    found = ctx.cloud.placement.candidates(asked)
    return views.dated(ctx, views.candidates(ctx, asked, found), content_type="application/json")


@SERVICE.operation("POST", "/reshaper", policy.RESHAPE, status=204, since="1.30", until="1.33")
async def reshape(ctx: Context, body: schemas.Reshape) -> None:
    """Replace inventories and allocations together."""
    _reshape(ctx, body)


@SERVICE.operation("POST", "/reshaper", policy.RESHAPE, status=204, since="1.34", until="1.37")
async def reshape_1_34(ctx: Context, body: schemas.Reshape_1_34) -> None:
    """Replace inventories and allocations together."""
    _reshape(ctx, body)


@SERVICE.operation("POST", "/reshaper", policy.RESHAPE, status=204, since="1.38")
async def reshape_1_38(ctx: Context, body: schemas.Reshape_1_38) -> None:
    """Replace inventories and allocations of consumers of types together."""
    _reshape(ctx, body)


def _reshape(ctx: Context, body: schemas.AnyReshape) -> None:
    inventories = {
        uuid: Reshaped(
            each.resource_provider_generation, {name: _inventory(record) for name, record in each.inventories.items()}
        )
        for uuid, each in body.inventories.items()
    }
    wanted = [_wanted(uuid, each) for uuid, each in body.allocations.items()]
    ctx.cloud.placement.reshape(inventories, wanted)


def _version(ctx: Context) -> Version:
    return ctx.version if ctx.version is not None else HISTORY.oldest
