"""``sundog serve``: a cloud behind OpenStack's API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sundog.cli.state import DEFAULT_STATE
from sundog.errors import InputError

if TYPE_CHECKING:
    from sundog.backends.simulated import FleetPlan, Timings

_LISTEN = "127.0.0.1:5000"


def serve(
    *,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="What hosts are: simulated, or libvirt for real ones.")
    ] = None,
    hosts: Annotated[int | None, typer.Option(help="So many simulated hosts alike; 10 if left out.")] = None,
    scenario: Annotated[
        str | None, typer.Option(metavar="SCENARIO", help="The fleet of a scenario instead, a file or a name.")
    ] = None,
    timings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="How long simulated hosts take: a file of sundog calibrate."),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = _LISTEN,
    state: Annotated[
        str, typer.Option(metavar="DIR", help="The folder that holds all the cloud knows, or :memory: for none.")
    ] = DEFAULT_STATE,
    speed: Annotated[float, typer.Option(help="Simulated seconds a real second.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="For ids that can be repeated; drawn if left out.")] = None,
    policy: Annotated[
        str, typer.Option(help="What decides where servers go: a built-in policy, or module:Class.")
    ] = "nova",
    policy_file: Annotated[Path | None, typer.Option(help="Overrides of the rules who may do what, YAML.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Listen beyond loopback without TLS.")] = False,
    admin_password: Annotated[
        str | None,
        typer.Option(envvar="SUNDOG_ADMIN_PASSWORD", help="The administrator's password; made up if left out."),
    ] = None,
) -> None:
    """Serve a cloud behind OpenStack's API until SIGTERM or Ctrl-C."""
    try:
        from sundog import app
        from sundog.api.kit.policy import read_policy_file
        from sundog.api.kit.server import Listen
    except ModuleNotFoundError as exc:
        raise InputError(f"the API needs more packages ({exc.name} is missing): pip install 'sundog[api]'") from exc
    host, port = _address(listen)
    settings = app.Settings(
        listen=Listen(host, port, certificate, key),
        state=state,
        backend=backend,
        speed=speed,
        seed=seed,
        fleet=_fleet(hosts, scenario),
        timings=_timings(timings),
        admin_password=admin_password,
        placement_policy=policy,
        policy=read_policy_file(policy_file) if policy_file is not None else {},
    )
    app.check(settings, insecure=insecure)
    app.serve_cloud(settings, lambda line: print(line, file=sys.stdout, flush=True))


def _fleet(hosts: int | None, scenario: str | None) -> FleetPlan | None:
    """The hosts that were asked for, if any were."""
    from sundog.backends.simulated import FleetPlan, identical_hosts

    if hosts is not None and scenario is not None:
        raise InputError("--hosts and --scenario both say which hosts there are; give one of them")
    if hosts is not None:
        return identical_hosts(hosts)
    if scenario is None:
        return None
    from sundog.scenarios.load import load_scenario
    from sundog.scenarios.run import fleet_of

    loaded = load_scenario(scenario)
    return FleetPlan(groups=tuple(fleet_of(loaded)), overcommit=loaded.scenario.overcommit)


def _timings(path: Path | None) -> Timings | None:
    from sundog.backends.simulated import read_timings

    return None if path is None else read_timings(path)


def _address(text: str) -> tuple[str, int]:
    """``HOST:PORT``; a host of IPv6 stands in brackets."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InputError(f"--listen: {text!r} is not HOST:PORT, as in {_LISTEN}")
    return host, int(port)
