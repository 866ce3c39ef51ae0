"""The columns that a run fills."""

from __future__ import annotations

import math

from sundog.sim.records import Cause, HostEvents, Reasons, Stays


def test_stays_are_kept_in_the_order_in_which_they_begin_however_many_there_are() -> None:
    stays = Stays()
    assert [len(column) for column in (stays.vm, stays.host, stays.start_s, stays.end_s, stays.cause)] == [0] * 5
    for number in range(5000):
        assert stays.begin(number, number % 7, number / 2, Cause(number % 4)) == number
        if number % 2:
            stays.end(number, float(number))
    assert stays.count == 5000
    assert stays.vm.tolist() == list(range(5000))
    assert stays.host.tolist() == [number % 7 for number in range(5000)]
    assert stays.start_s.tolist() == [number / 2 for number in range(5000)]
    assert stays.cause.tolist() == [number % 4 for number in range(5000)]
    assert stays.end_s[1::2].tolist() == list(range(1, 5000, 2))
    assert all(math.isnan(end) for end in stays.end_s[::2])
    assert stays.host_of(4999) == 4999 % 7


def test_a_reason_has_one_code_and_no_reason_is_zero() -> None:
    reasons = Reasons()
    assert [reasons.code(text) for text in ("", "full", "zone", "full")] == [0, 1, 2, 1]
    assert reasons.texts == ["", "full", "zone"]


def test_host_events_are_columns() -> None:
    events = HostEvents()
    events.add(1.5, 3, "failed", "rack")
    events.add(2.0, 3, "repaired")
    assert (events.time_s, events.host, events.event, events.detail) == (
        [1.5, 2.0], [3, 3], ["failed", "repaired"], ["rack", ""],
    )  # fmt: skip
