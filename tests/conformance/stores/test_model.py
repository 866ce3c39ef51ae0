"""Random transactions leave in every store what they leave in a dictionary."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import true

from sundog.control.store import Store, Tx
from sundog.errors import Conflict
from tests.conformance.stores.example import projects, servers

Servers: TypeAlias = dict[str, tuple[str, str | None]]
"""Name and project by id. A name is taken once in a project, and any number of times outside projects."""

ids, names = st.sampled_from("abcd"), st.sampled_from("xyz")
owners = st.sampled_from(["p1", "p2", "missing", None])
operations = st.one_of(
    st.tuples(st.just("insert"), ids, names, owners),
    st.tuples(st.just("rename"), ids, names, st.none()),
    st.tuples(st.just("move"), ids, st.just(""), owners),
    st.tuples(st.just("delete"), ids, st.just(""), st.none()),
)
transactions = st.lists(st.tuples(st.lists(operations, max_size=6), st.booleans()), max_size=6)


class Undo(Exception):
    """The caller changes its mind."""


def in_store(tx: Tx, what: str, server: str, name: str, project: str | None) -> None:
    match what:
        case "insert":
            tx.insert(servers, id=server, name=name, project_id=project)
        case "rename":
            tx.update(servers, servers.c.id == server, name=name)
        case "move":
            tx.update(servers, servers.c.id == server, project_id=project)
        case _:
            tx.delete(servers, servers.c.id == server)


def in_model(model: Servers, what: str, server: str, name: str, project: str | None) -> Servers:
    """Raises: KeyError for what the constraints forbid."""
    if what == "insert" and server in model:
        raise KeyError(server)
    if what == "delete":
        return {key: value for key, value in model.items() if key != server}
    if what != "insert" and server not in model:
        return model
    new = (model[server][0] if what == "move" else name, model[server][1] if what == "rename" else project)
    others = [value for key, value in model.items() if key != server]
    if new[1] == "missing" or (new[1] is not None and new in others):
        raise KeyError(server)
    return model | {server: new}


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(transactions)
def test_random_transactions_leave_what_they_leave_in_a_dictionary(
    store: Store, several: list[tuple[list[tuple[str, str, str, str | None]], bool]]
) -> None:
    with store.begin() as tx:
        tx.delete(servers, true())
        if tx.get(projects, id="p1") is None:
            tx.insert_many(projects, [{"id": each, "name": each} for each in ("p1", "p2")])
    model: Servers = {}
    for steps, keep in several:
        after = model
        expected: type[Exception] | None = None if keep else Undo
        for step in steps:
            try:
                after = in_model(after, *step)
            except KeyError:
                expected = Conflict
                break
        if expected is None:
            with store.begin() as tx:
                for step in steps:
                    in_store(tx, *step)
            model = after
        else:
            with pytest.raises(expected), store.begin() as tx:
                for step in steps:
                    in_store(tx, *step)
                raise Undo
        with store.read() as reader:
            assert {row["id"]: (row["name"], row["project_id"]) for row in reader.find(servers)} == model
