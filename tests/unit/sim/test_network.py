"""Links that are shared: the store's, and those between hosts. Oracles are worked out by hand or by small steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from sundog.runtime.warp import ProcessGenerator, World
from sundog.sim.network import HostNetwork, SharedLink
from sundog.sim.spec import Migration


def begun(world: World, when: float, steps: Callable[[], ProcessGenerator], ends: list[float]) -> simpy.Process:
    def life() -> ProcessGenerator:
        yield world.at(when)
        try:
            yield from steps()
        except simpy.Interrupt:
            return
        ends.append(world.now)

    return world.process(life())


def ends_of(transfers: list[tuple[float, float]], mib_s: float, each: float = float("inf")) -> list[float]:
    """When transfers (begin, MiB) over one link end, in order."""
    world, ends = World(), []
    link = SharedLink(world, mib_s, each_mib_s=each)
    for when, mib in transfers:
        begun(world, when, lambda mib=mib: link.transfer(mib), ends)  # type: ignore[misc]
    world.run()
    assert link.transfers == 0
    return ends


@pytest.mark.parametrize(
    ("transfers", "each", "expected"),
    [
        ([(0, 100)], 1e9, [10]),
        ([(0, 100)], 5, [20]),  # one does not get more than its own link carries
        ([(0, 100), (0, 100)], 1e9, [20, 20]),
        ([(0, 100), (5, 100)], 1e9, [15, 20]),  # 50 alone, then 5 a second each: 50 left, 50 done of the other
        ([(0, 100), (5, 10)], 1e9, [7, 11]),
        ([(0, 0), (3, 10)], 1e9, [0, 4]),
        ([(0, 10), (100, 10)], 1e9, [1, 101]),
    ],
)
def test_a_link_is_divided_equally(transfers: list[tuple[float, float]], each: float, expected: list[float]) -> None:
    assert ends_of(transfers, 10, each) == pytest.approx(expected)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 50)), min_size=1, max_size=8),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_a_shared_link_is_what_small_steps_give(transfers: list[tuple[int, int]], mib_s: int, each: int) -> None:
    """A naive reference: rates are constant between begins and ends, so step from one to the next."""
    now, left, waiting, expected = 0.0, {}, sorted(transfers), []
    while waiting or left:
        rate = min(each, mib_s / len(left)) if left else 0.0
        next_end = now + min(left.values()) / rate if left else float("inf")
        when = min(next_end, waiting[0][0] if waiting else float("inf"))
        left = {number: mib - (when - now) * rate for number, mib in left.items()}
        now = when
        expected += [now for mib in left.values() if mib < 1e-9]
        left = {number: mib for number, mib in left.items() if mib >= 1e-9}
        while waiting and waiting[0][0] <= now:
            left[len(waiting)] = float(waiting.pop(0)[1])
    assert ends_of([(float(a), float(b)) for a, b in transfers], mib_s, each) == pytest.approx(expected)


def test_who_gives_up_leaves_its_share_to_the_others() -> None:
    world, ends = World(), []
    link = SharedLink(world, 10)
    quitter = begun(world, 0, lambda: link.transfer(100), ends)
    begun(world, 0, lambda: link.transfer(100), ends)
    world.at(10).callbacks.append(lambda _: quitter.interrupt())
    world.run()
    assert ends == [pytest.approx(15)]
    assert link.transfers == 0


SPEC = Migration(bandwidth_mib_s=1000, rounds=2)


def flows(plan: list[tuple[float, str, str, float, bool]], spec: Migration = SPEC) -> list[float]:
    world, ends = World(), []
    network = HostNetwork(world, spec)
    for when, source, target, mib, running in plan:
        begun(
            world, when,
            lambda a=source, b=target, mib=mib, live=running: network.finish(network.begin(a, b, mib, running=live)),  # type: ignore[misc]
            ends,
        )  # fmt: skip
    world.run()
    assert network.flows == 0
    return ends


@given(st.floats(1, 1e6), st.floats(1, 5), st.floats(10, 1e5))
def test_alone_a_migration_takes_what_a_study_says(memory: float, rounds: float, bandwidth: float) -> None:
    spec = Migration(bandwidth_mib_s=bandwidth, rounds=rounds)
    study = memory * spec.rounds / spec.bandwidth_mib_s
    assert flows([(0, "a", "b", memory, True)], spec) == [pytest.approx(study, rel=1e-6)]


def test_what_nobody_writes_to_is_sent_once() -> None:
    assert flows([(0, "a", "b", 4000, False)]) == [pytest.approx(4)]


def test_flows_that_share_no_link_do_not_meet() -> None:
    assert flows([(0, "a", "b", 1000, True), (0, "c", "d", 1000, True), (0, "b", "a", 1000, True)]) == [2, 2, 2]


def test_a_migration_with_less_than_the_guest_writes_waits_for_its_share() -> None:
    """Half of the link is just what a guest of two rounds writes: nothing goes on until the disk is over."""
    assert flows([(0, "a", "b", 1000, True), (0, "a", "c", 4000, False)]) == [8, pytest.approx(10)]


def test_what_is_left_never_outgrows_the_memory() -> None:
    """Three share the link, so that the guest writes more than is sent; half of its memory was sent before that."""
    plan = [(0.0, "a", "b", 1000.0, True), (1.0, "a", "c", 10_000.0, False), (1.0, "a", "d", 10_000.0, False)]
    assert flows(plan)[:2] == [pytest.approx(31), pytest.approx(31)]
    assert flows(plan)[2] == pytest.approx(33)


def test_flows_into_one_host_share_its_link() -> None:
    assert flows([(0, "a", "c", 1000, False), (0, "b", "c", 1000, False)]) == [2, 2]


def test_a_migration_that_is_broken_off_frees_its_links() -> None:
    world, ends = World(), []
    network = HostNetwork(world, SPEC)
    first = network.begin("a", "b", 1000, running=True)
    stopped = begun(world, 0, lambda: network.finish(first), ends)
    begun(world, 0, lambda: network.finish(network.begin("a", "c", 1000, running=False)), ends)
    world.at(1).callbacks.append(lambda _: stopped.interrupt())
    world.run()
    assert ends == [pytest.approx(1.5)]
    assert network.flows == 0
    assert first.remaining == pytest.approx(1000)
