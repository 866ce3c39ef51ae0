"""Policies for hosts with GPUs that are shared: fragmentation gradient descent and what it is compared with.

Source: Weng, Yang, Yu, Wang, Tang, Yang, Zhang, "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
Fragmentation Gradient Descent" (USENIX ATC 2023), and the scores of its simulator
(hkust-adsl/kubernetes-scheduler-simulator, Apache-2.0), from which the definitions of the four others are taken.

A GPU is a child provider of its host (class ``PGPU``). CPU is the one class of the host that counts, as there. Scores
there are whole numbers of 0 to 100 (``levels=100``); here they are exact unless ``levels`` is given. Equal scores go to
the first host of the fleet, there to the first by a name that begins with a random number: so the order of the fleet
matters, and ``docs/explanation/validation.md`` says how much.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sundog.core.pool.pool import Bools, Ints
from sundog.core.pool.resource_classes import ResourceClasses
from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.policies.outlook import Outlook
from sundog.core.scheduler.request import Devices, Request, Shape, make_shape

GPU: Final = "PGPU"
CPU: Final = "VCPU"
NEVER: Final = -(2**62)  # the gain of a host without room


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a request asks, in units: ``cpu`` is ``int64[n]``; ``gpu`` of each of ``count`` devices (0: none asked)."""

    cpu: Ints
    gpu: int
    count: int


class _GpuPolicy:
    """What the five have in common: they look at free CPU and at the free part of each GPU, and at nothing else."""

    def __init__(self, levels: int | None = None) -> None:
        if levels is not None and (isinstance(levels, bool) or not isinstance(levels, int) or levels < 1):
            raise ValueError(f"levels is {levels!r}; it must be a whole number of 1 or more")
        self.levels = levels

    def _stepped(self, share: Floats) -> Floats:
        """A score in shares of 1, cut off to whole levels if there are any."""
        return share if self.levels is None else np.trunc(share * self.levels)


class GpuRandom:
    """Any host with room, and on it any GPU with room for a part of one, each with the same chance.

    ``random`` takes the fullest GPU that has room, which packs the parts and allocates more.
    """

    def choose(self, request: Request, hosts: HostView) -> int:
        """A uniform draw from the feasible hosts."""
        feasible = np.flatnonzero(hosts.feasible)
        return int(feasible[int(hosts.uniform() * len(feasible))])

    def choose_devices(self, request: Request, hosts: HostView, host: int) -> list[int] | None:
        """A uniform draw from the devices with room; None for several devices, which are whole."""
        if request.shape.devices is None or request.shape.devices.count > 1:
            return None
        gpu = _asked(request, hosts).gpu
        if not gpu:
            return None
        room = np.flatnonzero(hosts.device_free(GPU)[host] >= gpu)
        return [int(room[int(hosts.uniform(1) * len(room))])]


class GpuPacking(_GpuPolicy):
    """Parts of GPUs in use first, then free GPUs of hosts in use, then hosts with as few GPUs as possible.

    Tiers: all devices are in use already (the less room on them the better); some free GPU must be begun (as few as
    possible); the host has no GPU in use (the fewer it has the better). A request without GPU takes the first host.
    """

    def __init__(self) -> None:
        super().__init__()

    def score(self, request: Request, hosts: HostView) -> Floats:
        """0 to 100, in whole numbers."""
        ask = _asked(request, hosts)
        if not ask.gpu:
            return np.zeros(hosts.n)
        free, capacity = hosts.device_free(GPU), hosts.device_capacity(GPU)
        whole = (capacity > 0) & (free == capacity)
        idle = whole.sum(axis=1)
        order = np.argsort(np.where(free >= ask.gpu, free, np.iinfo(np.int64).max), axis=1, kind="stable")
        taken = order[:, : ask.count]
        begun = np.take_along_axis(whole, taken, axis=1).sum(axis=1)
        percent = (
            np.take_along_axis(free, taken, axis=1) * 100 // np.maximum(np.take_along_axis(capacity, taken, axis=1), 1)
        )
        shared = np.maximum(100 - percent.sum(axis=1) // 10, 50)
        scores = np.where(begun > 0, np.maximum(50 - begun, 33), shared)
        free_host = idle == (capacity > 0).sum(axis=1)
        return np.asarray(np.where(free_host, np.maximum(33 - idle, idle), scores), dtype=np.float64)


class GpuClustering(_GpuPolicy):
    """Requests of one kind together: shared GPUs, one GPU, two GPUs … each on hosts of their own.

    Tiers: only this kind is on the host; this kind among others; no request with GPUs; other kinds. In a tier the host
    with the least GPU left is best. A request without GPU takes the first host.
    """

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[int, tuple[int, str]] = {}
        self._by_kind: dict[str, Ints] = {}

    def placed(self, request: Request, row: int, consumer: int, now: float) -> None:
        """Note the kind of a server on the host of provider row ``row``."""
        self.released(consumer)
        kind = _kind(request.shape)
        if kind:
            self._of[consumer] = (row, kind)
            counts = self._by_kind.get(kind, np.zeros(0, dtype=np.int64))
            if row >= len(counts):
                counts = np.concatenate([counts, np.zeros(row + 64 - len(counts), dtype=np.int64)])
            counts[row] += 1
            self._by_kind[kind] = counts

    def released(self, consumer: int) -> None:
        """Forget a server."""
        row, kind = self._of.pop(consumer, (-1, ""))
        if kind:
            self._by_kind[kind][row] -= 1

    def score(self, request: Request, hosts: HostView) -> Floats:
        """0 to 100: 25 for each tier, and up to 25 for the part of the largest host's GPUs that is not free here."""
        kind = _kind(request.shape)
        if not kind:
            return np.zeros(hosts.n)
        here = {each: _at(counts, hosts.rows) > 0 for each, counts in self._by_kind.items()}
        same = here.get(kind, np.zeros(hosts.n, dtype=bool))
        kinds = np.sum([each.astype(np.int64) for each in here.values()], axis=0) if here else np.zeros(hosts.n)
        tier = np.where(same, np.where(kinds == 1, 75, 50), np.where(kinds == 0, 25, 0))
        most = max(int(hosts.device_capacity(GPU).sum(axis=1).max(initial=0)), 1)
        left = np.maximum(hosts.device_free(GPU), 0).sum(axis=1)
        return np.asarray(tier + 25 * (most - left) // most, dtype=np.float64)


class GpuBestFit(_GpuPolicy):
    """Best fit over CPU and all GPUs of a host together, as shares of the largest host, with equal weights."""

    def score(self, request: Request, hosts: HostView) -> Floats:
        """1 less the mean share that would be left."""
        ask = _asked(request, hosts)
        (cpu, most_cpu), (gpu, most_gpu) = _totals(hosts)
        left = 0.5 * ((cpu - ask.cpu) / most_cpu) + 0.5 * ((gpu - ask.gpu * ask.count) / most_gpu)
        return self._stepped(1.0 - left)


class GpuDotProduct(_GpuPolicy):
    """The host with the *smallest* product of free and asked, over CPU and all GPUs of a host together.

    So in the simulator of the paper (merged GPU dimension, shares of the largest host), where it stands for Tetris.
    Tetris, and ``dot-product``, take the largest.
    """

    def score(self, request: Request, hosts: HostView) -> Floats:
        """1 less half the dot product."""
        ask = _asked(request, hosts)
        (cpu, most_cpu), (gpu, most_gpu) = _totals(hosts)
        product = (cpu / most_cpu) * (ask.cpu / most_cpu) + (gpu / most_gpu) * (ask.gpu * ask.count / most_gpu)
        return self._stepped(1.0 - product / 2.0)


# ---------------------------------------------------------------- fragmentation gradient descent


@dataclass(frozen=True, slots=True)
class _Task:
    """A kind of task of the target workload, in units, and how many there are of it."""

    cpu: int
    gpu: int
    count: int
    any_traits: tuple[tuple[str, ...], ...]
    weight: int


@dataclass(slots=True)
class _Kept:
    """Scores for one demand, and the states of the hosts that they hold for: only hosts that changed are redone."""

    state: Ints
    gain: Ints
    device: Ints


class Fgd(_GpuPolicy):
    """Fragmentation gradient descent: the host, and on it the GPU, whose fragmentation grows least.

    Fragmentation of a host is the GPU capacity on it that a task drawn from the target workload cannot use, in
    expectation: all that is free, where the host lacks CPU, GPU or the GPU model for the task, or the task asks for no
    GPU; else the free parts of those GPUs that are too small for it.

    The target workload is ``tasks``, a list of ``{VCPU: 4, gpus: 1, gpu_share: 0.5, any_traits: [[…]], weight: 10}``;
    without it, the study's own workload; where that is not known either, the request at hand. Only the most frequent
    tasks count, up to a share ``popularity`` of all.

    ``levels``: the score is the sigmoid of the fall in GPUs, cut off to that many levels (100 in their simulator).

    Raises: ValueError for a parameter that makes no sense.
    """

    def __init__(
        self, tasks: Sequence[Mapping[str, Any]] | None = None, popularity: float = 0.95, levels: int | None = None
    ) -> None:
        super().__init__(levels)
        if isinstance(popularity, bool) or not isinstance(popularity, int | float) or not 0 < popularity <= 1:
            raise ValueError(f"popularity is {popularity!r}; it is a share above 0 and at most 1")
        self.popularity = popularity
        self._shapes = None if tasks is None else _given(tasks)
        self._tasks: tuple[_Task, ...] | None = None
        self._facts: object = None
        self._access: dict[_Task, Bools] = {}
        self._kept: dict[object, _Kept] = {}

    def prepare(self, outlook: Outlook) -> None:
        """Take the study's workload as the target, unless ``tasks`` were given."""
        if self._shapes is None:
            counts = outlook.counts().tolist()
            self._shapes = [(shape, count) for shape, count in zip(outlook.shapes, counts, strict=True) if count]
            self._tasks = None

    def score(self, request: Request, hosts: HostView) -> Floats:
        """How many GPUs the expected fragmentation falls by (mostly negative), or the levels of its sigmoid."""
        kept, tasks = self._scored(request, hosts)
        fall: Floats = kept.gain / (float(sum(task.weight for task in tasks)) * _unit(hosts))
        fall[kept.gain == NEVER] = -np.inf
        if self.levels is not None:
            with np.errstate(over="ignore"):
                fall = np.trunc(self.levels / (1.0 + np.exp(-fall)))
        return fall

    def choose_devices(self, request: Request, hosts: HostView, host: int) -> list[int] | None:
        """The GPU with the best fall, for a part of one; None (the fullest, which are whole) for whole ones."""
        if request.shape.devices is None or request.shape.devices.count > 1:
            return None
        device = int(self._scored(request, hosts)[0].device[host])
        return None if device < 0 else [device]

    def _scored(self, request: Request, hosts: HostView) -> tuple[_Kept, tuple[_Task, ...]]:
        if self._facts != (facts := (hosts.facts_version, hosts.n)):
            self._facts, self._tasks = facts, None
            self._kept.clear()
            self._access.clear()
        ask = _asked(request, hosts)
        if self._shapes is None:
            tasks = _tasks([(request.shape, 1)], hosts.classes, 1.0)
        else:
            if self._tasks is None:
                self._tasks = _tasks(self._shapes, hosts.classes, self.popularity)
            tasks = self._tasks
        free = hosts.device_free(GPU)
        state: Ints = np.column_stack([_free_cpu(hosts), free]).astype(np.int64)
        alone = request.shape if self._shapes is None or request.shape.variants else None
        key = (alone, int(ask.cpu[0]) if hosts.n else 0, ask.gpu, ask.count)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(
                np.full_like(state, -2), np.zeros(hosts.n, dtype=np.int64), np.full(hosts.n, -1, dtype=np.int64)
            )
        changed = np.flatnonzero((kept.state != state).any(axis=1))
        if len(changed):
            allowed = np.stack([self._accessible(task, hosts) for task in tasks], axis=1)[changed]
            columns = np.asarray([(t.cpu, t.gpu, t.count, t.weight) for t in tasks], dtype=np.int64).T.copy()
            whole = int(hosts.device_capacity(GPU).max(initial=0))
            cpu, gpus = state[changed, 0], np.ascontiguousarray(state[changed, 1:])
            asked = (ask.cpu[changed], ask.gpu, ask.count, whole)
            kept.gain[changed], kept.device[changed] = _gains()(cpu, gpus, *asked, allowed, *columns)
            kept.state[changed] = state[changed]
        return kept, tasks

    def _accessible(self, task: _Task, hosts: HostView) -> Bools:
        """Hosts with a GPU model that the task takes."""
        if task not in self._access:
            self._access[task] = hosts.has_traits(Shape(any_traits=task.any_traits))
        return self._access[task]


def _lost(
    cpu: int, gpus: Ints, allowed: Bools, t_cpu: Ints, t_gpu: Ints, t_count: Ints, weight: Ints
) -> int:  # compiled by _gains
    """GPU units on one host that a task cannot use, summed over the tasks by weight. -1 in ``gpus``: no device."""
    total = 0
    for i in range(len(gpus)):
        if gpus[i] > 0:
            total += gpus[i]
    lost = 0
    for t in range(len(t_cpu)):
        unusable = total
        if t_gpu[t] > 0 and allowed[t] and cpu >= t_cpu[t]:
            small, enough = 0, 0
            for i in range(len(gpus)):
                if gpus[i] >= t_gpu[t]:
                    enough += 1
                elif gpus[i] > 0:
                    small += gpus[i]
            if enough >= t_count[t]:
                unusable = small
        lost += weight[t] * unusable
    return lost


@functools.cache
def _gains() -> Callable[..., tuple[Ints, Ints]]:
    """The function below, compiled when it is first needed."""
    from numba import njit

    lost = njit(cache=True)(_lost)

    def gains(
        cpu: Ints,
        gpus: Ints,
        asked: Ints,
        gpu: int,
        count: int,
        whole: int,
        allowed: Bools,
        t_cpu: Ints,
        t_gpu: Ints,
        t_count: Ints,
        weight: Ints,
    ) -> tuple[Ints, Ints]:
        # By how much the loss falls on each host, and by which device if a part of one is asked (else -1).
        gain = np.full(len(cpu), NEVER, dtype=np.int64)
        device = np.full(len(cpu), -1, dtype=np.int64)
        for h in range(len(cpu)):
            before = lost(cpu[h], gpus[h], allowed[h], t_cpu, t_gpu, t_count, weight)
            left = gpus[h].copy()
            if count == 1 and gpu < whole:
                for i in range(len(left)):
                    if left[i] >= gpu:
                        left[i] -= gpu
                        fall = before - lost(cpu[h] - asked[h], left, allowed[h], t_cpu, t_gpu, t_count, weight)
                        left[i] += gpu
                        if fall > gain[h]:
                            gain[h], device[h] = fall, i
                continue
            taken = 0
            while taken < count:  # the fullest with room, the first of equals
                fullest = -1
                for i in range(len(left)):
                    if gpus[h, i] >= gpu and left[i] == gpus[h, i] and (fullest < 0 or left[i] < left[fullest]):
                        fullest = i
                if fullest < 0:
                    break
                left[fullest] -= gpu
                taken += 1
            if taken == count:
                gain[h] = before - lost(cpu[h] - asked[h], left, allowed[h], t_cpu, t_gpu, t_count, weight)
        return gain, device

    compiled: Callable[..., tuple[Ints, Ints]] = njit(gains)
    return compiled


def _tasks(shapes: Sequence[tuple[Shape, int]], classes: ResourceClasses, popularity: float) -> tuple[_Task, ...]:
    """The kinds of task among ``shapes``, the most frequent first, until they are ``popularity`` of all."""
    counts: dict[tuple[int, int, int, tuple[tuple[str, ...], ...]], int] = {}
    for shape, count in shapes:
        own = dict(shape.variants[0].resources if shape.variants else shape.resources)
        cpu = classes[CPU].units(own[CPU]) if own.get(CPU) and CPU in classes else 0
        part = dict(shape.devices.resources).get(GPU, 0.0) if shape.devices else 0.0
        gpu = classes[GPU].units(part) if part and GPU in classes else 0
        kind = (cpu, gpu, shape.devices.count if shape.devices and gpu else 0, shape.any_traits if gpu else ())
        counts[kind] = counts.get(kind, 0) + count
    wanted, found, reached = popularity * sum(counts.values()), [], 0
    for (cpu, gpu, number, any_traits), count in sorted(counts.items(), key=lambda item: -item[1]):
        if reached >= wanted:
            break
        found.append(_Task(cpu, gpu, number, any_traits, count))
        reached += count
    return tuple(found)


def _given(tasks: object) -> list[tuple[Shape, int]]:
    """The parameter ``tasks`` as shapes and counts.

    Raises: ValueError for anything that is no such list.
    """
    if isinstance(tasks, str) or not isinstance(tasks, Sequence) or not tasks:
        raise ValueError(f"tasks are {tasks!r}; give a list such as [{{VCPU: 4, gpus: 1, gpu_share: 0.5, weight: 10}}]")
    known = (CPU, "gpus", "gpu_share", "any_traits", "weight")
    found = []
    for task in tasks:
        if not isinstance(task, Mapping) or (unknown := [key for key in task if key not in known]):
            wrong = f"has {unknown[0]!r}" if isinstance(task, Mapping) else "is no mapping"
            raise ValueError(f"task {task!r} {wrong}; it takes {', '.join(known)}")
        numbers = {CPU: task.get(CPU, 0), "gpu_share": task.get("gpu_share", 1)}
        counts = {"gpus": task.get("gpus", 0), "weight": task.get("weight", 1)}
        for key, value in (*numbers.items(), *counts.items()):
            kinds = int if key in counts else int | float
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < np.inf:
                raise ValueError(f"task {task!r}: {key} is {value!r}; it must be a number of 0 or more")
        devices = None
        if counts["gpus"] and numbers["gpu_share"]:
            devices = Devices(((GPU, float(numbers["gpu_share"])),), counts["gpus"])
        shape = make_shape({CPU: float(numbers[CPU])}, devices=devices, any_traits=task.get("any_traits", ()))
        found.append((shape, int(counts["weight"])))
    if not any(weight for _, weight in found):
        raise ValueError("no task has a weight above 0")
    return found


# ---------------------------------------------------------------- columns


def _asked(request: Request, hosts: HostView) -> _Ask:
    cpu = np.zeros(hosts.n, dtype=np.int64)
    for name, (_, units, _, _) in zip(hosts.classes_asked(), hosts.in_units(), strict=True):
        if name == CPU:
            cpu = cpu + units
    column = hosts.classes.column(GPU) if GPU in hosts.classes else -1
    gpu = dict(hosts.demand.devices).get(column, 0)
    return _Ask(cpu, gpu, hosts.demand.device_count if gpu else 0)


def _free_cpu(hosts: HostView) -> Ints:
    """``int64[n]``: free CPU in units."""
    if CPU not in hosts.classes:
        return np.zeros(hosts.n, dtype=np.int64)
    return np.rint(hosts.free(CPU) * hosts.classes[CPU].scale).astype(np.int64)


def _totals(hosts: HostView) -> tuple[tuple[Ints, float], tuple[Ints, float]]:
    """Free CPU and free GPU of each host, each with the largest capacity of any host."""
    most_cpu = float((hosts.capacity(CPU) * hosts.classes[CPU].scale).max(initial=0)) if CPU in hosts.classes else 0.0
    most_gpu = float(hosts.device_capacity(GPU).sum(axis=1).max(initial=0))
    gpu = np.maximum(hosts.device_free(GPU), 0).sum(axis=1)
    return (_free_cpu(hosts), max(most_cpu, 1.0)), (gpu, max(most_gpu, 1.0))


def _unit(hosts: HostView) -> float:
    """Units that make one GPU."""
    return float(hosts.classes[GPU].scale) if GPU in hosts.classes else 1.0


def _kind(shape: Shape) -> str:
    """What a request is to GPU clustering: nothing, a part of a GPU, or a number of GPUs."""
    part = dict(shape.devices.resources).get(GPU, 0.0) if shape.devices else 0.0
    if not part or shape.devices is None:
        return ""
    return "share" if shape.devices.count == 1 and part < 1 else f"{shape.devices.count}-gpu"


def _at(counts: Ints, rows: Any) -> Ints:
    """``counts`` at ``rows``; 0 beyond its end."""
    found: Ints = np.where(rows < len(counts), counts[np.minimum(rows, len(counts) - 1)], 0)
    return found
