"""Networks of a served cloud of real hosts, as its users have them: through the API alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bed.bed import Bed
from tests.bed.image import guest_image
from tests.bed.processes import first_process
from tests.system.errands import commanded
from tests.system.real_clouds import BOOT_SECONDS, RealCloud, clear, holdings, wait_for, wiring_left

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [
    pytest.mark.libvirt,
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("dnsmasq", "nft", "ip"))), reason="needs dnsmasq-base, nftables and iproute2"
    ),
]

ASKS = """#!/bin/sh
say() { echo "wired: $*" >/dev/console; }
try() { if "$@" >/dev/null 2>&1; then echo yes; else echo no; fi; }
while :; do say ping-$(try ping -c 1 -W 1 OTHER) ssh-$(try nc -w 1 OTHER 22 </dev/null); sleep 1; done &
"""


class Wired:
    """A network with security groups, and a router to a network outside that has this gateway."""

    def __init__(self, cloud: RealCloud, gateway: str) -> None:
        self.cloud = cloud
        self.network = cloud.network()
        self.subnet = self._ask("GET", f"/v2.0/networks/{self.network}")["network"]["subnets"][0]
        outside = {"name": "outside", "router:external": True, "provider:network_type": "flat"}
        outside["provider:physical_network"] = "lan"
        self.outside = self._made("network", **outside)
        prefix = gateway.rpartition(".")[0]
        pool = {"start": f"{prefix}.200", "end": f"{prefix}.220"}
        self._made(
            "subnet", network_id=self.outside, ip_version=4, cidr=f"{prefix}.0/24", gateway_ip=gateway,
            allocation_pools=[pool], enable_dhcp=False,
        )  # fmt: skip
        self.router = self._made("router", name="out", external_gateway_info={"network_id": self.outside})
        self._ask("PUT", f"/v2.0/routers/{self.router}/add_router_interface", {"subnet_id": self.subnet})

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.cloud.ask(method, "network", path, body)

    def _made(self, kind: str, **facts: Any) -> str:
        return str(self._ask("POST", f"/v2.0/{kind}s", {kind: facts})[kind]["id"])

    def group(self, name: str) -> str:
        """A security group that lets everything out."""
        return str(
            self._ask("POST", "/v2.0/security-groups", {"security_group": {"name": name}})["security_group"]["id"]
        )

    def let(self, group: str, protocol: str, port: int | None = None) -> str:
        """Let something in."""
        rule: dict[str, Any] = {"security_group_id": group, "direction": "ingress", "protocol": protocol}
        rule |= {} if port is None else {"port_range_min": port, "port_range_max": port}
        told = self._ask("POST", "/v2.0/security-group-rules", {"security_group_rule": rule})
        return str(told["security_group_rule"]["id"])

    def forbid(self, rule: str) -> None:
        """Let it in no longer."""
        self._ask("DELETE", f"/v2.0/security-group-rules/{rule}")

    def port(self, address: str, group: str) -> str:
        """A port with an address, in a group."""
        fixed = [{"subnet_id": self.subnet, "ip_address": address}]
        return self._made("port", network_id=self.network, fixed_ips=fixed, security_groups=[group])

    def float(self, port: str) -> str:
        """The address of a floating IP of a port."""
        asked = {"floatingip": {"floating_network_id": self.outside, "port_id": port}}
        return str(self._ask("POST", "/v2.0/floatingips", asked)["floatingip"]["floating_ip_address"])

    def remove(self) -> None:
        """Take everything away."""
        for each in self._ask("GET", "/v2.0/floatingips")["floatingips"]:
            self._ask("DELETE", f"/v2.0/floatingips/{each['id']}")
        self._ask("PUT", f"/v2.0/routers/{self.router}/remove_router_interface", {"subnet_id": self.subnet})
        self._ask("DELETE", f"/v2.0/routers/{self.router}")
        for port in self._ask("GET", f"/v2.0/ports?network_id={self.network}")["ports"]:
            self._ask("DELETE", f"/v2.0/ports/{port['id']}")
        for network in (self.network, self.outside):
            self._ask("DELETE", f"/v2.0/networks/{network}")


ANSWERS = """
import socket, sys
talk = socket.create_connection((sys.argv[1], 22), timeout=2)
print(talk.recv(64)[:4].decode())
"""


def test_one_machine_is_a_host_and_the_network_node(bed: Bed, tmp_path: Path) -> None:
    """The first host serves the cloud: of itself, which it reaches by no wire, and of the second."""
    here, there = bed.hosts()
    enter = ("nsenter", "-t", str(first_process(here.folder)), "-m", "-n", "-u", "-i", "-p", "--")
    one = RealCloud(tmp_path / "state", f"{here.address}:5000", enter)

    def in_one(*command: str) -> str:
        return bed.run(here.number, command, stdout=subprocess.PIPE).stdout

    def answers(address: str) -> bool:
        return "SSH-" in in_one(sys.executable, "-c", ANSWERS, address)

    in_one("ip", "link", "add", "lan", "type", "bridge")
    in_one("ip", "address", "add", "192.168.50.1/24", "dev", "lan")
    in_one("ip", "link", "set", "lan", "up")
    try:
        with commanded(there, tmp_path / "door") as shell:
            one.command("network-node", "--external", "lan=lan")
            one.command("host", "add", "qemu:///system", "--virt-type", "qemu", "--address", here.address)
            one.command("host", "add", there.tcp, "--virt-type", "qemu", "--shell", shell)
            one.serve()
            wired = Wired(one, "192.168.50.1")
            image, flavor, group = one.upload(guest_image().disk), one.flavor(), wired.group("one")
            wired.let(group, "icmp")
            wired.let(group, "tcp", 22)
            addresses = ("10.88.0.11", "10.88.0.12")
            ports = [wired.port(address, group) for address in addresses]
            servers = []
            for number, place in enumerate((here, there)):
                script = base64.b64encode(ASKS.replace("OTHER", addresses[1 - number]).encode()).decode()
                asked = {"networks": [{"port": ports[number]}], "host": place.name, "user_data": script}
                servers.append(one.boot(image, flavor, wired.network, f"vm{number}", **asked))
            for number, server in enumerate(servers):
                one.settled(server, "ACTIVE")
                one.wait_for_console(server, f"lease eth0 {addresses[number]}")
                one.wait_for_console(server, f"data metadata-service host=vm{number}")
                one.wait_for_console(server, "wired: ping-yes ssh-yes")
            for port in ports:
                floating = wired.float(port)
                wait_for(partial(answers, floating), seconds=60)
            told = json.loads(one.command("host", "list", "--json"))["network"]
            assert told["failed"] == []
            assert all("carries 1500 bytes" in line for line in told["left_out"]), told

            # Where the kernel keeps rules from being in force, that is said.
            def is_said(expected: bool) -> bool:
                told = json.loads(one.command("host", "list", "--json"))["network"]["left_out"]
                return any(f"host {here.name} does not look into bridges" in line for line in told) is expected

            for value in (0, 1):
                in_one("sysctl", "-qw", f"net.bridge.bridge-nf-call-iptables={value}")
                wired.let(group, "udp", 53 + value)  # so that hosts are looked at
                wait_for(partial(is_said, not value), seconds=60)

            # It comes and goes from the machine that is the network node as from any other.
            one.act(servers[0], **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
            one.settled(servers[0], "ACTIVE")
            wait_for(partial(answers, floating), seconds=60)
            one.act(servers[0], **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
            assert one.settled(servers[0], "ACTIVE")["OS-EXT-SRV-ATTR:host"] == here.name
            one.wait_for_console(servers[0], "wired: ping-yes ssh-yes")

            # The power of the other host fails. Its tunnel is there again as soon as it is.
            def is_so(state: str) -> bool:
                services = one.ask("GET", "compute", f"/os-services?binary=nova-compute&host={there.name}")["services"]
                return bool(services[0]["state"] == state)

            bed.kill(there.number)
            wait_for(lambda: is_so("down"), seconds=60)
            bed.revive(there.number)
            wait_for(lambda: is_so("up") and one.server(servers[1])["status"] == "SHUTOFF", seconds=120)
            one.act(servers[1], **{"os-start": None})
            one.settled(servers[1], "ACTIVE")
            wait_for(partial(answers, floating), seconds=BOOT_SECONDS)

            for server in servers:
                one.delete(server)
            wired.remove()
            nothing: dict[str, list[str]] = {place.name: [] for place in bed.hosts()}
            assert holdings(bed) == nothing
            wait_for(lambda: wiring_left(bed, one.state) == {**nothing, "node": []}, seconds=60)
            wait_for(lambda: in_one("ip", "netns", "list") == "", seconds=60)
            assert not re.search(r" s(br|vx|dh|rt)", in_one("ip", "-o", "link"))
            one.stop()
    finally:
        if one.process is not None:
            one.kill()
        clear(bed)
        in_one("ip", "link", "delete", "lan")
        for name in re.findall(r"^sundog\S+", in_one("ip", "netns", "list"), re.MULTILINE):
            in_one("ip", "netns", "delete", name)
