"""What clients may do, by the names that mixes use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sundog.control.compute.migrations import OPEN, MigrationQuery
from sundog.control.compute.records import AskedNetwork, Caller, NewServer
from sundog.control.viewer import Viewer
from sundog.core.lifecycle.servers import TRANSITIONS
from sundog.soak.belongings import BELONGINGS
from sundog.soak.clients import FLAVORS, Client, Deed, Operation, deed_of
from sundog.soak.plane import Life
from sundog.soak.spying import SPYING
from sundog.soak.tending import TENDING


def _create(client: Client, life: Life) -> Deed:
    """Make servers: of a small image or one's own, with keys, ports and groups that may be gone meanwhile."""
    dice, project = client.dice, client.project
    flavor = FLAVORS[dice.weighted({0: 6, 1: 3, 2: 1})]
    count = dice.weighted({1: 8, 2: 1, 4: 1})
    networks = dice.weighted({None: 1, (): 1, (AskedNetwork(project.network),): 6})
    groups = life.compute.groups.list_all(Viewer(project.id))
    keys = life.compute.keypairs.list_all(project.user) if dice.chance(0.2) else []
    images = [each.id for each in client.images(life)] if dice.chance(0.1) else []
    new = NewServer(
        name=f"vm-{client.name}", flavor=flavor, networks=networks,
        image_id=dice.pick(images) if images else client.image_id,
        tags=["soak"] * dice.chance(0.2),
        key_name=dice.pick(keys).name if keys else None,
        group_id=dice.pick(groups).id if groups and dice.chance(0.3) else None,
    )  # fmt: skip
    least = dice.whole(1, count)

    def do(caller: Caller, life: Life) -> list[str]:
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
    if force:
        return deed_of(server, lambda caller, life: life.compute.servers.force_delete(caller, server.id), "forceDelete")
    return deed_of(server, lambda caller, life: life.compute.servers.delete(caller, server.id), "delete")


def _asked(name: str, part: Callable[[Life], object]) -> Operation:
    """Something that needs nothing but a server, of a part of compute."""

    def operation(client: Client, life: Life) -> Deed | None:
        server = client.any_server(life, name)
        if server is None:
            return None
        action = TRANSITIONS[name].action
        return deed_of(server, lambda caller, life: getattr(part(life), name)(caller, server.id), action)

    return operation


def _reboot(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "reboot")
    if server is None:
        return None
    hard = client.dice.chance(0.3)
    return deed_of(
        server, lambda caller, life: life.compute.power.reboot(caller, server.id, "HARD" if hard else "SOFT"), "reboot"
    )


# ---------------------------------------------------------------- new disks, images


def _rebuild(client: Client, life: Life) -> Deed | None:
    """Make a server anew, from any image that can be had, and under another name."""
    server = client.any_server(life, "rebuild")
    if server is None:
        return None
    images = [each.id for each in client.images(life)]
    image_id = client.dice.pick(images) if images and client.dice.chance(0.3) else client.image_id
    name = f"rebuilt-{client.dice.whole(0, 999)}"

    def do(caller: Caller, life: Life) -> None:
        rebuild = life.compute.rebuilding.rebuild
        ask = lambda: rebuild(caller, server.id, image_id=image_id, changes={"name": name})  # noqa: E731
        client.writes(life, ("name", server.id, ""), name, ask)

    return Deed(server.id, do, "rebuild")


def _snapshot(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "snapshot")
    if server is None:
        return None
    if client.dice.chance(0.4):
        rotation = client.dice.whole(0, 2)
        return deed_of(
            server,
            lambda caller, life: life.compute.snapshots.create_backup(caller, server.id, "backup", "daily", rotation),
            "createBackup",
        )
    return deed_of(
        server, lambda caller, life: life.compute.snapshots.create_image(caller, server.id, "snap", {}), "createImage"
    )


def _password(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "set_admin_password")
    if server is None:
        return None

    async def do(caller: Caller, life: Life) -> None:
        await life.compute.consoles.change_password(caller, server.id, "not so secret")

    return Deed(server.id, do, "changePassword")


# ---------------------------------------------------------------- moves


def _resize(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "resize")
    if server is None:
        return None
    flavor = client.dice.pick(FLAVORS)
    return deed_of(server, lambda caller, life: life.compute.moves.resize(caller, server.id, flavor), "resize")


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
        host = _somewhere(client, life)
        force = {} if name == "migrate" else {"force": host is not None and client.dice.chance(0.3)}
        if host is not None:
            client.told.forced[server.id] = None
        return deed_of(
            server,
            lambda caller, life: getattr(life.compute.moves, name)(caller, server.id, host=host, **force),
            TRANSITIONS[name].action,
        )

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
    if host is not None:
        client.told.forced[server.id] = None
    return deed_of(
        server, lambda caller, life: life.compute.moves.evacuate(caller, server.id, host=host), "evacuate"
    )  # fmt: skip


def _unshelve(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "unshelve")
    if server is None:
        return None
    host = _somewhere(client, life) if client.is_admin else None
    return deed_of(
        server, lambda caller, life: life.compute.moves.unshelve(caller, server.id, host=host), "unshelve"
    )  # fmt: skip


def _abort(client: Client, life: Life) -> Deed | None:
    """Break a live migration off, or ask for what no host can do, which must change nothing."""
    found = [
        each for each in life.compute.migrations.find(MigrationQuery(type="live-migration")) if each.status in OPEN
    ]
    if not found:
        return None
    move = client.dice.pick(found)
    if client.dice.chance(0.1):
        return Deed(
            move.server_id,
            lambda caller, life: life.compute.migrations.force_complete(caller, move.server_id, move.number),
            "live_migration_force_complete",
        )
    return Deed(
        move.server_id,
        lambda caller, life: life.compute.migrations.abort(caller, move.server_id, move.number),
        "live_migration_cancel",
    )


_POWER: Final = ("start", "stop", "pause", "unpause", "suspend", "resume", "rescue", "unrescue")
_MOVES: Final = ("confirm_resize", "revert_resize", "shelve", "shelve_offload")

OPERATIONS: Final[Mapping[str, Operation]] = {
    "create": _create,
    "delete": _delete,
    **{name: _asked(name, lambda life: life.compute.power) for name in _POWER},
    "reboot": _reboot,
    "rebuild": _rebuild,
    "snapshot": _snapshot,
    "password": _password,
    "resize": _resize,
    **{name.replace("_", "-"): _asked(name, lambda life: life.compute.moves) for name in _MOVES},
    "unshelve": _unshelve,
    "migrate": _migrate("migrate"),
    "live-migrate": _migrate("live_migrate"),
    "abort-live-migration": _abort,
    "evacuate": _evacuate,
    **BELONGINGS,
    **TENDING,
    **SPYING,
}
"""Every operation by its name."""
