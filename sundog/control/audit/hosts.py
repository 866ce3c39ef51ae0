"""What hosts tell: whether they hold what the books say, and nothing runs twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sundog.backends.contract import PowerState, ServerCopy
from sundog.control.audit.findings import Finding, Kind
from sundog.control.compute import Compute
from sundog.core.lifecycle import reconcile as rules
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.units import Seconds

RUNNING: Final = (PowerState.RUNNING, PowerState.PAUSED)
"""Power states of a copy whose guest is in a host's memory."""

_DEADLINE: Final[Seconds] = 120.0


def check_copies(held: Mapping[str, Iterable[ServerCopy]]) -> list[Finding]:
    """I3: of each server at most one copy runs, over all hosts; ``held`` is by host."""
    places: dict[str, list[str]] = {}
    for host, copies in held.items():
        for copy in copies:
            if copy.power_state in RUNNING:
                places.setdefault(copy.uuid, []).append(host)
    return [
        Finding(
            "I3", Kind.SEVERAL_COPIES, f"server {server} runs on {len(hosts)} hosts: {', '.join(hosts)}",
            (server, *hosts), "fence the host on which it should not be, before its disk is written by both",
        )
        for server, hosts in places.items()
        if len(hosts) > 1
    ]  # fmt: skip


async def check_hosts(compute: Compute) -> list[Finding]:
    """I3 and I10: no server runs twice, and hosts that answer agree with the books."""
    held: dict[str, Iterable[ServerCopy]] = {}
    found: list[Finding] = []
    for host in compute.hosts.list_all():
        try:
            if not compute.hosts.is_up(host.uuid):
                raise BackendFailed("it is down")
            held[host.uuid] = await compute.driver.list_servers(host.uuid, deadline=_DEADLINE)
            steps = await compute.reconciler.differences(host.uuid)
        except (BackendFailed, OutcomeUnknown) as error:
            found.append(
                Finding(
                    "I10",
                    Kind.SILENT_HOST,
                    f"host {host.name} cannot be asked ({error.message})",
                    (host.uuid,),
                    "audit again when it is back",
                    note=True,
                )
            )
            continue
        found += [_drift(host.uuid, host.name, step) for step in steps]
    return [*check_copies(held), *found]


def _drift(host: str, name: str, step: rules.Step) -> Finding:
    server, generation = step.copy
    told, advice = {
        rules.Remove: ("should not be there", "remove it"),
        rules.Missing: ("is missing", "put the server in ERROR; rebuild it"),
        rules.Plug: ("lacks a port of its server", "plug it"),
        rules.Unplug: ("has a port that is not its server's", "unplug it"),
        rules.PowerOff: ("runs and should be stopped", "stop it"),
        rules.Become: ("is in another state than the books say", "write down its state"),
    }.get(type(step), ("is not what the books say", "let it be so"))
    return Finding(
        "I10", Kind.DRIFT, f"copy {generation} of server {server} on host {name} {told}", (host, server), advice
    )
