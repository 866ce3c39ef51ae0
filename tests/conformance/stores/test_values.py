"""Values come back from every store as they went in, compare alike, and are refused alike."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sundog.control.store import Store
from sundog.errors import Invalid
from tests.conformance.stores.example import make_server, names, servers

# One store serves all examples of a test: each is undone.
on_one_store = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

NAIVE = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
instants = st.datetimes(
    min_value=NAIVE.replace(1, 1, 3), max_value=NAIVE.replace(9999, 12, 29), timezones=st.timezones() | st.just(UTC)
)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
columns = st.fixed_dictionaries(
    {
        "id": texts,
        "name": texts,
        "host": st.none() | texts,
        "created_at": st.none() | instants,
        "extra": jsons,
        "size": st.none() | st.integers(-(2**63), 2**63 - 1),
        "ratio": st.none() | st.floats(allow_nan=False),
        "locked": st.none() | st.booleans(),
        "key": st.none() | st.binary(),
    }
)


class Undo(Exception):
    """Ends an example."""


@on_one_store
@given(columns)
@example({"id": "", "name": "", "host": " ", "extra": {"a": ["\0", "\ud800", 2**80, 1e-300]}, "ratio": math.inf})
@example({"id": "ärger 🌞", "name": "x" * 100_000, "key": bytes(range(256)), "size": -(2**63), "locked": False})
def test_values_come_back_as_they_went_in(store: Store, values: dict[str, Any]) -> None:
    with pytest.raises(Undo), store.begin() as tx:
        make_server(tx, "a", **values)
        row = tx.get(servers, id=values["id"])
        assert row
        if values.get("created_at"):
            # In one zone: Python finds an hour that a clock shows twice equal to nothing in another zone.
            values = values | {"created_at": values["created_at"].astimezone(UTC)}
        assert {name: row[name] for name in values} == values
        assert {name: type(row[name]) for name in values} == {name: type(value) for name, value in values.items()}
        if moment := row["created_at"]:
            assert moment.tzinfo is UTC
        raise Undo


@on_one_store
@given(st.lists(texts, unique=True, max_size=8))
@example(["a", "B", "é", "z", "Z", "_", "a b", "ab", "\U0001f31e", "\uffff", "~"])
def test_texts_sort_by_code_point(store: Store, several: list[str]) -> None:
    with pytest.raises(Undo), store.begin() as tx:
        tx.insert_many(servers, [{"id": text, "name": text} for text in several])
        assert [row["name"] for row in tx.find(servers, order_by=servers.c.name)] == sorted(several)
        raise Undo


@on_one_store
@given(st.lists(instants, max_size=6, unique=True), instants)
def test_instants_compare_as_instants_whatever_their_zone(
    store: Store, several: list[datetime], limit: datetime
) -> None:
    with pytest.raises(Undo), store.begin() as tx:
        for number, instant in enumerate(several):
            make_server(tx, str(number), created_at=instant)
        found = tx.find(servers, servers.c.created_at < limit, order_by=servers.c.created_at)
        utc = sorted(each.astimezone(UTC) for each in several)
        assert [row["created_at"] for row in found] == [each for each in utc if each < limit.astimezone(UTC)]
        raise Undo


def test_capitals_are_other_letters(store: Store) -> None:
    with store.begin() as tx:
        for name in ("web", "Web", "WEB", "wéb", "WÉB"):
            make_server(tx, name, name=name)
        assert [row["name"] for row in tx.find(servers, servers.c.name.like("W%"))] == ["WEB", "Web", "WÉB"]
        assert [row["name"] for row in tx.find(servers, servers.c.name == "web")] == ["web"]
        assert tx.count(servers, servers.c.name.contains("É")) == 1


def test_json_is_a_fresh_object_each_time(store: Store) -> None:
    with store.begin() as tx:
        make_server(tx, "a", extra={"tags": ["x"]})
        first, second = tx.get(servers, id="a"), tx.get(servers, id="a")
        assert first
        assert second
        first["extra"]["tags"].append("y")
        assert second["extra"] == {"tags": ["x"]}
        assert json.dumps(second["extra"])


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a\0b"},
        {"name": "half a pair \ud83c"},
        {"size": 2**63},
        {"size": -(2**63) - 1},
        {"size": 2**200},
        {"extra": {"x": math.nan}},
        {"created_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
    ],
    ids=repr,
)
def test_what_cannot_be_stored_is_invalid_and_ends_the_transaction(store: Store, values: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="cannot be"), store.begin() as tx:
        make_server(tx, "before")
        make_server(tx, "a", **values)
    with store.read() as tx:
        assert tx.count(servers) == 0


def test_a_text_too_long_for_an_index_is_stored_or_invalid(store: Store) -> None:
    name = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(5000))  # hard to compress
    try:
        with store.begin() as tx:
            make_server(tx, "a", name=name)
    except Invalid:
        name = "short"
        with store.begin() as tx:
            make_server(tx, "a", name=name)
    assert names(store) == [name]


@pytest.mark.parametrize("name", ["a\0b", "half a pair \ud83c"])
def test_what_cannot_be_stored_cannot_be_looked_for(store: Store, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be stored"), store.read() as tx:
        tx.get(servers, name=name)
    with store.begin() as tx:
        make_server(tx, "a")


@pytest.mark.parametrize(
    "values", [{"name": 5}, {"created_at": NAIVE}, {"extra": object()}], ids=["name", "created_at", "extra"]
)
def test_a_value_of_the_wrong_type_is_a_mistake_in_the_code(store: Store, values: dict[str, Any]) -> None:
    with pytest.raises(TypeError), store.begin() as tx:
        make_server(tx, "a", **values)
    with store.read() as tx:
        assert tx.count(servers) == 0
