"""Small pools, schedulers and requests for tests, and a photograph of a pool that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sundog.core.pool import Pool, ResourceClasses
from sundog.core.scheduler import Devices, Request, Scheduler, ServerGroup, load_policy, make_shape

HOST = {"VCPU": 8.0, "MEMORY_MB": 1024.0, "DISK_GB": 100.0}


def make_pool(hosts: int = 3, inventory: Mapping[str, Any] | None = None, **facts: Any) -> Pool:
    """``hosts`` hosts alike, called h0, h1 …"""
    classes = facts.pop("classes", None)
    pool = Pool(ResourceClasses(classes) if classes is not None else None)
    pool.add_providers([f"h{i}" for i in range(hosts)], HOST if inventory is None else inventory, **facts)
    return pool


def make_scheduler(pool: Pool | None = None, policy: Any = "first-fit", **options: Any) -> Scheduler:
    """A scheduler over ``pool`` by a policy's name or by a policy object; ``parameters`` go to the policy."""
    parameters = options.pop("parameters", None)
    if isinstance(policy, str):
        options.setdefault("policy_name", policy)
        policy = load_policy(policy, parameters)
    return Scheduler(make_pool() if pool is None else pool, policy, **options)


def make_request(
    vcpus: float = 1,
    memory: float = 0,
    *,
    resources: Mapping[str, float] | None = None,
    devices: Devices | None = None,
    group: ServerGroup | None = None,
    ignore: tuple[str, ...] = (),
    force: tuple[str, ...] = (),
    id: str = "",  # noqa: A002
    **shape: Any,
) -> Request:
    """One server of ``vcpus`` and ``memory`` MiB, or of ``resources``; other arguments go to ``make_shape``."""
    wanted = {"VCPU": vcpus, "MEMORY_MB": memory} if resources is None else resources
    return Request(make_shape(wanted, devices=devices, **shape), group, ignore, force, id)


def photograph(pool: Pool) -> dict[str, Any]:
    """Everything that a pool knows, as plain values: two photographs are equal if nothing changed."""
    columns = {name: value.tolist() for name, value in vars(pool).items() if isinstance(value, np.ndarray)}
    rows = range(pool.rows)
    allocations = sorted(
        (consumer, held.row, held.amounts)
        for consumer in range(64)
        for held in pool.allocations(consumer)
    )  # fmt: skip
    return columns | {
        "zone": [pool.zone_of(row) for row in rows],
        "names": {name: pool.row(name) for name in (f"{kind}{i}" for kind in "hpd" for i in range(64)) if name in pool},
        "traits": [sorted(pool.traits.of(row)) for row in rows],
        "aggregates": [sorted(pool.aggregates.of(row)) for row in rows],
        "children": [pool.children(row) for row in rows],
        "allocations": allocations,
        "roots": pool.roots().tolist(),
    }


def facts_of(photo: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a photograph that claims and releases leave alone."""
    moving = ("used", "free", "claims", "generation", "allocations")
    return {name: value for name, value in photo.items() if name not in moving}
