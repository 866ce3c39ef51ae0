"""The serial console of a simulated guest: what it shows, what it answers, and when it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.contract import ConsoleStream, PowerState
from sundog.backends.simulated import FaultKind, HostFault, OperationFault, Scope, SimulatedDriver
from sundog.backends.simulated.console import console_text
from sundog.backends.simulated.machine import Copy
from sundog.backends.simulated.serial import SerialLine
from sundog.backends.simulated.terminal import Terminal
from sundog.errors import BackendFailed, OutcomeUnknown
from sundog.runtime import warp
from tests.drivers import key, make_spec, play

BOOTED = 1000.0


async def opened(driver: SimulatedDriver, host: str = "h0", generation: int = 1) -> ConsoleStream:
    return await driver.open_console(host, key(generation=generation), "serial", deadline=60)


async def rest(console: ConsoleStream) -> bytes:
    """All that is still to be read, up to the end."""
    parts = []
    while part := await console.read():
        parts.append(part)
    return b"".join(parts)


async def typed(console: ConsoleStream, text: str) -> str:
    """What comes of typing ``text``."""
    await console.write(text.encode())
    return (await console.read()).decode()


# ---------------------------------------------------------------- the terminal


def test_somebody_logs_in_looks_around_and_leaves() -> None:
    guest = Terminal("web")
    assert guest.type(b"root\r", 0) == b"root\r\nPassword: "
    assert guest.type(b"secret\r\n", 0).endswith(b"root@web:~$ ")
    said = guest.type(b"echo  a  b\rhostname\rwhoami\runame -a\ruptime\r\rfrob x\r", 3725)
    assert said.decode().split("\r\n") == [
        "echo  a  b", "a b", "root@web:~$ hostname", "web", "root@web:~$ whoami", "root", "root@web:~$ uname -a",
        "Linux", "root@web:~$ uptime", "up 1:02:05", "root@web:~$ ", "root@web:~$ frob x", "sh: frob: not found",
        "root@web:~$ ",
    ]  # fmt: skip
    assert guest.type(b"exit\r", 0) == b"exit\r\nweb login: "
    assert guest.type(b"\r", 0) == b"\r\nweb login: "


def test_a_password_is_not_shown() -> None:
    guest = Terminal("web")
    guest.type(b"root\r", 0)
    assert guest.type(b"canary\x7f", 0) == b""
    assert b"canary" not in guest.type(b"\recho hello\r", 0)


def test_keys_that_are_no_letters() -> None:
    guest = Terminal("web")
    guest.type(b"root\rx\r", 0)
    assert guest.type(b"ab\x7f\b\x7f", 0) == b"ab\b \b\b \b"
    assert guest.type(b"\x1b[A\x1b[1;5C\x1bOP\x00\x07", 0) == b""
    assert guest.type(b"rm -rf\x03", 0) == b"rm -rf^C\r\nroot@web:~$ "
    assert guest.type(b"x\x04", 0) == b"x"
    assert guest.type(b"\x7f\x04", 0) == b"\b \b\r\nweb login: "
    assert guest.type(b"ro\x03", 0) == b"ro^C\r\nweb login: "


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_whatever_is_typed_it_says_the_same_in_any_pieces_and_not_much_more(pieces: list[bytes]) -> None:
    whole, parts = Terminal("web"), Terminal("web")
    data = b"".join(pieces)
    said = whole.type(data, 0)
    assert said == b"".join(parts.type(piece, 0) for piece in pieces)
    assert len(said) <= 500 * len(data)
    assert b"\x1b" not in said


# ---------------------------------------------------------------- the line


def test_it_shows_the_log_then_the_rest_of_the_boot_and_then_answers() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(name="web"), deadline=60)
        console = await opened(driver)
        begun = (await console.read()).decode()
        assert "Linux version" in begun
        assert "login" not in begun
        await console.write(b"too early\r")
        booted = (await console.read()).decode()
        assert booted.endswith("\r\n\r\nweb login: ")
        assert "too early" not in booted
        log = await driver.console_log("h0", key(), deadline=60)
        assert (begun + booted).replace("\r\n", "\n").encode() == log
        assert await typed(console, "root\r") == "root\r\nPassword: "
        assert (await typed(console, "x\r")).endswith("root@web:~$ ")
        assert await typed(console, "echo hello\r") == "echo hello\r\nhello\r\nroot@web:~$ "

    play(main)


@given(st.floats(0, 1e6), st.floats(0.01, 100))
def test_it_is_complete_when_the_guest_has_booted_to_the_last_bit_of_a_float(start: float, boot: float) -> None:
    def log(now: float) -> str:
        return console_text(Copy(make_spec(name="web"), starts=[start]), (boot,), now)

    async def main(_world: warp.World) -> None:
        await asyncio.sleep(start)
        line = SerialLine("web", log, start + boot, lambda: True)
        shown = await line.read()
        if not shown.endswith(b"login: "):
            shown = await asyncio.wait_for(line.read(), 1000)
        assert shown.endswith(b"web login: ")

    warp.run(main)


@pytest.mark.parametrize("operation", ["power_off", "suspend", "destroy", "reboot", "kill", "partition", "crash"])
def test_it_ends_with_the_run_of_its_guest(operation: str) -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60)
        console = await opened(driver)
        reading = asyncio.ensure_future(rest(console))
        await asyncio.sleep(BOOTED)
        assert not reading.done()
        if operation in ("kill", "partition"):
            driver.faults.strike(HostFault(operation), Scope("h0"))
        elif operation == "crash":
            driver.crash("h0", key())
        elif operation == "reboot":
            await driver.reboot("h0", key(), "HARD", deadline=60)
        else:
            await getattr(driver, operation)("h0", key(), deadline=60)
        await asyncio.sleep(10)
        assert b"login: " in reading.result()
        with pytest.raises(BackendFailed, match="has ended"):
            await console.write(b"x")

    play(main)


def test_a_host_that_was_off_for_a_moment_has_ended_its_consoles() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60)
        console = await opened(driver)
        driver.faults.strike(HostFault.PARTITION, Scope("h0"))
        await asyncio.sleep(1)
        driver.faults.strike(HostFault.KILL, Scope("h0"))
        await asyncio.sleep(60)
        assert b"Linux" in await rest(console)

    play(main)


def test_what_is_out_of_reach_or_stands_still_says_nothing() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60)
        await asyncio.sleep(BOOTED)
        console = await opened(driver)
        await console.read()
        await driver.pause("h0", key(), deadline=60)
        await console.write(b"lost")
        await driver.unpause("h0", key(), deadline=60)
        assert await typed(console, "a") == "a"
        driver.faults.strike(HostFault.PARTITION, Scope("h0"))
        await console.write(b"lost")
        await asyncio.sleep(1)
        driver.faults.strike(HostFault.HEAL, Scope("h0"))
        assert await typed(console, "b") == "b"

    play(main)


def test_one_opened_while_its_guest_stands_still_begins_when_it_goes_on() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(name="web"), deadline=60)
        await asyncio.sleep(BOOTED)
        await driver.pause("h0", key(), deadline=60)
        console = await opened(driver)
        reading = asyncio.ensure_future(console.read())
        await asyncio.sleep(100)
        assert not reading.done()
        await driver.unpause("h0", key(), deadline=60)
        assert (await reading).endswith(b"web login: ")

    play(main)


def test_a_stopped_server_has_none_and_a_lost_reply_does_no_harm() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(), deadline=60)
        driver.faults.order(OperationFault(FaultKind.LOSE, "open_console", Scope("h0")))
        with pytest.raises(OutcomeUnknown):
            await opened(driver)
        console = await opened(driver)
        assert b"Linux" in await console.read()
        await driver.power_off("h0", key(), deadline=60)
        with pytest.raises(BackendFailed, match="is shutdown and cannot show its console"):
            await opened(driver)
        assert (await driver.list_servers("h0", deadline=60))[0].power_state is PowerState.SHUTDOWN

    play(main)


def test_who_types_without_reading_waits() -> None:
    async def main(driver: SimulatedDriver) -> Any:
        await driver.spawn("h0", make_spec(), deadline=60)
        await asyncio.sleep(BOOTED)
        console = await opened(driver)

        async def type_on() -> None:
            while True:
                await console.write(b"x\x7f" * 500)

        typing = asyncio.ensure_future(type_on())
        await asyncio.sleep(1)
        size = len(await console.read())
        assert 2**16 <= size <= 2**16 + 2500
        await asyncio.sleep(1)
        await console.close()
        with pytest.raises(BackendFailed, match="has ended"):
            await typing

    play(main)


def test_a_log_that_is_long_is_shown_by_its_end() -> None:
    async def main(driver: SimulatedDriver) -> None:
        await driver.spawn("h0", make_spec(name="web"), deadline=60)
        for _ in range(60):
            await driver.reboot("h0", key(), "HARD", deadline=60)
        await asyncio.sleep(BOOTED)
        shown = await (await opened(driver)).read()
        assert len(shown) == 2**14
        assert shown.endswith(b"web login: ")

    play(main)
