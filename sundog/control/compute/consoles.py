"""Looking into servers: what they write to their consoles, how they are doing; and setting a guest's password."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import Final, TypeVar

from sundog.backends.contract import ConsoleStream, Diagnostics
from sundog.control.compute import console_tokens
from sundog.control.compute.books import get_server
from sundog.control.compute.console_tokens import ConsoleGrant
from sundog.control.compute.records import Caller, Server
from sundog.control.compute.requests import Requests, check_lock, check_state, host_down, not_ready
from sundog.control.compute.sagas.common import key_of
from sundog.control.compute.work import for_owners
from sundog.control.store import Reader
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import VmState
from sundog.errors import (
    BackendFailed,
    Conflict,
    HostDown,
    Invalid,
    NotFound,
    NotSupported,
    OutcomeUnknown,
    Unavailable,
)

_T = TypeVar("_T")

_PROTOCOLS: Final = {"serial": "serial", "novnc": "vnc", "spice-html5": "spice"}
"""Nova's word for how a kind of console speaks."""


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

    # ---------------------------------------------------------------- consoles to type at

    def grant(self, caller: Caller, server_id: str, protocol: str, kind: str) -> str:
        """A token that opens a console of a server once. ``kind`` is as in the driver's capabilities.

        It is good for a while, and as long as the server runs where it is. Only its hash is kept.
        Raises: NotFound; Invalid for a kind that there is not, or not by this ``protocol`` of Nova's; Conflict for a
        server that is not ready.
        """
        parts = self._parts
        _, server = self._placed(caller, server_id)
        if kind not in parts.driver.capabilities.consoles or _PROTOCOLS.get(kind) != protocol:
            raise Invalid(f"Unavailable console type {kind}.", kind=kind, protocol=protocol)
        with parts.books.writing() as tx:
            server = get_server(tx, caller.viewer, server_id)
            if not console_tokens.is_live(server):
                raise not_ready(server)
            return console_tokens.issue(tx, server, kind, parts.books.now(), life=parts.settings.console_life)

    def show_grant(self, token: str) -> ConsoleGrant:
        """What a token is good for, which does not use it up.

        Raises: NotFound for one that is not good, or not any more.
        """
        with self._parts.books.reading() as tx:
            return _granted(tx, token, self._parts.books.now())

    async def open(self, token: str) -> ConsoleStream:
        """The console that a token is good for. The token is used up, even if the console cannot be opened.

        Raises: NotFound for a token that is not good, or not any more; Conflict if the host does not answer, or not for
        this server.
        """
        parts = self._parts
        self.show_grant(token)  # what is no token at all keeps nobody from writing
        with parts.books.writing() as tx:
            grant = _granted(tx, token, parts.books.now())
            console_tokens.use_up(tx, token)
            server = get_server(tx, EVERYTHING, grant.server_id)
        work = parts.driver.open_console(grant.host, grant.key, grant.type, deadline=parts.settings.quick)
        return await _ready(server, work)

    def forget_expired(self) -> None:
        """Forget the tokens whose time is over; for the start."""
        with self._parts.books.writing() as tx:
            console_tokens.forget_expired(tx, self._parts.books.now())

    # ---------------------------------------------------------------- inside the guest

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
                f"Failed to set admin password on {server_id} because {for_owners(failure)}", server=server_id
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


def _granted(reader: Reader, token: str, now: datetime) -> ConsoleGrant:
    """Raises: NotFound for a token that is not good."""
    grant = console_tokens.look_up(reader, token, now)
    if grant is None:
        raise NotFound("Token not found")
    return grant


async def _ready(server: Server, work: Awaitable[_T]) -> _T:
    """What a host answers. Raises: Conflict if it does not, or not for this server; NotSupported in our own words."""
    try:
        return await work
    except NotSupported as error:
        raise _not_supported() from error
    except (BackendFailed, OutcomeUnknown) as error:
        raise not_ready(server) from error


def _state_forbids(what: str, server: Server) -> Conflict:
    message = f"Cannot '{what}' instance {server.id} while it is in vm_state {server.vm_state}"
    return Conflict(message, server=server.id)


def _not_supported() -> NotSupported:
    return NotSupported("Unable to perform the requested operation: the hosts of this cloud cannot do it.", status=501)
