"""A cloud as a user starts it: processes of their own, sockets, signals, restarts."""

from __future__ import annotations

import configparser
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.system.test_command import environment

pytestmark = [pytest.mark.system, pytest.mark.slow]


@contextmanager
def served(state: Path, *options: object) -> Iterator[tuple[str, str]]:
    """The address of a cloud that runs on a folder, and its clouds.yaml; it stops in order when it is told to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "sundog", "serve", "--state", str(state), "--listen", address]
    command += map(str, options)
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "listens" in process.stdout.readline()
            yield address, re.findall(r"OS_CLIENT_CONFIG_FILE=(\S+)", process.stdout.readline())[0]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0


def tempest_conf(clouds: str, *options: object) -> configparser.ConfigParser:
    command = [sys.executable, "-m", "sundog", "tempest-conf", "--clouds", clouds, *(str(each) for each in options)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=True)
    conf = configparser.ConfigParser(interpolation=None, default_section="none")
    conf.read_string(done.stdout)
    return conf


def test_a_cloud_is_described_for_tempest_and_stays_the_same_over_a_restart(tmp_path: Path) -> None:
    with served(tmp_path / "state", "--hosts", 50) as (address, clouds):
        first = tempest_conf(clouds, "--work", tmp_path)
    written = (tmp_path / "state/audit.jsonl").read_text(encoding="utf-8").splitlines()
    logins = [event for event in map(json.loads, written) if event["operation"] == "POST /identity/v3/auth/tokens"]
    assert logins
    assert {event["outcome"] for event in logins} == {"success"}
    assert first["identity"]["uri_v3"] == f"http://{address}/identity/v3"
    assert first["network"]["floating_network_name"] == "public"
    with served(tmp_path / "state") as (_, clouds):
        again = tempest_conf(clouds, "--work", tmp_path)
    assert again["network"]["public_network_id"] == first["network"]["public_network_id"]
    assert again["auth"]["admin_password"] == first["auth"]["admin_password"]
