"""Whatever is sent, Placement says what is wrong with it: it never fails, and refuses without changing anything."""

from __future__ import annotations

import functools
import json
import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from sundog.api.kit.application import application
from sundog.api.kit.noauth import noauth2
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.placement import SERVICE
from sundog.control.placement import NewProvider, Placement
from sundog.core.pool import Inventory
from tests.unit.api.client import Client
from tests.unit.control.placement.books_of import make_placement, photograph, wanted

UUID = "7260669a-e3d4-4867-aaa7-683e2ab6958c"
CHILD = "7260669a-e3d4-4867-aaa7-683e2ab6958d"
CONSUMER = "d3b0c7a2-6d3a-4a5c-9a0e-0d5a0f0c1b2a"
PARTS = {"uuid": UUID, "name": "CUSTOM_FAST", "resource_class": "VCPU", "consumer_uuid": CONSUMER}
BODIED = [each for each in SERVICE.operations if each.body is not None]
KEYS = [
    "resources",
    "required",
    "member_of",
    "in_tree",
    "limit",
    "group_policy",
    "root_required",
    "same_subtree",
    "resources_A",
    "required_A",
    "member_of_A",
    "resources1",
    "name",
    "uuid",
    "consumer_type",
    "project_id",
]
VALUES = (
    f"VCPU:1 VCPU:1,DISK_GB:2 VCPU:0 VCPU:-1 VCPU:{'9' * 40} VCPU:1:2 : , ! in: !in:, {UUID} !{UUID} in:{UUID},{CHILD} "
    f"HW_CPU_X86_AVX !HW_CPU_X86_AVX in:HW_CPU_X86_AVX,CUSTOM_FAST 0 5 {'9' * 40} none isolate _A _A,1 "
    "\0 \u2603 \u0663 VCPU:\u0663"
).split(" ")
PATHS = ["/allocation_candidates", "/allocation_candidates", "/resource_providers", "/traits", "/usages"]
NUMBERS = [0, 1, 2, -1, 1.0, 1.5, 10**30, -(10**30), 1e308]
TEXTS = ["", UUID, CHILD, "VCPU", "CUSTOM_FAST", "\0", "\ud800"]

words = st.sampled_from(
    ["allocations", "resources", "inventories", "resource_provider_generation", "consumer_generation", "project_id",
     "user_id", "name", "uuid", "parent_provider_uuid", "traits", "aggregates", "total", "reserved", "allocation_ratio",
     "max_unit", "min_unit", "step_size", "resource_class", "mappings", "consumer_type", UUID, CHILD, CONSUMER, "VCPU",
     "CUSTOM_FAST", "x"]
)  # fmt: skip
atoms = (
    st.none()
    | st.booleans()
    | st.sampled_from([*NUMBERS, *TEXTS])
    | words
    | st.text(max_size=5)
)  # fmt: skip
anything = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5), max_leaves=12
)


def make_used() -> Placement:
    placement = make_placement()
    placement.create_trait("CUSTOM_FAST")
    placement.create_providers(
        [
            NewProvider("h1", UUID, inventories={"VCPU": Inventory(8)}, traits=["CUSTOM_FAST"]),
            NewProvider("n1", CHILD, UUID, inventories={"VCPU": Inventory(4), "DISK_GB": Inventory(9)}),
        ]
    )
    placement.set_allocations([wanted(CONSUMER, {UUID: {"VCPU": 2}})])
    return placement


@functools.cache
def used_once() -> Placement:
    """One for all that only read."""
    return make_used()


CLOUD = SimpleNamespace(placement=None)


@functools.cache
def make_client() -> Client:
    """A client of ``CLOUD``, whose Placement is another one for each example."""

    def authenticate(_token: str) -> Any:
        raise AssertionError("tokens are not looked at in this mode")

    desk = Desk(
        CLOUD,
        Policy(SERVICE.rules),
        authenticate,
        lambda: "req-1",
        noauth2("127.0.0.1"),
    )
    return Client(application([SERVICE], desk), x_auth_token="admin", x_roles="admin,service")


@pytest.mark.parametrize("operation", BODIED, ids=lambda each: f"{each.method} {each.path} {each.since or ''}")
@settings(max_examples=10, deadline=None)
@given(body=anything)
@example(body={"name": "\0"})
@example(body={"name": "\ud800"})
def test_no_body_is_more_than_it_can_take(operation: Any, body: Any) -> None:
    placement = make_used()
    before = photograph(placement)
    path = SERVICE.prefix + re.sub(r"{(\w+)}", lambda part: PARTS[part[1]], operation.path)
    version = operation.since or SERVICE.history.oldest  # type: ignore[union-attr]
    headers = {"openstack-api-version": f"placement {version}", "content-type": "application/json"}
    CLOUD.placement = placement
    answer = make_client()(operation.method, path, content=json.dumps(body).encode(), headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert photograph(placement) == before
    placement.pool.check()


@settings(max_examples=150, deadline=None)
@given(
    query=st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=5),
    path=st.sampled_from(PATHS),
    minor=st.sampled_from([10, 16, 17, 21, 22, 24, 25, 29, 31, 32, 33, 36, 38, 39]),
)  # fmt: skip
def test_no_query_is_more_than_it_can_take(query: list[tuple[str, str]], path: str, minor: int) -> None:
    told = "&".join(f"{key}={quote(value)}" for key, value in query)
    headers = {"openstack-api-version": f"placement 1.{minor}"}
    CLOUD.placement = used_once()
    answer = make_client().get(f"/placement{path}?{told}", headers=headers)
    assert answer.status_code in (200, 400, 403), answer.text
