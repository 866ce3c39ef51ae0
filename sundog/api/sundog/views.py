"""From records to what goes over the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sundog.backends.playground import StandingOrder
from sundog.control.clock import Reading
from sundog.control.fleet import FleetHost, Happening
from sundog.sim.spec import HostType

_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


def clock(reading: Reading) -> dict[str, Any]:
    """The clock: the calendar's time in UTC, seconds since the cloud's start, rate and lag."""
    return {
        "clock": {
            "time": reading.time.strftime(_TIME),
            "elapsed_s": reading.elapsed_s,
            "rate": reading.rate,
            "lag_s": reading.lag_s,
            "slipped_s": reading.slipped_s,
        }
    }


def host(told: FleetHost) -> dict[str, Any]:
    """A host. Amounts are what it has, in the units of their resource classes, before ratios."""
    record = told.record
    return host_in_short(told) | {
        "resources": {name: int(each.total) for name, each in record.inventory.items()},
        "traits": list(record.traits),
        "aggregates": list(record.aggregates),
        "devices": [each.name for each in record.devices],
        "hypervisor_type": record.hypervisor_type,
    }


def host_in_short(told: FleetHost) -> dict[str, Any]:
    """A host: who it is, how it is, where it stands, whether it takes servers."""
    record = told.record
    return {
        "id": record.uuid,
        "name": record.name,
        "state": record.state,
        "rack": record.rack,
        "zone": record.zone,
        "enabled": told.enabled,
        "reason": told.reason,
    }


def host_type(told: HostType) -> dict[str, Any]:
    """A type of hosts, as it would be given to add one: memory in MiB, disk in GiB."""
    return told.model_dump(mode="json", exclude_defaults=True)


def order(standing: StandingOrder) -> dict[str, Any]:
    """A fault of operations that is ordered; ``left`` is how often it may still strike, null for ever."""
    fault = standing.fault
    return {
        "id": standing.number,
        "kind": fault.kind,
        "operation": fault.operation,
        "scope": asdict(fault.scope),
        "count": fault.count,
        "left": standing.left,
        "probability": fault.probability,
        "seconds": fault.seconds,
    }


def happening(told: Happening) -> dict[str, Any]:
    """Something that happened. Without a host it is about all of them: events were lost."""
    return {
        "kind": told.kind,
        "time": told.time.strftime(_TIME),
        "host": None if told.host_id is None else {"id": told.host_id, "name": told.host_name},
        "server": None if told.server is None else {"id": told.server, "generation": told.generation},
    }
