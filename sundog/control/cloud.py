"""The control plane as a whole: what the APIs are given."""

from __future__ import annotations

from dataclasses import dataclass

from sundog.backends.contract import ComputeDriver
from sundog.control.clock import Clock
from sundog.control.identity import Identity
from sundog.control.image import Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Store


@dataclass(frozen=True, slots=True)
class Cloud:
    """One part a service, over one store. ``driver`` is for the parts; no API speaks to hosts by itself."""

    store: Store
    clock: Clock
    driver: ComputeDriver
    identity: Identity
    placement: Placement
    image: Images
    network: Network
