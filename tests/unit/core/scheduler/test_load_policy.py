"""Policies by name, policies of one's own, and what is said when there is no such thing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sundog.core.scheduler import BUILT_IN, Decision, load_policy, policy_names
from sundog.errors import InputError
from tests.builders import make_pool, make_request, make_scheduler

OWN = '''
import numpy as np

class Last:
    """The last host; ``skip`` of them are left out."""

    def __init__(self, skip: int = 0):
        if skip < 0:
            raise ValueError("skip is below 0")
        self.skip = 10 // (7 - skip) and skip

    def choose(self, request, hosts):
        return int(np.flatnonzero(hosts.feasible)[-1 - self.skip])

class Emptiest:
    def score(self, request, hosts):
        return hosts.free("VCPU")

def made_by_function(**options):
    return Last(**options)

class Nothing:
    pass

answer = 42
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_policies.py").write_text(OWN)
    (tmp_path / "broken_syntax.py").write_text("class Half(\n")
    (tmp_path / "broken_import.py").write_text("import a_module_that_nobody_has\n")
    (tmp_path / "broken_run.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_policies", "broken_syntax", "broken_import", "broken_run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_every_built_in_policy_is_made_without_parameters() -> None:
    assert policy_names() == tuple(BUILT_IN)
    for name in policy_names():
        policy = load_policy(name)
        assert isinstance(policy, BUILT_IN[name])
        assert callable(getattr(policy, "choose", None)) or callable(getattr(policy, "score", None))


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("my_policies:Last", None, "h3"),
        ("my_policies:Last", {"skip": 2}, "h1"),
        ("my_policies:made_by_function", {"skip": 1}, "h2"),
        ("my_policies:Emptiest", {}, "h0"),
    ],
)
def test_a_class_of_ones_own_decides(own: Path, name: str, parameters: dict[str, Any] | None, expected: str) -> None:
    decision = make_scheduler(make_pool(4), load_policy(name, parameters), policy_name=name).decide(make_request())
    assert isinstance(decision, Decision)
    assert decision.host == expected


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("bestfit", {}, "there is no policy 'bestfit'; did you mean 'best-fit'\\? built in are first-fit, next-fit"),
        ("zzz", {}, "there is no policy 'zzz'; built in are .*; your own is 'module:Class'"),
        ("", {}, "there is no policy ''"),
        ("first-fit", {"weights": 1}, "does not take these parameters: .*; it takes none"),
        ("best-fit", {"weight": 1}, "does not take these parameters: .*; it takes weights"),
        ("best-fit", {"weights": {"VCPU": -1}}, "weight -1 of VCPU is not a finite number of 0 or more"),
        ("worst-fit", {"weights": {"VCPU": "much"}}, "weight 'much' of VCPU is not a finite number"),
        ("best-fit", {"weights": {"VCPU": True}}, "weight True of VCPU"),
        ("best-fit", {"weights": {"VCPU": float("inf")}}, "weight inf of VCPU"),
        ("best-fit", {"weights": {"VCPUS": 1}}, "weights: 'VCPUS' is not a resource class; did you mean VCPU"),
        ("best-fit", {"weights": 3}, "weights are 3; give a number for each resource class"),
        ("nova", {"host_subset_size": 0}, "host_subset_size is 0; it must be a whole number of 1 or more"),
        ("nova", {"host_subset_size": True}, "host_subset_size is True"),
        ("nova", {"host_subset_size": 1.5}, "host_subset_size is 1.5"),
        ("nova", {"ram_weight": 1}, "unknown option 'ram_weight'; did you mean 'ram_weight_multiplier'?"),
        ("nova", {"ram_weight_multiplier": "x"}, "ram_weight_multiplier is 'x'; a multiplier is a finite number"),
        ("nova", {"ram_weight_multiplier": float("nan")}, "ram_weight_multiplier is nan"),
        ("nova", {"ram_weight_multiplier": True}, "ram_weight_multiplier is True"),
        ("no_such_module:X", {}, "module 'no_such_module' cannot be imported: .*; is its folder the current one"),
        ("my_policies:Lost", {}, "module 'my_policies' has no 'Lost'"),
        ("my_policies:", {}, "not of the form 'module:Class'"),
        (":Last", {}, "not of the form 'module:Class'"),
        (".my_policies:Last", {}, "not of the form 'module:Class'"),
        ("my policies:Last", {}, "not of the form 'module:Class'"),
        ("my_policies:Last", {"jump": 1}, "does not take these parameters: .*; it takes skip"),
        ("my_policies:Last", {"skip": -1}, "policy 'my_policies:Last': skip is below 0"),
        ("my_policies:Last", {"skip": 7}, "policy 'my_policies:Last' raised ZeroDivisionError"),
        ("my_policies:Nothing", {}, "'my_policies:Nothing' is no policy: it has neither score"),
        ("my_policies:answer", {}, "is not a class that Python code can be asked about"),
        ("builtins:int", {}, "is not a class that Python code can be asked about"),
        (
            "broken_import:X",
            {},
            "module 'broken_import' cannot be imported: No module named 'a_module_that_nobody_has'",
        ),
        ("broken_syntax:X", {}, "module 'broken_syntax' raised SyntaxError: .*broken_syntax.py, line 1"),
        ("broken_run:X", {}, "module 'broken_run' raised ZeroDivisionError"),
    ],
)
def test_what_cannot_be_loaded_is_said(own: Path, name: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        load_policy(name, parameters)
    assert repr(name) in str(caught.value)
