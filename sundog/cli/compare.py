"""``sundog compare``: what a sweep says, and whether its seeds are enough to say it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from sundog.errors import InputError

# Statistics and plots take a second to import, for which no other command should wait.
if TYPE_CHECKING:
    import pandas as pd

    from sundog.analysis.compare_report import Progress


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDERS", help="A sweep, or several result folders.")],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="A figure, or a pattern such as 'packing.*'. Repeatable.")
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option("--baseline", metavar="KEY=VALUE", help="Compare with this. Repeatable.")
    ] = None,
    pareto: Annotated[str | None, typer.Option("--pareto", metavar="X,Y", help="Metrics of the Pareto plot.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; into the sweep by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Compare the variants of a sweep: means with intervals, differences seed by seed, ranks, a Pareto front."""
    from sundog.analysis import compare_report as reports
    from sundog.analysis.compare import compare as compare_cells

    axes = pareto.split(",") if pareto is not None else None
    if axes is not None and len(axes) != 2:
        raise InputError(f"--pareto {pareto}: name two metrics, parted by a comma")
    frame, levels, units, progress = _sweep(folders[0]) if len(folders) == 1 else _runs(folders)
    comparison = compare_cells(
        frame, levels, units=units, metrics=metric or [], extra=axes or [], baseline=_labels(baseline or [], levels)
    )
    told_pareto = reports.choose_pareto(comparison, axes)
    target = out if out is not None else folders[0] if len(folders) == 1 else Path("comparison")
    told = reports.write(target, comparison, progress, told_pareto)
    if as_json:
        print(json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False))
        return
    console = Console(highlight=False)
    console.print(reports.render(comparison, progress), crop=False)
    console.print(f"Comparison: {(target / 'compare.md').resolve()}", soft_wrap=True, markup=False)


def _sweep(folder: Path) -> tuple[pd.DataFrame, dict[str, tuple[Any, ...]], dict[str, str], Progress]:
    from sundog.analysis.compare_report import Progress
    from sundog.scenarios.folder import RUN_FILE
    from sundog.scenarios.sweep.folder import FIXED, SWEEP_FILE, read_sweep

    if not folder.is_dir():
        raise InputError("is not a folder; give one that `sundog sweep --out DIR` wrote", path=folder)
    if (folder / RUN_FILE).is_file() and not (folder / SWEEP_FILE).is_file():
        raise InputError("is one run; give a sweep, or at least two runs", path=folder)
    sweep = read_sweep(folder)
    schema = sweep.table.schema
    figures = [name for name in schema.names if name not in sweep.varied and name not in FIXED]
    units = {name: (schema.field(name).metadata or {}).get(b"unit", b"").decode() for name in figures}
    failed = len(sweep.table) - sweep.table.column("error").null_count
    progress = Progress(sweep.cells, len(sweep.table) - failed, failed)
    if progress.done == 0:
        raise InputError(f"has no finished cells yet ({progress.text})", path=folder)
    return sweep.table.to_pandas(), dict(sweep.varied), units, progress


def _runs(folders: Sequence[Path]) -> tuple[pd.DataFrame, dict[str, tuple[Any, ...]], dict[str, str], Progress]:
    """Result folders as cells: those of one policy and scenario are runs of one variant if their seeds differ."""
    import pandas as pd

    from sundog.analysis.compare_report import Progress
    from sundog.scenarios.sweep.plan import label_of

    rows: list[dict[str, Any]] = []
    units: dict[str, str] = {}
    for folder in folders:
        path = folder / "summary.json"
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
            run, figures = summary["run"], summary["figures"]
            policy = label_of(run["policy"]) if len(run["policy"]) > 1 else run["policy"]["name"]
            labels = {"name": run["name"], "policy": policy, "folder": str(folder), "seed": run["seed"]}
            rows.append(labels | {key: each["value"] for key, each in figures.items()})
            units |= {key: each["unit"] for key, each in figures.items()}
        except (OSError, ValueError, KeyError, TypeError) as exc:
            hint = "give folders that `sundog run` wrote, or one sweep"
            raise InputError(f"is not the summary of a run ({type(exc).__name__}: {exc}); {hint}", path=path) from None
    frame = pd.DataFrame(rows)
    frame[list(units)] = frame[list(units)].apply(pd.to_numeric)
    keys = [key for key in ("name", "policy") if frame[key].nunique() > 1]
    if frame.duplicated([*keys, "seed"]).any() or not keys:
        keys.append("folder")  # they differ in something else
    levels = {key: tuple(dict.fromkeys(frame[key])) for key in keys}
    return frame, levels, units, Progress(len(rows), len(rows), 0)


def _labels(given: Sequence[str], levels: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """``key=value`` pairs as values of the results: by what tables call them, or as they were given to ``--vary``."""
    from sundog.scenarios.sweep.plan import parse_vary

    labels: dict[str, Any] = {}
    for option in given:
        key, equals, text = option.partition("=")
        if not equals:
            raise InputError(f"--baseline {option}: write key=value, such as policy=best-fit")
        by_name = {str(each): each for each in levels.get(key, ())}
        labels[key] = by_name[text] if text in by_name else parse_vary(option).labels[0]
    return labels
