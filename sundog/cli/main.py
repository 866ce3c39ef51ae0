"""The commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import json
import math
import re
import signal
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import sundog
from sundog.cli.audit import audit
from sundog.cli.backup import backup, restore
from sundog.cli.calibrate import calibrate
from sundog.cli.compare import compare
from sundog.cli.fence_redfish import fence_redfish
from sundog.cli.host import host_app
from sundog.cli.network_node import network_node
from sundog.cli.serve import serve
from sundog.cli.soak import soak
from sundog.cli.sweep import sweep
from sundog.cli.systemd_unit import systemd_unit
from sundog.cli.tempest_conf import tempest_conf
from sundog.cli.twin import twin
from sundog.errors import InputError, OutputError, SundogError
from sundog.units import format_duration

# What studies need takes a second and 120 MB to import; commands of a cloud have no use for it.
if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams
    from sundog.sim.engine import Engine

app = typer.Typer(
    help="Sundog: an emulated cloud with a real mode.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
trace_app = typer.Typer(help="Look at workload traces and convert them.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(trace_app, name="trace")
app.add_typer(host_app, name="host")

ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, a name of the library, or a result folder.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key: fleet.0.count=50. Repeatable.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Use this seed instead of the scenario's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there.")]
FormatOption = Annotated[str, typer.Option("--format", help="One of those that 'sundog trace formats' lists.")]

PARTIAL = 130
"""Exit code of a run that Ctrl-C cut short: the shell's own for an interrupted command."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        app(args=None if arguments is None else list(arguments), standalone_mode=True)
    except SundogError as exc:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"sundog: {exc.message}")
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _print_json(value: Any) -> None:
    """``value`` as JSON that every reader knows: what is not finite is null."""
    print(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@app.callback()
def _root() -> None:
    pass


@app.command()
def version() -> None:
    """Print the version."""
    print(sundog.__version__)


@app.command()
def run(
    scenario: ScenarioArgument,
    options: SetOption = None,
    seed: SeedOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Result folder; runs/NAME by default.")] = None,
    as_json: JsonOption = False,
    force: ForceOption = False,
) -> None:
    """Play a scenario and write its results and report.

    Ctrl-C ends it early; what was done so far is kept and marked as partial.
    """
    from sundog.cli.progress import Progress
    from sundog.scenarios.folder import check_free
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.lock import changed_files
    from sundog.scenarios.run import prepare, run_study

    loaded = load_scenario(scenario, options or [], seed=seed)
    out = out if out is not None else Path("runs") / _folder_name(loaded.scenario.name)
    check_free(out, force=force)  # before a long trace is read
    messages = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for name in changed_files(loaded):
        messages.print(f"note: {name} is not the file that the locked run read; results may differ")
    studies = [prepare(loaded)]  # a list, so that the columns of the workload can go before the analysis
    for note in studies[0].notes:
        messages.print(f"note: {note}")
    summary: dict[str, Any] = {}
    with Progress(studies[0], quiet=not sys.stderr.isatty()) as progress, _interruptible() as watch:

        def begin(engine: Engine) -> None:
            watch(engine)
            if engine.compiles:
                messages.print("compiling … (once; takes about a minute)")

        def finish(folder: Path) -> None:
            progress.close()
            summary.update(_analysed(folder, messages, report=loaded.scenario.outputs.report))

        run_study(studies.pop(), out, force=force, progress=progress.update, on_engine=begin, finish=finish)
    if as_json:
        _print_json(summary)
    else:
        _print_summary(summary, out)
    if summary["partial"]:
        messages.print("The run was interrupted: the results are partial.")
        raise typer.Exit(PARTIAL)


def _print_summary(summary: dict[str, Any], folder: Path) -> None:
    from sundog.analysis import render_summary

    console = Console(highlight=False)
    console.print(render_summary(summary))
    page = folder / "report.html"
    what, where = ("Report", page) if page.is_file() else ("Results", folder)
    console.print(f"{what}: {where.resolve()}", soft_wrap=True, markup=False)


def _folder_name(name: str) -> str:
    """A scenario's name as that of a folder: no slashes, and not hidden."""
    return re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "run"


def _analysed(out: Path, messages: Console, *, report: bool = True) -> dict[str, Any]:
    from sundog.analysis import analyse

    if messages.is_terminal:
        with messages.status("analysing and drawing"):
            return analyse(out, report=report)
    return analyse(out, report=report)


@contextmanager
def _interruptible() -> Iterator[Callable[[Engine], None]]:
    """What to call with an engine so that the first Ctrl-C ends its run in order; the second ends the program."""

    def watch(engine: Engine) -> None:
        running = weakref.ref(engine)  # the handler stays for the analysis, which needs the engine's memory

        def stop(_signal: int, _frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            stopped = running()
            if stopped is not None:
                stopped.stop()

        signal.signal(signal.SIGINT, stop)

    before = signal.getsignal(signal.SIGINT)
    try:
        yield watch
    finally:
        signal.signal(signal.SIGINT, before)


@app.command()
def validate(scenario: ScenarioArgument, options: SetOption = None, seed: SeedOption = None) -> None:
    """Check a scenario and everything it reads, without running it."""
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import prepare

    study = prepare(load_scenario(scenario, options or [], seed=seed))
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for note in study.notes:
        console.print(f"note: {note}")
    horizon = study.loaded.scenario.horizon
    until = "until the last event" if horizon is None else format_duration(horizon)
    console.print(
        f"{study.loaded.path}: valid; {len(study.fleet):,} hosts, {len(study.workload):,} VMs in "
        f"{len(study.workload.shapes):,} sizes, {until}, policy {study.loaded.scenario.policy.name}"
    )


@app.command()
def scenarios(as_json: JsonOption = False) -> None:
    """List the scenarios that come with Sundog, and the policies."""
    from sundog.core.scheduler import ELSEWHERE, policy_names
    from sundog.scenarios.load import library, load_scenario

    rows = []
    for name, path in library().items():
        scenario = load_scenario(path).scenario
        trace = scenario.workload.trace
        rows.append(
            {
                "name": name,
                "description": scenario.description,
                "trace": trace.format if trace is not None and trace.path is None else None,
                "path": str(path),
            }
        )
    if as_json:
        _print_json({"scenarios": rows, "policies": [*policy_names(), *ELSEWHERE]})
        return
    table = Table("scenario", "what it shows", "needs a trace", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(row["name"], row["description"], row["trace"] or "")
    console = Console(highlight=False)
    console.print(table)
    console.print(f"policies: {', '.join([*policy_names(), *ELSEWHERE])}, or module:Class", markup=False)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A result folder.")],
    as_json: JsonOption = False,
) -> None:
    """Make summary, time series, figures and report of a result folder again."""
    summary = _analysed(folder, Console(stderr=True))
    if as_json:
        _print_json(summary)
    else:
        _print_summary(summary, folder)


@app.command()
def explain(
    folder: Annotated[Path, typer.Argument(help="A result folder.")],
    vm_id: Annotated[str, typer.Argument(help="The VM whose placement is to be explained.")],
    host: Annotated[
        str | None, typer.Option("--why-not", metavar="HOST", help="Say why it is not on this host.")
    ] = None,
    best: Annotated[int, typer.Option("--best", min=1, help="How many of the best hosts to show.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Say why a VM was put where it is, or nowhere, by playing the run again up to that decision."""
    from sundog.cli.explain import explain_decision

    told = explain_decision(folder, vm_id, host=host, best=best)
    if as_json:
        _print_json(told.as_dict())
    else:
        Console(highlight=False).print(told.render())


app.command()(sweep)
app.command()(compare)
app.command()(serve)
app.command()(tempest_conf)
app.command()(soak)
app.command()(audit)
app.command()(backup)
app.command()(restore)
app.command()(network_node)
app.command()(systemd_unit)
app.command()(fence_redfish)
app.command()(calibrate)
app.command()(twin)


@app.command()
def place(
    hosts: Annotated[Path, typer.Option("--hosts", help="The hosts: a JSON or YAML file.")],
    requests: Annotated[Path, typer.Option("--requests", help="The servers asked for, in order.")],
    policy: Annotated[str, typer.Option("--policy", help="A policy's name, or module:Class.")] = "nova",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="An option of nova.conf or of the policy. Repeatable."),
    ] = None,
    reasons: Annotated[bool, typer.Option("--explain", help="Add reasons and breakdown to each decision.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="The file of decisions; standard output if none.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="For policies that throw dice.")] = 0,
) -> None:
    """Say where servers would go on the hosts of a file, as Nova would place them: what-if without a scenario."""
    from sundog.cli.place import place_files, write_decisions

    told = place_files(hosts, requests, policy, settings or [], explain=reasons, seed=seed)
    messages = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for note in told.notes:
        messages.print(f"note: {note}")
    if out is None:
        print(told.text(), end="")
    else:
        write_decisions(told, out)
        messages.print(f"{out}: {told.summary()}")


# ---------------------------------------------------------------- traces


TracePath = Annotated[Path, typer.Argument(help="The trace: a file, or the data set's folder.")]
OptionOption = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the format. Repeatable.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many VMs.")]


def _options(given: list[str] | None) -> dict[str, Any]:
    """``key=value`` pairs; a value that reads as a number is one."""
    options: dict[str, Any] = {}
    for each in given or []:
        key, equals, text = each.partition("=")
        if not equals:
            raise InputError(f"--option {each}: write key=value")
        try:
            options[key] = json.loads(text)
        except ValueError:
            options[key] = text
    return options


@trace_app.command("info")
def trace_info_command(
    path: TracePath,
    format_name: FormatOption = "normalised",
    limit: LimitOption = None,
    options: OptionOption = None,
    seed: Annotated[int, typer.Option("--seed", help="For formats that sample what they miss.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a trace: counts, sizes, lifetimes, peaks."""
    from sundog.scenarios.traces import read_trace, trace_info

    streams = _streams(seed)
    info = trace_info(read_trace(format_name, path, limit=limit, streams=streams, options=_options(options)))
    if as_json:
        _print_json(info)
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for key, value in info.items():
        if key == "notes":
            for note in value:
                console.print(f"note: {note}")
        elif isinstance(value, dict):
            console.print(f"{key}:")
            for inner, figure in value.items():
                console.print(f"  {inner}: {_figure(figure)}")
        elif value is not None:
            console.print(f"{key}: {_figure(value)}")


def _streams(seed: int) -> Streams:
    from sundog.runtime.seeds import Streams

    return Streams(seed).child("trace")


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_figure(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(_figure(each) for each in value)
    return f"{value:,.10g}" if isinstance(value, int | float) else str(value)


@trace_app.command("convert")
def trace_convert(
    path: TracePath,
    target: Annotated[Path, typer.Argument(help="A .parquet or .csv file in the normalised form.")],
    format_name: FormatOption,
    limit: LimitOption = None,
    options: OptionOption = None,
    seed: Annotated[int, typer.Option("--seed", help="For formats that sample what they miss.")] = 1,
    force: ForceOption = False,
) -> None:
    """Write a trace in the normalised form."""
    from sundog.scenarios.traces import read_trace, write_normalised

    if target.exists() and not force:
        raise OutputError(f"{target} exists; choose another name, or replace it with --force")
    trace = read_trace(format_name, path, limit=limit, streams=_streams(seed), options=_options(options))
    write_normalised(trace, target, force=force)
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for note in trace.notes:
        console.print(f"note: {note}")
    console.print(f"{target}: {len(trace.vms):,} VMs")


@trace_app.command("formats")
def trace_formats() -> None:
    """List the formats and their options."""
    from sundog.scenarios.traces import FORMATS

    console = Console(highlight=False, soft_wrap=True, markup=False)
    for each in FORMATS.values():
        console.print(f"{each.name}: {each.description}")
        for key, option in each.options.items():
            console.print(f"  {key}: {option.meaning} (default {option.default})")


if __name__ == "__main__":
    main()
