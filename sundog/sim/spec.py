"""What a scenario says about the physical world: hosts, overcommit, faults, maintenance, boot times.

Pydantic models, used as they are inside the scenario file; unknown keys are refused. Durations are seconds, memory MiB,
disk GiB once parsed; in a file they are written with their units (``30 d``, ``128 GiB``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from sundog.core.pool.resource_classes import CUSTOM_NAME
from sundog.sim.workload.laws import Duration, Exponential, Infinite, LifetimeLaw, LogNormal
from sundog.sim.workload.spec import Disk, Memory
from sundog.units import Seconds, parse_duration, parse_mebibytes


def _instant(value: object) -> Seconds:
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not a time; write a number and a unit, such as '10 d'")
    seconds = parse_duration(value)
    if seconds < 0:
        raise ValueError(f"{value!r} is before the start of the run; write a time of 0 or later")
    return seconds


Instant: TypeAlias = Annotated[Seconds, BeforeValidator(_instant)]
"""Seconds since the start of the run, or a duration that may be 0."""

Amount: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Spec(BaseModel):
    """Base of every part of a scenario: frozen, and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reserved(Spec):
    """What a host keeps for itself."""

    vcpus: float = Field(default=0, ge=0, allow_inf_nan=False)
    memory: Annotated[float, Field(ge=0)] = 0
    disk: Disk = 0

    @field_validator("memory", mode="before")
    @classmethod
    def _memory(cls, value: object) -> object:
        return parse_mebibytes(value) if isinstance(value, str) else value


class HostType(Spec):
    """A kind of host: its physical sizes, and what sets it apart.

    ``gpus`` are devices that a server asks one by one, so that half a GPU is half of one device. ``machine`` is the
    name that a trace with demands per machine (Azure Packing) calls this type by. ``resources`` are amounts of custom
    classes, by their names (``CUSTOM_…``).
    """

    name: str = Field(min_length=1)
    vcpus: Amount
    memory: Memory
    disk: Annotated[Disk, Field(gt=0)] | None = None
    gpus: int = Field(default=0, ge=0)
    gpu_model: str | None = None
    machine: str | None = None
    resources: dict[str, Amount] = {}
    reserved: Reserved = Reserved()
    traits: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _reserved_fits(self) -> HostType:
        kept = ((self.reserved.vcpus, self.vcpus, "vcpus"), (self.reserved.memory, self.memory, "memory"))
        for reserved, total, what in kept:
            if reserved >= total:
                raise ValueError(f"reserved {what} {reserved:g} leaves nothing of {total:g}")
        if self.reserved.disk and self.reserved.disk >= (self.disk or 0.0):
            raise ValueError(f"reserved disk {self.reserved.disk:g} leaves nothing of {self.disk or 0:g}")
        return self

    @field_validator("resources")
    @classmethod
    def _custom(cls, resources: dict[str, float]) -> dict[str, float]:
        for name in resources:
            if not CUSTOM_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no class of your own; write CUSTOM_ and A-Z, 0-9, _: CUSTOM_NIC")
        return resources

    @field_validator("machine", mode="before")
    @classmethod
    def _machine(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class HostGroup(Spec):
    """``count`` hosts of one type in one zone, spread over ``racks`` racks in blocks; in service from ``at`` on."""

    type: HostType
    count: int = Field(gt=0)
    zone: str | None = None
    racks: int = Field(default=1, gt=0)
    at: Instant = 0.0
    aggregates: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _racks_have_hosts(self) -> HostGroup:
        if self.racks > self.count:
            raise ValueError(f"{self.racks} racks for {self.count} hosts; a rack needs at least one host")
        return self


class Overcommit(Spec):
    """Allocation ratios, as Nova's ``cpu_allocation_ratio`` and so on."""

    vcpus: Amount = 1.0
    memory: Amount = 1.0
    disk: Amount = 1.0


class Wait(Spec):
    """A request that finds no host waits, at most this long, and is tried again whenever room appears."""

    wait: Duration


def _on_full(value: object) -> object:
    if value == "reject" or isinstance(value, Wait | dict):
        return value
    raise ValueError(f"{value!r} is not an answer; write 'reject' or {{wait: 10 min}}")


OnFull: TypeAlias = Annotated[Literal["reject"] | Wait, BeforeValidator(_on_full)]


class Faults(Spec):
    """Host failures and repairs.

    ``mtbf`` and ``mttr`` are the means of exponential times to failure and to repair; ``failure`` and ``repair`` are
    laws in their place (Weibull, log-normal …), each measured from the last repair or failure.
    """

    mtbf: Duration | None = None
    mttr: Duration | None = None
    failure: LifetimeLaw | None = None
    repair: LifetimeLaw | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Faults:
        if (self.mtbf is None) == (self.failure is None):
            raise ValueError("give the time to failure once: 'mtbf' (exponential), or 'failure' (a law)")
        if (self.mttr is None) == (self.repair is None):
            raise ValueError("give the time to repair once: 'mttr' (exponential), or 'repair' (a law)")
        return self

    @property
    def failure_law(self) -> LifetimeLaw:
        """The law of the time to failure."""
        return self.failure or Exponential(mean=_given(self.mtbf))

    @property
    def repair_law(self) -> LifetimeLaw:
        """The law of the time to repair."""
        return self.repair or Exponential(mean=_given(self.mttr))


def _given(mean: Seconds | None) -> Seconds:
    assert mean is not None, "the validator lets through one of the two"
    return mean


class Outage(Spec):
    """A failure that is told beforehand: a zone, a rack or some hosts, down from ``at`` for ``duration``."""

    at: Instant
    duration: Duration
    zone: str | None = None
    rack: str | None = None
    hosts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_scope(self) -> Outage:
        if sum((self.zone is not None, self.rack is not None, bool(self.hosts))) != 1:
            raise ValueError("say what fails, once: 'zone', 'rack' or 'hosts'")
        return self


class Evacuation(Spec):
    """What becomes of servers on a host that died.

    ``evacuate``: noticed after ``detect``, each is placed elsewhere, tried again every ``retry`` until ``give_up``
    after the failure, and then lost. ``restart``: each waits for its own host to come back. ``lose``: each is lost.
    """

    mode: Literal["evacuate", "restart", "lose"] = "evacuate"
    detect: Instant = 60.0
    retry: Duration = 60.0
    give_up: Duration = 3600.0


class MachineEvents(Spec):
    """Failures and repairs replayed from Google's machine events: machine *i* of the file is host *i* of the fleet."""

    path: str
    time_scale: Amount = 1.0


class FaultsSpec(Spec):
    """Everything that breaks."""

    hosts: Faults | None = None
    racks: Faults | None = None
    outages: tuple[Outage, ...] = ()
    machine_events: MachineEvents | None = None
    evacuation: Evacuation = Evacuation()


class Maintenance(Spec):
    """Planned work, host by host, ``at_once`` of them at a time, from ``at`` on, on the hosts selected.

    Each host is disabled and drained by live migration; then it is down for ``duration``. What could not begin to move
    within ``drain_timeout`` (tried again every ``retry``) is stopped for the work and started again after it
    (``on_timeout: stop``), or the host is left alone (``skip``). ``every`` repeats the whole round.
    """

    at: Instant
    duration: Duration
    at_once: int = Field(default=1, gt=0)
    every: Duration | None = None
    zone: str | None = None
    rack: str | None = None
    type: str | None = None
    drain_timeout: Duration = 3600.0
    retry: Duration = 60.0
    on_timeout: Literal["stop", "skip"] = "stop"


class Migration(Spec):
    """Live migration: ``memory x rounds / bandwidth`` seconds and a pause that the server feels.

    ``rounds`` counts the memory sent again because the guest went on writing (pre-copy); ``parallel`` is how many one
    draining host sends at once.
    """

    bandwidth_mib_s: Amount = 1000.0
    rounds: float = Field(default=1.3, ge=1, allow_inf_nan=False)
    pause: Instant = 0.3
    parallel: int = Field(default=2, gt=0)


def _decision_kind(value: Any) -> str:
    return "Law" if isinstance(value, dict | BaseModel) else "Fixed"


Decision: TypeAlias = Annotated[
    Annotated[Instant, Tag("Fixed")] | Annotated[LifetimeLaw, Tag("Law")], Discriminator(_decision_kind)
]
"""A time that is always the same, or a law. The tags, which errors have in their way, are such as no key is called."""


class Schedulers(Spec):
    """Several schedulers over one fleet, each with a queue and a view of its own.

    A view is refreshed every ``refresh``, or at the beginning of each decision where that is 0. A decision takes
    ``decision``, a message to the store or its answer ``delay``. A choice that the store refuses is followed by up to
    ``alternates`` next best hosts, then by a refresh and another decision, up to ``retries`` times. ``assign`` says
    whose request is whose: in turn, by a hash of the server group or else the VM's id, or the shortest queue.
    """

    count: int = Field(default=1, gt=0)
    refresh: Instant = 0.0
    decision: Decision = 0.0
    delay: Instant = 0.0
    alternates: int = Field(default=2, ge=0)
    retries: int = Field(default=3, ge=0)
    assign: Literal["round-robin", "hash", "least-busy"] = "round-robin"

    @field_validator("decision")
    @classmethod
    def _decides_some_time(cls, decision: Seconds | LifetimeLaw) -> Seconds | LifetimeLaw:
        if isinstance(decision, Infinite):
            raise ValueError("a decision that takes for ever is none; give a time or a law with a mean")
        return decision

    def decision_times(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
        """``count`` draws of the time a decision takes, in seconds. Shape: ``(count,)``."""
        if isinstance(self.decision, float):
            return np.full(count, self.decision)
        return self.decision.sample(rng, count)


class Images(Spec):
    """The images that servers boot from: ``count`` of them, popular by Zipf's law with exponent ``zipf``."""

    count: int = Field(default=100, gt=0)
    zipf: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    size: Disk = 2.0


class Boot(Spec):
    """From a request to a running guest: scheduling, fetching the image unless the host has it, the guest's own boot.

    A host fetches over one link, one image after the other, and keeps the images used last up to ``cache``.
    The figures are assumptions to be replaced by measurements of one's own; ``docs/reference/scenario.md`` says so.
    """

    scheduling: Instant = 1.0
    images: Images = Images()
    fetch_mib_s: Amount = 200.0
    cache: Disk = 100.0
    guest: LifetimeLaw = LogNormal(median=20.0, sigma=0.4)

    @field_validator("guest")
    @classmethod
    def _boots_some_time(cls, guest: LifetimeLaw) -> LifetimeLaw:
        if isinstance(guest, Infinite):
            raise ValueError("a guest that takes for ever never boots; give a law with a mean")
        return guest
