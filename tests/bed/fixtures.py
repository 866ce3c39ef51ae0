"""Fixtures of tests on real libvirt hosts, marked ``libvirt``; they skip, with the reason, where none can be."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.bed.bed import Bed, check_machine, held
from tests.bed.image import guest_image
from tests.bed.layout import BEDS
from tests.bed.needs import GUEST, BedError, NotInstalled, need

FIRST = 50
"""Beds from this one on are taken by tests, lower ones are for use by hand."""


@contextmanager
def free_bed() -> Iterator[Bed]:
    """A bed that nobody uses, down at the start and at the end, also if tests that had it were killed."""
    with ExitStack() as stack:
        for number in range(FIRST, BEDS.stop):
            if stack.enter_context(held(f"sundog-bed-tests-{number}")):
                break
        else:
            raise BedError(f"all beds from {FIRST} on are in use by other tests")
        bed = Bed(number)
        bed.down()
        try:
            yield bed
        finally:
            bed.down()


@pytest.fixture(scope="session")
def bed_machine() -> None:
    """Skip where no bed can be."""
    try:
        check_machine()
        need(GUEST)
    except NotInstalled as error:
        pytest.skip(f"{error}; tools/libvirt-bed needs --install")
    except BedError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def bed(bed_machine: None) -> Iterator[Bed]:
    """Two hosts, for all tests of the run: a test leaves them on, in reach and empty."""
    with free_bed() as bed:
        bed.up(2)
        yield bed


@pytest.fixture(scope="session")
def base_disk(bed: Bed) -> Path:
    """The tiny guest's disk where all hosts see it; guests have overlays on it."""
    return Path(shutil.copy(guest_image().disk, bed.shared / "base.qcow2"))


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key to log in to guests with; the public one is beside it, with ``.pub``."""
    key = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", key], check=True)
    return key
