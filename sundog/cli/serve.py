"""``sundog serve``: a cloud behind OpenStack's API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sundog.errors import InputError

_LISTEN = "127.0.0.1:5000"


def serve(
    *,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = _LISTEN,
    state: Annotated[
        str, typer.Option(metavar="DIR", help="The folder that holds all the cloud knows, or :memory: for none.")
    ] = "~/.local/state/sundog",
    speed: Annotated[float, typer.Option(help="Simulated seconds a real second.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="For ids that can be repeated; drawn if left out.")] = None,
    policy_file: Annotated[Path | None, typer.Option(help="Overrides of policy rules, YAML.")] = None,
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
        speed=speed,
        seed=seed,
        admin_password=admin_password,
        policy=read_policy_file(policy_file) if policy_file is not None else {},
    )
    app.check(settings, insecure=insecure)
    app.serve_cloud(settings, lambda line: print(line, file=sys.stdout, flush=True))


def _address(text: str) -> tuple[str, int]:
    """``HOST:PORT``; a host of IPv6 stands in brackets."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InputError(f"--listen: {text!r} is not HOST:PORT, as in {_LISTEN}")
    return host, int(port)
