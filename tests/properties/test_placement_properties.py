"""Whatever is asked of Placement: a refusal changes nothing, its books agree, and a restart finds what was there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from sundog.control.placement import NewProvider, Placement
from sundog.control.placement.candidates import Asked, Request
from sundog.control.placement.records import Reshaped
from sundog.core.pool import Inventory
from sundog.errors import Conflict, Invalid, NotFound
from tests.unit.control.placement.books_of import make_placement, photograph, wanted

Step = Callable[[Placement], Any]

NAMES = ["h0", "h1", "h2", "n0"]
UUIDS = {name: f"00000000-0000-0000-0000-00000000000{i}" for i, name in enumerate(NAMES)}
CLASSES = ["VCPU", "MEMORY_MB", "CUSTOM_NIC"]
AGGREGATE = "5ac0a5c6-62b6-4b6b-8d3c-4a3d3ab1a5d0"

uuids = st.sampled_from(list(UUIDS.values()))
amounts = st.dictionaries(st.sampled_from(CLASSES), st.sampled_from([1, 2, 3, 4, 8]), min_size=1, max_size=2)
allocations = st.dictionaries(uuids, amounts, max_size=2)
stock = st.dictionaries(
    st.sampled_from(CLASSES),
    st.builds(
        Inventory,
        total=st.sampled_from([1, 4, 8, 16]),
        reserved=st.sampled_from([0, 0, 1]),
        allocation_ratio=st.sampled_from([1.0, 1.5, 4.0]),
        min_unit=st.sampled_from([1, 1, 2]),
        max_unit=st.sampled_from([None, None, 4]),
        step_size=st.sampled_from([1, 1, 2]),
    ),
    max_size=3,
)
wants = st.builds(
    lambda consumer, held, project, kind: wanted(consumer, held, project_id=project, consumer_type=kind),
    st.sampled_from(["c1", "c2", "c3"]),
    allocations,
    st.sampled_from(["p1", "p2"]),
    st.sampled_from([None, "INSTANCE", "MIGRATION"]),
)
several = st.lists(wants, min_size=1, max_size=3, unique_by=lambda each: each.consumer_uuid)


def make(name: str, parent: str | None) -> Step:
    return lambda p: p.create_provider(NewProvider(name, UUIDS[name], parent))


def place(uuid: str, name: str, parent: str | None) -> Step:
    return lambda p: p.update_provider(uuid, name, parent_uuid=parent, may_reparent=True)


def reshape(every: dict[str, dict[str, Inventory]], held: list[Any]) -> Step:
    return lambda p: p.reshape({u: Reshaped(p.provider(u).generation, inv) for u, inv in every.items()}, held)


steps = st.one_of(
    st.builds(make, st.sampled_from(NAMES), st.none() | uuids),
    st.builds(place, uuids, st.sampled_from([*NAMES, "other"]), st.none() | uuids),
    st.builds(lambda uuid: lambda p: p.delete_provider(uuid), uuids),
    st.builds(lambda uuid, inv: lambda p: p.set_inventories(uuid, inv), uuids, stock),
    st.builds(lambda uuid, inv: lambda p: p.set_inventories(uuid, inv), uuids, stock),
    st.builds(lambda uuid, names: lambda p: p.set_traits(uuid, names), uuids, st.sampled_from([[], ["CUSTOM_FAST"]])),
    st.builds(lambda uuid, names: lambda p: p.set_aggregates(uuid, names), uuids, st.sampled_from([[], [AGGREGATE]])),
    st.builds(lambda every: lambda p: p.set_allocations(every), several),
    st.builds(lambda every: lambda p: p.set_allocations(every), several),
    st.builds(lambda consumer: lambda p: p.delete_allocations(consumer), st.sampled_from(["c1", "c2", "c3"])),
    st.builds(reshape, st.dictionaries(uuids, stock, min_size=1, max_size=2), several | st.just([])),
)


def make_start() -> Placement:
    placement = make_placement()
    placement.create_trait("CUSTOM_FAST")
    placement.create_resource_class("CUSTOM_NIC")
    for name in ("h0", "h1"):
        make(name, None)(placement)
        placement.set_inventories(UUIDS[name], {"VCPU": Inventory(8), "MEMORY_MB": Inventory(16)})
    make("n0", UUIDS["h0"])(placement)
    return placement


@given(st.lists(steps, max_size=12))
@settings(max_examples=120, deadline=None)
def test_refusals_change_nothing_books_agree_and_restarts_find_all(todo: list[Step]) -> None:
    placement = make_start()
    for step in todo:
        before = photograph(placement)
        try:
            step(placement)
        except (Conflict, Invalid, NotFound):
            assert photograph(placement) == before
        placement.pool.check()
    after = photograph(placement)
    again = make_placement(placement.store)
    assert photograph(again) == after
    again.pool.check()


@given(st.lists(steps, max_size=8), amounts)
@settings(max_examples=80, deadline=None)
def test_every_candidate_can_be_allocated(todo: list[Step], resources: dict[str, int]) -> None:
    placement = make_start()
    for step in todo:
        try:
            step(placement)
        except (Conflict, Invalid, NotFound):
            continue
    for number, each in enumerate(placement.candidates(Request({"": Asked(resources)})).candidates):
        held: dict[str, dict[str, int]] = {}
        for (row, name), amount in each.amounts.items():
            held.setdefault(placement.books.uuids[row], {})[name] = amount
        placement.set_allocations([wanted(f"new{number}", held)])
        placement.delete_allocations(f"new{number}")
