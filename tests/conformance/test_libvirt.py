"""``check_driver`` on real hosts: the driver of libvirt keeps the contract, in order and in trouble."""

from __future__ import annotations

import numpy as np
import pytest

from sundog.backends.conformance import CLAUSES, check_driver
from sundog.backends.libvirt.driver import LibvirtDriver
from sundog.runtime.ids import Ids
from tests.bed.bed import Bed
from tests.real_hosts import BedTrouble, guest_reference, play

pytest.importorskip("libvirt", reason="libvirt-python is not installed: pip install 'sundog[libvirt]'")

pytestmark = [pytest.mark.libvirt, pytest.mark.slow]


@pytest.mark.parametrize("clause", CLAUSES)
def test_real_hosts_keep_the_contract(bed: Bed, tmp_path_factory: pytest.TempPathFactory, clause: str) -> None:
    async def scene(driver: LibvirtDriver, trouble: BedTrouble) -> None:
        found = await check_driver(
            driver, image=guest_reference(), ids=Ids(np.random.default_rng()), deadline=60.0, patience=60.0,
            memory_mib=96, only=[clause], trouble=trouble,
        )  # fmt: skip
        if found.skipped:
            pytest.skip(found.skipped[0])
        assert found.clauses == (clause,)
        assert not any(wire.tricks for wire in trouble.wires.values()), "a trick was never played"

    play(bed, tmp_path_factory.getbasetemp() / "libvirt-images", scene)
