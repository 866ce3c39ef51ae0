"""What is wrong with a host is said with what to do about it, when it is added and when it is connected."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sundog.backends.contract import HostState
from sundog.backends.libvirt.domain_xml import write_domain
from sundog.backends.libvirt.failures import Code
from sundog.backends.libvirt.host_check import Finding, HostCheck, check_host
from sundog.backends.libvirt.identity import FILE, Identity, write_identity
from sundog.backends.libvirt.link import HostSpec, Link, Patience
from sundog.backends.libvirt.native import library
from sundog.backends.libvirt.records import VirtType
from sundog.backends.libvirt.storage import LOGS, POOL
from tests.unit.backends.libvirt.domains import make_domain
from tests.unit.backends.libvirt.fake_libvirt import GIB, UUID, Connection, Host, Library, LibvirtError

SPEC = HostSpec("", "qemu+tls://a/system", address="192.0.2.1", cloud="ours")


def check(host: Host, virt_type: VirtType | None = None, spec: HostSpec = SPEC) -> HostCheck:
    return asyncio.run(check_host(spec, virt_type=virt_type, native=Library(a=host)))


def missing(found: HostCheck) -> list[Finding]:
    return [each for each in found.findings if each.verdict == "missing"]


def left(**facts: str) -> Host:
    """A host with a file that says what it was."""
    host = Host()
    pool = Connection(host).storagePoolDefineXML(
        f"<pool><name>{POOL}</name><target><path>{SPEC.pool}</path></target></pool>", 0
    )
    pool.create(0)
    volume = pool.createXML(f"<volume><name>{FILE}</name><capacity>0</capacity></volume>", 0)
    was = {"uuid": UUID, "hostname": host.name, "name": "host-1", "cloud": "ours"}
    volume.data = bytearray(write_identity(Identity(**was | facts)))
    return host


def theirs() -> Host:
    return left(cloud="theirs")


def test_a_host_in_order_is_usable_and_nothing_is_left_on_it_but_its_pools() -> None:
    host = Host()
    found = check(host)
    assert found.usable
    assert {each.verdict for each in found.findings} == {"good"}
    assert (found.spec.name, found.spec.uuid, found.spec.virt_type) == ("host-1", UUID, "kvm")
    assert host.networks == {}
    assert {name: list(pool.volumes) for name, pool in host.pools.items()} == {POOL: [], LOGS: []}


SASL = LibvirtError("authentication failed: Failed to start SASL negotiation: -20", Code.AUTH_FAILED)
CERTIFICATE = LibvirtError("Unable to verify TLS peer: The certificate is not trusted.", 1)

WRONG = {
    "cannot be reached": (
        Host(refuses={"open": LibvirtError("unable to connect to server: Connection refused", 38)}),
        "connection", "Connection refused", "is libvirtd-tls.socket started on a",
    ),
    "wrong password": (Host(refuses={"open": SASL}), "connection", "authentication failed", "certificates"),
    "wrong certificate": (Host(refuses={"open": CERTIFICATE}), "connection", "not trusted", "certificates"),
    "an old libvirt": (Host(version=8_010_000), "libvirt", "it is 8.10.0", "install 9.0.0 or later"),
    "no kvm": (Host(kinds=("qemu",)), "KVM", "cannot be used", "--virt-type qemu"),
    "no qemu": (Host(kinds=()), "QEMU", "no x86_64 guests", "apt install qemu-system-x86"),
    "no bridge": (
        Host(refuses={"networkCreateXML": LibvirtError("Unable to create bridge sbrcheck: Operation not supported")}),
        "bridges", "Unable to create bridge", "load the module bridge",
    ),
    "no nwfilter": (
        Host(refuses={"listAllNWFilters": LibvirtError("this function is not supported", Code.NO_SUPPORT)}),
        "nwfilter", "not supported", "install libvirt's nwfilter driver",
    ),
    "a full disk": (Host(free=GIB - 1), "disk", "0 GiB are free", "make room, or say --pool DIR"),
    "a disk that cannot be written": (
        Host(refuses={"build": LibvirtError("cannot create path '/var/lib/libvirt/sundog': Read-only file system")}),
        "disk", "Read-only file system", "--pool says another place",
    ),
    "another cloud's servers": (Host(domains=(write_domain(make_domain()),)), "servers", "it holds 1", "undefine"),
    "another cloud's file": (theirs(), "owner", "belongs to cloud theirs", "sundog host remove"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_host_is_said_with_what_to_do(name: str) -> None:
    host, what, told, advice = WRONG[name]
    found = check(host)
    assert not found.usable
    (each,) = missing(found)
    assert each.what == what
    assert told in each.told
    assert advice in each.advice
    assert str(each).startswith("missing ")


def test_without_kvm_guests_are_emulated_only_when_that_is_said() -> None:
    assert check(Host(kinds=("qemu",)), "qemu").usable
    assert [each.what for each in missing(check(Host(kinds=("kvm",)), "qemu"))] == ["KVM"]


@pytest.mark.parametrize(
    ("host", "what", "told"),
    [
        (Host(free=5 * GIB), "disk", "5 GiB"),
        (Host(memory_mib=900), "size", "900 MiB"),
        (Host(ahead=90.0), "clock", "ahead"),
        (Host(ahead=-90.0), "clock", "behind"),
    ],
)
def test_what_is_odd_about_a_host_is_noted_and_it_is_taken(host: Host, what: str, told: str) -> None:
    found = check(host)
    assert found.usable
    (note,) = [each for each in found.findings if each.verdict == "note"]
    assert (note.what, told in note.told) == (what, True)


def test_another_place_for_disks_is_taken_where_nothing_was_put_into_the_first() -> None:
    host = Host(free=0)
    assert "say --pool DIR" in missing(check(host))[0].advice
    host.free = 500 * GIB
    found = check(host, spec=replace(SPEC, pool="/big"))
    assert found.usable
    assert {name: pool.path for name, pool in host.pools.items()} == {POOL: "/big", LOGS: "/big/console-logs"}


def test_another_place_for_disks_is_refused_where_the_first_has_files() -> None:
    host = theirs()
    (each,) = missing(check(host, spec=replace(SPEC, pool="/big")))
    assert each.what == "disk"
    assert f"in {SPEC.pool}, with files in it, and not in /big; say --pool {SPEC.pool}" in each.told
    assert host.pools[POOL].path == SPEC.pool
    assert "not in /big" in connected(host, pool="/big").reason


# ------------------------------------------------------------------------------------------ when it is connected later


def connected(host: Host, *, twin: str | None = None, **facts: object) -> Link:
    """A host as it is when somebody has tried to connect it. ``twin`` is another one with its uuid."""
    spec = HostSpec("host-1", SPEC.uri, uuid=UUID, cloud="ours", **facts)  # type: ignore[arg-type]
    seen: list[Link] = []

    async def main() -> None:
        link = Link(0, spec, Library(a=host), lambda _event: None, Patience(pulse=0.01, connect=5.0, call=5.0),
                    lambda _link, _uuid: twin)  # fmt: skip
        seen.append(link)
        assert not link.is_known
        task = asyncio.create_task(link.run())
        async with asyncio.timeout(30):
            while not link.is_known:
                await asyncio.sleep(0.001)
        state, reason = link.state, link.reason
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        link.state, link.reason = state, reason

    asyncio.run(main())
    return seen[0]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cannot be reached", "Connection refused"),
        ("wrong password", "authentication failed"),
        ("wrong certificate", "not trusted"),
        ("an old libvirt", "8.10.0; it takes 9.0.0 or later"),
        ("no kvm", "load the kvm module"),
        ("a disk that cannot be written", "Read-only file system"),
        ("another cloud's file", "belongs to cloud theirs"),
    ],
)
def test_a_host_with_something_wrong_is_down_and_says_why(name: str, why: str) -> None:
    link = connected(WRONG[name][0])
    assert link.state is HostState.DOWN
    assert why in link.reason
    record = link.record()
    assert record is not None
    assert why in record.reason


def test_a_host_in_order_is_up_with_a_slash_after_its_pool_too() -> None:
    assert connected(Host()).state is HostState.UP
    host = left()
    for _ in range(2):
        assert connected(host, pool=f"{SPEC.pool}/").state is HostState.UP


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"hostname": "before"}, "the host name of host host-1 was before and is now host-1.example.org"),
        ({"uuid": "0" * 36}, "the uuid of host host-1 was"),
    ],
)
def test_a_host_that_is_not_what_it_was_is_left_alone_with_its_file(facts: dict[str, str], why: str) -> None:
    host = left(**facts)
    before = bytes(host.pools[POOL].volumes[FILE].data)
    link = connected(host)
    assert (link.state, link.quarantined, why in link.reason) == (HostState.DOWN, True, True)
    assert bytes(host.pools[POOL].volumes[FILE].data) == before


def test_of_two_hosts_with_one_uuid_the_second_is_left_alone() -> None:
    link = connected(Host(), twin="host-0")
    assert (link.state, link.quarantined) == (HostState.DOWN, True)
    assert "which host host-0 is" in link.reason


def test_a_host_that_cannot_be_reached_is_said_by_libvirt_itself() -> None:
    """Against the library, on a port where nobody listens, and by an ssh that is let in nowhere."""
    pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        uri = f"qemu+tcp://127.0.0.1:{nobody.getsockname()[1]}/system"
        (each,) = missing(asyncio.run(check_host(HostSpec("", uri), native=library())))
    assert "refused" in each.told
    assert "libvirtd-tcp.socket" in each.advice


def test_a_key_that_ssh_does_not_take_is_said_with_what_to_try(tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'root@host-1: Permission denied (publickey).' >&2\nexit 255\n")
    ssh.chmod(0o755)
    uri = f"qemu+ssh://root@host-1/system?no_tty=1&command={ssh}"
    (each,) = missing(asyncio.run(check_host(HostSpec("", uri), native=library())))
    assert "Permission denied" in each.told
    assert "ssh root@host-1 virsh" in each.advice


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("unable to connect to server at 'a:16509': Connection refused", HostState.UP),
        ("Cannot recv data: ssh: connect to host a port 22: No route to host", HostState.DOWN),
        ("unable to connect to server at 'a:16509': Connection timed out", HostState.DOWN),
    ],
)
def test_a_daemon_that_ended_has_time_to_start_again_where_its_machine_is_there(said: str, state: HostState) -> None:
    host, patience = Host(), Patience(pulse=0.01, silent=0.1, restart=60.0, connect=5.0, call=5.0)
    opened = host.opened

    async def main() -> None:
        link = Link(0, HostSpec("host-1", SPEC.uri, uuid=UUID, cloud="ours"), library, lambda _event: None, patience)
        task = asyncio.create_task(link.run())
        async with asyncio.timeout(30):
            while not link.is_known:
                await asyncio.sleep(0.001)
            host.refuses = {
                "open": LibvirtError(said, 38),
                "getLibVersion": LibvirtError("End of file while reading data: Input/output error", 38),
            }
            while link.state is HostState.UP and library.refused < 4:
                await asyncio.sleep(0.001)
            assert link.state is state
            host.refuses = {}
            while host.opened == opened + 2 or link.state is not HostState.UP:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    class Counting(Library):
        refused = 0

        def open(self, uri: str) -> Connection:
            self.refused += bool(host.refuses)
            return super().open(uri)

    library = Counting(a=host)
    asyncio.run(main())
