"""The form of a scenario file. ``docs/reference/scenario.md`` explains every key; ``load`` reads one with positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from sundog.core.scheduler import GroupPolicy
from sundog.scenarios.origin import Origin
from sundog.scenarios.traces import FORMATS
from sundog.scenarios.traces.model import suggest
from sundog.sim.spec import (
    Boot,
    FaultsSpec,
    HostGroup,
    Instant,
    Maintenance,
    Migration,
    OnFull,
    Overcommit,
    Schedulers,
    Spec,
)
from sundog.sim.workload.laws import Duration
from sundog.sim.workload.spec import SyntheticSpec

LOCK_FILE = "scenario.lock.yaml"
"""What a result folder calls the scenario that repeats it."""


class TraceSpec(Spec):
    """A real workload: the format and where it is, and what is taken of it.

    ``options`` are those of the format (``sundog trace formats``). ``group_policy`` is what the trace's groups ask of
    the scheduler where the trace itself says nothing.
    """

    format: str
    path: str | None = None
    limit: int | None = Field(default=None, gt=0)
    time_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    group_policy: GroupPolicy | None = None
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _known_format(self) -> TraceSpec:
        if self.format not in FORMATS:
            raise ValueError(f"unknown trace format {self.format!r}; {suggest(self.format, FORMATS)}")
        return self


class WorkloadSpec(Spec):
    """Where the VMs come from: a trace, or laws."""

    trace: TraceSpec | None = None
    synthetic: SyntheticSpec | None = None

    @model_validator(mode="after")
    def _one(self) -> WorkloadSpec:
        if (self.trace is None) == (self.synthetic is None):
            raise ValueError("a workload is either 'trace' or 'synthetic'; give one of them")
        return self


class InventoryGroup(Spec):
    """Hosts taken from elsewhere: ``trace`` means the workload's own inventory, else a table of hosts.

    The table (Parquet or CSV) has one row a host or type: type, count, vcpus, memory_mb, and where it has them disk_gb,
    gpus, gpu_model. ``scale`` multiplies the counts. ``order: types`` puts all hosts of a type together; ``rows`` keeps
    the order of the table, which decides between equal hosts.
    """

    inventory: str
    zone: str | None = None
    racks: int = Field(default=1, gt=0)
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    order: Literal["types", "rows"] = "types"

    @model_validator(mode="after")
    def _whole_rows(self) -> InventoryGroup:
        if self.order == "rows" and self.scale != 1.0:
            raise ValueError("'scale' multiplies the hosts of a type; with 'order: rows' leave it out")
        return self


def _kind(value: Any) -> str:
    given = value if isinstance(value, dict) else vars(value) if isinstance(value, BaseModel) else {}
    return "InventoryGroup" if "inventory" in given else "HostGroup"


FleetEntry: TypeAlias = Annotated[
    Annotated[HostGroup, Tag("HostGroup")] | Annotated[InventoryGroup, Tag("InventoryGroup")], Discriminator(_kind)
]
"""One entry of the fleet. The tags, which errors have in their way, are such as no key is called."""


class PolicySpec(BaseModel):
    """A policy by name, or ``module:Class``, with its parameters beside the name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(min_length=1)

    @property
    def parameters(self) -> dict[str, Any]:
        """What stands beside the name."""
        return dict(self.__pydantic_extra__ or {})


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Outputs(Spec):
    """What a run writes besides the tables that it always writes."""

    report: bool = True


class Lock(Spec):
    """Written into ``scenario.lock.yaml``: what the run was made with.

    ``files`` are SHA-256 sums by path; ``modules`` are folders in which the policy's module was looked for.
    """

    sundog: str
    python: str
    numpy: str
    files: dict[str, str] = {}
    modules: tuple[str, ...] = ()


class Scenario(Spec):
    """One study: a fleet, a workload, a policy, and what goes wrong."""

    name: str = Field(min_length=1)
    description: str = ""
    seed: int = Field(default=1, ge=0)
    horizon: Duration | None = None
    warmup: Instant = 0.0
    fleet: tuple[FleetEntry, ...] = Field(min_length=1)
    workload: WorkloadSpec
    policy: Annotated[PolicySpec, BeforeValidator(_named)] = PolicySpec(name="best-fit")
    overcommit: Overcommit = Overcommit()
    schedulers: Schedulers | None = None
    on_full: OnFull = "reject"
    faults: FaultsSpec = FaultsSpec()
    maintenance: tuple[Maintenance, ...] = ()
    migration: Migration = Migration()
    boot: Boot | None = None
    outputs: Outputs = Outputs()
    lock: Lock | None = None

    @model_validator(mode="after")
    def _times(self) -> Scenario:
        if self.horizon is not None and self.warmup >= self.horizon:
            raise ValueError(f"the warm-up ({self.warmup:g} s) is not shorter than the horizon ({self.horizon:g} s)")
        if self.horizon is None and self.workload.synthetic is not None:
            raise ValueError("a synthetic workload goes on for ever; give a 'horizon', such as '7 d'")
        if self.horizon is None and any(each.every is not None for each in self.maintenance):
            raise ValueError("maintenance with 'every' goes on for ever; give a 'horizon', such as '30 d'")
        return self


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario and where it came from.

    ``document`` is what it was made of, plain, with the options of the command line applied; ``origin`` has the
    positions.
    """

    scenario: Scenario
    document: dict[str, Any]
    origin: Origin

    @property
    def path(self) -> Path:
        """The file that it was read from."""
        return self.origin.path

    def resolve(self, path: str, *loc: str | int) -> Path:
        """An absolute path from the one that the scenario has at ``loc``.

        Relative ones start at the folder of the scenario. One given as an option starts at the current folder, unless
        there is no such file and one beside the scenario.
        """
        beside = (self.path.parent / path).resolve()
        if self.origin.option_at(loc) is None:
            return beside
        here = Path(path).resolve()
        return beside if beside.exists() and not here.exists() else here
