"""Compiled decisions answer what the general path answers, claim by claim and reason by reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sundog.core.pool import Inventory, Pool, ResourceClass, ResourceClasses
from sundog.core.scheduler import (
    Decision,
    Devices,
    Request,
    Scheduler,
    ServerGroup,
    Shape,
    load_policy,
    make_shape,
    policy_names,
)
from sundog.core.scheduler.compiled import Compilable, compilable
from sundog.core.scheduler.compiled.block import Block
from sundog.core.scheduler.compiled.slots import Method
from sundog.core.scheduler.filters import DEFAULT_FILTERS
from sundog.core.scheduler.policies.fit import BestFit
from sundog.errors import PolicyError

COMPILED = [name for name in policy_names() if isinstance(compilable(load_policy(name)), Compilable)]
RULES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
GROUPS = (None, None, *(ServerGroup(rule, rule) for rule in RULES), ServerGroup("two", "anti-affinity", 2))
SHAPES: tuple[Shape, ...] = (
    make_shape({"VCPU": 1, "MEMORY_MB": 512}),
    make_shape({"VCPU": 2, "MEMORY_MB": 512}),
    make_shape({"VCPU": 0.5}),
    make_shape({"VCPU": 4, "MEMORY_MB": 2048}, required_traits=["CUSTOM_FAST"]),
    make_shape({"MEMORY_MB": 1024}, zone="b"),
    make_shape({"VCPU": 1}, aggregates=[["gold"]]),
    make_shape({"VCPU": 1}, devices=Devices((("PGPU", 0.5),), 1)),
    make_shape({"VCPU": 1}, devices=Devices((("PGPU", 1.0),), 2)),
    make_shape({}, variants={"CUSTOM_FAST": {"VCPU": 1, "MEMORY_MB": 256}, "CUSTOM_SLOW": {"VCPU": 3}}),
    make_shape({"VCPU": 999}),
)


def make_cloud(hosts: int) -> Pool:
    """Hosts of several kinds: traits, zones, aggregates, GPUs, overcommit, reserved amounts."""
    pool = Pool(ResourceClasses([ResourceClass("VCPU", 2), "MEMORY_MB", ResourceClass("PGPU", 2)]))
    for number in range(hosts):
        kind = number % 3
        row = pool.add_provider(
            f"h{number}",
            {"VCPU": Inventory(4 + kind, 1, 1.5 if kind else 1.0), "MEMORY_MB": Inventory(4096, 512 * kind)},
            zone="ab"[number % 2],
            traits=["CUSTOM_FAST"] if kind else ["CUSTOM_SLOW"],
            aggregates=["gold"] if number % 4 == 1 else [],
        )
        for gpu in range(kind):
            pool.add_provider(f"h{number}:gpu{gpu}", {"PGPU": 1}, parent=row)
    return pool


class Tilted:
    """A policy of a user's own: any number that depends on one host."""

    def __init__(self, tilt: float = 0.3) -> None:
        self.tilt = tilt

    def parameters(self, classes: tuple[str, ...]) -> list[float]:
        return [self.tilt * (1 + index) for index in range(len(classes))]

    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        total = 0.0
        for i in range(len(free)):
            total += parameters[i] * (capacity[i] - free[i]) * asked[i] / scale[i]
        return total

    def score(self, request: Request, hosts: Any) -> np.ndarray:
        total = np.zeros(hosts.n)
        told = self.parameters(hosts.classes_asked())
        for (free, asked, capacity, scale), each in zip(hosts.in_units(), told, strict=True):
            total += each * (capacity - free) * asked / scale
        return total


def pair(policy: str, hosts: int, seed: int = 3) -> tuple[Scheduler, Scheduler]:
    """One scheduler of each kind over equal clouds."""

    def make() -> Any:
        return Tilted() if policy == "own" else load_policy(policy)

    return (
        Scheduler(make_cloud(hosts), make(), seed=seed),
        Scheduler(make_cloud(hosts), make(), seed=seed, compiled=True),
    )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.sampled_from(SHAPES), st.sampled_from(GROUPS)),
        st.tuples(st.just("release"), st.integers(0, 60), st.none()),
        st.tuples(st.just("status"), st.integers(0, 60), st.booleans()),
        st.tuples(st.just("facts"), st.integers(0, 60), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(policy=st.sampled_from([*COMPILED, "own"]), hosts=st.sampled_from([1, 3, 9, 40]), steps=STEPS)
def test_both_take_the_same_decisions_for_the_same_reasons(policy: str, hosts: int, steps: list[tuple]) -> None:
    general, compiled = pair(policy, hosts)
    placed: dict[int, ServerGroup | None] = {}
    for consumer, (what, subject, more) in enumerate(steps):
        if what == "place":
            request = Request(subject, more)
            answers = [scheduler.place(request, consumer) for scheduler in (general, compiled)]
            assert answers[0] == answers[1]
            if isinstance(answers[0], Decision):
                placed[consumer] = more
        elif what == "release" and placed:
            gone = list(placed)[subject % len(placed)]
            group = placed.pop(gone)
            for scheduler in (general, compiled):
                scheduler.release(gone, group)
        elif what == "status":
            for scheduler in (general, compiled):
                scheduler.pool.set_status(scheduler.pool.row(f"h{subject % hosts}"), up=more)
        elif what == "facts":
            for scheduler in (general, compiled):
                scheduler.pool.set_traits(scheduler.pool.row(f"h{subject % hosts}"), ["CUSTOM_FAST"])
    for scheduler in (general, compiled):
        scheduler.pool.check()


@pytest.mark.parametrize("policy", [*COMPILED, "own"])
def test_a_thousand_decisions_in_a_row_on_a_fleet_of_many_blocks(policy: str) -> None:
    """More hosts than one node has below it, and more changes than are repaired one by one."""
    general, compiled = pair(policy, 301)
    dice = np.random.Generator(np.random.PCG64(5))
    asked = dice.integers(0, len(SHAPES) - 1, 1500).tolist()
    answers: list[list[str | None]] = []
    for scheduler in (general, compiled):
        told: list[str | None] = []
        for consumer, shape in enumerate(asked):
            decision = scheduler.place(Request(SHAPES[shape]), consumer)
            told.append(decision.host if isinstance(decision, Decision) else decision.reason)
            if consumer >= 700 and consumer % 3:
                scheduler.pool.release(consumer - 700)
        answers.append(told)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("policy", ["best-fit", "dot-product", "first-fit", "next-fit", "nova"])
def test_a_fleet_so_large_that_its_indexes_have_three_levels(policy: str) -> None:
    answers = []
    for compiled in (False, True):
        pool = Pool(ResourceClasses(["VCPU", "MEMORY_MB"]))
        for kind, vcpus in enumerate((7, 8, 9)):
            pool.add_providers([f"h{kind}-{i}" for i in range(1500)], {"VCPU": vcpus, "MEMORY_MB": 8192})
        scheduler = Scheduler(pool, load_policy(policy), seed=1, compiled=compiled)
        dice = np.random.Generator(np.random.PCG64(9))
        told = []
        for consumer in range(1500):
            vcpus, memory = dice.choice([1, 2, 3, 8, 9]), dice.choice([512, 2048, 8192])
            decision = scheduler.place(Request(make_shape({"VCPU": int(vcpus), "MEMORY_MB": int(memory)})), consumer)
            told.append(decision.row if isinstance(decision, Decision) else -1)
            if consumer > 500:
                pool.release(int(dice.integers(consumer)))
        answers.append(told)
    assert answers[0] == answers[1]


def test_the_general_path_is_taken_for_hosts_forced_or_ignored() -> None:
    general, compiled = pair("best-fit", 9)
    for request in (Request(SHAPES[0], force_hosts=("h7",)), Request(SHAPES[0], ignore_hosts=("h0", "h1"))):
        assert general.decide(request) == compiled.decide(request)


def test_devices_that_are_given_in_units_are_for_the_general_path() -> None:
    for compiled in (False, True):
        pool = Pool(ResourceClasses(["VCPU", "PGPU"]))
        row = pool.add_provider("h0", {"VCPU": 8})
        pool.add_provider("h0:single", {"PGPU": Inventory(4, max_unit=1)}, parent=row)
        pool.add_provider("h0:double", {"PGPU": Inventory(4, max_unit=2)}, parent=row)
        scheduler = Scheduler(pool, load_policy("first-fit"), compiled=compiled)
        asked = Request(make_shape({"VCPU": 1}, devices=Devices((("PGPU", 2.0),), 1)))
        # The third finds the one device full, and the other has four units but gives no two at once.
        assert [isinstance(scheduler.place(asked, consumer), Decision) for consumer in range(3)] == [True, True, False]


def test_what_cannot_be_compiled_says_why() -> None:
    class NoScalar:
        def score(self, request: Request, hosts: Any) -> np.ndarray:
            return np.zeros(hosts.n)

    class Notified(BestFit):
        def placed(self, request: Request, row: int, consumer: int, now: float) -> None: ...

    assert "host_score" in str(compilable(NoScalar()))
    assert "placed()" in str(compilable(Notified()))
    assert "filters" in str(compilable(BestFit(), DEFAULT_FILTERS[:3]))
    assert "host_subset_size" in str(compilable(load_policy("nova", {"host_subset_size": 2})))
    assert "filters" in str(compilable(load_policy("nova", {"enabled_filters": ["ComputeFilter", "IoOpsFilter"]})))
    assert compilable(BestFit()) == Compilable(Method.BEST_FIT)
    scheduler = Scheduler(make_cloud(2), NoScalar(), compiled=True)
    assert scheduler.decider() is None
    assert "host_score" in str(scheduler.not_compiled)
    assert isinstance(scheduler.decide(Request(SHAPES[0])), Decision)


def test_a_host_score_that_numba_cannot_compile_is_named() -> None:
    class Wrong(Tilted):
        @staticmethod
        def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
            return {"a": free}["b"].strip()

    scheduler = Scheduler(make_cloud(2), Wrong(), compiled=True)
    with pytest.raises(PolicyError, match="host_score of policy Wrong cannot be compiled"):
        scheduler.decide(Request(SHAPES[0]))


def test_a_block_refuses_an_array_whose_address_says_too_little() -> None:
    with pytest.raises(ValueError, match="not contiguous"):
        Block(4).pack({1: np.zeros((4, 4))[:, 1]})
