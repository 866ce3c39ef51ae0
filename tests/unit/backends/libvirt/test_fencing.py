"""Switching hosts off by a command: what it is told, what it may say, and what nobody else hears."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from sundog.backends.libvirt.fencing import CommandFencer
from sundog.backends.libvirt.link import HostSpec
from sundog.errors import BackendFailed, OutcomeUnknown

HOST = HostSpec("rack1-7", "qemu+tls://192.0.2.7/system", "7" * 32)


def fence(*command: str, limit: float = 30.0) -> None:
    asyncio.run(CommandFencer({HOST.uuid: command}, limit).fence(HOST))


def test_the_command_knows_which_host_and_is_run_without_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "a name; with $(things)"
    fence("sh", "-c", 'printf "%s %s" "$SUNDOG_HOST" "$SUNDOG_HOST_UUID" > "$1"', "sh", str(file))
    assert file.read_text() == f"rack1-7 {HOST.uuid}"


def test_sundog_s_own_commands_are_found_wherever_it_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    fence(Path(sys.executable).name, "-c", "pass")


def test_what_failed_is_told_by_its_last_words_and_never_its_password() -> None:
    with pytest.raises(BackendFailed) as caught:
        fence("sh", "-c", "echo connecting; echo no route to the BMC >&2; exit 3", "sh", "--password=canary")
    assert caught.value.message == "host rack1-7 was not fenced: sh failed: no route to the BMC"
    with pytest.raises(BackendFailed, match="sh failed: exit code 3"):
        fence("sh", "-c", "exit 3")
    with pytest.raises(
        BackendFailed, match="/none/canary, which is to fence host rack1-7, cannot be run: No such file"
    ):
        fence("/none/canary", "secret")


def test_one_that_hangs_is_ended_with_its_children_and_nobody_knows_what_it_did(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(OutcomeUnknown, match=r"was not done after 0\.5 s"):
        fence("sh", "-c", 'sleep 1000 & echo $! > "$1"; wait', "sh", str(file), limit=0.5)
    due = time.monotonic() + 30
    while _runs(int(file.read_text())):
        assert time.monotonic() < due
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_host_without_a_command_says_what_its_owner_can_do() -> None:
    fencer = CommandFencer({})
    assert not fencer.fences(HOST)
    assert CommandFencer({HOST.uuid: ("true",)}).fences(HOST)
    with pytest.raises(BackendFailed, match="sundog host change rack1-7 --fence COMMAND"):
        asyncio.run(fencer.fence(HOST))
