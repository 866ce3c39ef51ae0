"""What goes wrong when it is told to, and what is left of it. Traces are the oracle, worked out by hand."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from sundog.backends.contract import ComputeDriver, HostState
from sundog.backends.playground import OPERATIONS
from sundog.backends.simulated import FaultKind, HostFault, OperationFault, Scope, SimulatedDriver
from sundog.errors import BackendFailed, HostDown, InputError, OutcomeUnknown
from sundog.runtime import clock
from tests.drivers import PLAIN, Recorder, copies, key, make_hosts, make_image, make_spec, play

H0 = Scope(host="h0")


async def states(driver: SimulatedDriver) -> list[str]:
    return [str(host.state) for host in await driver.hosts(deadline=1)]


def test_every_operation_on_a_host_can_go_wrong() -> None:
    methods = [name for name, method in vars(ComputeDriver).items() if inspect.iscoroutinefunction(method)]
    assert sorted(OPERATIONS) == sorted(set(methods) - {"hosts"})


# ---------------------------------------------------------------------------------------------------------- operations


@pytest.mark.parametrize(
    ("fault", "raised", "at", "left"),
    [
        (OperationFault(FaultKind.FAIL), "BackendFailed", 0, []),
        (OperationFault(FaultKind.FAIL, "spawn", H0, seconds=7), "BackendFailed", 7, []),
        (OperationFault(FaultKind.DELAY, seconds=7), "done", 11, ["s1/1 running"]),
        (OperationFault(FaultKind.DELAY, seconds=58), "OutcomeUnknown", 60, ["s1/1 running"]),
        (OperationFault(FaultKind.HANG, scope=Scope(rack="r0")), "OutcomeUnknown", 60, []),
        (OperationFault(FaultKind.LOSE, scope=Scope(zone="az0")), "OutcomeUnknown", 4, ["s1/1 running"]),
        (OperationFault(FaultKind.FAIL, "destroy"), "done", 4, ["s1/1 running"]),
        (OperationFault(FaultKind.FAIL, scope=Scope(host="h1")), "done", 4, ["s1/1 running"]),
    ],
)
def test_an_operation_goes_wrong_as_it_was_told(fault: OperationFault, raised: str, at: float, left: list[str]) -> None:
    async def main(driver: SimulatedDriver) -> tuple[list[tuple[float, str]], list[str]]:
        trace = Recorder(driver)
        number = driver.faults.order(fault)
        await trace.call("spawn", driver.spawn("h0", make_spec(), deadline=60))
        driver.faults.withdraw(number)
        await asyncio.sleep(60)
        return [line for line in await trace.stop() if "spawn" in line[1]], await copies(driver, "h0")

    assert play(main, make_hosts(2, racks=("r0", "r1"), zones=("az0",))) == ([(at, f"spawn: {raised}")], left)


def test_faults_strike_as_often_as_ordered_and_delays_add_up() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        driver.faults.order(OperationFault(FaultKind.DELAY, "power_on", seconds=10, count=3))
        driver.faults.order(OperationFault(FaultKind.FAIL, "power_on", seconds=5, count=2))
        await driver.spawn("h0", make_spec(), deadline=60, start=False)
        for _ in range(3):
            await trace.call("start", driver.power_on("h0", key(), deadline=60))
        assert not driver.faults.orders()
        return await trace.stop()

    assert play(main) == [
        (18, "start: BackendFailed"), (33, "start: BackendFailed"), (44, "started h0 s1/1"), (44, "start: done"),
    ]  # fmt: skip


def test_an_order_without_a_count_stands_until_it_is_withdrawn() -> None:
    async def main(driver: SimulatedDriver) -> list[str]:
        number = driver.faults.order(OperationFault(FaultKind.FAIL, count=None))
        trace = Recorder(driver)
        for _ in range(5):
            await trace.call("list", driver.list_servers("h0", deadline=1))
        driver.faults.withdraw(number)
        driver.faults.withdraw(number)
        await trace.call("list", driver.list_servers("h0", deadline=1))
        driver.faults.order(OperationFault(FaultKind.FAIL))
        driver.faults.clear()
        await trace.call("list", driver.list_servers("h0", deadline=1))
        return [what for _, what in await trace.stop()]

    assert play(main) == ["list: BackendFailed"] * 5 + ["list: done"] * 2


def struck(seed: int, others: int) -> list[bool]:
    """Which of 200 operations fail by an order of 30 %, made after ``others``."""

    async def main(driver: SimulatedDriver) -> list[bool]:
        for _ in range(others):
            driver.faults.withdraw(driver.faults.order(OperationFault(FaultKind.FAIL)))
        driver.faults.order(OperationFault(FaultKind.FAIL, "diagnostics", count=None, probability=0.5))
        driver.faults.order(OperationFault(FaultKind.FAIL, "list_servers", count=None, probability=0.3))
        failed = []
        for _ in range(200):
            try:
                await driver.list_servers("h0", deadline=1)
                failed.append(False)
            except BackendFailed:
                failed.append(True)
        return failed

    return play(main, seed=seed)


def test_chance_hangs_on_the_seed_and_on_the_number_of_the_order_alone() -> None:
    one = struck(1, 0)
    assert one == struck(1, 0)
    assert one != struck(2, 0)
    assert one != struck(1, 1)
    assert 30 < sum(one) < 90


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: OperationFault(FaultKind.FAIL, "spwan"), "no operation 'spwan'; the operations are list_servers"),
        (lambda: OperationFault(FaultKind.FAIL, count=0), "strikes 0 times never does"),
        (lambda: OperationFault(FaultKind.FAIL, probability=0), "probability 0"),
        (lambda: OperationFault(FaultKind.FAIL, probability=1.1), r"probability 1\.1"),
        (lambda: OperationFault(FaultKind.FAIL, seconds=-1), "-1 is not a number of seconds"),
        (lambda: OperationFault(FaultKind.DELAY, seconds=float("nan")), "nan is not a number of seconds"),
        (lambda: OperationFault(FaultKind.DELAY), "needs its seconds"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(wrong: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        wrong()


def test_a_scope_without_hosts_is_refused() -> None:
    async def main(driver: SimulatedDriver) -> None:
        with pytest.raises(InputError, match="no host fits"):
            driver.faults.order(OperationFault(FaultKind.FAIL, scope=Scope(zone="az9")))
        with pytest.raises(InputError, match="no host fits"):
            driver.faults.strike(HostFault.KILL, Scope(host="h0", rack="r9"))

    play(main)


# ---------------------------------------------------------------------------------------------------- turns, deadlines


def test_operations_on_a_server_wait_for_their_turn_in_order() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        await asyncio.gather(
            trace.call("spawn", driver.spawn("h0", make_spec(), deadline=60)),
            trace.call("off", driver.power_off("h0", key(), deadline=60)),
            trace.call("on", driver.power_on("h0", key(), deadline=60)),
            trace.call("other", driver.spawn("h0", make_spec("s2"), deadline=60)),
        )
        return await trace.stop()

    assert [what for what in play(main) if ":" in what[1]] == [
        (4, "spawn: done"), (4, "other: done"), (5, "off: done"), (6, "on: done"),
    ]  # fmt: skip


def test_who_has_not_begun_at_the_deadline_is_withdrawn_for_certain() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        spawn = trace.call("spawn", driver.spawn("h0", make_spec(image=make_image(mib=2000)), deadline=60))
        await trace.call("off", driver.power_off("h0", key(), deadline=5))
        await spawn
        await asyncio.sleep(60)
        return await trace.stop()

    assert play(main) == [(5, "off: BackendFailed"), (22, "started h0 s1/1"), (22, "spawn: done")]


def test_what_has_begun_at_the_deadline_may_happen_later() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        await trace.call("spawn", driver.spawn("h0", make_spec(image=make_image(mib=2000)), deadline=5))
        seen = [await copies(driver, "h0")]
        await asyncio.sleep(60)
        return [*seen, await copies(driver, "h0"), await trace.stop()]

    assert play(main) == [
        ["s1/1 nostate busy"], ["s1/1 running"], [(5, "spawn: OutcomeUnknown"), (22, "started h0 s1/1")],
    ]  # fmt: skip


def test_a_caller_who_is_cancelled_does_not_stop_the_host() -> None:
    async def main(driver: SimulatedDriver) -> list[str]:
        task = asyncio.get_running_loop().create_task(driver.spawn("h0", make_spec(), deadline=60))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(60)
        return await copies(driver, "h0")

    assert play(main) == ["s1/1 running"]


@pytest.mark.parametrize("after", [1, 2.5, 3.5])
def test_destroy_breaks_off_what_is_under_way(after: float) -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        spawn = trace.call("spawn", driver.spawn("h0", make_spec(), deadline=60))
        off = trace.call("off", driver.power_off("h0", key(), deadline=60))
        await asyncio.sleep(after)
        await driver.destroy("h0", key(), deadline=60)
        await asyncio.gather(spawn, off)
        return [await copies(driver, "h0"), await trace.stop()]

    left, trace = play(main)
    assert left == []
    assert trace[:1] == [(after, "spawn: BackendFailed")] or trace[1] == (after, "spawn: BackendFailed")
    assert sorted(what for _, what in trace if ":" in what) == ["off: BackendFailed", "spawn: BackendFailed"]


def test_the_image_goes_on_to_come_when_the_server_that_wanted_it_is_gone() -> None:
    async def main(driver: SimulatedDriver) -> float:
        spawn = asyncio.get_running_loop().create_task(driver.spawn("h0", make_spec(), deadline=60))
        await asyncio.sleep(1)
        await driver.destroy("h0", key(), deadline=60)
        with pytest.raises(BackendFailed, match="broken off by destroy"):
            await spawn
        await driver.spawn("h0", make_spec("s2"), deadline=60)
        return clock.now()

    assert play(main) == 4


# --------------------------------------------------------------------------------------------------------------- hosts


def test_a_host_that_dies_takes_its_servers_down_and_brings_them_back_stopped() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        for server in ("s1", "s2", "s3"):
            await driver.spawn("h0", make_spec(server), deadline=60)
        await driver.suspend("h0", key("s2"), deadline=60)
        await driver.pause("h0", key("s3"), deadline=60)
        trace, begin = Recorder(driver), clock.now()
        assert driver.faults.strike(HostFault.KILL, H0) == ("h0",)
        assert driver.faults.strike(HostFault.KILL, H0) == ("h0",)
        sent = trace.call("list", driver.list_servers("h0", deadline=60))
        await asyncio.sleep(7.9)
        seen: list[Any] = [await states(driver)]
        await asyncio.sleep(0.1)
        await sent
        seen.append(await states(driver))
        with pytest.raises(HostDown, match="host h0 is down; it must come back first"):
            await driver.list_servers("h0", deadline=60)
        driver.faults.strike(HostFault.REVIVE, H0)
        await asyncio.sleep(102)
        seen += [await states(driver), await copies(driver, "h0")]
        return [*seen, [(time - begin, what) for time, what in await trace.stop()]]

    assert play(main, 2) == [
        ["up", "up"], ["down", "up"], ["up", "up"], ["s1/1 shutdown", "s2/1 suspended", "s3/1 shutdown"],
        [(8, "host-down h0"), (8, "list: OutcomeUnknown"), (109, "host-up h0")],
    ]  # fmt: skip


def test_a_spawn_in_a_power_cut_leaves_an_unfinished_copy_that_can_be_finished_or_destroyed() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        trace = Recorder(driver)
        both = [trace.call(name, driver.spawn("h0", make_spec(name), deadline=60)) for name in ("s1", "s2")]
        await asyncio.sleep(2.5)
        driver.faults.strike(HostFault.KILL, H0)
        driver.faults.strike(HostFault.REVIVE, H0)
        await asyncio.gather(*both)
        await asyncio.sleep(200)
        seen = [await copies(driver, "h0")]
        with pytest.raises(BackendFailed, match="only an unfinished copy of server s1"):
            await driver.power_on("h0", key("s1"), deadline=60)
        await driver.spawn("h0", make_spec("s1"), deadline=60)
        await driver.destroy("h0", key("s2"), deadline=60)
        return [*seen, await copies(driver, "h0"), (await trace.stop())[:2]]

    assert play(main) == [
        ["s1/1 nostate", "s2/1 nostate"], ["s1/1 running"], [(10.5, "host-down h0"), (10.5, "s1: OutcomeUnknown")],
    ]  # fmt: skip


def test_a_host_out_of_reach_runs_on_and_finishes_what_it_was_doing() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        await driver.spawn("h0", make_spec("s1"), deadline=60)
        trace, begin = Recorder(driver), clock.now()
        spawn = trace.call("s2", driver.spawn("h0", make_spec("s2"), deadline=60))
        await asyncio.sleep(0.5)
        driver.faults.strike(HostFault.PARTITION, H0)
        await spawn
        seen: list[Any] = [await states(driver)]
        driver.faults.strike(HostFault.HEAL, H0)
        await asyncio.sleep(1)
        return [*seen, await copies(driver, "h0"), [(time - begin, what) for time, what in await trace.stop()]]

    assert play(main, 1) == [
        ["down"], ["s1/1 running", "s2/1 running"],
        [(8.5, "host-down h0"), (8.5, "s2: OutcomeUnknown"), (9.5, "host-up h0")],
    ]  # fmt: skip


def test_a_partition_too_short_to_be_noticed_loses_replies_and_events() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        calls = [
            trace.call("before", driver.spawn("h0", make_spec("s1"), deadline=60)),
            trace.call("long", driver.spawn("h0", make_spec("s2", image=make_image("big", mib=1000)), deadline=60)),
        ]
        await asyncio.sleep(3)
        driver.faults.strike(HostFault.PARTITION, H0)
        calls.append(trace.call("within", driver.list_servers("h0", deadline=60)))
        await asyncio.sleep(3)
        driver.faults.strike(HostFault.HEAL, H0)
        await asyncio.gather(*calls)
        return await trace.stop()

    lines = play(main)
    assert lines[0] == (6, "lost h0")
    assert sorted(lines[1:4]) == [
        (6, "before: OutcomeUnknown"), (6, "long: OutcomeUnknown"), (6, "within: OutcomeUnknown"),
    ]  # fmt: skip
    assert len(lines) == 4  # the big image broke off with the link, and its server with it


def test_a_fence_works_on_any_host_and_what_was_there_is_dead() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        for host in ("h0", "h1", "h2"):
            await driver.spawn(host, make_spec(f"on-{host}"), deadline=60)
        trace, begin = Recorder(driver), clock.now()
        driver.faults.strike(HostFault.PARTITION, Scope(host="h1"))
        driver.faults.strike(HostFault.KILL, Scope(host="h2"))
        await asyncio.sleep(10)
        for host in ("h0", "h1", "h2", "h2"):
            await driver.fence(host, deadline=60)
        seen: list[Any] = [await states(driver)]
        with pytest.raises(HostDown, match="host h1 is fenced"):
            await driver.list_servers("h1", deadline=60)
        driver.faults.strike(HostFault.HEAL, Scope())
        await asyncio.sleep(500)
        seen.append(await states(driver))
        driver.faults.strike(HostFault.REVIVE, Scope())
        await asyncio.sleep(102)
        seen += [await states(driver), [await copies(driver, host) for host in ("h0", "h1", "h2")]]
        return [*seen, [(time - begin, what) for time, what in await trace.stop()]]

    assert play(main) == [
        ["fenced"] * 3, ["fenced"] * 3, ["up"] * 3, [[f"on-{host}/1 shutdown"] for host in ("h0", "h1", "h2")],
        [(8, "host-down h1"), (8, "host-down h2"), (13, "host-down h0"), *((623, f"host-up h{i}") for i in range(3))],
    ]  # fmt: skip


def test_a_fence_that_fails_or_whose_answer_is_lost() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        seen: list[Any] = []
        for kind, error in (
            (FaultKind.FAIL, BackendFailed), (FaultKind.HANG, OutcomeUnknown), (FaultKind.LOSE, OutcomeUnknown),
        ):  # fmt: skip
            driver.faults.order(OperationFault(kind, "fence"))
            with pytest.raises(error):
                await driver.fence("h0", deadline=60)
            seen.append((clock.now(), *await states(driver)))
        return seen

    assert play(main, 1) == [(3, "up"), (63, "up"), (66, "fenced")]


def test_a_host_that_was_fenced_and_came_up_out_of_reach_is_down_and_no_longer_known_to_be_off() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        driver.faults.strike(HostFault.FENCE, H0)
        driver.faults.strike(HostFault.PARTITION, H0)
        driver.faults.strike(HostFault.REVIVE, H0)
        seen = [await states(driver)]
        await asyncio.sleep(100)
        seen.append(await states(driver))
        driver.faults.strike(HostFault.HEAL, H0)
        await asyncio.sleep(2)
        return [*seen, await states(driver)]

    assert play(main, 1) == [["fenced"], ["down"], ["up"]]


def test_a_host_that_is_killed_while_it_boots_stays_off() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        driver.faults.strike(HostFault.KILL, H0)
        driver.faults.strike(HostFault.REVIVE, H0)
        await asyncio.sleep(50)
        driver.faults.strike(HostFault.KILL, H0)
        await asyncio.sleep(500)
        return await states(driver)

    assert play(main, 1) == ["down"]


def test_racks_and_zones_fall_together() -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        struck = driver.faults.strike(HostFault.KILL, Scope(rack="r1"))
        await asyncio.sleep(8)
        seen = [struck, await states(driver)]
        struck = driver.faults.strike(HostFault.FENCE, Scope(zone="z0", rack="r0"))
        return [*seen, struck, await states(driver)]

    assert play(main, make_hosts(4, racks=("r0", "r1"), zones=("z0", "z0", "z1", "z1"))) == [
        ("h1", "h3"), ["up", "down", "up", "down"], ("h0",), ["fenced", "down", "up", "down"],
    ]  # fmt: skip


@pytest.mark.parametrize("fault", [HostFault.KILL, HostFault.PARTITION])
@pytest.mark.parametrize(("victim", "at"), [("h0", 0.5), ("h0", 4), ("h0", 9.2), ("h1", 0.5), ("h1", 4), ("h1", 9.2)])
def test_a_live_migration_whose_host_falls_leaves_one_copy_running_or_a_dead_one(
    fault: HostFault, victim: str, at: float
) -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        await driver.spawn("h0", make_spec(memory_mib=4000), deadline=60)
        trace = Recorder(driver)
        move = trace.call("move", driver.live_migrate("h0", key(), "h1", generation=2, deadline=60))
        await asyncio.sleep(at)
        driver.faults.strike(fault, Scope(host=victim))
        await move
        driver.faults.strike(HostFault.HEAL, Scope())
        driver.faults.strike(HostFault.REVIVE, Scope())
        await asyncio.sleep(200)
        return [[what for _, what in await trace.stop() if "move" in what], await copies(driver, "h0"), await copies(driver, "h1")]  # fmt: skip  # noqa: E501

    told, home, away = play(main)
    dead = fault is HostFault.KILL
    assert home == ["s1/1 shutdown" if dead and victim == "h0" else "s1/1 running"]
    assert away == (["s1/2 nostate"] if dead and victim == "h1" else [])
    assert told == ["move: OutcomeUnknown" if victim == "h0" else "move: BackendFailed"]


@pytest.mark.parametrize(("victim", "at"), [("h0", 3), ("h1", 3), ("h0", 0.5), ("h1", 0.5)])
def test_a_cold_migration_whose_host_dies_can_be_taken_up_again(victim: str, at: float) -> None:
    async def main(driver: SimulatedDriver) -> list[Any]:
        await driver.spawn("h0", make_spec(image=make_image(mib=4000)), deadline=60)
        trace = Recorder(driver)
        move = trace.call("move", driver.resize_begin("h0", key(), "h1", make_spec(generation=2), deadline=60))
        await asyncio.sleep(at)
        driver.faults.strike(HostFault.KILL, Scope(host=victim))
        await move
        seen: list[Any] = [[what for _, what in await trace.stop() if "move" in what]]
        if victim == "h1":
            seen.append(await copies(driver, "h0"))
        driver.faults.strike(HostFault.REVIVE, Scope(host=victim))
        await asyncio.sleep(200)
        await driver.resize_begin("h0", key(), "h1", make_spec(generation=2), deadline=60)
        return [*seen, await copies(driver, "h0"), await copies(driver, "h1")]

    told, *home, kept, away = play(main)
    assert told == ["move: OutcomeUnknown" if victim == "h0" else "move: BackendFailed"]
    assert home == ([["s1/1 running"]] if victim == "h1" else [])
    assert (kept, away) == (["s1/1 shutdown kept"], ["s1/2 shutdown"])


def test_a_guest_that_crashes_says_so_and_can_be_started_again() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        await driver.spawn("h0", make_spec(), deadline=60)
        driver.crash("h0", key())
        driver.crash("h0", key())
        trace.say(str(await copies(driver, "h0")))
        await driver.power_on("h0", key(), deadline=60)
        return await trace.stop()

    lines = play(main)
    assert sorted(lines) == [
        (4, "['s1/1 crashed']"), (4, "crashed h0 s1/1"), (4, "started h0 s1/1"), (5, "started h0 s1/1"),
    ]  # fmt: skip


def test_a_slow_host_holds_up_nobody_else() -> None:
    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        driver.faults.order(OperationFault(FaultKind.HANG, scope=H0, count=None))
        driver.faults.strike(HostFault.KILL, Scope(host="h1"))
        trace = Recorder(driver)
        await asyncio.gather(
            *(trace.call(host, driver.spawn(host, make_spec(host), deadline=60)) for host in ("h0", "h1", "h2"))
        )
        return await trace.stop()

    assert [line for line in play(main) if ":" in line[1]] == [
        (4, "h2: done"), (8, "h1: OutcomeUnknown"), (60, "h0: OutcomeUnknown"),
    ]  # fmt: skip


def chaos(seed: int) -> list[tuple[float, str]]:
    """A noisy hour: spreads, faults by chance, hosts that die."""

    async def main(driver: SimulatedDriver) -> list[tuple[float, str]]:
        trace = Recorder(driver)
        for kind in FaultKind:
            driver.faults.order(OperationFault(kind, count=None, probability=0.1, seconds=3))
        calls = []
        for i in range(60):
            host, other = f"h{i % 5}", f"h{(i + 1) % 5}"
            calls.append(trace.call(f"spawn {i}", driver.spawn(host, make_spec(f"s{i}"), deadline=20)))
            calls.append(trace.call(f"off {i}", driver.power_off(host, key(f"s{i}"), deadline=30)))
            await asyncio.sleep(1)
            calls.append(
                trace.call(f"move {i}", driver.live_migrate(host, key(f"s{i}"), other, generation=2, deadline=60))
            )
            if i % 20 == 10:
                driver.faults.strike(HostFault.KILL, Scope(host=other))
        await asyncio.gather(*calls)
        return await trace.stop()

    return play(main, 5, seed=seed, timings=PLAIN.model_copy(update={"spread": 0.4}))


def test_the_same_seed_leaves_the_same_trace() -> None:
    one = chaos(1)
    assert one == chaos(1)
    assert one != chaos(2)
    assert {what.split(": ")[1] for _, what in one if ": " in what} >= {
        "done", "BackendFailed", "OutcomeUnknown", "HostDown", "NoSuchServer",
    }  # fmt: skip


def test_a_host_that_is_down_is_up_again_only_when_it_was_heard() -> None:
    async def main(driver: SimulatedDriver) -> list[HostState]:
        driver.faults.strike(HostFault.PARTITION, H0)
        await asyncio.sleep(20)
        driver.faults.strike(HostFault.HEAL, H0)
        await asyncio.sleep(0.5)
        seen = [(await driver.hosts(deadline=1))[0].state]
        driver.faults.strike(HostFault.PARTITION, H0)
        await asyncio.sleep(20)
        return [*seen, (await driver.hosts(deadline=1))[0].state]

    assert play(main, 1) == [HostState.DOWN, HostState.DOWN]
