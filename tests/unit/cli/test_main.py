"""The commands: what they print, as text and as JSON, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import sundog as package
from tests.unit.cli.conftest import Command, Ran
from tests.unit.scenarios.files import SMALL, VMS, by_hand, small, write

LOG = "START 0 i-1 n3 2\nSTART 60 i-2 n4 4\nSTOP 600 i-1\n"


def no_escapes(ran: Ran) -> bool:
    return "\x1b" not in ran.out + ran.err and "\r" not in ran.out + ran.err


# ---------------------------------------------------------------- run


def test_a_run_writes_everything_and_prints_the_summary_and_where_the_report_is(finished: Path) -> None:
    assert sorted(each.name for each in finished.iterdir()) == [
        "events.parquet", "figures", "hosts.parquet", "placements.parquet", "report.html", "run.json",
        "scenario.lock.yaml", "summary.json", "timeseries.parquet", "vms.parquet",
    ]  # fmt: skip
    printed = (finished.parent / "printed.txt").read_text()
    assert "Conservation holds" in printed
    assert f"Report: {finished / 'report.html'}" in printed
    assert "\x1b" not in printed
    figures = json.loads((finished / "summary.json").read_text())["figures"]
    assert f"{figures['requests.total']['value']} VMs: {figures['requests.completed']['value']} completed" in printed


def test_a_run_prints_as_json_what_its_summary_has(sundog: Command, tmp_path: Path) -> None:
    ran = sundog("run", by_hand(tmp_path), "--out", tmp_path / "out", "--json")
    assert ran.code == 0
    assert no_escapes(ran)
    assert ran.json == json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {key: ran.json["figures"][f"requests.{key}"]["value"] for key in ("total", "completed", "rejected")} == {
        "total": 6, "completed": 3, "rejected": 2,
    }  # fmt: skip
    assert ran.err.startswith("note: 1 of 6 requests fit no host")
    assert ran.json["run"]["notes"][0] == ran.err.removeprefix("note: ").strip()


def test_a_run_without_a_report_says_where_the_results_are(sundog: Command, tmp_path: Path) -> None:
    ran = sundog("run", by_hand(tmp_path), "--out", tmp_path / "out")
    assert f"Results: {tmp_path / 'out'}\n" in ran.out
    assert not (tmp_path / "out" / "report.html").exists()
    assert not (tmp_path / "out" / "figures").exists()


@pytest.mark.parametrize(
    ("name", "folder"), [("by-hand", "by-hand"), ("../../a b/c", "a-b-c"), ("/", "run"), ("Ünï 1.5", "Ünï-1.5")]
)
def test_results_go_to_runs_under_the_name_of_the_scenario_by_default(
    sundog: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sundog("run", by_hand(tmp_path), "--set", f"name='{name}'").code == 0
    assert [each.name for each in (tmp_path / "runs").iterdir()] == [folder]


def test_results_that_exist_are_refused_unless_forced(sundog: Command, tmp_path: Path) -> None:
    scenario, out = by_hand(tmp_path), tmp_path / "out"
    assert sundog("run", scenario, "--out", out).code == 0
    ran = sundog("run", scenario, "--out", out)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == f"sundog: {out} exists; choose another folder with --out, or replace it with --force\n"
    ran = sundog("run", scenario, "--out", out, "--force", "--seed", 9, "--json")
    assert (ran.code, ran.json["run"]["seed"]) == (0, 9)


def test_a_folder_that_is_no_result_is_refused_even_when_forced(sundog: Command, tmp_path: Path) -> None:
    write(tmp_path / "thesis" / "chapter.tex", "years of work")
    ran = sundog("run", by_hand(tmp_path), "--out", tmp_path / "thesis", "--force")
    assert ran.code == 4
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


def test_a_run_is_repeated_from_its_folder(sundog: Command, finished: Path, tmp_path: Path) -> None:
    ran = sundog("run", finished, "--out", tmp_path / "again", "--set", "outputs.report=false")
    assert ran.code == 0
    for name in ("vms.parquet", "placements.parquet", "hosts.parquet", "events.parquet", "summary.json"):
        assert (tmp_path / "again" / name).read_bytes() == (finished / name).read_bytes(), name


def test_a_repeated_run_notes_that_its_trace_is_another(sundog: Command, tmp_path: Path) -> None:
    assert sundog("run", by_hand(tmp_path), "--out", tmp_path / "out").code == 0
    by_hand(tmp_path, vms=VMS.replace("a,0,100", "a,0,90"))
    ran = sundog("run", tmp_path / "out", "--out", tmp_path / "again")
    assert ran.code == 0
    assert f"note: {tmp_path / 'vms.csv'} is not the file that the locked run read; results may differ" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "nowhere.yaml"], 2, "sundog: there is no scenario 'nowhere.yaml'"),
        (["run", "s.yaml", "--set", "fleet.0.count=0"], 2, "sundog: s.yaml: --set fleet.0.count=0: fleet.0.count: 0"),
        (["run", "s.yaml", "--set", "policy=nope"], 2, "there is no policy 'nope'"),
        (["run", "huawei-east-1"], 2, "say where it is with --set workload.trace.path=PATH"),
        (["run", "s.yaml", "--seed", "-1"], 2, "--set seed=-1: seed: -1 should be greater than or equal to 0"),
        (["run", "s.yaml", "--out", "s.yaml/x"], 4, "cannot write the results to s.yaml/x"),
        (["validate", "s.yaml", "--set", "horizon=1 parsec"], 2, "'parsec' is not a unit of time"),
        (["report", "nowhere"], 2, "nowhere"),
        (["report", "."], 2, "run.json"),
        (["explain", ".", "a"], 2, "is not a result folder: it has no scenario.lock.yaml"),
        (["trace", "info", "nowhere.csv"], 2, "there is no such file or folder"),
        (["trace", "info", "s.yaml"], 2, "sundog: s.yaml"),
        (["trace", "info", "log.txt", "--format", "eucaliptus"], 2, "unknown trace format 'eucaliptus'; did you mean"),
        (["trace", "info", "log.txt", "--format", "eucalyptus", "--option", "x=1"], 2, "unknown option 'x'"),
        (["trace", "info", "log.txt", "--format", "eucalyptus", "--option", "x"], 2, "--option x: write key=value"),
        (["trace", "convert", "log.txt", "s.yaml", "--format", "eucalyptus"], 4, "s.yaml exists"),
        (["trace", "convert", "log.txt", "x.doc", "--format", "eucalyptus"], 2, "x.doc"),
        (["trace", "convert", "log.txt", "no/x.csv", "--format", "eucalyptus"], 4, "no/x.csv"),
        (["launch"], 2, "No such command 'launch'"),
        (["run"], 2, "Missing argument"),
        (["run", "s.yaml", "--colour"], 2, "No such option"),
        (["run", "s.yaml", "--seed", "x"], 2, "Invalid value for '--seed'"),
    ],
)
def test_what_is_wrong_ends_with_its_code_one_message_and_nothing_written(
    sundog: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "s.yaml", SMALL)
    write(tmp_path / "log.txt", LOG)
    ran = sundog(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log.txt", "s.yaml"]


def test_a_failing_policy_ends_with_code_3_and_no_folder(sundog: Command, tmp_path: Path) -> None:
    write(tmp_path / "failing.py", "class Mine:\n    def choose(self, request, hosts):\n        return 1 // 0\n")
    scenario = small(tmp_path, ("name: best-fit", "name: 'failing:Mine'"))
    ran = sundog("run", scenario, "--out", tmp_path / "runs" / "out")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("sundog: policy failing:Mine raised ZeroDivisionError: ")
    assert "at decision 0 with 4 of 4 hosts feasible" in ran.err
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_interrupt_handler_is_what_it_was_after_a_run(sundog: Command, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    sundog("run", by_hand(tmp_path), "--out", tmp_path / "out")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupted_run_keeps_what_was_done_and_marks_it_as_partial(sundog: Command, tmp_path: Path) -> None:
    # The policy stands for the user who presses Ctrl-C at the hundredth decision.
    policy = """
    import os, signal

    class Impatient:
        def choose(self, request, hosts):
            if hosts.last >= 0 and hosts.servers().sum() >= 6:
                os.kill(os.getpid(), signal.SIGINT)
            return int(hosts.feasible.argmax())
    """
    write(tmp_path / "impatient.py", "\n".join(line[4:] for line in policy.splitlines()))
    scenario = small(tmp_path, ("name: best-fit", "name: 'impatient:Impatient'"))
    out = tmp_path / "out"
    ran = sundog("run", scenario, "--out", out)
    assert ran.code == 130
    assert "The run was interrupted: the results are partial." in ran.err
    assert "Partial result: the run was stopped before its end." in ran.out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["partial"] is True
    assert summary["conservation"]["holds"]
    assert 0 < summary["run"]["horizon_s"] < 6 * 3600
    vms = pd.read_parquet(out / "vms.parquet")
    assert 0 < len(vms) < 40
    assert "running" in set(vms["outcome"])


def test_a_policy_that_fails_while_the_run_is_being_interrupted_is_not_passed_over(
    sundog: Command, tmp_path: Path
) -> None:
    policy = "import os, signal\n\nclass Both:\n    def choose(self, request, hosts):\n"
    policy += "        os.kill(os.getpid(), signal.SIGINT)\n        raise ValueError('both at once')\n"
    write(tmp_path / "both_at_once.py", policy)
    scenario = small(tmp_path, ("name: best-fit", "name: 'both_at_once:Both'"))
    ran = sundog("run", scenario, "--out", tmp_path / "out")
    assert ran.code == 3
    assert "both at once" in ran.err
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- validate, scenarios, report, version, help


def test_validate_says_what_a_scenario_comes_to_and_writes_nothing(sundog: Command, tmp_path: Path) -> None:
    scenario = by_hand(tmp_path)
    ran = sundog("validate", scenario)
    assert ran.code == 0
    notes, verdict = ran.out.splitlines()
    assert notes.startswith("note: 1 of 6 requests fit no host")
    assert verdict == f"{scenario}: valid; 2 hosts, 6 VMs in 4 sizes, until the last event, policy first-fit"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["by-hand.yaml", "vms.csv"]
    ran = sundog("validate", scenario, "--set", "horizon=1 d", "--set", "fleet.0.count=1000")
    assert ran.out.endswith("1,000 hosts, 6 VMs in 4 sizes, 24 h, policy first-fit\n")


def test_scenarios_lists_the_library_and_the_policies(sundog: Command) -> None:
    ran = sundog("scenarios", "--json")
    listed = {each["name"]: each for each in ran.json["scenarios"]}
    wanted = {"quickstart", "azure-v1", "huawei-east-1", "eucalyptus", "openb-gpu", "openb-fgd"}
    wanted |= {"maintenance-week", "rack-outage"}
    assert wanted <= set(listed)
    assert listed["quickstart"]["trace"] is None
    assert listed["eucalyptus"]["trace"] == "eucalyptus"
    assert Path(listed["quickstart"]["path"]).is_file()
    assert {"best-fit", "nova"} <= set(ran.json["policies"])
    text = sundog("scenarios").out
    assert all(name in text for name in (*listed, *ran.json["policies"]))


def test_report_makes_the_analysis_again(sundog: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sundog("run", by_hand(tmp_path), "--out", out).code == 0
    summary = (out / "summary.json").read_bytes()
    (out / "summary.json").unlink()
    (out / "timeseries.parquet").unlink()
    ran = sundog("report", out, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert no_escapes(ran)
    assert (out / "summary.json").read_bytes() == summary
    assert ran.json == json.loads(summary)
    assert (out / "report.html").is_file()


def test_report_refuses_tables_that_were_cut(sundog: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sundog("run", by_hand(tmp_path), "--out", out).code == 0
    table = out / "vms.parquet"
    table.write_bytes(table.read_bytes()[:-10])
    ran = sundog("report", out)
    assert (ran.code, ran.out) == (2, "")
    assert str(table) in ran.err


def test_version_is_the_package_s(sundog: Command) -> None:
    assert sundog("version").out == f"{package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ("run", "validate", "scenarios", "trace", "report", "explain")),
        (["run"], ("--set", "--seed", "--out", "--json", "--force")),
        (["validate"], ("--set",)),
        (["explain"], ("--why-not", "--best", "--json")),
        (["trace"], ("info", "convert", "formats")),
        (["trace", "convert"], ("--format", "--limit")),
    ],
)
def test_help_names_the_commands_and_options(sundog: Command, arguments: list[str], words: tuple[str, ...]) -> None:
    ran = sundog(*arguments, "--help")
    assert ran.code == 0
    assert all(word in ran.out for word in words)


# ---------------------------------------------------------------- traces


def test_trace_info_prints_the_same_figures_as_text_and_as_json(sundog: Command, tmp_path: Path) -> None:
    log = write(tmp_path / "log.txt", LOG)
    ran = sundog("trace", "info", log, "--format", "eucalyptus", "--json")
    assert (ran.code, ran.err) == (0, "")
    text = sundog("trace", "info", log, "--format", "eucalyptus").out
    for key, value in ran.json.items():
        if isinstance(value, int | float):
            assert f"{key}: {value:,.10g}" in text
    assert 2 in ran.json.values()
    assert all(f"note: {note}" in text for note in ran.json["notes"])


@pytest.mark.parametrize("name", ["vms.csv", "vms.parquet", "vms.csv.gz"])
def test_a_converted_trace_plays_as_the_original_does(sundog: Command, tmp_path: Path, name: str) -> None:
    log, target = write(tmp_path / "log.txt", LOG), tmp_path / name
    ran = sundog("trace", "convert", log, target, "--format", "eucalyptus", "--option", "memory_per_vcpu_mb=512")
    assert ran.code == 0
    assert ran.err.splitlines()[-1] == f"{target}: 2 VMs"
    info = sundog("trace", "info", target, "--json").json
    same = sundog("trace", "info", log, "--format", "eucalyptus", "--option", "memory_per_vcpu_mb=512", "--json").json
    assert {**info, "notes": []} == {**same, "notes": []}
    assert sundog("trace", "convert", log, target, "--format", "eucalyptus").code == 4
    assert sundog("trace", "convert", log, target, "--format", "eucalyptus", "--limit", 1, "--force").code == 0
    assert sundog("trace", "info", target, "--json").json["vms"] == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["log.txt", name])


def test_trace_formats_lists_every_format_with_its_options(sundog: Command) -> None:
    text = sundog("trace", "formats").out
    names = ("normalised", "azure-v1", "huawei", "eucalyptus", "openb", "azure-packing")
    assert all(f"{name}: " in text for name in names)
    assert "  memory_per_vcpu_mb: MiB a VM asks for with each core" in text


def test_messages_show_square_brackets_as_they_are(sundog: Command, tmp_path: Path) -> None:
    ran = sundog("run", by_hand(tmp_path), "--set", "fleet=[bold]", "--out", tmp_path / "out")
    assert "--set fleet=[bold]: fleet.0: 'bold' is not a mapping of keys" in ran.err


def test_a_terminal_is_not_assumed_from_the_environment(
    sundog: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    ran = sundog("run", by_hand(tmp_path), "--out", tmp_path / "out")
    assert no_escapes(ran)
    assert os.environ["TERM"] == "xterm-256color"


def test_commands_of_a_cloud_do_without_what_studies_need() -> None:
    modules = "sundog.cli.main, sundog.cli.serve, sundog.app, sundog.app.real, sundog.api.kit.server"
    heavy = "{'pandas', 'pyarrow', 'scipy', 'matplotlib', 'numba'}"
    program = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
