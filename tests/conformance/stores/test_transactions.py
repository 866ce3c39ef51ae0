"""What every store promises about transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import pytest
from sqlalchemy import bindparam, func, insert, select, true, update

from sundog.control.store import Reader, Store, Tx
from sundog.errors import Conflict, InvariantError
from sundog.runtime import aio, clock, warp
from tests.conformance.stores.example import (
    NEW_YEAR,
    counters,
    events,
    flavors,
    make_project,
    make_server,
    make_store,
    names,
    projects,
    servers,
)

Opens: TypeAlias = Callable[[Store], AbstractContextManager[Reader]]


class Crash(Exception):
    """Not one of Sundog's errors."""


# ------------------------------------------------------------------------------------------------------ all or nothing


def test_what_is_committed_is_there_for_the_next_transaction(store: Store) -> None:
    with store.begin() as tx:
        make_server(tx, "a")
    with store.begin() as tx:
        make_server(tx, "b")
        assert tx.count(servers) == 2
    assert names(store) == ["server a", "server b"]


def test_an_error_leaves_nothing_of_its_transaction(store: Store) -> None:
    with store.begin() as tx:
        make_server(tx, "kept", host="h1")
    with pytest.raises(Crash), store.begin() as tx:
        make_server(tx, "a")
        tx.insert_many(projects, [{"id": "p1", "name": "one"}, {"id": "p2", "name": "two"}])
        tx.update(servers, servers.c.id == "kept", host="h2")
        tx.delete(servers, servers.c.id == "a")
        raise Crash
    with store.read() as tx:
        assert tx.find(projects) == []
        assert [(row["id"], row["host"]) for row in tx.find(servers)] == [("kept", "h1")]


def test_a_cancelled_task_leaves_nothing(store: Store) -> None:
    with pytest.raises(asyncio.CancelledError), store.begin() as tx:
        make_server(tx, "a")
        raise asyncio.CancelledError
    assert names(store) == []


def test_a_failed_statement_ends_its_transaction_even_if_its_error_is_caught_inside(store: Store) -> None:
    with store.begin() as tx:
        make_server(tx, "a")
    with pytest.raises(Conflict), store.begin() as tx:
        make_server(tx, "b")
        with pytest.raises(Conflict):
            make_server(tx, "a")
        with pytest.raises(InvariantError, match="has failed and can only end"):
            tx.find(servers)
    assert names(store) == ["server a"]


def test_the_store_works_on_after_a_failed_transaction(store: Store) -> None:
    with pytest.raises(Conflict), store.begin() as tx:
        make_server(tx, "a", project_id="nobody")
        tx.count(servers)
    with store.begin() as tx:
        make_server(tx, "a")
    assert names(store) == ["server a"]


def test_a_transaction_cannot_be_used_after_its_block(store: Store) -> None:
    with store.begin() as tx:
        pass
    with pytest.raises(InvariantError, match="is over"):
        make_server(tx, "late")
    with store.read() as reader:
        pass
    with pytest.raises(InvariantError, match="is over"):
        reader.find(servers)
    assert names(store) == []


def test_a_result_that_nobody_reads_does_not_hold_up_the_commit(store: Store) -> None:
    with store.begin() as tx:
        tx.insert_many(servers, [{"id": f"{i:04}", "name": f"s{i}"} for i in range(500)])
    with store.begin() as tx:
        half_read = tx.execute(select(servers.c.id))
        assert half_read.fetchone()
        tx.delete(servers, true())
    assert names(store) == []


# -------------------------------------------------------------------------------------------------------------- nesting


@pytest.mark.parametrize("inner", [Store.begin, Store.read])
@pytest.mark.parametrize("outer", [Store.begin, Store.read])
def test_a_transaction_inside_another_is_refused_and_harms_nothing(store: Store, outer: Opens, inner: Opens) -> None:
    with outer(store) as tx:
        told = "the main program is in a transaction .* pass that one on"
        with pytest.raises(InvariantError, match=told), inner(store):
            pass
        if isinstance(tx, Tx):
            make_server(tx, "a")
    assert names(store) == (["server a"] if outer is Store.begin else [])


def test_a_task_that_awaits_inside_a_transaction_is_found_out(store: Store) -> None:
    async def awaits() -> None:
        with store.begin() as tx:
            make_server(tx, "a")
            await aio.sleep(1)

    async def main(_: object) -> None:
        async with aio.TaskGroup() as group:
            group.create_task(awaits(), name="careless")
            await aio.sleep(0.5)
            with pytest.raises(InvariantError, match="in the middle of a transaction of task careless"), store.read():
                pass

    warp.run(main, rate=warp.JUMP)
    assert names(store) == ["server a"]


# ------------------------------------------------------------------------------------------------------------ on_commit


def test_on_commit_runs_after_the_commit_in_order(store: Store) -> None:
    seen: list[object] = []
    with store.begin() as tx:
        tx.on_commit(lambda: seen.append(names(store)))
        make_server(tx, "a")
        tx.on_commit(lambda: seen.append("second"))
        assert seen == []
    assert seen == [["server a"], "second"]


def test_on_commit_never_runs_after_a_rollback(store: Store) -> None:
    seen: list[str] = []
    with pytest.raises(Crash), store.begin() as tx:
        tx.on_commit(lambda: seen.append("never"))
        raise Crash
    with store.begin() as tx:
        make_server(tx, "a")
    with pytest.raises(Conflict), store.begin() as tx:
        tx.on_commit(lambda: seen.append("never"))
        make_server(tx, "a")
    assert seen == []


def test_what_an_on_commit_raises_is_seen_and_the_others_run(store: Store) -> None:
    seen: list[str] = []

    def broken() -> None:
        raise Crash

    with pytest.raises(Crash), store.begin() as tx:
        make_server(tx, "a")
        tx.on_commit(broken)
        tx.on_commit(lambda: seen.append("ran"))
    assert seen == ["ran"]
    assert names(store) == ["server a"]


def test_on_commit_may_begin_another_transaction(store: Store) -> None:
    def more() -> None:
        with store.begin() as tx:
            make_server(tx, "b")

    with store.begin() as tx:
        make_server(tx, "a")
        tx.on_commit(more)
    assert names(store) == ["server a", "server b"]


# ------------------------------------------------------------------------------------------------------------ conflicts


def test_a_name_that_is_taken_is_a_conflict_that_names_table_and_constraint(store: Store) -> None:
    with store.begin() as tx:
        make_project(tx)
        make_server(tx, "a", project_id="p1", name="web")
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        make_server(tx, "b", project_id="p1", name="web")
    assert (caught.value.kind, caught.value.table) == ("unique", "servers")
    assert caught.value.constraint == "uq_servers_project_id_name"
    assert "uq_servers_project_id_name" in str(caught.value)
    assert "web" not in str(caught.value)


def test_an_index_of_an_expression_is_named_too(store: Store) -> None:
    with store.begin() as tx:
        tx.insert(flavors, id="1", name="m1.tiny")
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        tx.insert(flavors, id="2", name="M1.Tiny")
    assert (caught.value.table, caught.value.constraint) == ("flavors", "uq_flavors_lower_name")


def test_a_reference_that_is_checked_at_the_commit_undoes_everything(store: Store) -> None:
    with store.begin() as tx:
        tx.insert(flavors, id="small", name="small", base_id="large")
        tx.insert(flavors, id="large", name="large")
    called: list[str] = []
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        tx.on_commit(lambda: called.append("never"))
        make_server(tx, "a")
        tx.insert(flavors, id="tiny", name="tiny", base_id="nothing")
    assert caught.value.kind == "foreign key"
    assert called == names(store) == []


def test_a_taken_primary_key_is_a_conflict(store: Store) -> None:
    with store.begin() as tx:
        make_server(tx, "a")
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        make_server(tx, "a", name="another")
    assert (caught.value.table, caught.value.constraint) == ("servers", "pk_servers")


def test_one_row_too_many_undoes_the_whole_batch(store: Store) -> None:
    with pytest.raises(Conflict), store.begin() as tx:
        tx.insert_many(servers, [{"id": each, "name": "x"} for each in "aba"])
    assert names(store) == []


def test_a_reference_must_be_to_a_row_that_is_there_and_keeps_it(store: Store) -> None:
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        make_server(tx, "a", project_id="nobody")
    assert caught.value.kind == "foreign key"
    with store.begin() as tx:
        make_project(tx)
        make_server(tx, "a", project_id="p1")
    with pytest.raises(Conflict) as caught, store.begin() as tx:
        tx.delete(projects, projects.c.id == "p1")
    assert caught.value.kind == "foreign key"


def test_a_missing_value_or_table_is_a_mistake_in_the_code(store: Store) -> None:
    with pytest.raises(InvariantError, match="does not fit the schema"), store.begin() as tx:
        make_server(tx, "a", name=None)
    with store.begin() as tx:
        servers.drop(tx.connection)
    with pytest.raises(InvariantError, match="does not fit the schema"), store.read() as reader:
        reader.count(servers)


# -------------------------------------------------------------------------------------------------------------- helpers


def test_rows_come_by_primary_key_unless_told_otherwise(store: Store) -> None:
    with store.begin() as tx:
        for letter in "bca":
            make_server(tx, letter, host={"a": "h2"}.get(letter, "h1"))
        assert [row["id"] for row in tx.find(servers)] == ["a", "b", "c"]
        assert [row["id"] for row in tx.find(servers, order_by=(servers.c.host, servers.c.id.desc()))] == [
            "c",
            "b",
            "a",
        ]
        assert [row["id"] for row in tx.find(servers, order_by=servers.c.id.desc(), limit=2)] == ["c", "b"]
        assert [row["id"] for row in tx.find(servers, servers.c.host == "h1", servers.c.id != "b")] == ["c"]
        assert tx.count(servers, servers.c.host == "h1") == 2


def test_get_finds_one_row_or_none_and_no_value_is_a_value(store: Store) -> None:
    with store.begin() as tx:
        make_server(tx, "a", host=None)
        make_server(tx, "b", host="h1")
        found = tx.get(servers, host=None)
        assert found
        assert found["id"] == "a"
        assert tx.get(servers, id="c") is None
        make_server(tx, "c", host="h1")
        with pytest.raises(InvariantError, match="several rows with the same host"):
            tx.get(servers, host="h1")
        with pytest.raises(InvariantError, match="which row"):
            tx.get(servers)


def test_update_and_delete_say_how_many_rows_they_met(store: Store) -> None:
    with store.begin() as tx:
        for letter in "abc":
            make_server(tx, letter, host="h1")
        assert tx.update(servers, servers.c.host == "h1", host="h2") == 3
        assert tx.update(servers, servers.c.host == "h1", host="h2") == 0
        assert tx.update(servers, servers.c.host == "h2", host="h2") == 3
        assert tx.delete(servers, servers.c.id != "a") == 2
        assert tx.delete(servers, servers.c.id != "a") == 0
        with pytest.raises(InvariantError, match="every row of servers"):
            tx.delete(servers)
        with pytest.raises(InvariantError, match="every row of servers"):
            tx.update(servers, host="h3")
        assert tx.count(servers) == 1


def test_no_rows_to_insert_is_nothing_to_do(store: Store) -> None:
    with store.begin() as tx:
        tx.insert_many(servers, [])
        assert tx.count(servers) == 0


def test_rows_can_be_numbered_by_the_store(store: Store) -> None:
    with store.begin() as tx:
        tx.insert(events, what="first")
        number = tx.execute(insert(events).values(what="second").returning(events.c.number)).scalar_one()
        assert [(row["number"], row["what"]) for row in tx.find(events)] == [(1, "first"), (number, "second")]
        assert tx.insert_numbered(events, what="third") == number + 1


def test_conditions_may_be_values_by_the_names_of_columns(store: Store) -> None:
    with store.begin() as tx:
        for letter, host in zip("abcd", ("h1", "h1", None, "h2"), strict=True):
            make_server(tx, letter, host=host)

        def found(*where: Any) -> str:
            return "".join(row["id"] for row in tx.find(servers, *where))

        assert found({"host": "h1"}) == "ab"
        assert found({"host": None}) == "c"
        assert found({"host": ["h1", "h2"], "name": "server d"}) == "d"
        assert found({"id": list("abc")}) == "abc"
        assert found({"id": ()}) == found({"id": "a"}, {"id": "b"}) == ""
        assert found({"host": "h1"}, servers.c.id != "a") == "b"
        assert tx.count(servers, {"host": "h1"}) == 2
        assert tx.update(servers, {"id": ("a", "c", "d")}, host="h3") == 3
        assert tx.delete(servers, {"host": "h3"}, servers.c.id > "c") == 1
        assert found() == "abc"


def test_a_statement_that_is_made_once_takes_its_values_at_each_use(store: Store) -> None:
    named = select(servers.c.id, servers.c.created_at).where(servers.c.host == bindparam("at")).order_by(servers.c.id)
    with store.begin() as tx:
        for letter, host in zip("abc", ("h1", "h2", "h1"), strict=True):
            make_server(tx, letter, host=host)
        assert tx.rows(named, at="h1") == [{"id": each, "created_at": NEW_YEAR} for each in "ac"]
        assert [row["id"] for row in tx.rows(named, at="h2")] == ["b"]
    with pytest.raises(InvariantError, match="only reads"), store.read() as reader:
        reader.rows(insert(projects).values(id="p1", name="one").returning(projects.c.id))


def test_any_statement_of_sqlalchemy_can_be_executed(store: Store) -> None:
    with store.begin() as tx:
        tx.insert(counters, name="c", value=1)
        assert tx.execute(update(counters).values(value=counters.c.value + 3)).rowcount == 1
        assert tx.update(counters, counters.c.value == 4, value=counters.c.value + 1) == 1
        assert tx.execute(select(func.sum(counters.c.value))).scalar_one() == 5


# --------------------------------------------------------------------------------------------------------------- reads


def test_a_transaction_that_reads_cannot_write(store: Store) -> None:
    with pytest.raises(InvariantError, match="only reads"), store.read() as tx:
        tx.execute(insert(projects).values(id="p1", name="one"))
    with store.read() as tx:
        assert tx.count(projects) == 0


def test_a_read_sees_one_snapshot_while_another_store_writes(shared_place: str) -> None:
    reader, writer = make_store(shared_place), make_store(shared_place)
    with writer.begin() as tx:
        make_server(tx, "a")
    with reader.read() as snapshot:
        assert snapshot.count(servers) == 1
        with writer.begin() as tx:
            make_server(tx, "b")
            make_project(tx)
        assert snapshot.count(servers) == 1
        assert snapshot.find(projects) == []
    assert names(reader) == ["server a", "server b"]
    reader.close()
    writer.close()


def test_what_is_not_committed_is_seen_by_nobody_else(shared_place: str) -> None:
    reader, writer = make_store(shared_place), make_store(shared_place)
    with writer.begin() as tx:
        make_server(tx, "a")
        assert names(reader) == []
    assert names(reader) == ["server a"]
    reader.close()
    writer.close()


# ------------------------------------------------------------------------------------------------------ in virtual time


def test_tasks_use_a_store_in_virtual_time(store: Store) -> None:
    async def worker(number: int) -> None:
        for step in range(10):
            await aio.sleep(1 + number / 10)
            with store.begin() as tx:
                row = tx.get(counters, name="c")
                assert row
                tx.update(counters, counters.c.name == "c", value=row["value"] + 1)
                make_server(tx, f"{number}-{step}", created_at=clock.utcnow())

    async def main(_: object) -> None:
        with store.begin() as tx:
            tx.insert(counters, name="c", value=0)
        async with aio.TaskGroup() as group:
            for number in range(5):
                group.create_task(worker(number))

    warp.run(main, rate=warp.JUMP)
    with store.read() as tx:
        assert tx.find(counters) == [{"name": "c", "value": 50}]
        times = [row["created_at"] for row in tx.find(servers, order_by=servers.c.created_at)]
        assert (times[-1] - times[0]).total_seconds() == pytest.approx(14 - 1)
