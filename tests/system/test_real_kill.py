"""kill -9 of a control plane over real hosts: what was acknowledged happens, nothing is left, no guest is harmed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.bed.bed import Bed
from tests.conftest import REPOSITORY
from tests.real_hosts import guest_disk
from tests.system.real_clouds import RealCloud, clear, idle_cloud
from tests.system.real_killing import OPERATIONS
from tests.system.test_command import environment

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]

DONE: dict[str, dict[str, Any] | None] = {
    "create": {"vm_state": "active", "power": "RUNNING", "flavor": "1"},
    "delete": None,
    "resize": {"vm_state": "resized", "power": "RUNNING", "flavor": "2"},
    "migrate": {"vm_state": "resized", "power": "RUNNING", "flavor": "1"},
    "live-migrate": {"vm_state": "active", "power": "RUNNING", "flavor": "1"},
}
LIVE = "live-migrate"
MOST = 200
"""More points than any operation has."""


@dataclass
class Tried:
    """A cloud whose control plane is started and killed again and again. ``ran`` are the guests nobody touches."""

    cloud: RealCloud
    bed: Bed
    ran: dict[str, str] = field(default_factory=dict)

    def life(self, operation: str = "", instant: str = "never") -> tuple[bool, list[dict[str, Any]]]:
        """A life of the control plane: whether it was killed, and what it said."""
        command = [sys.executable, "-W", "ignore", "-m", "tests.system.real_killing", str(self.cloud.state)]
        done = subprocess.run(
            [*command, str(guest_disk()), operation, instant],
            cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -9), f"{operation} {instant}: {done.stdout}\n{done.stderr[-3000:]}"
        return done.returncode == -9, [json.loads(line) for line in done.stdout.splitlines()]

    def try_all(self, operation: str, instants: Iterable[str]) -> int:
        """Kill it at instants of an operation until one comes that is not reached; how many were.

        What is left is looked at by the next life.
        """
        if operation == LIVE:
            self.life("delete")
        count, before, where = 0, -1, "at first"
        for instant in (*instants, ""):
            killed, (found, *said) = self.life(operation if instant else "", instant or "never")
            self.look(operation, found, before, where)
            if not killed:
                return count
            count += 1
            before, where = said[0]["generation"] if said else -1, f"{operation}, killed at {instant}"
        return count

    def look(self, operation: str, found: dict[str, Any], before: int, where: str) -> None:
        """The books are right, hosts hold what they should, and no guest was started anew.

        ``before`` is the generation of the server when the operation was acknowledged, -1 if it was not.
        """
        where = f"{where}: {found}"
        assert found["wrong"] == [], where
        server = found["server"]
        assert server is None or server["task_state"] is None, where
        if before >= 0:
            done = DONE[operation]
            assert (server and {name: server[name] for name in done or ()}) == done, where
            assert operation != LIVE or server["generation"] == before + 1, where
        runs = [(name, number) for held in found["runs"].values() for name, number in held.items()]
        mine = None if server is None else f"sundog-{server['id']}"
        others = {name: number for name, number in runs if name != mine}
        self.ran = self.ran or others
        assert len(others) == 2, where
        assert others == self.ran, where
        if server is not None:
            copies = [name for name, _ in runs].count(str(mine))
            assert copies == (server["power"] == "RUNNING"), where
            # It was made for this, waited for, and only moved since.
            assert operation != LIVE or server["boots"] == (server["generation"] == 1), where


@pytest.fixture(scope="module")
def tried(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    """A cloud with a guest on each host that must not notice anything; at the end nothing is left of it."""
    try:
        with idle_cloud(tmp_path_factory.mktemp("killed") / "state") as cloud:
            for place in bed.hosts():
                cloud.command("host", "add", place.tcp, "--virt-type", "qemu")
            yield Tried(cloud, bed)
            assert "0 found" in cloud.command("audit")
    finally:
        clear(bed)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_killed_at_every_commit(tried: Tried, operation: str) -> None:
    # A migration is a resize to the same size: half of it is enough.
    sides = ("before",) if operation == "migrate" else ("before", "after")
    killed = tried.try_all(operation, (f"{side}:{number}" for number in range(1, MOST) for side in sides))
    print(f"{operation}: killed at {killed} instants")
    assert killed % len(sides) == 0
    assert killed >= 4


def test_it_is_killed_while_a_guest_moves(tried: Tried) -> None:
    assert tried.try_all(LIVE, [f"in:{seconds}" for seconds in (0.2, 0.5, 0.8, 1.1)]) > 0


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_killed_before_every_request_to_a_host(tried: Tried, operation: str) -> None:
    killed = tried.try_all(operation, (f"call:{number}" for number in range(1, MOST)))
    print(f"{operation}: killed at {killed} instants")
    assert killed >= 4


@pytest.mark.proof
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_killed_at_any_instant(tried: Tried, operation: str) -> None:
    dice = random.Random(5)
    killed = sum(tried.try_all(operation, [f"in:{dice.uniform(0.0, 4.0):.2f}"]) for _ in range(40))
    print(f"{operation}: killed at {killed} instants of 40")
    assert killed >= 4
