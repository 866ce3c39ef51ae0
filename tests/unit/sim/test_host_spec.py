"""What a scenario may say about hosts and what happens to them, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from sundog.sim.spec import (
    Boot,
    Evacuation,
    Faults,
    FaultsSpec,
    HostGroup,
    HostType,
    Maintenance,
    Migration,
    OnFull,
    Outage,
    Overcommit,
    Reserved,
    Wait,
)
from sundog.sim.workload.laws import Exponential, Weibull
from sundog.units import DAY, HOUR

NODE: dict[str, Any] = {"name": "node", "vcpus": 24, "memory": "128 GiB"}


def refused(model: type[BaseModel], said: str, **body: Any) -> None:
    with pytest.raises(ValidationError, match=said):
        model.model_validate(body)


def test_sizes_are_read_with_their_units() -> None:
    host = HostType.model_validate(
        NODE | {"disk": "2 TiB", "reserved": {"vcpus": 1, "memory": "4 GiB", "disk": "10 GiB"}}
    )
    assert (host.memory, host.disk) == (131072, 2048)
    assert (host.reserved.memory, host.reserved.disk) == (4096, 10)
    assert Reserved.model_validate({"memory": 512}).memory == 512


def test_a_machine_may_be_a_number() -> None:
    assert HostType.model_validate(NODE | {"machine": 3}).machine == "3"
    refused(HostType, "machine", **(NODE | {"machine": True}))


@pytest.mark.parametrize(("change", "said"), [
    ({"vcpus": 0}, "greater than 0"),
    ({"vcpus": float("nan")}, "finite|greater than 0"),
    ({"memory": "-1 GiB"}, "memory"),
    ({"disk": 0}, "disk"),
    ({"name": ""}, "name"),
    ({"gpus": -1}, "gpus"),
    ({"ram": 3}, "ram"),
    ({"reserved": {"vcpus": 24}}, "reserved vcpus 24 leaves nothing of 24"),
    ({"reserved": {"memory": "128 GiB"}}, "reserved memory 131072 leaves nothing of 131072"),
    ({"disk": 100, "reserved": {"disk": 100}}, "reserved disk 100 leaves nothing of 100"),
    ({"reserved": {"disk": 10}}, "reserved disk 10 leaves nothing of 0"),
    ({"resources": {"VCPU": 3}}, "'VCPU' is no class of your own; write CUSTOM_ and A-Z, 0-9, _: CUSTOM_NIC"),
    ({"resources": {"CUSTOM_nic": 3}}, "'CUSTOM_nic' is no class of your own"),
    ({"resources": {"CUSTOM_NIC": 0}}, "greater than 0"),
])  # fmt: skip
def test_a_host_type_that_cannot_be_is_refused(change: dict, said: str) -> None:
    refused(HostType, said, **(NODE | change))


@pytest.mark.parametrize(("change", "said"), [
    ({"count": 0}, "count"),
    ({"racks": 0}, "racks"),
    ({"count": 2, "racks": 3}, "3 racks for 2 hosts; a rack needs at least one host"),
    ({"at": "-1 s"}, "'-1 s' is before the start of the run; write a time of 0 or later"),
    ({"at": [1]}, "is not a time; write a number and a unit, such as '10 d'"),
])  # fmt: skip
def test_a_group_of_hosts_that_cannot_be_is_refused(change: dict, said: str) -> None:
    refused(HostGroup, said, **({"type": NODE, "count": 5} | change))


def test_hosts_enter_at_an_instant_that_may_be_zero() -> None:
    assert HostGroup.model_validate({"type": NODE, "count": 1, "at": "2 d"}).at == 2 * DAY
    assert HostGroup.model_validate({"type": NODE, "count": 1, "at": 0}).at == 0


def test_overcommit_is_a_positive_number() -> None:
    assert Overcommit().model_dump() == {"vcpus": 1.0, "memory": 1.0, "disk": 1.0}
    refused(Overcommit, "greater than 0", vcpus=0)


def test_on_full_is_reject_or_how_long_to_wait() -> None:
    on_full = TypeAdapter(OnFull)
    assert on_full.validate_python("reject") == "reject"
    assert on_full.validate_python({"wait": "10 min"}) == Wait(wait=600)
    assert on_full.validate_python(Wait(wait=600)) == Wait(wait=600)
    for wrong in ("wait", 600, None):
        with pytest.raises(ValidationError, match=r"is not an answer; write 'reject' or \{wait: 10 min\}"):
            on_full.validate_python(wrong)
    with pytest.raises(ValidationError, match="not above zero"):
        on_full.validate_python({"wait": 0})


def test_failures_are_means_or_laws_and_one_of_each() -> None:
    faults = Faults.model_validate({"mtbf": "180 d", "mttr": "4 h"})
    assert (faults.failure_law, faults.repair_law) == (Exponential(mean=180 * DAY), Exponential(mean=4 * HOUR))
    faults = Faults.model_validate({"failure": {"law": "weibull", "shape": 0.7, "mean": "1 d"}, "mttr": "4 h"})
    assert isinstance(faults.failure_law, Weibull)
    refused(Faults, "give the time to failure once", mttr="4 h")
    refused(
        Faults, "give the time to failure once", mtbf="1 d", failure={"law": "exponential", "mean": "1 d"}, mttr="4 h"
    )
    refused(Faults, "give the time to repair once", mtbf="1 d")
    refused(
        Faults, "give the time to repair once", mtbf="1 d", mttr="1 h", repair={"law": "exponential", "mean": "1 d"}
    )
    refused(Faults, "unknown law 'weibul'; did you mean weibull", failure={"law": "weibul"}, mttr="1 h")


@pytest.mark.parametrize("scope", [{}, {"zone": "a", "rack": "r"}, {"rack": "r", "hosts": ["h"]}])
def test_an_outage_says_once_what_fails(scope: dict) -> None:
    refused(Outage, "say what fails, once: 'zone', 'rack' or 'hosts'", at="1 d", duration="1 h", **scope)


def test_what_is_left_out_is_as_documented() -> None:
    assert Evacuation().model_dump() == {"mode": "evacuate", "detect": 60, "retry": 60, "give_up": 3600}
    assert FaultsSpec().evacuation == Evacuation()
    plan = Maintenance.model_validate({"at": "1 d", "duration": "1 h"})
    assert (plan.at_once, plan.every, plan.drain_timeout, plan.retry, plan.on_timeout) == (1, None, 3600, 60, "stop")
    assert Migration().model_dump() == {"bandwidth_mib_s": 1000, "rounds": 1.3, "pause": 0.3, "parallel": 2}


@pytest.mark.parametrize(("model", "body"), [
    (Evacuation, {"mode": "pray"}),
    (Evacuation, {"detect": "-1 s"}),
    (Evacuation, {"retry": 0}),
    (Maintenance, {"at": 0, "duration": "1 h", "at_once": 0}),
    (Maintenance, {"at": 0, "duration": "1 h", "on_timeout": "ask"}),
    (Migration, {"rounds": 0.9}),
    (Migration, {"parallel": 0}),
    (Boot, {"images": {"count": 0}}),
    (Boot, {"fetch_mib_s": 0}),
    (Boot, {"guest": {"law": "infinite"}}),
])  # fmt: skip
def test_rules_that_mean_nothing_are_refused(model: type[BaseModel], body: dict) -> None:
    refused(model, next(reversed(body)), **body)


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Evacuation().detect = 3
