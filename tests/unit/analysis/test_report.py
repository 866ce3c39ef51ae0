from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from sundog.analysis import analyse, render_summary
from sundog.analysis.summary import format_figure
from sundog.errors import OutputError
from tests.unit.analysis.folders import make_stay, make_vm, simulate, write_result

WRITTEN = ("summary.json", "timeseries.parquet", "report.html")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Path:
    folder = simulate(tmp_path_factory.mktemp("cloud"), hosts=40, days=3.0, per_hour=80.0, warmup_s=43200.0)
    (folder / "scenario.lock.yaml").write_text("name: first-fit-cloud # <b>as run</b>\n")
    analyse(folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = [folder / name for name in WRITTEN] + sorted((folder / "figures").glob("*"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def printed(summary: dict, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_summary(summary))
    return console.file.getvalue()


def test_an_analysis_writes_the_whole_folder_and_leaves_nothing_half_written(cloud):
    assert all((cloud / name).stat().st_size for name in WRITTEN)
    names = {path.stem for path in (cloud / "figures").iterdir()}
    assert names >= {"allocation", "heatmap", "fragmentation", "rejections_by_reason", "boot", "availability", "hosts"}
    assert not [path for path in cloud.rglob("*") if path.name.endswith(".partial")]


def test_two_analyses_of_one_run_are_equal_to_the_byte(cloud):
    before = digests(cloud)
    analyse(cloud)
    assert digests(cloud) == before


def test_the_report_needs_no_network(cloud):
    html = (cloud / "report.html").read_text()
    assert "://" not in html
    sources = re.findall(r"""(?:src|srcset|href)=["']([^"']*)""", html)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)
    assert not re.search(r"<(script|link|iframe|object)|@import|url\(", html)


def test_pandas_reads_the_summary_and_the_time_series(cloud):
    summary = json.loads((cloud / "summary.json").read_text())
    figures = pd.DataFrame(summary["figures"]).T
    assert list(figures.columns) == ["value", "unit", "about"]
    assert 0 < figures.loc["allocation.memory_mb.mean_share", "value"] <= 1
    assert figures["unit"].map(bool).all()
    series = pd.read_parquet(cloud / "timeseries.parquet")
    assert len(series) == 501
    assert (series["allocated_vcpus"] <= series["capacity_vcpus"]).all()
    assert (series["hosts_empty"] <= series["hosts_up"]).all()
    assert summary["conservation"]["holds"]


def test_what_the_user_wrote_is_inert_in_the_report(tmp_path):
    evil = "<script>alert('x')</script>"
    vms = [make_vm(1, 0.0, "running", flavor=evil), make_vm(2, 5.0, "rejected", flavor="$\\frac{1}{", reason=evil)]
    folder = write_result(
        tmp_path, vms=vms, stays=[make_stay(1, "h0", 0.0, None)], name=evil, description=evil, notes=[evil],
        policy={"name": evil, "[bold]": "[/red]"},
    )  # fmt: skip
    (folder / "scenario.lock.yaml").write_text(evil)
    summary = analyse(folder)
    html = (folder / "report.html").read_text()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6
    assert evil in printed(summary, width=200)


def test_names_that_the_font_lacks_do_not_stop_the_figures(tmp_path):
    vms = [make_vm(1, 0.0, "rejected", flavor="型号", reason="满了\nnow"), make_vm(2, 1.0, "rejected", flavor="")]
    analyse(write_result(tmp_path, vms=vms, stays=[]))
    assert "型号" in (tmp_path / "report.html").read_text()


def test_a_figure_with_nothing_to_show_is_left_out_and_the_report_says_why(tmp_path):
    folder = write_result(tmp_path, vms=[make_vm(1, 0.0, "rejected", reason="full")], stays=[])
    analyse(folder)
    assert (folder / "figures" / "rejections_by_reason.png").exists()
    write_result(tmp_path, vms=[make_vm(1, 0.0, "running")], stays=[make_stay(1, "h0", 0.0, None)])
    analyse(folder)
    assert not (folder / "figures" / "rejections_by_reason.png").exists()
    html = (folder / "report.html").read_text()
    assert "<strong>Rejections by reason</strong> is left out: no request of the window was rejected." in html
    assert "no host failed and no VM was moved" in html


def test_an_analysis_without_a_report_has_the_same_summary_and_no_pictures(cloud, tmp_path):
    for name in ("run.json", "vms.parquet", "placements.parquet", "hosts.parquet", "events.parquet"):
        (tmp_path / name).write_bytes((cloud / name).read_bytes())
    assert analyse(tmp_path, report=False) == json.loads((cloud / "summary.json").read_text())
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("horizon", [0.0, 100.0])
def test_a_run_in_which_nothing_happened_has_a_report(tmp_path, horizon):
    summary = analyse(write_result(tmp_path, vms=[], stays=[], horizon_s=horizon))
    assert summary["figures"]["requests.total"]["value"] == 0
    assert summary["figures"]["requests.rejected_share"]["value"] is None
    assert "Conservation holds" in printed(summary)


def test_a_partial_run_and_one_that_ended_in_its_warm_up_say_so(tmp_path):
    vms = [make_vm(1, 0.0, "running")]
    stays = [make_stay(1, "h0", 0.0, None)]
    summary = analyse(write_result(tmp_path, vms=vms, stays=stays, partial=True, warmup_s=500.0))
    assert summary["partial"] is True
    assert summary["figures"]["allocation.vcpus.mean"]["value"] is None
    assert "Partial result." in (tmp_path / "report.html").read_text()
    text = printed(summary)
    assert "Partial result" in text
    assert "no window to measure" in " ".join(text.split())


def test_broken_books_are_said_first(tmp_path):
    vms = [make_vm(i, 0.0, "running") for i in range(3)]
    summary = analyse(write_result(tmp_path, vms=vms, stays=[make_stay(i, "h0", 0.0, None) for i in range(3)]))
    assert "The books do not balance." in (tmp_path / "report.html").read_text()
    assert "Conservation is broken 1 times" in printed(summary)
    assert "host h0 holds 12 vcpus of 8 at 0 s" in printed(summary)


def test_the_summary_for_the_terminal_fits_eighty_columns(cloud):
    summary = json.loads((cloud / "summary.json").read_text())
    lines = printed(summary).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["Resource", "capacity", "allocated", "peak", "packing", "stranded", "fragmented"]
    assert lines[3].startswith("Memory")


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    folder = write_result(tmp_path, vms=[], stays=[])
    (folder / "figures").write_text("in the way")
    with pytest.raises(OutputError, match="figures"):
        analyse(folder)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "vCPU", "–"),
        (0.5, "share", "50.0 %"),
        (1.0, "share", "100 %"),
        (0.0, "share", "0 %"),
        (0.999981, "share", "99.9981 %"),
        (0.00012, "share", "0.012 %"),
        (1.2, "share", "120.0 %"),
        (90.0, "s", "90 s"),
        (4096.0, "MiB", "4 GiB"),
        (2048.0, "GiB", "2 TiB"),
        (12345, "VM", "12,345 VMs"),
        (1, "host", "1 host"),
        (3.14159, "VM/h", "3.14 VM/h"),
        (12345.678, "vCPU", "12,346 vCPU"),
    ],
)
def test_figures_read_well(value, unit, text):
    assert format_figure(value, unit) == text


def test_the_reference_documents_every_figure_table_and_column(cloud):
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "results.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`([a-z_<>.]+[a-z0-9_<>.]*)`", reference))
    summary = json.loads((cloud / "summary.json").read_text())
    resources = [resource["name"] for resource in summary["resources"]]

    def general(name: str) -> str:
        for resource in resources:
            name = re.sub(rf"(^|[._]){resource}($|[._])", r"\1<r>\2", name)
        return name

    rows = [row for table in summary["tables"].values() for row in table[:1]]
    columns = [list(pd.read_parquet(path).columns) for path in sorted(cloud.glob("*.parquet"))]
    used = [*summary, *summary["figures"], *summary["tables"], *(key for names in [*rows, *columns] for key in names)]
    used += [path.name for path in (cloud / "figures").iterdir()]
    assert {general(name) for name in used} <= listed
    groups = {key.split(".")[0] for key in summary["figures"]}
    others = (".parquet", ".png")
    figures = {n for n in listed if n.split(".")[0] in groups and "." in n and not n.endswith(others)}
    assert figures == {general(key) for key in summary["figures"]}
