"""What every reader gives: a :class:`Trace` whose ``vms`` have the normalised columns, whatever the file was like."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from sundog.errors import InputError
from sundog.units import parse_duration

Kind: TypeAlias = Literal["identity", "number", "integer", "text"]


@dataclass(frozen=True, slots=True)
class Column:
    """One normalised column: what it holds and what its numbers may be."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False
    above: float | None = None
    least: float | None = None
    most: float | None = None
    values: tuple[str, ...] | None = None


COLUMNS: tuple[Column, ...] = (
    Column("vm_id", "identity", "whole number or text, unique", required=True),
    Column("arrival_s", "number", "s from the start of the trace; negative: alive when it starts", required=True),
    Column("lifetime_s", "number", "s from arrival to departure; null: outlives the trace", required=True, least=0),
    Column("vcpus", "number", "virtual CPUs, fractions allowed", required=True, above=0),
    Column("memory_mb", "number", "MiB", required=True, above=0),
    Column("disk_gb", "number", "GiB", least=0),
    Column("gpus", "number", "number of GPUs wanted; 1 with gpu_share below 1 for a part of one", least=0),
    Column("gpu_share", "number", "part of each of those GPUs, 1 is the whole", least=0, most=1),
    Column("gpu_models", "text", "GPU models that will do, as A|B; null: any"),
    Column("flavor", "text", "name of the size"),
    Column("project_id", "text", "owner"),
    Column("group", "identity", "VMs that were asked for together; null: alone"),
    Column(
        "group_policy",
        "text",
        "rule of the server group; null: none",
        values=("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"),
    ),
    Column("priority", "integer", "0 is the highest; a larger number gives way first"),
    Column("zone", "text", "availability zone asked for"),
    Column("node", "text", "host that was really used, where the trace recorded it"),
)
COLUMN_NAMES: tuple[str, ...] = tuple(column.name for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Trace:
    """VMs to play, one row each, in arrival order (ties stay in the order of the file).

    ``vms``: the required columns of :data:`COLUMNS`, and those optional ones that the format knows. ``arrival_s``,
    ``lifetime_s``, ``vcpus``, ``memory_mb`` are float64; NaN in ``lifetime_s`` means that the VM outlives the trace.
    ``hosts``: an inventory where the trace has one, one row a host: ``host, type, count, vcpus, memory_mb, gpus,
    gpu_model`` (what is not known is missing). :func:`host_types` sums it up.
    ``variants``: demand that depends on the machine (Azure Packing): ``flavor, machine, core, memory, hdd, ssd, nic``,
    fractions of that machine; then ``vcpus`` and ``memory_mb`` of ``vms`` are NaN.
    ``notes``: what was sampled, changed or dropped on reading, or is known to be odd, in sentences for the user.
    """

    vms: pd.DataFrame
    hosts: pd.DataFrame | None = None
    variants: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """A key that one format understands. ``parse`` raises ValueError with a sentence on a bad value."""

    parse: Callable[[Any], Any]
    default: Any
    meaning: str


def parse_options(
    format: str,  # noqa: A002 - the word that the scenario file uses
    known: Mapping[str, Option],
    given: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Every option of ``known``, parsed from ``given`` or at its default.

    Raises: InputError for an unknown key (with the nearest known one) or a bad value.
    """
    given = dict(given or {})
    for key in given:
        if key not in known:
            raise InputError(f"unknown option {key!r} for traces of format {format}; {suggest(key, known)}", option=key)
    parsed = {}
    for key, option in known.items():
        try:
            parsed[key] = option.parse(given[key]) if key in given else option.default
        except ValueError as error:
            raise InputError(f"option {key!r} of trace format {format}: {error}", option=key) from None
    return parsed


def nearest(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'vcpus'? "`` for ``"vcpu"``, or nothing where no name of ``known`` is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def suggest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown ``word``: the nearest of ``known``, and all of them."""
    names = list(known)
    return nearest(word, names) + (f"it knows {', '.join(names)}" if names else "it knows no options")


def choice(*words: str) -> Callable[[Any], str]:
    """Parser of an option that is one of ``words``."""

    def parse(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{value!r} is not one of {', '.join(words)}")
        return str(value)

    return parse


def positive_number(value: Any) -> float:
    """``value`` as a float above zero. Raises: ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{value!r} is not a positive number")
    return float(value)


def positive_duration(value: Any) -> float:
    """Seconds above zero in ``value``, a number of seconds or text such as ``"30 d"``. Raises: ValueError."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not a duration; write a number and a unit, such as '30 d'")
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError(f"{value!r} is not longer than nothing")
    return seconds


def in_arrival_order(columns: Mapping[str, Any]) -> pd.DataFrame:
    """A frame of ``columns`` (equally long, by normalised name) in the normalised column order, sorted by arrival.

    The sort is stable, so VMs that arrive at one instant stay in the order of the file.
    """
    frame = pd.DataFrame({name: columns[name] for name in COLUMN_NAMES if name in columns}, copy=False)
    arrival = frame["arrival_s"].to_numpy()
    if len(arrival) > 1 and (np.diff(arrival) < 0).any():
        frame = frame.iloc[np.argsort(arrival, kind="stable")].reset_index(drop=True)
    return frame


def flavor_names(vcpus: np.ndarray, memory_gb: np.ndarray) -> pd.Categorical[Any]:
    """Flavours named by size, as the Huawei traces do: 2 vCPUs with 4 GB are ``2U4G``. Shape: (n,)."""
    cpu_codes, cpus = pd.factorize(vcpus, sort=True)
    memory_codes, memory = pd.factorize(memory_gb, sort=True)
    codes = cpu_codes * len(memory) + memory_codes
    counts = np.bincount(codes, minlength=len(cpus) * len(memory))
    sizes = np.flatnonzero(counts)
    names = [f"{cpus[size // len(memory)]:.6g}U{memory[size % len(memory)]:.6g}G" for size in sizes]
    place = np.cumsum(counts > 0) - 1
    return pd.Categorical.from_codes(place[codes], pd.Index(names))


def host_types(hosts: pd.DataFrame) -> pd.DataFrame:
    """The kinds of ``hosts``, in order of first appearance, with ``count`` summed: what a fleet is made of."""
    named = hosts.drop(columns=[name for name in ("host", "count") if name in hosts])
    types = named.drop_duplicates("type").reset_index(drop=True)
    if "count" in hosts:
        counts = hosts.groupby("type", sort=False)["count"].sum(min_count=1)
        types.insert(1, "count", counts.loc[types["type"]].to_numpy())
    return types


def locate(folder: Path, *patterns: str, what: str) -> Path:
    """The first file of ``folder`` that fits the first of ``patterns`` to fit any (globs, case ignored).

    Raises: InputError that lists what the folder holds.
    """
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    for pattern in patterns:
        for name in names:
            if Path(name.lower()).match(pattern.lower()):
                return folder / name
    held = ", ".join(names[:12]) + (" …" if len(names) > 12 else "") if names else "no files"
    raise InputError(f"no {what} here: looked for {' or '.join(patterns)}; the folder holds {held}", path=folder)
