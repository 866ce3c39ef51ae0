"""What clients may do, by the names that mixes use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sundog.control.compute.records import AskedNetwork, Caller, NewServer, Server
from sundog.core.lifecycle.servers import TRANSITIONS
from sundog.errors import NotFound
from sundog.soak.clients import FLAVORS, Client, Deed
from sundog.soak.plane import Life

Operation = Callable[[Client, Life], Deed | None]


def _create(client: Client, life: Life) -> Deed:
    flavor = FLAVORS[client.dice.weighted({0: 6, 1: 3, 2: 1})]
    count = client.dice.weighted({1: 8, 2: 1, 4: 1})
    networks = client.dice.weighted({None: 1, (): 1, (AskedNetwork(client.project.network),): 6})
    new = NewServer(
        name=f"vm-{client.name}", flavor=flavor, image_id=client.image_id, networks=networks,
        tags=["soak"] * client.dice.chance(0.2),
    )  # fmt: skip
    least = client.dice.whole(1, count)

    def do(caller: Caller) -> list[str]:
        made = life.compute.servers.create(caller, new, min_count=least, max_count=count)
        if not least <= len(made) <= count:
            client.told.violation(f"{len(made)} servers were made where {least} to {count} were asked for")
        return [each.id for each in made]

    return Deed("", do, "create")


def _delete(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life)
    if server is None:
        return None
    force = client.dice.chance(0.1)
    delete = life.compute.servers.force_delete if force else life.compute.servers.delete
    return _deed(server, lambda caller: delete(caller, server.id), "forceDelete" if force else "delete")


def _deed(server: Server, do: Callable[[Caller], Any], action: str | None) -> Deed:
    """Something about one server. What is begun is not waited for."""

    def begin(caller: Caller) -> None:
        do(caller)

    return Deed(server.id, begin, action)


def _power(name: str) -> Operation:
    def operation(client: Client, life: Life) -> Deed | None:
        server = client.any_server(life, name)
        if server is None:
            return None
        ask = getattr(life.compute.power, name)
        return _deed(server, lambda caller: ask(caller, server.id), TRANSITIONS[name].action)

    return operation


def _reboot(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "reboot")
    if server is None:
        return None
    hard = client.dice.chance(0.3)
    return _deed(
        server, lambda caller: life.compute.power.reboot(caller, server.id, "HARD" if hard else "SOFT"), "reboot"
    )


def _lock(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life)
    if server is None:
        return None
    if server.is_locked:
        return _deed(server, lambda caller: life.compute.servers.unlock(caller, server.id), "unlock")
    return _deed(server, lambda caller: life.compute.servers.lock(caller, server.id), "lock")


def _metadata(client: Client, life: Life) -> Deed | None:
    """Change an item that nobody else changes, so that it is known what it must be."""
    server = client.any_server(life, "update_metadata")
    if server is None:
        return None
    values = client.told.metadata.setdefault((server.id, client.name), [])
    value = str(client.dice.whole(0, 1_000_000))

    def do(caller: Caller) -> None:
        values.append(value)  # it may be, from now on
        try:
            life.compute.servers.update_metadata(caller, server.id, {client.name: value})
        except Exception:
            if life.gate.is_alive:  # refused, for certain
                values.remove(value)
            raise
        values[:] = [value]

    return Deed(server.id, do)


def _rename(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life)
    if server is None:
        return None
    return Deed(server.id, lambda caller: _nothing(life.compute.servers.update(caller, server.id, {"name": "renamed"})))


def _nothing(_answer: object) -> None:
    return None


def _trespass(client: Client, life: Life) -> Deed | None:
    """Ask for a server of another project: it must not be there."""
    server = client.foreign_server(life)
    if server is None:
        return None
    asked = client.dice.pick(("show", "delete", "stop", "rename", "metadata"))

    def do(caller: Caller) -> None:
        compute, mine = life.compute, server.id
        try:
            match asked:
                case "show":
                    compute.servers.show(caller.viewer, mine)
                case "delete":
                    compute.servers.delete(caller, mine)
                case "stop":
                    compute.power.stop(caller, mine)
                case "rename":
                    compute.servers.update(caller, mine, {"name": "stolen"})
                case "metadata":
                    compute.servers.update_metadata(caller, mine, {"stolen": "yes"})
        except NotFound:
            return
        client.told.violation(f"I8 {asked} of server {mine} of another project was not refused")

    return Deed(server.id, do)


def _look(client: Client, life: Life) -> Deed | None:
    """Look at everything that the client sees: it must all be its own."""

    def do(caller: Caller) -> None:
        servers = client.servers(life)
        if not client.is_admin and any(each.project_id != client.project.id for each in servers):
            client.told.violation("I8 a list shows servers of another project")
        life.compute.servers.addresses(servers)
        life.compute.servers.security_groups(servers)
        for server in servers[:3]:
            for action in life.compute.actions.list_all(server.id):
                life.compute.actions.events(action)

    return Deed("", do)


OPERATIONS: Final[Mapping[str, Operation]] = {
    "create": _create,
    "delete": _delete,
    **{name: _power(name) for name in ("start", "stop", "pause", "unpause", "suspend", "resume", "rescue", "unrescue")},
    "reboot": _reboot,
    "lock": _lock,
    "metadata": _metadata,
    "rename": _rename,
    "trespass": _trespass,
    "look": _look,
}
