"""Scenario files for the tests: a small valid one to change, and one whose whole outcome was worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sundog.errors import InputError
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import Study, prepare

SMALL = """\
name: small
seed: 1
horizon: 6 h
fleet:
  - type: {name: node, vcpus: 16, memory: 64 GiB, disk: 1 TiB}
    count: 4
    zone: az1
    racks: 2
workload:
  synthetic:
    arrivals_per_day: 200
    lifetimes: {law: exponential, mean: 2 h}
    flavors:
      - {name: s, vcpus: 1, memory: 4 GiB, weight: 3}
      - {name: l, vcpus: 8, memory: 32 GiB}
policy: {name: best-fit}
overcommit: {vcpus: 2.0, memory: 1.0}
on_full: {wait: 10 min}
faults:
  hosts: {mtbf: 1 d, mttr: 1 h}
outputs: {report: false}
"""

BY_HAND = """\
name: by-hand
fleet:
  - type: {name: n, vcpus: 8, memory: 16 GiB, reserved: {memory: 1 GiB}}
    count: 2
    zone: az1
    racks: 2
workload:
  trace: {format: normalised, path: vms.csv}
policy: first-fit
overcommit: {vcpus: 1.5}
outputs: {report: false}
"""

# On two hosts of 12 vCPUs (8 x 1.5) and 15 GiB, first fit: a, b and e on n-0, c on n-1; d is larger than any host,
# f finds 0 and 4 vCPUs free.
VMS = """\
vm_id,arrival_s,lifetime_s,vcpus,memory_mb,flavor
a,0,100,4,4096,small
b,10,50,4,4096,small
c,20,,8,8192,big
d,30,10,64,1024,huge
e,40,10,4,4096,small
f,45,10,8,1024,wide
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def small(folder: Path, *changes: tuple[str, str]) -> Path:
    """``SMALL`` with texts replaced, each of which must be there, as a file."""
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return write(folder / "small.yaml", text)


def by_hand(folder: Path, *, vms: str = VMS) -> Path:
    """The scenario worked out by hand, with its trace beside it."""
    write(folder / "vms.csv", vms)
    return write(folder / "by-hand.yaml", BY_HAND)


def dumped(path: Path, document: Any) -> Path:
    with path.open("w", encoding="utf-8") as file:
        YAML().dump(document, file)
    return path


def study_of(path: Path, *options: str) -> Study:
    return prepare(load_scenario(path, options))


def refusal(path: Path | str, *options: str) -> str:
    """What ``load_scenario`` and ``prepare`` say against a scenario, with the folder left out."""
    try:
        study_of(Path(path), *options)
    except InputError as exc:
        return str(exc).replace(f"{Path(path).parent}/", "")
    raise AssertionError("the scenario was accepted")
