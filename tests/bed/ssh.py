"""SSH into hosts of a test bed, by a server of Debian's package that is unpacked and never installed."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.bed.image import CACHE, guest_image, run
from tests.bed.layout import HostPlace
from tests.bed.needs import BedError
from tests.bed.processes import first_process

PACKAGES = ("dropbear-bin", "libtomcrypt1", "libtommath1")
SECONDS = 30.0


def unpack_ssh(folder: Path) -> Path:
    """Lay out the server and its libraries below ``folder``, from the packages that the guest is made of."""
    guest_image()
    for name in PACKAGES:
        (package,) = (CACHE / "packages").glob(f"{name}_*.deb")
        run("dpkg-deb", "-x", package, folder)
    return folder


def homely(home: Path) -> str:
    """Shell for a mount namespace of its own in which ``home`` is where root is at home; SSH asks nothing else."""
    passwd = home / "passwd"
    passwd.write_text(f"root:x:0:0:root:{home}:/bin/sh\n")
    return f"mount --bind {passwd} /etc/passwd"


def start_ssh(place: HostPlace, unpacked: Path, public_key: Path) -> str:
    """Let root log in to a host with a key until it goes down: its own public key, always the same, for known hosts."""
    home = unpacked / place.name
    (home / ".ssh").mkdir(parents=True, mode=0o700, exist_ok=True)
    (home / ".ssh/authorized_keys").write_text(public_key.read_text())
    libraries = f"LD_LIBRARY_PATH={next(unpacked.rglob('libtomcrypt.so.1')).parent}"
    server, keys = next(unpacked.rglob("sbin/dropbear")), next(unpacked.rglob("dropbearkey"))
    key = home / "host-key"
    told = run("env", libraries, keys, *(["-y"] if key.exists() else ["-t", "ed25519"]), "-f", key)
    script = f"{homely(home)} && exec env {libraries} {server} -E -s -r {key} -p 22"
    inside = ["nsenter", "-t", str(first_process(place.folder)), "-m", "-n", "-u", "-i", "-p", "-r", "--"]
    with (home / "log").open("w") as log:
        subprocess.run([*inside, "unshare", "-m", "sh", "-c", script], stdout=log, stderr=log, check=True)
    due = time.monotonic() + SECONDS
    while time.monotonic() < due:
        with suppress(OSError), socket.create_connection((place.address, 22), timeout=1):
            return next(" ".join(line.split()[:2]) for line in told.splitlines() if line.startswith("ssh-"))
        time.sleep(0.1)
    raise BedError(f"no SSH on {place.name}: {(home / 'log').read_text()}")
