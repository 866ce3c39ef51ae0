"""Boot latency: images fetched over one link, kept while there is room, by hand; and how popular they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sundog.runtime.seeds import Streams
from sundog.sim.boot import BootTimes, boot_times, zipf_images
from sundog.sim.records import Cause, Stays
from sundog.sim.spec import Boot

FETCH = 10.0  # seconds for an image: 1 GiB at 102.4 MiB/s
GUEST = 5.0


def make_spec(**changes: Any) -> Boot:
    body = {
        "scheduling": 1,
        "images": {"count": 1, "size": 1},
        "fetch_mib_s": 102.4,
        "cache": 10,
        "guest": {"law": "deterministic", "value": GUEST},
    }
    return Boot.model_validate(body | changes)


def times(*rows: tuple[int, int, float, Cause], arrival: list[float] | None = None, **changes: Any) -> BootTimes:
    """Boot times of stays, one row each: vm, host, start, cause."""
    stays = Stays()
    for row in rows:
        stays.begin(*row)
    vms = 1 + max((row[0] for row in rows), default=-1)
    return boot_times(stays, np.asarray(arrival or [0.0] * vms), make_spec(**changes), Streams(1))


def images_of(vms: int, count: int, seed: int = 1) -> list[int]:
    return zipf_images(make_spec(images={"count": count, "size": 1}), vms, Streams(seed))


# ---------------------------------------------------------------- fetching


def test_the_first_boot_fetches_the_image_and_the_next_finds_it_there() -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (1, 0, 200, Cause.ARRIVAL), (2, 1, 200, Cause.ARRIVAL))
    assert found.seconds.tolist() == [1 + FETCH + GUEST, 1 + GUEST, 1 + FETCH + GUEST]
    assert (found.fetched, found.cached) == (2, 1)


def test_a_boot_waits_for_the_image_that_another_is_fetching() -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (1, 0, 104, Cause.ARRIVAL))
    assert found.seconds.tolist() == [1 + FETCH + GUEST, 1 + FETCH - 4 + GUEST]
    assert (found.fetched, found.cached) == (1, 1)


def test_a_host_fetches_one_image_after_the_other() -> None:
    images = images_of(40, 3)
    first, second, third = (images.index(image) for image in range(3))
    rows = [(vm, 0, 100.0, Cause.ARRIVAL) for vm in (first, second, third)]
    found = times(*rows, (39, 1, 100, Cause.ARRIVAL), images={"count": 3, "size": 1})
    assert found.seconds.tolist() == [1 + n * FETCH + GUEST for n in (1, 2, 3, 1)]
    later = times(*rows[:2], (third, 0, 115, Cause.ARRIVAL), (39, 1, 0, Cause.ARRIVAL), images={"count": 3, "size": 1})
    assert later.seconds.tolist()[2] == (100 + 1 + 2 * FETCH) - 115 + FETCH + GUEST


def test_of_two_images_and_room_for_one_each_puts_the_other_out() -> None:
    images = images_of(40, 2)
    one, other = images.index(0), images.index(1)
    rows = [(vm, 0, 100.0 * n, Cause.ARRIVAL) for n, vm in enumerate((one, other, one, one))]
    found = times(*rows, (39, 1, 900, Cause.ARRIVAL), images={"count": 2, "size": 1}, cache=1)
    assert found.seconds.tolist()[:4] == [1 + FETCH + GUEST] * 3 + [1 + GUEST]


def test_the_image_used_longest_ago_is_put_out() -> None:
    images = images_of(60, 3)
    a, b, c = (images.index(image) for image in range(3))
    order = (a, b, a, c, a, b)  # c puts b out, since a was used after it; then b puts c out
    rows = [(vm, 0, 100.0 * n, Cause.ARRIVAL) for n, vm in enumerate(order)]
    found = times(*rows, (59, 1, 900, Cause.ARRIVAL), images={"count": 3, "size": 1}, cache=2)
    fetched = [bool(seconds > 1 + GUEST) for seconds in found.seconds[:6].tolist()]
    assert fetched == [True, True, False, True, False, True]


@pytest.mark.parametrize("cache", [0, 0.5])
def test_a_cache_smaller_than_an_image_keeps_nothing(cache: float) -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (1, 0, 200, Cause.ARRIVAL), (2, 0, 300, Cause.ARRIVAL), cache=cache,
                  arrival=[0, 0, -5])  # fmt: skip
    assert found.seconds.tolist() == [1 + FETCH + GUEST, 1 + FETCH + GUEST, 0]
    assert (found.fetched, found.cached) == (2, 0)


def test_images_without_size_take_no_time() -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (1, 0, 100, Cause.ARRIVAL), images={"count": 1, "size": 0})
    assert found.seconds.tolist() == [1 + GUEST, 1 + GUEST]


# ---------------------------------------------------------------- causes


def test_a_restart_needs_neither_scheduling_nor_fetch() -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (0, 0, 300, Cause.RESTART), cache=0)
    assert found.seconds.tolist() == [1 + FETCH + GUEST, GUEST]


def test_a_migration_does_not_boot_and_brings_no_image() -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (0, 1, 200, Cause.MIGRATION), (1, 1, 300, Cause.ARRIVAL))
    assert found.seconds.tolist() == [1 + FETCH + GUEST, 0, 1 + FETCH + GUEST]
    assert (found.fetched, found.cached) == (2, 0)


def test_an_evacuation_boots_anew_on_its_new_host() -> None:
    found = times((0, 0, 100, Cause.ARRIVAL), (0, 1, 200, Cause.EVACUATION), (0, 0, 300, Cause.EVACUATION))
    assert found.seconds.tolist() == [1 + FETCH + GUEST, 1 + FETCH + GUEST, 1 + GUEST]


def test_one_alive_at_the_beginning_runs_already_and_its_host_has_its_image() -> None:
    found = times((0, 0, 0, Cause.ARRIVAL), (1, 0, 10, Cause.ARRIVAL), (0, 0, 50, Cause.RESTART), arrival=[-5, 10])
    assert found.seconds.tolist() == [0, 1 + GUEST, GUEST]
    assert (found.fetched, found.cached) == (0, 1)


def test_no_stays_take_no_time() -> None:
    found = times()
    assert (found.seconds.shape, found.fetched, found.cached) == ((0,), 0, 0)


# ---------------------------------------------------------------- chance


def test_guests_follow_their_law() -> None:
    rows = [(vm, vm, 0.0, Cause.RESTART) for vm in range(2000)]
    found = times(*rows, guest={"law": "lognormal", "median": 20, "sigma": 0.4})
    assert stats.kstest(found.seconds, stats.lognorm(0.4, scale=20).cdf).pvalue > 0.01


@pytest.mark.parametrize("zipf", [0.0, 1.0, 1.7])
def test_images_are_popular_by_zipfs_law(zipf: float) -> None:
    spec = make_spec(images={"count": 20, "size": 1, "zipf": zipf})
    found = np.bincount(zipf_images(spec, 50_000, Streams(3)), minlength=20)
    shares = (1 / np.arange(1, 21)) ** zipf
    assert len(found) == 20
    assert stats.chisquare(found, 50_000 * shares / shares.sum()).pvalue > 0.01


def test_the_image_of_a_vm_depends_on_the_seed_and_not_on_how_many_others_there_are() -> None:
    assert images_of(50, 9) == images_of(200, 9)[:50]
    assert images_of(50, 9) != images_of(50, 9, seed=2)
