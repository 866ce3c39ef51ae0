"""The figures of a comparison: ranks, a Pareto front, and metrics over keys that are numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sundog.analysis.compare import Comparison, Estimate, Labels, Metric, Ranks, pareto_front
from sundog.analysis.plots import LIGHT, picture
from sundog.units import parse_duration, parse_mebibytes

LINES: Final = 12
"""Lines that one panel shows at most."""
PANELS: Final = 12
_MARKS: Final = "osD^vPX<>*hp"


def name_of(labels: Labels) -> str:
    """What a variant is called: the value alone where one key varies, else all with their keys."""
    if len(labels) == 1:
        return str(next(iter(labels.values())))
    return ", ".join(f"{key}={value}" for key, value in labels.items()) or "all"


def numeric(values: Sequence[Any]) -> tuple[list[float], str] | None:
    """The values as numbers and their unit (``h``, ``GiB`` or none); None where they are no quantities."""
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        return [float(each) for each in values], ""
    parsers: tuple[tuple[Callable[[object], float], float, str], ...] = (
        (parse_duration, 3600.0, "h"), (parse_mebibytes, 1024.0, "GiB"),
    )  # fmt: skip
    for parse, divisor, unit in parsers:
        try:
            return [parse(each) / divisor for each in values], unit
        except ValueError:
            continue
    return None


def draw_all(comparison: Comparison, pareto: tuple[str, str] | None) -> dict[str, bytes]:
    """The PNG files of a comparison by name: only those that have something to show."""
    files = {}
    ranked = [(each, each.ranks) for each in comparison.metrics if each.ranks is not None][:PANELS]
    if ranked:
        rows = sum(0.9 + 0.28 * len(ranks.labels) for _, ranks in ranked)
        files["ranks.png"] = _light((8.5, 0.4 + rows), lambda figure: _ranks(figure, ranked))
    by_name = {each.name: each for each in comparison.metrics}
    if pareto is not None and all(name in by_name for name in pareto):
        x, y = (by_name[name] for name in pareto)
        files["pareto.png"] = _light((8.5, 5.2), lambda figure: _pareto(figure, x, y))
    for key, values in comparison.levels.items():
        scale = numeric(values)
        if scale is not None and len(values) > 1 and comparison.metrics:
            shown = comparison.metrics[:PANELS]
            height = 3.1 * math.ceil(len(shown) / 2) + 0.7
            at = dict(zip(values, scale[0], strict=True))
            label = f"{key} ({scale[1]})" if scale[1] else key
            files[f"over-{_file_name(key)}.png"] = _light((11, height), partial(_over, shown, key, label, at))
    return files


def _light(inches: tuple[float, float], draw: Callable[[Figure], None]) -> bytes:
    return picture(inches, lambda figure, _theme: draw(figure), [LIGHT])[0]


def _file_name(key: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in key)


def _ranks(figure: Figure, ranked: Sequence[tuple[Metric, Ranks]]) -> None:
    heights = [0.9 + 0.28 * len(ranks.labels) for _, ranks in ranked]
    panels = figure.subplots(len(ranked), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (metric, ranks) in zip(panels, ranked, strict=True):
        order = np.argsort(ranks.means, kind="stable")[::-1]
        places = np.arange(len(order))
        means = np.array(ranks.means)[order]
        # Two bars of this length that do not overlap are further apart than the critical difference.
        axes.hlines(
            places, means - ranks.critical / 2, means + ranks.critical / 2, color=LIGHT.palette[0], lw=4, alpha=0.3
        )
        axes.plot(means, places, "o", color=LIGHT.palette[0], ms=6)
        axes.set_yticks(places, [name_of(ranks.labels[i]) for i in order])
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.set_xlim(0.5, len(order) + 0.5)
        axes.set_xticks(range(1, len(order) + 1))
        first = {1: "most", -1: "least", 0: "least"}[metric.sign]
        axes.set_title(f"{metric.name}: mean rank over {ranks.seeds} seeds, 1 = {first}")


def _pareto(figure: Figure, x: Metric, y: Metric) -> None:
    axes = figure.add_subplot()
    ys = {tuple(each.labels.items()): each for each in y.estimates}
    both = [(each, ys[tuple(each.labels.items())]) for each in x.estimates if tuple(each.labels.items()) in ys]
    front = pareto_front([a.mean for a, _ in both], [b.mean for _, b in both], (x.sign, y.sign))
    many = len(both) > LINES
    for number, (a, b) in enumerate(both):
        best = number in front
        colour = LIGHT.palette[0] if best else LIGHT.quiet
        axes.errorbar(
            a.mean, b.mean, xerr=_half(a), yerr=_half(b), fmt="o", ms=7 if best else 5, color=colour,
            mfc=colour if best else LIGHT.paper, lw=1, capsize=2,
        )  # fmt: skip
        if best or not many:
            axes.annotate(name_of(a.labels), (a.mean, b.mean), xytext=(6, 5), textcoords="offset points", fontsize=8.5)
    line = sorted((both[i][0].mean, both[i][1].mean) for i in front)
    axes.plot([p for p, _ in line], [q for _, q in line], color=LIGHT.palette[0], lw=1, ls="--", zorder=1)
    axes.margins(0.15)
    for set_label, axis, metric in ((axes.set_xlabel, axes.xaxis, x), (axes.set_ylabel, axes.yaxis, y)):
        wish = {1: " (more is better)", -1: " (less is better)", 0: ""}[metric.sign]
        set_label(f"{metric.name}{_unit(metric.unit)}{wish}")
        if metric.unit == "share":
            axis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Filled: no other variant is at least as good in both and better in one")


def _half(estimate: Estimate) -> float:
    return 0.0 if math.isnan(estimate.high) else estimate.high - estimate.mean


def _over(metrics: Sequence[Metric], key: str, label: str, at: Mapping[Any, float], figure: Figure) -> None:
    panels = figure.subplots(math.ceil(len(metrics) / 2), 2, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for axes, metric in itertools.zip_longest(panels, metrics):
        if metric is None:
            axes.set_axis_off()
            continue
        handles |= _lines(axes, metric, key, at)
        axes.set_title(metric.name)
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=all(float(each).is_integer() for each in at.values())))
        if metric.unit == "share":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        else:
            axes.set_ylabel(metric.unit)
    if len(handles) > 1:
        figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=min(len(handles), 4))


def _lines(axes: Axes, metric: Metric, key: str, at: Mapping[Any, float]) -> dict[str, Any]:
    """A line with its band for each combination of the other keys."""
    lines: dict[str, list[Estimate]] = {}
    for each in metric.estimates:
        lines.setdefault(name_of({k: v for k, v in each.labels.items() if k != key}), []).append(each)
    handles = {}
    for number, (name, estimates) in enumerate(list(lines.items())[:LINES]):
        estimates.sort(key=lambda each: at[each.labels[key]])
        x = [at[each.labels[key]] for each in estimates]
        colour = LIGHT.palette[number % len(LIGHT.palette)]
        means = [each.mean for each in estimates]
        (handles[name],) = axes.plot(x, means, color=colour, marker=_MARKS[number % len(_MARKS)], ms=4)
        axes.fill_between(x, [e.low for e in estimates], [e.high for e in estimates], color=colour, alpha=0.15, lw=0)
    return handles


def _unit(unit: str) -> str:
    return "" if unit == "share" else f" ({unit})"
