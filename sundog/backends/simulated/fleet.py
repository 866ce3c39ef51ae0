"""The hosts of a cloud that is served: planned before its world begins, the same at every start of one state."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from pydantic import Field

from sundog.backends.simulated.driver import SimulatedDriver
from sundog.backends.simulated.ledger import Ledger
from sundog.backends.simulated.machine import hosts_of_fleet
from sundog.errors import InputError
from sundog.runtime.warp import World
from sundog.sim.fleet import build_fleet
from sundog.sim.spec import HostGroup, HostType, Overcommit, Reserved, Spec
from sundog.units import Seconds

MOST_HOSTS: Final = 100_000
_HOSTS_A_RACK: Final = 40

# Two sockets of 16 cores with threads, as are bought by the rack; Nova's own reserve of memory and ratio of vCPUs.
_COMPUTE: Final = HostType(name="compute", vcpus=64, memory=256 * 1024.0, disk=2000.0, reserved=Reserved(memory=512.0))
_OVERCOMMIT: Final = Overcommit(vcpus=4.0)


class FleetPlan(Spec):
    """The hosts that a cloud begins with, as a scenario describes them. It survives a round trip through JSON."""

    groups: tuple[HostGroup, ...] = Field(min_length=1)
    overcommit: Overcommit = Overcommit()


def identical_hosts(count: int) -> FleetPlan:
    """``count`` hosts of one type, in racks of zone ``nova``: at least two racks, if there are two hosts.

    Raises: InputError for less than one host, or more than a machine can hold.
    """
    if not 1 <= count <= MOST_HOSTS:
        raise InputError(f"a cloud of {count:,} hosts makes no sense here; give 1 to {MOST_HOSTS:,}")
    racks = min(count, max(2, math.ceil(count / _HOSTS_A_RACK)))
    return FleetPlan(groups=(HostGroup(type=_COMPUTE, count=count, zone="nova", racks=racks),), overcommit=_OVERCOMMIT)


def simulated_hosts(
    world: World, plan: FleetPlan, *, elapsed: Seconds = 0.0, ledger: Ledger | None = None
) -> SimulatedDriver:
    """A driver over the hosts of ``plan``, whose uuids hang on the seed of ``world`` and on their names alone.

    ``elapsed`` is for how long the plan has been followed: a host that enters service later in it comes so much sooner.
    Raises: InputError if the plan defines a type twice, or ``ledger`` is damaged.
    """
    hosts = hosts_of_fleet(build_fleet(plan.groups, plan.overcommit), world.streams)
    return SimulatedDriver(
        world, [replace(spec, at=world.now + max(0.0, spec.at - elapsed)) for spec in hosts], ledger=ledger
    )
