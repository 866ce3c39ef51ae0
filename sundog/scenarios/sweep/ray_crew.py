"""A crew on a Ray cluster: one actor for each CPU it is to use, on whatever nodes there are.

Sundog must be installed on every node, in the same version. Scenarios travel as they were read, and a policy module of
the user's own goes along with the Python files beside it (or the rest of its package). Traces and inventories do not
travel: they must be at the same path on every node, and it is an error that says so if they are not.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import sundog
from sundog.errors import InputError, SundogError
from sundog.scenarios.schema import Loaded
from sundog.scenarios.sweep.plan import Plan
from sundog.scenarios.sweep.play import Measure, Played, Player

_MOST_BYTES: Final = 10_000_000
"""Python files beside a policy travel up to this size; of a larger heap, the module alone."""


class RayCrew:
    """Players on a Ray cluster: that at ``address``, or one that is started on this machine and ended with the sweep.

    Raises: InputError where Ray is not installed or not reached, a node has another Sundog, or a file is not there.
    """

    def __init__(self, measure: Measure, plan: Plan, *, address: str | None, jobs: int | None, cells: int) -> None:
        self._ray = _ray()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address, jobs)
        cpus = int(self._ray.cluster_resources().get("CPU", 0))
        if not cpus:
            self.close()
            raise InputError("the Ray cluster has no CPU to play on; add a node with --num-cpus")
        self.size = min(jobs or cpus, cpus, cells)
        files = {str(path): path.stat().st_size if path.is_file() else -1 for path in plan.inputs}
        remote = self._ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(_Actor)
        self._hire = lambda: remote.remote(measure, modules_of(plan), files, sundog.__version__)
        self._actors: dict[int, Any] = {}
        self._at_work: dict[Any, int] = {}

    def give(self, player: int, loaded: Loaded) -> None:
        """Have an idle player play a scenario; one that is not there yet, or died, is started."""
        if player not in self._actors:
            self._actors[player] = self._hire()
        self._at_work[self._actors[player].play.remote(loaded)] = player

    def finished(self) -> list[tuple[int, Played]]:
        """Wait until a player is done; who, and how it ended. Raises: InputError where a node cannot play at all."""
        ready, _ = self._ray.wait(list(self._at_work), num_returns=1)
        done = []
        for answer in ready:
            player = self._at_work.pop(answer)
            try:
                played = self._ray.get(answer)
            except self._ray.exceptions.ActorDiedError as exc:
                played = self._died(player, str(exc))
            except self._ray.exceptions.RayError as exc:
                played = Played(error=f"Ray could not play it: {exc}", exit_code=SundogError.exit_code)
            if isinstance(played, str):
                raise InputError(played)
            done.append((player, played))
        return done

    def _died(self, player: int, told: str) -> Played:
        del self._actors[player]
        if "ModuleNotFoundError" in told and "'sundog'" in told:
            raise InputError(f"a node of the Ray cluster has no Sundog; install {sundog.__version__} on every node")
        return Played(error=f"the Ray actor that played it died: {told}", exit_code=SundogError.exit_code)

    def close(self) -> None:
        """End all players, and the cluster if it was started for this sweep."""
        for actor in getattr(self, "_actors", {}).values():
            self._ray.kill(actor)
        if self._ours:
            self._ray.shutdown()


class _Actor:
    """One player on one node."""

    def __init__(self, measure: Measure, modules: Mapping[str, bytes], files: Mapping[str, int], version: str) -> None:
        node = _ray().get_runtime_context().get_node_id()
        self._trouble = trouble_on(node, files, version)
        self._folder = tempfile.TemporaryDirectory(prefix="sundog-sweep-")
        for name, content in modules.items():
            path = Path(self._folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        sys.path.insert(0, self._folder.name)
        self._player = Player(measure, where=f"ray node {node}")

    def play(self, loaded: Loaded) -> Played | str:
        """How the cell ended, or why this node cannot play any."""
        return self._trouble or self._player.play(loaded)


def trouble_on(node: str, files: Mapping[str, int], version: str) -> str:
    """Why a node that has this Sundog cannot play what another of ``version`` sends; empty if it can."""
    if sundog.__version__ != version:
        return f"Ray node {node} has Sundog {sundog.__version__}, this is {version}; install the same on every node"
    for name, size in files.items():
        path = Path(name)
        if not path.exists() or (size >= 0 and path.stat().st_size != size):
            what = "another file" if path.exists() else "no file"
            return (
                f"Ray node {node} has {what} at {name}; traces and inventories do not travel: put the same one at the "
                "same path on every node, or into a folder that all nodes share"
            )
    return ""


def modules_of(plan: Plan) -> dict[str, bytes]:
    """The policy modules of a plan with what they may import from beside them, by path from where they are found."""
    found: dict[str, bytes] = {}
    for file, name in plan.modules.items():
        *packages, _ = name.split(".")
        root = file.parents[len(packages)]
        beside = sorted((root / packages[0]).rglob("*.py")) if packages else sorted(root.glob("*.py"))
        if sum(path.stat().st_size for path in beside) > _MOST_BYTES:
            beside = [file]
        found |= {str(path.relative_to(root)): path.read_bytes() for path in beside}
    return found


def _ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before the import, which reads it: no telemetry
    try:
        import ray
    except ImportError:
        raise InputError("--engine ray needs Ray, which is not installed; pip install 'sundog[ray]'") from None
    module: ModuleType = ray
    return module


def _connect(ray: Any, address: str | None, jobs: int | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    try:
        if address is not None:
            _knock(address)
        if address is None:
            ray.init(address="local", num_cpus=jobs, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as exc:
        where = f"the Ray cluster at {address} is not reached" if address else "Ray cannot be started here"
        raise InputError(f"{where}: {exc}") from None


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()
