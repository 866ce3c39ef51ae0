"""What an error says and what a caller can read from it."""

from __future__ import annotations

import pytest

from sundog.errors import (
    BackendFailed,
    ContractBroken,
    HostDown,
    InputError,
    InvariantError,
    NoSuchServer,
    NotSupported,
    OutcomeUnknown,
    OutputError,
    PolicyError,
    PoolError,
    SundogError,
)


def test_facts_of_an_error_are_attributes() -> None:
    error = SundogError("h1 is full", host="h1", free=0)
    assert (str(error), error.message, error.host, error.free) == ("h1 is full", "h1 is full", "h1", 0)
    assert error.facts == {"host": "h1", "free": 0}


def test_a_fact_that_an_error_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="zone"):
        _ = SundogError("h1 is full").zone
    assert not hasattr(SundogError("h1 is full"), "zone")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, "bad"),
        ({"path": "a.yaml"}, "a.yaml: bad"),
        ({"path": "a.yaml", "line": 3}, "a.yaml:3: bad"),
        ({"path": "a.yaml", "line": 3, "column": 7}, "a.yaml:3:7: bad"),
    ],
)
def test_an_input_error_begins_with_the_place(place: dict[str, object], expected: str) -> None:
    error = InputError("bad", **place, key="fleet")  # type: ignore[arg-type]
    assert str(error) == expected
    assert (error.path, error.line, error.column) == (place.get("path"), place.get("line"), place.get("column"))
    assert error.key == "fleet"


def test_every_family_has_its_exit_code_and_one_root() -> None:
    families = (SundogError, PoolError, InputError, PolicyError, OutputError, InvariantError)
    assert [each.exit_code for each in families] == [1, 1, 2, 3, 4, 70]
    assert all(issubclass(each, SundogError) for each in families)


def test_what_certainly_did_not_happen_is_one_family_and_what_nobody_knows_is_not_of_it() -> None:
    assert all(issubclass(each, BackendFailed) for each in (HostDown, NoSuchServer))
    assert not any(issubclass(each, BackendFailed) for each in (OutcomeUnknown, NotSupported, ContractBroken))
