"""Filters that Placement does for Nova: resources, traits, aggregates, and the zone."""

from __future__ import annotations

import numpy as np

from sundog.core.pool.pool import Bools
from sundog.core.scheduler.hosts import Demand, Hosts
from sundog.core.scheduler.request import Request


class CapacityFilter:
    """Hosts that would have room if they were empty: what fails here fails for ever.

    Also the limits of one claim (``min_unit``, ``max_unit``, ``step_size``), which do not depend on use either.
    """

    name = "CapacityFilter"
    static = True

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Capacity is at least the demand, and the demand is within the units of one claim."""
        pool = hosts.pool
        passes: Bools = np.ones(hosts.n, dtype=bool)
        for column, units in zip(demand.columns, demand.units, strict=True):
            passes &= hosts.column(pool.capacity, column) >= units
            asked = units > 0
            passes &= ~asked | (units >= hosts.column(pool.min_unit, column))
            passes &= units <= hosts.column(pool.max_unit, column)
            passes &= units % hosts.column(pool.step_size, column) == 0
        if demand.device_count:
            passes &= hosts.devices_with_room(demand, pool.capacity) >= demand.device_count
        return passes

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Which class the host could never give enough of."""
        pool, row = hosts.pool, int(hosts.rows[host])
        for column, asked in demand.amounts[int(demand.variant[host])]:
            item = pool.classes[column]
            wanted, capacity = item.value(asked), item.value(int(pool.capacity[column, row]))
            if asked > pool.capacity[column, row]:
                return f"capacity is {capacity:g} {item.name}; asked {wanted:g}"
            for limit in ("min_unit", "max_unit", "step_size"):
                bound = int(getattr(pool, limit)[column, row])
                wrong = {"min_unit": asked < bound, "max_unit": asked > bound, "step_size": asked % bound != 0}
                if wrong[limit]:
                    return f"{item.name} is given with {limit} {item.value(bound):g}; asked {wanted:g}"
        return f"too few devices; asked {_devices_text(demand, hosts)}"


class TraitsFilter:
    """Hosts with every required trait, no forbidden one, and one of each list of alternatives."""

    name = "TraitsFilter"
    static = True

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Traits of the host itself (the root provider)."""
        shape, traits = request.shape, hosts.pool.traits
        if not (shape.required_traits or shape.forbidden_traits or shape.any_traits or shape.variants):
            return None
        passes = traits.having_all(shape.required_traits)
        passes &= ~traits.having_any(shape.forbidden_traits)
        for alternatives in shape.any_traits:
            passes &= traits.having_any(alternatives)
        if shape.variants:
            passes &= traits.having_any(variant.trait for variant in shape.variants)
        return hosts.of(passes).astype(bool, copy=False)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """The first trait that is wrong."""
        shape, has = request.shape, hosts.pool.traits.of(int(hosts.rows[host]))
        for trait in shape.required_traits:
            if trait not in has:
                return f"the host lacks trait {trait}"
        for trait in shape.forbidden_traits:
            if trait in has:
                return f"the host has forbidden trait {trait}"
        for alternatives in (*shape.any_traits, tuple(v.trait for v in shape.variants)):
            if alternatives and not any(trait in has for trait in alternatives):
                return f"the host has none of the traits {', '.join(alternatives)}"
        return "the traits differ"


class AggregatesFilter:
    """Hosts in one aggregate of each list that the shape gives, and in none it forbids (Placement's ``member_of``)."""

    name = "AggregatesFilter"
    static = True

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """In one of each list, and in no forbidden one."""
        if not (request.shape.aggregates or request.shape.forbidden_aggregates):
            return None
        passes: Bools = np.ones(hosts.pool.rows, dtype=bool)
        for alternatives in request.shape.aggregates:
            passes &= hosts.pool.aggregates.having_any(alternatives)
        if request.shape.forbidden_aggregates:
            passes &= ~hosts.pool.aggregates.having_any(request.shape.forbidden_aggregates)
        return hosts.of(passes).astype(bool, copy=False)

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Which aggregates were asked and which the host is in."""
        has = hosts.pool.aggregates.of(int(hosts.rows[host]))
        forbidden = [name for name in has if name in request.shape.forbidden_aggregates]
        if forbidden:
            return f"the request may not go to aggregate {', '.join(forbidden)}"
        asked = " and ".join("one of " + ", ".join(each) for each in request.shape.aggregates)
        return f"asked {asked}; the host is in {', '.join(has) or 'none'}"


class AvailabilityZoneFilter:
    """Hosts in the zone that the request asks for."""

    name = "AvailabilityZoneFilter"
    static = True

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """In the zone."""
        zone, pool = request.shape.zone, hosts.pool
        if zone is None:
            return None
        if zone not in pool.zones:
            return np.zeros(hosts.n, dtype=bool)
        same: Bools = np.equal(hosts.of(pool.zone), pool.zones.index(zone))
        return same

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Which zone the host is in."""
        return f"the host is in zone {hosts.pool.zone_of(int(hosts.rows[host]))}; asked {request.shape.zone}"


class ResourcesFilter:
    """Hosts with enough free of every class asked, and enough devices with room. The filter of the hot path."""

    name = "ResourcesFilter"
    static = False

    def passes(self, request: Request, demand: Demand, hosts: Hosts) -> Bools | None:
        """Free is at least the demand; a class of which a host is asked nothing does not matter there."""
        free = hosts.pool.free
        passes: Bools | None = None
        for column, units in zip(demand.columns, demand.units, strict=True):
            enough: Bools = hosts.column(free, column) >= units
            if request.shape.variants:
                enough |= units == 0
            passes = enough if passes is None else np.logical_and(passes, enough, out=passes)
        if demand.device_count:
            devices: Bools = hosts.devices_with_room(demand, free) >= demand.device_count
            passes = devices if passes is None else passes & devices
        return passes

    def reason(self, request: Request, demand: Demand, hosts: Hosts, host: int) -> str:
        """Every class that is short, with what is free."""
        pool, row = hosts.pool, int(hosts.rows[host])
        short = [
            f"{pool.classes[column].value(int(pool.free[column, row])):g} {pool.classes[column].name} free, "
            f"asked {pool.classes[column].value(asked):g}"
            for column, asked in demand.amounts[int(demand.variant[host])]
            if asked > pool.free[column, row]
        ]
        if demand.device_count:
            ready = int(hosts.devices_with_room(demand, pool.free)[host])
            if ready < demand.device_count:
                short.append(f"{ready} devices have room, asked {_devices_text(demand, hosts)}")
        return "; ".join(short)


def _devices_text(demand: Demand, hosts: Hosts) -> str:
    each = ", ".join(f"{amount:g} {name}" for name, amount in hosts.pool.classes.values(demand.devices).items())
    return f"{demand.device_count} x ({each})"
