"""The test bed itself: hosts, guests, faults, and that nothing stays. With virsh: no driver of ours takes part."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bed import processes
from tests.bed.bed import ROOT, Bed, HostStatus, virsh, wait_for
from tests.bed.fixtures import free_bed
from tests.bed.guests import Guest, domain, make_config_drive, make_overlay
from tests.bed.layout import PORT, HostPlace

pytestmark = pytest.mark.libvirt

BOOT_SECONDS = 240.0
"""A hang, not slowness: it boots in six on an idle machine."""
REPOSITORY = Path(__file__).parents[2]
NETWORK = """\
<network><name>wire</name><forward mode="nat"/><bridge name="virbr-wire" stp="off" delay="0"/>
<ip address="10.77.0.1" netmask="255.255.255.0">
<dhcp><range start="10.77.0.10" end="10.77.0.10"/></dhcp></ip></network>"""
METADATA_SERVER = """\
import http.server, os, socketserver, sys
os.chdir(sys.argv[1])
socketserver.TCPServer(("169.254.169.254", 80), http.server.SimpleHTTPRequestHandler).serve_forever()"""


def new_guest(bed: Bed, base: Path) -> Guest:
    """A guest on the shared storage, defined nowhere."""
    name = f"guest-{uuid.uuid4().hex[:8]}"
    folder = bed.shared / name
    folder.mkdir()
    make_overlay(base, folder / "disk.qcow2")
    return Guest(name, str(uuid.uuid4()), folder / "disk.qcow2", folder / "console")


@contextmanager
def defined(bed: Bed, guest: Guest, host: HostPlace) -> Iterator[None]:
    """The guest is defined on a host; wherever it is at the end, it goes."""
    xml = guest.disk.with_name("domain.xml")
    xml.write_text(domain(guest))
    virsh(host, "define", str(xml))
    try:
        yield
    finally:
        for place in bed.hosts():
            virsh(place, "destroy", guest.name, check=False)
            virsh(place, "undefine", guest.name, check=False)


def said(guest: Guest) -> str:
    return guest.console.read_text(errors="replace") if guest.console.exists() else ""


def wait_for_console(guest: Guest, words: str) -> None:
    wait_for(f"{guest.name} to say {words!r}", lambda: f"sundog-guest: {words}" in said(guest), BOOT_SECONDS)


def state(host: HostPlace, guest: Guest) -> str:
    """What the host says of the guest, ``absent`` if it does not know it."""
    asked = virsh(host, "domstate", guest.name, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else "absent"


def status(bed: Bed, number: int) -> HostStatus:
    return bed.status()[number - 1]


def over_network(host: HostPlace, seconds: float = 30.0) -> str | None:
    """What the host says its name is, asked over the network; None if it says nothing in time."""
    asked = ["virsh", "-q", "-c", host.tcp, "hostname"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=seconds).stdout.strip()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None


def listens(host: HostPlace) -> bool:
    try:
        socket.create_connection((host.address, PORT), timeout=2).close()
    except OSError:
        return False
    return True


def test_two_hosts_come_up_each_with_a_name_and_a_uuid_of_its_own(bed: Bed) -> None:
    hosts = bed.hosts()
    assert [over_network(host) for host in hosts] == [host.name for host in hosts]
    told = [re.findall(r"<uuid>(.*)</uuid>", virsh(host, "capabilities").stdout)[0] for host in hosts]
    assert told == [host.uuid for host in hosts]
    assert len({*told}) == 2
    assert all(host.well for host in bed.status())


def test_to_bring_up_what_is_up_changes_nothing(bed: Bed) -> None:
    before = [processes.first_process(host.folder) for host in bed.hosts()]
    bed.up(2)
    assert [processes.first_process(host.folder) for host in bed.hosts()] == before


def test_a_guest_reads_its_config_drive_and_moves_on_without_a_new_boot(bed: Bed, base_disk: Path) -> None:
    source, destination = bed.hosts()
    guest = new_guest(bed, base_disk)
    greeting = "#!/bin/sh\necho here is your user data\n(while sleep 1; do echo tick; done) &\n"
    drive = make_config_drive(guest.disk.parent, host="tiny", key="ssh-ed25519 AAAA tests", user_data=greeting)
    guest = replace(guest, config_drive=drive)
    with defined(bed, guest, source):
        virsh(source, "start", guest.name)
        wait_for_console(guest, "ready")
        assert "sundog-guest: data config-drive host=tiny keys=1" in said(guest)
        assert "here is your user data" in said(guest)
        how = ("--live", "--p2p", "--unsafe", "--persistent", "--undefinesource")
        virsh(source, "migrate", *how, guest.name, destination.tcp, f"tcp://{destination.address}")
        assert state(source, guest) == "absent"
        assert state(destination, guest) == "running"
        ticks = said(guest).count("tick")
        wait_for("the guest to go on", lambda: said(guest).count("tick") > ticks + 2)
        assert said(guest).count("sundog-guest: start") == 1
        virsh(destination, "shutdown", guest.name)
        wait_for("the guest to obey the power button", lambda: state(destination, guest) == "shut off")


def test_a_guest_has_its_address_and_its_key_from_the_network_and_lets_in_who_has_the_key(
    bed: Bed, base_disk: Path, ssh_key: Path
) -> None:
    host = bed.hosts()[0]
    guest = replace(new_guest(bed, base_disk), bridge="virbr-wire", mac="52:54:00:77:00:01")
    folder = guest.disk.parent
    # The files of a config drive are those of the service.
    make_config_drive(folder, host="wired", key=ssh_key.with_suffix(".pub").read_text().strip())
    (folder / "network.xml").write_text(NETWORK)
    virsh(host, "net-create", str(folder / "network.xml"))
    try:
        bed.run(1, ["ip", "address", "add", "169.254.169.254/32", "dev", "virbr-wire"], check=True)
        with defined(bed, guest, host), metadata_server(bed, 1, folder / "drive"):
            virsh(host, "start", guest.name)
            wait_for_console(guest, "sshd")
            assert "sundog-guest: lease eth0 10.77.0.10" in said(guest)
            assert "sundog-guest: data metadata-service host=wired keys=1" in said(guest)
            options = ["-i", str(ssh_key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            ssh = ["ssh", *options, "-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "root@10.77.0.10"]
            command = "set -eu -o pipefail; hostname; grep -c ^processor /proc/cpuinfo"
            done = bed.run(1, [*ssh, command], capture_output=True, timeout=120)
            assert (done.returncode, done.stdout.split()) == (0, ["wired", "1"]), done.stderr
    finally:
        virsh(host, "net-destroy", "wire")


@contextmanager
def metadata_server(bed: Bed, number: int, folder: Path) -> Iterator[None]:
    """Serve a folder's files to a host's guests as OpenStack's metadata service does."""
    first = processes.first_process(bed.host(number).folder)
    command = ["nsenter", "-t", str(first), "-n", "--", sys.executable, "-c", METADATA_SERVER, str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.kill()


def test_a_disk_that_one_host_uses_starts_on_no_other(bed: Bed, base_disk: Path) -> None:
    one, other = bed.hosts()
    guest = new_guest(bed, base_disk)
    with defined(bed, guest, one), defined(bed, guest, other):
        virsh(one, "start", "--paused", guest.name)
        refused = virsh(other, "start", "--paused", guest.name, check=False)
        assert 'Failed to get "write" lock' in refused.stderr
        assert (state(one, guest), state(other, guest)) == ("paused", "shut off")


def test_a_power_cut_takes_a_host_with_its_guests_and_no_other(bed: Bed, base_disk: Path) -> None:
    survivor, victim = bed.hosts()
    guest = new_guest(bed, base_disk)
    with defined(bed, guest, victim):
        virsh(victim, "start", "--paused", guest.name)
        assert status(bed, 2).guests == 1
        bed.kill(2)
        assert (status(bed, 2).on, status(bed, 2).guests) == (False, 0)
        assert not listens(victim)
        assert over_network(survivor) == survivor.name
        bed.revive(2)
        assert over_network(victim) == victim.name
        assert victim.uuid in virsh(victim, "capabilities").stdout
        assert state(victim, guest) == "shut off"
        virsh(victim, "start", "--paused", guest.name)  # nobody holds its disk any more


def test_a_partition_cuts_the_network_and_nothing_else(bed: Bed, base_disk: Path) -> None:
    one, other = bed.hosts()
    guest = new_guest(bed, base_disk)
    with defined(bed, guest, one):
        virsh(one, "start", "--paused", guest.name)
        bed.partition(1)
        try:
            assert not listens(one)
            assert over_network(other) == other.name
            assert state(one, guest) == "paused"  # by the socket
            assert status(bed, 1).partitioned
        finally:
            bed.heal(1)
        wait_for("the links to come up", lambda: over_network(one) == one.name)
        assert status(bed, 1).well


def test_a_partition_outlasts_a_power_cut(bed: Bed) -> None:
    other = bed.hosts()[1]
    bed.partition(2)
    try:
        bed.kill(2)
        bed.revive(2)
        assert not listens(other)
    finally:
        bed.heal(2)
    wait_for("the links to come up", lambda: over_network(other) == other.name)


def test_a_hung_libvirtd_says_nothing_until_it_is_woken_and_slows_no_other(bed: Bed) -> None:
    one, other = bed.hosts()
    bed.hang(1, "libvirtd")
    try:
        wait_for("libvirtd to stop", lambda: status(bed, 1).stopped == ("libvirtd",))
        assert over_network(one, seconds=2) is None
        assert over_network(other) == other.name
    finally:
        bed.wake(1)
    assert over_network(one, seconds=30) == one.name


def test_libvirtd_comes_back_by_itself_and_finds_its_guests(bed: Bed, base_disk: Path) -> None:
    host = bed.hosts()[0]
    guest = new_guest(bed, base_disk)
    with defined(bed, guest, host):
        virsh(host, "start", "--paused", guest.name)
        first = processes.first_process(host.folder)
        assert first is not None
        before = {each.name: each.pid for each in processes.processes(first)}
        bed.run(1, ["sh", "-c", "kill -KILL $(cat /run/libvirtd.pid)"], check=True)
        wait_for("libvirtd to be back", lambda: state(host, guest) == "paused")
        after = {each.name: each.pid for each in processes.processes(first)}
        assert after["libvirtd"] != before["libvirtd"]
        assert after["qemu-system-x86"] == before["qemu-system-x86"]


def test_down_leaves_nothing_behind(bed_machine: None) -> None:
    with free_bed() as own:
        before = traces(own)
        own.up(1)
        host = own.hosts()[0]
        make_base = ["qemu-img", "create", "-q", "-f", "qcow2", str(own.shared / "base.qcow2"), "1M"]
        subprocess.run(make_base, check=True)
        guest = replace(new_guest(own, own.shared / "base.qcow2"), bridge="virbr-wire", mac="52:54:00:77:00:02")
        (own.shared / "network.xml").write_text(NETWORK)
        virsh(host, "net-create", str(own.shared / "network.xml"))
        (own.shared / "domain.xml").write_text(domain(guest))
        virsh(host, "create", "--paused", str(own.shared / "domain.xml"))
        assert traces(own) != before
        own.hang(1)  # down asks nothing of the host
        own.down()
        assert traces(own) == before
        own.down()
        assert own.status() == []


@pytest.mark.parametrize("late", [False, True])
def test_down_cleans_up_after_a_command_that_was_killed(bed_machine: None, late: bool) -> None:
    with free_bed() as own:
        before = traces(own)
        number = own.layout.number
        command = [sys.executable, str(REPOSITORY / "tools/libvirt-bed"), "--bed", str(number), "up", "--hosts", "2"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
            one, two = own.layout.host(1), own.layout.host(2)
            waited_for = two if late else one
            try:
                wait_for("the host to start", lambda: processes.first_process(waited_for.folder) is not None)
            finally:
                killed.kill()
        assert traces(own) != before
        own.up(2)  # goes on where the other was
        assert [host.words for host in own.status()] == ["on", "on"]
        own.down()
        assert traces(own) == before


def traces(bed: Bed) -> dict[str, object]:
    """What there is of a bed on the machine. A process that has ended and waits for its parent is not there."""
    here = Path("/proc/self/ns/net").readlink()
    links = {name for _, name in socket.if_nameindex()}
    return {
        "processes": {path.name for path in Path("/proc").iterdir() if path.name.isdigit() and of_bed(path, bed, here)},
        "links": {name for name in links if re.match(rf"sdb(ed)?{bed.layout.number}(h|t|$)|vnet|virbr-wire", name)},
        "mounts": [
            each for each in Path("/proc/self/mounts").read_text().splitlines() if str(bed.layout.folder) in each
        ],
        "files": bed.layout.folder.exists(),
        "control groups": {str(path) for path in Path("/sys/fs/cgroup").rglob("*machine*") if path.is_dir()},
        # Clouds and tests that other beds have at the same time make some as well.
        "namespaces with names": {
            path.name for path in Path("/run/netns").glob("*") if not path.name.startswith(("sundog-", "sdtest"))
        },
    }


def of_bed(process: Path, bed: Bed, here: Path) -> bool:
    """Whether a process was started with a file of the bed, or has one of its mounts."""
    with suppress(OSError):
        if f"{bed.layout.folder}/".encode() in (process / "cmdline").read_bytes():
            return True
        inside = (process / "ns/net").readlink() != here
        return inside and f"/{bed.layout.number}/h" in (process / "mountinfo").read_text()
    return False


def test_the_folder_of_beds_goes_with_the_last(bed_machine: None) -> None:
    with free_bed() as own:
        own.up(1)
        own.down()
        assert not own.layout.folder.exists()
        assert not ROOT.exists() or any(ROOT.iterdir())
