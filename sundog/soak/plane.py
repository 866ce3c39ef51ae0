"""The control plane as a process that dies and is started again, over a store and hosts that stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sundog.backends.contract import ComputeDriver
from sundog.control.compute import Compute, Settings
from sundog.control.image import ImageFiles, Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Store
from sundog.core.pool import Pool, ResourceClasses
from sundog.errors import SundogError
from sundog.runtime import aio
from sundog.runtime.ids import Ids
from sundog.runtime.seeds import Streams
from sundog.soak.gates import Crashed, Gate, GatedDriver, GatedStore, StoreTrouble, gated
from sundog.units import Seconds

SETTINGS: Final = Settings(quick=60.0, long=900.0, grace=20.0, sync_interval=900.0)
"""Shorter deadlines than a cloud's, so that many of them pass in a run."""


@dataclass(frozen=True)
class Life:
    """The parts of a control plane that is at work: a cloud, as audits look at one."""

    store: Store
    placement: Placement
    network: Network
    image: Images
    compute: Compute
    gate: Gate


class Plane:
    """Lives of the control plane, one after the other. ``life`` is the one at work; None while there is none.

    ``store`` and ``driver`` are the world's own. ``note`` is told when one begins and ends.
    """

    def __init__(
        self,
        store: Store,
        driver: ComputeDriver,
        folder: Path,
        streams: Streams,
        note: Callable[[str], None],
        settings: Settings = SETTINGS,
    ) -> None:
        self.store, self.driver, self._folder = store, driver, folder
        self._settings = settings
        self.trouble = StoreTrouble(streams.stream("store trouble"))
        self.life: Life | None = None
        self.starts = 0
        self._streams, self._note = streams, note
        self._pauses = streams.stream("pauses")
        self._died = aio.Event()

    async def start(self) -> None:
        """Begin a life. Raises: what it failed with; nothing of it is left then."""
        self.starts += 1
        gate = Gate(self._died.set)
        driver, door = gated(self.driver, gate)
        compute: Compute | None = None
        try:
            store = GatedStore(self.store, gate, self.trouble)
            ids = Ids(self._streams.stream(f"ids of start {self.starts}"))
            placement = Placement(store, Pool(ResourceClasses()), new_uuid=ids.uuid)
            network, images = Network(store, ids), Images(store, ids, ImageFiles(self._folder))
            images.recover()
            compute = Compute(
                store, ids, driver, placement=placement, network=network, images=images, settings=self._settings
            )
            await compute.start()
        except (SundogError, Crashed):
            gate.kill()
            await self._bury(compute, door)
            raise
        self.life = Life(store, placement, network, images, compute, gate)
        self._door = door
        self._note(f"start {self.starts}")

    async def keep_up(self) -> None:
        """Start it again whenever it dies, after a while; for ever."""
        while True:
            await self._died.wait()
            life, self.life = self.life, None
            if life is not None:
                self._note("crash")
                await self._bury(life.compute, self._door)
            while self.life is None:
                self._died.clear()
                await aio.sleep(self._pause())
                try:
                    await self.start()
                except (SundogError, Crashed) as error:
                    self._note(f"failed start: {type(error).__name__}")

    def _pause(self) -> Seconds:
        return float(1.0 + self._pauses.exponential(10.0))

    async def _bury(self, compute: Compute | None, door: GatedDriver) -> None:
        """End the tasks of a dead control plane: all that they can do is end."""
        if compute is not None:
            await compute.stop()
        door.close()
