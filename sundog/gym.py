"""A Gymnasium environment: the placement decision, for reinforcement learning.

An episode is a study's workload on its fleet: VMs come and go, and each one that could be placed is a step, whose
action is a host. What comes between two steps (departures, requests that no host could take) happens by itself, in the
order in which the study engine plays it. The environment sits on the same scheduler: an agent is offered the hosts that
a policy would be offered, and one that does as a policy does gets the placements that ``sundog run`` gets.

Needs the extra ``gym`` (``pip install 'sundog[gym]'``). Source of the interface: Towers et al., "Gymnasium: A Standard
Interface for Reinforcement Learning Environments" (2024).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sundog.core.pool import Pool
from sundog.core.scheduler import Decision, HostView, NoValidHost, Policy, Request, Scheduler
from sundog.errors import InputError
from sundog.runtime.seeds import Streams
from sundog.scenarios.load import load_scenario
from sundog.scenarios.run import Study, prepare
from sundog.sim.fleet import GPU, Fleet
from sundog.sim.requests import Workload

Observation: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened from one step to the next, for a reward: ``now`` and ``elapsed_s`` in simulated seconds.

    ``placed``: whether the action was feasible, so that the VM was placed. ``rejected``: requests that got no host,
    that of the step included. ``host_s``: seconds times hosts with at least one VM on them.
    """

    placed: bool
    rejected: int
    host_s: float
    elapsed_s: float
    now: float


REWARDS: Final[Mapping[str, Callable[[Stretch], float]]] = {
    "rejections": lambda stretch: -float(stretch.rejected),
    "hosts": lambda stretch: -stretch.host_s / 3600.0,
    "placed": lambda stretch: float(stretch.placed),
}
"""``rejections``: -1 for each request without a host. ``hosts``: minus the host-hours in use. ``placed``: 1 a VM."""


class PlacementEnv(gymnasium.Env[Observation, np.int64]):
    """Which host for the next VM?

    ``scenario`` is a scenario's path or name, or a ``Study``; or give a ``fleet`` and a ``workload``. ``options`` are
    as ``--set`` of the command line (``["fleet.0.count=50"]``). ``reward`` is a name of :data:`REWARDS` (default
    ``rejections``, so that the return is minus the number of requests that got no host), or a function of a
    :class:`Stretch`.

    Action: the index of a host, ``Discrete(n)``. An action that the mask forbids places nothing: the VM is rejected.

    Observation: a dict of

    - ``free`` and ``asked``, ``float32[n, k]``: free and asked of each of the k resource classes (``classes``), as
      shares of the largest host's capacity; ``asked`` differs between hosts where the demand depends on the machine;
    - ``gpu_free``, ``float32[n, d]``: what is free of each GPU (0 where there is none); ``gpu_asked``, ``float32[2]``:
      the part of each GPU that is asked, and of how many of the d; both only if the fleet has GPUs;
    - ``mask``, ``int8[n]``: 1 for the hosts that are feasible, as also in ``info["action_mask"]``.

    ``info`` has ``vm`` (its number), ``now`` (seconds), ``placed`` and ``rejected`` (counts so far). :attr:`request`
    and :attr:`view` are what a policy would be given. At the end the observation is all zeros.

    ``reset(seed=s)`` plays the scenario with seed *s*; ``reset()`` plays it with its own seed, then with the next ones.
    With a fleet and a workload, the seed is that of the dice of policies alone. The scenario must be one of arrivals
    and departures only.
    Raises: InputError for a scenario with faults, maintenance or waiting, or a reward that does not exist.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        scenario: str | Path | Study | None = None,
        *,
        options: Sequence[str] = (),
        fleet: Fleet | None = None,
        workload: Workload | None = None,
        reward: str | Callable[[Stretch], float] = "rejections",
    ) -> None:
        if (scenario is None) == (fleet is None or workload is None):
            raise InputError("a placement environment takes a scenario, or a fleet and a workload")
        if isinstance(reward, str) and reward not in REWARDS:
            raise InputError(f"there is no reward {reward!r}; use one of {', '.join(REWARDS)}, or a function")
        self._reward = REWARDS[reward] if isinstance(reward, str) else reward
        self._scenario = None if isinstance(scenario, Study) else scenario
        self._options = tuple(options)
        self._next_seed = 0
        study = scenario if isinstance(scenario, Study) else None
        if self._scenario is not None:
            study = prepare(load_scenario(self._scenario, self._options))
        if study is not None:
            _check_plain(study)
            self._next_seed = study.loaded.scenario.seed
            fleet, workload = study.fleet, study.workload
        assert fleet is not None
        assert workload is not None
        self._fleet, self._workload, self._prepared = fleet, workload, study is not None
        self.classes = tuple(item.name for item in workload.classes if item.name != GPU)
        n, k = len(fleet), len(self.classes)
        gpus = max(group.type.gpus for group in fleet.groups)
        shares = {"free": (n, k), "asked": (n, k)} | ({"gpu_free": (n, gpus), "gpu_asked": (2,)} if gpus else {})
        boxes: dict[str, spaces.Space[Any]] = {
            name: spaces.Box(0.0, 1.0, shape, np.float32) for name, shape in shares.items()
        }
        self._parts = boxes | {"mask": spaces.MultiBinary(n)}
        self.observation_space = cast("spaces.Space[Observation]", spaces.Dict(self._parts))
        self.action_space = spaces.Discrete(n)
        self._episode: _Episode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode. See :class:`PlacementEnv` for what the seed does."""
        super().reset(seed=seed)
        episode_seed = self._next_seed if seed is None else seed
        self._next_seed = episode_seed + 1
        if self._scenario is not None:
            study = prepare(load_scenario(self._scenario, self._options, seed=episode_seed))
            self._fleet, self._workload = study.fleet, study.workload
        self._episode = _Episode(self._fleet, self._workload, episode_seed)
        self._episode.advance()
        return self._observation(), self._info()

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Place the VM on host ``action``, and go on to the next one that can be placed.

        Raises: InputError before the first reset, or after the end of an episode.
        """
        episode = self._episode
        if episode is None or episode.view is None:
            raise InputError("there is no VM to place: call reset() first, and again when an episode is over")
        stretch = episode.act(int(action))
        return self._observation(), self._reward(stretch), episode.view is None, False, self._info()

    @property
    def request(self) -> Request | None:
        """What is to be placed; None between episodes."""
        return None if self._episode is None else self._episode.request

    @property
    def view(self) -> HostView | None:
        """The hosts as a policy would see them; None between episodes."""
        return None if self._episode is None else self._episode.view

    @property
    def hosts(self) -> tuple[int, ...]:
        """Where each VM was placed so far, by its number: a host, or -1."""
        return () if self._episode is None else tuple(self._episode.host.tolist())

    def _observation(self) -> Observation:
        zeros: Observation = {name: np.zeros(part.shape or (), part.dtype) for name, part in self._parts.items()}
        view = self._episode.view if self._episode is not None else None
        if view is None:
            return zeros
        for column, name in enumerate(self.classes):
            largest = max(float(view.capacity(name).max()), 1.0 / view.classes[name].scale)
            zeros["free"][: view.n, column] = np.clip(view.free(name) / largest, 0.0, 1.0)
            zeros["asked"][: view.n, column] = np.clip(view.asked(name) / largest, 0.0, 1.0)
        if "gpu_free" in zeros:
            free = np.maximum(view.device_free(GPU), 0) / view.classes[GPU].scale
            zeros["gpu_free"][: view.n, : free.shape[1]] = free
            devices = view.classes.values(view.demand.devices)
            if devices:
                zeros["gpu_asked"][:] = devices[GPU], view.demand.device_count / zeros["gpu_free"].shape[1]
        zeros["mask"][: view.n] = view.feasible
        return zeros

    def _info(self) -> dict[str, Any]:
        episode = self._episode
        assert episode is not None
        mask = np.zeros(len(self._fleet), dtype=np.int8)
        if episode.view is not None:
            mask[: episode.view.n] = episode.view.feasible
        return {
            "vm": episode.vm,
            "now": episode.now,
            "action_mask": mask,
            "placed": episode.placed,
            "rejected": episode.rejected,
        }


def play(env: PlacementEnv, policy: Policy, *, seed: int | None = None) -> float:
    """Let a policy play one episode; returns the sum of rewards. A baseline to hold an agent against."""
    env.reset(seed=seed)
    total = 0.0
    while (view := env.view) is not None:
        request = env.request
        if callable(getattr(policy, "choose", None)):
            host = policy.choose(request, view)
        else:
            host = int(np.argmax(np.where(view.feasible, policy.score(request, view), -np.inf)))
        total += env.step(host)[1]
    return total


class _Puppet:
    """A policy that chooses what it is told, so that the scheduler does all the rest."""

    host = 0

    def choose(self, request: Request, hosts: HostView) -> int:
        return self.host


class _Episode:
    """Arrivals and departures in the order of ``sundog.sim.engine``: at one instant, departures come first."""

    def __init__(self, fleet: Fleet, workload: Workload, seed: int) -> None:
        self.fleet, self.workload = fleet, workload
        self.pool = Pool(workload.classes)
        self.puppet = _Puppet()
        dice = int(Streams(seed).fresh("policy").integers(2**63))
        self.scheduler = Scheduler(self.pool, self.puppet, policy_name="the agent", seed=dice)
        self.entering = sorted(range(len(fleet.groups)), key=lambda number: fleet.groups[number].at)[::-1]
        self.host_of_row: dict[int, int] = {}
        self.leaving: list[tuple[float, int, int]] = []  # when, the number of its placement, VM
        self.host: NDArray[np.int32] = np.full(len(workload), -1, dtype=np.int32)
        self.on: list[int] = [0] * len(fleet)
        self.in_use = 0
        self.host_s = 0.0
        self.now = 0.0
        self.vm = -1
        self.placed = self.rejected = 0
        self.request: Request | None = None
        self.view: HostView | None = None

    def act(self, action: int) -> Stretch:
        """Do as the agent says, and go on to the next VM that can be placed."""
        assert self.view is not None
        assert self.request is not None
        before = (self.rejected, self.host_s, self.now)
        feasible = 0 <= action < self.view.n and bool(self.view.feasible[action])
        if feasible:
            self.puppet.host = action
            self._place(self.request)
        else:
            self.rejected += 1
        self.advance()
        rejected, host_s, then = before
        return Stretch(feasible, self.rejected - rejected, self.host_s - host_s, self.now - then, self.now)

    def advance(self) -> None:
        """To the next VM that some host could take; ``view`` is None if there is none."""
        self.view = self.request = None
        while (vm := self.vm + 1) < len(self.workload):
            self.vm = vm
            self._until(max(float(self.workload.arrival_s[vm]), 0.0))
            shape = self.workload.shapes[self.workload.shape[vm]]
            group = int(self.workload.group[vm])
            request = Request(shape, self.workload.groups[group] if group >= 0 else None, id=shape.name)
            self.scheduler.at(self.now, vm)
            demand, feasible = self.scheduler.feasible(request)
            if feasible.any():
                self.request, self.view = request, HostView(self.scheduler.hosts, demand, feasible)
                return
            self.rejected += 1
        self.vm = len(self.workload)
        self._until(max((when for when, _, _ in self.leaving), default=self.now))

    def _until(self, when: float) -> None:
        """Let all happen that comes before an arrival at ``when``."""
        while True:
            entry = self.fleet.groups[self.entering[-1]].at if self.entering else math.inf
            departure = self.leaving[0][0] if self.leaving else math.inf
            if min(entry, departure) > when:
                break
            if departure <= entry:
                self._pass(departure)
                self._leave(heapq.heappop(self.leaving)[2])
            else:
                self._pass(entry)
                self._enter(self.entering.pop())
        self._pass(when)

    def _pass(self, when: float) -> None:
        self.host_s += self.in_use * (when - self.now)
        self.now = when

    def _enter(self, group: int) -> None:
        rows = self.fleet.enter(self.pool, group)
        self.host_of_row.update(zip(rows, self.fleet.hosts_of_group(group), strict=True))

    def _place(self, request: Request) -> None:
        decision: Decision | NoValidHost = self.scheduler.place(request, self.vm)
        assert isinstance(decision, Decision), "the action was checked against the mask"
        host = self.host_of_row[decision.row]
        self.host[self.vm] = host
        self.on[host] += 1
        self.in_use += self.on[host] == 1
        end = self.now + float(self.workload.lifetime_s[self.vm] + min(self.workload.arrival_s[self.vm], 0.0))
        if end != math.inf:
            heapq.heappush(self.leaving, (end, self.placed, self.vm))
        self.placed += 1

    def _leave(self, vm: int) -> None:
        group = int(self.workload.group[vm])
        self.scheduler.release(vm, self.workload.groups[group] if group >= 0 else None)
        host = int(self.host[vm])
        self.on[host] -= 1
        self.in_use -= self.on[host] == 0


def _check_plain(study: Study) -> None:
    """Refuse what is more than arrivals and departures."""
    scenario = study.loaded.scenario
    faults = scenario.faults
    found = {
        "faults": faults.hosts or faults.racks or faults.outages or faults.machine_events,
        "maintenance": scenario.maintenance,
        "waiting (on_full)": scenario.on_full != "reject",
    }
    for what, is_there in found.items():
        if is_there:
            raise InputError(
                f"scenario {scenario.name} has {what}, which a placement environment does not play; take it out"
            )


gymnasium.register("sundog/Placement-v0", entry_point="sundog.gym:PlacementEnv")
