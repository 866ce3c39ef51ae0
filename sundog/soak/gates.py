"""Where the control plane meets the world: its store and its driver. When it dies, everything stops here.

A process that is killed does nothing more, not even what its ``finally`` says. In one process with its tests that is
arranged by letting nothing through: what a dead control plane still tries raises :class:`Crashed`, and what it had in
memory is dropped. A fuse kills it after so many passages, each of which is an instant at which ``kill -9`` could come:
before and after a transaction, between its commit and what follows from it, before an operation on a host is sent, and
after its reply.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from sundog.backends.contract import ComputeDriver, EventStream
from sundog.control.store import Reader, Store, Tx, migrations
from sundog.errors import StoreUnavailable


class Crashed(asyncio.CancelledError):
    """The control plane is dead. For its own tasks that is a cancellation; its clients lost their connection."""


class Gate:
    """One life of the control plane. ``died`` is called when it ends."""

    def __init__(self, died: Callable[[], None]) -> None:
        self.is_alive = True
        self.passages = 0
        self._died = died
        self._fuse: int | None = None

    def light(self, passages: int) -> None:
        """Let it die at the ``passages``-th passage from now."""
        self._fuse = passages

    def put_out(self) -> None:
        """Let it live."""
        self._fuse = None

    def kill(self) -> None:
        """Let it die, now."""
        if self.is_alive:
            self.is_alive = False
            self._died()

    def passes(self) -> None:
        """Something goes through, in or out. Raises: Crashed."""
        self.passages += 1
        if self._fuse is not None:
            self._fuse -= 1
            if self._fuse <= 0:
                self.kill()
        if not self.is_alive:
            raise Crashed


class StoreTrouble:
    """How often the store cannot be used, by chance: 0 is never."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.probability = 0.0
        self._rng = rng

    def strikes(self) -> None:
        """Raises: StoreUnavailable, now and then."""
        if self.probability and self._rng.random() < self.probability:
            raise StoreUnavailable("the store cannot be used, as was ordered; nothing was changed")


class GatedStore(Store):
    """A store behind a gate: the one of a life of the control plane. It does what ``inner`` does, or fails whole."""

    def __init__(self, inner: Store, gate: Gate, trouble: StoreTrouble) -> None:
        self.name = inner.name
        self._inner, self._gate, self._trouble = inner, gate, trouble

    def close(self) -> None:
        """Nothing: the store outlives its users."""

    def migrate(self, *, folder: Path = migrations.FOLDER) -> None:
        """Bring the schema up to date."""
        self._inner.migrate(folder=folder)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """A transaction that writes. Raises: Crashed, StoreUnavailable, and as a store does."""
        self._gate.passes()
        self._trouble.strikes()
        with self._inner.begin() as tx:
            tx.on_commit(self._gate.passes)
            yield tx
            self._trouble.strikes()
            self._gate.passes()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """A transaction that only reads. Raises: Crashed, StoreUnavailable."""
        if not self._gate.is_alive:
            raise Crashed
        self._trouble.strikes()
        with self._inner.read() as reader:
            yield reader


class GatedDriver:
    """A driver behind a gate. Its hosts go on with what they were asked when the control plane is dead."""

    def __init__(self, inner: ComputeDriver, gate: Gate) -> None:
        self._inner: Final = inner
        self._gate: Final = gate
        self._streams: list[EventStream] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def through(*args: Any, **options: Any) -> Any:
            self._gate.passes()
            answer = await found(*args, **options)
            self._gate.passes()
            return answer

        return through

    def events(self) -> EventStream:
        """What happens from now on, for as long as somebody listens."""
        stream = self._inner.events()
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """Nobody listens any more."""
        for stream in self._streams:
            stream.close()


def gated(driver: ComputeDriver, gate: Gate) -> tuple[ComputeDriver, GatedDriver]:
    """The driver behind a gate, as a driver and as what can be closed."""
    made = GatedDriver(driver, gate)
    return cast("ComputeDriver", made), made
