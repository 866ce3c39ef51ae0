"""Small files of hosts and requests for the tests of ``sundog place``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sundog.core.scheduler import load_policy
from sundog.core.scheduler.nova_options import nova_options
from sundog.scenarios.what_if import Placed, place_all, read_hosts, read_requests


def host(name: str, **fields: Any) -> dict[str, Any]:
    """A host of 8 vCPUs, 16 GiB and 100 GB, at ratio 1."""
    ratios = {f"{kind}_allocation_ratio": 1.0 for kind in ("cpu", "ram", "disk")}
    return {"name": name, "vcpus": 8, "memory_mb": 16384, "disk_gb": 100} | ratios | fields


def server(id: str | int, **fields: Any) -> dict[str, Any]:  # noqa: A002
    """A request for 1 vCPU, 1 GiB and 10 GB."""
    return {"id": id, "vcpus": 1, "memory_mb": 1024, "root_gb": 10} | fields


def files(folder: Path, hosts: Any, requests: Any) -> tuple[Path, Path]:
    """The two files, in JSON."""
    paths = folder / "hosts.json", folder / "requests.json"
    for path, entries in zip(paths, (hosts, requests), strict=True):
        path.write_text(entries if isinstance(entries, str) else json.dumps(entries, indent=1), encoding="utf-8")
    return paths


def placed(folder: Path, hosts: Any, requests: Any, policy: str = "nova", **settings: Any) -> list[Placed]:
    """The decisions, explained."""
    first, second = files(folder, hosts, requests)
    seed = settings.pop("seed", 0)
    chosen = load_policy(policy, settings if policy == "nova" else None)
    options = nova_options(settings)
    listed = read_hosts(first), read_requests(second)
    return place_all(*listed, chosen, policy_name=policy, options=options, explain=True, seed=seed)[0]


def where(decisions: list[Placed]) -> list[str | None]:
    """The hosts."""
    return [each.host for each in decisions]
