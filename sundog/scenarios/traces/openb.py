"""Alibaba openb (cluster-trace-gpu-v2023): nodes and pods of a GPU cluster, with GPUs shared in thousandths.

Source: alibaba/clusterdata cluster-trace-gpu-v2023 (Weng et al., USENIX ATC'23). Times are seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from sundog.errors import InputError
from sundog.scenarios.traces.model import Option, Trace, choice, in_arrival_order, locate, positive_number
from sundog.scenarios.traces.tables import Source, read_table

if TYPE_CHECKING:
    from sundog.runtime.seeds import Streams

DESCRIPTION = "Alibaba openb GPU cluster 2023: nodes and pods, parts of GPUs, GPU model alternatives"
OPTIONS = {
    "pods": Option(choice("default", "gpuspec33"), "default", "default | gpuspec33 (a third names GPU models)"),
    "start": Option(
        choice("collection", "recorded"),
        "collection",
        "collection: time 0 is the first end of a pod in the file; recorded: times as they are in the file",
    ),
    "running": Option(
        choice("recorded", "outlives"),
        "recorded",
        "pods last seen Running: recorded: they end when deleted, or outlive the trace if that is its last instant;"
        " outlives: all of them do",
    ),
    "pending": Option(
        choice("keep", "drop"), "keep", "pods that were never scheduled: keep (lifetime until withdrawn) | drop"
    ),
    "nodes": Option(choice("all", "gpu"), "all", "all nodes | gpu: only those with GPUs"),
    "order": Option(
        choice("recorded", "shuffled", "shuffled-pods"),
        "recorded",
        "recorded: pods come and go as recorded; shuffled: one pod a second in random order, none leaves, and the nodes"
        " are in random order too; shuffled-pods: the nodes stay in the order of the file",
    ),
    "demand": Option(
        positive_number,
        None,
        "with pods in random order, the GPUs asked for as a multiple of the nodes' (1.3): pods are left out, or drawn"
        " again",
    ),
}

_NODES = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
_PODS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "pod_phase", "creation_time",
         "deletion_time")  # fmt: skip
_PHASES = ("Running", "Failed", "Pending", "Succeeded")
_LEAST_MIB: Final = 1.0
_MOST_DEMAND: Final = 1000.0


def read(path: Path, *, options: dict[str, Any], streams: Streams) -> Trace:
    """The trace in the folder ``path``, or in the pods file ``path``; nodes beside it become ``hosts``.

    Pods are VMs: ``gpu_milli`` of 1000 is ``gpu_share`` 1, ``gpu_spec`` is ``gpu_models``. Order: by creation.
    ``order: shuffled`` is how Weng et al. (USENIX ATC'23) fill the cluster; it draws from the streams ``pods``,
    ``demand`` and ``nodes``.
    Raises: InputError for other columns, names that come twice, a pod deleted before it is created, bad sizes, or a
    demand that cannot be made.
    """
    shuffled, demand = options["order"] != "recorded", options["demand"]
    if demand is not None and not shuffled:
        raise InputError("option 'demand' needs order: shuffled, because pods drawn again have no recorded times")
    if demand is not None and demand > _MOST_DEMAND:
        raise InputError(f"option 'demand' is {demand:g} times the GPUs; give at most {_MOST_DEMAND:g}")
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        wanted = options["pods"]
        path = locate(
            path, f"openb_pods_{wanted}.parquet", f"openb_pod_list_{wanted}.csv*", what=f"openb pods ({wanted})"
        )
    vms, notes = _read_pods(read_table(path), options)
    hosts = _find_nodes(folder)
    if hosts is not None and options["nodes"] == "gpu":
        notes.append(f"{int((hosts['gpus'] == 0).sum())} nodes without GPUs are left out (option nodes)")
        hosts = hosts[hosts["gpus"] > 0].reset_index(drop=True)
    if shuffled:
        row = streams.stream("pods").permutation(len(vms))
        if demand is not None:
            if hosts is None or not hosts["gpus"].sum() or not _gpus_asked(vms).sum():
                message = "option 'demand' needs pods that ask for GPUs, and nodes with GPUs in a file beside them"
                raise InputError(message, path=path)
            row = tuned(_gpus_asked(vms), row, demand * float(hosts["gpus"].sum()), streams.stream("demand"))
        vms = _one_a_second(vms, row)
        if hosts is not None and options["order"] == "shuffled":
            hosts = hosts.iloc[streams.stream("nodes").permutation(len(hosts))].reset_index(drop=True)
        notes[:] = [note for note in notes if "option nodes" in note or "no memory" in note]
        notes += [f"{len(vms)} pods in random order, one a second, none of which leaves (option order)"]
    return Trace(vms, hosts=hosts, notes=tuple(notes))


def tuned(
    gpus: np.ndarray[Any, np.dtype[np.float64]], order: np.ndarray[Any, Any], target: float, rng: np.random.Generator
) -> np.ndarray[Any, Any]:
    """``order`` (positions in ``gpus``, what each pod asks) with pods left out or appended until ``target`` is reached.

    Above the target, pods chosen at random are left out until it is not exceeded; else pods are drawn at random, with
    replacement, and appended, until the next one would exceed it.
    """
    total = float(gpus[order].sum())
    if total > target:
        gone = np.cumsum(gpus[order[(leaving := rng.permutation(len(order)))]])
        out = leaving[: int(np.searchsorted(gone, total - target, side="left")) + 1]
        return np.delete(order, out)
    drawn: list[int] = []
    while (total := total + gpus[(pod := int(rng.integers(len(gpus))))]) <= target:
        drawn.append(pod)
    return np.concatenate([order, np.asarray(drawn, dtype=order.dtype)])


def _gpus_asked(vms: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    asked: np.ndarray[Any, np.dtype[np.float64]] = (vms["gpus"] * vms["gpu_share"]).to_numpy(dtype=np.float64)
    return asked


def _one_a_second(vms: pd.DataFrame, row: np.ndarray[Any, Any]) -> pd.DataFrame:
    """The pods at positions ``row``, one arriving each second, none leaving; those that come again have ``~2``, …"""
    played = vms.iloc[row].reset_index(drop=True)
    again = played.groupby("vm_id", sort=False).cumcount().to_numpy()
    names = [name if not nth else f"{name}~{nth + 1}" for name, nth in zip(played["vm_id"], again, strict=True)]
    return played.assign(
        vm_id=pd.array(names, dtype=pd.StringDtype()),
        arrival_s=np.arange(len(played), dtype=np.float64),
        lifetime_s=np.full(len(played), np.nan),
    )


def _find_nodes(folder: Path) -> pd.DataFrame | None:
    try:
        nodes = locate(folder, "openb_nodes.parquet", "openb_node_list_all_node.csv", "openb_node*", what="openb nodes")
    except InputError:
        return None
    return read_nodes(nodes)


def read_nodes(path: Path) -> pd.DataFrame:
    """The nodes in ``path``, one row each: ``host, type, count`` (1), ``vcpus, memory_mb, gpus, gpu_model``.

    ``type`` names equal nodes alike: ``T4x4-96c-512g`` has 4 T4, 96 CPUs and 512 GiB.
    Raises: InputError for other columns, names that come twice or sizes that are not positive.
    """
    source = read_table(path)
    source.require(_NODES)
    names = source.unique("sn")
    vcpus, memory = source.number("cpu_milli", above=0) / 1000.0, source.number("memory_mib", above=0)
    gpus, model = source.number("gpu", least=0), source.text("model")
    source.refuse((gpus > 0) & model.isna().to_numpy(), lambda row: f"{gpus[row]:g} GPUs without a model")
    types = [
        f"{name}x{count:g}-{cpus:g}c-{mib / 1024:g}g" if count else f"cpu-{cpus:g}c-{mib / 1024:g}g"
        for name, count, cpus, mib in zip(model, gpus, vcpus, memory, strict=True)
    ]
    return pd.DataFrame(
        {
            "host": names,
            "type": pd.array(types, dtype=pd.StringDtype()),
            "count": np.ones(len(source), dtype=np.int64),
            "vcpus": vcpus,
            "memory_mb": memory,
            "gpus": gpus,
            "gpu_model": model,
        }
    )


def _read_pods(source: Source, options: dict[str, Any]) -> tuple[pd.DataFrame, list[str]]:
    source.require(_PODS)
    created, deleted = source.number("creation_time"), source.number("deletion_time")
    source.refuse(
        deleted < created,
        lambda row: f"the pod ends before it starts: created at {created[row]:g}, deleted at {deleted[row]:g}",
    )
    gpus, milli = source.integer("num_gpu", least=0), source.number("gpu_milli", least=0, most=1000)
    source.refuse((gpus > 0) & (milli == 0), lambda _: "gpu_milli is 0 where num_gpu is not")
    source.refuse((gpus > 1) & (milli < 1000), lambda row: f"gpu_milli is {milli[row]:g}; only one GPU can be shared")
    memory = source.number("memory_mib", least=0)
    phase = source.text("pod_phase", required=True, values=_PHASES)
    life, notes = _lifetimes(created, deleted, phase, options["running"])
    if (memory == 0).any():
        notes.append(f"{int((memory == 0).sum())} pods ask for no memory; they were given {_LEAST_MIB:g} MiB,"
                     " because every size in a trace is above 0")  # fmt: skip
    zero = float(deleted.min()) if options["start"] == "collection" else 0.0
    if zero:
        notes.append(f"time 0 is {zero:.0f} s in the file, the first end of a pod; {int((created < zero).sum())} pods"
                     " were created before and are alive at the beginning (option start)")  # fmt: skip
    vms = in_arrival_order(
        {
            "vm_id": source.unique("name"),
            "arrival_s": created - zero,
            "lifetime_s": life,
            "vcpus": source.number("cpu_milli", above=0) / 1000.0,
            "memory_mb": np.maximum(memory, _LEAST_MIB),
            "gpus": gpus.astype(np.float64),
            "gpu_share": np.where(gpus > 0, milli / 1000.0, 1.0),
            "gpu_models": source.text("gpu_spec").replace("", pd.NA),
        }
    )
    pending = (phase == "Pending").to_numpy()
    if options["pending"] == "drop":
        notes.append(f"{int(pending.sum())} pods that were never scheduled were dropped (option pending)")
        order = np.argsort(created, kind="stable")
        vms = vms[~pending[order]].reset_index(drop=True)
    elif pending.any():
        notes.append(f"{int(pending.sum())} pods were never scheduled; their lifetime is the time until they were"
                     " withdrawn (option pending)")  # fmt: skip
    return vms, notes


def _lifetimes(
    created: np.ndarray, deleted: np.ndarray, phase: pd.Series, running: str
) -> tuple[np.ndarray, list[str]]:
    """Seconds from creation to deletion; NaN for the pods that outlive the trace."""
    alive = (phase == "Running").to_numpy()
    if running == "recorded":
        # A pod that is deleted while it runs keeps the phase Running, so the phase alone does not say that it lived on.
        alive &= deleted == deleted.max()
    notes = [f"{int(alive.sum())} pods were running when the collection ended and outlive the trace (option running)"]
    return np.where(alive, np.nan, deleted - created), notes if alive.any() else []
