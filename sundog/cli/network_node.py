"""``sundog network-node``: how the machine that serves a cloud is joined to hosts and to the outside."""

from __future__ import annotations

from typing import Annotated

import typer

from sundog.cli.state import DEFAULT_STATE, api_packages, folder_of
from sundog.errors import InputError


def network_node(
    *,
    wire: Annotated[
        str | None, typer.Option(metavar="CARD", help="Its card to the hosts; found by itself if it is empty.")
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=BRIDGE", help="The bridge that a physical network is on, such as public=br0."),
    ] = None,
    state: Annotated[
        str, typer.Option(metavar="DIR", help="The folder that holds all the cloud knows.")
    ] = DEFAULT_STATE,
) -> None:
    """Say how this machine is joined to hosts and the outside as the network node of real ones, and show it."""
    with api_packages():
        from sundog import app
        from sundog.app.hosts import change_node, read_node
        from sundog.backends.libvirt.network_node import why_no_node
    folder = folder_of(state)
    if wire is None and external is None:
        node = read_node(folder)
    else:
        app.check_takes_real_hosts(state)
        node = change_node(folder, wire=wire, external=None if external is None else dict(map(_pair, external)))
        if app.is_served(state):
            print("It is so when the cloud is served next; stop it and start it again.")
    print(f"wire: {node.wire or 'found by itself'}")
    for name, bridge in node.external.items():
        print(f"external: {name} is on {bridge}")
    if reason := why_no_node():
        print(f"Networks would have no DHCP, metadata or routers as it is: {reason}")


def _pair(text: str) -> tuple[str, str]:
    name, _, bridge = text.partition("=")
    if not name or not bridge:
        raise InputError(f"--external: {text!r} is not NAME=BRIDGE, as in public=br0")
    return name, bridge
