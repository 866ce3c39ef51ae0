"""Result folders for the tests: small ones written by hand, and larger ones from a plain first-fit simulation."""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VCPUS = {"name": "vcpus", "class": "VCPU", "label": "vCPU", "unit": "vCPU"}
MEMORY = {"name": "memory_mb", "class": "MEMORY_MB", "label": "Memory", "unit": "MiB"}
NAMES = ("vcpus", "memory_mb")


def make_run(**changes: Any) -> dict[str, Any]:
    run = {
        "name": "by-hand", "description": "two hosts", "seed": 1, "policy": {"name": "first-fit"}, "horizon_s": 100.0,
        "warmup_s": 0.0, "partial": False, "notes": [], "resources": [VCPUS, MEMORY],
        "engine": {"events": 10, "decisions": 5}, "sundog": "0.1.0",
    }  # fmt: skip
    return run | changes


def make_host(host: str, *, vcpus: float = 8, memory_mb: float = 1024, added_s: float = 0.0, **changes: Any) -> dict:
    row = {
        "host": host, "type": "node", "zone": "az1", "rack": "r1", "added_s": added_s, "vcpus": vcpus,
        "memory_mb": memory_mb, "capacity_vcpus": vcpus, "capacity_memory_mb": memory_mb,
    }  # fmt: skip
    return row | changes


def make_vm(vm_id: int | str, arrival_s: float, outcome: str = "completed", **changes: Any) -> dict:
    row = {
        "vm_id": vm_id, "arrival_s": arrival_s, "vcpus": 4.0, "memory_mb": 256.0, "flavor": "m1", "outcome": outcome,
        "reason": "", "start_s": None if outcome == "rejected" else arrival_s, "end_s": None, "boot_s": None,
        "evacuations": 0, "migrations": 0, "downtime_s": 0.0,
    }  # fmt: skip
    return row | changes


def make_stay(vm_id: int | str, host: str, start_s: float, end_s: float | None, **changes: Any) -> dict:
    row = {
        "vm_id": vm_id, "host": host, "start_s": start_s, "end_s": end_s, "cause": "arrival", "vcpus": 4.0,
        "memory_mb": 256.0,
    }  # fmt: skip
    return row | changes


def make_event(time_s: float, host: str, event: str) -> dict:
    return {"time_s": time_s, "host": host, "event": event, "detail": ""}


TEXT = ("host", "type", "zone", "rack", "flavor", "outcome", "reason", "cause", "event", "detail")
WHOLE = ("evacuations", "migrations")


def make_table(rows: list[dict], like: dict) -> pa.Table:
    """A table with the columns of ``like``, which gives them to a table without rows too."""

    def kind(name: str) -> pa.DataType:
        if name == "vm_id":
            return pa.string() if any(isinstance(row[name], str) for row in rows) else pa.int64()
        return pa.string() if name in TEXT else pa.int64() if name in WHOLE else pa.float64()

    return pa.table({name: pa.array([row[name] for row in rows], type=kind(name)) for name in (rows or [like])[0]})


def write_result(
    folder: Path,
    *,
    vms: list[dict],
    stays: list[dict],
    hosts: list[dict] | None = None,
    events: list[dict] = (),
    **run: Any,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    hosts = [make_host("h0"), make_host("h1")] if hosts is None else hosts
    (folder / "run.json").write_text(json.dumps(make_run(**run)), encoding="utf-8")
    pq.write_table(make_table(vms, make_vm(0, 0.0)), folder / "vms.parquet")
    pq.write_table(make_table(stays, make_stay(0, "h0", 0.0, 1.0)), folder / "placements.parquet")
    pq.write_table(make_table(hosts, make_host("h0")), folder / "hosts.parquet")
    pq.write_table(make_table(list(events), make_event(0.0, "h0", "added")), folder / "events.parquet")
    return folder


FLAVORS = (
    ("m.small", 1, 2048, 0.35), ("m.medium", 2, 4096, 0.30), ("c.large", 8, 8192, 0.15), ("r.large", 4, 32768, 0.12),
    ("m.xlarge", 16, 65536, 0.08),
)  # fmt: skip


def simulate(
    folder: Path,
    *,
    seed: int = 1,
    hosts: int = 60,
    days: float = 4.0,
    per_hour: float = 60.0,
    warmup_s: float = 0.0,
    **run: Any,
) -> Path:
    """A valid result from a plain first-fit cloud in which hosts fail, are repaired and are drained."""
    cloud = _Cloud(np.random.default_rng(seed), hosts, days * 86400.0, per_hour)
    cloud.play()
    return write_result(
        folder, vms=list(cloud.vms.values()), stays=cloud.stays, hosts=cloud.hosts, events=cloud.events,
        horizon_s=cloud.horizon, warmup_s=warmup_s, seed=seed,
        **{"name": "first-fit-cloud", "description": f"{hosts} hosts, first fit, failures on"} | run,
    )  # fmt: skip


class _Cloud:
    def __init__(self, rng: np.random.Generator, hosts: int, horizon: float, per_hour: float) -> None:
        self.rng, self.horizon = rng, horizon
        self.hosts = [
            make_host(
                f"host-{i:04d}", vcpus=32.0 if i % 3 else 64.0, memory_mb=131072.0, type="gen1" if i % 3 else "gen2",
                zone=f"az{i * 3 // hosts + 1}", rack=f"r{i // 10:02d}", capacity_vcpus=(32.0 if i % 3 else 64.0) * 2,
                added_s=0.0 if i < hosts * 0.9 else horizon / 2,
            )
            for i in range(hosts)
        ]  # fmt: skip
        self.free = np.array([[h["capacity_vcpus"], h["capacity_memory_mb"]] for h in self.hosts])
        self.takes = np.array([h["added_s"] == 0.0 for h in self.hosts])
        self.vms: dict[int, dict] = {}
        self.stays: list[dict] = []
        self.open: dict[int, dict] = {}
        self.events: list[dict] = []
        self.queue: list[tuple[float, int, int, str, int]] = []
        self.number = 0
        self._requests(per_hour)
        self._faults()

    def push(self, time: float, order: int, what: str, which: int) -> None:
        self.number += 1
        heapq.heappush(self.queue, (time, order, self.number, what, which))

    def _requests(self, per_hour: float) -> None:
        time, vm = 0.0, 0
        while True:
            time += float(self.rng.exponential(3600.0 / per_hour))
            if time >= self.horizon:
                return
            if self.rng.random() > 0.55 + 0.45 * np.sin(2 * np.pi * time / 86400.0):
                continue
            name, vcpus, memory, _ = FLAVORS[self.rng.choice(len(FLAVORS), p=[f[3] for f in FLAVORS])]
            life = float(self.rng.lognormal(10.4, 1.6))
            self.vms[vm] = make_vm(
                vm, time, "rejected", flavor=name, vcpus=float(vcpus), memory_mb=float(memory), lifetime_s=life
            )
            self.push(time, 1, "arrive", vm)
            vm += 3  # ids have gaps

    def _faults(self) -> None:
        for i, host in enumerate(self.hosts):
            if host["added_s"]:
                self.push(host["added_s"], 0, "added", i)
            time = host["added_s"] + float(self.rng.exponential(20 * 86400.0))
            while time < self.horizon:
                self.push(time, 0, "failed", i)
                time += float(self.rng.exponential(6 * 3600.0))
                self.push(time, 0, "repaired", i)
                time += float(self.rng.exponential(20 * 86400.0))
            if i % 20 == 5:
                self.push(self.horizon * 0.6, 0, "disabled", i)
                self.push(self.horizon * 0.7, 0, "enabled", i)

    def play(self) -> None:
        down: set[int] = set()
        off: set[int] = set()
        while self.queue and self.queue[0][0] <= self.horizon:
            time, _, _, what, which = heapq.heappop(self.queue)
            if what == "arrive":
                self.arrive(which, time)
            elif what == "leave":
                if which in self.open:
                    self.leave(which, time)
                    self.vms[which] |= {"outcome": "completed", "end_s": time}
            else:
                self.events.append(make_event(time, self.hosts[which]["host"], what))
                (down.add if what == "failed" else down.discard)(which)
                if what in ("disabled", "enabled"):
                    (off.add if what == "disabled" else off.discard)(which)
                self.takes[which] = which not in down and which not in off
                if what in ("failed", "disabled"):
                    self.clear(which, time, "evacuation" if what == "failed" else "migration")

    def place(self, vm: int, time: float, cause: str) -> bool:
        need = np.array([self.vms[vm]["vcpus"], self.vms[vm]["memory_mb"]])
        fits = np.flatnonzero(self.takes & (self.free >= need).all(axis=1))
        if not len(fits):
            return False
        host = int(fits[0])
        self.free[host] -= need
        stay = make_stay(
            vm, self.hosts[host]["host"], time, None, cause=cause, vcpus=self.vms[vm]["vcpus"],
            memory_mb=self.vms[vm]["memory_mb"],
        )  # fmt: skip
        self.stays.append(stay)
        self.open[vm] = {"stay": stay, "host": host}
        return True

    def arrive(self, vm: int, time: float) -> None:
        row = self.vms[vm]
        if not self.place(vm, time, "arrival"):
            row["reason"] = "no host has enough memory" if row["memory_mb"] > 20000 else "no valid host was found"
            return
        row |= {"outcome": "running", "start_s": time, "boot_s": float(18 + self.rng.gamma(4.0, 6.0))}
        self.push(time + row["lifetime_s"], 0, "leave", vm)

    def leave(self, vm: int, time: float) -> None:
        was = self.open.pop(vm)
        was["stay"]["end_s"] = time
        self.free[was["host"]] += [self.vms[vm]["vcpus"], self.vms[vm]["memory_mb"]]

    def clear(self, host: int, time: float, cause: str) -> None:
        for vm in [vm for vm, was in self.open.items() if was["host"] == host]:
            self.leave(vm, time)
            if self.place(vm, time, cause):
                self.vms[vm][f"{cause}s"] += 1
                self.vms[vm]["downtime_s"] += 180.0 if cause == "evacuation" else 0.2
            else:
                self.vms[vm] |= {"outcome": "lost", "end_s": time, "reason": "no valid host was found"}
