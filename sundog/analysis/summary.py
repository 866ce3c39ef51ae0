"""``summary.json`` and the table that the command line prints: the figures of a run for programs and for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sundog.analysis.conservation import Conservation
from sundog.analysis.fragmentation import RequestMix
from sundog.analysis.metrics import Figure, host_types, mix_table, rejections_by
from sundog.analysis.statistics import significant
from sundog.analysis.tables import Results
from sundog.units import format_duration, format_mebibytes

SCHEMA: Final = 1
ABSENT: Final = "–"
COUNTED: Final = ("VM", "host", "failure", "scheduler", "commit")


def build_summary(
    results: Results, figures: Iterable[Figure], mix: RequestMix, conservation: Conservation
) -> dict[str, Any]:
    """The content of ``summary.json``: only what JSON knows, NaN as None, floats to 12 significant digits."""
    run = results.run
    start, end = results.window
    notes = list(run.notes)
    if end <= start:
        notes.append(
            f"The run ended at {format_duration(end)}, before the warm-up of {format_duration(start)} was over, so"
            " there is no window to measure: figures over time are null."
        )
    summary = {
        "schema": SCHEMA,
        "partial": run.partial,
        "run": {
            "name": run.name,
            "description": run.description,
            "seed": run.seed,
            "policy": run.policy,
            "horizon_s": run.horizon_s,
            "warmup_s": run.warmup_s,
            "notes": notes,
            "sundog": run.sundog,
        },
        "window": {"from_s": start, "to_s": end},
        "resources": [resource.model_dump(by_alias=True) for resource in run.resources],
        "figures": {
            figure.key: {"value": figure.value, "unit": figure.unit, "about": figure.about} for figure in figures
        },
        "tables": {
            "rejections_by_reason": rejections_by(results, results.vms.reason),
            "rejections_by_flavor": rejections_by(results, results.vms.flavor),
            "request_mix": mix_table(results, mix),
            "host_types": host_types(results),
        },
        "request_mix_covers": mix.covered,
        "conservation": conservation.to_dict(),
        "engine": run.engine,
    }
    plain: dict[str, Any] = _plain(summary)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return significant(float(value)) if math.isfinite(value) else None
    return value


def format_figure(value: float | int | None, unit: str) -> str:
    """``value`` for a reader: ``"63.2 %"``, ``"1.5 TiB"``, ``"2.5 h"``, ``"12,345 VM"``; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ABSENT
    if unit == "share":
        return _format_share(value)
    if unit == "s":
        return format_duration(value)
    if unit == "MiB":
        return format_mebibytes(value)
    if unit == "GiB":
        return format_mebibytes(value * 1024)
    plural = "s" if unit in COUNTED and value != 1 else ""
    return f"{format_number(value)} {unit}{plural}"


def _format_share(value: float) -> str:
    percent = value * 100
    if value == 0 or value == 1:
        return f"{percent:.0f} %"
    # A share close to 0 or 1 shows as many digits as tell it from 0 or 1: 99.9981 % is not 100 %.
    gap = min(abs(value), abs(1 - value))
    digits = min(6, max(1, 1 - math.floor(math.log10(gap * 100)))) if 0 < value < 1 else 1
    return f"{percent:.{digits}f} %"


def format_number(value: float | int) -> str:
    """``value`` with thousands separated: three significant digits below a thousand, none after the point above."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figure_text(summary: Mapping[str, Any], key: str) -> str:
    """The figure ``key`` of a summary for a reader; a dash where the summary has none."""
    figure = summary["figures"].get(key)
    return ABSENT if figure is None else format_figure(figure["value"], figure["unit"])


def resources_in_use(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources that VMs hold or ask for. A disk that no request of a trace names is not worth a reader's time."""

    def is_used(name: str) -> bool:
        figures = summary["figures"]
        asked = figures[f"rejections.{name}.amount_share"]["value"] is not None
        return asked or figures[f"allocation.{name}.peak"]["value"] != 0

    return [resource for resource in summary["resources"] if is_used(resource["name"])]


def render_summary(summary: Mapping[str, Any]) -> RenderableType:
    """The summary as a rich renderable: requests, capacity, hosts and service, with what a reader must know first."""
    run = summary["run"]
    title = Text(run["name"], style="bold")
    window = f"  {format_duration(summary['window']['from_s'])} to {format_duration(summary['window']['to_s'])}"
    title.append(window, style="dim")
    parts: list[RenderableType] = [title]
    if summary["partial"]:
        parts.append(Text("Partial result: the run was stopped before its end.", style="bold yellow"))
    parts += [_capacity_table(summary), _facts_table(summary)]
    rejections = summary["tables"]["rejections_by_reason"]
    if rejections:
        parts.append(_rejections_table(rejections))
    conservation = summary["conservation"]
    if conservation["holds"]:
        parts.append(Text("Conservation holds: recomputed from placements.parquet.", style="green"))
    else:
        parts.append(Text(f"Conservation is broken {conservation['broken']:,} times:", style="bold red"))
        parts += [Text(f"  {violation['message']}", style="red") for violation in conservation["violations"][:5]]
    parts += [Text(f"Note: {note}", style="dim") for note in run["notes"]]
    return Group(*parts)


def _plain_table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    return table


def _capacity_table(summary: Mapping[str, Any]) -> Table:
    table = _plain_table("Resource", "capacity", "allocated", "peak", "packing", "stranded", "fragmented")
    for resource in resources_in_use(summary):
        name = resource["name"]
        keys = (
            f"capacity.{name}.mean", f"allocation.{name}.mean_share", f"allocation.{name}.peak_share",
            f"packing.{name}.density", f"stranded.{name}.share_of_capacity", f"fragmentation.{name}.share_of_capacity",
        )  # fmt: skip
        table.add_row(Text(resource["label"]), *(Text(figure_text(summary, key)) for key in keys))
    return table


def _facts_table(summary: Mapping[str, Any]) -> Table:
    def text(key: str) -> str:
        return figure_text(summary, key)

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    share = text("requests.rejected_share")
    table.add_row("Requests", f"{text('requests.total')}: {_counts(summary)} ({share} rejected)")
    earlier = summary["figures"]["requests.earlier"]["value"]
    if earlier:
        table.add_row("", f"and {earlier:,} that came before the window and are not counted")
    table.add_row("VMs running", f"{text('vms.running_mean')} mean, {text('vms.running_peak')} peak")
    table.add_row(
        "Hosts", f"{text('hosts.total')}, {text('hosts.up_mean')} up, {text('hosts.empty_mean')} empty (mean),"
        f" {text('hosts.failures')}",
    )  # fmt: skip
    table.add_row("VM availability", f"{text('availability.vms')}, {text('availability.downtime')} down in all")
    table.add_row(
        "Evacuations", f"{text('evacuations.success')} evacuated, {text('evacuations.lost')} lost;"
        f" {text('migrations.total')} migrated",
    )  # fmt: skip
    table.add_row("Boot latency", f"{text('boot.p50')} median, {text('boot.p99')} p99")
    table.add_row("Waiting", f"{text('wait.p50')} median, {text('wait.p99')} p99")
    if "scheduling.schedulers" in summary["figures"]:
        table.add_row(
            "Schedulers", f"{text('scheduling.schedulers')}, {text('scheduling.busy_share')} busy;"
            f" {text('scheduling.queue_mean')} in the queue, {text('scheduling.queue_p99')} p99",
        )  # fmt: skip
        table.add_row(
            "Conflicts", f"{text('scheduling.conflict_rate')} of {text('scheduling.commits')};"
            f" {text('scheduling.rejected_conflict')} rejected by them,"
            f" {text('scheduling.rejected_stale')} by an old view",
        )  # fmt: skip
    return table


def _counts(summary: Mapping[str, Any]) -> str:
    names = ("completed", "running", "rejected", "lost")
    return ", ".join(f"{summary['figures'][f'requests.{name}']['value']:,} {name}" for name in names)


def _rejections_table(rejections: list[dict[str, Any]]) -> Table:
    table = _plain_table("Rejected because", "requests", "share of rejected")
    for row in rejections[:8]:
        table.add_row(
            Text(row["name"] or "(no reason given)"), Text(f"{row['requests']:,}"),
            Text(format_figure(row["share_of_rejected"], "share")),
        )  # fmt: skip
    return table
