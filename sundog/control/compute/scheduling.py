"""Where servers go: the scheduler of studies, over the pool that is Placement's.

A decision is turned into allocations, which Placement writes; nothing else ever claims.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sundog.control.compute.records import ServerFlavor, ServerImage
from sundog.control.placement import Placement
from sundog.core.scheduler import Decision, NoValidHost, Request, Scheduler, ServerGroup, Shape, make_shape
from sundog.core.scheduler.extra_specs import Asked, asked_of_placement
from sundog.core.scheduler.facts import HostFacts
from sundog.core.scheduler.policies import Policy
from sundog.core.scheduler.request import Details
from sundog.errors import Invalid


@dataclass(frozen=True, slots=True)
class Wish:
    """What decides where a server goes. Hosts are names.

    Hosts that are forced are not filtered unless they are ``checked``. ``leaves`` is the uuid of the host that the
    server would leave, so that it does not count there as a member of its group.
    """

    server_id: str
    project_id: str
    flavor: ServerFlavor
    image: ServerImage | None = None
    group: ServerGroup | None = None
    zone: str | None = None
    hints: Mapping[str, object] | None = None
    ignore_hosts: tuple[str, ...] = ()
    force_hosts: tuple[str, ...] = ()
    checked: bool = False
    leaves: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server goes: the host's uuid and name, and what it takes there, by provider."""

    host: str
    name: str
    allocations: Mapping[str, Mapping[str, int]]


class Scheduling:
    """Decides over the pool of ``placement`` by ``policy``."""

    def __init__(self, placement: Placement, policy: Policy, *, policy_name: str = "", seed: int = 0) -> None:
        self._placement = placement
        self.facts = HostFacts()
        self.scheduler = Scheduler(
            placement.pool, policy, policy_name=policy_name, seed=seed, facts=self.facts
        )  # fmt: skip

    def decide(self, wishes: Sequence[Wish]) -> list[Place] | NoValidHost:
        """A place for each of the wishes, all at the same time, or why there is none for one. Changes nothing.

        Raises: Invalid for a flavor whose extra specs ask nonsense.
        """
        pool, groups = self._placement.pool, self.scheduler.groups
        tried: list[tuple[int, Decision]] = []
        sequence, last = self.scheduler.hosts.sequence, self.scheduler.hosts.last_row
        spare = self._placement.books.unused_number()
        gone = [(wish.group.id, wish.leaves) for wish in wishes if wish.group is not None and wish.leaves is not None]
        for group_id, host in gone:
            self.moved(group_id, host, None)
        try:
            for number, wish in enumerate(wishes, start=spare):
                decision = self.scheduler.decide(request_of(wish))
                if isinstance(decision, NoValidHost):
                    return decision
                if len(wishes) > 1:  # those that follow must see it
                    if pool.claim(number, decision.claims) is not None:
                        return NoValidHost(decision.request, "no room", ())
                    if decision.request.group is not None:
                        groups.join(decision.request.group.id, decision.row)
                    self.scheduler.hosts.sequence += 1
                    self.scheduler.hosts.last_row = decision.row
                tried.append((number, decision))
            return [self._place(decision) for _, decision in tried]
        finally:
            self.load(gone)
            if len(wishes) > 1:
                for number, decision in reversed(tried):
                    pool.release(number)
                    if decision.request.group is not None:
                        groups.leave(decision.request.group.id, decision.row)
                self.scheduler.hosts.sequence, self.scheduler.hosts.last_row = sequence, last

    def _place(self, decision: Decision) -> Place:
        books, classes = self._placement.books, self._placement.pool.classes
        allocations: dict[str, dict[str, int]] = {}
        for row, amounts in decision.claims:
            mine = allocations.setdefault(books.uuids[row], {})
            for name, amount in classes.values(amounts).items():
                mine[name] = mine.get(name, 0) + int(amount)
        return Place(books.uuids[decision.row], decision.host, allocations)

    def against(self, wish: Wish, host: str, *, filters: Collection[str]) -> list[tuple[str, str]]:
        """Which of these filters refuse a host, by name, and why. Empty for a host that the scheduler does not see."""
        request, scheduler = request_of(wish), self.scheduler
        demand = scheduler.shaped(request.shape).demand
        row = scheduler.hosts.index(host)
        failed = []
        for each in scheduler.filters if row is not None else ():
            passes = each.passes(request, demand, scheduler.hosts) if each.name in filters else None
            if passes is not None and not passes[row]:
                failed.append((each.name, each.reason(request, demand, scheduler.hosts, row)))
        return failed

    def placed(self, place: Place) -> None:
        """A server took a place: policies that go round begin behind it."""
        hosts = self.scheduler.hosts
        hosts.sequence += 1
        hosts.last_row = self._placement.books.providers[place.host].row

    def moved(self, group_id: str, old: str | None, new: str | None) -> None:
        """A member of a server group changed its host."""
        providers, groups = self._placement.books.providers, self.scheduler.groups
        if old is not None and old in providers:
            groups.leave(group_id, providers[old].row)
        if new is not None and new in providers:
            groups.join(group_id, providers[new].row)

    def load(self, members: Iterable[tuple[str, str]]) -> None:
        """Take over the members of server groups: ``(group, host)`` each."""
        for group_id, host in members:
            self.moved(group_id, None, host)


def request_of(wish: Wish) -> Request:
    """What the scheduler is asked.

    Raises: Invalid for extra specs that ask nonsense.
    """
    return Request(shape_of(wish), wish.group, wish.ignore_hosts, wish.force_hosts, wish.server_id)


def shape_of(wish: Wish) -> Shape:
    """What the scheduler is asked of every server that is like this one. What Placement gives is Nova's own rule.

    Raises: Invalid for extra specs that ask nonsense.
    """
    flavor = wish.flavor
    asked = _asked(flavor)
    resources = _resources(flavor, asked)
    properties = wish.image.properties if wish.image is not None else {}
    return make_shape(
        resources,
        required_traits=[*asked.required, *_traits(properties, "required")],
        forbidden_traits=[*asked.forbidden, *_traits(properties, "forbidden")],
        zone=wish.zone,
        details=Details(
            flavor=flavor.name,
            extra_specs=tuple(sorted(flavor.extra_specs.items())),
            image_id=wish.image.id if wish.image is not None else None,
            image_properties=tuple(sorted(properties.items())) if wish.image is not None else None,
            project_id=wish.project_id,
            hints=tuple(sorted((key, json.dumps(value)) for key, value in (wish.hints or {}).items())),
            forced=bool(wish.force_hosts) and not wish.checked,
            vcpus=flavor.vcpus,
            memory_mb=flavor.memory_mb,
            disk_gb=flavor.root_gb + flavor.ephemeral_gb,
        ),
        name=flavor.name,
    )


def resources_of(flavor: ServerFlavor) -> dict[str, int]:
    """What a server of a flavor takes in all, by resource class; nothing that is 0.

    Raises: Invalid for extra specs that ask nonsense.
    """
    return {name: int(amount) for name, amount in _resources(flavor, _asked(flavor)).items() if amount}


def _asked(flavor: ServerFlavor) -> Asked:
    try:
        return asked_of_placement(flavor.extra_specs)
    except ValueError as error:
        raise Invalid(f"Flavor {flavor.name} cannot be scheduled: {error}.", flavor=flavor.id) from error


def _resources(flavor: ServerFlavor, asked: Asked) -> dict[str, int]:
    disk = flavor.root_gb + flavor.ephemeral_gb + -(-flavor.swap_mb // 1024)
    return {"VCPU": flavor.vcpus, "MEMORY_MB": flavor.memory_mb, "DISK_GB": disk} | asked.resources


def _traits(properties: Mapping[str, str], wanted: str) -> list[str]:
    """Traits that an image asks for, as Nova reads its properties (``trait:NAME=required``)."""
    return [
        key.removeprefix("trait:") for key, value in properties.items() if key.startswith("trait:") and value == wanted
    ]
