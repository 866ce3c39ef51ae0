"""From a result folder to ``summary.json``, ``timeseries.parquet``, ``figures/*.png`` and ``report.html``.

The report is one file: pictures are data URIs, the style is inline, nothing is fetched and nothing runs. All text of
the user goes through Jinja's autoescape.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
import pyarrow as pa
import pyarrow.parquet as pq

from sundog.analysis.conservation import check_conservation
from sundog.analysis.fragmentation import RequestMix, Samples, request_mix, sample
from sundog.analysis.metrics import Figure, figures
from sundog.analysis.schedulers import scheduler_figures
from sundog.analysis.summary import build_summary, figure_text, format_figure, format_number, resources_in_use
from sundog.analysis.tables import Results
from sundog.analysis.timeline import Timeline, build_ledger, build_timeline
from sundog.analysis.timeseries import instants, time_series
from sundog.errors import OutputError
from sundog.units import format_duration

SECTIONS: Final = (
    ("capacity", "Capacity", ("allocation",)),
    ("demand", "Demand", ("arrivals", "flavor_mix")),
    ("rejections", "Rejections", ("rejections_by_reason", "rejections_by_flavor")),
    ("packing", "Packing and fragmentation", ("packing", "hosts", "fragmentation", "heatmap")),
    ("service", "Service", ("availability", "boot", "waiting", "lifetimes")),
)
GROUPS: Final = {
    "requests": "Requests",
    "vms": "VMs",
    "allocation": "Allocation",
    "capacity": "Capacity",
    "packing": "Packing",
    "stranded": "Stranded capacity",
    "fragmentation": "Fragmentation",
    "rejections": "Rejected amounts",
    "hosts": "Hosts",
    "evacuations": "Evacuations",
    "migrations": "Migrations",
    "availability": "Availability",
    "boot": "Boot latency",
    "wait": "Waiting time",
    "lifetime": "Lifetimes",
    "scheduling": "Scheduling",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart of the report: its PNG in both themes, or ``absent``, which says why there is none."""

    key: str
    title: str
    caption: str
    wide: bool
    width: int
    height: int
    light: bytes = b""
    dark: bytes = b""
    absent: str = ""

    @property
    def light_uri(self) -> str:
        """The light picture as a data URI."""
        return _data_uri(self.light)

    @property
    def dark_uri(self) -> str:
        """The dark picture as a data URI."""
        return _data_uri(self.dark)


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure at the top of the report. ``level`` is a share to draw as a bar; ``tone`` is good, bad or empty."""

    label: str
    value: str
    detail: str = ""
    level: float | None = None
    tone: str = ""


def analyse(folder: str | Path, *, report: bool = True) -> dict[str, Any]:
    """Read the raw files of a run and write its summary and time series beside them, and with ``report`` the pictures.

    May be called again on the same folder: every file is replaced whole, and a figure that has nothing to show any more
    goes. Returns the summary, as in ``summary.json``.

    Raises: InputError where the raw files cannot be used, OutputError where the folder cannot be written.
    """
    folder = Path(folder)
    results = Results.load(folder)
    ledger, mix = build_ledger(results), request_mix(results)
    audit = check_conservation(results, ledger)
    samples = sample(results, mix, instants(results.run.horizon_s), ledger)
    timeline = build_timeline(results, ledger)
    del ledger  # with it go a hundred bytes a VM
    summary = build_summary(results, _all_figures(results, timeline, samples), mix, audit)
    pictures = draw(results, timeline, samples, mix) if report else []
    series = io.BytesIO()
    pq.write_table(time_series(results, timeline, samples), series)

    _write(folder / "timeseries.parquet", series.getvalue())
    for picture in pictures:
        path = folder / "figures" / f"{picture.key}.png"
        if picture.absent:
            _remove(path)
        else:
            _write(path, picture.light)
    if report:
        _write(folder / "report.html", render_html(summary, pictures, results.scenario).encode())
    _write(
        folder / "summary.json", (json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    )
    return summary


def measure(facts: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """The summary of a run that is in memory, as :func:`analyse` would write it; nothing is read or written.

    ``facts`` are those of ``run.json``; ``tables`` are ``vms``, ``placements``, ``hosts`` and ``events``.
    """
    results = Results.of(facts, tables)
    mix = request_mix(results)
    samples = sample(results, mix, instants(results.run.horizon_s))
    found = _all_figures(results, build_timeline(results), samples)
    return build_summary(results, found, mix, check_conservation(results))


def _all_figures(results: Results, timeline: Timeline, samples: Samples) -> list[Figure]:
    return [*figures(results, timeline, samples), *scheduler_figures(results)]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror}); choose another folder") from error


def _write(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` whole: a reader sees the old file or the new one, never half of one."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another folder"
        ) from error


def draw(results: Results, timeline: Timeline, samples: Samples, mix: RequestMix) -> list[Picture]:
    """All charts of the report, drawn, or with the reason why one is left out."""
    from sundog.analysis.plots import CHARTS, Data, render  # matplotlib, which nothing else needs

    data, pictures = Data(results, timeline, samples, mix), []
    for chart in CHARTS:
        width, height = chart.inches(data)
        size = (round(width * 96), round(height * 96))
        absent = chart.absent(data)
        light, dark = (b"", b"") if absent else render(chart, data)
        pictures.append(Picture(chart.key, chart.title, chart.caption, chart.wide, *size, light, dark, absent))
    return pictures


def render_html(summary: Mapping[str, Any], pictures: Iterable[Picture], scenario: str = "") -> str:
    """The report as one HTML document. ``scenario`` is the text of the locked scenario, if there is one."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sundog.analysis", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": format_duration, "number": format_number, "figure": format_figure}
    by_key = {picture.key: picture for picture in pictures}
    return environment.get_template("report.html.j2").render(
        summary=summary,
        run=summary["run"],
        used=resources_in_use(summary),
        cards=_cards(summary),
        facts=_facts(summary),
        sections=[(key, title, [by_key[name] for name in names if name in by_key]) for key, title, names in SECTIONS],
        groups=_grouped(summary),
        text=lambda key: figure_text(summary, key),
        scenario=scenario,
    )


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _cards(summary: Mapping[str, Any]) -> list[Card]:
    def text(key: str) -> str:
        return figure_text(summary, key)

    def value(key: str) -> Any:
        return summary["figures"][key]["value"]

    rejected = value("requests.rejected")
    cards = [
        Card("Requests", format_number(value("requests.total")), text("requests.per_hour") + _earlier(summary)),
        Card(
            "Rejected", text("requests.rejected_share"), f"{rejected:,} of {value('requests.total'):,}",
            tone="bad" if rejected else "good",
        ),
        Card("VMs running", _number(value("vms.running_mean")), f"peak {_number(value('vms.running_peak'))}"),
        Card(
            "Hosts", format_number(value("hosts.total")),
            f"{_number(value('hosts.empty_mean'))} empty on average",
        ),
    ]  # fmt: skip
    for resource in resources_in_use(summary)[:4]:
        key = f"allocation.{resource['name']}"
        cards.append(
            Card(
                f"{resource['label']} allocated",
                text(f"{key}.mean_share"),
                _allocation_detail(summary, resource["name"]),
                level=value(f"{key}.mean_share"),
            )
        )
    moved = f"{value('evacuations.success'):,} evacuated, {value('evacuations.lost'):,} lost"
    cards.append(
        Card("VM availability", text("availability.vms"), moved, tone="bad" if value("evacuations.lost") else "")
    )
    if value("boot.p50") is not None:
        cards.append(Card("Boot latency", text("boot.p50"), f"median; {text('boot.p99')} at p99"))
    if "scheduling.schedulers" in summary["figures"]:
        detail = (
            f"of {text('scheduling.commits')}; {text('scheduling.schedulers')}, {text('scheduling.busy_share')} busy"
        )
        cards.append(Card("Conflicts", text("scheduling.conflict_rate"), detail))
    audit = summary["conservation"]
    cards.append(
        Card("Books", "balance", f"{audit['stays']:,} stays checked", tone="good")
        if audit["holds"]
        else Card("Books", f"{audit['broken']:,} errors", "see Conservation", tone="bad")
    )
    return cards


def _earlier(summary: Mapping[str, Any]) -> str:
    count = summary["figures"]["requests.earlier"]["value"]
    return f"; {count:,} before the window" if count else ""


def _number(value: float | None) -> str:
    return "–" if value is None else format_number(value)


def _allocation_detail(summary: Mapping[str, Any], name: str) -> str:
    capacity = figure_text(summary, f"capacity.{name}.mean")
    peak = figure_text(summary, f"allocation.{name}.peak_share")
    return f"mean, of {capacity}; peak {peak}"


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    run = summary["run"]
    policy = dict(run["policy"])
    name = str(policy.pop("name", "")) or "–"
    if policy:
        name += " (" + ", ".join(f"{key}: {value}" for key, value in policy.items()) + ")"
    facts = [("Policy", name), ("Simulated time", format_duration(run["horizon_s"]))]
    if run["warmup_s"]:
        facts.append(("Warm-up left out", format_duration(run["warmup_s"])))
    facts.append(("Seed", "–" if run["seed"] is None else str(run["seed"])))
    facts += [
        (str(key).replace("_", " ").capitalize(), _engine_text(value)) for key, value in summary["engine"].items()
    ]
    return [*facts, ("Sundog", run["sundog"] or "–")]


def _engine_text(value: Any) -> str:
    return format_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _grouped(summary: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """The figures by the first word of their key: (title of the group, its (key, figure) pairs)."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {key: [] for key in GROUPS}
    for key, figure in summary["figures"].items():
        found[key.split(".")[0]].append((key, figure))
    return [(GROUPS[key], items) for key, items in found.items() if items]
