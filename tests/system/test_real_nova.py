"""The same decisions as the real Nova's, on random clouds: hosts, weights, alternates and each filter's verdict.

The real one lives in an environment of its own, made by ``tools/setup-nova``; its folder can be named with the variable
SUNDOG_NOVA_VENV. ``tests/system/nova/real.py`` says what of it is real.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from sundog.core.scheduler import Request, load_policy
from sundog.core.scheduler.nova_options import nova_options
from sundog.core.scheduler.policies.nova import Nova
from sundog.scenarios.what_if.decide import Desk, open_desk
from sundog.scenarios.what_if.files import HostEntry, Listed, RequestEntry
from tests.conftest import REPOSITORY
from tests.system.nova.cases import CELLS, Entry, case

pytestmark = [pytest.mark.nova, pytest.mark.slow]

CASES = int(os.environ.get("SUNDOG_NOVA_CASES", "1500"))
REAL = Path(__file__).parent / "nova" / "real.py"


@pytest.fixture(scope="session")
def real_python() -> Path:
    """The Python of an environment with the real Nova."""
    folder = Path(os.environ.get("SUNDOG_NOVA_VENV", REPOSITORY / ".venv-nova"))
    made = subprocess.run([REPOSITORY / "tools" / "setup-nova", folder], capture_output=True, text=True)
    if made.returncode == 75:
        pytest.skip(f"the real Nova cannot be installed here: {made.stderr.strip().splitlines()[-1]}")
    assert made.returncode == 0, made.stderr
    return folder / "bin" / "python"


def real_answers(python: Path, cases: list[Entry]) -> list[Any]:
    done = subprocess.run([python, REAL], input=json.dumps(cases), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    answers: list[Any] = json.loads(done.stdout)
    return answers


def listed(entries: list[Entry], kind: Any) -> Listed[Any]:
    return Listed(TypeAdapter(tuple[kind, ...]).validate_python(entries), Path("case.json"), lambda loc, of_key: None)


def our_answers(each: Entry) -> Iterator[Entry]:
    """In the form of ``real.py``."""
    hosts = listed([{"cell": CELLS[0]} | host for host in each["hosts"]], HostEntry)
    requests: Listed[RequestEntry] = listed(each["requests"], RequestEntry)
    policy = load_policy("nova", each["options"])
    assert isinstance(policy, Nova)
    desk = open_desk(hosts, policy, options=nova_options(each["options"]), explain=True, seed=each["seed"])
    for number, entry in enumerate(requests.entries):
        verdicts = our_verdicts(desk, desk.cloud.request(requests, number))
        told = []
        placed = desk.place(requests, number)
        for one, step in zip(placed, desk.steps, strict=False):
            if one.host is None:
                break
            assert step.weights is not None
            hosts_weighed = {desk.scheduler.hosts.name(h): float(step.weights[h]) for h in step.order.tolist()}
            assert one.breakdown is not None
            assert sum(one.breakdown.values()) == pytest.approx(one.weight, rel=1e-9, abs=1e-9)
            told.append(
                {"host": one.host, "weight": one.weight, "weights": hosts_weighed, "alternates": [*one.alternates]}
            )
        yield {"verdicts": verdicts, "instances": told or [{"host": None}] * entry.num_instances}


def our_verdicts(desk: Desk, request: Request) -> dict[str, list[str]] | None:
    """The hosts that each enabled filter refuses; None where a host is forced, since none of them is asked then."""
    if request.shape.details is None or request.shape.details.forced:
        return None
    demand = desk.scheduler.shaped(request.shape).demand
    verdicts = {}
    for each in desk.scheduler.filters:
        passes = each.passes(request, demand, desk.scheduler.hosts)
        if each.name in desk.options.enabled_filters:
            refused = [] if passes is None else (~passes).nonzero()[0].tolist()
            verdicts[each.name] = [desk.scheduler.hosts.name(host) for host in refused]
    return verdicts


def difference(real: Any, ours: Any) -> str | None:
    """What differs first between two answers to one request."""
    for name, refused in real["verdicts"].items() if ours["verdicts"] is not None else ():
        if sorted(ours["verdicts"][name]) != sorted(refused):
            return f"{name} refuses {refused}, ours {ours['verdicts'][name]}"
    pairs = list(zip(real["instances"], ours["instances"], strict=True))
    for number, (theirs, own) in enumerate(pairs):
        if theirs["host"] != own["host"]:
            return f"instance {number} goes to {theirs}, ours {own}"
        if theirs["host"] is None:
            continue
        if theirs["alternates"] != own["alternates"]:
            return f"instance {number} has alternates {theirs['alternates']}, ours {own['alternates']}"
        if theirs["weights"].keys() != own["weights"].keys():
            return f"instance {number} weighs {theirs['weights']}, ours {own['weights']}"
        for host, weight in theirs["weights"].items():
            if weight != own["weights"][host]:
                return f"instance {number} weighs {host} {weight!r}, ours {own['weights'][host]!r}"
    return None


def test_every_decision_is_that_of_the_real_nova(real_python: Path, record_property: Any) -> None:
    cases = [case(seed) for seed in range(CASES)]
    answers = real_answers(real_python, cases)
    seen: Counter[str] = Counter()
    different = []
    for each, answer in zip(cases, answers, strict=True):
        for number, (real, ours) in enumerate(zip(answer, our_answers(each), strict=True)):
            first = real["instances"][0]
            placed = first["host"] is not None
            seen["placed" if placed else "nowhere"] += 1
            seen["several"] += placed and len(real["instances"]) > 1
            seen["tie"] += placed and len(set(real["instances"][0]["weights"].values())) < len(
                real["instances"][0]["weights"]
            )
            seen["refused by a filter"] += any(real["verdicts"].values())
            what = difference(real, ours)
            if what is not None:
                different.append(f"case {each['seed']}, request {number}: {what}")
                break  # what follows differs because of it
    record_property("decisions", dict(seen))
    assert different == [], f"{len(different)} of {CASES} cases differ; the first:\n" + "\n".join(different[:5])
    assert min(seen[what] for what in ("placed", "nowhere", "several", "tie", "refused by a filter")) > CASES / 10
