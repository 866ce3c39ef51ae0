"""Timings are found again in the durations that they made, and what tells nothing changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sundog.backends.contract import ServerKey
from sundog.backends.durations import GUEST_BOOT, Duration, Outcome
from sundog.backends.simulated import SimulatedDriver, Timings, load_timings, read_timings
from sundog.backends.simulated.calibrate import (
    calibrate,
    document,
    hold_out,
    median_errors,
    median_of_sum,
    predicted,
)
from sundog.backends.timed import Stopwatch, TimedDriver
from sundog.errors import InputError
from sundog.runtime import warp
from sundog.runtime.seeds import Streams
from tests.drivers import make_hosts, make_image, make_port, make_spec

LONG = 1e6
DAY = datetime(2026, 11, 23, tzinfo=UTC)


def durations(timings: Timings, rounds: int, seed: int = 1) -> list[Duration]:
    """What is recorded of a server's life, many times over, each by itself."""
    told: list[Duration] = []

    async def main(world: warp.World) -> None:
        watch = Stopwatch(told.append, hears_fetches=True)
        driver = TimedDriver(SimulatedDriver(world, make_hosts(3), timings=timings, fetched=watch.fetched), watch)
        for i in range(rounds):
            server, memory = ServerKey(f"s{i}", 1), (256, 1024, 4096)[i % 3]
            image = make_image(f"image-{i}" if i % 4 == 0 else "cirros", mib=100 + i)
            await driver.spawn("h0", make_spec(f"s{i}", memory_mib=memory, image=image), deadline=LONG)
            await driver.power_off("h0", server, deadline=LONG, grace=10_000.0)
            await driver.power_on("h0", server, deadline=LONG)
            await driver.pause("h0", server, deadline=LONG)
            await driver.unpause("h0", server, deadline=LONG)
            await driver.suspend("h0", server, deadline=LONG)
            await driver.resume("h0", server, deadline=LONG)
            await driver.plug("h0", server, make_port(), deadline=LONG)
            await driver.unplug("h0", server, "port-1", deadline=LONG)
            await driver.set_password("h0", server, "x", deadline=LONG)
            await driver.diagnostics("h0", server, deadline=LONG)
            await driver.live_migrate("h0", server, "h1", generation=2, deadline=LONG)
            spec = make_spec(f"s{i}", 3, memory_mib=memory)
            await driver.resize_begin("h1", ServerKey(f"s{i}", 2), "h2", spec, deadline=LONG)
            await driver.resize_finish("h2", spec.key, deadline=LONG)
            await driver.resize_confirm("h1", ServerKey(f"s{i}", 2), deadline=LONG)
            await driver.destroy("h2", spec.key, deadline=LONG)

    warp.run(main, seed=seed)
    return told


def made(operation: str, seconds: Sequence[float], **conditions: Any) -> list[Duration]:
    """Durations of one kind."""
    return [Duration(operation, each, Outcome.DONE, "h0", DAY, **conditions) for each in seconds]


def fitted(records: Sequence[Duration]) -> dict[str, float]:
    """What was told, by its name."""
    return {each.name: each.value for each in calibrate(records, load_timings()).fits if each.observations}


seconds = st.floats(0.05, 20.0)


@settings(max_examples=15, deadline=None)
@given(
    steps=st.fixed_dictionaries(
        dict.fromkeys(("define", "start", "destroy", "guest_shutdown", "pause", "plug", "grow_disk", "query"), seconds)
    ),
    migrate=seconds,
    spread=st.floats(0.02, 0.3),
    bandwidth=st.floats(50.0, 400.0),
    fetch=st.floats(5.0, 1000.0),
    disk=st.floats(10.0, 1000.0),
    seed=st.integers(0, 1000),
)
def test_timings_are_found_again_in_what_they_made(
    steps: dict[str, float], migrate: float, spread: float, bandwidth: float, fetch: float, disk: float, seed: int
) -> None:
    truth = load_timings(
        seconds={**steps, "migrate": migrate}, spread=spread, disk_mib_s=disk, store_mib_s=2000.0,
        boot={"fetch_mib_s": fetch, "cache": 4}, migration={"bandwidth_mib_s": bandwidth, "rounds": 1.3, "pause": 0.3},
    )  # fmt: skip
    records = durations(truth, 150, seed)
    found = calibrate(records, load_timings(migration=truth.migration.model_copy(update={"bandwidth_mib_s": 1000.0})))
    timings = found.timings

    near = 5.5 * spread * 1.2533 / 150**0.5  # of the median of that many
    assert timings.spread == pytest.approx(spread, rel=0.15)
    assert timings.boot.fetch_mib_s == pytest.approx(fetch, rel=1e-6)
    assert timings.disk_mib_s == pytest.approx(disk, rel=1e-6)
    for step in ("start", "destroy", "pause", "plug", "query"):
        assert timings.seconds[step] == pytest.approx(steps[step], rel=near), step
    # What is the rest of an operation is as near as the whole of it.
    for step, beside in (("define", "start"), ("guest_shutdown", "destroy"), ("grow_disk", "start")):
        whole = steps[step] + steps[beside]
        assert timings.seconds[step] == pytest.approx(steps[step], abs=2 * near * whole), step
    for error in median_errors(truth, records):
        assert abs(error.error) < 2 * near + 0.01, error
    for error in median_errors(timings, records):
        assert abs(error.error) < 2 * near + 0.01, error
    assert {each.name for each in found.fits} == {each.name for each in calibrate([], load_timings()).fits}


def test_where_steps_do_not_vary_they_are_found_exactly() -> None:
    truth = load_timings(spread=0.0, migration={"bandwidth_mib_s": 77.0}, seconds={"migrate": 2.0, "define": 0.7})
    timings = calibrate(durations(truth, 12), load_timings()).timings
    assert timings.seconds == pytest.approx(truth.seconds, abs=1e-6)
    assert timings.migration.bandwidth_mib_s == pytest.approx(77.0)
    assert timings.migration == truth.migration.model_copy(
        update={"bandwidth_mib_s": timings.migration.bandwidth_mib_s}
    )


def test_nothing_changes_nothing() -> None:
    found = calibrate([], load_timings())
    assert found.timings == load_timings()
    assert not any(each.observations or each.value != each.before for each in found.fits)


def test_a_few_operations_are_not_believed() -> None:
    assert fitted(made("pause", [9.0, 9.0])) == {}
    assert fitted(made("pause", [9.0, 9.0, 9.0])) == {"seconds.pause": 9.0}


def test_what_failed_or_is_beside_all_others_changes_nothing() -> None:
    good = made("plug", [1.0, 1.1, 0.9, 1.05, 0.95])
    bad = [replace(each, outcome=Outcome.FAILED) for each in made("plug", [100.0] * 50)]
    bad += [replace(each, outcome=Outcome.UNKNOWN) for each in made("plug", [600.0] * 50)]
    crowded = made("plug", [50.0] * 50, beside=4)
    assert fitted(good + bad + crowded) == {"seconds.plug": 1.0}
    assert fitted([*good, *made("plug", [1e9])])["seconds.plug"] == pytest.approx(1.025)


def test_where_all_had_company_they_have_to_do_and_that_is_said() -> None:
    found = calibrate(made("unplug", [3.0] * 5, beside=1), load_timings())
    (told,) = [each for each in found.fits if each.observations]
    assert (told.name, told.value, told.told) == ("seconds.unplug", 3.0, "unplug, with others beside")


def test_a_boot_alone_is_divided_as_it_was_before() -> None:
    found = calibrate(made("spawn", [6.0] * 9, starts=True), load_timings(spread=0.0)).timings
    assert (found.seconds["define"], found.seconds["start"]) == (pytest.approx(3.0), pytest.approx(3.0))


@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_the_spread_is_told_by_boots_where_nothing_else_tells_it(spread: float) -> None:
    truth = load_timings(spread=spread, seconds={"define": 2.0, "start": 2.0})
    records = [each for each in durations(truth, 400) if each.operation == "spawn"]
    found = calibrate(records, load_timings(spread=0.0))
    (told,) = [each for each in found.fits if each.name == "spread"]
    assert told.told == "spawn"
    assert found.timings.spread == pytest.approx(spread, rel=0.15)
    errors = {each.operation: each.error for each in median_errors(found.timings, records)}
    assert abs(errors["spawn"]) < 0.001


def test_boots_that_had_to_fetch_an_image_say_nothing_of_the_others() -> None:
    records = made("spawn", [60.0] * 9, starts=True, image_bytes=2**30, image_there=False)
    records += made("spawn", [70.0] * 9, starts=True, image_bytes=2**30)  # nobody knows
    assert fitted(records) == {}


def test_migrations_of_one_size_tell_what_comes_before_the_memory() -> None:
    records = made("live_migrate", [5.0] * 5, memory_mib=1000.0)
    assert fitted(records) == {"seconds.migrate": pytest.approx(5.0 - 1.3 - 0.3)}
    quick = calibrate(made("live_migrate", [0.5] * 5, memory_mib=1000.0), load_timings()).timings
    assert predicted(quick, records[0]) == pytest.approx(0.5)


def test_the_store_sends_no_less_than_one_host_gets() -> None:
    found = calibrate(made("fetch", [0.1] * 5, image_bytes=500 * 2**20), load_timings()).timings
    assert found.boot.fetch_mib_s == found.store_mib_s == pytest.approx(5000.0)


def test_guests_boots_are_a_law() -> None:
    found = calibrate(made(GUEST_BOOT, [3.0, 4.0, 5.0, 4.0]), load_timings()).timings
    assert found.boot.guest.median == pytest.approx(4.0)  # type: ignore[union-attr]
    assert predicted(found, made(GUEST_BOOT, [1.0])[0]) == pytest.approx(4.0)


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=4), st.floats(0.0, 0.5))
def test_the_median_of_a_sum_is_about_the_sum(medians: list[float], spread: float) -> None:
    found = median_of_sum(medians, spread)
    assert sum(medians) * (1 - 1e-9) <= found <= sum(medians) * 2.718 ** (spread**2 / 2) + 1e-9


def test_a_share_of_each_kind_is_held_out_the_same_each_time() -> None:
    records = [*made("pause", range(10)), *made("plug", range(4)), *made("fence", range(2))]
    kept, out = hold_out(records, 0.3, Streams(1))
    assert [each.operation for each in out] == ["pause"] * 3 + ["plug"]
    assert sorted([*kept, *out], key=repr) == sorted(records, key=repr)
    assert hold_out(records, 0.3, Streams(1)) == (kept, out)
    assert hold_out([*records, *made("unplug", range(50))], 0.3, Streams(1))[1][:4] == out
    assert hold_out(records, 0.0, Streams(1)) == (tuple(records), ())


def test_a_calibration_file_is_read_as_it_was_made(tmp_path: Path) -> None:
    records = durations(load_timings(seconds={"start": 7.0}), 20)
    found = calibrate(records, load_timings())
    path = tmp_path / "calibration.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(document(found, records, median_errors(found.timings, records)), file)
    timings = read_timings(path)
    assert timings.seconds == pytest.approx(found.timings.seconds, rel=1e-5)
    assert timings.boot.fetch_mib_s == pytest.approx(found.timings.boot.fetch_mib_s, rel=1e-5)
    assert timings.boot.guest == found.timings.boot.guest
    told = YAML(typ="safe").load(path)["source"]
    assert told["observations"]["seconds.start"] == 20
    assert "detect" in told["assumed"]


records = st.builds(
    Duration,
    st.sampled_from(
        ["spawn", "live_migrate", "power_off", "power_on", "destroy", "suspend", "fetch", GUEST_BOOT, "odd"]
    ),
    st.one_of(st.just(0.0), st.floats(0.0, 1e9)),
    st.sampled_from(Outcome),
    st.just("h0"),
    st.just(DAY),
    memory_mib=st.none() | st.floats(0.0, 1e7),
    image_bytes=st.none() | st.integers(0, 2**50),
    image_there=st.none() | st.booleans(),
    starts=st.none() | st.booleans(),
    grace=st.none() | st.floats(0.0, 1e5),
    beside=st.integers(0, 2),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(records, max_size=60), st.integers(1, 4))
def test_whatever_was_recorded_gives_timings_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, told: list[Duration], at_least: int
) -> None:
    found = calibrate(told, load_timings(), at_least=at_least)
    path = tmp_path_factory.mktemp("calibration") / "c.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(document(found, told, median_errors(found.timings, told)), file)
    assert read_timings(path).seconds == pytest.approx(found.timings.seconds, rel=1e-5)


def test_a_calibration_file_may_leave_things_out(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("seconds: {start: 9 s}\nspread: 0.5\n")
    timings = read_timings(tmp_path / "c.yaml")
    assert timings == load_timings(seconds={"start": 9}, spread=0.5)
    assert timings.seconds["define"] == load_timings().seconds["define"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seconds: {strat: 9}", "seconds.strat"),
        ("seconds: {start: -9}", "seconds.start"),
        ("seconds: 7", "seconds"),
        ("speed: 7", "speed"),
        ("spread: .nan", "spread"),
        ("- a", "it has no keys"),
        ("7: 3", "it has no keys"),
        ("{", "it is not YAML"),
        ("\x00", "it is not YAML"),
        ("boot: {guest: inf}", "boot"),
    ],
)
def test_a_calibration_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_timings(tmp_path / "c.yaml")
    assert message in caught.value.message
    assert caught.value.message.startswith(f"{tmp_path}/c.yaml: ")
    with pytest.raises(InputError, match="cannot be read"):
        read_timings(tmp_path / "missing")
