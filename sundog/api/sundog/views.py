"""From records to what goes over the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from sundog.backends.contract import Capabilities
from sundog.backends.networks import Report
from sundog.backends.playground import StandingOrder
from sundog.control.clock import Reading
from sundog.control.compute.explaining import Placing, hidden_name
from sundog.control.fleet import FleetHost, Happening
from sundog.core.scheduler import Decision
from sundog.core.scheduler.explain import Scored
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
        "state_reason": record.reason or None,
        "rack": record.rack,
        "zone": record.zone,
        "enabled": told.enabled,
        "reason": told.reason,
    }


def capabilities(told: Capabilities) -> dict[str, Any]:
    """What hosts can do: the driver's record, a list where there are kinds."""
    return {
        "capabilities": {name: list(each) if isinstance(each, tuple) else each for name, each in asdict(told).items()}
    }


def wires(report: Report) -> dict[str, Any]:
    """What is left out as it cannot be, and what failed and is tried again."""
    return {"wires": {"left_out": list(report.left_out), "failed": list(report.failed)}}


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


def placement(placing: Placing, *, names_hosts: bool) -> dict[str, Any]:
    """Why a server would be where. Without ``names_hosts`` hosts have only their ids, and reasons stay unsaid."""
    project, explained = placing.server.project_id, placing.explanation
    decision = explained.decision

    def called(name: str) -> dict[str, str]:
        return {"host_id": hidden_name(project, name)} | ({"host": name} if names_hosts else {})

    def scored(each: Scored) -> dict[str, Any]:
        return called(each.host) | {"rank": each.rank, "score": each.score, "breakdown": each.breakdown}

    told: dict[str, Any] = {
        "server_id": placing.server.id,
        "host": None if placing.host is None else called(placing.host.name),
        "policy": placing.policy,
        "as_if": "placed now",
        "own_allocation": "counted as used",
        "decision": {"host": called(decision.host), "reason": None}
        if isinstance(decision, Decision)
        else {"host": None, "reason": decision.reason},
        "funnel": [asdict(each) for each in explained.funnel],
        "best": [scored(each) for each in explained.best],
        "relaxations": [asdict(each) for each in explained.relaxations],
    }
    against = placing.why_not
    if against is not None:
        told["why_not"] = called(against.host) | {
            "chosen": against.chosen,
            "failed": [{"filter": name, "reason": why if names_hosts else None} for name, why in against.failed],
            "scored": None if against.scored is None else scored(against.scored),
            "relax": against.relax,
        }
    return {"placement": told}
