"""A cloud of a test bed's hosts, served as its owner would, and a client of it."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sundog.backends.libvirt.identity import FILE
from sundog.cli.administrator import Administrator
from sundog.errors import InputError
from tests.bed.bed import Bed, virsh
from tests.conftest import REPOSITORY
from tests.system.test_command import environment

BOOT_SECONDS = 240.0
"""A hang, not slowness: a guest boots in six on an idle machine."""


@dataclass
class RealCloud:
    """The state folder of a cloud, and the process that serves it, if one does."""

    state: Path
    address: str
    process: subprocess.Popen[str] | None = None
    client: Administrator | None = None
    said: list[str] = field(default_factory=list)

    # -- what its owner does

    def command(self, *arguments: object, code: int | None = 0) -> str:
        """What a command of ``sundog`` prints; it ends with ``code``."""
        command = [sys.executable, "-m", "sundog", *(str(each) for each in arguments), "--state", str(self.state)]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False)
        assert code in (None, done.returncode), f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def serve(self, *options: str) -> None:
        """Let it be served; it is ready when this returns."""
        command = [sys.executable, "-m", "sundog", "serve", "--backend", "libvirt", "--state", str(self.state)]
        self.process = subprocess.Popen(
            [*command, "--listen", self.address, *options],
            cwd=REPOSITORY,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        while "openstack token issue" not in (line := self.process.stdout.readline()):
            assert line, "it ended before it listened"
            self.said.append(line)
        self.client = Administrator(self.state)

    def stop(self) -> None:
        """Stop it in order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        self._gone()

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._gone()

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

    def flavor(self) -> str:
        """One that is large enough for the tiny guest."""
        flavor = {"name": "tiny", "ram": 128, "vcpus": 1, "disk": 1}
        return str(self.ask("POST", "compute", "/flavors", {"flavor": flavor})["flavor"]["id"])

    def boot(self, image: str, flavor: str, network: str, name: str = "web") -> str:
        """A server, asked for."""
        wanted = {"name": name, "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}]}
        return str(self.ask("POST", "compute", "/servers", {"server": wanted})["server"]["id"])

    def server(self, server: str) -> dict[str, Any]:
        """A server as the administrator sees it."""
        found: dict[str, Any] = self.ask("GET", "compute", f"/servers/{server}")["server"]
        return found

    def act(self, server: str, **action: Any) -> Any:
        """An action of a server, asked for."""
        return self.ask("POST", "compute", f"/servers/{server}/action", action)

    def settled(self, server: str, status: str) -> dict[str, Any]:
        """The server when nothing is under way on it; then it has this status."""

        def done() -> dict[str, Any] | None:
            found = self.server(server)
            busy = found["OS-EXT-STS:task_state"] is not None or found["status"] == "MIGRATING"
            return None if busy else found

        found: dict[str, Any] = wait_for(done, seconds=BOOT_SECONDS)
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
        wait_for(lambda: self._is_gone(server), seconds=120.0)

    def _is_gone(self, server: str) -> bool:
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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cloud = RealCloud(state, f"127.0.0.1:{probe.getsockname()[1]}")
    try:
        for place in bed.hosts():
            cloud.command("host", "add", place.tcp, "--virt-type", "qemu")
        cloud.serve()
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


def clear(bed: Bed) -> None:
    """Remove every domain, also what a test that failed has left."""
    for place in bed.hosts():
        for name in virsh(place, "list", "--all", "--name").stdout.split():
            virsh(place, "destroy", name, check=False)
            virsh(place, "undefine", name, "--managed-save", check=False)


@pytest.fixture
def cloud(bed: Bed, tmp_path: Path) -> Iterator[RealCloud]:
    """A cloud over both hosts of the bed."""
    try:
        with real_cloud(bed, tmp_path / "state") as cloud:
            yield cloud
    finally:
        clear(bed)
