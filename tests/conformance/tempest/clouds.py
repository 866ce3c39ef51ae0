"""The clouds that OpenStack's own suites run against: one of simulated hosts, and one of a test bed's.

Each is served for the suite, tells where its ``clouds.yaml`` is, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bed.bed import Bed
    from tests.system.real_clouds import RealCloud

ROOT = Path(__file__).resolve().parents[3]
LAN = "lan"
"""The external network of the real cloud."""
HOSTS = 2
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What somebody ends a run with."""
WIRE_MTU = "1600"


def hear_no_signals() -> None:
    """From now on whoever is impatient waits: they would leave hosts behind."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)


def environment() -> dict[str, str]:
    """Ours, with the checkout before what is installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def simulated(python: str, *, with_servers: bool) -> Iterator[Path]:
    """A cloud of simulated hosts in memory; ``with_servers`` it has two images, and its time flies."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [python, "-m", "sundog", "serve", "--state", ":memory:", "--listen", f"127.0.0.1:{port}"]
    if with_servers:  # simulated guests take their time to boot
        command += ["--speed", "60"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if "listens" not in server.stdout.readline():
            raise SystemExit("the server did not start")
        clouds = re.findall(r"OS_CLIENT_CONFIG_FILE=(\S+)", server.stdout.readline())[0]
        if with_servers:
            subprocess.run([python, ROOT / "tools/public-images", clouds], cwd=ROOT, env=environment(), check=True)
        yield Path(clouds)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@contextlib.contextmanager
def real(folder: Path) -> Iterator[Path]:
    """A cloud of a bed's hosts, with what tests of servers need; its state is in ``folder``.

    Needs root, and a Python that has Sundog with libvirt. Raises: BedError where no bed can be.
    """
    from tests.bed.fixtures import free_bed
    from tests.bed.image import guest_image
    from tests.system.real_clouds import real_cloud, unwire

    state = folder / "state"
    with free_bed() as bed:
        print(f"bed {bed.layout.number}", flush=True)
        try:
            bed.up(HOSTS)
            widen(bed)
            with real_cloud(bed, state) as cloud:
                furnish(cloud, guest_image().disk, bed.layout.gateway)
                yield state / "clouds.yaml"
        finally:
            hear_no_signals()
            unwire(state)


def widen(bed: Bed) -> None:
    """Let the wire between hosts carry packets of 1500 bytes in VXLAN."""
    from tests.bed.bed import ip

    for place in bed.hosts():
        bed.run(place.number, ["ip", "link", "set", "eth1", "mtu", WIRE_MTU], check=True)
        ip("link", "set", place.link(1), "mtu", WIRE_MTU)


def furnish(cloud: RealCloud, disk: Path, gateway: str) -> None:
    """Two public images of a guest, two small flavors, a network outside, and more processors than hosts have.

    ``gateway`` is the machine's address in the network outside, a /24; what asks it may reach floating IPs.
    """
    for name in ("tiny", "tiny-alt"):
        facts = {"name": name, "visibility": "public", "disk_format": "qcow2", "container_format": "bare"}
        image = cloud.ask("POST", "image", "/v2/images", facts)["id"]
        cloud.ask("PUT", "image", f"/v2/images/{image}/file", disk.read_bytes())
    for name, size in (("tiny", 1), ("tiny-alt", 2)):
        flavor = {"name": name, "vcpus": size, "ram": 96 + 32 * size, "disk": size}
        cloud.ask("POST", "compute", "/flavors", {"flavor": flavor})
    outside = {"name": LAN, "router:external": True, "provider:network_type": "flat"}
    outside["provider:physical_network"] = LAN
    network = cloud.ask("POST", "network", "/v2.0/networks", {"network": outside})["network"]["id"]
    prefix = gateway.rpartition(".")[0]
    subnet = {"network_id": network, "ip_version": 4, "cidr": f"{prefix}.0/24", "gateway_ip": gateway}
    subnet |= {"enable_dhcp": False, "allocation_pools": [{"start": f"{prefix}.100", "end": f"{prefix}.250"}]}
    cloud.ask("POST", "network", "/v2.0/subnets", {"subnet": subnet})
    cloud.overcommit()
