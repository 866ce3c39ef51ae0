"""Seconds that the real Nova takes to filter and weigh, with its default filters and weighers; JSON on standard output.

    tools/setup-nova .venv-nova && .venv-nova/bin/python benchmarks/nova_real.py [--hosts 1000 5000] [--decisions 20]

One decision is ``SchedulerManager._get_sorted_hosts`` and ``consume_from_request`` over hosts in memory, with no
logging, database, Placement or RPC, which in a real cloud come on top. The median and the fastest decision are told.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "system" / "nova"))

import real  # noqa: E402

FLAVORS = [(vcpus, vcpus * ratio) for vcpus in (1, 2, 4, 8, 16) for ratio in (1024, 2048, 4096, 8192)]


def case(hosts: int) -> dict:
    """Hosts of one kind, used differently."""
    return {
        "seed": 0,
        "options": {},
        "requests": [],
        "hosts": [
            {
                "name": f"h{number:05}", "vcpus": 64, "memory_mb": 262144, "disk_gb": 4000,
                "vcpus_used": number * 7 % 64, "memory_mb_used": 512 + number * 3571 % 131072,
                "disk_gb_used": number * 13 % 2000, "cpu_allocation_ratio": 4.0, "ram_allocation_ratio": 1.0,
                "disk_allocation_ratio": 1.0, "num_instances": number % 17, "num_io_ops": number % 3,
                "hypervisor_type": "QEMU", "hypervisor_version": 6002000,
            }
            for number in range(hosts)
        ],
    }  # fmt: skip


def measure(hosts: int, decisions: int) -> dict:
    """Seconds a decision on so many hosts."""
    cloud = real.Cloud(case(hosts))
    cloud.hosts.get_weighed_hosts = super(real.HostManager, cloud.hosts).get_weighed_hosts  # nothing is recorded
    seconds = []
    with cloud.stood_in():
        for number in range(decisions + 2):
            vcpus, memory = FLAVORS[number % len(FLAVORS)]
            spec = cloud.spec({"id": f"s{number}", "vcpus": vcpus, "memory_mb": memory, "root_gb": 20})
            begin = time.perf_counter()
            chosen = cloud.scheduler._get_sorted_hosts(spec, cloud.states, 0)[0]
            cloud.scheduler._consume_selected_host(chosen, spec, instance_uuid=spec.instance_uuid)
            seconds.append(time.perf_counter() - begin)
    counted = seconds[2:]  # the first ones load what is loaded lazily
    return {"hosts": hosts, "decisions": decisions, "median_s": statistics.median(counted), "least_s": min(counted)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--decisions", type=int, default=20)
    given = parser.parse_args()
    real.start()
    results = [measure(hosts, given.decisions) for hosts in given.hosts]
    told = {"nova": version("nova"), "python": platform.python_version(), "machine": platform.machine()}
    print(json.dumps(told | {"results": results}, indent=2))


if __name__ == "__main__":
    main()
