"""Looking into servers: consoles and diagnostics; the password of a guest's administrator."""

from __future__ import annotations

import re
from typing import Any, Final

from sundog.api.compute.common import caller, server_of, stepped
from sundog.api.compute.policy import RULES
from sundog.api.compute.routes.server_actions import action, plain
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.compute.schemas.server_details import CONSOLE, TOKENS, CreateConsole, nothing
from sundog.api.compute.views import server_details as views
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.errors import Invalid

_SERVER: Final = f"{BASE}/servers/{{server_id}}"
_CONSOLES: Final = "os_compute_api:os-remote-consoles"
_TOKENS: Final = "os_compute_api:os-console-auth-tokens"
_DIAGNOSTICS: Final = "os_compute_api:os-server-diagnostics"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f]")


# ---------------------------------------------------------------- screens and serial lines


def _console(ctx: Context, server_id: str, protocol: str, kind: str) -> dict[str, str]:
    """Where a console is, for whoever has the address."""
    server_of(ctx, server_id, _CONSOLES)
    token = ctx.cloud.compute.consoles.grant(caller(ctx), server_id, protocol, kind)
    scheme, _, rest = ctx.link("/console").partition("://")
    return {"type": kind, "url": f"{'wss' if scheme == 'https' else 'ws'}://{rest}?token={token}"}


@stepped("POST", f"{_SERVER}/remote-consoles", RULES[_CONSOLES], bodies=CONSOLE, own=False)
async def create_remote_console(ctx: Context, server_id: str, body: CreateConsole) -> dict[str, Any]:
    """Ask for a console of a server."""
    asked = body.remote_console
    return {"remote_console": {"protocol": asked.protocol, **_console(ctx, server_id, asked.protocol, asked.type)}}


@action("os-getVNCConsole", _CONSOLES, status=200, until="2.5")
async def show_vnc_console(ctx: Context, server_id: str, body: schemas.GetVncConsole) -> dict[str, Any]:
    """Ask where a server's screen is, by VNC."""
    return {"console": _console(ctx, server_id, "vnc", body.console.type)}


@action("os-getSPICEConsole", _CONSOLES, status=200, until="2.5")
async def show_spice_console(ctx: Context, server_id: str, body: schemas.GetSpiceConsole) -> dict[str, Any]:
    """Ask where a server's screen is, by SPICE."""
    return {"console": _console(ctx, server_id, "spice", body.console.type)}


@action("os-getSerialConsole", _CONSOLES, status=200, until="2.5")
async def show_serial_console(ctx: Context, server_id: str, body: schemas.GetSerialConsole) -> dict[str, Any]:
    """Ask where a server's serial console is."""
    return {"console": _console(ctx, server_id, "serial", body.console.type)}


@stepped("GET", f"{BASE}/os-console-auth-tokens/{{console_token}}", RULES[_TOKENS], queries=TOKENS)
async def show_console_token(ctx: Context, console_token: str) -> dict[str, Any]:
    """Show what a token of a console is good for."""
    if not ctx.at_least("2.31"):
        raise Invalid("Until 2.30 only tokens of rdp-html5 were shown, and there is no such console any more.")
    grant = ctx.cloud.compute.consoles.show_grant(console_token)
    return {"console": views.console(grant, ctx.cloud.compute.hosts.by_uuid(grant.host))}


# ---------------------------------------------------------------- what a server says, and how it is


@action("os-getConsoleOutput", "os_compute_api:os-console-output", status=200)
async def show_console_output(ctx: Context, server_id: str, body: schemas.GetConsoleOutput) -> dict[str, str]:
    """Show the last lines that a server wrote to its console."""
    server_of(ctx, server_id, "os_compute_api:os-console-output")
    length = body.wanted.length
    lines = None if length is None or length < 0 else length
    output = await ctx.cloud.compute.consoles.console_output(caller(ctx), server_id, lines=lines)
    return {"output": _UNPRINTABLE.sub("", output)}


@stepped("GET", f"{_SERVER}/diagnostics", RULES[_DIAGNOSTICS], queries=nothing(), own=False)
async def show_diagnostics(ctx: Context, server_id: str) -> dict[str, Any]:
    """Show what the host says of a server."""
    server = server_of(ctx, server_id, _DIAGNOSTICS)
    told = await ctx.cloud.compute.consoles.diagnostics(caller(ctx), server_id)
    if not ctx.at_least("2.48"):
        return views.old_diagnostics(told)
    return views.diagnostics(told, server, ctx.cloud.compute.hosts.by_uuid(server.host))


@action("changePassword", "os_compute_api:os-admin-password")
async def change_password(ctx: Context, server_id: str, body: schemas.ChangePassword) -> None:
    """Change the administrator's password in a server."""
    server_of(ctx, server_id, "os_compute_api:os-admin-password")
    await ctx.cloud.compute.consoles.change_password(caller(ctx), server_id, body.change.adminPass)


plain(
    "trigger_crash_dump",
    "os_compute_api:servers:trigger_crash_dump",
    "consoles.trigger_crash_dump",
    "Make a server crash, and dump its memory",
    since="2.17",
)
