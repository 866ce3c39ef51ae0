"""A comparison for readers: tables on the terminal, ``compare.md`` with its figures, ``compare.json`` for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sundog.analysis.compare import (
    LEVEL,
    MOST_SEEDS,
    POWER,
    Comparison,
    Difference,
    Estimate,
    Labels,
    Metric,
    Ranks,
    pareto_front,
)
from sundog.analysis.compare_plots import draw_all, name_of
from sundog.analysis.statistics import significant
from sundog.analysis.summary import ABSENT, format_figure, format_number
from sundog.errors import InputError, OutputError

SCHEMA: Final = 1
METHOD: Final = {
    "interval": f"Student's t over seeds, {LEVEL:.0%}",
    "difference": "paired by seed: t interval and t test; Wilcoxon's signed-rank test beside it",
    "correction": "Holm, over all differences of one metric; verdicts follow the corrected p of the t test, at 5 %",
    "ranks": "Friedman's test; critical difference of Nemenyi at 5 %",
    "seeds_needed": f"power {POWER:.0%} of the paired t test for the observed difference, at 5 % over the differences",
}
_PARETO_X: Final = ("requests.rejected_share", "wait.mean", "availability.vms")
_PARETO_Y: Final = ("hosts.empty_mean", "packing.vcpus.density", "packing.memory_mb.density")
_DETAILS: Final = ("pairs", "p, ranks")
"""Columns that are in ``compare.md``, and that a terminal has no room for."""
_ANY: Final = 10_000
"""A width in characters that any table finds enough."""
_WISH: Final = {1: "more is better", -1: "less is better", 0: "neither more nor less is better"}


@dataclass(frozen=True, slots=True)
class Block:
    """A table: its title, what is to be known first, the head and the rows of texts."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> int:
        """How many columns, from the left, hold names."""
        return next((i for i, name in enumerate(self.head) if name in ("seeds", "pairs") or "rank" in name), 1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the sweep is: cells asked for, done and failed."""

    cells: int
    done: int
    failed: int

    @property
    def text(self) -> str:
        """For a reader."""
        missing = self.cells - self.done - self.failed
        told = f"{self.done:,} of {self.cells:,} cells are done"
        told += f", {self.failed:,} failed" if self.failed else ""
        return told + (f", {missing:,} are missing: this is a partial result" if missing > 0 else "")


def choose_pareto(comparison: Comparison, asked: Sequence[str] | None) -> tuple[str, str] | None:
    """The two metrics of the Pareto plot: those asked for, or what is turned away and what is kept free.

    Raises: InputError for one that is not compared.
    """
    names = [each.name for each in comparison.metrics]
    if asked:
        for name in asked:
            if name not in names:
                raise InputError(f"--pareto {name} is not among the metrics compared: {', '.join(names)}")
        return asked[0], asked[1]
    x = next((name for name in _PARETO_X if name in names), None)
    y = next((name for name in _PARETO_Y if name in names), None)
    return (x, y) if x is not None and y is not None else None


def as_json(comparison: Comparison, progress: Progress, pareto: tuple[str, str] | None) -> dict[str, Any]:
    """``compare.json``: only what JSON knows, floats to 12 digits."""
    told = {
        "schema": SCHEMA,
        "cells": asdict(progress),
        "method": METHOD,
        "varied": {key: list(values) for key, values in comparison.levels.items()},
        "baseline": dict(comparison.baseline),
        "metrics": {
            each.name: {
                "unit": each.unit,
                "better": {1: "more", -1: "less", 0: None}[each.sign],
                "estimates": [asdict(estimate) for estimate in each.estimates],
                "differences": [asdict(difference) for difference in each.differences],
                "ranks": None if each.ranks is None else asdict(each.ranks),
            }
            for each in comparison.metrics
        },
        "pareto": None if pareto is None else {"metrics": list(pareto), "front": _front(comparison, pareto)},
        "same_everywhere": list(comparison.left_out),
    }
    plain: dict[str, Any] = _plain(told)
    return plain


def _front(comparison: Comparison, pareto: tuple[str, str]) -> list[dict[str, Any]]:
    x, y = (next(each for each in comparison.metrics if each.name == name) for name in pareto)
    means = {tuple(each.labels.items()): each.mean for each in y.estimates}
    both = [each for each in x.estimates if tuple(each.labels.items()) in means]
    ys = [means[tuple(each.labels.items())] for each in both]
    return [dict(both[i].labels) for i in pareto_front([each.mean for each in both], ys, (x.sign, y.sign))]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return significant(value) if math.isfinite(value) else None
    return value


# ---------------------------------------------------------------- texts


def blocks(comparison: Comparison) -> Iterator[Block]:
    """The tables of a comparison, metric by metric."""
    for metric in comparison.metrics:
        yield _estimates(metric)
        if metric.differences:
            yield _differences(metric)
        if metric.ranks is not None:
            yield _ranks(metric, metric.ranks)


def _estimates(metric: Metric) -> Block:
    keys = _keys(metric)
    rows = tuple(
        (
            *_names(each.labels, keys),
            str(each.seeds),
            format_figure(each.mean, metric.unit),
            _interval(each, metric.unit),
        )
        for each in metric.estimates
    )
    return Block(metric.name, _WISH[metric.sign], (*keys, "seeds", "mean", f"{LEVEL:.0%} interval"), rows)


def _differences(metric: Metric) -> Block:
    def row(each: Difference) -> tuple[str, ...]:
        against = name_of({key: each.baseline[key] for key in each.baseline if each.baseline[key] != each.labels[key]})
        interval = ABSENT
        if not math.isnan(each.low):
            interval = f"{_change(each.low, metric.unit)} to {_change(each.high, metric.unit)}"
        return (
            *_names(each.labels, keys), against, str(each.seeds), _change(each.mean, metric.unit), interval,
            _p(each.p_holm), _p(each.p_wilcoxon), verdict(each),
        )  # fmt: skip

    keys = _keys(metric)
    head = (*keys, "against", "pairs", "difference", f"{LEVEL:.0%} interval", "p", "p, ranks", "verdict")
    note = "" if metric.unit != "share" else "in percentage points"
    return Block(f"{metric.name}: differences, seed by seed", note, head, tuple(row(d) for d in metric.differences))


def _keys(metric: Metric) -> tuple[str, ...]:
    return tuple(metric.estimates[0].labels) if metric.estimates else ()


def _names(labels: Labels, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(labels[key]) for key in keys)


def _interval(each: Estimate, unit: str) -> str:
    return ABSENT if math.isnan(each.low) else f"{format_figure(each.low, unit)} to {format_figure(each.high, unit)}"


def verdict(each: Difference) -> str:
    """What a difference says, in words."""
    if each.verdict == "same":
        return "the same in every seed"
    if each.verdict != "cannot tell":
        return each.verdict
    if each.seeds < 2:
        return "cannot tell; at least 2 seeds needed"
    if each.seeds_needed is None:
        return f"cannot tell; more than {MOST_SEEDS:,} seeds needed"
    return f"cannot tell; about {each.seeds_needed:,} seeds needed"


def _ranks(metric: Metric, ranks: Ranks) -> Block:
    rows = sorted(zip(ranks.means, ranks.labels, strict=True), key=lambda each: each[0])
    note = f"mean ranks closer than {ranks.critical:.2f} cannot be told apart (Nemenyi, {ranks.seeds} seeds)"
    if not math.isnan(ranks.p_friedman):
        note += f"; Friedman p {_p(ranks.p_friedman)}"
    best = "most" if metric.sign > 0 else "least"
    keys = tuple(ranks.labels[0])
    head = (*keys, f"mean rank (1 = {best})")
    return Block(
        f"{metric.name}: ranks", note, head, tuple((*_names(each, keys), f"{mean:.2f}") for mean, each in rows)
    )


def _change(value: float, unit: str) -> str:
    if math.isnan(value):
        return ABSENT
    sign = "+" if value > 0 else "−" if value < 0 else ""
    if unit == "share":
        return f"{sign}{format_number(abs(value) * 100)}"
    return sign + format_figure(abs(value), unit)


def _p(p: float) -> str:
    return ABSENT if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


class _Whole:
    """A table of which nothing is cut: on a terminal that is too narrow, its lines are longer than the terminal."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        least = Measurement.get(console, options.update(width=_ANY), self.table).minimum
        yield from console.render(self.table, options.update(width=max(options.max_width, least)))


def render(comparison: Comparison, progress: Progress) -> RenderableType:
    """The comparison as rich tables; to be printed without ``crop``."""
    parts: list[RenderableType] = [Text(progress.text, style="bold" if progress.done == progress.cells else "yellow")]
    for block in blocks(comparison):
        parts += [Text(""), Text(block.title, style="bold")]
        if block.note:
            parts.append(Text(block.note, style="dim"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        shown = [number for number, column in enumerate(block.head) if column not in _DETAILS]
        for number in shown:
            words = number < block.words or block.head[number] == "verdict"
            wraps = block.head[number] == "verdict"
            table.add_column(
                block.head[number],
                justify="left" if words else "right",
                no_wrap=not wraps,
                min_width=None if wraps else max(cell_len(row[number]) for row in (block.head, *block.rows)),
            )
        for row in block.rows:
            table.add_row(*(Text(row[number]) for number in shown))
        parts.append(_Whole(table))
    parts += [Text(""), *(Text(line, style="dim") for line in _closing(comparison))]
    return Group(*parts)


def _closing(comparison: Comparison) -> list[str]:
    lines = []
    if not comparison.metrics:
        lines.append("No metric varies; name some with --metric.")
    if comparison.left_out:
        lines.append(f"The same in every cell, and left out: {', '.join(comparison.left_out)}.")
    lines += [
        f"Intervals: {METHOD['interval']}. Differences: {METHOD['difference']}.",
        f"Correction: {METHOD['correction']}. Seeds needed: {METHOD['seeds_needed']}.",
    ]
    return lines


def as_markdown(comparison: Comparison, progress: Progress, figures: Sequence[str]) -> str:
    """``compare.md``."""
    base = ", ".join(f"{key}={value}" for key, value in comparison.baseline.items())
    lines = ["# Comparison", "", f"{progress.text}.", ""]
    lines += [f"Baseline: {base}.", ""] if base else []
    for name in figures:
        lines += [f"![{name.removesuffix('.png')}](figures/{name})", ""]
    for block in blocks(comparison):
        lines += [f"## {block.title}", ""]
        lines += [f"{block.note}.", ""] if block.note else []
        lines += [_line(block.head), _line(["---"] * len(block.head)), *(_line(row) for row in block.rows), ""]
    return "\n".join([*lines, "## Method", "", *(f"- {line}" for line in _closing(comparison)), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def write(folder: Path, comparison: Comparison, progress: Progress, pareto: tuple[str, str] | None) -> dict[str, Any]:
    """Write ``compare.md``, ``compare.json`` and ``figures/`` into the folder; returns the content of the JSON.

    Raises: OutputError where that cannot be done.
    """
    pictures = draw_all(comparison, pareto)
    told = as_json(comparison, progress, pareto)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for stale in (*folder.glob("figures/over-*.png"), folder / "figures/ranks.png", folder / "figures/pareto.png"):
            stale.unlink(missing_ok=True)
        for name, png in pictures.items():
            (folder / "figures" / name).write_bytes(png)
        (folder / "compare.md").write_text(as_markdown(comparison, progress, list(pictures)), encoding="utf-8")
        text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / "compare.json").write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write the comparison into {folder}: {exc.strerror}; make room there") from exc
    return told
