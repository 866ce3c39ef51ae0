"""Scenario files: the form that must work, and what is said about files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sundog.errors import InputError
from sundog.scenarios.load import library, load_scenario
from sundog.scenarios.run import prepare
from sundog.sim.spec import Wait
from tests.unit.scenarios.files import SMALL, refusal, small, study_of, write

THE_FORM = """\
name: eucalyptus-ds1
seed: 1
horizon: 30 d                      # or left out: until the last event
fleet:
  - type: {name: node24, vcpus: 24, memory: 128 GiB, disk: 2 TiB}     # gpus: 8, gpu_model: T4 … where wanted
    count: 13
    zone: az1
    racks: 2
workload:
  trace: {format: eucalyptus, path: ../shared/traces/eucalyptus/DS1-trace.txt, limit: null, time_scale: 1.0}
  # or  synthetic: {preset: azure-like, arrivals_per_day: 60000}
policy: {name: best-fit}           # or module:Class, with its parameters beside the name
overcommit: {vcpus: 4.0, memory: 1.0}
on_full: reject                    # or  {wait: 10 min}
faults:
  hosts: {mtbf: 180 d, mttr: 4 h}
"""


def test_the_documented_form_is_read_and_its_trace_found_relative_to_the_file(tmp_path: Path) -> None:
    scenario = write(tmp_path / "studies" / "ds1.yaml", THE_FORM)
    log = "START 0 i-1 n3 2\nSTART 60 i-2 n4 4\nSTOP 600 i-1\n"
    write(tmp_path / "shared/traces/eucalyptus/DS1-trace.txt", log)

    loaded = load_scenario(scenario)
    study = prepare(loaded)

    made = loaded.scenario
    assert (made.name, made.seed, made.horizon, made.on_full) == ("eucalyptus-ds1", 1, 30 * 86400.0, "reject")
    assert made.fleet[0].type.memory == 128 * 1024
    assert made.fleet[0].type.disk == 2048
    assert made.faults.hosts is not None
    assert made.faults.hosts.mttr == 4 * 3600
    assert (len(study.fleet), study.fleet.names[0], study.fleet.racks[-1]) == (13, "node24-00", "az1-r1")
    assert study.workload.frame["vm_id"].tolist() == ["i-1", "i-2"]
    assert study.workload.lifetime_s.tolist() == [600.0, float("inf")]


def test_the_alternatives_that_the_form_names_are_read_too(tmp_path: Path) -> None:
    text = THE_FORM.replace("on_full: reject ", "on_full: {wait: 10 min} ")
    lines = [line for line in text.splitlines() if "  trace:" not in line]
    text = "\n".join(lines).replace("# or  synthetic: {preset: azure-like, arrivals_per_day: 60000}", "{synthetic}")
    text = text.replace("{synthetic}", "synthetic: {preset: azure-like, arrivals_per_day: 60}")
    study = study_of(write(tmp_path / "s.yaml", text.replace("disk: 2 TiB", "disk: 2 TiB, gpus: 8, gpu_model: T4")))

    assert study.loaded.scenario.on_full == Wait(wait=600)
    assert study.fleet.type_of(0).gpus == 8


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed: 1", "sead: 1", "small.yaml:2:1: unknown key 'sead'; did you mean 'seed'?"),
        ("vcpus: 16", "vcpu: 16", "small.yaml:5:24: unknown key 'fleet.0.type.vcpu'; did you mean 'vcpus'?"),
        ("    zone: az1", "    zoen: az1", "small.yaml:7:5: unknown key 'fleet.0.zoen'; did you mean 'zone'?"),
        ("weight: 3", "wieght: 3", "small.yaml:14:44: unknown key 'workload.synthetic.flavors.0.wieght'; did you mean"),
        ("mean: 2 h", "maen: 2 h", "small.yaml:12:35: unknown key 'workload.synthetic.lifetimes.maen'; did you mean"),
        ("{wait: 10", "{wiat: 10", "small.yaml:18:11: unknown key 'on_full.wiat'; did you mean 'wait'?"),
        ("mttr: 1 h", "mtrr: 1 h", "small.yaml:20:22: unknown key 'faults.hosts.mtrr'; did you mean 'mttr'?"),
        ("seed: 1", "5: 1", "small.yaml:2:1: unknown key '5'"),
        ("seed: 1", "seed: -1", "small.yaml:2:7: seed: -1 should be greater than or equal to 0"),
        ("seed: 1", "seed: 1.5", "small.yaml:2:7: seed: 1.5 is not a whole number"),
        ("seed: 1", "seed: true", "small.yaml:2:7: seed: true is not a number"),
        ("count: 4", "count: many", "small.yaml:6:12: fleet.0.count: 'many' is not a whole number"),
        ("count: 4", "count: 0", "small.yaml:6:12: fleet.0.count: 0 should be greater than 0"),
        ("count: 4", "count: 1", "small.yaml:5:5: fleet.0: 2 racks for 1 hosts; a rack needs at least one host"),
        ("count: 4", "count:", "small.yaml:6:5: fleet.0.count: nothing is not a whole number"),
        ("vcpus: 16", "vcpus: -16", "small.yaml:5:31: fleet.0.type.vcpus: -16 should be greater than 0"),
        ("vcpus: 16", "vcpus: .nan", "small.yaml:5:31: fleet.0.type.vcpus: nan is not a finite number"),
        ("vcpus: 16", "vcpus: 1e300", "small.yaml:5:3: host type node: 1e+300 of VCPU is more than can be counted"),
        ("count: 4", "count: 1000000000", "small.yaml:5:3: 1,000,000,000 hosts are more than Sundog takes"),
        ("64 GiB", "64 GBi", "small.yaml:5:43: fleet.0.type.memory: 'GBi' is not a unit of size; use one of KiB, MiB"),
        ("64 GiB", "0 GiB", "fleet.0.type.memory: '0 GiB' should be greater than 0"),
        ("64 GiB", "lots", "small.yaml:5:43: fleet.0.type.memory: 'lots' is not a size; write a number and a unit"),
        ("64 GiB", "[64]", "fleet.0.type.memory: [64] is not a size"),
        ("horizon: 6 h", "horizon: 6 parsec", "small.yaml:3:10: horizon: 'parsec' is not a unit of time; use one of"),
        ("horizon: 6 h", "horizon: -6 h", "small.yaml:3:10: horizon: '-6 h' is not above zero"),
        ("horizon: 6 h\n", "", "a synthetic workload goes on for ever; give a 'horizon'"),
        ("mtbf: 1 d, ", "", "small.yaml:20:10: faults.hosts: give the time to failure once"),
        ("{vcpus: 2.0, memory: 1.0}", "4", "small.yaml:17:13: overcommit: 4 is not a mapping of keys"),
        ("{wait: 10 min}", "queue", "small.yaml:18:10: on_full: 'queue' is not an answer; write 'reject' or {wait"),
        ("{wait: 10 min}", "{wait: 10 mn}", "small.yaml:18:17: on_full.wait: 'mn' is not a unit of time"),
        ("law: exponential", "law: exponentail", "unknown law 'exponentail'; did you mean exponential"),
        ("arrivals_per_day: 200", "preset: azure", "workload.synthetic.preset: unknown preset 'azure'"),
        ("name: best-fit", "name: bestfit", "small.yaml:16:16: there is no policy 'bestfit'; did you mean 'best-fit'?"),
        ("name: best-fit", "name: best-fit, wights: {}", "small.yaml:16:16: policy 'best-fit' does not take these"),
        ("name: best-fit", "name: 'nowhere:Mine'", "small.yaml:16:16: policy 'nowhere:Mine': module 'nowhere' cannot"),
        ("name: best-fit", "nmae: best-fit", "small.yaml:16:9: 'policy.name' is missing"),
        ("name: small\n", "", "small.yaml:1:1: 'name' is missing"),
        ("name: small", "name: 2017-01-01x", None),
        ("count: 4", "inventory: trace", "small.yaml:5:5: unknown key 'fleet.0.type'; known here: inventory, order, "),
    ],
)  # fmt: skip
def test_an_error_says_where_it_is_and_what_was_expected(tmp_path: Path, old: str, new: str, said: str | None) -> None:
    path = small(tmp_path, (old, new))
    if said is None:
        load_scenario(path)
    else:
        assert said in refusal(path)


def test_an_empty_fleet_is_refused_at_its_place(tmp_path: Path) -> None:
    text = SMALL[: SMALL.index("fleet:")] + "fleet: []\n" + SMALL[SMALL.index("workload:") :]
    assert refusal(write(tmp_path / "s.yaml", text)) == "s.yaml:4:8: 'fleet' is empty; give at least one entry"


def test_a_workload_is_a_trace_or_laws_and_not_both_or_none(tmp_path: Path) -> None:
    both = small(tmp_path, ("workload:\n", "workload:\n  trace: {format: huawei}\n"))
    assert "small.yaml:10:3: workload: a workload is either 'trace' or 'synthetic'" in refusal(both)
    none = SMALL[: SMALL.index("  synthetic")] + "  {}\n" + SMALL[SMALL.index("policy:") :]
    assert "s.yaml:10:3: workload: a workload is either" in refusal(write(tmp_path / "s.yaml", none))


def test_an_unknown_trace_format_is_refused_with_the_ones_that_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "s.yaml", THE_FORM.replace("format: eucalyptus", "format: eucaliptus"))
    said = refusal(path)
    assert said.startswith(
        "s.yaml:10:10: workload.trace: unknown trace format 'eucaliptus'; did you mean 'eucalyptus'?"
    )
    assert "azure-packing" in said


def test_an_unknown_option_of_a_trace_format_is_refused_with_the_place_in_the_scenario(tmp_path: Path) -> None:
    write(tmp_path / "vms.txt", "START 0 i-1 n3 2\n")
    trace = "trace: {format: eucalyptus, path: vms.txt, options: {memory_per_vcpu: 5}}"
    text = SMALL[: SMALL.index("  synthetic")] + f"  {trace}\n" + SMALL[SMALL.index("policy:") :]
    said = refusal(write(tmp_path / "s.yaml", text))
    assert said.startswith(
        "s.yaml:10:55: unknown option 'memory_per_vcpu' for traces of format eucalyptus; did you mean"
    )


def test_several_errors_are_all_told_each_with_its_place(tmp_path: Path) -> None:
    path = small(tmp_path, ("count: 4", "count: 0"), ("64 GiB", "64 Gib"), ("mtbf: 1 d", "mtfb: 1 d"))
    lines = refusal(path).splitlines()
    assert lines[0].startswith("small.yaml:20:11: unknown key 'faults.hosts.mtfb'; did you mean 'mtbf'?")
    assert [line.split(": ")[0] for line in lines[1:]] == ["small.yaml:5:43", "small.yaml:6:12"]


def test_names_of_things_that_the_fleet_does_not_have_are_refused_at_their_place(tmp_path: Path) -> None:
    outage = (
        "faults:\n  outages:\n    - {rack: az1-r0, at: 1 h, duration: 1 h}\n    - {rack: r9, at: 1 h, duration: 1 h}"
    )
    assert "small.yaml:22:7: the fleet has no rack 'r9'; it has az1-r0" in refusal(small(tmp_path, ("faults:", outage)))
    work = "maintenance:\n  - {zone: az9, at: 1 h, duration: 1 h}\nfaults:"
    assert "small.yaml:20:5: the fleet has no zone 'az9'; it has az1" in refusal(small(tmp_path, ("faults:", work)))


def test_one_name_for_two_different_types_is_refused_at_the_fleet(tmp_path: Path) -> None:
    second = "fleet:\n  - {count: 1, type: {name: node, vcpus: 1, memory: 1 GiB}}"
    assert "small.yaml:5:3: host type 'node' is defined twice" in refusal(small(tmp_path, ("fleet:", second)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "s.yaml:1:1: a scenario is a mapping of keys such as name, fleet and workload"),
        (b"- a\n", "s.yaml:1:1: a scenario is a mapping of keys"),
        (b"just words\n", "s.yaml:1:1: a scenario is a mapping of keys"),
        (b"name: a\nseed: [1\n", "s.yaml:3:1: not valid YAML: "),
        (b"name: x\n\tseed: 1\n", "s.yaml:2:1: not valid YAML: found character '\\t'"),
        (b"name: a\nname: b\n", 's.yaml:2:1: not valid YAML: found duplicate key "name"'),
        (b"name: *b\n", "s.yaml:1:7: not valid YAML: found undefined alias 'b'"),
        (b"a: 1\n---\nb: 2\n", "s.yaml:2:1: not valid YAML: but found another document"),
        (b"name: a\ndescription: caf\xe9\n", "s.yaml:2:17: not a text in UTF-8; save it as such"),
        (b"name: a\nseed: \x00\n", "s.yaml:2:7: not valid YAML: a character that YAML does not allow"),
        (b"horizon: 2001-99-99\n", "s.yaml: not valid YAML: month must be in 1..12"),
        (b"horizon: !!int foo\n", "s.yaml: not valid YAML: invalid literal"),
        (b"name: &a [*a]\n", "s.yaml"),
        (b"&a {name: *a}\n", "s.yaml: the values are nested too deeply, or contain themselves"),
        (b"[" * 1500, "s.yaml: not valid YAML: nested too deeply"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused_with_the_place(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    assert refusal(path).startswith(said)


def test_a_byte_order_mark_and_anchors_and_merges_are_read(tmp_path: Path) -> None:
    text = SMALL.replace("- type: {name: node,", "- type: &node {name: node,").replace(
        "workload:", "  - type: {<<: *node, name: twin}\n    count: 1\nworkload:"
    )
    scenario = load_scenario(write(tmp_path / "s.yaml", "\ufeff" + text)).scenario
    assert [(each.type.name, each.type.vcpus) for each in scenario.fleet] == [("node", 16), ("twin", 16)]


def test_an_error_in_what_a_merge_brought_is_told_at_the_mapping_that_merged_it(tmp_path: Path) -> None:
    text = SMALL.replace("workload:", "  - type: {<<: {vcpus: 0}, name: twin, memory: 1 GiB}\n    count: 1\nworkload:")
    assert refusal(write(tmp_path / "s.yaml", text)).startswith("s.yaml:9:11: fleet.1.type.vcpus: 0 should be greater")


def test_a_scenario_that_is_nowhere_is_refused_with_the_library(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no scenario 'quickstrat': no such file, .*did you mean 'quickstart'\?"):
        load_scenario("quickstrat")
    with pytest.raises(InputError, match=r"a folder without scenario\.lock\.yaml"):
        load_scenario(tmp_path)
    with pytest.raises(InputError, match="cannot be looked up"):
        load_scenario("x" * 5000)


def test_a_file_that_is_there_wins_over_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "quickstart", SMALL)
    assert load_scenario("quickstart").scenario.name == "small"


@pytest.mark.parametrize("name", list(library()))
def test_every_library_scenario_says_what_it_shows_and_runs_without_a_trace_or_asks_for_it(name: str) -> None:
    loaded = load_scenario(name)
    assert loaded.scenario.name == name
    assert loaded.scenario.description
    if loaded.scenario.workload.trace is None:
        prepare(loaded)
    else:
        with pytest.raises(InputError, match=r"needs a trace in format .* --set workload\.trace\.path=PATH") as caught:
            prepare(loaded)
        assert caught.value.line is not None
