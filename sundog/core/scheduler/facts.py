"""Host facts: what Nova's ``HostState`` knows of a host and Placement, so the pool, does not.

A scheduler without facts pays nothing for them. The caller keeps them: whoever places a server says so with
:meth:`HostFacts.consume`, as Nova does with ``HostState.consume_from_request``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sundog.core.pool.pool import Bools, Ints
from sundog.core.scheduler.request import Details
from sundog.errors import PoolError

if TYPE_CHECKING:
    from sundog.core.scheduler.hosts import Hosts

Floats = NDArray[np.float64]

COLUMNS: Final = (
    "vcpus_used",
    "memory_mb_used",
    "disk_gb_used",
    "num_instances",
    "num_io_ops",
    "failed_builds",
    "hypervisor_version",
    "pci_devices_free",
)
"""Facts that are whole numbers. ``vcpus_used``, ``memory_mb_used``, ``disk_gb_used`` and ``num_instances`` are what the
host counts beyond what the pool knows (claims, and what is reserved), and may be negative; the others are all there is.
"""


@dataclass(frozen=True, slots=True)
class Described:
    """Facts of one host that seldom change.

    ``supported_instances`` are (architecture, hypervisor type, vm mode) triples. ``cpu_info`` and ``stats`` are what
    the host reports, ``metrics`` numbers by name. ``cell`` is the Nova cell that the host is in.
    """

    uuid: str | None = None
    hypervisor_type: str | None = None
    host_ip: str | None = None
    cell: str | None = None
    cpu_info: Mapping[str, Any] = field(default_factory=dict)
    stats: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    supported_instances: tuple[tuple[str, ...], ...] = ()


_NOTHING: Final = Described()
_NOBODY: Final[Mapping[str, tuple[tuple[str, str], ...]]] = MappingProxyType({})


class HostFacts:
    """Facts by provider row of one pool, and the metadata of its aggregates.

    ``version`` grows with every change of a slow fact (descriptions and metadata), as the pool's ``facts_version``;
    the numbers change without it.
    """

    def __init__(self) -> None:
        self.version = 0
        self._columns: dict[str, Ints] = {}
        self._described: dict[int, Described] = {}
        self._instances: dict[int, dict[str, tuple[tuple[str, str], ...]]] = {}
        self._metadata: dict[str, Mapping[str, str]] = {}
        self._kept: dict[Any, Any] = {}
        self._kept_at: tuple[int, int] = (-1, -1)

    # ---------------------------------------------------------------- numbers

    def column(self, name: str) -> Ints | None:
        """``int64[rows]`` of one of :data:`COLUMNS`; None if no host was ever given it."""
        return self._columns.get(name)

    def value(self, name: str, row: int) -> int:
        """One number of one host; 0 if it was never given."""
        values = self._columns.get(name)
        return 0 if values is None or row >= len(values) else int(values[row])

    def add(self, rows: int, row: int, **numbers: int) -> None:
        """Add to numbers of the host on ``row`` of a pool with ``rows`` rows.

        Raises: PoolError for a name that is not one of :data:`COLUMNS`.
        """
        for name, number in numbers.items():
            if name not in COLUMNS:
                raise PoolError(f"there is no host fact {name!r}; there are {', '.join(COLUMNS)}")
            values = self._columns.get(name)
            if values is None or len(values) < rows:
                grown = np.zeros(rows, dtype=np.int64)
                grown[: 0 if values is None else len(values)] = 0 if values is None else values
                values = self._columns[name] = grown
            values[row] += number

    # ---------------------------------------------------------------- slow facts

    def described(self, row: int) -> Described:
        """The slow facts of a host; all empty if it was never described."""
        return self._described.get(row, _NOTHING)

    def describe(self, row: int, described: Described) -> None:
        """Set the slow facts of a host."""
        self._described[row] = described
        self.version += 1

    def metadata(self, aggregate: str) -> Mapping[str, str]:
        """The metadata of an aggregate."""
        return self._metadata.get(aggregate, {})

    def set_metadata(self, aggregate: str, metadata: Mapping[str, str]) -> None:
        """Set the metadata of an aggregate; hosts belong to it by the pool's aggregates."""
        self._metadata[aggregate] = dict(metadata)
        self.version += 1

    @property
    def aggregates(self) -> tuple[str, ...]:
        """The aggregates that were given metadata, in that order."""
        return tuple(self._metadata)

    # ---------------------------------------------------------------- instances

    def instances(self, row: int) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Ids of the servers known to be on a host, each with the properties of its image."""
        return self._instances.get(row, _NOBODY)

    def add_instance(self, row: int, instance: str, image_properties: tuple[tuple[str, str], ...] = ()) -> None:
        """Say that a server is on a host."""
        self._instances.setdefault(row, {})[instance] = image_properties

    def remove_instance(self, row: int, instance: str) -> None:
        """Say that a server is on a host no longer."""
        self._instances.get(row, {}).pop(instance, None)

    def consume(
        self, rows: int, row: int, details: Details, claimed: Mapping[str, float], *, back: bool = False
    ) -> None:
        """Follow a server that was claimed on ``row``: one more I/O operation, and what the host counts differently.

        ``claimed`` is what Placement gave, by class; ``rows`` are those of the pool. ``back`` takes it back again.
        (``HostState`` counts the flavor's vCPUs, memory, root and ephemeral disk, whatever Placement was asked.) That
        the server is there, :meth:`add_instance` says.
        """
        sign = -1 if back else 1
        extra = {
            "num_io_ops": 1,
            "vcpus_used": details.vcpus - int(claimed.get("VCPU", 0)),
            "memory_mb_used": details.memory_mb - int(claimed.get("MEMORY_MB", 0)),
            "disk_gb_used": details.disk_gb - int(claimed.get("DISK_GB", 0)),
        }
        self.add(rows, row, **{name: sign * number for name, number in extra.items() if number})

    def forget(self, row: int) -> None:
        """Forget a host that left, so that the next one on its row starts with nothing."""
        for values in self._columns.values():
            if row < len(values):
                values[row] = 0
        self._described.pop(row, None)
        self._instances.pop(row, None)
        self.version += 1

    # ---------------------------------------------------------------- aggregates, host by host

    def by_aggregates(self, hosts: Hosts, of: Callable[[tuple[str, ...]], float]) -> Floats:
        """``float64[n]``: ``of`` each host's aggregates, worked out once for hosts in the same ones."""
        index, kinds = self.keep(hosts, "kinds", lambda: self._kinds(hosts))
        values = np.asarray([of(kind) for kind in kinds], dtype=np.float64)
        found: Floats = values[index]
        return found

    def multipliers(self, hosts: Hosts, option: str, default: float) -> Floats | None:
        """``float64[n]``: a weigher's multiplier on each host, where an aggregate has ``option`` in its metadata.

        The least of a host's aggregates counts, and ``default`` where a value is no number. None if none has it.
        """

        def of(aggregates: tuple[str, ...]) -> float:
            try:
                return min((float(text) for text in self.values(aggregates, option)), default=default)
            except ValueError:
                return default

        def make() -> Floats | None:
            given = any(option in metadata for metadata in self._metadata.values())
            return self.by_aggregates(hosts, of) if given else None

        found: Floats | None = self.keep(hosts, ("multiplier", option, default), make)
        return found

    def refused_by_aggregates(self, hosts: Hosts, passes: Callable[[tuple[str, ...]], bool]) -> Bools | None:
        """``bool[n]``: hosts whose aggregates pass; None if all do."""
        index, kinds = self.keep(hosts, "kinds", lambda: self._kinds(hosts))
        answers = np.asarray([passes(kind) for kind in kinds], dtype=bool)
        return None if answers.all() else answers[index]

    def _kinds(self, hosts: Hosts) -> tuple[NDArray[np.intp], tuple[tuple[str, ...], ...]]:
        """The index of each host's set of aggregates, and the sets."""
        known = self._metadata
        kinds: dict[tuple[str, ...], int] = {}
        index = np.empty(hosts.n, dtype=np.intp)
        for host, row in enumerate(hosts.rows.tolist()):
            kind = tuple(name for name in hosts.pool.aggregates.of(row) if name in known)
            index[host] = kinds.setdefault(kind, len(kinds))
        return index, tuple(kinds)

    def keep(self, hosts: Hosts, key: Any, make: Callable[[], Any]) -> Any:
        """``make()``, kept under ``key`` until a slow fact of the hosts or the pool changes."""
        now = (self.version, hosts.pool.facts_version)
        if self._kept_at != now:
            self._kept, self._kept_at = {}, now
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def values(self, aggregates: tuple[str, ...], key: str) -> list[str]:
        """The values that ``aggregates`` give ``key``, each once, in order."""
        return list(dict.fromkeys(self._metadata[name][key] for name in aggregates if key in self._metadata[name]))

    def merged(self, aggregates: tuple[str, ...]) -> dict[str, list[str]]:
        """The metadata of ``aggregates`` in one: comma-separated values taken apart, each once."""
        found: dict[str, dict[str, None]] = {}
        for name in aggregates:
            for key, text in self._metadata[name].items():
                found.setdefault(key, {}).update(dict.fromkeys(each.strip() for each in text.split(",")))
        return {key: list(values) for key, values in found.items()}

    def aggregates_of(self, hosts: Hosts, host: int) -> tuple[str, ...]:
        """The aggregates with metadata that a host is in."""
        index, kinds = self.keep(hosts, "kinds", lambda: self._kinds(hosts))
        kind: tuple[str, ...] = kinds[index[host]]
        return kind
