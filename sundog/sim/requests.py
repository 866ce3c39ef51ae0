"""A normalised VM trace as the engine plays it: columns, and one shape for each kind of demand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sundog.core.pool import ResourceClasses
from sundog.core.pool.resource_classes import TOLERANCE
from sundog.core.scheduler import Devices, GroupPolicy, ServerGroup, Shape, make_shape
from sundog.core.scheduler.request import Resources
from sundog.errors import InputError
from sundog.sim.fleet import DISK, GPU, GPUS, MEMORY, VCPUS, Fleet, Resource, classes_for, gpu_trait, machine_trait

_SCALES = (1, 10, 100, 1000, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9)
_SHAPE_COLUMNS = ("vcpus", "memory_mb", "disk_gb", "gpus", "gpu_share", "gpu_models", "zone", "flavor")
CARRIED = ("project_id", "group", "zone", "priority", "node")
"""Columns of a trace that nothing here looks at, or only once, and that belong into the results."""
_VARIANTS = {"core": "VCPU", "memory": "MEMORY_MB", "hdd": "CUSTOM_HDD", "ssd": "CUSTOM_SSD", "nic": "CUSTOM_NIC"}


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests in arrival order; every array has one entry a VM.

    ``arrival_s`` may be negative: alive at the beginning. ``lifetime_s`` is infinite for one that outlives the trace.
    ``shape`` and ``group`` index ``shapes`` and ``groups`` (-1: no group that asks anything of the scheduler).
    ``frame`` has the columns of the trace that results carry along: ``vm_id`` and those of :data:`CARRIED`.
    """

    frame: pd.DataFrame
    arrival_s: NDArray[np.float64]
    lifetime_s: NDArray[np.float64]
    shape: NDArray[np.int32]
    shapes: tuple[Shape, ...]
    group: NDArray[np.int32]
    groups: tuple[ServerGroup, ...]
    classes: ResourceClasses
    resources: tuple[Resource, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.arrival_s)

    def memory_mb(self, vm: int) -> float:
        """Memory of a VM in MiB; of its first variant where the demand depends on the machine."""
        shape = self.shapes[int(self.shape[vm])]
        asked = shape.variants[0].resources if shape.variants else shape.resources
        memory: float = dict(asked).get(MEMORY.resource_class, 0.0)
        return memory


def build_workload(
    frame: pd.DataFrame,
    fleet: Fleet,
    *,
    variants: pd.DataFrame | None = None,
    group_policy: str | None = None,
    horizon_s: float = math.inf,
) -> Workload:
    """The workload of a normalised trace on a fleet.

    ``group_policy`` is what every group asks whose rows name no policy of their own. VMs that arrive after the horizon
    or are gone before the run starts are left out, with a note. Demands too fine for any scale of a class are rounded,
    with a note, but never to nothing.
    Raises: InputError for a part of a GPU asked as a number of GPUs, or a demand per machine that no host type answers.
    """
    notes: list[str] = []
    arrival = frame["arrival_s"].to_numpy(dtype=np.float64)
    lifetime = frame["lifetime_s"].fillna(math.inf).to_numpy(dtype=np.float64)
    late, gone = arrival > horizon_s, arrival < 0
    gone[gone] = arrival[gone] + lifetime[gone] <= 0
    for which, why in ((late, "arrive after the horizon"), (gone, "are gone before the run starts")):
        if which.any():
            notes.append(f"{int(which.sum()):,} VMs {why} and are left out")
    if (late | gone).any():
        kept = ~(late | gone)
        frame, arrival, lifetime = frame[kept].reset_index(drop=True), arrival[kept], lifetime[kept]

    keys = [name for name in _SHAPE_COLUMNS if name in frame]
    if len(frame):
        code = frame.groupby(keys, sort=False, dropna=False, observed=True).ngroup().to_numpy().astype(np.int32)
    else:
        code = np.empty(0, dtype=np.int32)
    first = np.unique(code, return_index=True)[1]
    rows = frame.iloc[first][keys].to_dict("records")
    demands = _variant_demands(variants, fleet) if variants is not None else {}
    shapes, resources = _shapes(rows, fleet, demands)
    scales = _scales(shapes, fleet, resources, notes)
    shapes = tuple(_rounded(shape, scales) for shape in shapes)
    codes, groups = _groups(frame, group_policy)
    return Workload(
        frame=frame[["vm_id", *(name for name in CARRIED if name in frame)]],
        arrival_s=arrival,
        lifetime_s=lifetime,
        shape=code,
        shapes=shapes,
        group=codes,
        groups=groups,
        classes=classes_for(resources, scales),
        resources=resources,
        notes=tuple(notes),
    )


def _shapes(
    rows: Iterable[Mapping[Any, Any]], fleet: Fleet, demands: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> tuple[tuple[Shape, ...], tuple[Resource, ...]]:
    shapes = []
    for row in rows:
        models = row.get("gpu_models")
        zone = row.get("zone")
        flavor = "" if is_absent(row.get("flavor")) else str(row["flavor"])
        own = {VCPUS.resource_class: row["vcpus"], MEMORY.resource_class: row["memory_mb"]}
        own[DISK.resource_class] = row.get("disk_gb")
        shapes.append(
            make_shape(
                {} if demands else {name: float(value) for name, value in own.items() if _number(value)},
                devices=_devices(row),
                any_traits=() if is_absent(models) else [[gpu_trait(model) for model in str(models).split("|")]],
                zone=None if is_absent(zone) else str(zone),
                variants=demands.get(flavor) if demands else None,
                name=flavor,
            )
        )
        if demands and flavor not in demands:
            raise InputError(f"flavor {flavor!r} of the trace has no demand on any machine of the fleet", flavor=flavor)
    asked = dict.fromkeys(name for shape in shapes for name, _ in shape.resources)
    resources = list(fleet.resources())
    for resource in (DISK, GPUS):
        wanted = resource.resource_class in asked or (resource is GPUS and any(s.devices for s in shapes))
        if wanted and resource not in resources:
            resources.append(resource)  # no host has any: such requests are refused, and the results can say why
    return tuple(shapes), tuple(resources)


def _devices(row: Mapping[Any, Any]) -> Devices | None:
    count, share = _number(row.get("gpus")), row.get("gpu_share")
    if not count:
        return None
    if count != int(count):
        raise InputError(f"a VM asks for {count:g} GPUs; a part of one is written gpus 1 and gpu_share {count % 1:g}")
    part = 1.0 if is_absent(share) else _number(share)
    if not 0 < part <= 1:
        raise InputError(f"a VM asks for a share of {part:g} of {count:g} GPUs; gpu_share is above 0 and at most 1")
    return Devices(((GPU, part),), int(count))


def _variant_demands(variants: pd.DataFrame, fleet: Fleet) -> dict[str, dict[str, dict[str, float]]]:
    """By flavor and machine trait: the demand in each class, fractions times what the host type has."""
    types = {group.type.machine: group.type for group in fleet.groups if group.type.machine is not None}
    if not types:
        machines = ", ".join(dict.fromkeys(variants["machine"].astype(str)))
        raise InputError(
            "the trace gives demands as fractions of a machine, but no host type of the fleet says which one it is; "
            f"add 'machine:' to the types; the trace has machines {machines}"
        )
    known = {resource.resource_class for resource in fleet.resources()}
    custom = [column for column in ("hdd", "ssd", "nic") if _VARIANTS[column] in known]
    demands: dict[str, dict[str, dict[str, float]]] = {}
    for row in variants.to_dict("records"):
        host_type = types.get(str(row["machine"]))
        if host_type is None:
            continue
        size = {"VCPU": host_type.vcpus, "MEMORY_MB": host_type.memory, **host_type.resources}
        asked = {
            _VARIANTS[column]: _number(row[column]) * size.get(_VARIANTS[column], 0.0)
            for column in ("core", "memory", *custom)
        }
        demands.setdefault(str(row["flavor"]), {})[machine_trait(str(row["machine"]))] = asked
    if not demands:
        raise InputError(
            f"no demand of the trace is for a machine of the fleet, which has {', '.join(types)}; "
            f"the trace has machines {', '.join(dict.fromkeys(variants['machine'].astype(str)))}"
        )
    return demands


def _scales(shapes: Iterable[Shape], fleet: Fleet, resources: Iterable[Resource], notes: list[str]) -> dict[str, int]:
    """The smallest power of ten for each class at which every demand and every host is a whole number of units."""
    values: dict[str, dict[float, None]] = {resource.resource_class: {} for resource in resources}
    for shape in shapes:
        parts = [shape.resources, *(v.resources for v in shape.variants)]
        for name, value in (pair for part in parts for pair in part):
            values[name][value] = None
        for name, value in shape.devices.resources if shape.devices else ():
            values[name][value] = None
    for group in fleet.groups:
        for name, inventory in fleet.inventory(group.type).items():
            values[name] |= {inventory.total: None, inventory.reserved: None}
    scales = {}
    for name, seen in values.items():
        numbers = np.fromiter(seen, dtype=np.float64)
        for scale in _SCALES:
            exact = numbers * scale
            if (np.abs(exact - np.round(exact)) <= TOLERANCE * np.maximum(1.0, np.abs(exact))).all():
                break
        else:
            notes.append(f"demands of {name} are rounded to the nearest 1/{scale:,}")
        scales[name] = scale
    return scales


def _rounded(shape: Shape, scales: Mapping[str, int]) -> Shape:
    """``shape`` with whole units everywhere: a fraction times the size of a machine seldom is."""

    def whole(resources: Resources) -> Resources:
        return tuple((name, max(1, round(value * scales[name])) / scales[name]) for name, value in resources)

    devices = shape.devices and replace(shape.devices, resources=whole(shape.devices.resources))
    variants = tuple(replace(variant, resources=whole(variant.resources)) for variant in shape.variants)
    return replace(shape, resources=whole(shape.resources), devices=devices, variants=variants)


def _groups(frame: pd.DataFrame, group_policy: str | None) -> tuple[NDArray[np.int32], tuple[ServerGroup, ...]]:
    none = np.full(len(frame), -1, dtype=np.int32)
    if "group" not in frame or (group_policy is None and "group_policy" not in frame):
        return none, ()
    policies = frame["group_policy"] if "group_policy" in frame else pd.Series(pd.NA, index=frame.index, dtype="string")
    policies = policies.astype("string").fillna(group_policy) if group_policy else policies.astype("string")
    asks = (frame["group"].notna() & policies.notna()).to_numpy()
    code, names = pd.factorize(frame["group"][asks].astype(str) + "\0" + policies[asks])
    none[asks] = code
    groups = []
    for name in names:
        identity, _, policy = str(name).partition("\0")
        named: GroupPolicy = policy  # type: ignore[assignment]  # ServerGroup checks it
        groups.append(ServerGroup(identity, named))
    return none, tuple(groups)


def is_absent(value: Any) -> bool:
    """Whether a cell of a table is empty: None, NA or NaN."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float:
    return 0.0 if is_absent(value) else float(value)
