"""A host is what it says of itself, and what its file says: where they differ, it is not let in."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.libvirt.identity import Identity, read_identity, why_quarantined, write_identity

CLOUD = "0b0f3f0e-8a53-4d0c-9a39-2f1f0c6f2a77"
HOST = Identity("5d0b0041-0000-4000-8000-000000000001", "node-1", "rack1-1", CLOUD)
OLD = json.dumps({"version": 1, "uuid": HOST.uuid, "hostname": "node-1", "name": "rack1-1"}).encode()


def judge(found: Identity, **facts: object) -> str:
    said = {"data": write_identity(HOST), "expected": HOST.uuid, "twin": None, "copies": 3} | facts
    return why_quarantined(found, **said)  # type: ignore[arg-type]


@given(st.builds(Identity, st.text(), st.text(), st.text(), st.text()))
def test_a_file_is_read_as_it_was_written(identity: Identity) -> None:
    assert read_identity(write_identity(identity)) == identity


def test_a_host_that_is_what_it_was_is_let_in_with_all_it_has() -> None:
    assert judge(HOST) == ""
    assert judge(replace(HOST, name="what we call it is our own affair")) == ""


def test_a_host_that_is_nobodys_is_let_in_by_whoever_comes_first() -> None:
    assert read_identity(OLD) == replace(HOST, cloud="")
    assert judge(HOST, data=OLD) == ""
    assert judge(HOST, data=write_identity(replace(HOST, cloud=""))) == ""


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
        (replace(HOST, cloud="mine"), {}, f"belongs to cloud {CLOUD}, and this is cloud mine; remove it from cloud"),
        (replace(HOST, cloud=""), {"copies": 0}, f"belongs to cloud {CLOUD}"),
        (replace(HOST, hostname="node-2"), {"data": OLD}, "was node-1 and is now node-2"),
        (HOST, {"data": None}, "not mounted"),
        (HOST, {"data": b"{}"}, "cannot be read"),
        (HOST, {"data": OLD.replace(b"1", b"3", 1)}, "its version is 3"),
        (HOST, {"data": b"\xff"}, "cannot be read"),
        (HOST, {"data": b"[1]"}, "cannot be read"),
    ],
)
def test_a_host_that_is_not_what_it_was_is_not_let_in(found: Identity, facts: dict[str, object], said: str) -> None:
    why = judge(found, **facts)
    assert said in why
    assert "nothing on it is touched" in why
