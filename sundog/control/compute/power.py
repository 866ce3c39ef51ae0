"""Asking servers to start, stop, reboot, pause, suspend, and to be rescued."""

from __future__ import annotations

from typing import Literal

from sundog.control.compute import creating
from sundog.control.compute.books import get_server
from sundog.control.compute.records import Caller, Server, as_json
from sundog.control.compute.requests import Requests, Underway
from sundog.control.store import Tx
from sundog.errors import Invalid


class Power(Requests):
    """What changes what a server is doing, where it is. All raise NotFound, and Conflict where its state forbids it."""

    def start(self, caller: Caller, server_id: str) -> Underway:
        """Start a server that is stopped."""
        return self._begin(caller, server_id, "start", event="compute_start_instance")

    def stop(self, caller: Caller, server_id: str) -> Underway:
        """Stop a server; its guest may shut down by itself first."""
        return self._begin(caller, server_id, "stop", event="compute_stop_instance")

    def reboot(self, caller: Caller, server_id: str, kind: Literal["SOFT", "HARD"]) -> Underway:
        """Restart a server, its guest being asked or not."""
        name = "reboot" if kind == "SOFT" else "reboot_hard"
        return self._begin(caller, server_id, name, event="compute_reboot_instance")

    def pause(self, caller: Caller, server_id: str) -> Underway:
        """Stop its vCPUs."""
        return self._begin(caller, server_id, "pause", event="compute_pause_instance")

    def unpause(self, caller: Caller, server_id: str) -> Underway:
        """Let its vCPUs go on."""
        return self._begin(caller, server_id, "unpause", event="compute_unpause_instance")

    def suspend(self, caller: Caller, server_id: str) -> Underway:
        """Write its memory to disk, and stop it."""
        return self._begin(caller, server_id, "suspend", event="compute_suspend_instance")

    def resume(self, caller: Caller, server_id: str) -> Underway:
        """Bring it back from there."""
        return self._begin(caller, server_id, "resume", event="compute_resume_instance")

    def rescue(self, caller: Caller, server_id: str, *, image_id: str | None = None) -> Underway:
        """Restart it from an image, its own if none is given, with its disk beside.

        Raises: Invalid for an image that cannot be used.
        """
        image = None
        if image_id is not None:
            with self._parts.books.reading() as tx:
                server = get_server(tx, caller.viewer, server_id)
            image = creating.image_for(self._parts, caller, image_id, server.flavor)

        def prepare(tx: Tx, server: Server) -> dict[str, object]:
            chosen = image or server.image
            if chosen is None:
                raise Invalid(f"Instance {server.id} cannot be rescued: it was not made from an image.")
            return {"image": as_json(chosen)}

        return self._begin(caller, server_id, "rescue", event="compute_rescue_instance", prepare=prepare)

    def unrescue(self, caller: Caller, server_id: str) -> Underway:
        """Restart it from its own disk again."""
        return self._begin(caller, server_id, "unrescue", event="compute_unrescue_instance")
