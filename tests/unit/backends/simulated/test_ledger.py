"""A simulated cloud whose process ends at any moment: what was answered is there again, and nothing is half there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sundog.backends.contract import PowerState
from sundog.backends.simulated import FileLedger, HostFault, Scope, SimulatedDriver
from sundog.backends.simulated.ledger import CopyRecord, Holding
from sundog.errors import InputError, OutputError
from sundog.runtime import warp
from tests.drivers import key, make_driver, make_image, make_port, make_spec

SPEC = make_spec(
    ports=(make_port(),), metadata={"a": "b"}, user_data=bytes(range(256)), config_drive=True, resources={"PGPU": 0.5}
)


def process(path: Path, main: Callable[[SimulatedDriver], Coroutine[Any, Any, Any]], *, until: float = 1e6) -> Any:
    """One process on the ledger ``path``; it ends at ``until``, whatever it is doing."""

    async def run(world: warp.World) -> Any:
        return await main(make_driver(world, 2, ledger=FileLedger(path)))

    return warp.run(run, horizon=until, at_horizon="stop")


async def life(driver: SimulatedDriver) -> None:
    """Everything that makes, moves and removes copies."""
    await driver.spawn("h0", SPEC, deadline=60)
    await driver.plug("h0", key(), make_port(2), deadline=60)
    await driver.live_migrate("h0", key(), "h1", generation=2, deadline=60)
    await driver.resize_begin("h1", key("s1", 2), "h0", make_spec(generation=3), deadline=60)
    await driver.resize_finish("h0", key("s1", 3), deadline=60)
    await driver.resize_confirm("h1", key("s1", 2), deadline=60)
    await driver.rebuild("h0", make_spec(generation=4, image=make_image("new")), deadline=60)
    await driver.pause("h0", key("s1", 4), deadline=60)
    await driver.destroy("h0", key("s1", 4), deadline=60)


async def listed(driver: SimulatedDriver) -> list[list[str]]:
    """What each host holds: generation, power state, how many ports."""
    return [
        [f"{copy.generation} {copy.power_state}{' kept' * copy.kept} {len(copy.ports)}" for copy in copies]
        for copies in driver.truth().values()
    ]


STAGES = [
    [[], []],
    [["1 running 1"], []],
    [["1 running 2"], []],
    [[], ["2 running 2"]],
    [["3 shutdown 0"], ["2 shutdown kept 2"]],
    [["3 running 0"], ["2 shutdown kept 2"]],
    [["3 running 0"], []],
    [["4 running 0"], []],
    [["4 paused 0"], []],
    [[], []],
]


@given(until=st.floats(0, 40))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whenever_the_process_ends_hosts_hold_what_they_held_between_two_operations(
    tmp_path: Path, until: float
) -> None:
    path = tmp_path / f"{until!r}.db"
    process(path, life, until=until)
    assert process(path, listed) in STAGES
    path.unlink()


def test_every_stage_is_met_on_the_way(tmp_path: Path) -> None:
    met = []
    for quarter in range(160):
        path = tmp_path / f"{quarter}.db"
        process(path, life, until=quarter / 4)
        met.append(process(path, listed))
    assert [stage for number, stage in enumerate(met) if number == 0 or stage != met[number - 1]] == STAGES


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    records = tuple(
        CopyRecord(SPEC, power, kept, ran, rescue, SPEC.ports)
        for power, kept, ran, rescue in (
            (PowerState.RUNNING, False, True, "x"), (PowerState.NOSTATE, True, False, None),
        )
    )  # fmt: skip
    ledger = FileLedger(tmp_path / "ledger.db")
    ledger.save([Holding("h0", "s1", records), Holding("h1", "s1", records[:1])])
    ledger.save([Holding("h1", "s1", ())])
    ledger.close()
    again = FileLedger(tmp_path / "ledger.db")
    assert again.load("h0") == (Holding("h0", "s1", records),)
    assert again.load("h1") == ()


def test_a_power_cut_and_a_crash_are_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def main(driver: SimulatedDriver) -> None:
        for host, server in (("h0", "s1"), ("h1", "s2")):
            await driver.spawn(host, make_spec(server), deadline=60)
        building = asyncio.get_running_loop().create_task(driver.spawn("h0", make_spec("s3"), deadline=60))
        await asyncio.sleep(0.5)
        driver.faults.strike(HostFault.KILL, Scope(host="h0"))
        driver.crash("h1", key("s2"))
        await asyncio.gather(building, return_exceptions=True)

    process(path, main)
    assert process(path, listed) == [["1 shutdown 0", "1 nostate 0"], ["1 crashed 0"]]


def test_a_file_that_is_none_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no ledger" * 1000)
    with pytest.raises(InputError, match="not what hosts hold"):
        FileLedger(wrong)
    with pytest.raises(OutputError, match="cannot open what hosts hold"):
        FileLedger(tmp_path / "nowhere" / "ledger.db")
    ledger = FileLedger(tmp_path / "ledger.db")
    ledger._file.execute("INSERT INTO holdings VALUES ('h0', 's1', '{}')")
    with pytest.raises(InputError, match="what host h0 holds of server s1 is damaged"):
        ledger.load("h0")
