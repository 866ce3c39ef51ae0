"""What libvirt's numbers mean, as the contract's words."""

from __future__ import annotations

import pytest

from sundog.backends.contract import EventKind, PowerState, ServerKey
from sundog.backends.libvirt.failures import Code, Meaning, meaning, translate
from sundog.backends.libvirt.states import (
    PAUSED_MIGRATION,
    PAUSED_STARTING_UP,
    SHUTOFF_CRASHED,
    DomainEvent,
    DomainState,
    is_arriving,
    kind_of,
    power_of,
)
from sundog.errors import BackendFailed, HostDown, NoSuchServer, NotSupported, OutcomeUnknown, PlainFailure, SundogError

KEY = ServerKey("6f9a1b52-3a57-4c66-9d0f-5b7b1b1a0c11", 2)


@pytest.mark.parametrize(
    ("state", "reason", "saved", "finished", "expected"),
    [
        (DomainState.RUNNING, 1, False, True, PowerState.RUNNING),
        (DomainState.SHUTDOWN, 0, False, True, PowerState.RUNNING),
        (DomainState.PAUSED, 1, False, True, PowerState.PAUSED),
        (DomainState.SHUTOFF, 1, False, True, PowerState.SHUTDOWN),
        (DomainState.SHUTOFF, 5, True, True, PowerState.SUSPENDED),
        (DomainState.SHUTOFF, SHUTOFF_CRASHED, False, True, PowerState.CRASHED),
        (DomainState.CRASHED, 0, False, True, PowerState.CRASHED),
        (DomainState.SHUTOFF, 0, False, False, PowerState.NOSTATE),
    ],
)
def test_power_is_told_from_state_reason_and_saved_memory(
    state: int, reason: int, saved: bool, finished: bool, expected: PowerState
) -> None:
    assert power_of(state, reason, saved=saved, finished=finished) is expected


@pytest.mark.parametrize(
    ("state", "reason", "persistent", "arriving"),
    [
        (DomainState.PAUSED, PAUSED_MIGRATION, False, True),
        (DomainState.PAUSED, PAUSED_STARTING_UP, False, True),
        (DomainState.PAUSED, PAUSED_MIGRATION, True, False),  # at home, for the last moment of its move
        (DomainState.PAUSED, 1, False, False),  # somebody paused it, and somebody undefined it
        (DomainState.RUNNING, 1, False, False),
    ],
)
def test_a_guest_that_is_on_its_way_has_not_come(state: int, reason: int, persistent: bool, arriving: bool) -> None:
    assert is_arriving(state, reason, persistent=persistent) is arriving


def told(*events: tuple[int, int], before: PowerState | None = None) -> list[EventKind]:
    kinds = []
    for event, detail in events:
        kind, after = kind_of(event, detail, before)
        before = after if after is not None else before
        if kind is not None:
            kinds.append(kind)
    return kinds


def test_a_start_is_told_once_although_libvirt_also_says_resumed() -> None:
    assert told((DomainEvent.DEFINED, 0), (DomainEvent.STARTED, 0), (DomainEvent.RESUMED, 0)) == [EventKind.STARTED]


def test_a_life_is_told_in_order() -> None:
    life = [(DomainEvent.STARTED, 0), (DomainEvent.RESUMED, 0), (DomainEvent.SUSPENDED, 0), (DomainEvent.RESUMED, 0)]
    life += [(DomainEvent.STOPPED, 1), (DomainEvent.UNDEFINED, 0)]
    expected = [EventKind.STARTED, EventKind.PAUSED, EventKind.UNPAUSED, EventKind.STOPPED, EventKind.REMOVED]
    assert told(*life) == expected


def test_memory_that_went_to_disk_and_came_back_is_told_so() -> None:
    events = [(DomainEvent.STOPPED, 4), (DomainEvent.STARTED, 2), (DomainEvent.RESUMED, 0)]
    assert told(*events, before=PowerState.RUNNING) == [EventKind.SUSPENDED, EventKind.RESUMED]


def test_a_migration_is_told_where_the_guest_went_on() -> None:
    assert told((DomainEvent.STARTED, 1), (DomainEvent.RESUMED, 1)) == [EventKind.MIGRATED]
    source = [(DomainEvent.SUSPENDED, 1), (DomainEvent.STOPPED, 3), (DomainEvent.UNDEFINED, 0)]
    assert told(*source, before=PowerState.RUNNING) == [EventKind.REMOVED]


@pytest.mark.parametrize(("event", "detail"), [(DomainEvent.STOPPED, 2), (DomainEvent.CRASHED, 0)])
def test_a_crash_is_told_as_one(event: int, detail: int) -> None:
    assert told((event, detail), before=PowerState.RUNNING) == [EventKind.CRASHED]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.NO_DOMAIN, NoSuchServer),
        (Code.NO_CONNECT, HostDown),
        (Code.AUTH_FAILED, HostDown),
        (Code.RPC, OutcomeUnknown),
        (Code.INVALID_CONN, OutcomeUnknown),
        (Code.NO_SUPPORT, NotSupported),
        (Code.OPERATION_INVALID, BackendFailed),
        (1, BackendFailed),
    ],
)
def test_every_code_is_one_of_the_contracts_errors(code: int, expected: type[SundogError]) -> None:
    error = translate(meaning(code), "said libvirt", operation="spawn", host="h", name="host-1", server=KEY)
    assert type(error) is expected
    assert "host-1" in error.message
    assert "said libvirt" in error.message
    assert error.facts["operation"] == "spawn"


def test_a_guest_without_an_agent_is_its_owners_to_mend() -> None:
    error = translate(
        meaning(Code.AGENT_UNRESPONSIVE), "said libvirt", operation="x", host="h", name="host-1", server=KEY
    )
    assert type(error) is PlainFailure
    assert "install qemu-guest-agent" in error.message
    assert "host-1" not in error.message


def test_an_error_while_connecting_is_that_of_a_host_out_of_reach_whatever_its_code() -> None:
    assert meaning(1, opening=True) is Meaning.UNREACHABLE


def test_an_error_on_a_connection_that_broke_may_have_happened_whatever_its_code() -> None:
    assert meaning(1, alive=False) is Meaning.BROKEN
    assert meaning(Code.NO_CONNECT, alive=False) is Meaning.UNREACHABLE


def test_a_missing_domain_is_no_missing_server_where_none_was_asked_for() -> None:
    error = translate(Meaning.GONE, "no domain", operation="list_servers", host="h", name="host-1")
    assert type(error) is BackendFailed


def test_our_numbers_are_those_of_the_library() -> None:
    libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")
    assert {code.name: code.value for code in Code} == {
        code.name: getattr(libvirt, f"VIR_ERR_{code.name}") for code in Code
    }
    for state in DomainState:
        assert state.value == getattr(libvirt, f"VIR_DOMAIN_{state.name}")
    for event in DomainEvent:
        assert event.value == getattr(libvirt, f"VIR_DOMAIN_EVENT_{event.name}")
    assert SHUTOFF_CRASHED == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED
