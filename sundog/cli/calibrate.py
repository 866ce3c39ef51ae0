"""``sundog calibrate``: timings of simulated hosts out of what was measured on real ones."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from sundog.errors import InputError, OutputError

if TYPE_CHECKING:
    from sundog.backends.durations import Duration
    from sundog.backends.simulated.calibrate import Calibration, MedianError

# How much of a file of durations may be held out: something must be left to learn from.
_MOST: Final = 0.9


def calibrate(
    durations: Annotated[list[Path], typer.Argument(help="Files of durations: durations.jsonl of a state folder.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The calibration file to write, YAML.")],
    held_out: Annotated[
        float, typer.Option("--held-out", metavar="SHARE", help="Judge by this share of each kind, and fit the rest.")
    ] = 0.3,
    at_least: Annotated[
        int, typer.Option("--at-least", min=1, help="How many operations have to tell of a thing.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", help="For which operations are held out.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Fit the timings of simulated hosts to durations that were measured."""
    from sundog.backends.durations import read_durations
    from sundog.backends.simulated import calibrate as fitting
    from sundog.backends.simulated import load_timings
    from sundog.runtime.seeds import Streams

    if not 0.0 <= held_out <= _MOST:
        raise InputError(f"--held-out: {held_out:g} is no share to be kept out; give 0 to {_MOST:g}")
    if out.exists() and not force:
        raise OutputError(f"{out} exists; choose another name, or replace it with --force")
    records = [record for path in durations for record in read_durations(path)]
    if not records:
        raise InputError("there is not one record in what was given; let a cloud of real hosts do something first")
    kept, apart = fitting.hold_out(records, held_out, Streams(seed).child("calibration"))
    made = fitting.calibrate(kept, load_timings(), at_least=at_least)
    errors = fitting.median_errors(made.timings, apart)
    _write(out, fitting.document(made, kept, errors))
    if as_json:
        print(json.dumps(_plain(made, errors), indent=2))
        return
    console = Console(highlight=False)
    console.print(_parameters(made))
    if errors:
        console.print()
        console.print(_held_out(errors))
    told = sum(each.observations > 0 for each in made.fits)
    console.print(
        f"{out}: {told} of {len(made.fits)} parameters from {_counted(kept)}; the others are as they were",
        soft_wrap=True, markup=False,
    )  # fmt: skip


def _counted(records: Sequence[Duration]) -> str:
    done = sum(each.outcome == "done" for each in records)
    return f"{done:,} operations" + (f" ({len(records) - done:,} more failed)" if done < len(records) else "")


def _parameters(made: Calibration) -> Table:
    table = Table("parameter", "value", "before", "operations", "told by", box=None, padding=(0, 2, 0, 0))
    for each in made.fits:
        count, told = (str(each.observations), each.told) if each.observations else ("kept", f"no {each.told}")
        told = told.replace("no no ", "no ").replace("no nothing", "nothing")
        table.add_row(each.name, f"{each.value:.4g}", f"{each.before:.4g}", count, told)
    return table


def _held_out(errors: Sequence[MedianError]) -> Table:
    table = Table("held out", "operations", "median", "calibrated", "error", box=None, padding=(0, 2, 0, 0))
    for each in errors:
        share = f"{each.error:+.1%}" if math.isfinite(each.error) else "-"
        table.add_row(
            each.operation, str(each.observations), f"{each.measured:.4g} s", f"{each.predicted:.4g} s", share
        )
    return table


def _plain(made: Calibration, errors: Sequence[MedianError]) -> dict[str, Any]:
    return {
        "parameters": [
            {
                "name": each.name,
                "value": each.value,
                "before": each.before,
                "observations": each.observations,
                "told": each.told,
            }
            for each in made.fits
        ],
        "held_out": [
            {
                "operation": each.operation,
                "observations": each.observations,
                "measured": each.measured,
                "predicted": each.predicted,
                "error": each.error if math.isfinite(each.error) else None,
            }
            for each in errors
        ],
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    try:
        with beside.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
        beside.replace(path)
    except OSError as exc:
        beside.unlink(missing_ok=True)
        raise OutputError(f"the calibration cannot be written: {exc.strerror}", path=path) from exc
