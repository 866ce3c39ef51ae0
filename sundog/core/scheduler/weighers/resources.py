"""Free memory, vCPUs and disk, as the host itself counts them: reserved amounts are used, and the ratio is its own."""

from __future__ import annotations

from sundog.core.scheduler.hosts import Floats, HostView
from sundog.core.scheduler.nova_options import NovaOptions
from sundog.core.scheduler.request import Request


class RAMWeigher:
    """Free physical memory, whatever the allocation ratio.

    total - (used + reserved + the fact ``memory_mb_used``), MEMORY_MB.
    """

    name = "RAMWeigher"
    option = "ram_weight_multiplier"
    from_zero = True
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """MiB; negative where more is used than there is."""
        return _left(hosts, "MEMORY_MB", "memory_mb_used")


class CPUWeigher:
    """Free vCPUs, the allocation ratio counted in; reserved ones are used and not multiplied.

    total * ratio - (used + reserved + the fact ``vcpus_used``), VCPU.
    """

    name = "CPUWeigher"
    option = "cpu_weight_multiplier"
    from_zero = True
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """VCPU; not always whole."""
        if "VCPU" not in hosts.classes:
            return None
        return hosts.total("VCPU") * hosts.allocation_ratio("VCPU") - hosts.physically_used("VCPU", "vcpus_used")


class DiskWeigher:
    """Free physical disk, whatever the allocation ratio.

    total - (used + reserved + the fact ``disk_gb_used``), DISK_GB.
    """

    name = "DiskWeigher"
    option = "disk_weight_multiplier"
    from_zero = True
    sign = 1.0

    def __init__(self, options: NovaOptions) -> None: ...

    def weigh(self, request: Request, hosts: HostView) -> Floats | None:
        """GiB; Nova has MiB, which scales to the same."""
        return _left(hosts, "DISK_GB", "disk_gb_used")


def _left(hosts: HostView, resource_class: str, fact: str) -> Floats | None:
    if resource_class not in hosts.classes:
        return None
    return hosts.total(resource_class) - hosts.physically_used(resource_class, fact)
