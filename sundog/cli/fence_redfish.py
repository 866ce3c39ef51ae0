"""``sundog fence-redfish``: a machine that is switched off through its BMC."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from sundog.errors import InputError


def fence_redfish(
    address: Annotated[str, typer.Argument(help="Where its BMC is: https://HOST.")],
    *,
    username: Annotated[str, typer.Option(help="Who may switch it off.")],
    password_file: Annotated[Path, typer.Option(metavar="FILE", help="The file with the password, and nothing else.")],
    system: Annotated[
        str, typer.Option(metavar="ID", help="Which machine, where a BMC has several; an id, or its path.")
    ] = "",
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="Certificates that vouch for the BMC, PEM.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Believe any certificate, or none: for http.")] = False,
    uuid: Annotated[
        str,
        typer.Option(envvar="SUNDOG_HOST_UUID", help="Switch off no machine whose BMC says that it has another one."),
    ] = "",
    status: Annotated[bool, typer.Option("--status", help="Only say what the BMC says of it.")] = False,
) -> None:
    """Switch a machine off through its BMC, by Redfish, and return when it is: for --fence of a host."""
    from sundog.backends.libvirt.redfish import Bmc, machine_of, switch_off, told

    if ca is not None and insecure:
        raise InputError("--ca and --insecure exclude each other")
    try:
        password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{password_file} cannot be read: {error}", path=password_file) from error
    if ca is not None and not ca.is_file():
        raise InputError(f"{ca} is not there", path=ca)
    trust = str(ca) if ca is not None else not insecure
    with machine_of(Bmc(address, username, password, system, trust)) as machine:
        if not status:
            asyncio.run(switch_off(machine, uuid=uuid))
        print(told(machine))
