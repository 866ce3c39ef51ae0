"""Boot latency: from a placement to a running guest, with the image fetched unless its host has it.

Nothing of it reaches back into placement, so it is worked out from the stays after the run.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sundog.runtime.seeds import Streams
from sundog.sim.records import Cause, Stays
from sundog.sim.spec import Boot

_BOOTS = (Cause.ARRIVAL, Cause.EVACUATION, Cause.RESTART)


@dataclass(frozen=True, slots=True)
class BootTimes:
    """``seconds[stays]``: from the start of a stay until its guest is up; 0 for a stay that begins running (migration).

    ``fetched`` counts images fetched by hosts, ``cached`` those that a host had.
    """

    seconds: NDArray[np.float64]
    fetched: int
    cached: int


@dataclass(slots=True)
class _Host:
    """A host's link and its images: when the link is free, and when each image is all there, oldest use first."""

    link_free_s: float
    images: OrderedDict[int, float]


def boot_times(stays: Stays, arrival_s: NDArray[np.float64], spec: Boot, streams: Streams) -> BootTimes:
    """Boot times of every stay of VMs that arrived at ``arrival_s``.

    A VM alive at the beginning runs already, and its host has its image. Images are chosen by the stream
    ``boot.images``, guests by ``boot.guests``.
    """
    vms = len(arrival_s)
    image = zipf_images(spec, vms, streams)
    guest = spec.guest.sample(streams.fresh("boot.guests"), stays.count)
    seconds = np.zeros(stays.count)
    size_mib = spec.images.size * 1024.0
    room = int(spec.cache / spec.images.size) if spec.images.size else vms
    hosts: dict[int, _Host] = {}
    fetched = cached = 0
    columns = (stays.vm.tolist(), stays.host.tolist(), stays.start_s.tolist(), stays.cause.tolist())
    for number, (vm, host, start, cause) in enumerate(zip(*columns, strict=True)):
        if cause not in _BOOTS:
            continue
        place = hosts.setdefault(host, _Host(0.0, OrderedDict()))
        begun = start + spec.scheduling if cause != Cause.RESTART else start
        there = place.images.get(image[vm])
        if cause == Cause.RESTART:
            there = begun  # its disk is there already
        elif cause == Cause.ARRIVAL and arrival_s[vm] < 0:
            if room:
                _keep(place, image[vm], start, room)
            continue
        elif there is None:
            there = place.link_free_s = max(begun, place.link_free_s) + size_mib / spec.fetch_mib_s
            fetched += 1
            if room:
                _keep(place, image[vm], there, room)
        else:
            place.images.move_to_end(image[vm])
            cached += 1
        seconds[number] = max(begun, there) + guest[number] - start
    return BootTimes(seconds, fetched, cached)


def _keep(place: _Host, image: int, there: float, room: int) -> None:
    """Put an image into a host's cache, at the cost of the one used longest ago."""
    place.images[image] = there
    place.images.move_to_end(image)
    if len(place.images) > room:
        place.images.popitem(last=False)


def zipf_images(spec: Boot, vms: int, streams: Streams) -> list[int]:
    """The image of each VM, 0 the most popular: image *k* has a share proportional to ``1 / (k + 1) ** zipf``."""
    shares = (1.0 / np.arange(1, spec.images.count + 1)) ** spec.images.zipf
    edges = np.cumsum(shares) / shares.sum()
    image: list[int] = np.searchsorted(edges, streams.fresh("boot.images").random(vms), side="right").tolist()
    return image
