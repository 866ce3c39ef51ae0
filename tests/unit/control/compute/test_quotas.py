"""Quotas are counted from what there is, and refuse in Nova's words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sundog.control.compute import quotas
from sundog.control.compute.books import Books
from sundog.control.compute.quotas import Quotas
from sundog.errors import Invalid, QuotaExceeded
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from tests.unit.control.compute.rows import add_server, fresh_store

PROJECT, USER = "project-a", "u1"


@pytest.fixture
def store():
    store = fresh_store()
    yield store
    store.close()


@pytest.fixture
def own(store):
    return Quotas(Books(store, Ids(Streams(1).stream("ids"))))


def check(store, **more):
    with store.read() as tx:
        quotas.check(tx, PROJECT, USER, **more)


def test_the_eleventh_server_is_refused_in_novas_words(store):
    for _ in range(10):
        add_server(store)
    with pytest.raises(QuotaExceeded) as refused:
        check(store, instances=1, cores=1, ram_mb=512)
    assert refused.value.message == ("Quota exceeded for instances: Requested 1, but already used 10 of 10 instances")


def test_all_that_is_exceeded_is_named(store):
    add_server(store, vcpus=19, memory_mb=50_000)
    with pytest.raises(QuotaExceeded) as refused:
        check(store, instances=2, cores=4, ram_mb=4096)
    assert refused.value.message == (
        "Quota exceeded for cores, ram: Requested 4, 4096, but already used 19, 50000 of 20, 51200 cores, ram"
    )


def test_deleted_servers_and_those_of_others_do_not_count(store):
    add_server(store, vcpus=20, deleted_at=datetime(2024, 1, 2, tzinfo=UTC))
    add_server(store, vcpus=20, project_id="project-b")
    check(store, instances=10, cores=20)
    with store.read() as tx:
        assert quotas.usage(tx, PROJECT) == {"instances": 0, "cores": 0, "ram": 0, "server_groups": 0}


def test_what_is_not_asked_for_is_not_looked_at_even_when_it_is_over(store, own):
    add_server(store, vcpus=4)
    own.update(PROJECT, {"cores": 1}, force=True)
    check(store, instances=1, ram_mb=512)
    with pytest.raises(QuotaExceeded):
        check(store, cores=1)


def test_a_user_with_limits_of_their_own_meets_them_first_or_the_projects(store, own):
    own.update(PROJECT, {"instances": 2}, user_id=USER)
    add_server(store)
    check(store, instances=1)
    with pytest.raises(QuotaExceeded, match="already used 1 of 2 instances"):
        check(store, instances=2)
    own.update(PROJECT, {"instances": 1}, force=True)
    with pytest.raises(QuotaExceeded, match="already used 1 of 1 instances"):
        check(store, instances=1)
    with store.read() as tx:
        assert quotas.headroom(tx, PROJECT, USER) == {"instances": 0, "cores": 19, "ram": 51200 - 512}


def test_no_limit_is_minus_one(store, own):
    own.update(PROJECT, {"cores": -1})
    check(store, cores=1_000_000)
    with store.read() as tx:
        assert quotas.headroom(tx, PROJECT, USER)["cores"] is None


def test_the_default_class_holds_for_projects_without_limits(own):
    own.update("project-b", {"cores": 7})
    own.update_class("default", {"cores": 40, "instances": 3})
    own.update_class("gold", {"cores": 80})
    assert own.show(PROJECT)["cores"] == own.defaults()["cores"] == 40
    assert own.show("project-b")["cores"] == 7
    assert own.show("project-b")["instances"] == 3
    assert own.of_class("gold")["cores"] == 80
    own.reset("project-b")
    assert own.show("project-b")["cores"] == 40


def test_a_limit_below_what_is_used_needs_force(store, own):
    add_server(store, vcpus=4)
    with pytest.raises(Invalid, match="must be greater than or equal to already used and reserved 4"):
        own.update(PROJECT, {"cores": 3})
    assert own.show(PROJECT)["cores"] == 20
    assert own.update(PROJECT, {"cores": 3}, force=True)["cores"] == 3


def test_users_cannot_be_given_more_than_their_project_has(own):
    own.update(PROJECT, {"cores": 15}, user_id="u1")
    with pytest.raises(Invalid, match="must be less than or equal to 5"):
        own.update(PROJECT, {"cores": 6}, user_id="u2")
    assert own.update(PROJECT, {"cores": 20}, user_id="u1")["cores"] == 20
    with pytest.raises(Invalid, match="already used and reserved 20"):
        own.update(PROJECT, {"cores": 19})
    own.reset(PROJECT, "u1")
    assert own.show(PROJECT, "u1")["cores"] == 20


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 9000)), max_size=20))
def test_what_passes_the_check_never_exceeds_the_limits(sizes):
    store = fresh_store()
    for vcpus, memory_mb in sizes:
        try:
            check(store, instances=1, cores=vcpus, ram_mb=memory_mb)
        except QuotaExceeded:
            continue
        add_server(store, vcpus=vcpus, memory_mb=memory_mb)
    with store.read() as tx:
        used, most = quotas.usage(tx, PROJECT), quotas.limits(tx, PROJECT)
    store.close()
    assert all(used[name] <= most[name] for name in used)
