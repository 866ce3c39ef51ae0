"""A scenario on two sides: the same decisions, whatever takes how long; and what a difference is told with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sundog.app import twin as twins
from sundog.app.twin import Plan, Side, Twins, play_on_simulated_hosts, requests_of
from sundog.backends.durations import read_durations
from sundog.backends.simulated import load_timings, read_timings
from sundog.cli.twin import tell
from sundog.errors import InputError
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import Study, prepare
from tests.unit.cli.conftest import command

SCENARIO = """
name: twins
horizon: 1 h
fleet: [{count: 2, type: {name: host, vcpus: 2, memory: 4 GiB, disk: 20}}]
workload: {trace: {path: trace.csv, format: normalised}}
policy: nova
"""
TRACE = """vm_id,arrival_s,lifetime_s,vcpus,memory_mb,disk_gb
a,0,600,1,128,1
b,10,1200,1,256,1
c,20,,1,128,1
d,30,300,1,512,1
e,40,,1,128,1
f,600,,1,256,1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small scenario: six servers, of which one finds no host."""
    (tmp_path / "trace.csv").write_text(TRACE)
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    return tmp_path / "scenario.yaml"


def study(path: Path, *options: str) -> Study:
    return prepare(load_scenario(str(path), options))


def plan(read: Study, **facts: object) -> Plan:
    made = Plan(requests_of(read, live_migrate=bool(facts.pop("live_migrate", False))), "nova", 1)
    return replace(made, **facts)  # type: ignore[arg-type]


def test_requests_come_in_the_scenarios_order_and_what_goes_makes_room_first(path: Path) -> None:
    asked = [str(each) for each in requests_of(study(path))]
    assert asked == [
        "create a", "create b", "create c", "create d", "create e", "delete d", "delete a", "create f", "delete b",
    ]  # fmt: skip
    assert [str(each) for each in requests_of(study(path), live_migrate=True)][:4] == [
        "create a", "live-migrate a", "create b", "live-migrate b",
    ]  # fmt: skip


@pytest.mark.parametrize("policy", ["nova", "best-fit", "round-robin"])
def test_both_sides_decide_the_same_however_long_things_take(path: Path, policy: str) -> None:
    read = study(path)
    slow = load_timings(seconds={"start": 100, "destroy": 50, "migrate": 30}, boot={"fetch_mib_s": 0.001})
    told = play_on_simulated_hosts(plan(read, policy=policy, live_migrate=True), read, load_timings(), slow)
    assert told.different == ()
    hosts = {str(each.asked): each.host for each in told.real.decided}
    assert set(hosts.values()) == {"host-0", "host-1", None}
    assert hosts["create e"] is None
    assert hosts["create f"] is not None
    kinds = {each.operation: each for each in told.compared()}
    assert kinds["request create"].counts == (5, 5)
    assert kinds["request create"].simulated > 100
    assert kinds["live_migrate"].simulated > 20
    assert kinds["spawn with its image"].simulated > 100


def test_a_side_that_is_played_again_with_the_same_timings_is_about_as_long(path: Path) -> None:
    read = study(path)
    timings = load_timings(spread=0.0)
    told = play_on_simulated_hosts(plan(read, booted="ready"), read, timings, timings)
    errors = {each.operation: each.error for each in told.compared()}
    for operation in ("guest_boot", "request boot"):  # guests have luck of their own
        assert errors.pop(operation) != 0.0
    assert all(error == pytest.approx(0.0, abs=1e-6) for error in errors.values()), errors


def test_medians_are_compared_of_what_was_done_on_both_sides(path: Path) -> None:
    read = study(path)
    told = play_on_simulated_hosts(plan(read), read, load_timings(), load_timings())
    alone = Twins(told.real, Side(told.simulated.decided, told.simulated.durations[:1]))
    assert [each.operation for each in alone.compared()] == [told.simulated.durations[0].operation]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("workload={trace: {path: other.csv, format: normalised}}", "asks more than vCPUs, memory and disk"),
        ("policy={name: nova, cpu_weight_multiplier: 2}", "has options here"),
    ],
)
def test_what_a_cloud_is_not_asked_by_sizes_alone_is_refused(path: Path, option: str, message: str) -> None:
    path.with_name("other.csv").write_text(TRACE.replace("disk_gb\n", "disk_gb,zone\n").replace(",1\n", ",1,z\n"))
    with pytest.raises(InputError, match=message):
        requests_of(study(path, option, "fleet.0.zone=z"))


def test_real_hosts_take_a_disk_a_folder_of_hosts_and_no_more(path: Path, tmp_path: Path) -> None:
    ready = plan(study(path))
    with pytest.raises(InputError, match="--image"):
        twins.play_on_real_hosts(ready, str(tmp_path / "state"), load_timings(), lambda _told: None)
    with pytest.raises(InputError, match="no real hosts"):
        twins.play_on_real_hosts(
            replace(ready, image=path), str(tmp_path / "state"), load_timings(), lambda _told: None
        )
    assert not (tmp_path / "state").exists()


def test_the_command_shows_both_sides_and_leaves_what_was_measured(path: Path, tmp_path: Path) -> None:
    durations, timings = tmp_path / "d.jsonl", tmp_path / "c.yaml"
    asked = ("twin", path, "--backend", "simulated", "--live-migrate")
    told = command(*asked, "--durations", durations)
    assert told.code == 0, told.err
    assert "15 of 15 decisions are the same" in told.out
    assert "nowhere" in told.out
    assert {each.operation for each in read_durations(durations)} >= {"spawn", "live_migrate", "destroy", "fetch"}

    assert command("calibrate", durations, "--out", timings, "--held-out", 0).code == 0
    assert read_timings(timings) != load_timings()
    answer = json.loads(command(*asked, "--timings", timings, "--json").out)
    assert all(each["same"] and each["why"] is None for each in answer["decisions"])
    assert {each["operation"] for each in answer["durations"]} >= {"spawn", "request create"}


def test_a_difference_is_told_with_its_reasons(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One side has a host less."""
    read, less = study(path), study(path, "fleet.0.count=1")
    two = play_on_simulated_hosts(plan(read), read, load_timings(), load_timings())
    one = play_on_simulated_hosts(plan(less), less, load_timings(), load_timings())
    told = Twins(two.real, one.simulated)
    assert [str(real.asked) for real, _ in told.different] == ["create b", "create c", "create d"]

    tell(told, as_json=False)
    shown = capsys.readouterr().out
    assert "create b: why\n  real: it is on host-1; the scheduler chose host-1; in its order: host-1 (" in shown
    assert "  simulated: it is nowhere; fault: No valid host was found. ; " in shown
    assert " refused 1 of 1" in shown
    assert "6 of 9 decisions are the same" in shown
    tell(told, as_json=True)
    different = [each for each in json.loads(capsys.readouterr().out)["decisions"] if not each["same"]]
    assert "refused 1 of 1" in different[1]["why"]["simulated"]


def test_nonsense_is_refused(path: Path) -> None:
    for arguments, message in (
        (("--backend", "vmware"), "no backend"),
        (("--image", "missing"), "no such file"),
        (("--timings", "missing"), "cannot be read"),
    ):
        told = command("twin", path, *arguments)
        assert (told.code, message in told.err) == (2, True), told.err
