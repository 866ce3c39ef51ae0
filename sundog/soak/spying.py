"""Operations that try whether projects are kept apart (I8): looking at everything, and asking for what others have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sundog.control.compute.records import AskedNetwork, Caller, NewServer, ServerQuery
from sundog.control.image.listing import Wanted
from sundog.control.principal import Principal
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.errors import Forbidden, Invalid, NotFound
from sundog.soak.clients import FLAVORS, Client, Deed, Operation
from sundog.soak.plane import Life

ALL: Final = ServerQuery(sort=(("id", False),))

Ask = Callable[[Life, Caller, str], object]
"""``(life, caller, id)``: something asked of what has this id."""

SERVERS: Final[Mapping[str, Ask]] = {
    "show": lambda life, caller, its: life.compute.servers.show(caller.viewer, its),
    "delete": lambda life, caller, its: life.compute.servers.delete(caller, its),
    "force delete": lambda life, caller, its: life.compute.servers.force_delete(caller, its),
    "rename": lambda life, caller, its: life.compute.servers.update(caller, its, {"name": "stolen"}),
    "metadata": lambda life, caller, its: life.compute.servers.update_metadata(caller, its, {"stolen": "yes"}),
    "tags": lambda life, caller, its: life.compute.servers.set_tags(caller, its, ["stolen"]),
    "lock": lambda life, caller, its: life.compute.servers.lock(caller, its),
    "start": lambda life, caller, its: life.compute.power.start(caller, its),
    "stop": lambda life, caller, its: life.compute.power.stop(caller, its),
    "rescue": lambda life, caller, its: life.compute.power.rescue(caller, its),
    "resize": lambda life, caller, its: life.compute.moves.resize(caller, its, FLAVORS[0]),
    "confirm": lambda life, caller, its: life.compute.moves.confirm_resize(caller, its),
    "revert": lambda life, caller, its: life.compute.moves.revert_resize(caller, its),
    "shelve": lambda life, caller, its: life.compute.moves.shelve(caller, its),
    "unshelve": lambda life, caller, its: life.compute.moves.unshelve(caller, its),
    "snapshot": lambda life, caller, its: life.compute.snapshots.create_image(caller, its, "stolen", {}),
    "backup": lambda life, caller, its: life.compute.snapshots.create_backup(caller, its, "stolen", "daily", 1),
    "address": lambda life, caller, its: life.compute.interfaces.add_floating_ip(caller, its, "203.0.113.1"),
    "group": lambda life, caller, its: life.compute.interfaces.add_security_group(caller, its, "default"),
}
"""What another project's servers are asked."""

GROUPS: Final[Mapping[str, Ask]] = {
    "show": lambda life, caller, its: life.compute.groups.show(caller.viewer, its),
    "delete": lambda life, caller, its: life.compute.groups.delete(caller.viewer, its),
    "join": lambda life, caller, its: life.compute.servers.create(caller, _new(group_id=its)),
}

PORTS: Final[Mapping[str, Ask]] = {
    "show": lambda life, caller, its: life.network.ports.show(caller.viewer, its),
    "rename": lambda life, caller, its: life.network.ports.update(caller.viewer, its, {"name": "stolen"}),
    "delete": lambda life, caller, its: life.network.ports.delete(caller.viewer, its),
    "plug": lambda life, caller, its: life.compute.servers.create(caller, _new(networks=[AskedNetwork(port_id=its)])),
}

FLOATING_IPS: Final[Mapping[str, Ask]] = {
    "show": lambda life, caller, its: life.network.floating_ips.show(caller.viewer, its),
    "let go": lambda life, caller, its: life.network.floating_ips.update(caller.viewer, its, {"port_id": None}),
    "delete": lambda life, caller, its: life.network.floating_ips.delete(caller.viewer, its),
}

NETWORKS: Final[Mapping[str, Ask]] = {
    "show": lambda life, caller, its: life.network.networks.show(caller.viewer, its),
    "delete": lambda life, caller, its: life.network.networks.delete(caller.viewer, its),
    "join": lambda life, caller, its: life.compute.servers.create(caller, _new(networks=[AskedNetwork(its)])),
}

IMAGES: Final[Mapping[str, Ask]] = {
    "show": lambda life, caller, its: life.image.show(caller.principal, its),
    "delete": lambda life, caller, its: life.image.delete(caller.principal, its),
    "boot": lambda life, caller, its: life.compute.servers.create(caller, _new(image_id=its)),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that projects have. ``every`` tells ``(id, project)`` of all, by cheating."""

    asks: Mapping[str, Ask]
    every: Callable[[Life], list[tuple[str, str | None]]]


def _images(life: Life) -> list[tuple[str, str | None]]:
    who = Principal("", roles=("admin",))
    return sorted((each.id, each.owner) for each in life.image.list(who, Wanted()) if each.visibility == "private")


KINDS: Final[Mapping[str, Kind]] = {
    "server": Kind(
        SERVERS, lambda life: [(each.id, each.project_id) for each in life.compute.servers.list_all(EVERYTHING, ALL)]
    ),
    "server group": Kind(
        GROUPS, lambda life: [(each.id, each.project_id) for each in life.compute.groups.list_all(EVERYTHING)]
    ),
    "port": Kind(PORTS, lambda life: [(each.id, each.project_id) for each in life.network.ports.list_all(EVERYTHING)]),
    "floating IP": Kind(
        FLOATING_IPS,
        lambda life: [(each.id, each.project_id) for each in life.network.floating_ips.list_all(EVERYTHING)],
    ),
    "network": Kind(
        NETWORKS,
        lambda life: [
            (each.id, each.project_id)
            for each in life.network.networks.list_all(EVERYTHING)
            if not (each.shared or each.external)
        ],
    ),
    "image": Kind(IMAGES, _images),
}


def _new(**values: Any) -> NewServer:
    return NewServer(**{"name": "stolen", "flavor": FLAVORS[0], "image_id": None, **values})


def _trespass(client: Client, life: Life) -> Deed | None:
    """Ask for something of another project: it must not be there."""
    name = client.dice.weighted({"server": 5, **dict.fromkeys(KINDS, 1)})
    kind, mine = KINDS[name], client.project.id
    theirs = [its for its, project in kind.every(life) if project not in (mine, None, "")]
    if not theirs:
        return None
    its, asked = client.dice.pick(theirs), client.dice.pick(list(kind.asks))

    def do(caller: Caller, life: Life) -> None:
        try:
            kind.asks[asked](life, caller, its)
        except (NotFound, Invalid, Forbidden):
            return
        client.told.violation(f"I8 {asked} of {name} {its} of another project was not refused")

    return Deed(its if name == "server" else "", do)


def _look(client: Client, life: Life) -> Deed | None:
    """Look at everything that the client sees: it must all be its own."""

    def do(caller: Caller, life: Life) -> None:
        servers = client.servers(life)
        if not client.is_admin:
            for what in _strange(client, life):
                client.told.violation(f"I8 a list of project {client.project.id} shows {what} of another project")
        life.compute.servers.addresses(servers)
        life.compute.servers.security_groups(servers)
        for server in servers[:3]:
            for action in life.compute.actions.list_all(server.id):
                life.compute.actions.events(action)

    return Deed("", do)


def _strange(client: Client, life: Life) -> Iterator[str]:
    """What lists show that is not the client's."""
    viewer, mine = Viewer(client.project.id), client.project.id
    shown: dict[str, list[str | None]] = {
        "servers": [each.project_id for each in client.servers(life)],
        "server groups": [each.project_id for each in life.compute.groups.list_all(viewer)],
        "ports": [each.project_id for each in life.network.ports.list_all(viewer)],
        "floating IPs": [each.project_id for each in life.network.floating_ips.list_all(viewer)],
        "security groups": [each.project_id for each in life.network.groups.list_all(viewer)],
        "routers": [each.project_id for each in life.network.routers.list_all(viewer)],
        "networks": [
            each.project_id for each in life.network.networks.list_all(viewer) if not (each.shared or each.external)
        ],
        "images": [
            each.owner
            for each in life.image.list(Caller(client.project.user, mine).principal, Wanted())
            if each.visibility == "private"
        ],
    }
    for what, owners in shown.items():
        # A router's port on the project's own network is nobody's, as Neutron has it.
        if any(owner not in (mine, "") for owner in owners):
            yield what


SPYING: Final[Mapping[str, Operation]] = {"trespass": _trespass, "look": _look}
