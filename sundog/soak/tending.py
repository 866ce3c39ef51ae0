"""Operations that only administrators may ask: about hosts, limits, and servers of anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sundog.control.compute.records import Caller, Host
from sundog.core.lifecycle.servers import TRANSITIONS, VmState, obstacle
from sundog.soak.clients import Client, Deed, Operation, deed_of
from sundog.soak.plane import Life

COMPUTE_LIMITS: Final = (("instances", 12), ("cores", 24), ("ram", 20480), ("server_groups", 5), ("key_pairs", 5))
NETWORK_LIMITS: Final = (("port", 40), ("floatingip", 6), ("security_group", 5))
"""What limits are set on, and the highest that they are set to."""


def _quota(client: Client, life: Life) -> Deed:
    """Set a limit, also below what is used."""
    project = client.dice.pick(client.others)
    if client.dice.chance(0.3):
        return _network_quota(client, project.id)
    name, most = client.dice.pick(COMPUTE_LIMITS)
    limit = client.dice.whole(1, most)

    def do(_caller: Caller, life: Life) -> None:
        quotas = life.compute.quotas
        client.told.allowed(project.id, name, max(limit, quotas.show(project.id)[name]))
        fact = "quota", project.id, name
        client.writes(life, fact, limit, lambda: quotas.update(project.id, {name: limit}, force=True))

    return Deed("", do)


def _network_quota(client: Client, project_id: str) -> Deed:
    name, most = client.dice.pick(NETWORK_LIMITS)
    limit = client.dice.whole(1, most)

    def do(_caller: Caller, life: Life) -> None:
        quotas = life.network.quotas
        client.told.allowed(project_id, name, max(limit, quotas.show(project_id)[name]))
        fact = "network quota", project_id, name
        client.writes(life, fact, limit, lambda: quotas.update(project_id, {name: limit}))

    return Deed("", do)


def _disable(client: Client, host: Host, disabled: bool) -> Deed:
    def do(_caller: Caller, life: Life) -> None:
        fact = "host", host.uuid, "disabled"
        client.writes(life, fact, disabled, lambda: life.compute.hosts.update(host.service_id, disabled=disabled))

    return Deed("", do)


def _service(client: Client, life: Life) -> Deed:
    """Take a host out of service, or into it again."""
    host = client.dice.pick(life.compute.hosts.list_all())
    return _disable(client, host, not host.disabled)


def _force_down(client: Client, life: Life) -> Deed:
    """Say that a host is down, mostly one that does not answer, or that it is not any more."""
    every = life.compute.hosts.list_all()
    forced, silent = [each for each in every if each.forced_down], [each for each in every if not each.is_up]
    if forced and client.dice.chance(0.6):
        host = client.dice.pick(forced)
    else:
        host = client.dice.pick(silent if silent and client.dice.chance(0.7) else every)
    down = not host.forced_down

    def do(_caller: Caller, life: Life) -> None:
        fact = "host", host.uuid, "forced_down"
        client.writes(life, fact, down, lambda: life.compute.hosts.update(host.service_id, forced_down=down))

    return Deed("", do)


def _drain(client: Client, life: Life) -> Deed | None:
    """Bring a server away from a host that is out of service; or take a host out of it, to begin with."""
    hosts = life.compute.hosts.list_all()
    closed = {each.uuid: each for each in hosts if each.disabled}
    moves = [
        (each, name)
        for each in client.servers(life)
        for name in ("live_migrate", "migrate")
        if each.host in closed and obstacle(name, each.vm_state, each.task_state) is None
    ]
    if moves:
        server, name = client.dice.pick(moves)
        return deed_of(
            server,
            lambda caller, life: getattr(life.compute.moves, name)(caller, server.id),
            TRANSITIONS[name].action,
        )
    if 2 * len(closed) >= len(hosts):
        return _disable(client, client.dice.pick(list(closed.values())), False)
    return _disable(client, client.dice.pick(hosts), True)


def _aggregate(client: Client, life: Life) -> Deed:
    """Make an aggregate, some with a zone; put a host in or take it out; delete one."""
    aggregates, hosts = life.compute.aggregates.list_all(), life.compute.hosts.list_all()
    if not aggregates or (len(aggregates) < 3 and client.dice.chance(0.3)):
        name = f"a{client.dice.whole(0, 9)}"
        zone = client.dice.pick((None, "z0", "z9"))
        return Deed("", lambda caller, life: _nothing(life.compute.aggregates.create(name, zone)))
    number = client.dice.pick(aggregates).number
    host = client.dice.pick(hosts).name
    match client.dice.weighted({"add": 3, "remove": 2, "delete": 1}):
        case "add":
            return Deed("", lambda caller, life: _nothing(life.compute.aggregates.add_host(number, host)))
        case "remove":
            return Deed("", lambda caller, life: _nothing(life.compute.aggregates.remove_host(number, host)))
    return Deed("", lambda caller, life: life.compute.aggregates.delete(number))


def _reset_state(client: Client, life: Life) -> Deed | None:
    """Say that a server is in ERROR, whatever it seems."""
    server = client.any_server(life)
    if server is None:
        return None
    return deed_of(server, lambda caller, life: life.compute.servers.reset_state(caller, server.id, VmState.ERROR))


def _nothing(_answer: object) -> None:
    return None


TENDING: Final[Mapping[str, Operation]] = {
    "quota": _quota,
    "service": _service,
    "force-down": _force_down,
    "drain": _drain,
    "aggregate": _aggregate,
    "reset-state": _reset_state,
}
