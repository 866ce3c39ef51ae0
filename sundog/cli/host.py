"""``sundog host``: the real hosts of a cloud, for its owner."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from sundog.cli.administrator import Administrator
from sundog.cli.state import DEFAULT_STATE, StateOption, api_packages, folder_of, option_of
from sundog.errors import InputError
from sundog.runtime import aio, clock
from sundog.units import Seconds

if TYPE_CHECKING:
    from types import ModuleType

NOT_USABLE: Final = 3
"""Exit code where a host lacks something."""
LEFT: Final = 3
"""Exit code where servers are left on a host that was to be empty."""

host_app = typer.Typer(help="The real hosts of a cloud.", no_args_is_help=True, rich_markup_mode=None)

HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="The host's name, or its UUID.")]
FenceOption = Annotated[
    str, typer.Option("--fence", metavar="COMMAND", help="What switches it off: it ends with 0 when that is done.")
]


@host_app.command("add")
def add(
    uri: Annotated[str, typer.Argument(help="How it is reached: qemu+ssh://root@HOST/system, qemu:///system.")],
    name: Annotated[str, typer.Option("--name", help="What it is called; its own name if left out.")] = "",
    virt_type: Annotated[
        str | None, typer.Option("--virt-type", metavar="TYPE", help="kvm, or qemu to have guests emulated.")
    ] = None,
    address: Annotated[
        str, typer.Option("--address", help="Where the other hosts reach it; that of the URI if left out.")
    ] = "",
    pool: Annotated[str, typer.Option("--pool", metavar="DIR", help="Where the disks of its servers lie.")] = "",
    wire: Annotated[
        str, typer.Option("--wire", metavar="CARD", help="Its card to other hosts; that with the address if left out.")
    ] = "",
    shell: Annotated[
        str,
        typer.Option("--shell", metavar="COMMAND", help="What runs commands there, if SSH does not."),
    ] = "",
    fence: FenceOption = "",
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Look at a machine, say what it lacks, and let it be a host if that is nothing; exit 3 if it lacks something."""
    app = _app()
    from sundog.app.hosts import DEFAULT_POOL, add_host

    if virt_type not in (None, "kvm", "qemu"):
        raise InputError(f"--virt-type: there is no {virt_type!r}; use kvm or qemu")
    app.check_takes_real_hosts(state)
    check = add_host(
        folder_of(state),
        uri,
        name=name,
        virt_type=virt_type,  # type: ignore[arg-type] # it was looked at
        address=address,
        pool=pool or DEFAULT_POOL,
        wire=wire,
        shell=words_of("--shell", shell),
        fence=words_of("--fence", fence),
        cloud=app.cloud_id(state),
    )
    for finding in check.findings:
        print(finding)
    if not check.usable:
        print("It was not added: see to what is missing, and try again.")
        raise typer.Exit(NOT_USABLE)
    print(f"Host {check.spec.name} was added.")
    if app.is_served(state):
        print("The cloud that is being served takes it in by itself.")
    else:
        print(f"To serve the cloud: sundog serve --backend libvirt{option_of(state)}")


@host_app.command("list")
def list_(
    state: StateOption = DEFAULT_STATE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the hosts: how they are reached and, while the cloud is being served, how they are."""
    app = _app()
    from sundog.app.hosts import read_hosts

    hosts = read_hosts(folder_of(state))
    told: dict[str, dict[str, Any]] = {}
    network: dict[str, list[str]] | None = None
    if app.is_served(state):
        cloud = Administrator(folder_of(state))
        driven = {each["name"]: each for each in cloud.ask("GET", "sundog", "/fleet/hosts")["hosts"]}
        services = cloud.ask("GET", "compute", "/os-services?binary=nova-compute")["services"]
        told = driven | {each["host"]: driven.get(each["host"], {}) | each for each in services}
        network = cloud.ask("GET", "sundog", "/wires")["wires"]
    rows = [
        {
            "name": host.name,
            "uri": host.uri,
            "uuid": host.uuid,
            "virt_type": host.virt_type,
            "state": told.get(host.name, {}).get("state", "unknown"),
            "status": told.get(host.name, {}).get("status", "unknown"),
            "reason": told.get(host.name, {}).get("disabled_reason"),
            "state_reason": told.get(host.name, {}).get("state_reason"),
        }
        for host in hosts
    ]
    if as_json:
        document = {"cloud": app.cloud_id(state) or None, "hosts": rows}
        print(json.dumps(document | ({} if network is None else {"network": network}), indent=2))
        return
    table = Table("name", "reached by", "runs", "state", "new servers", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(row["name"], row["uri"], row["virt_type"], row["state"], row["status"])
    Console(highlight=False, markup=False).print(table)
    for row in rows:
        if row["state_reason"]:
            print(f"{row['name']} is {row['state']}: {row['state_reason']}")
    for heading, lines in (
        ("Of networks this is left out:", (network or {}).get("left_out", ())),
        ("Of networks this failed, and is tried again:", (network or {}).get("failed", ())),
    ):
        if lines:
            print("\n".join((heading, *(f"  {line}" for line in lines))))


@host_app.command("disable")
def disable(
    host: HostArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for those who wonder.")] = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Give a host no new servers; what runs there runs on."""
    name, cloud = _found(host, state)
    _disable(cloud, name, reason)
    print(f"Host {name} gets no new servers.")


@host_app.command("enable")
def enable(host: HostArgument, state: StateOption = DEFAULT_STATE) -> None:
    """Give a host servers again."""
    name, cloud = _found(host, state)
    cloud.ask("POST", "sundog", "/fleet/undrain", {"undrain": {"scope": {"host": name}}})
    print(f"Host {name} gets servers again.")


@host_app.command("drain")
def drain(
    host: HostArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for those who wonder.")] = None,
    patience: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", min=1, help="How long one server may take.")
    ] = 3600.0,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Give a host no new servers and move away those that it has, one after the other; exit 3 if some are left."""
    name, cloud = _found(host, state)
    _disable(cloud, name, reason)
    print(f"Host {name} gets no new servers.")
    left = asyncio.run(Drain(cloud.ask, name, patience, print).run())
    if left:
        print(f"Left on host {name}: {', '.join(left)}")
        raise typer.Exit(LEFT)
    print(f"Host {name} is empty.")


@host_app.command("change")
def change(host: HostArgument, fence: FenceOption, state: StateOption = DEFAULT_STATE) -> None:
    """Let a host be switched off by another command; '' for none. A cloud that is being served knows at once."""
    _app()
    from sundog.app.hosts import change_host

    known = change_host(folder_of(state), host, fence=words_of("--fence", fence))
    told = f"is switched off by {known.fence[0]}" if known.fence else "is switched off by its owner alone"
    print(f"Host {known.name} {told}.")


def words_of(option: str, text: str) -> list[str]:
    """The words of a command, as a shell has them. Raises: InputError for a quote that does not end."""
    try:
        return shlex.split(text)
    except ValueError as exc:
        raise InputError(f"{option}: {exc}; quote the command as a shell wants it") from exc


@host_app.command("remove")
def remove(host: HostArgument, state: StateOption = DEFAULT_STATE) -> None:
    """Take a host that has no servers out of the cloud, so that another cloud may have it."""
    app = _app()
    from sundog.app.hosts import find_host, read_hosts, release

    known = find_host(read_hosts(folder_of(state)), host)
    if app.is_served(state):
        name, cloud = _found(host, state)
        asyncio.run(_remove(name, cloud, folder_of(state)))
    else:
        app.forget_host(state, host)
    print(f"Host {host} was removed.")
    if left := release(known, app.cloud_id(state)):
        print(f"It still says that it is this cloud's: {left}")


async def _remove(name: str, cloud: Administrator, folder: Path) -> None:
    """Remove a host from a cloud that is being served, which must let it go first."""
    from sundog.app.hosts import changing_hosts, find_host

    services = cloud.ask("GET", "compute", f"/os-services?binary=nova-compute&host={name}")["services"]
    servers = [each["name"] for each in servers_on(cloud.ask, name)]
    if servers:
        raise InputError(f"host {name} has servers ({', '.join(servers)}); move them with sundog host drain {name}")
    _disable(cloud, name, "it is being removed")
    with changing_hosts(folder) as hosts:
        known = find_host(hosts, name)
        hosts.remove(known)
    due = clock.monotonic() + 30.0
    while clock.monotonic() < due and (_is_driven(cloud, name) or _is_up(cloud, name)):
        await aio.sleep(0.5)
    for service in services:
        cloud.ask("DELETE", "compute", f"/os-services/{service['id']}")


def _is_driven(cloud: Administrator, name: str) -> bool:
    return name in [each["name"] for each in cloud.ask("GET", "sundog", "/fleet/hosts")["hosts"]]


def _is_up(cloud: Administrator, name: str) -> bool:
    services = cloud.ask("GET", "compute", f"/os-services?binary=nova-compute&host={name}")["services"]
    return any(each["state"] == "up" for each in services)


def _disable(cloud: Administrator, name: str, reason: str | None) -> None:
    asked: dict[str, Any] = {"scope": {"host": name}}
    if reason:
        asked["reason"] = reason
    cloud.ask("POST", "sundog", "/fleet/drain", {"drain": asked})


def _found(host: str, state: str) -> tuple[str, Administrator]:
    """The name of a host, and the administrator of the cloud, which must be served."""
    app = _app()
    from sundog.app.hosts import find_host, read_hosts

    name = find_host(read_hosts(folder_of(state)), host).name
    if not app.is_served(state):
        raise InputError(f"the cloud is not being served; start it: sundog serve --backend libvirt{option_of(state)}")
    return name, Administrator(folder_of(state))


def _app() -> ModuleType:
    with api_packages():
        from sundog import app
    return app


# ---------------------------------------------------------------- emptying a host

Ask = Callable[..., Any]
"""``Administrator.ask``."""

_LIVE: Final = ("ACTIVE", "PAUSED")
_COLD: Final = ("SHUTOFF",)
_LOOK: Final[Seconds] = 1.0


def servers_on(ask: Ask, host: str) -> list[dict[str, Any]]:
    """The servers of everybody on a host, in full."""
    found: Iterable[dict[str, Any]] = ask("GET", "compute", f"/servers/detail?all_tenants=1&host={host}")["servers"]
    return sorted(found, key=lambda each: str(each["created"]))


class Drain:
    """Moves the servers of a host away, one after the other: live if they run, cold if they are stopped.

    ``patience`` is how long one may take, in seconds; ``say`` is told what comes of each.
    """

    def __init__(self, ask: Ask, host: str, patience: Seconds, say: Callable[[str], None]) -> None:
        self._ask, self._host, self._patience, self._say = ask, host, patience, say

    async def run(self) -> list[str]:
        """The names of servers that are left."""
        for server in servers_on(self._ask, self._host):
            self._say(f"{server['name']} ({server['id']}): {await self._move(server)}")
        return [str(each["name"]) for each in servers_on(self._ask, self._host)]

    async def _move(self, server: dict[str, Any]) -> str:
        """Move one; what came of it."""
        try:
            server = await self._settled(server["id"])
            if server["status"] in _LIVE:
                self._act(server, {"os-migrateLive": {"host": None, "block_migration": "auto"}})
            elif server["status"] in _COLD:
                self._act(server, {"migrate": None})
            else:
                return f"it is {server['status']} and cannot be moved; start, stop or delete it"
            server = await self._settled(server["id"])
            if server["status"] == "VERIFY_RESIZE":
                self._act(server, {"confirmResize": None})
                server = await self._settled(server["id"])
        except InputError as exc:
            return exc.message
        now = server["OS-EXT-SRV-ATTR:host"]
        if now == self._host:
            return "it is still here; its migrations and instance actions say why"
        return f"it is on host {now}"

    def _act(self, server: dict[str, Any], action: dict[str, Any]) -> None:
        self._ask("POST", "compute", f"/servers/{server['id']}/action", action)

    async def _settled(self, server_id: str) -> dict[str, Any]:
        """The server when nothing is under way on it. Raises: InputError if that takes too long."""
        due = clock.now() + self._patience
        while True:
            server: dict[str, Any] = self._ask("GET", "compute", f"/servers/{server_id}")["server"]
            if server["OS-EXT-STS:task_state"] is None and server["status"] not in ("MIGRATING", "RESIZE"):
                return server
            if clock.now() > due:
                raise InputError(f"it is still {server['status']} after {self._patience:g} s")
            await aio.sleep(_LOOK)
