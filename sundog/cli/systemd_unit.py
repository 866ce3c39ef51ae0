"""``sundog systemd-unit``: the cloud as a service of the machine."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from sundog.cli.state import DEFAULT_STATE
from sundog.errors import InputError

_UNIT: Final = """\
# Written by sundog systemd-unit. To have the cloud from now on, also after a reboot:
#   sundog systemd-unit | sudo tee /etc/systemd/system/sundog.service
#   sudo systemctl daemon-reload && sudo systemctl enable --now sundog
[Unit]
Description=Sundog, a cloud on the hosts of {state}
Wants=network-online.target
After=network-online.target libvirtd.service virtqemud.service

[Service]
ExecStart={command} serve --backend libvirt --state {state} --listen {listen}{more}
User={user}
# Compiled code is kept with the cloud, also where nothing else can be written.
Environment=NUMBA_CACHE_DIR={state}/compiled
# Guests are processes of libvirtd: they run on while the cloud is down, and it goes on where it was.
Restart=always
RestartSec=2
TimeoutStopSec=90
UMask=0077
NoNewPrivileges=yes
{apart}ProtectControlGroups=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""

_APART: Final = """\
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={state}
ProtectKernelTunables=yes
ProtectKernelModules=yes
"""

_NODE: Final = """\
# Root's is the network node too. Its namespaces and its DHCP serve guests while the cloud is down: so they are the
# machine's, not those of a service with a file system of its own, and outlive it.
KillMode=process
"""


def systemd_unit(
    *,
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="The folder that holds all the cloud knows; it must be there.")
    ] = Path(DEFAULT_STATE),
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:5000",
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    user: Annotated[str, typer.Option(help="Whose process it is; you, if left out.")] = "",
) -> None:
    """Print a unit that serves the cloud of real hosts as a service of systemd."""
    if (certificate is None) != (key is None):
        raise InputError("TLS needs both a certificate and a key")
    folder, owner = _word(state.expanduser()), user or getpass.getuser()
    files = {"--certificate": certificate, "--key": key}
    more = "".join(f" {name} {_word(path)}" for name, path in files.items() if path is not None)
    print(
        _UNIT.format(
            command=f"{_word(Path(sys.executable))} -m sundog",
            state=folder,
            listen=listen,
            more=more,
            user=owner,
            apart=_NODE if owner == "root" else _APART.format(state=folder),
        ),
        end="",
    )


def _word(path: Path) -> str:
    """A path as one word of a unit. Raises: InputError for one that systemd would read otherwise."""
    text = str(path.absolute())
    if not text.isprintable() or any(each in text for each in " \"'\\%$;"):
        raise InputError(f"{text} cannot stand in a unit; choose a path without blanks and quotes", path=path)
    return text
