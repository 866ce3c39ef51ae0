"""What Placement's clients send, by version: a step subclasses the last."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, RootModel
from pydantic_core import PydanticCustomError

from sundog.api.kit.bodies import Body, Query
from sundog.api.kit.versions import Version
from sundog.control.placement.records import MOST

T = TypeVar("T")

_MOST_RATIO: Final = 3.40282e38


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, with or without hyphens."""
    try:
        return uuid.UUID(text).hex == text.replace("-", "").lower()
    except ValueError:
        return False


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise PydanticCustomError("not_a_uuid", "not a UUID")
    return text


def _unique(items: list[T]) -> list[T]:
    if len({str(item) for item in items}) != len(items):
        raise PydanticCustomError("not_unique", "non-unique elements")
    return items


Uuid = Annotated[str, AfterValidator(_uuid)]
UuidKey = Annotated[str, Field(pattern="^[0-9a-fA-F-]{36}$")]
ClassName = Annotated[str, Field(pattern="^[A-Z0-9_]+$")]
CustomName = Annotated[str, Field(max_length=255, pattern="^CUSTOM_[A-Z0-9_]+$")]
TypeName = Annotated[str, Field(min_length=1, max_length=255, pattern="^[A-Z0-9_]+$")]
ExternalId = Annotated[str, Field(min_length=1, max_length=255)]
Whole = Annotated[int, Field(strict=True)]
Amount = Annotated[int, Field(strict=True, ge=1)]
Unit = Annotated[int, Field(strict=True, ge=1, le=MOST)]

# ---------------------------------------------------------------- providers


class UpdateProvider(Body):
    name: str = Field(max_length=200)


class CreateProvider(UpdateProvider):
    uuid: Uuid | None = None


class UpdateProvider_1_14(UpdateProvider):
    parent_provider_uuid: Uuid | None = None


class CreateProvider_1_14(CreateProvider):
    parent_provider_uuid: Uuid | None = None


class _Strict(Query):
    model_config = ConfigDict(extra="forbid")


class ListProviders(_Strict):
    name: str | None = None
    uuid: Uuid | None = None


class ListProviders_1_3(ListProviders):
    member_of: list[str] = []


class ListProviders_1_4(ListProviders_1_3):
    resources: str | None = None


class ListProviders_1_14(ListProviders_1_4):
    in_tree: Uuid | None = None


class ListProviders_1_18(ListProviders_1_14):
    required: list[str] = []


_LISTS: Final = (
    (Version(1, 18), ListProviders_1_18),
    (Version(1, 14), ListProviders_1_14),
    (Version(1, 4), ListProviders_1_4),
    (Version(1, 3), ListProviders_1_3),
)


def list_providers(version: Version) -> type[ListProviders]:
    """What may be asked of the list of providers in a version."""
    return next((model for since, model in _LISTS if version >= since), ListProviders)


# ---------------------------------------------------------------- inventories


class InventoryRecord(Body):
    total: Unit
    reserved: Annotated[int, Field(strict=True, ge=0, le=MOST)] = 0
    min_unit: Unit = 1
    max_unit: Unit = MOST
    step_size: Unit = 1
    allocation_ratio: Annotated[float, Field(strict=True, le=_MOST_RATIO)] = 1.0
    resource_provider_generation: Whole | None = None


class UpdateInventory(InventoryRecord):
    resource_provider_generation: Whole


class CreateInventory(InventoryRecord):
    resource_class: ClassName


class UpdateInventories(Body):
    resource_provider_generation: Whole
    inventories: dict[str, InventoryRecord]


# ---------------------------------------------------------------- aggregates, traits, resource classes


class Aggregates(RootModel[Annotated[list[Uuid], AfterValidator(_unique)]]):
    """A bare list, before 1.19."""


class Aggregates_1_19(Body):
    aggregates: Annotated[list[Uuid], AfterValidator(_unique)]
    resource_provider_generation: Whole


class UpdateTraits(Body):
    traits: list[Annotated[str, Field(min_length=1, max_length=255)]]
    resource_provider_generation: Whole


class TraitName(Body):
    name: CustomName


class ListTraits(_Strict):
    name: str | None = None
    associated: str | None = None


class ResourceClassName(Body):
    name: CustomName


# ---------------------------------------------------------------- usages and allocations


class Usages(_Strict):
    project_id: ExternalId
    user_id: ExternalId | None = None


class Usages_1_38(Usages):
    consumer_type: Annotated[str, Field(min_length=1, max_length=255, pattern="^[A-Z0-9_]+$|^all|^unknown$")] | None = (
        None
    )


Resources = Annotated[dict[ClassName, Amount], Field(min_length=1)]


class ProviderOf(Body):
    uuid: Uuid


class ListedAllocation(Body):
    resource_provider: ProviderOf
    resources: Resources


class Allocations(Body):
    allocations: Annotated[list[ListedAllocation], Field(min_length=1)]


class Allocations_1_8(Allocations):
    project_id: ExternalId
    user_id: ExternalId


class ProviderAllocation(Body):
    generation: Whole | None = None
    resources: Resources


class DeletableAllocations(Body):
    """What several consumers are given in one request: none means to give all back."""

    allocations: dict[UuidKey, ProviderAllocation]
    project_id: ExternalId
    user_id: ExternalId


class Allocations_1_12(DeletableAllocations):
    allocations: Annotated[dict[UuidKey, ProviderAllocation], Field(min_length=1)]


class Allocations_1_28(DeletableAllocations):
    consumer_generation: Whole | None


class Allocations_1_34(Allocations_1_28):
    mappings: Annotated[dict[str, Annotated[list[Uuid], Field(min_length=1)]], Field(min_length=1)] | None = None


class Allocations_1_38(Allocations_1_34):
    consumer_type: TypeName


class Several(RootModel[Annotated[dict[UuidKey, DeletableAllocations], Field(min_length=1)]]):
    """Allocations by consumer."""


class Several_1_28(RootModel[Annotated[dict[UuidKey, Allocations_1_28], Field(min_length=1)]]):
    """With generations of the consumers."""


class Several_1_34(RootModel[Annotated[dict[UuidKey, Allocations_1_34], Field(min_length=1)]]):
    """With mappings, as in candidates."""


class Several_1_38(RootModel[Annotated[dict[UuidKey, Allocations_1_38], Field(min_length=1)]]):
    """With types of the consumers."""


class Reshape(Body):
    inventories: Annotated[dict[UuidKey, UpdateInventories], Field(min_length=1)]
    allocations: dict[UuidKey, Allocations_1_28]


class Reshape_1_34(Body):
    inventories: Annotated[dict[UuidKey, UpdateInventories], Field(min_length=1)]
    allocations: dict[UuidKey, Allocations_1_34]


class Reshape_1_38(Body):
    inventories: Annotated[dict[UuidKey, UpdateInventories], Field(min_length=1)]
    allocations: dict[UuidKey, Allocations_1_38]


AnyReshape = Reshape | Reshape_1_34 | Reshape_1_38
