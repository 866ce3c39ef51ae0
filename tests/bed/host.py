"""The first process of a host: python3 host.py FOLDER NAME ADDRESS GATEWAY, in namespaces of its own.

Puts the host's own folders where its programs look for them, waits for its cards, and keeps libvirtd and virtlogd
running, as systemd does. When it is killed everything in its PID namespace is: a power cut.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # run by its path: what it needs lies beside it
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bed.layout import PRIVATE

CARDS = ("eth0", "eth1")
DAEMONS = (("virtlogd",), ("libvirtd", "--listen"))
RESTART_SECONDS = 0.2
FILES = {"hosts": "/etc/hosts", "hostname": "/etc/hostname", "machine-id": "/etc/machine-id"}


def main(folder: Path, name: str, address: str, gateway: str) -> None:
    socket.sethostname(name)
    private(folder)
    connect(address, gateway)
    supervise()


def private(folder: Path) -> None:
    """Lay the host's own folders and files over the machine's."""
    for path, own in PRIVATE.items():
        run("mount", "--bind", str(folder / own), f"/{path}")
    for own, path in FILES.items():
        if Path(path).exists():
            run("mount", "--bind", str(folder / own), path)


def connect(address: str, gateway: str) -> None:
    """Wait for the cards, which the bed puts in, and bring them up."""
    while not {*CARDS} <= {name for _, name in socket.if_nameindex()}:
        time.sleep(0.02)
    # The machine's /sys would show the machine's cards.
    run("mount", "-t", "sysfs", "sys", "/sys")
    run("ip", "address", "add", f"{address}/24", "dev", CARDS[0])
    for card in ("lo", *CARDS):
        run("ip", "link", "set", card, "up")
    run("ip", "route", "add", "default", "via", gateway)


def supervise() -> None:
    """Start the daemons, start again whichever ends, and wait for orphans: that is the first process's part."""
    running = {start(command): command for command in DAEMONS}
    while True:
        ended, _ = os.wait()
        if ended in running:
            command = running.pop(ended)
            time.sleep(RESTART_SECONDS)
            running[start(command)] = command


def start(command: tuple[str, ...]) -> int:
    print("start", *command, flush=True)
    return os.posix_spawnp(command[0], command, os.environ, setsid=True)


def run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
