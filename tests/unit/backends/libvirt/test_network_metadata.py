"""Who asks for metadata is who the network and the address say, whatever the guest writes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.libvirt.network_metadata import Caller, Reply, answer, callers, written
from sundog.backends.libvirt.network_shell import Machine, machine_of
from sundog.errors import BackendFailed
from tests.unit.backends.libvirt.wiring import SERVER, TENANT

ME = Caller(SERVER, "a-project")


def asked(head: bytes, caller: Caller | None = ME) -> tuple[Reply, list[tuple[str, Caller]]]:
    seen: list[tuple[str, Caller]] = []

    async def ask(path: str, who: Caller) -> Reply:
        seen.append((path, who))
        return Reply(200, b"a document")

    return asyncio.run(answer(head, caller, ask)), seen


def test_a_server_is_known_by_its_address_and_a_port_of_no_server_is_nobody() -> None:
    assert callers(TENANT) == {"10.5.0.11": ME, "fd00:5::11": ME}


def test_no_header_says_who_asks() -> None:
    forged = b"X-Forwarded-For: 10.5.0.12\r\nX-Instance-ID: another\r\nX-Tenant-ID: b\r\nX-Instance-ID-Signature: x\r\n"
    reply, seen = asked(b"GET /latest/meta-data/?x=1 HTTP/1.1\r\nHost: a\r\n" + forged + b"\r\n")
    assert (reply.status, seen) == (200, [("/latest/meta-data/", ME)])
    assert asked(b"GET / HTTP/1.1\r\n" + forged + b"\r\n", None) == (Reply(404, b"Not Found\n"), [])


def test_a_head_has_no_body_and_nothing_can_be_written() -> None:
    assert asked(b"HEAD / HTTP/1.0\r\n\r\n")[0].content == b""
    assert asked(b"POST / HTTP/1.1\r\n\r\n") == (Reply(405, b"Method Not Allowed\n"), [])


@given(st.binary(max_size=60))
def test_whatever_a_guest_sends_is_answered(head: bytes) -> None:
    reply, seen = asked(head + b"\r\n\r\n")
    assert reply.status in (200, 400, 405)
    assert all("\r" not in path and "\n" not in path for path, _ in seen)
    assert written(reply).startswith(b"HTTP/1.1 ")


def test_commands_reach_hosts_as_libvirt_does() -> None:
    ssh = machine_of("a", "qemu+ssh://root@a.example:2222/system")
    assert ssh == Machine("a", ("ssh", "-o", "BatchMode=yes", "-p", "2222", "--", "root@a.example"), quoted=True)
    assert machine_of("a", "qemu:///system") == Machine("a")
    assert machine_of("a", "qemu+tls://a.example/system") is None
    assert machine_of("a", "qemu+unix:///system?socket=/x") is None
    assert machine_of("a", "qemu+tls://a.example/system", ("ssh", "a", "--")) == Machine("a", ("ssh", "a", "--"))


def test_words_stay_words_where_a_shell_reads_them_again() -> None:
    far = Machine("far", ("sh", "-c", 'eval "$*"', "sh"), quoted=True)
    assert asyncio.run(far.run("printf", "%s|", "a b", "$(id)", "'", "\n")) == "a b|$(id)|'|\n|"


def test_a_command_that_fails_or_is_not_there_says_so() -> None:
    with pytest.raises(BackendFailed, match="not here"):
        asyncio.run(Machine("m").run("sh", "-c", "echo not here >&2; exit 3"))
    with pytest.raises(BackendFailed, match="install it"):
        asyncio.run(Machine("m").run("no-such-program-anywhere"))
