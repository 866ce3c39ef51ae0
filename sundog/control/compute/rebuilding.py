"""Asking for a server to be made anew from an image, with the place, the ports and the flavor that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sundog.control.compute import creating, quotas
from sundog.control.compute.books import get_server
from sundog.control.compute.records import Caller, Server, as_json
from sundog.control.compute.requests import Requests, Underway
from sundog.control.compute.sagas.common import COPIES, next_generation
from sundog.control.store import Tx
from sundog.core.lifecycle.servers import VmState
from sundog.errors import Invalid, NotSupported

COLUMNS: Final = (
    "name", "description", "hostname", "metadata", "access_ip_v4", "access_ip_v6", "disk_config", "user_data",
    "trusted_certs",
)  # fmt: skip
"""What may change along with the disk, besides ``key_name``."""


class Rebuilding(Requests):
    """New disks for servers."""

    def rebuild(self, caller: Caller, server_id: str, *, image_id: str, changes: Mapping[str, Any]) -> Underway:
        """Begin to rebuild a server. A stopped one stays stopped; one in ERROR is started.

        ``changes`` has what is to be another from now on: any of ``COLUMNS``, and ``key_name``, a keypair of the
        caller's or None for none. ``preserve_ephemeral`` may be False. If the rebuild fails the server is in ERROR.
        Raises: NotFound; Conflict for a state that forbids it; Invalid for an image or a keypair that cannot be used;
        Forbidden for too much metadata; NotSupported.
        """
        parts = self._parts
        if not parts.driver.capabilities.rebuild:
            raise NotSupported(f"The hosts of this cloud cannot rebuild servers, as of {server_id}.")
        if changes.get("preserve_ephemeral"):
            raise Invalid("The current driver does not support preserving ephemeral partitions.", server=server_id)
        with parts.books.reading() as tx:
            flavor = get_server(tx, caller.viewer, server_id).flavor
        image = creating.image_for(parts, caller, image_id, flavor)

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            values = {name: value for name, value in changes.items() if name in COLUMNS}
            quotas.check_metadata(tx, server.project_id, server.user_id, len(values.get("metadata", {})))
            if "key_name" in changes:
                values |= {
                    "key_name": changes["key_name"],
                    "key": creating.keypair(tx, caller, changes["key_name"]),
                }
            copies = list(server.kept.get(COPIES, ()))
            generation = next_generation(tx, server)
            kept = {**server.kept, COPIES: [*copies, generation]}
            parts.books.change(tx, server, **values, image_id=image.id, image=image, progress=0, kept=kept)
            return {
                "generation": generation,
                "start": server.vm_state != VmState.STOPPED,
                "old_image_id": server.image_id,
                "old_image": None if server.image is None else as_json(server.image),
            }

        return self._begin(caller, server_id, "rebuild", event="compute_rebuild_instance", prepare=prepare)
