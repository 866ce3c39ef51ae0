"""A policy that fails is named, together with the decision it was given; nothing is claimed then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sundog.core.scheduler import Decision, Scheduler, explain, why_not
from sundog.errors import PolicyError
from tests.builders import make_pool, make_request, make_scheduler, photograph


class Chooses:
    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    def choose(self, request: Any, hosts: Any) -> Any:
        return self.answer(hosts)


class Scores:
    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer

    def score(self, request: Any, hosts: Any) -> Any:
        return self.answer(hosts)


class BreaksDown(Scores):
    def __init__(self, parts: Callable[[Any], Any]) -> None:
        super().__init__(lambda hosts: hosts.free("VCPU"))
        self.parts = parts

    def breakdown(self, request: Any, hosts: Any) -> Any:
        return self.parts(hosts)


def scheduler_of(policy: Any) -> Scheduler:
    """Four hosts: h0 is down, h3 is full; two decisions were committed before."""
    scheduler = make_scheduler(make_pool(4), "first-fit")
    scheduler.place(make_request(8, force=("h3",)), 1)
    scheduler.place(make_request(1, force=("h1",)), 2)
    scheduler.pool.set_status(0, up=False)
    broken = make_scheduler(scheduler.pool, policy, policy_name="mine:Broken")
    broken.hosts.sequence = scheduler.hosts.sequence
    return broken


def raising(error: Exception) -> Callable[[Any], Any]:
    def answer(hosts: Any) -> Any:
        raise error

    return answer


def writing(hosts: Any) -> int:
    hosts.feasible[0] = True
    return 0


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (Chooses(raising(ZeroDivisionError("oh"))), "raised ZeroDivisionError: oh"),
        (Chooses(raising(PolicyError("mine"))), "raised PolicyError: mine"),
        (Chooses(lambda hosts: hosts.free("VCPUS")), "raised PoolError: the pool has no resource class 'VCPUS'"),
        (Chooses(writing), "raised ValueError: assignment destination is read-only"),
        (Chooses(lambda hosts: None), "chose None, which is not the index of a host"),
        (Chooses(lambda hosts: True), "chose True, which is not the index of a host"),
        (Chooses(lambda hosts: np.True_), "chose np.True_, which is not the index of a host"),
        (Chooses(lambda hosts: 1.0), "chose 1.0, which is not the index of a host"),
        (Chooses(lambda hosts: "h1"), "chose 'h1', which is not the index of a host"),
        (Chooses(lambda hosts: 4), "chose host 4 of 4"),
        (Chooses(lambda hosts: -1), "chose host -1 of 4"),
        (Chooses(lambda hosts: 0), "chose h0, which is not feasible"),
        (Chooses(lambda hosts: np.int64(3)), "chose h3, which is not feasible"),
        (Scores(raising(KeyError("x"))), "raised KeyError: 'x'"),
        (Scores(lambda hosts: None), "scored with shape \\(\\) instead of \\(4,\\)"),
        (Scores(lambda hosts: 1.0), "scored with shape \\(\\) instead of \\(4,\\)"),
        (Scores(lambda hosts: [1, 2]), "scored with shape \\(2,\\) instead of \\(4,\\)"),
        (Scores(lambda hosts: np.ones((4, 1))), "scored with shape \\(4, 1\\) instead of \\(4,\\)"),
        (Scores(lambda hosts: ["a"] * 4), "raised ValueError"),
        (Scores(lambda hosts: [0, 1, np.nan, 1]), "scored a feasible host as NaN"),
    ],
)
def test_a_policy_that_fails_is_named_with_its_decision_and_changes_nothing(policy: Any, says: str) -> None:
    scheduler = scheduler_of(policy)
    before, request = photograph(scheduler.pool), make_request(2, 16, id="vm-7")
    for attempt in (scheduler.decide, lambda request: scheduler.place(request, 9)):
        with pytest.raises(PolicyError, match=f"policy mine:Broken {says}") as caught:
            attempt(request)
        message = str(caught.value)
        assert "it was given vm-7 (16 MEMORY_MB, 2 VCPU) at decision 2 with 2 of 4 hosts feasible" in message
        assert (caught.value.policy, caught.value.request, caught.value.sequence) == ("mine:Broken", request, 2)
    assert photograph(scheduler.pool) == before
    assert scheduler.hosts.sequence == 2


@pytest.mark.parametrize(
    ("request_of", "text"),
    [({}, "a server \\(1 VCPU\\)"), ({"name": "m1.small"}, "m1.small \\(1 VCPU\\)"), ({"vcpus": 0}, "\\(nothing\\)")],
)
def test_the_decision_is_described_by_what_is_known_of_it(request_of: dict[str, Any], text: str) -> None:
    with pytest.raises(PolicyError, match=f"it was given .*{text}"):
        make_scheduler(make_pool(1), Chooses(lambda hosts: 9)).decide(make_request(**request_of))


def test_a_policy_without_a_name_goes_by_its_class() -> None:
    with pytest.raises(PolicyError, match="policy Chooses chose host 9"):
        Scheduler(make_pool(1), Chooses(lambda hosts: 9)).decide(make_request())


def test_nan_for_a_host_that_is_not_feasible_does_not_matter() -> None:
    decision = scheduler_of(Scores(lambda hosts: [np.nan, 1, 2, np.nan])).decide(make_request(2))
    assert isinstance(decision, Decision)
    assert decision.host == "h2"


@pytest.mark.parametrize("scores", [[np.inf] * 4, [-np.inf] * 4, [0.0] * 4, [5, -np.inf, -np.inf, 5]])
def test_infinite_scores_choose_the_first_feasible_of_equals(scores: list[float]) -> None:
    scheduler = scheduler_of(Scores(lambda hosts: scores))
    decision = scheduler.decide(make_request(2))
    assert isinstance(decision, Decision)
    assert decision.host == "h1"
    assert [each.host for each in explain(scheduler, make_request(2)).best] == ["h1", "h2"]


def test_a_policy_may_answer_with_a_numpy_integer() -> None:
    decision = scheduler_of(Chooses(lambda hosts: np.argmax(hosts.feasible))).decide(make_request(2))
    assert isinstance(decision, Decision)
    assert decision.host == "h1"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (raising(RuntimeError("no")), "raised RuntimeError: no"),
        (lambda hosts: 3, "raised AttributeError"),
        (lambda hosts: {"a": [1.0]}, "broke a down with shape \\(1,\\) instead of \\(4,\\)"),
    ],
)
def test_a_breakdown_that_fails_is_named_too(parts: Callable[[Any], Any], says: str) -> None:
    scheduler = scheduler_of(BreaksDown(parts))
    with pytest.raises(PolicyError, match=f"policy mine:Broken {says}"):
        explain(scheduler, make_request(2))
    with pytest.raises(PolicyError, match=f"policy mine:Broken {says}"):
        why_not(scheduler, make_request(2), "h1")
    assert isinstance(scheduler.decide(make_request(2)), Decision), "deciding needs no breakdown"


def test_a_breakdown_of_ones_own_is_shown() -> None:
    scheduler = scheduler_of(BreaksDown(lambda hosts: {"free": hosts.free("VCPU"), "luck": np.zeros(hosts.n)}))
    best = explain(scheduler, make_request(2)).best
    assert [(each.host, each.score, each.breakdown) for each in best] == [
        ("h2", 8.0, {"free": 8.0, "luck": 0.0}),
        ("h1", 7.0, {"free": 7.0, "luck": 0.0}),
    ]
