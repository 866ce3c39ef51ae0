"""The Gymnasium environment: its contract, and that a policy played through it places as the engine does."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sundog.core.scheduler import load_policy
from sundog.errors import InputError
from sundog.gym import PlacementEnv, Stretch, play
from sundog.sim.requests import build_workload
from tests.unit.sim.worlds import make_engine, make_fleet, make_frame, make_hosts, make_vm

SMALL = """
name: small
horizon: 6 h
seed: 4
fleet:
  - {type: {name: a, vcpus: 16, memory: 64 GiB}, count: 3}
  - {type: {name: b, vcpus: 32, memory: 64 GiB}, count: 2, at: 1 h}
workload: {synthetic: {preset: huawei-like, arrivals_per_day: 900, start: stationary}}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path / "small.yaml"


def busy() -> tuple[list[dict[str, Any]], Any]:
    """VMs of several sizes with groups, GPUs and zero lifetimes, on a fleet that they more than fill."""
    dice = np.random.Generator(np.random.PCG64(3))
    rows = []
    for arrival in np.sort(dice.uniform(-50, 900, 220)).round():
        life = None if dice.random() < 0.1 else float(round(dice.exponential(120))) + max(0.0, 1 - float(arrival))
        gpu = bool(dice.random() < 0.2)
        rows.append(
            make_vm(float(arrival), life, float(dice.choice([1, 2, 5])), float(dice.choice([1000, 4000]))) | {
                "gpus": float(gpu), "gpu_share": float(dice.choice([0.25, 0.5, 1.0])) if gpu else 1.0,
                "group": f"g{dice.integers(6)}" if dice.random() < 0.3 else None,
            }
        )  # fmt: skip
    rules = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
    for row in rows:
        row["group_policy"] = rules[int(row["group"][1:]) % 4] if row["group"] else None
    late = make_hosts(2, 8, name="late", at=300)
    return rows, make_fleet(make_hosts(3, 8), make_hosts(2, 16, name="gpu", gpus=2), late)


@pytest.mark.parametrize("policy", ["best-fit", "worst-fit", "random", "power-of-k", "round-robin", "nova"])
def test_a_policy_played_through_the_environment_places_as_the_engine_does(policy: str) -> None:
    rows, fleet = busy()
    engine = make_engine(rows, fleet, policy=policy, seed=9)
    record = engine.run()
    env = PlacementEnv(fleet=fleet, workload=build_workload(make_frame(rows), fleet))
    total = play(env, load_policy(policy), seed=9)
    expected = np.full(len(rows), -1)
    expected[record.stays.vm] = record.stays.host
    assert list(env.hosts) == expected.tolist()
    rejected = int((expected < 0).sum())
    assert rejected > 10
    assert total == -rejected


def test_gymnasiums_own_check_finds_nothing(small: Path) -> None:
    rows, fleet = busy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(PlacementEnv(small), skip_render_check=True)
        check_env(PlacementEnv(fleet=fleet, workload=build_workload(make_frame(rows), fleet)), skip_render_check=True)


def test_it_is_registered(small: Path) -> None:
    env = gymnasium.make("sundog/Placement-v0", scenario=small)
    observation, info = env.reset(seed=1)
    assert observation in env.observation_space
    assert info["action_mask"].tolist() == observation["mask"].tolist()


def test_an_observation_is_in_shares_of_the_largest_host() -> None:
    rows = [make_vm(0, 10, 2, 16000), make_vm(1, 10, 7, 1000), make_vm(2, 10, 1, 1000, gpus=1.0, gpu_share=0.5)]
    rows = [{"gpus": 0.0, "gpu_share": 1.0} | row for row in rows]
    fleet = make_fleet(make_hosts(1, 4), make_hosts(1, 8, name="b", gpus=2))
    env = PlacementEnv(fleet=fleet, workload=build_workload(make_frame(rows), fleet))
    assert env.classes == ("VCPU", "MEMORY_MB")
    first, info = env.reset()
    assert first["free"].tolist() == [[0.5, 1.0], [1.0, 1.0]]
    assert first["asked"].tolist() == [[0.25, 0.25]] * 2
    assert first["mask"].tolist() == [1, 1]
    assert (info["vm"], info["now"]) == (0, 0.0)
    second, reward, over, cut, info = env.step(0)
    assert second["free"].tolist() == [[0.25, 0.75], [1.0, 1.0]]
    assert second["mask"].tolist() == [0, 1]
    assert (reward, over, cut) == (0.0, False, False)
    third, *_ = env.step(1)
    assert third["gpu_free"].tolist() == [[0, 0], [1, 1]]
    assert third["gpu_asked"].tolist() == [0.5, 0.5]


def test_the_end_is_all_zeros_and_asks_for_a_reset() -> None:
    fleet = make_fleet(make_hosts(1, 4))
    env = PlacementEnv(fleet=fleet, workload=build_workload(make_frame([make_vm(0, 10, 1)]), fleet))
    with pytest.raises(InputError, match=r"call reset\(\) first"):
        env.step(0)
    env.reset()
    last, _, over, _, info = env.step(0)
    assert over
    assert not any(part.any() for part in last.values())
    assert (info["placed"], info["rejected"]) == (1, 0)
    assert env.view is env.request is None
    with pytest.raises(InputError, match=r"call reset\(\) first"):
        env.step(0)


def test_a_host_that_the_mask_forbids_rejects_the_vm() -> None:
    fleet = make_fleet(make_hosts(2, 4))
    env = PlacementEnv(fleet=fleet, workload=build_workload(make_frame([make_vm(i, 99, 4) for i in range(4)]), fleet))
    env.reset()
    env.step(0)
    _, reward, over, _, info = env.step(0)
    assert (reward, over) == (-1.0, False)
    assert (info["vm"], info["rejected"]) == (2, 1)
    _, reward, over, _, _ = env.step(1)
    assert (reward, over) == (-1.0, True), "the last VM finds both hosts full"
    assert env.hosts == (0, -1, 1, -1)


def test_rewards_by_name_and_of_ones_own() -> None:
    rows = [make_vm(0, 7200, 1), make_vm(3600, 3600, 1)]
    fleet = make_fleet(make_hosts(2, 4))
    workload = build_workload(make_frame(rows), fleet)
    seen: list[Stretch] = []

    def mine(stretch: Stretch) -> float:
        seen.append(stretch)
        return 7.0

    assert play(PlacementEnv(fleet=fleet, workload=workload, reward="hosts"), load_policy("best-fit")) == -2.0
    assert play(PlacementEnv(fleet=fleet, workload=workload, reward="hosts"), load_policy("worst-fit")) == -3.0
    assert play(PlacementEnv(fleet=fleet, workload=workload, reward="placed"), load_policy("worst-fit")) == 2.0
    assert play(PlacementEnv(fleet=fleet, workload=workload, reward=mine), load_policy("worst-fit")) == 14.0
    assert seen == [Stretch(True, 0, 3600.0, 3600.0, 3600.0), Stretch(True, 0, 7200.0, 3600.0, 7200.0)]


def test_seeds_make_episodes(small: Path) -> None:
    def first_requests(env: PlacementEnv, **how: Any) -> list[str]:
        _, info = env.reset(**how)
        found = []
        for _ in range(5):
            assert env.request is not None
            found.append(f"{info['now']} {env.request.shape.describe()}")
            *_, info = env.step(int(np.argmax(info["action_mask"])))
        return found

    one, other = PlacementEnv(small), PlacementEnv(small)
    own = first_requests(one)
    assert own == first_requests(other, seed=4), "without a seed: that of the scenario"
    assert first_requests(one) == first_requests(other, seed=5) != own, "and then the next"
    assert first_requests(one, seed=4) == own


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("faults.hosts={mtbf: 3 d, mttr: 1 h}", "has faults, which a placement environment does not play"),
        ("maintenance=[{at: 1 h, duration: 1 h}]", "has maintenance"),
        ("on_full={wait: 10 min}", "has waiting"),
    ],
)
def test_what_it_does_not_play_is_refused(small: Path, option: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        PlacementEnv(small, options=[option])


def test_arguments_that_make_no_sense_are_refused(small: Path) -> None:
    with pytest.raises(InputError, match="takes a scenario, or a fleet and a workload"):
        PlacementEnv()
    with pytest.raises(InputError, match="there is no reward 'glory'; use one of rejections"):
        PlacementEnv(small, reward="glory")
    assert math.isfinite(play(PlacementEnv(small), load_policy("first-fit")))
