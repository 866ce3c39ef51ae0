"""The end of a control plane by ``kill -9``, for tests: another one goes on with what was on disk at that instant."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from sundog.control.compute import Settings
from sundog.control.compute.settings import DEFAULT
from sundog.control.store import Store, open_store
from sundog.runtime import warp
from tests.computing import Small, make_small, restart

T = TypeVar("T")

Crash = Callable[[Small], Awaitable[Small]]
"""Ends a cloud at this instant; the same cloud after its next start, over the same hosts."""


def run_to_crash(main: Callable[[Small, Crash], Awaitable[T]], *, settings: Settings = DEFAULT, seed: int = 1) -> T:
    """``main`` in a small cloud on disk, with a way to crash it."""

    async def body(world: warp.World) -> T:
        with tempfile.TemporaryDirectory(prefix="sundog-test-") as temporary:
            root = Path(temporary)
            clouds = [await make_small(world, store=_store(root / "0"), folder=root / "0", settings=settings)]

            async def crash(cloud: Small) -> Small:
                old, new = (root / str(len(clouds) - step) for step in (1, 0))
                _copy(old, new)  # before anything is cleaned up in an orderly way, which does not reach the copy
                after = await restart(cloud, store=_store(new), folder=new)
                clouds.append(after)
                return after

            try:
                return await main(clouds[0], crash)
            finally:
                for each in clouds:
                    await each.compute.stop()
                    each.store.close()

    return warp.run(body, seed=seed)


def _store(folder: Path) -> Store:
    folder.mkdir(exist_ok=True)
    return open_store(folder)


def _copy(old: Path, new: Path) -> None:
    shutil.copytree(old, new, ignore=lambda _, names: [name for name in names if name.startswith("sundog.db")])
    with sqlite3.connect(old / "sundog.db") as source, sqlite3.connect(new / "sundog.db") as target:
        source.backup(target)
