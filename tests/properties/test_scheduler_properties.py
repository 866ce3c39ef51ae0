"""Every filter and policy against a naive scheduler in plain Python, on fleets that change under its feet."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.core.scheduler import (
    BUILT_IN,
    GROUP_POLICIES,
    Decision,
    Devices,
    NoValidHost,
    Request,
    Scheduler,
    ServerGroup,
    explain,
    host_reasons,
    load_policy,
    make_shape,
    why_not,
)
from tests.builders import photograph

TRAITS = ("CUSTOM_A", "CUSTOM_B", "CUSTOM_C")
GROUPS = {f"g-{policy}": ServerGroup(f"g-{policy}", policy, 2) for policy in GROUP_POLICIES}
GROUPS["g-strict"] = ServerGroup("g-strict", "anti-affinity")
SCALES = {"VCPU": 2, "MEMORY_MB": 1, "DISK_GB": 1, "PGPU": 4}

# ---------------------------------------------------------------- the naive scheduler


@dataclass
class Host:
    """A host as a dictionary of numbers; amounts in each class's own unit."""

    name: str
    row: int
    inventory: dict[str, Inventory]
    zone: str | None
    traits: list[str]
    aggregates: list[str]
    up: bool = True
    enabled: bool = True
    servers: dict[int, dict[str, float]] = field(default_factory=dict)
    gpus: dict[int, dict[int, float]] = field(default_factory=dict)  # by row: share by server

    def capacity(self, name: str) -> float:
        each = self.inventory.get(name, Inventory(0))
        return math.floor((each.total - each.reserved) * SCALES[name] * each.allocation_ratio) / SCALES[name]

    def used(self, name: str) -> float:
        return sum(asked.get(name, 0) for asked in self.servers.values())

    def free(self, name: str) -> float:
        return self.capacity(name) - self.used(name)

    def physical_left(self, name: str) -> float:
        each = self.inventory.get(name, Inventory(0))
        return each.total - each.reserved - self.used(name)

    def vcpus_left(self) -> float:
        each = self.inventory.get("VCPU", Inventory(0))
        return each.total * each.allocation_ratio - (each.reserved + self.used("VCPU"))


@dataclass
class World:
    """Hosts in the order of their rows, group members, and what the last decision left behind."""

    hosts: list[Host] = field(default_factory=list)
    members: dict[str, dict[str, int]] = field(default_factory=dict)
    last_row: int = -1
    sequence: int = 0

    def asked(self, request: Request, host: Host) -> dict[str, float] | None:
        """What the request asks of this host; None if it has no variant for it."""
        if not request.shape.variants:
            return dict(request.shape.resources)
        return next((dict(v.resources) for v in request.shape.variants if v.trait in host.traits), None)

    def count(self, request: Request, host: Host) -> int:
        return self.members.get(request.group.id, {}).get(host.name, 0) if request.group else 0

    # One function a filter, in the order of the scheduler's.

    def capacity(self, request: Request, host: Host) -> bool:
        for name, value in (self.asked(request, host) or {}).items():
            each = host.inventory.get(name, Inventory(0))
            if value > host.capacity(name):
                return False
            if each.max_unit is not None and value > each.max_unit:
                return False
            if each.step_size is not None and (value / each.step_size) % 1:
                return False
        devices = request.shape.devices
        return devices is None or len(host.gpus) >= devices.count

    def traits(self, request: Request, host: Host) -> bool:
        shape = request.shape
        return (
            all(trait in host.traits for trait in shape.required_traits)
            and not any(trait in host.traits for trait in shape.forbidden_traits)
            and all(any(trait in host.traits for trait in each) for each in shape.any_traits)
            and self.asked(request, host) is not None
        )

    def aggregates(self, request: Request, host: Host) -> bool:
        return all(any(name in host.aggregates for name in each) for each in request.shape.aggregates)

    def zone(self, request: Request, host: Host) -> bool:
        return request.shape.zone is None or host.zone == request.shape.zone

    def compute(self, request: Request, host: Host) -> bool:
        return host.up and host.enabled

    def forced(self, request: Request, host: Host) -> bool:
        return not request.force_hosts or host.name in request.force_hosts

    def ignored(self, request: Request, host: Host) -> bool:
        return host.name not in request.ignore_hosts

    def affinity(self, request: Request, host: Host) -> bool:
        if request.group is None or request.group.policy != "affinity":
            return True
        return not self.members.get(request.group.id) or self.count(request, host) > 0

    def anti_affinity(self, request: Request, host: Host) -> bool:
        if request.group is None or request.group.policy != "anti-affinity":
            return True
        return self.count(request, host) < request.group.max_server_per_host

    def resources(self, request: Request, host: Host) -> bool:
        asked = self.asked(request, host) or {}
        return all(host.free(name) >= value for name, value in asked.items()) and (
            self.devices(request, host) is not None
        )

    def devices(self, request: Request, host: Host) -> list[int] | None:
        """Rows of the devices to take: the fullest that still have room; None if they are too few."""
        if request.shape.devices is None:
            return []
        share, count = request.shape.devices.resources[0][1], request.shape.devices.count
        left = sorted((1 - sum(used.values()), row) for row, used in host.gpus.items())
        fitting = [row for free, row in left if free >= share]
        return fitting[:count] if len(fitting) >= count else None

    @property
    def filters(self) -> dict[str, Callable[[Request, Host], bool]]:
        return {
            "CapacityFilter": self.capacity,
            "TraitsFilter": self.traits,
            "AggregatesFilter": self.aggregates,
            "AvailabilityZoneFilter": self.zone,
            "ComputeFilter": self.compute,
            "ForcedHostsFilter": self.forced,
            "IgnoredHostsFilter": self.ignored,
            "ServerGroupAffinityFilter": self.affinity,
            "ServerGroupAntiAffinityFilter": self.anti_affinity,
            "ResourcesFilter": self.resources,
        }

    def passing(self, request: Request, without: str = "") -> list[Host]:
        return [h for h in self.hosts if all(f(request, h) for name, f in self.filters.items() if name != without)]

    def feasible(self, request: Request, policy: str) -> list[Host]:
        hosts = self.passing(request)
        soft = request.group.policy if request.group else ""
        if policy != "nova" and hosts and soft.startswith("soft-"):
            best = (max if soft == "soft-affinity" else min)(self.count(request, host) for host in hosts)
            hosts = [host for host in hosts if self.count(request, host) == best]
        return hosts

    # One function a policy.

    def largest(self, name: str) -> float:
        return max(1 / SCALES[name], *(host.capacity(name) for host in self.hosts))

    def shares(self, request: Request, host: Host) -> list[tuple[float, float, float]]:
        """(free, asked, the largest host's capacity) of each class asked, in the order of the pool's columns."""
        asked = self.asked(request, host) or {}
        if request.shape.variants:  # a class that any variant asks counts on every host
            named = dict.fromkeys(name for v in request.shape.variants for name, _ in v.resources)
            asked = {name: asked.get(name, 0) for name in named}
        return [
            (host.free(name), value, self.largest(name))
            for name in SCALES
            if (value := asked.get(name)) is not None
        ]  # fmt: skip

    def choose(self, request: Request, policy: str, seed: int, parameters: dict[str, Any]) -> Host | None:
        hosts = self.feasible(request, policy)
        if not hosts:
            return None
        if policy == "first-fit":
            return hosts[0]
        if policy in ("next-fit", "round-robin"):
            known = any(host.row == self.last_row for host in self.hosts)
            start = self.last_row + (policy == "round-robin") if known else 0
            return next((host for host in hosts if host.row >= start), hosts[0])
        if policy == "random":
            return hosts[int(split_mix(seed, self.sequence) * len(hosts))]
        if policy == "nova":
            size = min(parameters.get("host_subset_size", 1), len(hosts))
            scores = self.nova(request, hosts, parameters)
            best = sorted(range(len(hosts)), key=lambda i: -scores[i])[:size]
            return hosts[best[int(split_mix(seed, self.sequence) * size)]]
        weights = parameters.get("weights", {})
        named = [name for name in SCALES if any(name == asked for asked, _ in self.demand_names(request))]

        def score(host: Host) -> float:
            shares = list(zip(named, self.shares(request, host), strict=True))
            if policy in VECTORS:
                capacity = [host.capacity(name) for name in named]
                vectors = [(weights.get(name, 1.0), free, asked, most) for name, (free, asked, most) in shares]
                return VECTORS[policy](vectors, capacity)
            total = 0.0
            for name, (free, asked, largest) in shares:
                total += weights.get(name, 1.0) * ((free - asked) / largest)
            return -total if policy == "best-fit" else total

        if policy == "power-of-k":
            policy = parameters.get("by", "worst-fit")
            draws = [split_mix(seed, self.sequence, draw) for draw in range(parameters.get("k", 2))]
            return max((hosts[int(draw * len(hosts))] for draw in draws), key=score)
        return max(hosts, key=score)  # the first of equals, as max() gives it

    def demand_names(self, request: Request) -> list[tuple[str, float]]:
        if not request.shape.variants:
            return list(request.shape.resources)
        return [pair for variant in request.shape.variants for pair in variant.resources]

    def nova(self, request: Request, hosts: list[Host], multipliers: dict[str, Any]) -> list[float]:
        soft = request.group.policy if request.group else ""
        raw: dict[str, Callable[[Host], float]] = {
            "soft_affinity_weight_multiplier": lambda h: self.count(request, h) if soft == "soft-affinity" else 0,
            "soft_anti_affinity_weight_multiplier": (
                lambda host: -self.count(request, host) if soft == "soft-anti-affinity" else 0
            ),
            "cpu_weight_multiplier": lambda host: host.vcpus_left(),
            "disk_weight_multiplier": lambda host: host.physical_left("DISK_GB"),
            "num_instances_weight_multiplier": lambda host: len(host.servers),
            "ram_weight_multiplier": lambda host: host.physical_left("MEMORY_MB"),
        }
        totals = [0.0] * len(hosts)
        if len(hosts) == 1:
            return totals
        for option, weigh in raw.items():
            weights = [weigh(host) for host in hosts]
            low, high = min(weights), max(weights)
            if option in ("cpu_weight_multiplier", "disk_weight_multiplier", "ram_weight_multiplier"):
                weights = [max(weight, 0) for weight in weights]
                low, high = 0, max(weights)
            multiplier = multipliers.get(option, 0.0 if option == "num_instances_weight_multiplier" else 1.0)
            if low != high:
                totals = [t + multiplier * ((w - low) / (high - low)) for t, w in zip(totals, weights, strict=True)]
        return totals


Weighted = list[tuple[float, float, float, float]]
"""(weight, free, asked, the largest host's capacity) of each class asked."""


def dot(vectors: Weighted, _: list[float]) -> float:
    return sum((w * (free / most * (asked / most)) for w, free, asked, most in vectors), 0.0)


def cosine(vectors: Weighted, _: list[float]) -> float:
    room, wish = ([each[part] / each[3] for each in vectors] for part in (1, 2))
    lengths = math.sqrt(sum(x * x for x in room)) * math.sqrt(sum(x * x for x in wish))
    return sum(x * y for x, y in zip(room, wish, strict=True)) / lengths if lengths else 0.0


def nearness(vectors: Weighted, _: list[float]) -> float:
    return -sum((w * (((free - asked) / most) * ((free - asked) / most)) for w, free, asked, most in vectors), 0.0)


def evened_out(vectors: Weighted, capacity: list[float]) -> float:
    pairs = [(each, c) for each, c in zip(vectors, capacity, strict=True) if c]
    now = [(c - free) / c for (_, free, _, _), c in pairs]
    then = [(c - free + asked) / c for (_, free, asked, _), c in pairs]

    def imbalance(use: list[float]) -> float:
        mean = sum(use, 0.0) / max(len(use), 1)
        return math.sqrt(sum((x - mean) * (x - mean) for x in use))

    return imbalance(now) - imbalance(then)


VECTORS: dict[str, Callable[[Weighted, list[float]], float]] = {
    "dot-product": dot,
    "weighted-dot-product": dot,
    "cosine": cosine,
    "l2-norm": nearness,
    "perp-distance": evened_out,
}


def split_mix(seed: int, sequence: int, draw: int = 0) -> float:
    """SplitMix64 (Steele, Lea, Flood 2014), the upper 53 bits as a number in [0, 1)."""
    mask = 2**64 - 1

    def output(state: int) -> int:
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    first = output((seed + (sequence + 1) * 0x9E3779B97F4A7C15) & mask)
    return ((output((first + draw * 0x9E3779B97F4A7C15) & mask) if draw else first) >> 11) / 2**53


# ---------------------------------------------------------------- what may come


def rarely(strategy: st.SearchStrategy[Any], nothing: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(nothing), st.just(nothing), strategy)


likely = st.sampled_from([True, True, True, False])
trait_lists = st.lists(st.sampled_from(TRAITS), max_size=3, unique=True)
aggregate_lists = st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True)
zone_names = st.sampled_from([None, "z1", "z2"])
amounts = st.fixed_dictionaries(
    {"VCPU": st.sampled_from([0, 0.5, 1, 1.5, 2, 4]), "MEMORY_MB": st.integers(0, 4)},
    optional={"DISK_GB": st.integers(0, 3)},
)


@st.composite
def shapes(draw: st.DrawFn) -> Any:
    variants = draw(rarely(st.dictionaries(st.sampled_from(TRAITS), amounts, min_size=1, max_size=2), {}))
    share, count = draw(st.sampled_from([0.25, 0.5, 1.0])), draw(rarely(st.integers(1, 2), 0))
    return make_shape(
        {} if variants else draw(amounts),
        devices=Devices((("PGPU", share),), count) if count else None,
        required_traits=draw(rarely(trait_lists, [])),
        forbidden_traits=draw(rarely(st.lists(st.sampled_from(TRAITS), max_size=1), [])),
        any_traits=draw(rarely(st.lists(st.lists(st.sampled_from(TRAITS), min_size=1), max_size=2), [])),
        aggregates=draw(rarely(st.lists(st.lists(st.sampled_from(["x", "y", "w"]), min_size=1), max_size=2), [])),
        zone=draw(rarely(st.sampled_from(["z1", "z2", "z9"]), None)),
        variants=variants,
    )


host_names = st.lists(st.sampled_from([f"h{i}" for i in range(8)] + ["nowhere"]), max_size=3).map(tuple)
groups = st.sampled_from([None, *GROUPS.values()])
requests = st.one_of(
    st.builds(Request, amounts.map(make_shape), groups),
    st.builds(Request, shapes(), groups),
    st.builds(Request, amounts.map(make_shape), groups, host_names, rarely(host_names, ())),
)


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Inventory]:
    result = {
        "VCPU": Inventory(
            draw(st.sampled_from([4, 8, 6.5, 2, 0])),
            draw(st.sampled_from([0, 0, 0.5])) if draw(st.booleans()) else 0,
            draw(st.sampled_from([1.0, 1.5, 4.0])),
            max_unit=draw(st.sampled_from([None, None, 2.0])),
            step_size=draw(st.sampled_from([None, None, 1.0])),
        )
        if draw(st.integers(0, 5))
        else Inventory(3),
        "MEMORY_MB": Inventory(draw(st.sampled_from([12, 30, 7, 3, 0])), 0, draw(st.sampled_from([1.0, 1.25]))),
    }
    if draw(st.booleans()):
        result["DISK_GB"] = Inventory(draw(st.integers(0, 9)))
    if result["VCPU"].reserved > result["VCPU"].total:
        result["VCPU"] = Inventory(result["VCPU"].total)
    return result


nothing: st.SearchStrategy[dict[str, Any]] = st.just({})
weights: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"weights": {"VCPU": 2.0, "MEMORY_MB": 0.5}}])
multipliers: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "host_subset_size": st.integers(1, 4),
        "ram_weight_multiplier": st.sampled_from([-1.0, 0.0, 2.5]),
        "cpu_weight_multiplier": st.sampled_from([-1.0, 0.0, 0.5]),
        "disk_weight_multiplier": st.sampled_from([0.0, 3.0]),
        "num_instances_weight_multiplier": st.sampled_from([-2.0, 1.0]),
        "soft_affinity_weight_multiplier": st.sampled_from([0.0, 10.0]),
        "soft_anti_affinity_weight_multiplier": st.sampled_from([0.0, 10.0]),
    },
)
sampling = st.fixed_dictionaries(
    {}, optional={"k": st.integers(1, 4), "by": st.sampled_from(["worst-fit", "best-fit", *VECTORS])}
)
WEIGHED = ("best-fit", "worst-fit", "weighted-dot-product", "l2-norm")
PARAMETERS = dict.fromkeys(WEIGHED, weights) | {"nova": multipliers, "power-of-k": sampling}
PARAMETERS = {name: PARAMETERS.get(name, nothing) for name in BUILT_IN}


class SchedulerMachine(RuleBasedStateMachine):
    """A scheduler and the naive one live through the same events and must decide alike."""

    def __init__(self, policy: str) -> None:
        super().__init__()
        self.name = policy
        self.pool = Pool(ResourceClasses(ResourceClass(name, scale) for name, scale in SCALES.items()))
        self.world = World()
        self.placed: dict[int, Request] = {}
        self.named = 0

    @initialize(data=st.data(), seed=st.integers(0, 2**40), hosts=st.lists(inventories(), min_size=2, max_size=6))
    def begin(self, data: st.DataObject, seed: int, hosts: list[dict[str, Inventory]]) -> None:
        self.parameters, self.seed = data.draw(PARAMETERS[self.name]), seed
        self.scheduler = Scheduler(self.pool, load_policy(self.name, self.parameters), policy_name=self.name, seed=seed)
        for number, inventory in enumerate(hosts):
            self.add_host(inventory, None, list(TRAITS[: number % 3]), ["x"], 2 * (number % 2))

    def host(self, pick: int) -> Host:
        return self.world.hosts[pick % len(self.world.hosts)]

    # ------------------------------------------------------------ the fleet changes

    @rule(
        inventory=inventories(), zone=zone_names, traits=trait_lists, aggregates=aggregate_lists, gpus=st.integers(0, 2)
    )
    def add_host(
        self, inventory: dict[str, Inventory], zone: str | None, traits: list[str], aggregates: list[str], gpus: int
    ) -> None:
        if len(self.world.hosts) >= 8:
            return
        name = next(f"h{i}" for i in range(8) if f"h{i}" not in self.pool)
        row = self.pool.add_provider(name, inventory, zone=zone, traits=traits, aggregates=aggregates)
        host = Host(name, row, inventory, zone, traits, aggregates)
        for _ in range(gpus):
            self.named += 1
            host.gpus[self.pool.add_provider(f"gpu{self.named}", {"PGPU": 1}, parent=row)] = {}
        self.world.hosts = sorted([*self.world.hosts, host], key=lambda each: each.row)

    @precondition(lambda self: len(self.world.hosts) > 2 and not all(host.servers for host in self.world.hosts))
    @rule(pick=st.integers(0, 99))
    def remove_host(self, pick: int) -> None:
        empty = [host for host in self.world.hosts if not host.servers]
        host = empty[pick % len(empty)]
        for row in [*host.gpus, host.row]:
            self.pool.remove_provider(row)
        self.world.hosts.remove(host)

    @precondition(lambda self: self.world.hosts)
    @rule(pick=st.integers(0, 99), up=likely, enabled=likely)
    def set_status(self, pick: int, up: bool, enabled: bool) -> None:
        host = self.host(pick)
        host.up, host.enabled = up, enabled
        self.pool.set_status(host.row, up=up, enabled=enabled)

    @precondition(lambda self: self.world.hosts)
    @rule(pick=st.integers(0, 99), zone=zone_names, traits=trait_lists, aggregates=aggregate_lists)
    def set_facts(self, pick: int, zone: str | None, traits: list[str], aggregates: list[str]) -> None:
        host = self.host(pick)
        host.zone, host.traits, host.aggregates = zone, traits, aggregates
        self.pool.set_zone(host.row, zone)
        self.pool.set_traits(host.row, traits)
        self.pool.set_aggregates(host.row, aggregates)

    @precondition(lambda self: self.world.hosts)
    @rule(pick=st.integers(0, 99), inventory=inventories())
    def set_inventory(self, pick: int, inventory: dict[str, Inventory]) -> None:
        host = self.host(pick)
        host.inventory |= inventory
        self.pool.set_inventory(host.row, inventory)

    # ------------------------------------------------------------ servers come, go and move

    def check(self, request: Request) -> Decision | NoValidHost:
        """Decide twice, explain in between, and compare everything with the naive scheduler."""
        scheduler, world, before = self.scheduler, self.world, photograph(self.pool)
        decision = scheduler.decide(request)
        expected = world.choose(request, self.name, self.seed, self.parameters)
        told = explain(scheduler, request, best=100)
        reasons = host_reasons(scheduler, request)
        assert told.decision == decision == scheduler.decide(request)
        assert photograph(self.pool) == before, "deciding and explaining change nothing"

        left = list(world.hosts)
        for step, (name, passes) in zip(told.funnel, world.filters.items(), strict=True):
            kept = [host for host in left if passes(request, host)]
            assert (step.filter, step.hosts, step.refused) == (name, len(left), len(left) - len(kept))
            for host in left:
                if host not in kept:
                    assert reasons[host.name].startswith(f"{name}: ")
                    assert len(reasons[host.name]) > len(name) + 5
            left = kept
        assert sum(step.refused for step in told.funnel) + len(left) == len(world.hosts)
        feasible = [host.name for host in world.feasible(request, self.name)]
        assert sorted(reasons) == sorted(host.name for host in world.hosts if host.name not in feasible)

        gains = {each.filter: each.hosts for each in told.relaxations}
        refusing = [name for name, passes in world.filters.items() if not all(passes(request, h) for h in world.hosts)]
        assert gains == {name: len(world.passing(request, without=name)) for name in refusing}

        assert sorted(each.host for each in told.best) == sorted(feasible)
        assert [each.rank for each in told.best] == list(range(1, len(feasible) + 1))
        scores = [each.score for each in told.best if each.score is not None]
        assert len(scores) in (0, len(told.best))
        assert scores == sorted(scores, reverse=True)
        if isinstance(decision, NoValidHost):
            assert expected is None
            assert decision.funnel == told.funnel
            assert decision.reason
        else:
            assert expected is not None
            assert decision.host == expected.name
            if scores and self.parameters.get("host_subset_size", 1) == 1:
                assert told.best[0].host == decision.host
        for host in world.hosts:
            self.check_why_not(request, host, decision, {each.host: each for each in told.best})
        return decision

    def check_why_not(self, request: Request, host: Host, decision: Any, best: dict[str, Any]) -> None:
        told = why_not(self.scheduler, request, host.name)
        failing = [name for name, passes in self.world.filters.items() if not passes(request, host)]
        if not failing and host.name not in best:
            failing = ["soft server group"]
        assert [name for name, _ in told.failed] == failing
        assert told.relax == (failing[0] if len(failing) == 1 else None)
        assert told.chosen == (isinstance(decision, Decision) and decision.host == host.name)
        assert told.scored == best.get(host.name)

    @precondition(lambda self: len(self.placed) < 50)
    @rule(several=st.lists(requests, min_size=1, max_size=6))
    def place(self, several: list[Request]) -> None:
        for request in several:
            decision = self.check(request)
            if isinstance(decision, Decision):
                consumer = next(number for number in range(60) if number not in self.placed)
                assert self.scheduler.commit(decision, consumer) is None
                self.took(request, decision, consumer)

    def took(self, request: Request, decision: Decision, consumer: int) -> None:
        host = next(each for each in self.world.hosts if each.name == decision.host)
        assert decision.row == host.row
        taken = self.world.devices(request, host)
        assert taken is not None
        assert [row for row, _ in decision.claims] == [host.row, *taken], "the host, and its fullest devices with room"
        host.servers[consumer] = self.world.asked(request, host) or {}
        for row in taken:
            host.gpus[row][consumer] = dict(request.shape.devices.resources)["PGPU"] if request.shape.devices else 0
        if request.group:
            members = self.world.members.setdefault(request.group.id, {})
            members[host.name] = members.get(host.name, 0) + 1
        self.placed[consumer] = request
        self.world.last_row, self.world.sequence = host.row, self.world.sequence + 1

    def left(self, consumer: int) -> None:
        request = self.placed.pop(consumer)
        host = next(each for each in self.world.hosts if consumer in each.servers)
        del host.servers[consumer]
        for shares in host.gpus.values():
            shares.pop(consumer, None)
        if request.group:
            members = self.world.members[request.group.id]
            members[host.name] -= 1
            if not members[host.name]:
                del members[host.name]

    @precondition(lambda self: self.placed)
    @rule(pick=st.integers(0, 99))
    def release(self, pick: int) -> None:
        consumer = list(self.placed)[pick % len(self.placed)]
        self.scheduler.release(consumer, self.placed[consumer].group)
        self.left(consumer)

    @precondition(lambda self: self.placed)
    @rule(pick=st.integers(0, 99))
    def move(self, pick: int) -> None:
        consumer = list(self.placed)[pick % len(self.placed)]
        request = self.placed[consumer]
        source = next(host.name for host in self.world.hosts if consumer in host.servers)
        request = Request(request.shape, request.group, (*request.ignore_hosts, source), request.force_hosts)
        decision = self.scheduler.decide(request)
        if isinstance(decision, Decision):
            expected = self.world.choose(request, self.name, self.seed, self.parameters)
            assert expected is not None
            assert decision.host == expected.name
            assert self.scheduler.commit_move(decision, consumer) is None
            before = self.placed[consumer]
            self.left(consumer)
            self.took(before, decision, consumer)

    @invariant()
    def books_add_up(self) -> None:
        self.pool.check()
        for host in self.world.hosts:
            for column, item in enumerate(self.pool.classes):
                if item.name != "PGPU":
                    assert self.pool.free[column, host.row] == host.free(item.name) * item.scale
        for group, members in self.world.members.items():
            rows = {self.pool.row(name): count for name, count in members.items()}
            assert dict(self.scheduler.groups.members(group)) == rows


# These have their own: tests/properties/test_gpu_policies.py, tests/unit/core/scheduler/test_lifetime.py.
ELSEWHERE = ("fgd", "gpu-random", "gpu-packing", "gpu-clustering", "gpu-best-fit", "gpu-dot-product", "nilas")


@pytest.mark.parametrize("policy", [name for name in BUILT_IN if name not in ELSEWHERE])
def test_the_scheduler_and_a_naive_one_decide_alike(policy: str) -> None:
    class Machine(SchedulerMachine):
        def __init__(self) -> None:
            super().__init__(policy)

    run_state_machine_as_test(Machine, settings=settings(max_examples=40, stateful_step_count=20, deadline=None))


@pytest.mark.parametrize("policy", BUILT_IN)
@given(data=st.data(), seed=st.integers(0, 99), asked=st.lists(requests, min_size=1, max_size=12))
@settings(max_examples=15, deadline=None)
def test_explaining_never_changes_what_comes_next(
    policy: str, data: st.DataObject, seed: int, asked: list[Request]
) -> None:
    parameters, hosts = data.draw(PARAMETERS[policy]), data.draw(st.integers(1, 5))

    def run(curious: bool) -> list[str]:
        pool = Pool(ResourceClasses(ResourceClass(name, scale) for name, scale in SCALES.items()))
        rows = pool.add_providers([f"h{i}" for i in range(hosts)], {"VCPU": 6, "MEMORY_MB": 12, "DISK_GB": 9})
        pool.add_providers([f"d{i}" for i in range(hosts)], {"PGPU": 1}, parent=rows.tolist())
        pool.set_traits(int(rows[0]), TRAITS)
        scheduler = Scheduler(pool, load_policy(policy, parameters), seed=seed)
        answers = []
        for consumer, request in enumerate(asked):
            if curious:
                explain(scheduler, request)
                host_reasons(scheduler, request)
                why_not(scheduler, request, "h0")
            decision = scheduler.place(request, consumer)
            answers.append(decision.host if isinstance(decision, Decision) else decision.reason)
        return answers

    assert run(curious=True) == run(curious=False)


@given(seed=st.integers(0, 2**70), sequence=st.integers(0, 10**9))
def test_the_dice_are_split_mix_and_stay_below_one(seed: int, sequence: int) -> None:
    scheduler = Scheduler(Pool(), load_policy("random"), seed=seed)
    scheduler.hosts.sequence = sequence
    assert scheduler.hosts.uniform() == split_mix(seed, sequence)
    assert 0 <= scheduler.hosts.uniform() < 1


def test_the_dice_begin_as_the_published_generator_does() -> None:
    # The first outputs of SplitMix64 from state 0, as in Vigna's reference implementation splitmix64.c.
    scheduler = Scheduler(Pool(), load_policy("random"))
    firsts = []
    for sequence in range(3):
        scheduler.hosts.sequence = sequence
        firsts.append(scheduler.hosts.uniform())
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert firsts == [(each >> 11) / 2**53 for each in expected]


def test_the_dice_are_even() -> None:
    scheduler = Scheduler(Pool(), load_policy("random"), seed=7)
    draws = []
    for sequence in range(20_000):
        scheduler.hosts.sequence = sequence
        draws.append(scheduler.hosts.uniform())
    counts = np.bincount((np.asarray(draws) * 10).astype(int), minlength=10)
    chi_squared = float(((counts - 2000) ** 2 / 2000).sum())
    assert chi_squared < 27.9  # 0.999 quantile of 9 degrees of freedom; the seed is fixed, so this never flickers
