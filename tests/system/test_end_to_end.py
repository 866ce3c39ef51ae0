"""One story on real hosts, through the API alone: two guests, their networks, a move, a power cut, and the way back."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.bed.bed import Bed, virsh
from tests.real_hosts import guest_disk
from tests.system.real_clouds import BOOT_SECONDS, RealCloud, cloud, holdings, wait_for, wiring_left  # noqa: F401
from tests.system.test_real_cloud_networks import ASKS, Wired
from tests.system.test_split_brain import domain_id, down_ones, force, listed, refused

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

PATIENCE = 120.0
ADDRESSES = ("10.88.0.11", "10.88.0.12")
STRANGER = "<domain type='qemu'><name>stranger</name><memory unit='MiB'>16</memory><os><type>hvm</type></os></domain>"
"""A domain that the cloud has not made."""

COUNTS = "i=0; while echo $i; do i=$((i+1)); sleep 0.05; done"


@dataclass
class Steps:
    """The seconds that each step took, for who reads the output; nothing depends on them."""

    began: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    def done(self, words: str) -> None:
        """A step has ended."""
        now = time.monotonic()
        print(f"{now - self.last:6.1f} s  {words}")
        self.last = now

    def all(self) -> None:
        """So has the last one."""
        print(f"{self.last - self.began:6.1f} s  in all")


@dataclass
class Stream:
    """A TCP connection, SSH's, over which a guest counts: lines that come late are there all the same, none is lost."""

    process: subprocess.Popen[str]
    file: Path

    def numbers(self) -> list[int]:
        """What came so far, whole lines only."""
        return [int(line) for line in self.file.read_text().rpartition("\n")[0].split()]

    def goes_on(self) -> None:
        """Until more has come than had when this was called; what came is without a gap."""
        enough = len(self.numbers()) + 20
        wait_for(lambda: self.process.poll() is not None or len(self.numbers()) > enough, seconds=PATIENCE)
        assert self.process.poll() is None, "the connection has ended"
        numbers = self.numbers()
        assert numbers == list(range(len(numbers)))


@dataclass(frozen=True)
class Login:
    """SSH to whoever has an address, with a key."""

    address: str
    key: Path

    def words(self, command: str) -> list[str]:
        """Such a command."""
        told = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        options = [word for each in (*told, "ConnectTimeout=10") for word in ("-o", each)]
        return ["ssh", "-i", str(self.key), *options, f"root@{self.address}", command]

    def says(self, command: str) -> str:
        """What a command says there; empty if nobody lets us in."""
        done = subprocess.run(self.words(command), capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.stdout.strip()

    @contextlib.contextmanager
    def stream(self, file: Path) -> Iterator[Stream]:
        """A connection that counts, and has begun to."""
        with file.open("w") as out, subprocess.Popen(self.words(COUNTS), stdout=out, text=True) as process:
            try:
                stream = Stream(process, file)
                stream.goes_on()
                yield stream
            finally:
                process.kill()


def reaches(address: str) -> bool:
    """Whether it answers a ping from here: RFC 792's echo, 8, by an echo reply, 0."""
    mark = time.monotonic_ns() // 1_000_000 % 0x7000  # another each time, or it would go on with the last one
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
        wire.settimeout(2)
        wire.connect((address, 0))
        wire.send(struct.pack("!BBHHH", 8, 0, 0xFFFF - (8 << 8) - mark, mark, 0))
        return wire.recv(64)[20] == 0  # behind the header of the packet
    return False


def banner(address: str) -> str:
    """What answers on port 22; empty if nobody does."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=2) as talk:
        return talk.recv(64).decode(errors="replace")
    return ""


def strangers(bed: Bed, file: Path) -> list[str]:
    """Domains that are not the cloud's, one a host, paused as long as there is power. Their numbers."""
    file.write_text(STRANGER)
    for place in bed.hosts():
        virsh(place, "define", str(file))
        virsh(place, "start", "stranger", "--paused")
    return [virsh(place, "domid", "stranger").stdout.strip() for place in bed.hosts()]


def test_two_guests_live_through_a_move_and_the_death_of_a_host(
    cloud: RealCloud,  # noqa: F811
    bed: Bed,
    tmp_path: Path,
    ssh_key: Path,
) -> None:
    steps = Steps()
    first, second = bed.hosts()
    ids = strangers(bed, tmp_path / "stranger.xml")
    wired = Wired(cloud, bed.layout.gateway)
    image, flavor = cloud.upload(guest_disk()), cloud.flavor()
    public = {"name": "mine", "type": "ssh", "public_key": ssh_key.with_suffix(".pub").read_text().strip()}
    cloud.ask("POST", "compute", "/os-keypairs", {"keypair": public})
    groups = [wired.group("one"), wired.group("two")]
    wired.let(groups[0], "tcp", 22)
    pings = wired.let(groups[1], "icmp")
    ports = [wired.port(address, group) for address, group in zip(ADDRESSES, groups, strict=True)]
    floating = [wired.float(port) for port in ports]
    steps.done("images, networks, groups, a router, floating IPs")

    servers = []
    for number, place in enumerate((first, first)):
        script = base64.b64encode(ASKS.replace("OTHER", ADDRESSES[1 - number]).encode()).decode()
        more = {"networks": [{"port": ports[number]}], "host": place.name, "user_data": script, "key_name": "mine"}
        servers.append(cloud.boot(image, flavor, wired.network, f"vm{number}", **more))
    one, two = servers
    for server in servers:
        assert cloud.settled(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == first.name
    steps.done("two servers ACTIVE")
    login = Login(floating[0], ssh_key)
    wait_for(lambda: login.says("hostname") == "vm0", seconds=BOOT_SECONDS)
    steps.done("SSH with the key, by the floating IP")

    for number, server in enumerate(servers):
        cloud.wait_for_console(server, f"lease eth0 {ADDRESSES[number]}")
        cloud.wait_for_console(server, f"data metadata-service host=vm{number} keys=1")
    cloud.wait_for_console(one, "wired: ping-yes ssh-no")
    cloud.wait_for_console(two, "wired: ping-no ssh-yes")
    assert not reaches(floating[0])
    wait_for(lambda: reaches(floating[1]), seconds=PATIENCE)
    assert banner(floating[1]) == ""
    wired.forbid(pings)
    cloud.wait_for_console(one, "wired: ping-no ssh-no")
    wait_for(lambda: not reaches(floating[1]), seconds=PATIENCE)
    wired.let(groups[1], "icmp")
    wait_for(lambda: reaches(floating[1]), seconds=PATIENCE)
    steps.done("ping and refusal as the rules say, also when they change")

    with login.stream(tmp_path / "moved") as stream:
        cloud.act(one, **{"os-migrateLive": {"host": None, "block_migration": "auto"}})
        assert cloud.settled(one, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == second.name
        assert (domain_id(first, one), bool(domain_id(second, one))) == ("", True)
        stream.goes_on()
        cloud.console(two)  # the other one is where it was
        assert not reaches(floating[0])
        pings = wired.let(groups[0], "icmp")  # what changes now holds where it runs now
        wait_for(lambda: reaches(floating[0]), seconds=PATIENCE)
        wired.forbid(pings)
        wait_for(lambda: not reaches(floating[0]), seconds=PATIENCE)
    assert json.loads(cloud.command("host", "list", "--json"))["network"]["failed"] == []
    steps.done("live migration, with a connection that nothing was lost of")

    bed.kill(second.number)
    wait_for(lambda: "(400)" not in refused(cloud, one), seconds=PATIENCE)  # as long as it seems to be up
    assert "(409)" in refused(cloud, one), "nobody has said that it does not run there"
    steps.done("power cut: the host is down, and its server is not made anew yet")
    force(cloud, second.name, down=True)
    assert refused(cloud, one) == ""
    assert cloud.settled(one, "SHUTOFF")["OS-EXT-SRV-ATTR:host"] == first.name
    cloud.act(one, **{"os-start": None})
    cloud.settled(one, "ACTIVE")
    steps.done("evacuated at the owner's word, and started")
    wait_for(lambda: login.says("hostname") == "vm0", seconds=BOOT_SECONDS)
    assert not reaches(floating[0])
    steps.done("the guest answers again")

    right = [domain_id(first, server) for server in servers]
    with login.stream(tmp_path / "back") as stream:
        bed.partition(second.number)  # so that the cloud does not see it before the old copy runs
        bed.revive(second.number)
        virsh(second, "start", f"sundog-{one}")  # as it does by itself if it was told to
        assert domain_id(second, one)
        bed.heal(second.number)
        force(cloud, second.name, down=False)
        wait_for(lambda: not any(one in name for name in listed(second)), seconds=PATIENCE)
        wait_for(lambda: f'"{second.name}"' not in down_ones(cloud), seconds=PATIENCE)
        stream.goes_on()
    assert [domain_id(first, server) for server in servers] == right
    assert virsh(first, "domid", "stranger").stdout.strip() == ids[0]
    assert "stranger" in listed(second)
    steps.done("the host is back, its old copy stopped and removed")

    cloud.stop()
    assert "0 found" in cloud.command("audit")
    cloud.serve()
    stays = login.says("hostname")
    assert stays == "vm0"
    steps.done("audit: nothing found")

    for server in servers:
        cloud.delete(server)
    wired.remove()
    nothing: dict[str, list[str]] = {place.name: [] for place in bed.hosts()}
    assert holdings(bed) == {place.name: ["stranger"] for place in bed.hosts()}
    wait_for(lambda: wiring_left(bed, cloud.state) == {**nothing, "node": []}, seconds=PATIENCE)
    steps.done("nothing is left")
    steps.all()
