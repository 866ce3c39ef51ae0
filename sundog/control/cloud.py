"""The control plane as a whole: what the APIs are given."""

from __future__ import annotations

from dataclasses import dataclass

from sundog.control.clock import Clock
from sundog.control.compute import Compute
from sundog.control.fleet import Fleet
from sundog.control.identity import Identity
from sundog.control.image import Images
from sundog.control.network import Network
from sundog.control.placement import Placement
from sundog.control.store import Store


@dataclass(frozen=True, slots=True)
class Cloud:
    """One part a service, over one store."""

    store: Store
    clock: Clock
    fleet: Fleet
    identity: Identity
    placement: Placement
    image: Images
    network: Network
    compute: Compute
