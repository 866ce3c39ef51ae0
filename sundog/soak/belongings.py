"""Operations about what servers have, and what projects have besides servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Final

from sundog.backends.simulated.console import empty_qcow2
from sundog.control.compute.groups import POLICIES
from sundog.control.compute.records import AskedNetwork, Caller
from sundog.control.image.records import NewImage
from sundog.control.image.states import QUEUED
from sundog.control.network.records import Port
from sundog.control.viewer import Viewer
from sundog.runtime import aio
from sundog.soak.clients import Client, Deed, Operation, deed_of
from sundog.soak.plane import Life

KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f soak"
"""A public key; nobody has the other half of it."""

GIB: Final = 1 << 30


# ---------------------------------------------------------------- what servers say of themselves


def _metadata(client: Client, life: Life) -> Deed | None:
    """Change an item that nobody else changes."""
    server = client.any_server(life, "update_metadata")
    if server is None:
        return None
    value = str(client.dice.whole(0, 1_000_000))

    def do(caller: Caller, life: Life) -> None:
        change = {client.name: value}
        fact = "metadata", server.id, client.name
        client.writes(life, fact, value, lambda: life.compute.servers.update_metadata(caller, server.id, change))

    return Deed(server.id, do)


def _rename(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life)
    if server is None:
        return None
    name = f"renamed-{client.dice.whole(0, 999)}"

    def do(caller: Caller, life: Life) -> None:
        fact = "name", server.id, ""
        client.writes(life, fact, name, lambda: life.compute.servers.update(caller, server.id, {"name": name}))

    return Deed(server.id, do)


def _tags(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "update_tags")
    if server is None:
        return None
    tags = tuple(f"t{each}" for each in range(client.dice.whole(0, 3)))

    def do(caller: Caller, life: Life) -> None:
        fact = "tags", server.id, ""
        client.writes(life, fact, tags, lambda: life.compute.servers.set_tags(caller, server.id, tags))

    return Deed(server.id, do)


def _lock(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life)
    if server is None:
        return None
    locked = not server.is_locked

    def do(caller: Caller, life: Life) -> None:
        servers = life.compute.servers
        ask = servers.lock if locked else servers.unlock
        client.writes(life, ("locked", server.id, ""), locked, lambda: ask(caller, server.id))

    return Deed(server.id, do, "lock" if locked else "unlock")


# ---------------------------------------------------------------- ports, addresses


def _attach(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "attach_interface")
    if server is None:
        return None
    asked = AskedNetwork(network_id=client.project.network)
    free = [each for each in _ports(client, life) if not each.device_id]
    if free and client.dice.chance(0.3):
        asked = AskedNetwork(port_id=client.dice.pick(free).id)

    async def do(caller: Caller, life: Life) -> None:
        await life.compute.interfaces.attach(caller, server.id, asked)

    return Deed(server.id, do, "attach_interface")


def _detach(client: Client, life: Life) -> Deed | None:
    server = client.any_server(life, "detach_interface")
    ports = life.compute.servers.ports(server) if server is not None else []
    if server is None or not ports:
        return None
    port = client.dice.pick(ports)

    async def do(caller: Caller, life: Life) -> None:
        await life.compute.interfaces.detach(caller, server.id, port.id)

    return Deed(server.id, do, "detach_interface")


def _ports(client: Client, life: Life) -> list[Port]:
    """The ports that belong to the client's project, and not to a router of it."""
    every = life.network.ports.list_all(Viewer(client.project.id), {"project_id": [client.project.id]})
    return [each for each in every if not each.device_owner.startswith("network:")]


def _port(client: Client, life: Life) -> Deed:
    """Make a port of one's own, or delete one that no server has."""
    free = [each for each in _ports(client, life) if not each.device_id]
    viewer = Viewer(client.project.id)
    if not free or client.dice.chance(0.6):
        spec = {"project_id": client.project.id, "network_id": client.project.network}
        return Deed("", lambda caller, life: _nothing(life.network.ports.create(viewer, [spec])))
    port = client.dice.pick(free)
    return Deed("", lambda caller, life: life.network.ports.delete(viewer, port.id))


def _fixed_ip(client: Client, life: Life) -> Deed | None:
    """Give a server another address, or take one from it."""
    server = client.any_server(life, "attach_interface")
    if server is None:
        return None
    network = client.project.network
    addresses = [each.ip_address for port in life.compute.servers.ports(server) for each in port.fixed_ips]
    if len(addresses) < 2 or client.dice.chance(0.5):
        return deed_of(server, lambda caller, life: life.compute.interfaces.add_fixed_ip(caller, server.id, network))
    address = client.dice.pick(addresses)
    return deed_of(server, lambda caller, life: life.compute.interfaces.remove_fixed_ip(caller, server.id, address))


def _floating_ip(client: Client, life: Life) -> Deed | None:
    """Take a floating IP, let it lead to a server or nowhere, or give it back."""
    viewer = Viewer(client.project.id)
    mine = life.network.floating_ips.list_all(viewer)
    if not mine or client.dice.chance(0.3):
        spec = {"project_id": client.project.id, "floating_network_id": client.project.public}
        return Deed("", lambda caller, life: _nothing(life.network.floating_ips.create(viewer, [spec])))
    floating = client.dice.pick(mine)
    if client.dice.chance(0.2):

        def give_back(caller: Caller, life: Life) -> None:
            fact = "floating IP", floating.id, ""
            client.writes(life, fact, False, lambda: life.network.floating_ips.delete(viewer, floating.id))

        return Deed("", give_back)
    server = client.any_server(life)
    if floating.port_id is not None and client.dice.chance(0.5):
        nowhere = {"port_id": None}
        return Deed("", lambda caller, life: _nothing(life.network.floating_ips.update(viewer, floating.id, nowhere)))
    if server is None:
        return None
    address = floating.floating_ip_address
    if floating.port_id is not None:
        return deed_of(
            server, lambda caller, life: life.compute.interfaces.remove_floating_ip(caller, server.id, address)
        )  # fmt: skip
    return deed_of(server, lambda caller, life: life.compute.interfaces.add_floating_ip(caller, server.id, address))


def _security_group(client: Client, life: Life) -> Deed | None:
    """Make a security group, delete one, put a server into one, or take it out."""
    viewer, project = Viewer(client.project.id), client.project.id
    mine = [each for each in life.network.groups.list_all(viewer) if each.name != "default"]
    if not mine or client.dice.chance(0.3):
        spec = {"project_id": project, "name": f"group of {client.name}"}
        return Deed("", lambda caller, life: _nothing(life.network.groups.create([spec])))
    group, server = client.dice.pick(mine), client.any_server(life)
    what = client.dice.weighted({"add": 3, "remove": 2, "delete": 1})
    if what == "delete":
        return Deed("", lambda caller, life: life.network.groups.delete(viewer, group.id))
    if server is None:
        return None
    ask = f"{what}_security_group"
    return deed_of(server, lambda caller, life: getattr(life.compute.interfaces, ask)(caller, server.id, group.id))


# ---------------------------------------------------------------- groups, keys, images


def _group(client: Client, life: Life) -> Deed:
    """Make a server group, or delete one."""
    mine = life.compute.groups.list_all(Viewer(client.project.id))
    if not mine or client.dice.chance(0.6):
        policy = client.dice.pick(POLICIES)
        return Deed("", lambda caller, life: _nothing(life.compute.groups.create(caller, "group", policy)))
    group = client.dice.pick(mine)

    def delete(caller: Caller, life: Life) -> None:
        fact = "server group", group.id, ""
        client.writes(life, fact, False, lambda: life.compute.groups.delete(Viewer(client.project.id), group.id))

    return Deed("", delete)


def _keypair(client: Client, life: Life) -> Deed:
    """Keep a key, or forget one. The names are this client's."""
    user, project = client.project.user, client.project.id
    name = f"{client.name}-{client.dice.whole(0, 1)}"
    is_there = any(each.name == name for each in life.compute.keypairs.list_all(user))

    def do(caller: Caller, life: Life) -> None:
        keypairs, fact = life.compute.keypairs, ("keypair", user, name)
        if is_there:
            client.writes(life, fact, False, lambda: keypairs.delete(user, name))
        else:
            client.writes(life, fact, True, lambda: keypairs.add(user, name, KEY, project_id=project))

    return Deed("", do)


def _delete_image(client: Client, life: Life) -> Deed | None:
    """Delete an image, whatever it is needed for or becomes."""
    mine = client.images(life)
    if not mine:
        return None
    image = client.dice.pick(mine)

    def do(caller: Caller, life: Life) -> None:
        who = Caller(client.project.user, client.project.id).principal
        client.writes(life, ("image", image.id, ""), False, lambda: life.image.delete(who, image.id))

    return Deed("", do)


def _upload(client: Client, life: Life) -> Deed:
    """Make an image and bring its data, slowly; or bring them to one that waits for them."""
    waiting = [each for each in client.images(life) if each.status == QUEUED and each.name == "uploaded"]
    image_id = client.dice.pick(waiting).id if waiting else None
    breaks, pause = client.dice.chance(0.2), client.dice.seconds(3.0)

    async def do(caller: Caller, life: Life) -> None:
        if image_id is None:
            new = NewImage(owner=caller.project_id, name="uploaded", disk_format="qcow2", container_format="bare")
            wanted = life.image.create(new).id
        else:
            wanted = image_id
        await life.image.data.upload(caller.principal, wanted, _slowly(_disk(), pause, breaks))
        client.told.facts["image", wanted, ""] = [True]

    return Deed("", do)


@cache
def _disk() -> bytes:
    return empty_qcow2(GIB)


async def _slowly(data: bytes, pause: float, breaks: bool) -> AsyncIterator[bytes]:
    """Data in two pieces; or one, and then the client is gone."""
    half = len(data) // 2
    yield data[:half]
    await aio.sleep(pause)
    if breaks:
        raise TimeoutError
    yield data[half:]


def _nothing(_answer: object) -> None:
    return None


BELONGINGS: Final[Mapping[str, Operation]] = {
    "metadata": _metadata,
    "rename": _rename,
    "tags": _tags,
    "lock": _lock,
    "attach": _attach,
    "detach": _detach,
    "port": _port,
    "fixed-ip": _fixed_ip,
    "floating-ip": _floating_ip,
    "security-group": _security_group,
    "group": _group,
    "keypair": _keypair,
    "delete-image": _delete_image,
    "upload": _upload,
}
