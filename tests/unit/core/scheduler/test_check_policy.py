"""``check_policy``: the built-in policies pass it, and it catches a policy that is broken in each way."""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

import numpy as np
import pytest

from sundog.core.scheduler import check_policy, policy_names
from sundog.core.scheduler.policies.fit import BestFit
from sundog.errors import InputError, PolicyError


@pytest.mark.parametrize("name", policy_names())
def test_the_built_in_policies_are_in_order(name: str) -> None:
    found = check_policy(name)
    assert found.policy == name
    assert found.decisions > 100
    assert not found.skipped
    assert ("compiled" in found.forms) == ("host_score" in found.forms)


def test_the_host_score_of_the_fits_is_compared() -> None:
    assert check_policy(BestFit({"VCPU": 2.5})).forms == ("score", "host_score", "compiled")
    assert check_policy(BestFit).policy == "BestFit"


class Good:
    """A policy that is in order, for others to break."""

    def score(self, request: Any, hosts: Any) -> Any:
        total = np.zeros(hosts.n)
        for free, asked, _, scale in hosts.in_units():
            total += (free - asked) / scale
        return total


class GoodByHost(Good):
    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        total = 0.0
        for i in range(len(free)):
            total += (free[i] - asked[i]) / scale[i]
        return total


def test_a_policy_of_ones_own_that_is_in_order_passes() -> None:
    assert check_policy(Good).forms == ("score",)
    assert check_policy(GoodByHost()).forms == ("score", "host_score", "compiled")


# ---------------------------------------------------------------- broken in each way


class Neither:
    pass


class OtherLength(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        return np.zeros(int(np.count_nonzero(hosts.feasible)))


class OneNumber(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        return 1.0


class Words(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        return ["best"] * hosts.n


class NotANumber(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return hosts.used("VCPU") / hosts.used("VCPU")


class Infeasible:
    def choose(self, request: Any, hosts: Any) -> Any:
        return 0


class NoIndex:
    def choose(self, request: Any, hosts: Any) -> Any:
        return "h0"


class Raises:
    def choose(self, request: Any, hosts: Any) -> Any:
        raise KeyError(request.id)


class OwnDice:
    dice: ClassVar[Any] = np.random.Generator(np.random.PCG64(1))

    def choose(self, request: Any, hosts: Any) -> Any:
        return int(self.dice.choice(np.flatnonzero(hosts.feasible)))


class SharedAcrossRuns:
    placed: ClassVar[list[int]] = []

    def choose(self, request: Any, hosts: Any) -> Any:
        feasible = np.flatnonzero(hosts.feasible)
        if not self.placed or self.placed[-1] != hosts.decision:
            self.placed.append(hosts.decision)
        return int(feasible[len(self.placed) % len(feasible)])


class CountsItsCalls:
    def __init__(self) -> None:
        self.calls = 0

    def choose(self, request: Any, hosts: Any) -> Any:
        self.calls += 1
        feasible = np.flatnonzero(hosts.feasible)
        return int(feasible[self.calls % len(feasible)])


class CountsBreakdowns(Good):
    """Wrong only where somebody explains: what the breakdown was asked for is what it likes next."""

    def __init__(self) -> None:
        self.last = -1

    def score(self, request: Any, hosts: Any) -> Any:
        liked = np.zeros(hosts.n)
        liked[self.last if 0 <= self.last < hosts.n else -1] = 1.0
        return liked

    def breakdown(self, request: Any, hosts: Any) -> Any:
        self.last = hosts.decision % hosts.n
        return {}


class BreaksDownToNaN(Good):
    def breakdown(self, request: Any, hosts: Any) -> Any:
        return {"half": np.full(hosts.n, np.nan)}


class WritesToThePool(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        hosts._hosts.pool.free[:] -= 1
        return np.zeros(hosts.n)


class WritesToAColumn(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        free, asked, _, _ = hosts.in_units()[0]
        free -= asked
        return np.zeros(hosts.n)


class WritesToFeasible(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        hosts.feasible.setflags(write=True)
        hosts.feasible[:] = True
        return np.zeros(hosts.n)


class RemembersThroughTheScheduler(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        hosts._hosts.last_row = 0
        return np.zeros(hosts.n)


class ThrowsTheDiceOn(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        hosts._hosts.sequence += 1
        return np.zeros(hosts.n)


class RenamesTheRequest(Good):
    def score(self, request: Any, hosts: Any) -> Any:
        object.__setattr__(request, "id", request.id + "!")
        return np.zeros(hosts.n)


class ChangesTheOutlook(Good):
    def prepare(self, outlook: Any) -> None:
        outlook.arrival_s[:] = 0


class OtherOrder(GoodByHost):
    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        total = 0.0
        for i in range(len(free)):
            total += free[i] / scale[i] - asked[i] / scale[i]
        return total


class PlainPythonOnly(GoodByHost):
    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        parts = {str(i): (free[i] - asked[i]) / scale[i] for i in range(len(free))}
        return math.fsum(list(parts.values())) if len(parts) < 2 else GoodByHost.host_score(free, asked, 0, scale, 0)


class DividesByNothing(GoodByHost):
    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        return GoodByHost.host_score(free, asked, capacity, scale, parameters) + parameters[3]


class WritesToItsArguments(GoodByHost):
    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        total = 0.0
        for i in range(len(free)):
            free[i] -= asked[i]
            total += free[i] / scale[i]
        return total


class ByHostButNotStatic(Good):
    def host_score(self, free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        return 0.0


class ByHostAndChooses(GoodByHost):
    def choose(self, request: Any, hosts: Any) -> Any:
        return int(np.argmax(hosts.feasible))


class ByHostWithoutScore:
    @staticmethod
    def host_score(free: Any, asked: Any, capacity: Any, scale: Any, parameters: Any) -> float:
        return 0.0

    def choose(self, request: Any, hosts: Any) -> Any:
        return int(np.argmax(hosts.feasible))


class ParametersAreWords(GoodByHost):
    def parameters(self, classes: Any) -> Any:
        return list(classes)


class CannotBeCopied(Good):
    def __init__(self) -> None:
        self.numbers = (i for i in itertools.count())


class RefusesEveryWorld(Good):
    def prepare(self, outlook: Any) -> None:
        raise InputError("this workload is too large")


@pytest.mark.parametrize(
    ("policy", "check", "says"),
    [
        (Neither, "contract", "has neither score nor choose"),
        (OtherLength, "shape", r"scored with shape \(7,\) instead of \(9,\).*What to do: give one number for each"),
        (OneNumber, "shape", r"scored with shape \(\)"),
        (Words, "answer", "raised ValueError"),
        (NotANumber, "nan", "scored a feasible host as NaN.*at step 0 of a mixed fleet.*divide only where"),
        (Infeasible, "answer", "chose h0, which is not feasible"),
        (NoIndex, "answer", "chose 'h0', which is not the index of a host"),
        (Raises, "answer", "raised KeyError: 's0'"),
        (OwnDice, "determinism", "chose h. and then h., or other devices there, in one state.*hosts.uniform"),
        (SharedAcrossRuns, "determinism", "in a second run from the same state"),
        (CountsItsCalls, "determinism", "in one state"),
        (CountsBreakdowns, "explain", "in a run with explaining in between"),
        (BreaksDownToNaN, "nan", "NaN in half"),
        (WritesToThePool, "mutation", "changed the pool while scoring"),
        (WritesToAColumn, "mutation", "read-only"),
        (WritesToFeasible, "mutation", "changed hosts.feasible while scoring"),
        (RemembersThroughTheScheduler, "mutation", "changed what later decisions depend on"),
        (ThrowsTheDiceOn, "mutation", "changed what later decisions depend on"),
        (RenamesTheRequest, "mutation", "changed the request while scoring"),
        (ChangesTheOutlook, "mutation", "changed the outlook that prepare was given"),
        (OtherOrder, "host_score", "the same operations in the same order"),
        (PlainPythonOnly, "compiled", "in host_score compiled by Numba.*plain code that numba.njit compiles"),
        (DividesByNothing, "host_score", "raised IndexError in host_score"),
        (WritesToItsArguments, "mutation", "wrote to an argument of host_score"),
        (ByHostButNotStatic, "contract", "put @staticmethod above it"),
        (ByHostAndChooses, "contract", "has both choose and host_score"),
        (ByHostWithoutScore, "contract", "has host_score but no score"),
        (ParametersAreWords, "host_score", "raised ValueError in parameters"),
        (CannotBeCopied, "contract", "cannot be copied"),
        (RefusesEveryWorld, "contract", "refuses every world: a mixed fleet: this workload is too large"),
    ],
)
def test_a_policy_that_is_broken_is_told_how(policy: type, check: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as caught:
        check_policy(policy)
    assert caught.value.check == check
    assert str(caught.value).startswith(f"policy {policy.__name__} ")
    assert "own-policy.md" in str(caught.value)


def test_a_name_that_is_no_policy_is_refused() -> None:
    with pytest.raises(InputError, match="there is no policy 'bset-fit'; did you mean 'best-fit'"):
        check_policy("bset-fit")
