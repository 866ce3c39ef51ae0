"""The hosts of a cloud that is served: planned before its world begins, the same at every start of one state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pydantic import Field, ValidationError, field_validator

from sundog.backends.playground import HostFault, NewHosts, OperationFault, Playground, Scope, StandingOrder
from sundog.backends.simulated.driver import SimulatedDriver
from sundog.backends.simulated.ledger import Ledger
from sundog.backends.simulated.machine import HostSpec, hosts_of_fleet
from sundog.backends.simulated.timings import Timings
from sundog.errors import InputError
from sundog.runtime.warp import World
from sundog.sim.fleet import build_fleet
from sundog.sim.spec import HostGroup, HostType, Overcommit, Reserved, Spec
from sundog.units import Seconds

MOST_HOSTS: Final = 100_000
_MOST_UNITS: Final = 2**31 - 1  # of one class on one provider, as Placement's API counts
_HOSTS_A_RACK: Final = 40

# Two sockets of 16 cores with threads, as are bought by the rack; Nova's own reserve of memory and ratio of vCPUs.
_COMPUTE: Final = HostType(name="compute", vcpus=64, memory=256 * 1024.0, disk=2000.0, reserved=Reserved(memory=512.0))
_OVERCOMMIT: Final = Overcommit(vcpus=4.0)


# ---------------------------------------------------------------- plans


class FleetPlan(Spec):
    """The hosts that a cloud begins with, as a scenario describes them. It survives a round trip through JSON.

    What hosts have is counted in whole units, and rounded down to them.
    Raises: InputError for amounts that cannot be counted, a type that is defined twice, and too many hosts.
    """

    groups: tuple[HostGroup, ...] = Field(min_length=1)
    overcommit: Overcommit = Overcommit()

    @field_validator("groups")
    @classmethod
    def _can_be_served(cls, groups: tuple[HostGroup, ...]) -> tuple[HostGroup, ...]:
        total = sum(group.count for group in groups)
        if total > MOST_HOSTS:
            raise InputError(f"{total:,} hosts are more than a cloud takes; give at most {MOST_HOSTS:,}")
        whole = tuple(group.model_copy(update={"type": whole_type(group.type)}) for group in groups)
        types_of(group.type for group in whole)
        return whole


class AddedHosts(Spec):
    """Hosts that were added to a cloud while it ran."""

    type: HostType
    names: tuple[str, ...]
    zone: str | None
    rack: str


def identical_hosts(count: int) -> FleetPlan:
    """``count`` hosts of one type, in racks of zone ``nova``: at least two racks, if there are two hosts.

    Raises: InputError for less than one host, or more than a machine can hold.
    """
    if not 1 <= count <= MOST_HOSTS:
        raise InputError(f"a cloud of {count:,} hosts makes no sense here; give 1 to {MOST_HOSTS:,}")
    racks = min(count, max(2, math.ceil(count / _HOSTS_A_RACK)))
    return FleetPlan(groups=(HostGroup(type=_COMPUTE, count=count, zone="nova", racks=racks),), overcommit=_OVERCOMMIT)


def types_of(types: Iterable[HostType]) -> dict[str, HostType]:
    """Types by their names. Raises: InputError if two have one name."""
    found: dict[str, HostType] = {}
    for each in types:
        if found.setdefault(each.name, each) != each:
            raise InputError(f"host type {each.name!r} is there already, and differs; give one of them another name")
    return found


def whole_type(host_type: HostType) -> HostType:
    """A type whose amounts are whole numbers, rounded down, as a cloud counts them.

    Raises: InputError if nothing is left of one, or it is too large to be counted.
    """

    def whole(what: str, amount: float, least: int = 1) -> float:
        if not least <= amount <= _MOST_UNITS:
            raise InputError(
                f"{amount:g} of {what} on a host of type {host_type.name!r} cannot be counted; give whole units, "
                f"{least} to {_MOST_UNITS:,}", type=host_type.name,
            )  # fmt: skip
        return float(math.floor(amount))

    kept = host_type.reserved
    reserved = Reserved(
        vcpus=math.floor(kept.vcpus), memory=float(math.floor(kept.memory)), disk=float(math.floor(kept.disk))
    )
    sizes = {
        "vcpus": whole("vCPUs", host_type.vcpus),
        "memory": whole("memory (MiB)", host_type.memory),
        "disk": None if host_type.disk is None else whole("disk (GiB)", host_type.disk),
        "gpus": int(whole("GPUs", host_type.gpus, 0)),
        "resources": {name: whole(name, amount) for name, amount in host_type.resources.items()},
        "reserved": reserved,
    }
    try:
        return HostType(**host_type.model_dump() | sizes)
    except ValidationError as exc:
        what = exc.errors()[0]["msg"]
        raise InputError(f"host type {host_type.name!r} in whole units: {what}", type=host_type.name) from None


# ---------------------------------------------------------------- hosts


class SimulatedFleet:
    """The hosts of ``plan`` in ``world``, and those ``added`` later: a ``Playground``, with its ``driver``.

    A host's uuid hangs on the seed of the world and on its name alone. ``elapsed`` is for how long the plan has been
    followed: a host that enters service later in it comes so much sooner. ``keep`` is told what is added, before it is.
    ``timings`` are how long things take there, ours if they are left out.
    Raises: InputError if ``ledger`` is damaged.
    """

    def __init__(
        self,
        world: World,
        plan: FleetPlan,
        *,
        elapsed: Seconds = 0.0,
        added: Sequence[AddedHosts] = (),
        ledger: Ledger | None = None,
        keep: Callable[[AddedHosts], None] = lambda _added: None,
        timings: Timings | None = None,
    ) -> None:
        self._world, self._plan, self._keep = world, plan, keep
        fleet = build_fleet(plan.groups, plan.overcommit)
        begun = [
            replace(spec, at=world.now + max(0.0, spec.at - elapsed)) for spec in hosts_of_fleet(fleet, world.streams)
        ]
        self._types = types_of([*(group.type for group in plan.groups), *(each.type for each in added)])
        self._racks = dict.fromkeys([*fleet.racks, *(each.rack for each in added)])
        self._names = dict.fromkeys([*fleet.names, *(name for each in added for name in each.names)])
        self.driver: Final = SimulatedDriver(
            world,
            [*begun, *(spec for each in added for spec in self._specs(each))],
            timings=timings,
            ledger=ledger,
        )

    def _specs(self, added: AddedHosts) -> tuple[HostSpec, ...]:
        group = HostGroup(type=added.type, count=len(added.names), zone=added.zone)
        fleet = build_fleet([group], self._plan.overcommit)
        racks = (added.rack,) * len(added.names)
        return hosts_of_fleet(replace(fleet, names=added.names, racks=racks), self._world.streams)

    # -- more hosts

    def types(self) -> Sequence[HostType]:
        """The types of hosts that there are."""
        return tuple(self._types.values())

    def add_hosts(self, new: NewHosts) -> tuple[str, ...]:
        """Hosts that are there from now on, at every later start too. Raises: InputError."""
        host_type = self._type(new.type)
        if not 1 <= new.count <= MOST_HOSTS - len(self._names):
            raise InputError(f"{new.count:,} hosts cannot be added to {len(self._names):,}; {MOST_HOSTS:,} is the most")
        added = AddedHosts(
            type=host_type,
            names=self._free_names(host_type.name, new.count),
            zone=new.zone,
            rack=new.rack or self._free_rack(new.zone or "rack"),
        )
        specs = self._specs(added)
        self._keep(added)
        self._types[host_type.name] = host_type
        self._racks[added.rack] = None
        for spec in specs:
            self._names[spec.name] = None
            self.driver.add_host(replace(spec, at=self._world.now))
        return tuple(spec.uuid for spec in specs)

    def _type(self, asked: str | HostType) -> HostType:
        if isinstance(asked, HostType):
            return types_of([*self._types.values(), whole_type(asked)])[asked.name]
        if asked not in self._types:
            raise InputError(f"there is no host type {asked!r}; there are {', '.join(self._types)}", type=asked)
        return self._types[asked]

    def _free_names(self, host_type: str, count: int) -> tuple[str, ...]:
        """Numbers go on after the last, as wide as those that there are."""
        taken = [name.removeprefix(f"{host_type}-") for name in self._names if name.startswith(f"{host_type}-")]
        numbers = [number for number in taken if number.isdecimal()]
        first = max((int(number) + 1 for number in numbers), default=0)
        width = len(numbers[0]) if numbers else len(str(count - 1))
        return tuple(f"{host_type}-{first + i:0{width}d}" for i in range(count))

    def _free_rack(self, zone: str) -> str:
        number = 0
        while f"{zone}-r{number}" in self._racks:
            number += 1
        return f"{zone}-r{number}"

    # -- what goes wrong

    def strike(self, fault: HostFault, scope: Scope) -> tuple[str, ...]:
        """Let something befall every host of a scope, now; their uuids. Raises: InputError if there is no such host."""
        return self.driver.faults.strike(fault, scope)

    def order(self, fault: OperationFault) -> int:
        """Let operations go wrong from now on; the order's number. Raises: InputError if its scope has no host."""
        return self.driver.faults.order(fault)

    def orders(self) -> tuple[StandingOrder, ...]:
        """The orders that stand, the oldest first."""
        return tuple(StandingOrder(each.number, each.fault, each.left) for each in self.driver.faults.orders())

    def withdraw(self, number: int) -> None:
        """Let an order stand no longer; nothing happens if it does not."""
        self.driver.faults.withdraw(number)


if TYPE_CHECKING:

    def _keeps_the_contract(fleet: SimulatedFleet) -> Playground:
        return fleet
