"""Where everything of a test bed is, and what its hosts are told: names, addresses, files. Nothing here acts.

Bed N has the addresses 10.99.N.0/24 and two bridges on the machine: ``sdbedN``, over which hosts are reached and talk
to each other, and ``sdbedNt``, which joins the second cards of the hosts and has no address: the wire for networks of
servers. Host I of a bed is 10.99.N.(10+I).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BEDS = range(100)
HOSTS = range(1, 31)
PORT = 16509

PRIVATE = {
    "etc/libvirt": "etc",
    "var/lib/libvirt": "lib",
    "var/log/libvirt": "log",
    "var/cache/libvirt": "cache",
    "run": "run",
}
"""What a host has for itself, by its path below ``/``: which folder of the host is there."""


@dataclass(frozen=True)
class HostPlace:
    """One host of a bed."""

    bed: int
    number: int
    folder: Path

    @property
    def name(self) -> str:
        return f"bed{self.bed}-{self.number}"

    @property
    def uuid(self) -> str:
        """Its identity, the same after each boot; libvirtd refuses one whose digits are all alike."""
        return f"5d0b{self.bed:04d}-0000-4000-8000-{self.number:012d}"

    @property
    def address(self) -> str:
        return f"10.99.{self.bed}.{10 + self.number}"

    @property
    def tcp(self) -> str:
        """How to connect over the network. A partition cuts it."""
        return f"qemu+tcp://{self.address}/system"

    @property
    def unix(self) -> str:
        """How to connect by the socket, which a partition leaves alone."""
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt/libvirt-sock"

    def mac(self, card: int) -> str:
        """The address of a card: fixed, since a host that comes back with another is out of reach for a minute."""
        return f"02:99:{card:02x}:00:{self.bed:02x}:{self.number:02x}"

    def link(self, card: int) -> str:
        """The machine's end of a card's cable."""
        return f"sdb{self.bed}h{self.number}{'t' if card else ''}"


@dataclass(frozen=True)
class Layout:
    """One bed; ``root`` is the folder of all beds."""

    number: int
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / str(self.number)

    @property
    def shared(self) -> Path:
        """The storage that all hosts see at the same path; it goes with the bed."""
        return self.folder / "shared"

    @property
    def bridges(self) -> tuple[str, str]:
        """One for each card of a host."""
        return f"sdbed{self.number}", f"sdbed{self.number}t"

    @property
    def gateway(self) -> str:
        """The machine's own address on the bed's network."""
        return f"10.99.{self.number}.1"

    def host(self, number: int) -> HostPlace:
        return HostPlace(self.number, number, self.folder / f"h{number}")


def libvirtd_conf(host: HostPlace) -> str:
    """Everybody on the bed's network may do everything: that network ends at the machine."""
    return f"""\
host_uuid = "{host.uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "{host.address}"
tcp_port = "{PORT}"
auth_tcp = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
keepalive_interval = 2
keepalive_count = 3
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""


def qemu_conf(host: HostPlace) -> str:
    """No control groups: hosts share the machine's, and guests of one name would meet there."""
    return f"""\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
max_core = 0
vnc_listen = "{host.address}"
migration_address = "{host.address}"
migration_host = "{host.address}"
"""


def hosts_file(layout: Layout) -> str:
    """Names of all hosts there may be: a live migration looks the destination up."""
    lines = [f"{layout.host(number).address} {layout.host(number).name}" for number in HOSTS]
    return "\n".join(["127.0.0.1 localhost", *lines, ""])
