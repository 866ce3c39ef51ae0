"""A result folder as columns: what a run wrote, checked and turned into numpy arrays.

Every column is one array, every name is a code into a tuple of names: two million VMs are a few hundred megabytes, and
no figure needs a loop over them. ``docs/reference/results.md`` documents the files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from sundog.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

COMPLETED, RUNNING, REJECTED, LOST = range(4)
OUTCOMES: Final = ("completed", "running", "rejected", "lost")
ARRIVAL, EVACUATION, MIGRATION, RESTART = range(4)
CAUSES: Final = ("arrival", "evacuation", "migration", "restart")
ADDED, FAILED, REPAIRED, STOPPED, STARTED, DISABLED, ENABLED, REMOVED = range(8)
HOST_EVENTS: Final = ("added", "failed", "repaired", "stopped", "started", "disabled", "enabled", "removed")


class Resource(BaseModel):
    """One countable resource of the run: its column name, resource class, label for readers and unit."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str = Field(min_length=1)
    resource_class: str = Field(alias="class")
    label: str
    unit: str


class Run(BaseModel):
    """``run.json``: what was run, how far it came, and what the tables hold. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    description: str = ""
    seed: int | None = None
    policy: dict[str, Any] = Field(default_factory=dict)
    horizon_s: FiniteFloat = Field(ge=0)
    warmup_s: FiniteFloat = Field(default=0.0, ge=0)
    partial: bool = False
    notes: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = Field(min_length=1)
    engine: dict[str, Any] = Field(default_factory=dict)
    schedulers: dict[str, Any] = Field(default_factory=dict)
    sundog: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column of names: ``codes[i]`` is the place of row i's name in ``names``. An empty cell is the name ``""``."""

    codes: Codes
    names: tuple[str, ...]

    def __getitem__(self, row: int) -> str:
        return self.names[int(self.codes[row])]


@dataclass(frozen=True, slots=True, eq=False)
class Scheduling:
    """The columns of ``vms.parquet`` that a run with several schedulers has. Times in seconds.

    ``choice`` is -1 and ``queued_s`` NaN where the file has null.
    """

    commits: Ints
    choice: Ints
    queued_s: Floats
    scheduling_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Vms:
    """``vms.parquet``, one element a request. Times in seconds; NaN where the file has null."""

    vm_id: pa.Array
    arrival_s: Floats
    start_s: Floats
    end_s: Floats
    boot_s: Floats
    downtime_s: Floats
    lifetime_s: Floats | None
    outcome: npt.NDArray[np.int8]
    reason: Coded
    flavor: Coded
    asked: Mapping[str, Floats]
    scheduling: Scheduling | None = None

    def __len__(self) -> int:
        return len(self.arrival_s)


@dataclass(frozen=True, slots=True, eq=False)
class Stays:
    """``placements.parquet``, one element a stay of a VM on a host.

    ``vm`` and ``host`` are rows of the other tables, -1 where the id is in neither: ``check_conservation`` reports
    those. ``end_s`` is +inf where the VM was still there at the end.
    """

    vm_id: pa.Array
    vm: Codes
    host: Codes
    start_s: Floats
    end_s: Floats
    cause: npt.NDArray[np.int8]
    amount: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.start_s)


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """``hosts.parquet``, one element a host. ``capacity`` is after overcommit and reserve, ``physical`` before."""

    names: tuple[str, ...]
    type: Coded
    zone: Coded
    rack: Coded
    added_s: Floats
    physical: Mapping[str, Floats]
    capacity: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class HostEvents:
    """``events.parquet``, one element an event of a host, in the order of the file."""

    time_s: Floats
    host: Codes
    event: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All that a run wrote. ``Results.load(folder)`` is the way in."""

    run: Run
    vms: Vms
    stays: Stays
    hosts: Hosts
    events: HostEvents
    scenario: str = ""

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of the resources, in the order of ``run.json``."""
        return tuple(resource.name for resource in self.run.resources)

    @property
    def window(self) -> tuple[float, float]:
        """The measured span in seconds: from the end of the warm-up to the end of the run."""
        return self.run.warmup_s, self.run.horizon_s

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """Read and check the raw files of a run.

        Raises: InputError naming the file and the column where a file is missing, truncated, or not what
        ``docs/reference/results.md`` says.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError("is not a folder; give the folder that `sundog run --out DIR` wrote", path=folder)
        run = _read_run(folder / "run.json")
        results = cls._of(run, folder)
        if not (folder / "events.parquet").exists():
            note = "events.parquet is missing, so every host is taken to be up from the time it was added."
            run = run.model_copy(update={"notes": (*run.notes, note)})
        return replace(results, run=run, scenario=_read_text(folder / "scenario.lock.yaml"))

    @classmethod
    def of(cls, facts: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> Results:
        """The same from what a run has in memory: the facts of ``run.json`` and its tables (``vms``, …) by name.

        Raises: InputError as ``load``, naming the file that the table would have been.
        """
        return cls._of(Run.model_validate(facts), Path(), tables)

    @classmethod
    def _of(cls, run: Run, folder: Path, tables: Mapping[str, pa.Table] | None = None) -> Results:
        names = [resource.name for resource in run.resources]
        given = tables or {}
        hosts = _read_hosts(folder / "hosts.parquet", names, given.get("hosts"))
        vms = _read_vms(folder / "vms.parquet", names, given.get("vms"))
        stays = _read_stays(folder / "placements.parquet", names, vms, hosts, given.get("placements"))
        return cls(run, vms, stays, hosts, _read_events(folder / "events.parquet", hosts, given.get("events")))


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _read_run(path: Path) -> Run:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("is missing, so this is not a result folder of a run", path=path) from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not valid JSON ({error.msg}); the file may be truncated, run the scenario again",
            path=path, line=error.lineno, column=error.colno,
        ) from None  # fmt: skip
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    try:
        run = Run.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(f"{where}: {first['msg']}; see docs/reference/results.md", path=path) from None
    names = [resource.name for resource in run.resources]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"resources: {twice[0]!r} is listed twice; a resource has one entry", path=path)
    return run


class _Table:
    """One table, read whole or given, whose columns are taken out one by one as checked arrays."""

    def __init__(self, path: Path, required: list[str], given: pa.Table | None = None) -> None:
        self.path = path
        self.given = given
        if given is not None:
            present = given.column_names
        else:
            with self._open() as file:
                present = file.schema_arrow.names
        missing = [name for name in required if name not in present]
        if missing:
            raise InputError(
                f"has no column {missing[0]!r} (missing: {', '.join(missing)}; present: {', '.join(present)});"
                " see docs/reference/results.md",
                path=path,
            )
        self.present = tuple(present)

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self.path) as file:
                yield file
        except FileNotFoundError:
            message = "is missing; the run did not finish writing, run the scenario again"
            raise InputError(message, path=self.path) from None
        except (pa.ArrowException, OSError) as error:
            message = f"cannot be read as Parquet ({error}); the file may be truncated, run the scenario again"
            raise InputError(message, path=self.path) from None

    def column(self, name: str, *, coded: bool = False, full: bool = False) -> pa.Array:
        """The column in one piece; names that the file holds as codes become values, unless ``coded``.

        Read when asked for: of a table of millions of rows only one column at a time is there twice. ``full`` refuses
        empty cells.
        """
        if self.given is not None:
            column = self.given.column(name)
        else:
            with self._open() as file:
                column = file.read([name]).column(0)
        if full and column.null_count:
            message = f"column {name!r} has {column.null_count} empty cells; every row needs an id"
            raise InputError(message, path=self.path)
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries() if coded else column.cast(column.type.value_type)
        return column.combine_chunks()

    def floats(self, name: str, *, null: bool = False, negative: bool = False) -> Floats:
        column = self.column(name)
        kind = column.type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise InputError(f"column {name!r} holds {kind}, a number was expected", path=self.path)
        values = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        if not null and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(f"column {name!r}, row {row}: {values[row]} is not a finite number", path=self.path)
        if not negative and (values < 0).any():
            row = int(np.flatnonzero(values < 0)[0])
            raise InputError(f"column {name!r}, row {row}: {values[row]:g} is negative", path=self.path)
        return values

    def names(self, name: str, *, full: bool = False) -> Coded:
        column = self.column(name, coded=True, full=full)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        try:
            names = column.dictionary.cast(pa.string()).fill_null("")
        except pa.ArrowException:
            raise InputError(f"column {name!r} holds {column.type}, text was expected", path=self.path) from None
        names, codes = pa.concat_arrays([names, pa.array([""])]), column.indices
        codes = codes.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
        # Whatever codes the file has, a name has one place here: that of its first row among those of all names.
        same = names.dictionary_encode()
        codes = same.indices.to_numpy()[codes]
        first = first_rows(codes, len(same.dictionary))
        used = np.flatnonzero(first < len(codes))
        used = used[np.argsort(first[used])]
        place = np.zeros(len(first), dtype=np.int32)
        place[used] = np.arange(len(used), dtype=np.int32)
        return Coded(place[codes], tuple(same.dictionary.take(pa.array(used)).to_pylist()))

    def choice(self, name: str, options: tuple[str, ...]) -> npt.NDArray[np.int8]:
        coded = self.names(name)
        unknown = [option for option in coded.names if option not in options]
        if unknown:
            raise InputError(
                f"column {name!r} holds {unknown[0]!r}; one of {', '.join(options)} was expected", path=self.path
            )
        place = np.array([options.index(option) for option in coded.names], dtype=np.int8)
        return place[coded.codes] if len(place) else np.zeros(len(coded.codes), dtype=np.int8)

    def ids(self, name: str) -> pa.Array:
        column = self.column(name, full=True)
        if pa.types.is_integer(column.type):
            column = column.cast(pa.int64())
        elif pa.types.is_null(column.type):
            column = column.cast(pa.string())
        elif not pa.types.is_string(column.type):
            try:
                column = column.cast(pa.string())
            except pa.ArrowException:
                raise InputError(
                    f"column {name!r} holds {column.type}, ids are integers or text", path=self.path
                ) from None
        return column


def first_rows(codes: npt.NDArray, size: int | None = None) -> Ints:
    """The first row of each code below ``size`` (or one above the highest), ``len(codes)`` where it has none."""
    first = np.full(int(codes.max(initial=-1)) + 1 if size is None else size, len(codes), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first


def _ascending(ids: pa.Array) -> Ints | None:
    """The ids as an array if they are whole numbers, each above the one before; else None."""
    if not pa.types.is_integer(ids.type):
        return None
    numbers: Ints = ids.to_numpy()
    return numbers if (numbers[1:] > numbers[:-1]).all() else None


def _refuse_twice(ids: pa.Array, name: str, path: Path) -> None:
    if _ascending(ids) is not None or len(pc.unique(ids)) == len(ids):
        return
    counts = pc.value_counts(ids)
    twice = pc.filter(counts.field(0), pc.greater(counts.field(1), 1))
    raise InputError(f"column {name!r}: {twice[0].as_py()!r} appears more than once; ids are unique", path=path)


def _rows_of(ids: pa.Array, known: pa.Array) -> Codes:
    """The row of each id in ``known``, -1 where it has none. Ids of two different types never match."""
    if ids.type != known.type:
        return np.full(len(ids), -1, dtype=np.int32)
    numbers = _ascending(known)
    if numbers is not None:
        wanted = ids.to_numpy()
        found = np.searchsorted(numbers, wanted).astype(np.int32)
        found[found == len(numbers)] = -1
        found[np.append(numbers, 0)[found] != wanted] = -1
        return found
    rows = pc.index_in(ids, value_set=known).fill_null(-1)
    return rows.to_numpy(zero_copy_only=False).astype(np.int32)


def _rows_of_names(names: Coded, hosts: Hosts) -> Codes:
    """The row of each name in ``hosts``, -1 where it has none."""
    rows = _rows_of(pa.array(names.names, type=pa.string()), pa.array(hosts.names, type=pa.string()))
    return np.append(rows, np.int32(-1))[names.codes]


def _read_hosts(path: Path, resources: list[str], given: pa.Table | None = None) -> Hosts:
    capacities = [f"capacity_{name}" for name in resources]
    table = _Table(path, ["host", "type", "zone", "rack", "added_s", *resources, *capacities], given=given)
    names = table.ids("host").cast(pa.string())
    _refuse_twice(names, "host", path)
    return Hosts(
        names=tuple(names.to_pylist()),
        type=table.names("type"),
        zone=table.names("zone"),
        rack=table.names("rack"),
        added_s=table.floats("added_s", null=True, negative=True),
        physical={name: table.floats(name) for name in resources},
        capacity={name: table.floats(f"capacity_{name}") for name in resources},
    )


def _read_vms(path: Path, resources: list[str], given: pa.Table | None = None) -> Vms:
    required = [
        "vm_id",
        "arrival_s",
        *resources,
        "flavor",
        "outcome",
        "reason",
        "start_s",
        "end_s",
        "boot_s",
        "downtime_s",
    ]
    table = _Table(path, required, given=given)
    vm_id = table.ids("vm_id")
    _refuse_twice(vm_id, "vm_id", path)
    has_lifetime = "lifetime_s" in table.present
    return Vms(
        vm_id=vm_id,
        arrival_s=table.floats("arrival_s", negative=True),
        start_s=table.floats("start_s", null=True, negative=True),
        end_s=table.floats("end_s", null=True, negative=True),
        boot_s=table.floats("boot_s", null=True),
        downtime_s=np.nan_to_num(table.floats("downtime_s", null=True)),
        lifetime_s=table.floats("lifetime_s", null=True) if has_lifetime else None,
        outcome=table.choice("outcome", OUTCOMES),
        reason=table.names("reason"),
        flavor=table.names("flavor"),
        asked={name: table.floats(name) for name in resources},
        scheduling=_read_scheduling(table),
    )


def _read_scheduling(table: _Table) -> Scheduling | None:
    """What several schedulers did, where there were several."""
    if "commits" not in table.present:
        return None
    choice = table.floats("choice", null=True)
    return Scheduling(
        commits=table.floats("commits").astype(np.int64),
        choice=np.where(np.isnan(choice), -1, choice).astype(np.int64),
        queued_s=table.floats("queued_s", null=True),
        scheduling_s=table.floats("scheduling_s"),
    )


def _read_stays(path: Path, resources: list[str], vms: Vms, hosts: Hosts, given: pa.Table | None = None) -> Stays:
    table = _Table(path, ["vm_id", "host", "start_s", "end_s", "cause", *resources], given=given)
    vm_id = table.ids("vm_id")
    end = table.floats("end_s", null=True, negative=True)
    return Stays(
        vm_id=vm_id,
        vm=_rows_of(vm_id, vms.vm_id),
        host=_rows_of_names(table.names("host", full=True), hosts),
        start_s=table.floats("start_s", negative=True),
        end_s=np.where(np.isnan(end), np.inf, end),
        cause=table.choice("cause", CAUSES),
        amount={name: table.floats(name) for name in resources},
    )


def _read_events(path: Path, hosts: Hosts, given: pa.Table | None = None) -> HostEvents:
    if given is None and not path.exists():
        return HostEvents(np.zeros(0), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int8))
    table = _Table(path, ["time_s", "host", "event"], given=given)
    names = table.names("host", full=True)
    rows = _rows_of_names(names, hosts)
    if (rows < 0).any():
        name = names[int(np.flatnonzero(rows < 0)[0])]
        raise InputError(f"column 'host' names {name!r}, which hosts.parquet does not have", path=path)
    return HostEvents(table.floats("time_s", negative=True), rows, table.choice("event", HOST_EVENTS))
