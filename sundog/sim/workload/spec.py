"""What a scenario says under ``workload.synthetic``, and the presets it can start from."""

from __future__ import annotations

import difflib
import math
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml import YAML

from sundog.sim.workload.arrivals import Hourly, Modulation, Pattern, check_hourly
from sundog.sim.workload.batches import BatchLaw, ConstantBatch
from sundog.sim.workload.laws import LifetimeLaw, Probability
from sundog.units import GiB, MiB, parse_gibibytes, parse_mebibytes


def _size(parse: Any) -> Any:
    def check(value: object) -> float:
        if not isinstance(value, str | int | float):
            raise ValueError(f"{value!r} is not a size; write a number and a unit, such as '4 GiB'")
        size: float = parse(value)
        return size

    return check


Memory: TypeAlias = Annotated[MiB, BeforeValidator(_size(parse_mebibytes)), Field(gt=0)]
Disk: TypeAlias = Annotated[GiB, BeforeValidator(_size(parse_gibibytes)), Field(ge=0)]
GroupPolicy: TypeAlias = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class SyntheticFlavor(BaseModel):
    """A size of VM and its share of the arriving VMs, ``weight`` (only proportions count).

    ``lifetimes`` and ``batches`` are this flavor's own laws; without them the workload's hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    vcpus: float = Field(gt=0, allow_inf_nan=False)
    memory: Memory
    disk: Disk | None = None
    gpus: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    priority: int | None = None
    lifetimes: LifetimeLaw | None = None
    batches: BatchLaw | None = None


class SyntheticSpec(BaseModel):
    """A synthetic workload: when VMs come, in what batches, how big they are and how long they stay.

    ``arrivals_per_day`` counts VMs (not batches): the mean over a week at time zero. Beside ``preset``, a key that is
    given replaces the preset's; ``lifetimes`` or ``batches`` also replace those of the preset's single flavors.

    Raises: pydantic.ValidationError.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str | None = None
    arrivals_per_day: float = Field(gt=0, allow_inf_nan=False)
    pattern: Pattern | None = None
    hourly: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = None
    growth_per_day: float = Field(default=0.0, gt=-1, allow_inf_nan=False)
    modulation: Modulation | None = None
    batches: BatchLaw = ConstantBatch()
    lifetimes: LifetimeLaw | None = None
    flavors: tuple[SyntheticFlavor, ...]
    group_policy: GroupPolicy | None = None
    group_share: Probability = 1.0
    start: Literal["empty", "stationary"] = "empty"

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("preset") is None:
            return given
        documents = _documents()
        # An unknown name is refused by its own field; with any body under it, nothing else is reported as missing.
        name = given["preset"] if given["preset"] in tuple(documents) else next(iter(documents))
        return _merged(documents[name]["synthetic"], given)

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None:
            _document(name)
        return name

    @field_validator("hourly")
    @classmethod
    def _hourly(cls, factors: tuple[float, ...] | None) -> tuple[float, ...] | None:
        return factors if factors is None else check_hourly(factors)

    @field_validator("flavors")
    @classmethod
    def _flavors(cls, flavors: tuple[SyntheticFlavor, ...]) -> tuple[SyntheticFlavor, ...]:
        # Not min_length, which would also complain of a list whose only flavor has a fault of its own.
        if not flavors:
            raise ValueError("no flavors; give at least one, with name, vcpus and memory")
        names = [flavor.name for flavor in flavors]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"flavor {twice!r} is given twice; names must differ")
        total = math.fsum(flavor.weight for flavor in flavors)
        if total <= 0 or not math.isfinite(total):
            raise ValueError(f"the weights of the flavors sum to {total:g}; at least one must be above zero")
        return flavors

    @model_validator(mode="after")
    def _consistent(self) -> SyntheticSpec:
        if self.pattern is not None and self.hourly is not None:
            raise ValueError("give 'pattern' or 'hourly', not both: each is the whole shape of the week")
        without = [flavor.name for flavor in self.flavors if flavor.lifetimes is None]
        if self.lifetimes is None and without:
            raise ValueError(f"no lifetimes for flavor {without[0]!r}: give 'lifetimes' for all, or one to each flavor")
        if self.start == "stationary":
            forever = [flavor.name for flavor in self.flavors if flavor.weight > 0 and self._endless(flavor)]
            if forever:
                raise ValueError(
                    f"start: stationary needs a finite mean lifetime, and flavor {forever[0]!r} never leaves; "
                    "give it another law or begin with start: empty"
                )
        return self

    def _endless(self, flavor: SyntheticFlavor) -> bool:
        return math.isinf(self.lifetimes_of(flavor).mean_s())

    def lifetimes_of(self, flavor: SyntheticFlavor) -> LifetimeLaw:
        """The law of lifetime that holds for ``flavor``: its own, or the workload's."""
        law = flavor.lifetimes or self.lifetimes
        assert law is not None
        return law

    def batches_of(self, flavor: SyntheticFlavor) -> BatchLaw:
        """The law of batch size that holds for ``flavor``: its own, or the workload's."""
        return flavor.batches or self.batches

    @property
    def profile(self) -> Pattern | Hourly:
        """The shape of the week, of mean one."""
        return Hourly(self.hourly) if self.hourly is not None else self.pattern or Pattern()


class Preset(BaseModel):
    """A workload fitted to a public data set: its source, how it was fitted and how well, and the workload itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    summary: str
    source: dict[str, Any]
    fit: dict[str, Any]
    goodness: tuple[dict[str, Any], ...]
    not_captured: tuple[str, ...]
    spec: SyntheticSpec


def presets() -> tuple[str, ...]:
    """Names of the presets, sorted: the files of ``sundog/sim/calibration`` that hold a ``synthetic`` body."""
    return tuple(sorted(_documents()))


def load_preset(name: str) -> Preset:
    """The preset of that name, validated.

    Raises: ValueError naming the presets that exist, and the close ones.
    """
    document = {key: value for key, value in _document(name).items() if key != "synthetic"}
    return Preset.model_validate({**document, "spec": {"preset": name}})


def _merged(body: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """``body`` of a preset under the keys that are ``given``; what is given wins over everything about that subject."""
    merged = {**body, **given}
    if given.get("pattern") is not None and "hourly" not in given:
        merged.pop("hourly", None)
    if given.get("hourly") is not None and "pattern" not in given:
        merged.pop("pattern", None)
    if "flavors" not in given:
        replaced = {"lifetimes", "batches"} & given.keys()
        merged["flavors"] = [
            {key: value for key, value in flavor.items() if key not in replaced} for flavor in body["flavors"]
        ]
    return merged


def _document(name: str) -> dict[str, Any]:
    documents = _documents()
    if name not in documents:
        close = difflib.get_close_matches(name, documents, n=2)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise ValueError(f"unknown preset {name!r}; {hint}the presets are {', '.join(sorted(documents))}")
    return documents[name]


@lru_cache(maxsize=1)
def _documents() -> dict[str, dict[str, Any]]:
    """Every calibration file that is a synthetic workload, by name. Read once; nobody may change what is returned."""
    found = {}
    for file in resources.files("sundog.sim").joinpath("calibration").iterdir():
        if file.name.endswith(".yaml"):
            document = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
            if isinstance(document, dict) and "synthetic" in document:
                found[document["name"]] = document
    return found
