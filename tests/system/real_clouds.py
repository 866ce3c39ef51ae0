"""A cloud of a test bed's hosts, served as its owner would, and a client of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sundog.app.hosts import DEFAULT_POOL
from sundog.app.wires import spaces_of
from sundog.backends.libvirt.identity import FILE
from sundog.backends.libvirt.network_links import tunnel_name
from sundog.backends.libvirt.records import bridge_name
from sundog.cli.administrator import Administrator
from sundog.errors import InputError
from tests.bed.bed import Bed, virsh
from tests.bed.processes import first_process
from tests.conftest import REPOSITORY
from tests.system.test_command import environment

BOOT_SECONDS = 240.0
"""A hang, not slowness: a guest boots in six on an idle machine."""


@dataclass
class RealCloud:
    """The state folder of a cloud, and the process that serves it, if one does.

    ``inside`` is the beginning of a command that runs another one where the cloud is served, if that is not here.
    """

    state: Path
    address: str
    inside: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    client: Administrator | None = None
    said: list[str] = field(default_factory=list)

    # -- what its owner does

    def command(self, *arguments: object, code: int | None = 0) -> str:
        """What a command of ``sundog`` prints; it ends with ``code``."""
        command = [sys.executable, "-m", "sundog", *(str(each) for each in arguments), "--state", str(self.state)]
        command = [*self.inside, *command]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False)
        assert code in (None, done.returncode), f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def serve(self, *options: str) -> None:
        """Let it be served; it is ready when this returns."""
        command = [sys.executable, "-m", "sundog", "serve", "--backend", "libvirt", "--state", str(self.state)]
        command = [*self.inside, *command, "--listen", self.address, *(["--insecure"] if self.inside else []), *options]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        while "openstack token issue" not in (line := self.process.stdout.readline()):
            assert line, "it ended before it listened"
            self.said.append(line)
        self.client = Administrator(self.state)

    def stop(self) -> None:
        """Stop it in order."""
        assert self.process is not None
        os.kill(self._served_by(self.process.pid), signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        self._gone()

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        os.kill(self._served_by(self.process.pid), signal.SIGKILL)
        self.process.wait()
        self._gone()

    def _served_by(self, pid: int) -> int:
        """The process that serves: what enters other namespaces waits for its child."""
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self.inside else []
        return int(children[0]) if children else pid

    def _gone(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    # -- what its users do

    def ask(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """What a service answers; nothing may go wrong."""
        assert self.client is not None
        return self.client.ask(method, service, path, body)

    def upload(self, disk: Path) -> str:
        """An image of a disk."""
        facts = {"name": "tiny", "disk_format": "qcow2", "container_format": "bare"}
        image = self.ask("POST", "image", "/v2/images", facts)["id"]
        self.ask("PUT", "image", f"/v2/images/{image}/file", disk.read_bytes())
        return str(image)

    def network(self) -> str:
        """A network with a subnet."""
        network = self.ask("POST", "network", "/v2.0/networks", {"network": {"name": "inside"}})["network"]["id"]
        subnet = {"network_id": network, "cidr": "10.88.0.0/24", "ip_version": 4}
        self.ask("POST", "network", "/v2.0/subnets", {"subnet": subnet})
        return str(network)

    def flavor(self, name: str = "tiny", ram: int = 128) -> str:
        """One that is large enough for the tiny guest, unless other ``ram`` is said, in MiB."""
        flavor = {"name": name, "ram": ram, "vcpus": 1, "disk": 1}
        return str(self.ask("POST", "compute", "/flavors", {"flavor": flavor})["flavor"]["id"])

    def overcommit(self, ratio: float = 16.0) -> None:
        """Let more servers be on the hosts than they have processors."""
        for provider in self.ask("GET", "placement", "/resource_providers")["resource_providers"]:
            path = f"/resource_providers/{provider['uuid']}/inventories/VCPU"
            inventory = self.ask("GET", "placement", path)
            self.ask("PUT", "placement", path, inventory | {"allocation_ratio": ratio})

    def boot(self, image: str, flavor: str, network: str, name: str = "web", **more: Any) -> str:
        """A server, asked for; ``more`` as the API has it."""
        wanted = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}], **more}
        return str(self.ask("POST", "compute", "/servers", {"server": wanted})["server"]["id"])

    def server(self, server: str) -> dict[str, Any]:
        """A server as the administrator sees it."""
        found: dict[str, Any] = self.ask("GET", "compute", f"/servers/{server}")["server"]
        return found

    def act(self, server: str, **action: Any) -> Any:
        """An action of a server, asked for."""
        return self.ask("POST", "compute", f"/servers/{server}/action", action)

    def idle(self, server: str) -> dict[str, Any]:
        """The server when nothing is under way on it."""

        def done() -> dict[str, Any] | None:
            found = self.server(server)
            busy = found["OS-EXT-STS:task_state"] is not None or found["status"] == "MIGRATING"
            return None if busy else found

        found: dict[str, Any] = wait_for(done, seconds=BOOT_SECONDS)
        return found

    def settled(self, server: str, status: str) -> dict[str, Any]:
        """The server when nothing is under way on it; then it has this status."""
        found = self.idle(server)
        assert found["status"] == status, found.get("fault", found)
        return found

    def console(self, server: str) -> str:
        """What the guest wrote."""
        return str(self.act(server, **{"os-getConsoleOutput": {}})["output"])

    def wait_for_console(self, server: str, pattern: str) -> None:
        """Until the guest has written something."""
        wait_for(lambda: re.search(pattern, self.console(server)), seconds=BOOT_SECONDS)

    def delete(self, server: str) -> None:
        """Until it is gone."""
        self.ask("DELETE", "compute", f"/servers/{server}")
        wait_for(lambda: self.is_gone(server), seconds=120.0)

    def is_gone(self, server: str) -> bool:
        """Whether a server is not there any more."""
        assert self.process is not None
        assert self.process.poll() is None, "the control plane has ended"
        try:
            self.server(server)
        except InputError as error:
            return "(404)" in error.message
        return False


def wait_for(look: Callable[[], Any], *, seconds: float) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    due = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < due, f"it did not come within {seconds:g} s"
        time.sleep(0.3)
    return found


@contextlib.contextmanager
def real_cloud(bed: Bed, state: Path) -> Iterator[RealCloud]:
    """A cloud of all hosts of a bed, added and served; at the end it is stopped, if it is served then."""
    with idle_cloud(state) as cloud:
        cloud.command("network-node", "--wire", bed.layout.bridges[1], "--external", f"lan={bed.layout.bridges[0]}")
        for place in bed.hosts():
            shell = f"nsenter -t {first_process(place.folder)} -n -m --"
            cloud.command("host", "add", place.tcp, "--virt-type", "qemu", "--wire", "eth1", "--shell", shell)
        cloud.serve()
        yield cloud


@contextlib.contextmanager
def idle_cloud(state: Path) -> Iterator[RealCloud]:
    """A cloud without hosts that is not served; at the end it is stopped, if it is served then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cloud = RealCloud(state, f"127.0.0.1:{probe.getsockname()[1]}")
    try:
        yield cloud
    except BaseException:
        if cloud.process is not None:
            cloud.kill()
        raise
    if cloud.process is not None:
        cloud.stop()


def holdings(bed: Bed) -> dict[str, list[str]]:
    """What hosts hold: domains, networks, and files that belong to servers.

    The file that says which host it is stays, and bases of images do, to be used again.
    """
    told: dict[str, list[str]] = {}
    for place in bed.hosts():
        words = virsh(place, "list", "--all", "--name").stdout.split()
        words += virsh(place, "net-list", "--all", "--name").stdout.split()
        files = bed.run(place.number, ["find", "/var/lib/libvirt/sundog", "-type", "f"], stdout=subprocess.PIPE).stdout
        words += [name for path in files.split() if not (name := Path(path).name).startswith(("base-", FILE))]
        told[place.name] = words
    return told


def wiring_left(bed: Bed, state: Path) -> dict[str, list[str]]:
    """What networks have left: filters, bridges and tunnels of hosts, and what is on this machine, the network node."""
    told: dict[str, list[str]] = {}
    for place in bed.hosts():
        filters = [word for word in virsh(place, "nwfilter-list").stdout.split() if word.startswith("sundog-")]
        told[place.name] = filters + _links(bed, place.number)
    running = subprocess.run(["pgrep", "-af", str(state / "networks")], capture_output=True, text=True, check=False)
    attached = subprocess.run(["ip", "-o", "link", "show"], capture_output=True, text=True, check=True).stdout
    cables = re.findall(rf"^\d+: (s\w+)@.* master {bed.layout.bridges[0]} ", attached, re.MULTILINE)
    tunnels = re.findall(r"^\d+: (svx\w+): .* master (sbr\w+) ", attached, re.MULTILINE)
    joined = [each for each in tunnels if f"dev {bed.layout.bridges[1]} " in _details(each[0])]
    told["node"] = [*namespaces(state), *running.stdout.splitlines(), *(name for each in joined for name in each)]
    told["node"] += [name for name in cables if name.startswith("srt")]
    return told


def _links(bed: Bed, number: int) -> list[str]:
    """Bridges, tunnels and cards of guests on a host."""
    links = bed.run(number, ["ip", "-o", "link"], stdout=subprocess.PIPE).stdout
    return re.findall(r"^\d+: ((?:sbr|svx|tap)\w+)", links, re.MULTILINE)


def _details(link: str) -> str:
    command = ["ip", "-d", "-o", "link", "show", link]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _prefix(state: Path) -> str:
    with contextlib.closing(sqlite3.connect(state / "sundog.db")) as store:
        (told,) = store.execute("SELECT value FROM meta WHERE key = 'beginning'").fetchone()
    return spaces_of(json.loads(told)["cloud"]).prefix


def namespaces(state: Path) -> list[str]:
    """The network node's namespaces of the cloud of a state folder."""
    told = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return sorted(word for word in told.split() if word.startswith(f"{_prefix(state)}-"))


def unwire(state: Path) -> None:
    """Remove what a cloud has on the network node, also what a test that failed has left."""
    if not (state / "sundog.db").exists():
        return
    for name in namespaces(state):
        inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout
        for pid in inside.split():
            os.kill(int(pid), signal.SIGKILL)
        kind, _, identifier = name.removeprefix(f"{_prefix(state)}-").partition("-")
        links = [bridge_name(identifier), tunnel_name(identifier)] if kind == "net" else []
        for command in [["ip", "netns", "delete", name], *(["ip", "link", "delete", each] for each in links)]:
            subprocess.run(command, check=False, capture_output=True)


def clear(bed: Bed) -> None:
    """Remove every domain and network, also what a test that failed has left; every host is well then, and nobody's."""
    for status in bed.status():
        if status.partitioned:
            bed.heal(status.place.number)
        if not status.on:
            bed.revive(status.place.number)
    for place in bed.hosts():
        for name in virsh(place, "list", "--all", "--name").stdout.split():
            virsh(place, "destroy", name, check=False)
            virsh(place, "undefine", name, "--managed-save", check=False)
        for name in virsh(place, "net-list", "--all", "--name").stdout.split():
            virsh(place, "net-destroy", name, check=False)
            virsh(place, "net-undefine", name, check=False)
        for name in _links(bed, place.number):
            bed.run(place.number, ["ip", "link", "delete", name], check=False, capture_output=True)
        files = ["find", DEFAULT_POOL, "-type", "f", "-not", "-name", "base-*", "-delete"]
        bed.run(place.number, files, check=False, capture_output=True)


@pytest.fixture
def cloud(bed: Bed, tmp_path: Path) -> Iterator[RealCloud]:
    """A cloud over both hosts of the bed."""
    try:
        with real_cloud(bed, tmp_path / "state") as cloud:
            yield cloud
    finally:
        clear(bed)
        unwire(tmp_path / "state")
