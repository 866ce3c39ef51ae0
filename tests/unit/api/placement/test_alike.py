"""Candidates that are alike are answered as all others are, to the byte."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json
from starlette.requests import Request as HttpRequest

from sundog.api.kit.context import Context
from sundog.api.kit.policy import Policy
from sundog.api.kit.versions import parse_version
from sundog.api.placement import SERVICE, views
from sundog.control.placement import NewProvider, Placement
from sundog.control.placement.candidates import Asked, Plain, Request
from sundog.core.pool import Inventory
from tests.unit.control.placement.books_of import make_placement, wanted

CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB", "CUSTOM_GOLD")
TRAITS = ("HW_CPU_X86_AVX2", "COMPUTE_NODE", "CUSTOM_FAST")
VERSIONS = ("1.10", "1.11", "1.12", "1.16", "1.17", "1.26", "1.27", "1.28", "1.29", "1.33", "1.34", "1.39")

inventories = st.dictionaries(
    st.sampled_from(CLASSES),
    st.builds(
        Inventory,
        total=st.integers(1, 2**31 - 1),
        reserved=st.integers(0, 5),
        allocation_ratio=st.sampled_from((1.0, 1.5, 16.0)),
    ),
)
hosts = st.lists(st.tuples(inventories, st.sets(st.sampled_from(TRAITS)), st.booleans()), max_size=8)
resources = st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 3), min_size=1)


def make_fleet(told: Any) -> Placement:
    """Hosts without trees; of some of them a part is taken."""
    placement = make_placement()
    placement.create_resource_class("CUSTOM_GOLD")
    placement.create_trait("CUSTOM_FAST")
    for number, (stock, traits, is_used) in enumerate(told):
        stock = {name: replace(each, reserved=min(each.reserved, each.total)) for name, each in stock.items()}
        uuid = placement.create_providers([NewProvider(f"h{number}", None, None, stock, sorted(traits))])[0].uuid
        free = {name: 1 for name, each in stock.items() if each.total > each.reserved}
        if is_used and free:
            placement.set_allocations([wanted(f"consumer-{number}", {uuid: free})])
    return placement


def context(placement: Placement, version: str) -> Context:
    request = HttpRequest({"type": "http", "method": "GET", "path": "/", "headers": []})
    cloud = SimpleNamespace(placement=placement)
    return Context(cloud, request, "req-1", "http://c", "/placement", Policy(SERVICE.rules), parse_version(version))


@settings(max_examples=150, deadline=None)
@given(
    told=hosts,
    asked=resources,
    suffix=st.sampled_from(("", "1", "_NET")),
    limit=st.none() | st.integers(1, 9),
    version=st.sampled_from(VERSIONS),
)
def test_candidates_that_are_alike_are_told_as_if_each_were_one_of_its_own(
    told: Any, asked: dict[str, int], suffix: str, limit: int | None, version: str
) -> None:
    placement = make_fleet(told)
    request, ctx = Request({suffix: Asked(asked)}, limit), context(placement, version)
    found = placement.candidates(request)
    assert isinstance(found.candidates, Plain)
    one_by_one = replace(found, candidates=list(found.candidates))
    assert views.candidates(ctx, request, found) == to_json(views.candidates(ctx, request, one_by_one))
