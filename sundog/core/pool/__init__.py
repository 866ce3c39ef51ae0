"""The resource pool: OpenStack Placement's model, stored as columns.

A *provider* is a row, an *allocation* belongs to a consumer. Claim and release are atomic over all their providers and
refuse rather than overfill. Start reading at ``pool.Pool``; ``resource_classes`` says in what units amounts are.
"""

from sundog.core.pool.allocations import Allocation, Amounts
from sundog.core.pool.bitsets import BitColumns
from sundog.core.pool.pool import Claim, Inventory, Pool, PoolSnapshot, Refusal
from sundog.core.pool.resource_classes import ResourceClass, ResourceClasses

__all__ = [
    "Allocation",
    "Amounts",
    "BitColumns",
    "Claim",
    "Inventory",
    "Pool",
    "PoolSnapshot",
    "Refusal",
    "ResourceClass",
    "ResourceClasses",
]
