"""``sundog place`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.scenarios.what_if.entries import files, host, server


def asked(folder: Path, hosts: Any = None, requests: Any = None) -> list[object]:
    hosts = [host("a", memory_mb_used=9000), host("b")] if hosts is None else hosts
    first, second = files(folder, hosts, [server("x"), server(2, vcpus=99)] if requests is None else requests)
    return ["place", "--hosts", first, "--requests", second]


def test_decisions_are_printed_as_json(sundog: Command, tmp_path: Path) -> None:
    ran = sundog(*asked(tmp_path))
    assert (ran.code, ran.err) == (0, "")
    assert [list(each) for each in ran.json] == [["id", "host", "weight", "alternates", "filtered"]] * 2
    assert [(each["id"], each["host"]) for each in ran.json] == [("x", "b"), (2, None)]
    explained = sundog(*asked(tmp_path), "--explain").json
    assert explained[0]["breakdown"]["RAMWeigher"] == 1.0
    assert sum(explained[0]["breakdown"].values()) == explained[0]["weight"] == 3.0
    assert explained[1]["reasons"]["a"] == "CapacityFilter: capacity is 8 VCPU; asked 99"


def test_decisions_are_written_whole_and_replaced(sundog: Command, tmp_path: Path) -> None:
    out = tmp_path / "decisions.json"
    for _ in range(2):
        ran = sundog(*asked(tmp_path), "--out", out)
        assert (ran.code, ran.out) == (0, "")
        assert ran.err == f"{out}: 1 of 2 placed\n"
    assert [each["host"] for each in json.loads(out.read_text())] == ["b", None]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decisions.json", "hosts.json", "requests.json"]
    ran = sundog(*asked(tmp_path), "--out", tmp_path / "none" / "x.json")
    assert ran.code == 4
    assert "cannot be written: No such file" in ran.err


@pytest.mark.parametrize(
    ("settings", "host_"),
    [
        (["ram_weight_multiplier=-1"], "a"),
        (["filter_scheduler.ram_weight_multiplier=-1"], "a"),
        (["ram_weight_multiplier=-1", "ram_weight_multiplier=1"], "b"),
        (["scheduler.max_attempts=1"], "b"),
        (["metrics.weight_multiplier=2"], "b"),
        (["enabled_filters=ComputeFilter,IsolatedHostsFilter", "isolated_hosts=b"], "a"),
        (["shuffle_best_same_weighed_hosts=true"], "b"),
    ],
)
def test_options_of_nova_are_set_by_their_names(
    sundog: Command, tmp_path: Path, settings: list[str], host_: str
) -> None:
    ran = sundog(*asked(tmp_path), *(part for each in settings for part in ("--set", each)))
    assert ran.json[0]["host"] == host_


def test_any_policy_may_be_named_and_filters_apply_to_it(sundog: Command, tmp_path: Path) -> None:
    best = sundog(*asked(tmp_path), "--policy", "best-fit", "--set", 'weights={"MEMORY_MB": 5}')
    assert best.json[0]["host"] == "a"
    kept = ["--set", "enabled_filters=IsolatedHostsFilter", "--set", "isolated_hosts=a"]
    assert sundog(*asked(tmp_path), "--policy", "best-fit", *kept).json[0]["host"] == "b"
    assert sundog(*asked(tmp_path), "--policy", "random", "--seed", 3).code == 0


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--set", "ram_weight_multiplier"], "write option=value"),
        (["--set", "ram_weight_multiplie=1"], "did you mean 'ram_weight_multiplier'?"),
        (["--set", "ram_weight_multiplier=much"], "--set ram_weight_multiplier=much: ram_weight_multiplier is 'much'"),
        (["--set", "host_subset_size=0"], "it must be a whole number of 1 or more"),
        (["--set", "enabled_filters=RamFilte"], "enabled_filters has 'RamFilte'"),
        (["--set", "enabled_filters=Nope", "--policy", "best-fit"], "enabled_filters has 'Nope'"),
        (["--policy", "bestfit"], "did you mean 'best-fit'?"),
        (["--policy", "best-fit", "--set", "ram_weight_multiplier=1"], "does not take these parameters"),
    ],
)
def test_a_wrong_option_is_told(sundog: Command, tmp_path: Path, more: list[str], says: str) -> None:
    ran = sundog(*asked(tmp_path), *more)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_a_mistake_in_a_file_is_told_with_its_place(sundog: Command, tmp_path: Path) -> None:
    ran = sundog(*asked(tmp_path, requests=[server(1, extra_spec={})]))
    assert ran.code == 2
    where = f"{tmp_path}/requests.json:7:3: [0].extra_spec"
    assert ran.err == f"sundog: {where}: unknown field; did you mean 'extra_specs'?\n"


def test_what_is_left_out_is_noted(sundog: Command, tmp_path: Path) -> None:
    ran = sundog(*asked(tmp_path, requests=[server(1, extra_specs={"hw:pmem": "x"})]))
    assert ran.err == "note: extra spec hw:pmem is not emulated; it was left out\n"
