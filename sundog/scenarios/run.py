"""Playing a scenario: its fleet and workload are made, the engine runs, and the results are written."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

import sundog
from sundog.core.pool import Pool
from sundog.core.scheduler import Policy, Request, Scheduler, load_policy
from sundog.core.scheduler.compiled import compilable
from sundog.errors import InputError, OutputError
from sundog.runtime.seeds import Streams
from sundog.scenarios import results
from sundog.scenarios.folder import RUN_FILE, new_folder
from sundog.scenarios.inventory import host_groups
from sundog.scenarios.kept import Kept
from sundog.scenarios.lock import POLICY_FILE, write_lock
from sundog.scenarios.memory import give_back, keep_lean
from sundog.scenarios.schema import LOCK_FILE, InventoryGroup, Loaded, TraceSpec
from sundog.scenarios.traces import Trace, read_machine_events, read_trace
from sundog.sim.boot import boot_times
from sundog.sim.engine import Engine
from sundog.sim.faults import start_faults
from sundog.sim.fleet import Fleet, build_fleet
from sundog.sim.maintenance import start_maintenance
from sundog.sim.outlook import prepare_policy
from sundog.sim.records import Record
from sundog.sim.requests import Workload, build_workload
from sundog.sim.schedulers import SchedulersEngine
from sundog.sim.spec import HostGroup
from sundog.sim.workload.generate import generate

_WORTH_COMPILING: Final = 20_000
"""VMs from which on the compiled engine is sooner done, importing and loading it included."""


@dataclass(frozen=True, slots=True)
class Study:
    """A scenario made ready: everything is read and checked, nothing has run.

    ``notes`` are for the user: what the trace reader sampled or dropped, and requests that no host could ever take.
    """

    loaded: Loaded
    fleet: Fleet
    workload: Workload
    machine_events: pd.DataFrame | None
    notes: tuple[str, ...]
    files: dict[str, Path]

    def engine(
        self, on_decision: Callable[[int, Request], None] | None = None, *, kind: type[Engine] | None = None
    ) -> Engine:
        """A new engine, at the start, with its faults and maintenance in place. Each call gives the same run.

        ``kind`` is the compiled or the general one, by default the one that is sooner done; the results are the same.
        """
        scenario = self.loaded.scenario
        policy = self._policy()
        options: dict[str, Any] = {
            "policy_name": scenario.policy.name,
            "seed": scenario.seed,
            "on_full": scenario.on_full,
            "evacuation": scenario.faults.evacuation,
            "migration": scenario.migration,
            "horizon_s": scenario.horizon if scenario.horizon is not None else math.inf,
            "on_decision": on_decision,
        }
        if scenario.schedulers is not None:
            large = len(self.workload) >= _WORTH_COMPILING
            options |= {"schedulers": scenario.schedulers, "make_policy": self._policy}
            options["compiled"] = large and on_decision is None
            kind = SchedulersEngine
        elif kind is None:
            general = on_decision is not None or len(self.workload) < _WORTH_COMPILING
            kind = _sooner_done(policy, general=general)
        engine = kind(self.fleet, self.workload, policy, **options)
        start_faults(engine, scenario.faults, self.machine_events)
        for plan in scenario.maintenance:
            start_maintenance(engine, plan)
        return engine

    def _policy(self) -> Policy:
        """A new policy, told what is to come if it asks."""
        spec = self.loaded.scenario.policy
        policy = load_policy(spec.name, spec.parameters)
        with self.loaded.origin.blamed("policy", "name"):
            prepare_policy(policy, self.fleet, self.workload)
        return policy


def _sooner_done(policy: Policy, *, general: bool) -> type[Engine]:
    """The compiled engine where it can play, unless the general one is told."""
    if general or isinstance(compilable(policy), str):
        return Engine
    from sundog.sim.replay import CompiledEngine  # Numba takes half a second to import

    return CompiledEngine


def prepare(loaded: Loaded, kept: Kept | None = None) -> Study:
    """Read the traces, build the fleet and the workload, and check what can be checked before a run.

    With ``kept``, a trace or workload that an earlier scenario of this process had is taken from there.
    Raises: InputError for whatever is wrong with the scenario, its files or its policy.
    """
    keep_lean()
    scenario = loaded.scenario
    kept = kept or Kept()
    blamed = loaded.origin.blamed
    files: dict[str, Path] = {}
    with blamed("policy", "name"):
        files |= policy_files(loaded)
    trace, trace_key = _trace(loaded, kept, files)
    give_back()
    with blamed("fleet"):
        fleet = build_fleet(_counted(host_groups(loaded, trace, files)), scenario.overcommit)
    asked = scenario.workload.trace
    group_policy = asked.group_policy if asked is not None else None
    horizon = scenario.horizon if scenario.horizon is not None else math.inf
    # Of the fleet, a workload depends on what kinds of machines there are, not on how many.
    kinds = (tuple(dict.fromkeys(repr(group.type) for group in fleet.groups)), repr(fleet.overcommit))
    with blamed("workload"):
        workload = kept.get(
            ("workload", trace_key, kinds, group_policy, horizon),
            lambda: build_workload(
                trace.vms, fleet, variants=trace.variants, group_policy=group_policy, horizon_s=horizon
            ),
        )
    _check_countable(loaded, fleet, workload)
    machine_events = _machine_events(loaded, files)
    for number, outage in enumerate(scenario.faults.outages):
        with blamed("faults", "outages", number):
            fleet.select(zone=outage.zone, rack=outage.rack, hosts=outage.hosts)
    for number, plan in enumerate(scenario.maintenance):
        with blamed("maintenance", number):
            fleet.select(zone=plan.zone, rack=plan.rack, host_type=plan.type)
    notes = (*trace.notes, *workload.notes, *_impossible(fleet, workload), *_not_compiled(loaded, workload))
    return Study(loaded, fleet, workload, machine_events, notes, files)


def fleet_of(loaded: Loaded) -> list[HostGroup]:
    """The fleet of a scenario alone; its trace is read only if the inventory of that is asked for.

    Raises: InputError for whatever is wrong with it.
    """
    files: dict[str, Path] = {}
    of_trace = any(isinstance(each, InventoryGroup) and each.inventory == "trace" for each in loaded.scenario.fleet)
    trace = _trace(loaded, Kept(), files)[0] if of_trace else Trace(pd.DataFrame())
    with loaded.origin.blamed("fleet"):
        return _counted(host_groups(loaded, trace, files))


def run_study(
    study: Study,
    out: Path,
    *,
    force: bool = False,
    progress: Callable[[float, int], None] | None = None,
    on_engine: Callable[[Engine], None] | None = None,
    finish: Callable[[Path], None] | None = None,
) -> Path:
    """Play the study and write its result folder; returns ``out``.

    ``on_engine`` is given the engine before it runs, so that a signal handler can stop it: the results are then marked
    as partial. ``finish`` is given the folder with all tables in it, before it takes its name, so that what it adds
    (the analysis) is there from the beginning. If it cannot write there is no folder; if it fails otherwise the tables
    are kept, and the failure is raised.
    Raises: OutputError if the folder cannot be written, before anything is run where that can be known;
    PolicyError as the scheduler does.
    """
    with new_folder(out, force=force) as folder:
        _play(study, folder, progress, on_engine)
        write_lock(folder / LOCK_FILE, study.loaded, study.files)
        del study
        give_back()  # the analysis reads the tables: it needs neither engine nor, if the caller lets go, workload
        failure = _finished(folder, finish)
    if failure is not None:
        raise failure
    return out


def _play(
    study: Study,
    folder: Path,
    progress: Callable[[float, int], None] | None,
    on_engine: Callable[[Engine], None] | None,
) -> None:
    """Run the engine and write its tables and facts."""
    engine = study.engine()
    if on_engine is not None:
        on_engine(engine)
    record = engine.run(progress=progress)
    facts, tables = outcome(study, engine, record)
    for name, make in tables.items():  # one at a time: they are large
        results.write_table(folder / f"{name}.parquet", make())
    results.write_json(folder / RUN_FILE, facts)


def outcome(study: Study, engine: Engine, record: Record) -> tuple[dict[str, Any], dict[str, Callable[[], pa.Table]]]:
    """What a run leaves, in memory: the facts of ``run.json``, and its tables by name, made when they are asked for."""
    scenario = study.loaded.scenario
    boot = None
    if scenario.boot is not None:
        boot = boot_times(record.stays, study.workload.arrival_s[: len(record.outcome)], scenario.boot, engine.streams)
    facts: dict[str, Any] = {
        "name": scenario.name,
        "description": scenario.description,
        "seed": scenario.seed,
        "policy": _finite({"name": scenario.policy.name, **scenario.policy.parameters}),
        "horizon_s": record.reached_s,
        "warmup_s": scenario.warmup,
        "partial": record.partial,
        "notes": list(study.notes),
        "resources": [
            {"name": r.name, "class": r.resource_class, "label": r.label, "unit": r.unit}
            for r in study.workload.resources
        ],
        **({} if scenario.schedulers is None else {"schedulers": {"count": scenario.schedulers.count}}),
        "engine": {"events": record.events, "placements": record.placements},
        "images": None if boot is None else {"fetched": boot.fetched, "cached": boot.cached},
        "sundog": sundog.__version__,
    }
    return facts, {
        "vms": lambda: results.vms_table(study.workload, study.fleet, record, boot),
        "placements": lambda: results.placements_table(study.workload, study.fleet, record),
        "hosts": lambda: results.hosts_table(study.workload, study.fleet),
        "events": lambda: results.events_table(study.fleet, record),
    }


def _finished(folder: Path, finish: Callable[[Path], None] | None) -> BaseException | None:
    """What went wrong in ``finish``. The tables are whole by then and hours may be in them, so they are kept.

    Raises: OutputError, since a folder that could not be written whole must not stay.
    """
    try:
        if finish is not None:
            finish(folder)
    except OutputError:
        raise
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - raised again, once the tables are in their place
        return exc
    return None


# ---------------------------------------------------------------- inputs


def input_files(loaded: Loaded) -> dict[str, Path]:
    """What a scenario would read, by the dotted key that names each; its policy is made once, nothing else is read.

    Raises: InputError for a policy that cannot be made, and a file that is not there or not named.
    """
    files: dict[str, Path] = {}
    with loaded.origin.blamed("policy", "name"):
        files |= policy_files(loaded)
    scenario = loaded.scenario
    if scenario.workload.trace is not None:
        files["workload.trace.path"] = _trace_path(loaded, scenario.workload.trace)
    for number, entry in enumerate(scenario.fleet):
        if isinstance(entry, InventoryGroup) and entry.inventory != "trace":
            files[f"fleet.{number}.inventory"] = loaded.resolve(entry.inventory, "fleet", number, "inventory")
    if scenario.faults.machine_events is not None:
        where = ("faults", "machine_events", "path")
        files[".".join(where)] = loaded.resolve(scenario.faults.machine_events.path, *where)
    for key, path in files.items():
        if not path.exists():
            loc = tuple(int(part) if part.isdecimal() else part for part in key.split("."))
            raise loaded.origin.error(loc, f"{key}: there is no {path}")
    return files


def policy_files(loaded: Loaded) -> dict[str, Path]:
    """The file of a policy of the user's own, by key; its class has been found and made once.

    Its module is looked for in the current folder, beside the scenario, and where it was when a lock was written.
    Raises: InputError as ``load_policy``.
    """
    policy = loaded.scenario.policy
    if ":" in policy.name:
        kept = loaded.scenario.lock.modules if loaded.scenario.lock else ()
        folders = [str(Path.cwd()), str(loaded.path.parent.resolve()), *kept]
        sys.path.extend(each for each in dict.fromkeys(folders) if each not in sys.path)
        importlib.invalidate_caches()
    load_policy(policy.name, policy.parameters)
    module = sys.modules.get(policy.name.partition(":")[0]) if ":" in policy.name else None
    file = getattr(module, "__file__", None)
    return {POLICY_FILE: Path(file).resolve()} if file is not None else {}


def _trace(loaded: Loaded, kept: Kept, files: dict[str, Path]) -> tuple[Trace, Hashable]:
    """The VMs of a scenario, and what names them: two with one name are the same."""
    scenario = loaded.scenario
    spec = scenario.workload.trace
    if spec is None:
        synthetic, horizon = scenario.workload.synthetic, scenario.horizon
        assert synthetic is not None
        assert horizon is not None
        key: Hashable = ("synthetic", repr(synthetic), horizon, scenario.seed)
        streams = Streams(scenario.seed).child("workload")
        return kept.get(key, lambda: Trace(generate(synthetic, horizon_s=horizon, streams=streams))), key
    path = files["workload.trace.path"] = _trace_path(loaded, spec)

    def read(streams: Streams) -> Trace:
        return read_trace(
            spec.format,
            path,
            limit=spec.limit,
            time_scale=spec.time_scale,
            streams=streams,
            options=spec.options,
        )

    with loaded.origin.blamed("workload", "trace", "options"):
        asked = (path, spec.format, spec.limit, spec.time_scale, repr(spec.options))
        trace, key = kept.seeded(asked, scenario.seed, read)
    if not len(trace.vms):
        raise InputError("the trace has no VMs", path=path)
    return trace, key


def _trace_path(loaded: Loaded, spec: TraceSpec) -> Path:
    loc = ("workload", "trace", "path")
    if spec.path is None:
        raise loaded.origin.error(
            loc,
            f"scenario {loaded.scenario.name} needs a trace in format {spec.format}, and none is given; "
            "say where it is with --set workload.trace.path=PATH",
        )
    path = loaded.resolve(spec.path, *loc)
    if not path.exists():
        raise loaded.origin.error(
            loc, f"workload.trace.path: there is no {path}; say where the trace is with --set workload.trace.path=PATH"
        )
    return path


def _machine_events(loaded: Loaded, files: dict[str, Path]) -> pd.DataFrame | None:
    spec = loaded.scenario.faults.machine_events
    if spec is None:
        return None
    path = files["faults.machine_events.path"] = loaded.resolve(spec.path, "faults", "machine_events", "path")
    events = read_machine_events(path)
    return events.assign(time_s=events["time_s"] * spec.time_scale)


# ---------------------------------------------------------------- checks and notes

_MOST_HOSTS = 10_000_000
_MOST_UNITS = 2.0**62  # what the pool counts in is int64, and an overflow would be silent


def _counted(groups: list[HostGroup]) -> list[HostGroup]:
    """``groups``, unless they are more hosts than a machine can hold."""
    total = sum(group.count for group in groups)
    if total > _MOST_HOSTS:
        raise InputError(f"{total:,} hosts are more than Sundog takes; give at most {_MOST_HOSTS:,}")
    return groups


def _check_countable(loaded: Loaded, fleet: Fleet, workload: Workload) -> None:
    """Refuse sizes that the pool cannot count, in hosts and in demands."""

    def units(resource_class: str, amount: float) -> float:
        return amount * workload.classes[resource_class].scale

    for group in fleet.groups:
        for name, inventory in fleet.inventory(group.type).items():
            if units(name, inventory.total * max(1.0, inventory.allocation_ratio)) > _MOST_UNITS:
                message = f"host type {group.type.name}: {inventory.total:g} of {name} is more than can be counted"
                raise loaded.origin.error(("fleet",), message)
    for shape in workload.shapes:
        for name, amount in (*shape.resources, *(each for v in shape.variants for each in v.resources)):
            if units(name, amount) > _MOST_UNITS:
                message = f"a VM that asks for {amount:g} of {name} ({shape.describe()}) is more than can be counted"
                raise loaded.origin.error(("workload",), message)


def _impossible(fleet: Fleet, workload: Workload) -> list[str]:
    """Requests that no host could take even if the whole fleet were empty: said before the run, not after it."""
    # One host of each entry of the fleet stands for all of them.
    one_each = [group.model_copy(update={"count": 1, "racks": 1}) for group in fleet.groups]
    pool, sample = Pool(workload.classes), build_fleet(one_each, fleet.overcommit)
    for number in range(len(one_each)):
        sample.enter(pool, number)
    scheduler = Scheduler(pool, policy=None)
    hopeless = [i for i, shape in enumerate(workload.shapes) if not scheduler.shaped(shape).passes.any()]
    if not hopeless:
        return []
    counts = np.bincount(workload.shape, minlength=len(workload.shapes))
    worst = max(hopeless, key=lambda i: (counts[i], -i))
    total, example = int(counts[hopeless].sum()), workload.shapes[worst]
    return [
        f"{total:,} of {len(workload):,} requests fit no host even when the fleet is empty, and will be rejected; "
        f"the most frequent of {len(hopeless)} such sizes is {example.name or example.describe()} "
        f"({example.describe()}), {int(counts[worst]):,} times"
    ]


def _not_compiled(loaded: Loaded, workload: Workload) -> list[str]:
    """That a large study will take its time, and why."""
    policy = loaded.scenario.policy
    if len(workload) < _WORTH_COMPILING:
        return []
    if loaded.scenario.schedulers is not None:
        return ["several schedulers are not played in compiled code, so this takes longer than with one"]
    why = compilable(load_policy(policy.name, policy.parameters))
    if not isinstance(why, str):
        return []
    return [f"policy {policy.name} is not compiled, so this takes longer: {why}; docs/howto/own-policy.md says how"]


def _finite(value: Any) -> Any:
    """``value`` with infinity and NaN, which JSON does not know, as text."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)
