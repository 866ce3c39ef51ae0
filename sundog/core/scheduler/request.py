"""What is asked of the scheduler.

Requests of one *shape* are alike to the scheduler (Borg's equivalence classes), so everything that can be worked out
once for a shape hangs on :class:`Shape`, and what differs from server to server hangs on :class:`Request`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from sundog.errors import PoolError

Resources: TypeAlias = tuple[tuple[str, float], ...]
"""(class name, amount in the class's own unit) pairs, sorted by name, zeros left out."""

GroupPolicy: TypeAlias = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]
GROUP_POLICIES: Final[tuple[GroupPolicy, ...]] = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True, slots=True)
class Devices:
    """``count`` different child providers of the host, each giving ``resources`` (Placement's isolated groups).

    Half a GPU is one device giving half a unit; two GPUs are two devices giving one each.
    Raises: PoolError if nothing is asked of a device, or fewer than one of them.
    """

    resources: Resources
    count: int = 1

    def __post_init__(self) -> None:
        if not any(amount for _, amount in self.resources):
            raise PoolError("devices are asked for that give nothing; name a class and an amount above 0")
        if self.count < 1:
            raise PoolError(f"{self.count} devices are asked for; it must be 1 or more")


@dataclass(frozen=True, slots=True)
class Variant:
    """What the shape asks of hosts with ``trait``, where the demand depends on the kind of machine."""

    trait: str
    resources: Resources


@dataclass(frozen=True, slots=True)
class Details:
    """What Nova's own filters and weighers read of a request, beyond what Placement is asked (Nova's RequestSpec).

    ``extra_specs``, ``image_properties`` and ``hints`` are pairs sorted by key; a hint's value is JSON.
    ``image_properties`` is None for a server without an image. ``forced``: the request forces a host, so that Nova
    skips its filters. ``group_elsewhere``: the request's affinity group has members, but on no host of this pool.
    ``cell`` is the cell wanted, or with ``cross_cell`` the one preferred. ``vcpus``, ``memory_mb`` and ``disk_gb`` are
    what the host itself will count as used; Placement may have been asked for something else.
    """

    flavor: str = ""
    extra_specs: tuple[tuple[str, str], ...] = ()
    image_id: str | None = None
    image_properties: tuple[tuple[str, str], ...] | None = None
    project_id: str | None = None
    hints: tuple[tuple[str, str], ...] = ()
    forced: bool = False
    group_elsewhere: bool = False
    cell: str | None = None
    cross_cell: bool = False
    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """All that makes requests alike. Hashable, so that it can be the key of a cache; build it with :func:`make_shape`.

    ``any_traits`` holds lists of which each host must have at least one (Placement's ``required=in:``);
    ``aggregates`` likewise, and a host in one of ``forbidden_aggregates`` is refused. ``variants``, where given,
    replace ``resources`` by the first one whose trait the host has, and refuse hosts that have none. ``details`` is for
    Nova's own filters. ``name`` is the flavor, for people only.
    """

    resources: Resources = ()
    devices: Devices | None = None
    required_traits: tuple[str, ...] = ()
    forbidden_traits: tuple[str, ...] = ()
    any_traits: tuple[tuple[str, ...], ...] = ()
    aggregates: tuple[tuple[str, ...], ...] = ()
    zone: str | None = None
    variants: tuple[Variant, ...] = ()
    forbidden_aggregates: tuple[str, ...] = ()
    details: Details | None = None
    name: str = field(default="", compare=False)

    def describe(self) -> str:
        """The demand in a line, for messages: ``2 VCPU, 4096 MEMORY_MB``."""
        parts = [f"{amount:g} {name}" for name, amount in self.resources]
        if self.devices:
            each = ", ".join(f"{amount:g} {name}" for name, amount in self.devices.resources)
            parts.append(f"{self.devices.count} x ({each})")
        parts.extend(f"on {v.trait}: " + ", ".join(f"{a:g} {n}" for n, a in v.resources) for v in self.variants)
        return ", ".join(parts) or "nothing"


def sorted_resources(resources: Mapping[str, float]) -> Resources:
    """``resources`` as a :data:`Resources` value."""
    return tuple(sorted((name, amount) for name, amount in resources.items() if amount))


def make_shape(
    resources: Mapping[str, float],
    *,
    devices: Devices | None = None,
    required_traits: Iterable[str] = (),
    forbidden_traits: Iterable[str] = (),
    any_traits: Iterable[Iterable[str]] = (),
    aggregates: Iterable[Iterable[str]] = (),
    zone: str | None = None,
    variants: Mapping[str, Mapping[str, float]] | None = None,
    forbidden_aggregates: Iterable[str] = (),
    details: Details | None = None,
    name: str = "",
) -> Shape:
    """A :class:`Shape` in its normal form: equal demands give equal shapes, in whatever order they were written."""
    return Shape(
        resources=sorted_resources(resources),
        devices=devices,
        required_traits=tuple(sorted(set(required_traits))),
        forbidden_traits=tuple(sorted(set(forbidden_traits))),
        any_traits=tuple(sorted(tuple(sorted(set(each))) for each in any_traits)),
        aggregates=tuple(sorted(tuple(sorted(set(each))) for each in aggregates)),
        zone=zone,
        variants=tuple(Variant(trait, sorted_resources(asked)) for trait, asked in (variants or {}).items()),
        forbidden_aggregates=tuple(sorted(set(forbidden_aggregates))),
        details=details,
        name=name,
    )


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group and its one policy, as in Nova; ``max_server_per_host`` is for anti-affinity.

    Raises: PoolError for an unknown policy or a limit below 1.
    """

    id: str
    policy: GroupPolicy
    max_server_per_host: int = 1

    def __post_init__(self) -> None:
        if self.policy not in GROUP_POLICIES:
            raise PoolError(f"{self.policy!r} is not a server group policy; use one of {', '.join(GROUP_POLICIES)}")
        if self.max_server_per_host < 1:
            raise PoolError(
                f"max_server_per_host of group {self.id} is {self.max_server_per_host}; it must be 1 or more"
            )


@dataclass(frozen=True, slots=True)
class Request:
    """One server to be placed: a shape, and what is its own.

    ``ignore_hosts`` are never chosen; where ``force_hosts`` is given nothing else is (Nova's forced hosts, which
    still must fit).
    """

    shape: Shape
    group: ServerGroup | None = None
    ignore_hosts: tuple[str, ...] = ()
    force_hosts: tuple[str, ...] = ()
    id: str = ""
