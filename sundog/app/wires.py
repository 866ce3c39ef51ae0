"""The networks of real hosts for a cloud: their driver, the network node, and what guests are told about themselves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from sundog.app.hosts import read_node
from sundog.backends.libvirt.network_links import Spaces
from sundog.backends.libvirt.network_metadata import Caller, Doors, Reply
from sundog.backends.libvirt.network_node import NetworkNode, NodeSpec, why_no_node
from sundog.control.compute.metadata import Metadata, Proof, signature_of
from sundog.errors import Forbidden, NotFound

_LATER: Final = Reply(503, b"Service Unavailable\n")
_NOWHERE: Final = Reply(404, b"Not Found\n")


class Guests:
    """Answers guests out of a cloud's ``metadata``, as soon as there is a cloud."""

    def __init__(self) -> None:
        self.metadata: Metadata | None = None

    async def ask(self, path: str, caller: Caller) -> Reply:
        """The document at a path, for a guest that its network tells from all others."""
        if self.metadata is None:
            return _LATER
        signature = signature_of(self.metadata.secret(), caller.server_id)
        try:
            found = self.metadata.read(path, Proof(caller.server_id, caller.project_id, signature))
        except (NotFound, Forbidden):
            return _NOWHERE
        return Reply(200, found.content, found.media_type)


def make_node(folder: Path, cloud: str, doors: Doors) -> NetworkNode | None:
    """This machine as the network node of the cloud of a state folder; None if ``why_no_node``.

    ``cloud`` is the cloud's id. Raises: InputError if the folder does not say how the node is joined to others.
    """
    known = read_node(folder)
    if why_no_node():
        return None
    return NetworkNode(NodeSpec(known.wire, folder / "networks", known.external, spaces_of(cloud)), doors)


def spaces_of(cloud: str) -> Spaces:
    """What the namespaces of a cloud are called, by its id: two clouds on one machine have their own.

    A cloud that was restored in another folder has those of before.
    """
    return Spaces(f"sundog-{hashlib.sha256(cloud.encode()).hexdigest()[:6]}")
