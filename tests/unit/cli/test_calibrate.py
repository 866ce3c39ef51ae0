"""``sundog calibrate``: what it writes, what it prints, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from sundog.backends.durations import Duration, Outcome
from sundog.backends.simulated import read_timings
from tests.unit.cli.conftest import Command

ONE = Duration("pause", 2.0, Outcome.DONE, "h0", datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def durations(tmp_path: Path) -> Path:
    """Twenty of one kind, and one that failed."""
    path = tmp_path / "durations.jsonl"
    records = [replace(ONE, seconds=2.0 + 0.01 * (i % 5)) for i in range(20)]
    path.write_text(
        "".join(f"{each.line()}\n" for each in [*records, replace(ONE, operation="plug", outcome=Outcome.FAILED)])
    )
    return path


def test_it_writes_timings_and_says_where_they_are_from(durations: Path, tmp_path: Path, sundog: Command) -> None:
    out = tmp_path / "calibration.yaml"
    told = sundog("calibrate", durations, "--out", out)
    assert told.code == 0, told.err
    assert read_timings(out).seconds["pause"] == pytest.approx(2.02, abs=0.02)
    source = YAML(typ="safe").load(out)["source"]
    assert source["observations"] == {"seconds.pause": 14}
    assert source["held_out"]["pause"]["observations"] == 6
    assert "seconds.start" in source["assumed"]
    lines = {line.split()[0]: line for line in told.out.splitlines() if line.strip()}
    assert lines["seconds.pause"].split()[1:4] == ["2.02", "0.03", "14"]
    assert "kept" in lines["seconds.start"]
    assert "power_on or reboot" in lines["seconds.start"]
    assert lines["pause"].split()[-1].endswith("%")


def test_it_prints_json_and_needs_no_held_out(durations: Path, tmp_path: Path, sundog: Command) -> None:
    told = sundog("calibrate", durations, "--out", tmp_path / "c.yaml", "--held-out", 0, "--json")
    answer = json.loads(told.out)
    assert answer["held_out"] == []
    (pause,) = [each for each in answer["parameters"] if each["name"] == "seconds.pause"]
    assert pause["observations"] == 20


def test_files_are_replaced_only_when_asked(durations: Path, tmp_path: Path, sundog: Command) -> None:
    out = tmp_path / "c.yaml"
    out.write_text("mine")
    told = sundog("calibrate", durations, "--out", out)
    assert told.code == 4
    assert out.read_text() == "mine"
    assert sundog("calibrate", durations, "--out", out, "--force").code == 0
    assert sundog("calibrate", durations, "--out", tmp_path / "missing" / "c.yaml").code == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["c.yaml", "durations.jsonl"]


def test_bad_records_shares_and_empty_files_are_refused(durations: Path, tmp_path: Path, sundog: Command) -> None:
    out = tmp_path / "c.yaml"
    (tmp_path / "empty").write_text("\n")
    told = sundog("calibrate", tmp_path / "empty", "--out", out)
    assert (told.code, "not one record" in told.err) == (2, True)
    told = sundog("calibrate", durations, "--out", out, "--held-out", 1)
    assert (told.code, "--held-out" in told.err) == (2, True)
    with durations.open("a") as file:
        file.write('{"operation": "pause"}\n')
    told = sundog("calibrate", durations, "--out", out)
    assert told.code == 2
    assert f"{durations}:22: " in told.err
    assert not out.exists()


def test_a_cloud_is_not_served_with_timings_that_make_no_sense(tmp_path: Path, sundog: Command) -> None:
    (tmp_path / "c.yaml").write_text("seconds: {start: soon}\n")
    told = sundog("serve", "--timings", tmp_path / "c.yaml", "--state", ":memory:")
    assert (told.code, "seconds.start" in told.err) == (2, True)
    (tmp_path / "c.yaml").write_text("seconds: {start: 1}\n")
    told = sundog("serve", "--timings", tmp_path / "c.yaml", "--backend", "libvirt", "--state", tmp_path / "state")
    assert (told.code, "--timings" in told.err) == (2, True)
