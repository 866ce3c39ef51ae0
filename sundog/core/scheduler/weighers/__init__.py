"""Weighers: what makes one feasible host better than another, as Nova's weighers of the same names.

Each gives a raw weight a host; the ``nova`` policy scales it over the feasible hosts and multiplies. To add one: a
class with what :class:`Weigher` asks for, made from :class:`NovaOptions`, put into ``NOVA_WEIGHERS``.

Source: ``nova.scheduler.weights`` (OpenStack Nova 34, Apache-2.0), from its behaviour.
"""

from sundog.core.scheduler.weighers.base import Weigher, spread_over
from sundog.core.scheduler.weighers.counts import (
    BuildFailureWeigher,
    HypervisorVersionWeigher,
    IoOpsWeigher,
    NumInstancesWeigher,
    PCIWeigher,
)
from sundog.core.scheduler.weighers.groups import ServerGroupSoftAffinityWeigher, ServerGroupSoftAntiAffinityWeigher
from sundog.core.scheduler.weighers.requests import CrossCellWeigher, ImagePropertiesWeigher, MetricsWeigher
from sundog.core.scheduler.weighers.resources import CPUWeigher, DiskWeigher, RAMWeigher

# In the order of the files in Nova's folder, which is that of the additions. Nova itself takes them as the file system
# lists them, so that the last bit of a sum of weights may differ between two installations of Nova.
NOVA_WEIGHERS: tuple[type[Weigher], ...] = (
    ServerGroupSoftAffinityWeigher,
    ServerGroupSoftAntiAffinityWeigher,
    BuildFailureWeigher,
    CPUWeigher,
    CrossCellWeigher,
    DiskWeigher,
    HypervisorVersionWeigher,
    ImagePropertiesWeigher,
    IoOpsWeigher,
    MetricsWeigher,
    NumInstancesWeigher,
    PCIWeigher,
    RAMWeigher,
)

# The module of each in Nova, for ``weight_classes``.
NOVA_MODULES: dict[str, str] = {
    "ServerGroupSoftAffinityWeigher": "affinity",
    "ServerGroupSoftAntiAffinityWeigher": "affinity",
    "BuildFailureWeigher": "compute",
    "CPUWeigher": "cpu",
    "CrossCellWeigher": "cross_cell",
    "DiskWeigher": "disk",
    "HypervisorVersionWeigher": "hypervisor_version",
    "ImagePropertiesWeigher": "image_props",
    "IoOpsWeigher": "io_ops",
    "MetricsWeigher": "metrics",
    "NumInstancesWeigher": "num_instances",
    "PCIWeigher": "pci",
    "RAMWeigher": "ram",
}

__all__ = [
    "NOVA_MODULES",
    "NOVA_WEIGHERS",
    "CPUWeigher",
    "DiskWeigher",
    "NumInstancesWeigher",
    "RAMWeigher",
    "ServerGroupSoftAffinityWeigher",
    "ServerGroupSoftAntiAffinityWeigher",
    "Weigher",
    "spread_over",
]
