"""What clients may do, by the names that mixes use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sundog.control.compute.groups import POLICIES
from sundog.control.compute.migrations import OPEN, MigrationQuery
from sundog.control.compute.records import AskedNetwork, Caller, NewServer, Server
from sundog.control.image.listing import Wanted
from sundog.control.viewer import Viewer
from sundog.core.lifecycle.servers import TRANSITIONS
from sundog.errors import NotFound
from sundog.soak.clients import FLAVORS, Client, Deed
from sundog.soak.plane import Life

Operation = Callable[[Client, Life], Deed | None]


def _create(client: Client, life: Life) -> Deed:
    flavor = FLAVORS[client.dice.weighted({0: 6, 1: 3, 2: 1})]
    count = client.dice.weighted({1: 8, 2: 1, 4: 1})
    networks = client.dice.weighted({None: 1, (): 1, (AskedNetwork(client.project.network),): 6})
    groups = life.compute.groups.list_all(Viewer(client.project.id))
    new = NewServer(
        name=f"vm-{client.name}", flavor=flavor, image_id=client.image_id, networks=networks,
        tags=["soak"] * client.dice.chance(0.2),
        group_id=client.dice.pick(groups).id if groups and client.dice.chance(0.3) else None,
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
    values = client.told.metadata.setdefault((server.id, client.name), [None])
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


# ---------------------------------------------------------------- ports, addresses


def _attach(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "attach_interface")
    if server is None:
        return None

    async def do(caller: Caller) -> None:
        await life.compute.interfaces.attach(caller, server.id, AskedNetwork(network_id=client.project.network))

    return Deed(server.id, do, "attach_interface")


def _detach(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "detach_interface")
    ports = life.compute.servers.ports(server) if server is not None else []
    if server is None or not ports:
        return None
    port = client.dice.pick(ports)

    async def do(caller: Caller) -> None:
        await life.compute.interfaces.detach(caller, server.id, port.id)

    return Deed(server.id, do, "detach_interface")


def _floating_ip(client: Client, life: Life) -> Deed | None:
    """Take a floating IP, let it lead to a server or nowhere, or give it back."""
    viewer = Viewer(client.project.id)
    mine = life.network.floating_ips.list_all(viewer)
    if not mine or (len(mine) < 4 and client.dice.chance(0.3)):
        spec = {"project_id": client.project.id, "floating_network_id": client.project.public}
        return Deed("", lambda _caller: _nothing(life.network.floating_ips.create(viewer, [spec])))
    floating = client.dice.pick(mine)
    if client.dice.chance(0.2):
        return Deed("", lambda _caller: life.network.floating_ips.delete(viewer, floating.id))
    server = client.any_server(life)
    if floating.port_id is not None or server is None:
        nowhere = {"port_id": None}
        return Deed("", lambda _caller: _nothing(life.network.floating_ips.update(viewer, floating.id, nowhere)))
    address = floating.floating_ip_address
    return Deed(server.id, lambda caller: life.compute.interfaces.add_floating_ip(caller, server.id, address))


# ---------------------------------------------------------------- new disks, images


def _rebuild(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "rebuild")
    if server is None:
        return None
    rebuild = life.compute.rebuilding.rebuild
    return _deed(
        server, lambda caller: rebuild(caller, server.id, image_id=client.image_id, changes={"name": "new"}), "rebuild"
    )


def _snapshot(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "snapshot")
    if server is None:
        return None
    if client.dice.chance(0.4):
        rotation = client.dice.whole(0, 2)
        backup = life.compute.snapshots.create_backup
        return _deed(server, lambda caller: backup(caller, server.id, "backup", "daily", rotation), "createBackup")
    image = life.compute.snapshots.create_image
    return _deed(server, lambda caller: image(caller, server.id, "snap", {}), "createImage")


def _delete_image(client: Client, life: Life) -> Deed | None:
    who = Caller(client.project.user, client.project.id).principal
    mine = [each.id for each in life.image.list(who, Wanted()) if each.owner == client.project.id]
    if not mine:
        return None
    image_id = client.dice.pick(sorted(mine))
    return Deed("", lambda caller: life.image.delete(who, image_id))


# ---------------------------------------------------------------- moves


def _resize(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "resize")
    if server is None:
        return None
    flavor = client.dice.pick(FLAVORS)
    return _deed(server, lambda caller: life.compute.moves.resize(caller, server.id, flavor), "resize")


def _decide_resize(name: str) -> Operation:
    def operation(client: Client, life: Life) -> Deed | None:
        server = client.any_server(life, name)
        if server is None:
            return None
        ask = getattr(life.compute.moves, name)
        return _deed(server, lambda caller: ask(caller, server.id), TRANSITIONS[name].action)

    return operation


def _somewhere(client: Client, life: Life) -> str | None:
    """A host that is asked for, or none: the scheduler chooses."""
    hosts = life.compute.hosts.list_all()
    return client.dice.pick(hosts).name if hosts and client.dice.chance(0.3) else None


def _migrate(name: str) -> Operation:
    """Something that only administrators may ask: of any server."""

    def operation(client: Client, life: Life) -> Deed | None:
        server = client.any_server(life, name)
        if server is None:
            return None
        ask, host = getattr(life.compute.moves, name), _somewhere(client, life)
        force = {} if name == "migrate" else {"force": host is not None and client.dice.chance(0.3)}
        return _deed(server, lambda caller: ask(caller, server.id, host=host, **force), TRANSITIONS[name].action)

    return operation


def _evacuate(client: Client, life: Life) -> Deed | None:
    """Bring away a server whose host is down, if there is one."""
    found = [
        each
        for each in client.servers(life)
        if each.host is not None and not life.compute.hosts.is_up(each.host)
    ]  # fmt: skip
    if not found:
        return None
    server = client.dice.pick(found)
    host = _somewhere(client, life)
    return _deed(server, lambda caller: life.compute.moves.evacuate(caller, server.id, host=host), "evacuate")


def _abort(client: Client, life: Life) -> Deed | None:
    found = [
        each for each in life.compute.migrations.find(MigrationQuery(type="live-migration")) if each.status in OPEN
    ]
    if not found:
        return None
    move = client.dice.pick(found)
    return Deed(
        move.server_id, lambda caller: life.compute.migrations.abort(caller, move.server_id, move.number),
        "live_migration_cancel",
    )  # fmt: skip


def _group(client: Client, life: Life) -> Deed:
    """Make a server group, or delete one."""
    caller = Caller(client.project.user, client.project.id)
    mine = life.compute.groups.list_all(caller.viewer)
    if len(mine) < 3 or client.dice.chance(0.5):
        policy = client.dice.pick(POLICIES)
        return Deed("", lambda caller: _nothing(life.compute.groups.create(caller, "group", policy)))
    group = client.dice.pick(mine)
    return Deed("", lambda caller: life.compute.groups.delete(caller.viewer, group.id))


# ---------------------------------------------------------------- what administrators do


def _quota(client: Client, life: Life) -> Deed:
    project = client.dice.pick(client.others)
    name, most = client.dice.pick((("instances", 12), ("cores", 24), ("ram", 20480)))
    limit = client.dice.whole(1, most)

    def do(_caller: Caller) -> None:
        key = project.id, name
        client.told.most[key] = max(client.told.most.get(key, 0), limit, life.compute.quotas.show(project.id)[name])
        life.compute.quotas.update(project.id, {name: limit}, force=True)

    return Deed("", do)


def _service(client: Client, life: Life) -> Deed:
    """Take a host out of service, or into it again."""
    host = client.dice.pick(life.compute.hosts.list_all())
    return Deed("", lambda _caller: _nothing(life.compute.hosts.update(host.service_id, disabled=not host.disabled)))


OPERATIONS: Final[Mapping[str, Operation]] = {
    "create": _create,
    "delete": _delete,
    **{name: _power(name) for name in ("start", "stop", "pause", "unpause", "suspend", "resume", "rescue", "unrescue")},
    "reboot": _reboot,
    "attach": _attach,
    "detach": _detach,
    "floating-ip": _floating_ip,
    "group": _group,
    "rebuild": _rebuild,
    "snapshot": _snapshot,
    "delete-image": _delete_image,
    "resize": _resize,
    "confirm-resize": _decide_resize("confirm_resize"),
    "revert-resize": _decide_resize("revert_resize"),
    "migrate": _migrate("migrate"),
    "live-migrate": _migrate("live_migrate"),
    "abort-live-migration": _abort,
    "evacuate": _evacuate,
    "quota": _quota,
    "service": _service,
    "lock": _lock,
    "metadata": _metadata,
    "rename": _rename,
    "trespass": _trespass,
    "look": _look,
}
