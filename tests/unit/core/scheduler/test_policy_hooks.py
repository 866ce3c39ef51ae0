"""What a policy may have besides score and choose: devices of its choice, and being told who comes and goes."""

from __future__ import annotations

from typing import Any

import pytest

from sundog.core.pool import Pool, ResourceClasses
from sundog.core.scheduler import Decision, Devices, Request, check_policy
from sundog.errors import PolicyError
from tests.builders import make_pool, make_request, make_scheduler


class Picks:
    """The first feasible host, and devices that it is told to pick."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def choose(self, request: Any, hosts: Any) -> int:
        return int(hosts.feasible.argmax())

    def choose_devices(self, request: Any, hosts: Any, host: int) -> Any:
        return self.answer


class Fails(Picks):
    def choose_devices(self, request: Any, hosts: Any, host: int) -> Any:
        raise ZeroDivisionError("no")


class Notes(Picks):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[Any] = []

    def placed(self, request: Any, row: int, consumer: int, now: float) -> None:
        self.told.append(("placed", consumer, row, now))

    def released(self, consumer: int) -> None:
        self.told.append(("released", consumer))


def gpus() -> Pool:
    """Two hosts; h0 has four GPUs of which the second is taken, h1 has one."""
    pool = Pool(ResourceClasses(["VCPU", "PGPU"]))
    for name, count in (("h0", 4), ("h1", 1)):
        row = pool.add_provider(name, {"VCPU": 8})
        pool.add_providers([f"{name}:{i}" for i in range(count)], {"PGPU": 2}, parent=row)
    pool.claim(40, [(pool.row("h0:1"), pool.classes.amounts({"PGPU": 2}))])
    return pool


def asking(count: int = 2) -> Request:
    return make_request(1, devices=Devices((("PGPU", 1),), count))


def test_a_policy_may_choose_the_devices() -> None:
    for answer, expected in (([3, 0], ["h0:3", "h0:0"]), (None, ["h0:0", "h0:2"])):
        scheduler = make_scheduler(gpus(), Picks(answer))
        decision = scheduler.place(asking(), 1)
        assert isinstance(decision, Decision)
        assert [scheduler.pool.name(row) for row, _ in decision.claims] == ["h0", *expected]
    assert isinstance(make_scheduler(gpus(), Picks([9])).decide(make_request(1)), Decision), "nobody asks for devices"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (Picks([0]), "chose devices [0], which are not 2 different ones"),
        (Picks([0, 0]), "chose devices [0, 0], which are not 2 different ones"),
        (Picks([0, 1]), "chose devices [0, 1] of h0, which have no room"),
        (Picks([0, 4]), "chose devices [0, 4] of h0, which have no room"),
        (Picks([0, -1]), "chose devices [0, -1] of h0, which have no room"),
        (Picks(["a", "b"]), "raised TypeError"),
        (Fails(None), "raised ZeroDivisionError: no"),
    ],
)
def test_devices_that_cannot_be_are_the_policys_fault(policy: Any, says: str) -> None:
    scheduler = make_scheduler(gpus(), policy, policy_name="mine:Picks")
    with pytest.raises(PolicyError) as caught:
        scheduler.decide(asking())
    assert caught.value.message.startswith(f"policy mine:Picks {says}")


def test_the_check_catches_devices_without_room() -> None:
    with pytest.raises(PolicyError, match=r"chose devices \[0\].*at step \d+ of GPUs") as caught:
        check_policy(Picks([0]))
    assert caught.value.check == "answer"


def test_a_policy_is_told_who_comes_moves_and_goes() -> None:
    policy = Notes()
    scheduler = make_scheduler(make_pool(3), policy)
    scheduler.at(5.0, 1)
    scheduler.place(make_request(), 1)
    scheduler.at(7.0, 1)
    moved = scheduler.decide(make_request(ignore=("h0",)))
    assert isinstance(moved, Decision)
    assert scheduler.commit_move(moved, 1, hold_as=9) is None
    scheduler.release(9)
    assert policy.told == [("placed", 1, 0, 5.0), ("placed", 1, 1, 7.0), ("released", 9)]
    scheduler.returned(1, make_request())
    scheduler.release(1)
    assert policy.told[3:] == [("placed", 1, 1, 7.0), ("released", 1)]


def test_a_commit_that_is_refused_is_not_told() -> None:
    policy = Notes()
    scheduler = make_scheduler(make_pool(1), policy)
    decision = scheduler.decide(make_request(8))
    assert isinstance(decision, Decision)
    scheduler.place(make_request(1), 1)
    assert scheduler.commit(decision, 2) is not None, "too little is left"
    assert policy.told == [("placed", 1, 0, 0.0)]
