"""Actions on servers: one path, and the only key of the body says what to do."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from sundog.api.compute.common import Steps, caller, new_password, server_of, stepped, target
from sundog.api.compute.policy import RULES
from sundog.api.compute.schemas import server_actions as schemas
from sundog.api.compute.service import SERVICE
from sundog.api.compute.views.common import BASE
from sundog.api.kit.context import Context
from sundog.api.kit.service import Handler
from sundog.errors import NotFound

PATH: Final = f"{BASE}/servers/{{server_id}}/action"


def action(
    key: str,
    rule: str,
    *,
    status: int = 202,
    since: str | None = None,
    until: str | None = None,
    bodies: Steps | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the function below as the handler of an action, whose body differs by version if ``bodies`` says so."""
    if bodies is not None:
        return stepped(
            "POST", PATH, RULES[rule], bodies=bodies, until=until, status=status, action=key, own=False
        )  # fmt: skip
    return SERVICE.operation(
        "POST", PATH, RULES[rule], status=status, since=since, until=until, action=key, own=False
    )  # fmt: skip


# ---------------------------------------------------------------- what needs no more than its name

_PLAIN: Final = (
    ("os-start", "os_compute_api:servers:start", "power.start", "Start a server"),
    ("os-stop", "os_compute_api:servers:stop", "power.stop", "Stop a server"),
    ("pause", "os_compute_api:os-pause-server:pause", "power.pause", "Pause a server"),
    ("unpause", "os_compute_api:os-pause-server:unpause", "power.unpause", "Let a paused server go on"),
    ("suspend", "os_compute_api:os-suspend-server:suspend", "power.suspend", "Suspend a server to disk"),
    ("resume", "os_compute_api:os-suspend-server:resume", "power.resume", "Resume a suspended server"),
    ("unrescue", "os_compute_api:os-unrescue", "power.unrescue", "Boot a rescued server from its own disk again"),
    ("restore", "os_compute_api:os-deferred-delete:restore", "servers.restore", "Bring a softly deleted server back"),
    ("forceDelete", "os_compute_api:os-deferred-delete:force", "servers.force_delete", "Delete a server at once"),
)


def plain(key: str, rule: str, use: str, doc: str, **options: Any) -> None:
    """An action that says nothing but its name; ``use`` is what the control plane calls it."""
    act_of = attrgetter(use)

    async def act(ctx: Context, server_id: str) -> None:
        server_of(ctx, server_id, rule)
        act_of(ctx.cloud.compute)(caller(ctx), server_id)

    act.__name__, act.__doc__ = f"{use.rpartition('.')[2]}_server", f"{doc}."
    action(key, rule, **options)(act)


for _each in _PLAIN:
    plain(*_each)


# ---------------------------------------------------------------- power


@action("reboot", "os_compute_api:servers:reboot")
async def reboot_server(ctx: Context, server_id: str, body: schemas.Reboot) -> None:
    """Reboot a server, softly or hard."""
    server_of(ctx, server_id, "os_compute_api:servers:reboot")
    ctx.cloud.compute.power.reboot(caller(ctx), server_id, body.reboot.type.upper())


@action("rescue", "os_compute_api:os-rescue", status=200)
async def rescue_server(ctx: Context, server_id: str, body: schemas.Rescue) -> dict[str, Any]:
    """Boot a server from another image, with its own disk beside it."""
    server_of(ctx, server_id, "os_compute_api:os-rescue")
    wanted = body.rescue or schemas.RescueSystem()
    ctx.cloud.compute.power.rescue(caller(ctx), server_id, image_id=wanted.rescue_image_ref)
    return {"adminPass": wanted.adminPass or new_password()}


# ---------------------------------------------------------------- locks and states


@action("lock", "os_compute_api:os-lock-server:lock", bodies=schemas.LOCK)
async def lock_server(ctx: Context, server_id: str, body: Any) -> None:
    """Let nothing be done to a server until it is unlocked."""
    server_of(ctx, server_id, "os_compute_api:os-lock-server:lock")
    reason = body.lock.locked_reason if ctx.at_least("2.73") and body.lock is not None else None
    ctx.cloud.compute.servers.lock(caller(ctx), server_id, reason)


@action("unlock", "os_compute_api:os-lock-server:unlock")
async def unlock_server(ctx: Context, server_id: str) -> None:
    """Unlock a server. Who did not lock it must be allowed to do so."""
    server = server_of(ctx, server_id, "os_compute_api:os-lock-server:unlock")
    expected = "owner" if server.project_id == ctx.who.project_id else "admin"
    if server.locked_by not in (None, expected):
        ctx.require(RULES["os_compute_api:os-lock-server:unlock:unlock_override"], target(server))
    ctx.cloud.compute.servers.unlock(caller(ctx), server_id)


@action("os-resetState", "os_compute_api:os-admin-actions:reset_state")
async def reset_server_state(ctx: Context, server_id: str, body: schemas.ResetState) -> None:
    """Say which state a server is in, whatever it is."""
    server_of(ctx, server_id, "os_compute_api:os-admin-actions:reset_state")
    ctx.cloud.compute.servers.reset_state(caller(ctx), server_id, body.wanted.state)


@action("injectNetworkInfo", "os_compute_api:os-admin-actions:inject_network_info")
async def inject_network_info(ctx: Context, server_id: str) -> None:
    """Do nothing: no hypervisor needs it any more, and Nova still takes it."""
    server_of(ctx, server_id, "os_compute_api:os-admin-actions:inject_network_info")


@action("resetNetwork", "os_compute_api:os-admin-actions:inject_network_info")
async def reset_network(ctx: Context, server_id: str) -> None:
    """Say that this is gone."""
    server_of(ctx, server_id, "os_compute_api:os-admin-actions:inject_network_info")
    raise NotFound("This resource is no longer available. No forwarding address is given.", status=410)
