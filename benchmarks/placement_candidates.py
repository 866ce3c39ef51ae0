"""Allocation candidates over 1,000 hosts: ours and OpenStack's Placement side by side.

    .venv/bin/python benchmarks/placement_candidates.py [--hosts 1000] [--repeats 15]

OpenStack's comes from the environment that tools/placement-gabbi makes, over SQLite in a file. Both are asked in their
own process without a socket, by the same request at microversion 1.39, and answer with every host. Told is the median
of CPU milliseconds a request, the client's part included on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OTHER = ROOT / ".venv-placement/bin/python"
QUERY = "allocation_candidates?resources=VCPU:2,MEMORY_MB:2048,DISK_GB:20"
STOCK = {
    "VCPU": {"total": 32, "allocation_ratio": 16.0, "max_unit": 32},
    "MEMORY_MB": {"total": 262_144, "max_unit": 262_144},
    "DISK_GB": {"total": 2000, "max_unit": 2000},
}
VERSION = {"OpenStack-API-Version": "placement 1.39"}


def timed(ask: Callable[[], int], repeats: int) -> float:
    """The median of CPU milliseconds of ``ask``, which answers with a count; the first time is left out."""
    taken = []
    for _ in range(repeats + 1):
        begun = time.process_time()
        found = ask()
        taken.append(1000 * (time.process_time() - begun))
    print(f"{found} candidates; {', '.join(f'{each:.0f}' for each in taken)} ms", file=sys.stderr)
    return statistics.median(taken[1:])


def ours(hosts: int, repeats: int) -> float:
    """Sundog's."""
    from types import SimpleNamespace

    import numpy as np

    sys.path.insert(0, str(ROOT))
    from sundog.api.kit.application import application
    from sundog.api.kit.noauth import noauth2
    from sundog.api.kit.policy import Policy
    from sundog.api.kit.service import Desk
    from sundog.api.placement import SERVICE
    from sundog.control.placement import NewProvider, Placement
    from sundog.control.store import open_store
    from sundog.core.pool import Inventory, Pool
    from sundog.runtime import clock
    from sundog.runtime.ids import Ids
    from tests.unit.api.client import Client

    store = open_store(":memory:")
    store.migrate()
    ids = Ids(np.random.default_rng(1))
    placement = Placement(store, Pool(), new_uuid=ids.uuid, now=clock.wall_utcnow)
    stock = {name: Inventory(**each) for name, each in STOCK.items()}
    placement.create_providers([NewProvider(f"h{i}", inventories=stock) for i in range(hosts)])
    desk = Desk(SimpleNamespace(placement=placement), Policy(SERVICE.rules), str, lambda: "req-1", noauth2("127.0.0.1"))
    client = Client(application([SERVICE], desk), x_auth_token="admin")

    def ask() -> int:
        answer = client.get(f"/placement/{QUERY}", headers=VERSION)
        return answer.text.count('"mappings"')

    return timed(ask, repeats)


def theirs(hosts: int, repeats: int) -> float:
    """OpenStack's; runs in the other environment."""
    from oslo_config import cfg
    from oslo_policy import opts
    from placement import conf, direct

    settings = cfg.ConfigOpts()
    conf.register_opts(settings)
    opts.set_defaults(settings)
    with tempfile.TemporaryDirectory() as folder:
        settings.set_override("connection", f"sqlite:///{folder}/placement.db", group="placement_database")
        settings.set_override("sync_on_startup", True, group="placement_database")
        settings([], default_config_files=[])
        with direct.PlacementDirect(settings, latest_microversion=True) as client:
            for i in range(hosts):
                made = client.post("/resource_providers", json={"name": f"h{i}"}, headers=VERSION).json()
                body = {"resource_provider_generation": 0, "inventories": STOCK}
                client.put(f"/resource_providers/{made['uuid']}/inventories", json=body, headers=VERSION)
            return timed(lambda: client.get(f"/{QUERY}", headers=VERSION).text.count('"mappings"'), repeats)


def main() -> int:
    """Measure both, and say how many times faster ours is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--side", choices=["ours", "theirs"], help="measure one side and print its milliseconds")
    told = parser.parse_args()
    if told.side:
        print(json.dumps((ours if told.side == "ours" else theirs)(told.hosts, told.repeats)))
        return 0
    sizes = ["--hosts", str(told.hosts), "--repeats", str(told.repeats)]
    sides = {"ours": sys.executable, "theirs": str(OTHER)}
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    taken = {}
    for side, python in sides.items():
        command = [python, __file__, "--side", side, *sizes]
        taken[side] = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=quiet).stdout)
    ratio = taken["theirs"] / taken["ours"]
    print(f"{told.hosts} hosts: OpenStack {taken['theirs']:.0f} ms, Sundog {taken['ours']:.1f} ms, {ratio:.0f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
