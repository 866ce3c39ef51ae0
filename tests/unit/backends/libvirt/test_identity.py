"""A host is what it says of itself, and what its file says: where they differ, it is not let in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.libvirt.identity import Identity, read_identity, why_quarantined, write_identity

HOST = Identity("5d0b0041-0000-4000-8000-000000000001", "node-1", "rack1-1")


def judge(found: Identity, **facts: object) -> str:
    said = {"data": write_identity(HOST), "expected": HOST.uuid, "twin": None, "copies": 3} | facts
    return why_quarantined(found, **said)  # type: ignore[arg-type]


@given(st.builds(Identity, st.text(), st.text(), st.text()))
def test_a_file_is_read_as_it_was_written(identity: Identity) -> None:
    assert read_identity(write_identity(identity)) == identity


def test_a_host_that_is_what_it_was_is_let_in_with_all_it_has() -> None:
    assert judge(HOST) == ""
    assert judge(replace(HOST, name="what we call it is our own affair")) == ""


@pytest.mark.parametrize("data", [None, b"", b"\0\0\0"])
def test_a_new_host_is_let_in_and_one_whose_file_was_cut_short(data: bytes | None) -> None:
    assert judge(HOST, data=data, expected="", copies=0) == ""


@pytest.mark.parametrize(
    ("found", "facts", "said"),
    [
        (replace(HOST, uuid="other"), {}, "says that it is other and not"),
        (replace(HOST, uuid="other"), {"expected": ""}, "the uuid"),
        (replace(HOST, hostname="node-2"), {}, "the host name of host rack1-1 was node-1 and is now node-2"),
        (HOST, {"twin": "rack1-7"}, "which host rack1-7 is"),
        (HOST, {"twin": "rack1-7", "expected": "", "data": None, "copies": 0}, "which host rack1-7 is"),
        (HOST, {"data": None}, "not mounted"),
        (HOST, {"data": b"{}"}, "cannot be read"),
        (HOST, {"data": b"\xff"}, "cannot be read"),
        (HOST, {"data": b"[1]"}, "cannot be read"),
    ],
)
def test_a_host_that_is_not_what_it_was_is_not_let_in(found: Identity, facts: dict[str, object], said: str) -> None:
    why = judge(found, **facts)
    assert said in why
    assert "nothing on it is touched" in why
