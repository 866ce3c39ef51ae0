"""Asking for images of servers: single ones, and backups of which the newest are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sundog.control.compute import imaging
from sundog.control.compute.records import Caller, Server
from sundog.control.compute.requests import Requests
from sundog.control.store import Tx
from sundog.errors import NotSupported


class Snapshots(Requests):
    """Images of servers. A locked server may be looked at, and so be made an image of."""

    def create_image(self, caller: Caller, server_id: str, name: str, metadata: Mapping[str, str]) -> str:
        """Begin to make an image of a server's disk; returns its id. It has no data until the server is read.

        ``metadata`` become properties of the image, before those that it would have otherwise.
        Raises: NotFound; Conflict for a state that forbids it; TooLarge for more properties than are allowed;
        NotSupported.
        """
        return self._make(caller, server_id, "snapshot", name, imaging.SNAPSHOT, metadata)

    def create_backup(
        self,
        caller: Caller,
        server_id: str,
        name: str,
        backup_type: str,
        rotation: int,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Begin to make a backup; returns the id of its image. Of this type the newest ``rotation`` are kept.

        With 0 all are deleted once this one is made, itself among them.
        Raises: as :meth:`create_image`.
        """
        more = {**(metadata or {}), imaging.BACKUP_TYPE: backup_type}
        args = {"backup_type": backup_type, "rotation": rotation}
        return self._make(caller, server_id, "backup", name, imaging.BACKUP, more, args)

    def _make(
        self,
        caller: Caller,
        server_id: str,
        name: str,
        image_name: str,
        kind: str,
        more: Mapping[str, str],
        args: Mapping[str, Any] | None = None,
    ) -> str:
        if not self._parts.driver.capabilities.snapshot:
            raise NotSupported(f"The hosts of this cloud cannot make images of servers, as of {server_id}.")
        made: list[str] = []

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            made.append(imaging.new_image(tx, self._parts, caller, server, image_name, kind=kind, more=more))
            return {imaging.NEW_IMAGE: made[0], **(args or {})}

        self._begin(caller, server_id, name, event=f"compute_{name}_instance", prepare=prepare, lock=False)
        return made[0]
