"""No policy uses fewer hosts than the fewest, and fewer than the fewest would not do."""

from __future__ import annotations

import pytest

from tests.proofs.bound import case

CASES = range(1, 13)
ALL = range(1, 37)


def check(seeds: range) -> None:
    for seed in seeds:
        found = case(seed)
        assert found.one_less_has_no_plan, seed
        assert found.used["optimal"] == found.fewest, seed
        assert min(found.used.values()) == found.fewest, (seed, found.used)


@pytest.mark.slow
def test_no_policy_uses_fewer_hosts_than_the_fewest() -> None:
    check(CASES)
    ratio = {name: sum(case(seed).used[name] / case(seed).fewest for seed in CASES) / len(CASES)
             for name in case(1).used}  # fmt: skip
    assert ratio["best-fit"] < 1.15
    assert ratio["worst-fit"] > 1.5, "the bound tells policies apart"


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_no_policy_uses_fewer_hosts_than_the_fewest_on_three_dozen_cases() -> None:
    check(ALL)
