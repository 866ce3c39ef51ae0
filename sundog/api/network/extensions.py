"""The extensions of the API that work here; what is not here is not in the list."""

from __future__ import annotations

from typing import Any, Final

EXTENSIONS: Final = {
    "allowed-address-pairs": ("Allowed Address Pairs", "Further addresses that may be used at a port"),
    "binding": ("Port Binding", "On which host a port is, and how"),
    "default-subnetpools": ("Default Subnetpools", "A subnet pool for whoever names none"),
    "ext-gw-mode": ("Neutron L3 Configurable external gateway mode", "Routers with and without source NAT"),
    "external-net": ("Neutron external network", "Networks that lead out of the cloud"),
    "extra_dhcp_opt": ("Neutron Extra DHCP options", "Further DHCP options of a port"),
    "extraroute": ("Neutron Extra Route", "Further routes of a router"),
    "extraroute-atomic": ("Atomically add/remove extra routes", "Adding and taking routes in one step"),
    "ip-substring-filtering": ("IP address substring filtering", "Ports by a part of an address"),
    "net-mtu": ("Network MTU", "The longest packet of a network"),
    "net-mtu-writable": ("Network MTU (writable)", "Setting the longest packet of a network"),
    "pagination": ("Pagination support", "Lists page by page"),
    "port-security": ("Port Security", "Ports and networks without checks of addresses"),
    "project-id": ("project_id field enabled", "project_id as well as tenant_id"),
    "provider": ("Provider Network", "How a network is made, for administrators"),
    "quota_details": ("Quota details management support", "What of a quota is used"),
    "quotas": ("Quota management support", "Limits of a project"),
    "router": ("Neutron L3 Router", "Routers and floating IPs"),
    "security-group": ("security-group", "Security groups"),
    "security-groups-normalized-cidr": ("Normalized CIDR field for security group rules", "normalized_cidr of a rule"),
    "sorting": ("Sorting support", "Lists in order"),
    "standard-attr-description": ("standard-attr-description", "A description of everything"),
    "standard-attr-revisions": ("Resource revision numbers", "How often a thing was changed"),
    "standard-attr-tag": ("Tag support for resources with standard attribute", "Tags of everything"),
    "standard-attr-timestamp": ("Resource timestamps", "When a thing was made and changed"),
    "stateful-security-group": ("Stateful security group", "Security groups that remember connections or not"),
    "subnet_allocation": ("Subnet Allocation", "Subnet pools"),
}
"""Name and description by alias."""

_SINCE: Final = "2024-01-01T00:00:00-00:00"


def extension(alias: str) -> dict[str, Any]:
    """An extension as it is told."""
    name, description = EXTENSIONS[alias]
    return {"alias": alias, "name": name, "description": description, "updated": _SINCE, "links": []}
