"""Operations: one at a time on a server, in order, withdrawn or unknown when late, broken off by a deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from sundog.backends.asking import check_deadline
from sundog.backends.contract import ServerKey
from sundog.backends.libvirt.link import Link
from sundog.backends.libvirt.operations import Operations
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import aio

KEY, NEXT = ServerKey("s", 1), ServerKey("s", 2)


class Host:
    """As much of a link as operations look at."""

    def __init__(self, number: int = 0) -> None:
        self.number, self.name, self.uuid = number, f"host-{number}", str(number)


HOST = cast(Link, Host())


def run(scenario: Callable[[Operations], Awaitable[None]]) -> None:
    async def main() -> None:
        async with aio.timeout(30), aio.TaskGroup() as group:
            operations = Operations(group)
            await scenario(operations)
            assert operations.statistics() == {"jobs": 0, "turns": 0}

    asyncio.run(main())


def test_operations_on_one_server_happen_in_the_order_in_which_they_were_asked() -> None:
    seen: list[str] = []

    def step(name: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            seen.append(f"{name} begins")
            await aio.sleep(0)
            seen.append(f"{name} ends")

        return work

    async def scenario(operations: Operations) -> None:
        await aio.gather(*(operations.ask(name, 10, step(name), (HOST, KEY)) for name in "abc"))

    run(scenario)
    assert seen == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]


def test_an_operation_on_two_hosts_never_waits_for_one_that_goes_the_other_way() -> None:
    other = cast(Link, Host(1))

    async def work() -> None:
        await aio.sleep(0.001)

    async def scenario(operations: Operations) -> None:
        places = [(HOST, KEY), (other, NEXT)]
        await aio.gather(
            *(operations.ask("a", 10, work, *places) for _ in range(5)),
            *(operations.ask("b", 10, work, *places[::-1]) for _ in range(5)),
        )

    run(scenario)


def test_what_did_not_begin_by_its_deadline_is_withdrawn_and_never_happens() -> None:
    happened: list[str] = []

    async def scenario(operations: Operations) -> None:
        go_on = aio.Event()
        first = asyncio.ensure_future(operations.ask("a", 10, go_on.wait, (HOST, KEY)))
        await aio.sleep(0)

        async def work() -> None:
            happened.append("b")

        with pytest.raises(BackendFailed, match="withdrawn"):
            await operations.ask("b", 0.01, work, (HOST, KEY))
        go_on.set()
        await first
        await aio.sleep(0.01)

    run(scenario)
    assert happened == []


def test_what_began_goes_on_after_its_deadline_and_its_copy_is_busy_as_long() -> None:
    async def scenario(operations: Operations) -> None:
        go_on = aio.Event()
        with pytest.raises(OutcomeUnknown, match="reconcile"):
            await operations.ask("spawn", 0.01, go_on.wait, (HOST, KEY))
        assert operations.busy(HOST) == {KEY: True}
        go_on.set()
        await aio.sleep(0.01)
        assert operations.busy(HOST) == {}

    run(scenario)


def test_a_caller_who_is_cancelled_leaves_the_operation_to_go_on() -> None:
    happened: list[str] = []

    async def scenario(operations: Operations) -> None:
        go_on = aio.Event()

        async def work() -> None:
            await go_on.wait()
            happened.append("a")

        task = asyncio.ensure_future(operations.ask("a", 10, work, (HOST, KEY)))
        await aio.sleep(0)
        task.cancel()
        with pytest.raises(aio.CancelledError):
            await task
        go_on.set()
        await aio.sleep(0.01)

    run(scenario)
    assert happened == ["a"]


@pytest.mark.parametrize("begun", [True, False])
def test_a_deletion_breaks_off_what_happens_to_its_copy_and_to_no_other(begun: bool) -> None:
    seen: list[str] = []

    async def scenario(operations: Operations) -> None:
        async def work() -> None:
            try:
                await aio.sleep(1000)
            except aio.CancelledError:
                seen.append("undone")
                raise

        async def other() -> None:
            seen.append("other")

        async def cut() -> None:
            seen.append("cut")

        async def remove() -> None:
            seen.append("removed")

        broken = asyncio.ensure_future(operations.ask("spawn", 10, work, (HOST, KEY)))
        await aio.sleep(0.001 if begun else 0)
        unharmed = asyncio.ensure_future(operations.ask("power_off", 10, other, (HOST, NEXT)))
        await operations.ask("destroy", 10, remove, (HOST, KEY), first=cut)
        with pytest.raises(BackendFailed, match="broken off by destroy"):
            await broken
        await unharmed

    run(scenario)
    assert "removed" in seen
    assert "other" in seen
    assert ("undone" in seen) is begun


def test_an_error_that_nobody_foresaw_is_an_outcome_unknown_and_ends_nothing_else() -> None:
    async def scenario(operations: Operations) -> None:
        async def work() -> Any:
            raise ZeroDivisionError

        with pytest.raises(OutcomeUnknown, match="nobody foresaw") as caught:
            await operations.ask("a", 10, work, (HOST, KEY))
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    run(scenario)


@pytest.mark.parametrize("deadline", [-1.0, float("inf"), float("nan")])
def test_a_deadline_that_makes_no_sense_is_refused(deadline: float) -> None:
    with pytest.raises(ValueError, match="deadline"):
        check_deadline(deadline)
