"""The figures of a report as PNG: one style, a light and a dark theme, the same bytes for the same results.

Each chart is one entry of ``CHARTS``: when it has nothing to show, what it says, and the function that draws it on a
matplotlib figure. No pyplot, no global state, no fonts of the machine.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import matplotlib.image
import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from sundog.analysis.fragmentation import RequestMix, Samples
from sundog.analysis.metrics import (
    boot_times,
    lifetimes,
    rejections_by,
    requests_in_window,
    waiting_times,
)
from sundog.analysis.steps import ratio
from sundog.analysis.tables import EVACUATION, FAILED, LOST, MIGRATION, REJECTED, Floats, Resource, Results
from sundog.analysis.timeline import Timeline
from sundog.units import DAY, HOUR, MINUTE

DPI: Final = 144
BARS: Final = 12
LONGEST_NAME: Final = 34
POINTS: Final = 4096


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a figure."""

    paper: str
    ink: str
    quiet: str
    grid: str
    shade: str
    palette: tuple[str, ...]
    bad: str
    heat: tuple[str, ...]
    down: str


LIGHT: Final = Theme(
    paper="#ffffff", ink="#1f2937", quiet="#6b7280", grid="#e5e7eb", shade="#f1f3f6",
    palette=("#2563eb", "#d97706", "#059669", "#9333ea", "#0891b2", "#be185d"), bad="#dc2626",
    heat=("#fbfdf3", "#cdebd0", "#6cc3c8", "#2a7fba", "#173f8a", "#0b1f57"), down="#d9a5a0",
)  # fmt: skip
DARK: Final = Theme(
    paper="#171b22", ink="#e5e7eb", quiet="#9ca3af", grid="#2c333d", shade="#212730",
    palette=("#60a5fa", "#fbbf24", "#34d399", "#c084fc", "#22d3ee", "#f472b6"), bad="#f87171",
    heat=("#1b222c", "#1d3a5c", "#1f6091", "#2b8ea8", "#57b894", "#b5d66b"), down="#7d4a48",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Data:
    """What the charts draw from."""

    results: Results
    timeline: Timeline
    samples: Samples
    mix: RequestMix

    @cached_property
    def rows(self) -> npt.NDArray[np.intp]:
        """Rows of the requests that arrived in the window."""
        return requests_in_window(self.results)

    @cached_property
    def shown(self) -> list[tuple[int, Resource]]:
        """(place, resource) of the resources that any VM asks for; of all where none asks for any."""
        asked = self.results.vms.asked
        listed = list(enumerate(self.results.run.resources))
        return [(i, resource) for i, resource in listed if asked[resource.name].any()] or listed

    @cached_property
    def unit(self) -> tuple[float, str]:
        """(seconds, name) of the unit that suits the length of the run."""
        horizon = self.results.run.horizon_s
        return (DAY, "d") if horizon > 3 * DAY else (HOUR, "h") if horizon > 2 * HOUR else (MINUTE, "min")

    @cached_property
    def tightest(self) -> int:
        """The place of the resource whose mean share of capacity is highest; the first where there is none."""
        window = self.results.window
        shares = [self.timeline.utilisation(name).pieces(*window).mean() for name in self.results.resources]
        return int(np.argmax(np.nan_to_num(shares, nan=-1.0)))

    @cached_property
    def reasons(self) -> list[dict[str, Any]]:
        """Rejections by reason."""
        return rejections_by(self.results, self.results.vms.reason)

    @cached_property
    def flavors(self) -> list[dict[str, Any]]:
        """Rejections by flavor."""
        return rejections_by(self.results, self.results.vms.flavor)

    @cached_property
    def boot(self) -> Floats:
        """Boot times of the requests of the window, ascending."""
        return np.sort(boot_times(self.results, self.rows))

    @cached_property
    def waiting(self) -> Floats:
        """Waiting times of the requests of the window, ascending."""
        return np.sort(waiting_times(self.results, self.rows))

    @cached_property
    def lifetimes(self) -> Floats:
        """Lifetimes of the completed VMs among the requests of the window, ascending."""
        return np.sort(lifetimes(self.results, self.rows))

    @cached_property
    def arrivals(self) -> tuple[Floats, Floats]:
        """Arrivals that were placed, and those that were rejected, in seconds."""
        vms = self.results.vms
        rejected = vms.outcome == REJECTED
        return vms.arrival_s[~rejected], vms.arrival_s[rejected]

    @cached_property
    def times(self) -> Floats:
        """The sample instants in that unit."""
        return self.samples.instants / self.unit[0]


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure: its file name, texts, size, ``absent`` (why it has nothing to show, or ``""``) and ``draw``."""

    key: str
    title: str
    caption: str
    size: tuple[float, float]
    absent: Callable[[Data], str]
    draw: Callable[[Figure, Data, Theme], None]
    rows: Callable[[Data], int] = lambda _: 1

    def inches(self, data: Data) -> tuple[float, float]:
        """Width and height: ``size`` is that of one row of panels."""
        return self.size[0], self.size[1] * self.rows(data)

    @property
    def wide(self) -> bool:
        """Whether the figure takes the whole width of the page."""
        return self.size[0] > 8


def render(chart: Chart, data: Data, themes: Sequence[Theme] = (LIGHT, DARK)) -> list[bytes]:
    """The chart as PNG in each of ``themes``. Equal data give equal bytes."""
    return picture(chart.inches(data), lambda figure, theme: chart.draw(figure, data, theme), themes)


def picture(
    inches: tuple[float, float], draw: Callable[[Figure, Theme], None], themes: Sequence[Theme] = (LIGHT, DARK)
) -> list[bytes]:
    """What ``draw`` draws as PNG in each of ``themes``, in the style of all figures."""
    pictures, places = [], None
    for theme in themes:
        with matplotlib.style.context(["default", _style(theme)]), warnings.catch_warnings():
            # A name may hold letters that the font lacks; the report has the name in full, the figure shows a box.
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            figure = Figure(figsize=inches, dpi=DPI, layout="constrained")
            canvas = FigureCanvasAgg(figure)
            draw(figure, theme)
            if places is not None:  # colours alone differ, so what was laid out for one theme holds for all
                figure.set_layout_engine("none")
                for axes, place in zip(figure.axes, places, strict=True):
                    axes.set_position(place)
            canvas.draw()  # once; savefig would draw a second time, only to lay the figure out
            places = [axes.get_position(original=True) for axes in figure.axes]
            file = io.BytesIO()
            nameless: Any = {"Software": None}
            pixels = np.asarray(canvas.buffer_rgba())
            quick = {"compress_level": 2}  # a fifth longer than the default, in a third of the time
            matplotlib.image.imsave(file, pixels, format="png", dpi=DPI, metadata=nameless, pil_kwargs=quick)
        pictures.append(file.getvalue())
    return pictures


def _style(theme: Theme) -> dict[str, Any]:
    return {
        "font.family": "DejaVu Sans", "font.size": 9.5, "text.parse_math": False, "axes.formatter.useoffset": False,
        "figure.facecolor": theme.paper, "savefig.facecolor": theme.paper, "axes.facecolor": theme.paper,
        "text.color": theme.ink, "axes.labelcolor": theme.quiet, "axes.edgecolor": theme.grid,
        "xtick.color": theme.quiet, "ytick.color": theme.quiet, "xtick.major.size": 0, "ytick.major.size": 0,
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
        "axes.grid": True, "grid.color": theme.grid, "grid.linewidth": 0.8, "axes.axisbelow": True,
        "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlecolor": theme.ink,
        "axes.titlepad": 10, "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.7,
        "xtick.major.pad": 6, "ytick.major.pad": 5,
    }  # fmt: skip


# Parts that several charts share.


def _time_axis(axes: Axes, data: Data, theme: Theme) -> None:
    seconds, name = data.unit
    warm, end = data.results.window
    axes.set_xlim(0, max(end, 1e-9) / seconds)
    axes.set_xlabel(f"simulated time ({name})")
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 4, 5, 6, 10]))
    if warm > 0:
        axes.axvspan(0, min(warm, end) / seconds, color=theme.shade, zorder=0, lw=0)
        axes.annotate(
            "warm-up", (0, 1), xycoords="axes fraction", xytext=(4, -4), textcoords="offset points",
            ha="left", va="top", fontsize=8, color=theme.quiet, zorder=5,
            bbox={"facecolor": theme.paper, "alpha": 0.75, "lw": 0, "pad": 1.5},
        )  # fmt: skip


def _percent_axis(axes: Axes, label: str, highest: float) -> None:
    axes.set_ylabel(label)
    top = 1.0 if not highest > 0 else min(1.0, highest * 1.15) if highest <= 1 else highest * 1.05
    axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if top > 0.05 else 1 if top > 0.005 else 2))


def _count_axis(axes: Axes, label: str, which: Literal["x", "y"] = "y") -> None:
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_major_locator(MaxNLocator(6, integer=True))
    if which == "y":
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    else:
        axes.set_xlabel(label)
        axes.set_xlim(left=0)


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.4)


def _in_reading_unit(resource: Resource, highest: float) -> tuple[float, str]:
    """(divisor, unit) in which amounts of the resource read well."""
    ladder = ("MiB", "GiB", "TiB", "PiB")
    if resource.unit not in ladder:
        return 1.0, resource.unit
    place, divisor = ladder.index(resource.unit), 1.0
    while place + 1 < len(ladder) and highest / divisor >= 4096:
        place, divisor = place + 1, divisor * 1024
    return divisor, ladder[place]


def _short(name: str) -> str:
    name = " ".join(name.split()) or "(no name)"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _bars(figure: Figure, names: list[str], values: list[float], notes: list[str], label: str, colour: str) -> None:
    axes = figure.add_subplot()
    places = np.arange(len(names))[::-1]
    axes.barh(places, values, height=0.62, color=colour)
    axes.set_yticks(places, [_short(name) for name in names])
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(names) - 0.4 - max(len(names), 5), len(names) - 0.4)
    _count_axis(axes, label, "x")
    axes.set_xlim(0, max(values) * 1.22)
    for place, value, note in zip(places, values, notes, strict=True):
        axes.annotate(note, (value, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5)


def _top(names: list[str], values: list[float]) -> tuple[list[str], list[float]]:
    """The first bars, and one more that adds up all others."""
    if len(names) <= BARS:
        return names, values
    return [*names[: BARS - 1], f"{len(names) - BARS + 1} others"], [*values[: BARS - 1], sum(values[BARS - 1 :])]


def _events_per_bin(data: Data, times: Floats) -> tuple[Floats, Floats, float]:
    """(left edges in the unit of the axis, counts, hours a bin) of events in bins of an hour or the like."""
    edges, hours = _bin_edges(data)
    counts, _ = np.histogram(times, edges)
    return edges[:-1] / data.unit[0], counts.astype(np.float64), hours


def _bin_edges(data: Data) -> tuple[Floats, float]:
    """Edges in seconds from 0 to the end of the run, and the hours of a bin: at most about 200 bins of whole hours."""
    horizon = max(data.results.run.horizon_s, 1e-9)
    if horizon <= 12 * HOUR:
        return np.linspace(0, horizon, 49), horizon / 48 / HOUR
    hours = next((h for h in (1, 2, 3, 6, 12, 24) if horizon / HOUR / h <= 200), 168)
    edges = np.arange(0, horizon + hours * HOUR, hours * HOUR)
    return edges, float(hours)


# The charts. Each pair is: why there is nothing to show, and the drawing.


def _always(_: Data) -> str:
    return ""


def _needs_time(data: Data) -> str:
    return "" if data.results.run.horizon_s > 0 else "the run covers no time"


def _allocation_columns(data: Data) -> int:
    return len(data.shown) if len(data.shown) <= 3 else 2


def _allocation_rows(data: Data) -> int:
    return -(-len(data.shown) // _allocation_columns(data))


def _draw_allocation(figure: Figure, data: Data, theme: Theme) -> None:
    grid = list(figure.subplots(_allocation_rows(data), _allocation_columns(data), squeeze=False).flat)
    for axes, (index, resource) in zip(grid, data.shown, strict=False):
        colour = theme.palette[index % len(theme.palette)]
        used = data.timeline.allocated[resource.name].at(data.samples.instants)
        capacity = data.timeline.capacity[resource.name].at(data.samples.instants)
        divisor, unit = _in_reading_unit(resource, float(max(capacity.max(), used.max())))
        axes.fill_between(data.times, used / divisor, color=colour, alpha=0.22, lw=0)
        axes.plot(data.times, used / divisor, color=colour, label="allocated")
        axes.plot(data.times, capacity / divisor, color=theme.ink, lw=1.2, ls=(0, (5, 3)), label="capacity in service")
        axes.set_title(resource.label, pad=22)
        _count_axis(axes, f"{resource.label} ({unit})" if unit != resource.label else unit)
        axes.set_ylim(0, max(float(max(capacity.max(), used.max())) / divisor * 1.06, 1e-9))
        _time_axis(axes, data, theme)
        _legend(axes, 2)
    for axes in grid[len(data.shown) :]:
        axes.set_axis_off()


def _resource_lines(axes: Axes, data: Data, theme: Theme, values: Callable[[int, str], Floats]) -> float:
    highest = 0.0
    for index, resource in data.shown:
        line = values(index, resource.name)
        axes.plot(data.times, line, color=theme.palette[index % len(theme.palette)], label=resource.label)
        highest = max(highest, float(np.nanmax(line, initial=0.0)))
    return highest


def _draw_packing(figure: Figure, data: Data, theme: Theme) -> None:
    axes = figure.add_subplot()
    instants = data.samples.instants
    highest = _resource_lines(axes, data, theme, lambda _, name: data.timeline.packing(name).at(instants))
    _percent_axis(axes, "allocated on hosts with VMs", highest)
    _time_axis(axes, data, theme)
    _legend(axes, len(data.shown))


def _no_stays(data: Data) -> str:
    return _needs_time(data) or ("" if len(data.results.stays) else "no VM was placed")


def _draw_hosts(figure: Figure, data: Data, theme: Theme) -> None:
    axes = figure.add_subplot()
    lines = [("up", data.timeline.hosts_up, theme.palette[2]), ("empty", data.timeline.hosts_empty, theme.palette[1])]
    if data.timeline.hosts_disabled.values.any():
        lines.append(("disabled", data.timeline.hosts_disabled, theme.palette[3]))
    for name, steps, colour in lines:
        axes.plot(data.times, steps.at(data.samples.instants), color=colour, label=name)
    empty = data.timeline.hosts_empty.at(data.samples.instants)
    axes.fill_between(data.times, empty, color=theme.palette[1], alpha=0.18, lw=0)
    _count_axis(axes, "hosts")
    _time_axis(axes, data, theme)
    _legend(axes, len(lines))


def _draw_fragmentation(figure: Figure, data: Data, theme: Theme) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    instants, timeline = data.samples.instants, data.timeline
    highest = 0.0
    for axes, amounts, title in (
        (left, data.samples.stranded, "Stranded: the commonest request does not fit"),
        (right, data.samples.fragmented, "Fragmentation: expected over the request mix"),
    ):

        def share(index: int, name: str, amounts: Floats = amounts) -> Floats:
            return ratio(amounts[:, index], timeline.capacity[name].at(instants))

        highest = max(highest, _resource_lines(axes, data, theme, share))
        axes.set_title(title, pad=22)
        _time_axis(axes, data, theme)
        _legend(axes, len(data.shown))
    _percent_axis(left, "share of capacity in service", highest)
    right.yaxis.set_tick_params(labelleft=True)


def _no_mix(data: Data) -> str:
    return _needs_time(data) or ("" if len(data.mix.weight) else "there were no requests to measure against")


def _draw_heat(figure: Figure, data: Data, theme: Theme) -> None:
    index = data.tightest
    resource = data.results.run.resources[index]
    heat = data.samples.heat[index]
    rows = heat.shape[0]
    colours = LinearSegmentedColormap.from_list("load", theme.heat).with_extremes(bad=theme.down)
    axes = figure.add_subplot()
    end = data.results.run.horizon_s / data.unit[0]
    image = axes.imshow(
        np.ma.masked_invalid(heat), aspect="auto", interpolation="nearest", cmap=colours, vmin=0, vmax=1,
        extent=(0, end, rows, 0), zorder=1,
    )  # fmt: skip
    if 0 < data.results.run.warmup_s < data.results.run.horizon_s:
        axes.axvline(data.results.run.warmup_s / data.unit[0], color=theme.ink, lw=1.2, ls=(0, (4, 3)))
    axes.grid(visible=False)
    groups = data.samples.heat_groups
    for row, _ in groups[1:]:
        axes.axhline(row, color=theme.paper, lw=1.6)
    ends = [row for row, _ in groups[1:]] + [rows]
    if len(groups) <= 12:
        middles = [(row + last) / 2 for (row, _), last in zip(groups, ends, strict=True)]
        axes.set_yticks(middles, [_short(zone) for _, zone in groups])
    else:
        axes.set_yticks([])
    per_row = data.samples.hosts_per_row
    axes.set_ylabel("hosts by zone, rack and type" + (f" (about {per_row} a row)" if per_row > 1 else ""))
    _time_axis(axes, data, theme)
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1.0), pad=0.015, aspect=28)
    bar.set_label(f"{resource.label} allocated (share of the host's capacity)")
    bar.outline.set_visible(False)


def _draw_arrivals(figure: Figure, data: Data, theme: Theme) -> None:
    axes = figure.add_subplot()
    edges, placed, hours = _events_per_bin(data, data.arrivals[0])
    _, refused, _ = _events_per_bin(data, data.arrivals[1])
    width = hours * HOUR / data.unit[0]
    axes.bar(edges, placed / hours, width=width * 0.92, align="edge", color=theme.palette[0], label="placed")
    if refused.any():
        bottom = placed / hours
        axes.bar(
            edges, refused / hours, width=width * 0.92, bottom=bottom, align="edge", color=theme.bad, label="rejected"
        )
    _count_axis(axes, "arrivals (VM/h)")
    _time_axis(axes, data, theme)
    _legend(axes, 2)


def _no_requests(data: Data) -> str:
    return _needs_time(data) or ("" if len(data.results.vms) else "no request arrived")


def _draw_mix(figure: Figure, data: Data, theme: Theme) -> None:
    names, values = _top(list(data.mix.names), [float(count) for count in data.mix.count])
    total = float(max(1, len(data.rows) or len(data.results.vms)))
    _bars(figure, names, values, [f"{value / total:.1%}" for value in values], "requests (VM)", theme.palette[0])


def _no_rejections(data: Data) -> str:
    rejected = data.results.vms.outcome[data.rows] == REJECTED
    return "" if rejected.any() else "no request of the window was rejected"


def _draw_reasons(figure: Figure, data: Data, theme: Theme) -> None:
    table = data.reasons
    names, values = _top([row["name"] or "(no reason given)" for row in table], [row["requests"] for row in table])
    total = sum(values)
    _bars(figure, names, values, [f"{value / total:.1%}" for value in values], "rejected requests (VM)", theme.bad)


def _draw_flavors(figure: Figure, data: Data, theme: Theme) -> None:
    table = data.flavors
    names, values = _top([row["name"] or "(no flavor)" for row in table], [row["requests"] for row in table])
    notes = [f"{row['rejected_share']:.1%} of its requests" for row in table][: len(names)]
    if len(table) > len(names):
        notes[-1] = ""
    _bars(figure, names, values, notes, "rejected requests (VM)", theme.bad)
    figure.axes[0].set_xlim(0, max(values) * 1.45)


def _seconds_unit(values: Floats) -> tuple[float, str]:
    typical = float(np.quantile(values, 0.9)) if len(values) else 0.0
    for seconds, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if typical >= 2 * seconds:
            return seconds, name
    return 1.0, "s"


def _draw_boot(figure: Figure, data: Data, theme: Theme) -> None:
    _draw_delay(figure, data.boot, "from arrival until the guest is up", theme.palette[0], theme)


def _no_boot(data: Data) -> str:
    return "" if len(data.boot) else "the run knows of no boot latency"


def _draw_wait(figure: Figure, data: Data, theme: Theme) -> None:
    _draw_delay(figure, data.waiting, "from arrival until placed", theme.palette[4], theme)


def _no_wait(data: Data) -> str:
    if not len(data.waiting):
        return "no request of the window was placed"
    return "" if data.waiting[-1] > 0 else "every placed request was placed the instant it arrived"


def _draw_delay(figure: Figure, values: Floats, label: str, colour: str, theme: Theme) -> None:
    """A histogram up to the 99.5 % quantile, and the share of VMs that were faster as a line. ``values`` ascend."""
    seconds, unit = _seconds_unit(values)
    values = values / seconds
    end = float(np.quantile(values, 0.995)) * 1.05 or 1.0
    axes = figure.add_subplot()
    axes.hist(values, bins=48, range=(0, end), color=colour, alpha=0.45, label="VMs (left axis)")
    _count_axis(axes, "VMs")
    axes.set_xlim(0, end)
    axes.set_xlabel(f"time {label} ({unit})")
    below = axes.twinx()
    line = _cumulative(values, np.linspace(0, end, POINTS))
    below.plot(*line, color=colour, label="share that is faster (right axis)")
    below.set_ylim(0, 1.02)
    below.grid(visible=False)
    below.yaxis.set_major_formatter(PercentFormatter(1.0))
    for share in (0.5, 0.99):
        at = float(np.quantile(values, share))
        below.plot([at, at], [0, share], color=theme.ink, lw=0.9, ls=(0, (2, 2)))
        below.annotate(
            f"p{share * 100:.0f} {at:.3g} {unit}",
            (at, share),
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=8.5,
        )
    handles = [axes.get_legend_handles_labels(), below.get_legend_handles_labels()]
    axes.legend(
        handles[0][0] + handles[1][0], handles[0][1] + handles[1][1],
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.4,
    )  # fmt: skip


def _cumulative(values: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """(value, share of the values up to it) for a line; ``values`` ascend.

    Of more values than a figure has pixels only those are kept that begin a step of ``grid`` or one of as many steps of
    the share: no pixel's width and no pixel's height is without a point.
    """
    rows = np.arange(len(values))
    if len(values) > 2 * len(grid):
        steps = np.linspace(0, len(values) - 1, len(grid)).astype(np.intp)
        near = np.searchsorted(values, grid)
        rows = np.unique(np.concatenate((steps, np.maximum(near - 1, 0), np.minimum(near, len(values) - 1))))
    return values[rows], (rows + 1) / len(values)


def _no_lifetimes(data: Data) -> str:
    return "" if len(data.lifetimes) and data.lifetimes[-1] > 0 else "no VM that arrived in the window was completed"


def _draw_lifetimes(figure: Figure, data: Data, theme: Theme) -> None:
    values = data.lifetimes[data.lifetimes > 0]
    axes = figure.add_subplot()
    axes.plot(*_cumulative(values, np.geomspace(values[0], values[-1], POINTS)), color=theme.palette[2])
    axes.set_xscale("log")
    ticks = [(1.0, "1 s"), (MINUTE, "1 min"), (10 * MINUTE, "10 min"), (HOUR, "1 h"), (6 * HOUR, "6 h"), (DAY, "1 d")]
    ticks += [(7 * DAY, "7 d"), (30 * DAY, "30 d"), (365 * DAY, "1 year")]
    low, high = float(values[0]) / 1.3, float(values[-1]) * 1.3
    axes.set_xlim(low, high)
    shown = [tick for tick in ticks if low <= tick[0] <= high]
    axes.set_xticks([tick[0] for tick in shown], [tick[1] for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("lifetime (logarithmic)")
    _percent_axis(axes, "completed VMs that lived shorter", 1.0)
    axes.set_ylim(0, 1.02)


def _no_disturbance(data: Data) -> str:
    results = data.results
    quiet = not (results.events.event == FAILED).any() and not (results.stays.cause > 0).any()
    lost = (results.vms.outcome == LOST).any()
    return _needs_time(data) or ("no host failed and no VM was moved" if quiet and not lost else "")


def _draw_availability(figure: Figure, data: Data, theme: Theme) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True)
    results, instants = data.results, data.samples.instants
    down = data.timeline.hosts_present.at(instants) - data.timeline.hosts_up.at(instants)
    upper.fill_between(data.times, down, color=theme.bad, alpha=0.25, lw=0, step="post")
    upper.plot(data.times, down, color=theme.bad, drawstyle="steps-post", label="hosts down")
    if data.timeline.hosts_disabled.values.any():
        disabled = data.timeline.hosts_disabled.at(instants)
        upper.plot(data.times, disabled, color=theme.palette[3], drawstyle="steps-post", label="hosts disabled")
    _count_axis(upper, "hosts")
    upper.set_ylim(0, max(1.0, upper.get_ylim()[1]))
    _legend(upper, 2)
    lost = results.vms.end_s[(results.vms.outcome == LOST) & np.isfinite(results.vms.end_s)]
    bottom = np.zeros(len(_bin_edges(data)[0]) - 1)
    hours = 1.0
    for name, times, colour in (
        ("evacuated", results.stays.start_s[results.stays.cause == EVACUATION], theme.palette[1]),
        ("migrated", results.stays.start_s[results.stays.cause == MIGRATION], theme.palette[0]),
        ("lost", lost, theme.bad),
    ):
        edges, counts, hours = _events_per_bin(data, times)
        if counts.any():
            width = hours * HOUR / data.unit[0] * 0.92
            lower.bar(edges, counts, width=width, bottom=bottom, align="edge", color=colour, label=name)
            bottom = bottom + counts
    span = f"{hours:g} h" if hours >= 1 else f"{hours * 60:.3g} min"
    _count_axis(lower, f"VMs each {span}")
    lower.set_ylim(0, max(1.0, float(bottom.max(initial=0)) * 1.08))
    if bottom.any():
        _legend(lower, 3)
    for axes in (upper, lower):
        _time_axis(axes, data, theme)
    upper.set_xlabel("")


NARROW: Final = (6.4, 3.5)
CHARTS: Final = (
    Chart(
        "allocation", "Allocation and capacity",
        "What VMs hold (filled) under what the hosts in service offer after overcommit (dashed). Where the two meet,"
        " that resource is what limits the cloud; a dip of the dashed line is hosts down.",
        (13.2, 3.7), _needs_time, _draw_allocation, _allocation_rows,
    ),
    Chart(
        "arrivals", "Arrivals",
        "Requests an hour. Red on top is what was turned away: a peak that is red means that the peak, not the mean,"
        " sizes the fleet.",
        NARROW, _no_requests, _draw_arrivals,
    ),
    Chart(
        "flavor_mix", "Request mix",
        "The commonest request shapes of the window. Stranding and fragmentation below are measured against this mix.",
        NARROW, _no_mix, _draw_mix,
    ),
    Chart(
        "rejections_by_reason", "Rejections by reason",
        "Why requests were turned away, with each reason's share of all rejections.",
        NARROW, _no_rejections, _draw_reasons,
    ),
    Chart(
        "rejections_by_flavor", "Rejections by flavor",
        "Which requests were turned away. Large flavors first is the sign of fragmentation; all alike is the sign of a"
        " fleet that is simply full.",
        NARROW, _no_rejections, _draw_flavors,
    ),
    Chart(
        "packing", "Packing density",
        "Allocated share of the hosts that hold at least one VM. The gap to 100 % is what tighter packing could free.",
        NARROW, _no_stays, _draw_packing,
    ),
    Chart(
        "hosts", "Hosts up and empty",
        "Hosts in service and, of those, the ones without a VM: the reserve for large requests, or what could be"
        " switched off.",
        NARROW, _needs_time, _draw_hosts,
    ),
    Chart(
        "fragmentation", "Stranded capacity and fragmentation",
        "Free capacity that cannot be used, because the host lacks something else or enough of it. Left: for the"
        " commonest request. Right: expected for a request drawn from the mix (the measure of FGD).",
        (13.2, 3.7), _no_mix, _draw_fragmentation,
    ),
    Chart(
        "heatmap", "Hosts over time",
        "One row a host, or a few neighbours, for the resource that is allocated most; reddish is not in service. Full"
        " and empty rows side by side mean tight packing, one even tone means spreading. A warm-up ends at the broken"
        " line.",
        (13.2, 4.8), _needs_time, _draw_heat,
    ),
    Chart(
        "availability", "Failures, evacuations and migrations",
        "Above, hosts that are down or drained; below, the VMs that had to move because of it, and those lost.",
        (13.2, 4.4), _no_disturbance, _draw_availability,
    ),
    Chart(
        "boot", "Boot latency",
        "From the request until the guest is up. The right axis reads as: this share of the VMs was up within that"
        " time.",
        NARROW, _no_boot, _draw_boot,
    ),
    Chart(
        "waiting", "Waiting time",
        "From the request until it was placed. Rejected requests are not in it.",
        NARROW, _no_wait, _draw_wait,
    ),
    Chart(
        "lifetimes", "Lifetimes",
        "Share of completed VMs that lived shorter. VMs still running at the end are missing, so long lives are"
        " too few.",
        NARROW, _no_lifetimes, _draw_lifetimes,
    ),
)  # fmt: skip
