"""Looking into servers: what they write to their consoles, how they are doing; and setting a guest's password."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from sundog.backends.contract import ConsoleAddress, Diagnostics
from sundog.control.compute.books import get_server
from sundog.control.compute.records import Caller, Server
from sundog.control.compute.requests import Requests, check_lock, check_state, host_down, not_ready
from sundog.control.compute.sagas.common import key_of
from sundog.core.lifecycle.servers import VmState
from sundog.errors import BackendFailed, Conflict, HostDown, Invalid, NotSupported, OutcomeUnknown, Unavailable

_T = TypeVar("_T")


class Consoles(Requests):
    """Looking into servers. What the driver cannot do raises NotSupported, or Invalid where Nova says 400."""

    async def console_output(self, caller: Caller, server_id: str, *, lines: int | None = None) -> str:
        """What a server wrote to its serial console: the last ``lines`` of what is kept, or all.

        Raises: NotFound; Conflict for a server whose host does not hold it, or does not answer; NotSupported.
        """
        driver = self._parts.driver
        host, server = self._placed(caller, server_id)
        if not driver.capabilities.console_log:
            raise _not_supported()
        log = driver.console_log(host, key_of(server), deadline=self._parts.settings.quick)
        text = (await _ready(server, log)).decode(errors="replace")
        if lines is None:
            return text
        return "\n".join(text.splitlines()[-lines:]) if lines > 0 else ""

    async def diagnostics(self, caller: Caller, server_id: str) -> Diagnostics:
        """How a server is doing.

        Raises: NotFound; Conflict for a locked server, one that is not active, or whose host does not answer;
        NotSupported.
        """
        driver = self._parts.driver
        host, server = self._placed(caller, server_id)
        check_lock(caller, server)
        if server.vm_state != VmState.ACTIVE:
            raise _state_forbids("get_diagnostics", server)
        if not driver.capabilities.diagnostics:
            raise _not_supported()
        return await _ready(server, driver.diagnostics(host, key_of(server), deadline=self._parts.settings.quick))

    async def remote_console(self, caller: Caller, server_id: str, protocol: str, kind: str) -> ConsoleAddress:
        """Where a proxy reaches a server's console. ``kind`` is as in the driver's capabilities, ``protocol`` Nova's.

        Raises: NotFound; Invalid for a kind that there is not; Conflict for a server that is not ready.
        """
        driver = self._parts.driver
        host, server = self._placed(caller, server_id)
        if kind not in driver.capabilities.consoles:
            raise Invalid(f"Unavailable console type {kind}.", kind=kind, protocol=protocol)
        return await _ready(server, driver.console(host, key_of(server), kind, deadline=self._parts.settings.quick))

    async def change_password(self, caller: Caller, server_id: str, password: str) -> None:
        """Set the password of the guest's administrator; returns when it is set. It is written nowhere.

        Raises: NotFound; Conflict for a locked server, a state that forbids it, or a guest that does not take it;
        NotSupported.
        """
        parts = self._parts
        if not parts.driver.capabilities.set_password:
            self._placed(caller, server_id)
            raise _not_supported()
        secret = parts.books.new_uuid()
        parts.secrets[secret] = password
        try:
            underway = self._begin(
                caller, server_id, "set_admin_password", event="compute_set_admin_password",
                prepare=lambda tx, server: {"secret": secret},
            )  # fmt: skip
        except BaseException:
            del parts.secrets[secret]
            raise
        underway.add_done_callback(lambda _: parts.secrets.pop(secret, None))
        await asyncio.wait([underway])  # not cancelled with a caller who hangs up
        if underway.cancelled():
            raise Unavailable(f"The password of instance {server_id} may or may not have been set; ask again.")
        failure = underway.result()
        if isinstance(failure, HostDown):
            host, server = self._placed(caller, server_id)
            raise host_down(caller, server, parts.hosts.by_uuid(host)) from failure
        if failure is not None:
            raise Conflict(
                f"Failed to set admin password on {server_id} because {failure.message}", server=server_id
            ) from failure

    def trigger_crash_dump(self, caller: Caller, server_id: str) -> None:
        """Let the guest's kernel crash and write a dump: no driver can.

        Raises: NotFound; Conflict for a locked server or a state that forbids it; Invalid.
        """
        _, server = self._placed(caller, server_id)
        check_lock(caller, server)
        check_state(server, "trigger_crash_dump")
        raise Invalid("Triggering crash dump is not supported", server=server_id)

    def _placed(self, caller: Caller, server_id: str) -> tuple[str, Server]:
        """A server and its host. Raises: NotFound; Conflict for a server that is on no host."""
        with self._parts.books.reading() as tx:
            server = get_server(tx, caller.viewer, server_id)
        if server.host is None:
            raise not_ready(server)
        return server.host, server


async def _ready(server: Server, work: Awaitable[_T]) -> _T:
    """What a host answers. Raises: Conflict if it does not, or not for this server."""
    try:
        return await work
    except (BackendFailed, OutcomeUnknown) as error:
        raise not_ready(server) from error


def _state_forbids(what: str, server: Server) -> Conflict:
    message = f"Cannot '{what}' instance {server.id} while it is in vm_state {server.vm_state}"
    return Conflict(message, server=server.id)


def _not_supported() -> NotSupported:
    return NotSupported("Unable to perform the requested operation: the hosts of this cloud cannot do it.", status=501)
