"""What Placement's use cases are told and tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sundog.core.pool import Inventory

MOST: Final = 2_147_483_647
"""The largest amount that Placement's clients can write; as a ``max_unit`` it stands for no limit."""


@dataclass(frozen=True, slots=True)
class NewProvider:
    """A provider to be made, with what it has from the beginning. ``uuid`` None: one is drawn."""

    name: str
    uuid: str | None = None
    parent_uuid: str | None = None
    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    traits: Sequence[str] = ()
    aggregates: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider as clients see it. ``row`` is where the pool has it."""

    uuid: str
    name: str
    row: int
    generation: int
    parent_uuid: str | None
    root_uuid: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who holds allocations, and for whom. ``consumer_type`` is None where no client said it."""

    uuid: str
    project_id: str
    user_id: str
    consumer_type: str | None
    generation: int
    created_at: datetime
    updated_at: datetime


Resources = Mapping[str, int]
"""Amounts by resource class."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a consumer is to hold instead of what it holds: resources by provider; none of any gives all back.

    ``generation`` is the consumer's as the client knows it, None for a consumer that is new; it counts only with
    ``check_generation``.
    """

    consumer_uuid: str
    allocations: Mapping[str, Resources]
    project_id: str
    user_id: str
    consumer_type: str | None = None
    generation: int | None = None
    check_generation: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What a consumer holds, by provider, with the providers' generations."""

    consumer: Consumer
    allocations: Mapping[str, Resources]


@dataclass(frozen=True, slots=True)
class TypeUsage:
    """What the consumers of one type use in all, and how many they are."""

    resources: Resources
    consumers: int


@dataclass(frozen=True, slots=True)
class Reshaped:
    """A provider's new inventories, for a reshape, and its generation as the client knows it."""

    generation: int
    inventories: Mapping[str, Inventory]
