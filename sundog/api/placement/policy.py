"""Placement's rules by OpenStack's names, with its defaults: administrators and services of a project, no others."""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, PROJECT_READER_OR_ADMIN, Rule

ADMIN_OR_SERVICE: Final = f"{ADMIN} or role:service"
SERVICE_ONLY: Final = "role:service"
OWN_PROJECT: Final = f"{PROJECT_READER_OR_ADMIN} or role:service"


def _rule(name: str, doc: str, check: str = ADMIN_OR_SERVICE) -> Rule:
    return Rule(f"placement:{name}", check, doc)


PROVIDERS_LIST: Final = _rule("resource_providers:list", "List resource providers")
PROVIDERS_CREATE: Final = _rule("resource_providers:create", "Make a resource provider")
PROVIDERS_SHOW: Final = _rule("resource_providers:show", "Show a resource provider")
PROVIDERS_UPDATE: Final = _rule("resource_providers:update", "Change a resource provider")
PROVIDERS_DELETE: Final = _rule("resource_providers:delete", "Delete a resource provider")
INVENTORIES_LIST: Final = _rule("resource_providers:inventories:list", "List a provider's inventories")
INVENTORIES_CREATE: Final = _rule("resource_providers:inventories:create", "Add an inventory to a provider")
INVENTORIES_SHOW: Final = _rule("resource_providers:inventories:show", "Show an inventory of a provider")
INVENTORIES_UPDATE: Final = _rule("resource_providers:inventories:update", "Change inventories of a provider")
INVENTORIES_DELETE: Final = _rule("resource_providers:inventories:delete", "Delete inventories of a provider")
AGGREGATES_LIST: Final = _rule("resource_providers:aggregates:list", "List a provider's aggregates")
AGGREGATES_UPDATE: Final = _rule("resource_providers:aggregates:update", "Set a provider's aggregates")
PROVIDER_TRAITS_LIST: Final = _rule("resource_providers:traits:list", "List a provider's traits")
PROVIDER_TRAITS_UPDATE: Final = _rule("resource_providers:traits:update", "Set a provider's traits")
PROVIDER_TRAITS_DELETE: Final = _rule("resource_providers:traits:delete", "Take a provider's traits away")
PROVIDER_USAGES: Final = _rule("resource_providers:usages", "Show what is used of a provider")
PROVIDER_ALLOCATIONS: Final = _rule("resource_providers:allocations:list", "List the allocations of a provider")
CLASSES_LIST: Final = _rule("resource_classes:list", "List resource classes")
CLASSES_CREATE: Final = _rule("resource_classes:create", "Make a resource class")
CLASSES_SHOW: Final = _rule("resource_classes:show", "Show a resource class")
CLASSES_UPDATE: Final = _rule("resource_classes:update", "Change a resource class")
CLASSES_DELETE: Final = _rule("resource_classes:delete", "Delete a resource class")
TRAITS_LIST: Final = _rule("traits:list", "List traits")
TRAITS_SHOW: Final = _rule("traits:show", "Show a trait")
TRAITS_UPDATE: Final = _rule("traits:update", "Make a trait")
TRAITS_DELETE: Final = _rule("traits:delete", "Delete a trait")
USAGES: Final = _rule("usages", "Show what a project uses", OWN_PROJECT)
ALLOCATIONS_LIST: Final = _rule("allocations:list", "List a consumer's allocations")
ALLOCATIONS_UPDATE: Final = _rule("allocations:update", "Set a consumer's allocations")
ALLOCATIONS_MANAGE: Final = _rule("allocations:manage", "Set the allocations of several consumers")
ALLOCATIONS_DELETE: Final = _rule("allocations:delete", "Delete a consumer's allocations")
CANDIDATES_LIST: Final = _rule("allocation_candidates:list", "List allocation candidates")
RESHAPE: Final = _rule("reshaper:reshape", "Reshape inventories and allocations", SERVICE_ONLY)
