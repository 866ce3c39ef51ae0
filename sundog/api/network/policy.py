"""Who may do what: Neutron's own rules with its defaults, those that its checks refer to written out.

A target is a thing as the API tells it, with ``project_id``, and beside it what is its network's:
``network:project_id``, ``shared``, ``external``. A rule with a colon is about one attribute: to set it, or to see it.
"""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import (
    ADMIN,
    PROJECT_MANAGER_OR_ADMIN,
    PROJECT_MEMBER,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER,
    PROJECT_READER_OR_ADMIN,
    Rule,
)

_SERVICE: Final = "role:service"
_SHARED: Final = "True:%(shared)s"
_EXTERNAL: Final = "True:%(external)s"
_NET_MANAGER: Final = "role:manager and project_id:%(network:project_id)s"
_NET_MEMBER: Final = "role:member and project_id:%(network:project_id)s"
_NET_READER: Final = "role:reader and project_id:%(network:project_id)s"
_GROUP_MEMBER: Final = "role:member and project_id:%(security_group:project_id)s"
_GROUP_READER: Final = "role:reader and project_id:%(security_group:project_id)s"


def _or(*checks: str) -> str:
    return " or ".join(f"({check})" for check in checks)


_ADMIN_OR_SERVICE: Final = _or(ADMIN, _SERVICE)
_NETWORKER: Final = _or(ADMIN, _SERVICE, _NET_MEMBER)
_NETWORKER_OR_SHARED: Final = _or(ADMIN, _SERVICE, _NET_MEMBER, _SHARED)

_CHECKS: Final = {
    # ---- networks
    "create_network": PROJECT_MEMBER_OR_ADMIN,
    "create_network:shared": ADMIN,
    "create_network:router:external": ADMIN,
    "create_network:port_security_enabled": PROJECT_MEMBER_OR_ADMIN,
    "create_network:provider:network_type": ADMIN,
    "create_network:provider:physical_network": ADMIN,
    "create_network:provider:segmentation_id": ADMIN,
    "get_network": _or(ADMIN, PROJECT_READER, _SERVICE, _SHARED, _EXTERNAL),
    "get_network:provider:network_type": ADMIN,
    "get_network:provider:physical_network": ADMIN,
    "get_network:provider:segmentation_id": ADMIN,
    "update_network": PROJECT_MEMBER_OR_ADMIN,
    "update_network:shared": ADMIN,
    "update_network:router:external": ADMIN,
    "update_network:port_security_enabled": PROJECT_MEMBER_OR_ADMIN,
    "update_network:provider:network_type": ADMIN,
    "update_network:provider:physical_network": ADMIN,
    "update_network:provider:segmentation_id": ADMIN,
    "delete_network": PROJECT_MEMBER_OR_ADMIN,
    # ---- subnets
    "create_subnet": _or(ADMIN, _NET_MEMBER),
    "get_subnet": _or(PROJECT_READER, _SHARED, _EXTERNAL, ADMIN, _NET_READER, _SERVICE),
    "update_subnet": _or(PROJECT_MEMBER, ADMIN, _NET_MEMBER),
    "delete_subnet": _or(PROJECT_MEMBER, ADMIN, _NET_MEMBER),
    # ---- subnet pools
    "create_subnetpool": PROJECT_MEMBER_OR_ADMIN,
    "create_subnetpool:shared": ADMIN,
    "create_subnetpool:is_default": ADMIN,
    "get_subnetpool": _or(ADMIN, PROJECT_READER, _SHARED),
    "update_subnetpool": PROJECT_MEMBER_OR_ADMIN,
    "update_subnetpool:is_default": ADMIN,
    "delete_subnetpool": PROJECT_MEMBER_OR_ADMIN,
    # ---- ports
    "create_port": _NETWORKER_OR_SHARED,
    "create_port:device_id": _or(ADMIN, PROJECT_MEMBER, _SERVICE),
    "create_port:device_owner": _or("not True:%(network_device)s", ADMIN, _SERVICE, _NET_MEMBER),
    "create_port:mac_address": _NETWORKER,
    "create_port:fixed_ips": _NETWORKER_OR_SHARED,
    "create_port:fixed_ips:ip_address": _NETWORKER,
    "create_port:fixed_ips:subnet_id": _NETWORKER_OR_SHARED,
    "create_port:port_security_enabled": _NETWORKER,
    "create_port:binding:host_id": _ADMIN_OR_SERVICE,
    "create_port:binding:profile": _SERVICE,
    "create_port:binding:vnic_type": _or(ADMIN, PROJECT_MEMBER, _SERVICE),
    "create_port:allowed_address_pairs": _NETWORKER,
    "get_port": _or(ADMIN, _SERVICE, _NET_READER, PROJECT_READER),
    "get_port:binding:vif_type": _ADMIN_OR_SERVICE,
    "get_port:binding:vif_details": _ADMIN_OR_SERVICE,
    "get_port:binding:host_id": _ADMIN_OR_SERVICE,
    "get_port:binding:profile": _ADMIN_OR_SERVICE,
    "update_port": _or(ADMIN, _SERVICE, PROJECT_MEMBER),
    "update_port:device_id": _or(ADMIN, PROJECT_MEMBER, _SERVICE),
    "update_port:device_owner": _or("not True:%(network_device)s", ADMIN, _SERVICE, _NET_MEMBER),
    "update_port:mac_address": _or(ADMIN, _SERVICE, _NET_MANAGER),
    "update_port:fixed_ips": _NETWORKER,
    "update_port:fixed_ips:ip_address": _NETWORKER,
    "update_port:fixed_ips:subnet_id": _NETWORKER_OR_SHARED,
    "update_port:port_security_enabled": _NETWORKER,
    "update_port:binding:host_id": _ADMIN_OR_SERVICE,
    "update_port:binding:profile": _SERVICE,
    "update_port:binding:vnic_type": _or(ADMIN, _SERVICE, PROJECT_MEMBER),
    "update_port:allowed_address_pairs": _NETWORKER,
    "delete_port": _or(ADMIN, _SERVICE, _NET_MEMBER, PROJECT_MEMBER),
    # ---- security groups
    "create_security_group": PROJECT_MEMBER_OR_ADMIN,
    "get_security_group": PROJECT_READER_OR_ADMIN,
    "update_security_group": PROJECT_MEMBER_OR_ADMIN,
    "delete_security_group": PROJECT_MEMBER_OR_ADMIN,
    "create_security_group_rule": _or(ADMIN, _GROUP_MEMBER),
    "get_security_group_rule": _or(ADMIN, _GROUP_READER),
    "delete_security_group_rule": _or(ADMIN, _GROUP_MEMBER),
    # ---- routers
    "create_router": PROJECT_MEMBER_OR_ADMIN,
    "create_router:external_gateway_info": PROJECT_MEMBER_OR_ADMIN,
    "create_router:external_gateway_info:network_id": PROJECT_MEMBER_OR_ADMIN,
    "create_router:external_gateway_info:enable_snat": ADMIN,
    "create_router:external_gateway_info:external_fixed_ips": ADMIN,
    "get_router": PROJECT_READER_OR_ADMIN,
    "update_router": PROJECT_MEMBER_OR_ADMIN,
    "update_router:external_gateway_info": PROJECT_MEMBER_OR_ADMIN,
    "update_router:external_gateway_info:network_id": PROJECT_MEMBER_OR_ADMIN,
    "update_router:external_gateway_info:enable_snat": ADMIN,
    "update_router:external_gateway_info:external_fixed_ips": ADMIN,
    "delete_router": PROJECT_MEMBER_OR_ADMIN,
    "add_router_interface": PROJECT_MEMBER_OR_ADMIN,
    "remove_router_interface": PROJECT_MEMBER_OR_ADMIN,
    "add_extraroutes": PROJECT_MEMBER_OR_ADMIN,
    "remove_extraroutes": PROJECT_MEMBER_OR_ADMIN,
    # ---- floating IPs
    "create_floatingip": PROJECT_MEMBER_OR_ADMIN,
    "create_floatingip:floating_ip_address": PROJECT_MANAGER_OR_ADMIN,
    "get_floatingip": PROJECT_READER_OR_ADMIN,
    "update_floatingip": PROJECT_MEMBER_OR_ADMIN,
    "delete_floatingip": PROJECT_MEMBER_OR_ADMIN,
    # ---- quotas
    "get_quota": PROJECT_MANAGER_OR_ADMIN,
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
}


_TAGGED: Final = ("network", "subnet", "port", "security_group", "router", "floatingip", "subnetpool")
_TAGS_SEEN: Final = {
    "network": _or(ADMIN, PROJECT_READER, _SHARED, _EXTERNAL),
    "subnet": _or(PROJECT_READER, _SHARED, _EXTERNAL, ADMIN, _NET_READER),
    "port": _or(ADMIN, _NET_READER, PROJECT_READER),
}
_TAGS_CHANGED: Final = {
    "create_port": PROJECT_MEMBER_OR_ADMIN,
    "update_port": PROJECT_MEMBER_OR_ADMIN,
    "delete_port": _or(PROJECT_MEMBER, ADMIN, _NET_MEMBER),
}


def _in_words(name: str) -> str:
    """``"create_port:fixed_ips"`` is ``"Create port, fixed ips"``: Neutron's names say all that there is to say."""
    return name.replace("_", " ").replace(":", ", ").capitalize()


def _rules() -> dict[str, Rule]:
    checks = dict(_CHECKS)
    for kind in _TAGGED:
        # Whoever may see a thing sees its tags, and whoever may change it may tag it. Services have no part in tags.
        checks[f"get_{kind}:tags"] = _TAGS_SEEN.get(kind, checks[f"get_{kind}"])
        for action in ("create", "update", "delete"):
            checks[f"{action}_{kind}:tags"] = _TAGS_CHANGED.get(f"{action}_{kind}", checks[f"update_{kind}"])
    return {name: Rule(name, check, _in_words(name)) for name, check in checks.items()}


RULES: Final = _rules()
"""All rules, by name."""
