"""The page about two machines, run as it is written: over SSH, on hosts and a machine that serves of a test bed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.bed import Bed
from tests.bed.fixtures import free_bed
from tests.bed.layout import HostPlace
from tests.bed.needs import SEARCHED
from tests.bed.processes import first_process
from tests.bed.ssh import homely, start_ssh, unpack_ssh
from tests.conftest import REPOSITORY
from tests.real_hosts import guest_disk
from tests.system.test_tutorial import index_is_there

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

PAGE = REPOSITORY / "docs" / "howto" / "two-machines.md"
SERVES = 4
"""The host of the bed that serves the cloud; those before it are host-1 to host-3."""

# What the page takes for granted, and what stands for it here: the machine's packages are those of the bed, hosts have
# no KVM, and what is in the foreground of one terminal is in the background of this one.
SHIMS = {
    "sudo": 'exec "$@"',
    "apt": 'shift; for name; do apt-cache show "$name" >/dev/null || { echo "Debian has no $name"; exit 1; }; done',
    "pip": 'test "$*" = "install sundog[api,libvirt]"',
    "sundog": """\
case "$1 $2" in
    "host add") exec PYTHON -m sundog "$@" --virt-type qemu;;
    "serve --backend")
        : >serve.log
        PYTHON -m sundog "$@" >>serve.log 2>&1 &
        echo $! >serve.pid
        until grep -q "openstack token issue" serve.log; do
            kill -0 $! || { cat serve.log; exit 1; }
            sleep 0.2
        done;;
    "fence-redfish https://192.0.2.101") case "$*" in *--status) touch looked;; *) touch fenced;; esac;;
    *) exec PYTHON -m sundog "$@";;
esac""",
}


# What the page tells in words happens before the first block with one of these in it.
BETWEEN = {
    "network create --external": "stop; sundog serve --backend libvirt",
    "--fence": """\
[ "$(openstack server show -f value -c OS-EXT-SRV-ATTR:host web)" = host-1 ] ||
    openstack --os-compute-api-version 2.30 server migrate --live-migration --host host-1 --wait web
befalls kill
until is down; do sleep 0.2; done""",
    "sundog backup": """\
until [ "$(openstack server show -f value -c status web)" = ACTIVE ]; do sleep 0.5; done
befalls revive
until is up; do sleep 0.2; done""",
}
HEAD = """\
set -e -o pipefail
befalls() { echo "$1" >fault; while [ -e fault ]; do sleep 0.2; done; }
is() { sundog host list | grep "^host-1 .* $1 " >/dev/null; }
stop() { kill "$(cat serve.pid)"; tail --pid="$(cat serve.pid)" -f /dev/null; }
ip link add br0 type bridge
ip address add 192.0.2.1/24 dev br0
ip link set br0 up
"""
TAIL = """\
[ -e looked ]
[ -e fenced ]
stop
sundog audit
"""


def blocks() -> list[str]:
    """The page's blocks of shell but for those that say why they are not run."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"(^<!-- not run: [^\n]* -->\n)?^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for mark, block in found if not mark]


@pytest.fixture
def machines(bed_machine: None) -> Iterator[Bed]:
    with free_bed() as bed:
        bed.up(SERVES)
        yield bed


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """The folder of OpenStack's own client."""
    if not index_is_there(tmp_path):
        pytest.skip("the package index is out of reach, and with it OpenStack's client")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "client"], check=True)
    python = tmp_path / "client/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "python-openstackclient"], check=True)
    return python.parent


def switch_on(place: HostPlace, bed: Bed, unpacked: Path, key: Path) -> str:
    """What a host of the page has when it is on: its name, SSH, and a daemon that knows the name; a known host."""
    told = start_ssh(place, unpacked, key.with_suffix(".pub"))
    bed.run(place.number, ["hostname", f"host-{place.number}"])
    bed.run(place.number, ["pkill", "-KILL", "libvirtd"])  # it asks for the name once
    return f"host-{place.number} {told}\n"


def script(home: Path) -> str:
    """The page's blocks, so that the first command that fails ends it."""
    lines = [f"cd {home}", homely(home), HEAD]
    for number, block in enumerate(blocks(), start=1):
        between = [text for words, text in BETWEEN.items() if words in block]
        lines += [f"echo '== {number}'", *between, block]
    return "\n".join([*lines, TAIL])


def test_the_page_does_what_it_says(machines: Bed, client: Path, ssh_key: Path, tmp_path: Path) -> None:
    unpacked, home, shims = unpack_ssh(tmp_path / "ssh"), tmp_path / "home", tmp_path / "shims"
    *hosts, serves = machines.hosts()
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    shutil.copy(ssh_key, home / ".ssh/id_ed25519")
    shutil.copy(guest_disk(), home / "debian-12.qcow2")
    for machine in machines.hosts():  # a machine that does not know its own name asks a server, which is not there
        with (machine.folder / "hosts").open("a") as names:
            names.writelines(f"{each.address} host-{each.number}\n" for each in hosts)
    (home / ".ssh/known_hosts").write_text("".join(switch_on(each, machines, unpacked, ssh_key) for each in hosts))
    shims.mkdir()
    for name, text in SHIMS.items():
        (shims / name).write_text(f"#!/bin/sh\n{text.replace('PYTHON', shlex.quote(sys.executable))}\n")
        (shims / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if re.match("PIP_|SSL_|.*_proxy$", name)}
    path = os.pathsep.join([str(shims), str(client), SEARCHED])
    inside = ["nsenter", "-t", str(first_process(serves.folder)), "-m", "-n", "-u", "-i", "-p", "--", "unshare", "-m"]
    fault = home / "fault"
    with (tmp_path / "log").open("w+") as log:
        running = subprocess.Popen(
            [*inside, "bash", "-c", script(home)], stdout=log, stderr=subprocess.STDOUT,
            env={**kept, "HOME": str(home), "LANG": "C.UTF-8", "PATH": path, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        while running.poll() is None:
            time.sleep(0.2)
            if fault.exists() and (befalls := fault.read_text().strip()):
                getattr(machines, befalls)(1)
                if befalls == "revive":
                    switch_on(hosts[0], machines, unpacked, ssh_key)
                fault.unlink()
        log.seek(0)
        told = log.read()
    if running.returncode and (home / "serve.log").exists():
        told += (home / "serve.log").read_text()[-3000:]
    assert running.returncode == 0, told
