"""``sundog fence-redfish`` against sushy-tools' emulator of BMCs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redfish import PASSWORD, USERNAME, Bmc, bmc

pytestmark = pytest.mark.system

LEFT, RIGHT = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def chassis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bmc]:
    """The BMC of two machines."""
    with bmc(tmp_path_factory.mktemp("bmc"), {"left": LEFT, "right": RIGHT}) as made:
        yield made


def fence(*words: object, username: str = USERNAME, **environment: str) -> tuple[int, str]:
    """How the command ends, and all that it says."""
    command = [sys.executable, "-m", "sundog", "fence-redfish", *map(str, words), "--username", username]
    ran = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin", **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    assert PASSWORD not in ran.stdout
    return ran.returncode, ran.stdout.strip()


def known(chassis: Bmc, machine: str) -> list[object]:
    return [chassis.address, "--password-file", chassis.password, "--ca", chassis.ca, "--system", machine]


def test_a_machine_is_off_when_the_command_has_ended_and_no_other_is(chassis: Bmc) -> None:
    assert fence(*known(chassis, LEFT), SUNDOG_HOST_UUID=LEFT) == (0, f"left ({LEFT}, UUID {LEFT}) is Off")
    assert fence(*known(chassis, LEFT), SUNDOG_HOST_UUID=LEFT) == (0, f"left ({LEFT}, UUID {LEFT}) is Off"), "again"
    path = f"/redfish/v1/Systems/{RIGHT}"
    assert fence(*known(chassis, path), "--status") == (0, f"right ({RIGHT}, UUID {RIGHT}) is On")


def test_a_machine_that_is_not_the_host_stays_on(chassis: Bmc) -> None:
    code, said = fence(*known(chassis, RIGHT), SUNDOG_HOST_UUID=LEFT)
    assert (code, said.splitlines()[-1]) == (
        1,
        f"sundog: the BMC has a machine with the UUID {RIGHT}, and the one to be switched off has {LEFT}; if it is the "
        f"one all the same, use --uuid {RIGHT}",
    )
    assert fence(*known(chassis, RIGHT), "--status")[1].endswith("is On")


def test_what_is_wrong_is_said_in_a_line(chassis: Bmc, tmp_path: Path) -> None:
    secret: list[object] = ["--password-file", chassis.password]
    trusted = ["--ca", chassis.ca]
    there = f"has {LEFT}, {RIGHT}, "
    for words, code, told in (
        ([chassis.address, *secret, *trusted], 2, there + "and it must be said which is meant; use --system"),
        ([chassis.address, *secret, *trusted, "--system", "3"], 2, there + "not one that is 3; use --system"),
        ([chassis.address, "--password-file", chassis.wrong, *trusted], 1, "does not let owner in with this password"),
        ([chassis.address, *secret], 1, "certificate verify failed"),
        ([chassis.address, *secret, *trusted, "--insecure"], 2, "--ca and --insecure exclude each other"),
        ([chassis.address, *secret, "--ca", tmp_path / "none"], 2, "none is not there"),
        ([chassis.address, "--password-file", tmp_path / "none"], 2, "none cannot be read"),
        ([chassis.address.replace("https", "http"), *secret], 2, "would send the password for all to read"),
        (["https://me:canary@127.0.0.1", *secret], 2, "has no name and no password in it"),
        (["192.0.2.1", *secret], 2, "192.0.2.1 is not where a BMC is; write it as https://HOST"),
        (["https://127.0.0.1:1", *secret], 1, "the BMC at https://127.0.0.1:1: "),
    ):
        ended, said = fence(*words)
        assert (ended, len(said.splitlines())) == (code, 1), said
        assert said.startswith("sundog: "), said
        assert told in said
        assert "canary" not in said
    assert fence(*known(chassis, RIGHT), "--status", username="nobody")[0] == 1
    assert fence(*known(chassis, RIGHT)[:3], "--insecure", "--system", RIGHT, "--status")[0] == 0
