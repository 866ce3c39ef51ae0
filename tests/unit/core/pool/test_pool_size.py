"""A hundred thousand hosts must fit on a laptop."""

from __future__ import annotations

import tracemalloc

from sundog.core.pool import Pool, ResourceClasses

HOSTS = 100_000
INVENTORY = {"VCPU": 64, "MEMORY_MB": 262144, "DISK_GB": 4000, "PCPU": 8, "VGPU": 2, "CUSTOM_NIC": 25000}


def test_100_000_hosts_with_six_classes_stay_under_100_mb() -> None:
    tracemalloc.start()
    pool = Pool(ResourceClasses(INVENTORY))
    pool.add_providers(
        [f"host-{i:06d}" for i in range(HOSTS)], INVENTORY, zone="az1", traits=["HW_CPU_X86_AVX2"], aggregates=["rack"]
    )
    assert pool.claim(0, [(HOSTS - 1, pool.classes.amounts({"VCPU": 4, "CUSTOM_NIC": 100}))]) is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pool.nbytes < 60e6
    assert pool.nbytes < held < 100e6, "columns, and their names beside them"
