"""Weighers that count something on the host."""

from __future__ import annotations

import numpy as np

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.core.scheduler.request import Request

MOST_DEVICES = 100
"""PCI devices beyond which Nova counts no further."""


class IoOpsWeigher:
    """Servers that are being built, resized, moved or imaged on the host: the fact ``num_io_ops``. Fewer by default."""

    name = "IoOpsWeigher"
    option = "io_ops_weight_multiplier"
    from_zero = True
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """Operations."""
        return _fact(hosts, "num_io_ops")


class NumInstancesWeigher:
    """Servers on the host: consumers in the pool and the fact ``num_instances``. Off by default, as in Nova."""

    name = "NumInstancesWeigher"
    option = "num_instances_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """Servers."""
        extra = hosts.fact("num_instances")
        return hosts.servers() if extra is None else hosts.servers() + extra


class BuildFailureWeigher:
    """Servers that failed to build there since one succeeded: the fact ``failed_builds``.

    The multiplier is turned round, so that its large default keeps away from such hosts.
    """

    name = "BuildFailureWeigher"
    option = "build_failure_weight_multiplier"
    from_zero = False
    sign = -1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """Failures."""
        return _fact(hosts, "failed_builds")


class HypervisorVersionWeigher:
    """The fact ``hypervisor_version``: newer first by default."""

    name = "HypervisorVersionWeigher"
    option = "hypervisor_version_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """The version as Nova's number (2.12.0 is 2012000); 0 where it is not known."""
        return _fact(hosts, "hypervisor_version")


class PCIWeigher:
    """Fewer free PCI devices (the fact ``pci_devices_free``) first: 100 - min(free, 99), whatever is asked."""

    name = "PCIWeigher"
    option = "pci_weight_multiplier"
    from_zero = False
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """1 to 100."""
        free = hosts.fact("pci_devices_free")
        return None if free is None else (MOST_DEVICES - np.minimum(free, MOST_DEVICES - 1)).astype(np.float64)


def _fact(hosts: HostView, name: str) -> Floats | None:
    values = hosts.fact(name)
    return None if values is None else values.astype(np.float64)
