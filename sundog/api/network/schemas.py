"""Bodies and query strings, as Neutron takes them."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from sundog.api.kit.bodies import Body, Query

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_MAC: Final = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")


def _one_line(value: str) -> str:
    """Names reach hosts, in files of which each line is a statement."""
    if _CONTROL.search(value):
        raise ValueError("it must not hold control characters, such as the end of a line")
    return value


def _option(value: str) -> str:
    """An option reaches the DHCP server's own file, where a comma begins another value."""
    if "," in _one_line(value):
        raise ValueError("it must not hold a comma")
    return value


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise ValueError(f"'{value[:64]}' is not a valid UUID")
    return value


def _mac(value: str) -> str:
    if not _MAC.fullmatch(value) or set(value) <= set("0:-"):
        raise ValueError(f"'{value[:64]}' is not a valid MAC address")
    return value.lower().replace("-", ":")


def _address(value: str) -> str:
    try:
        # Python takes anything at all as the zone of an IPv6 address, the end of a line too.
        return str(ipaddress.ip_address(value.replace("%", "/")))
    except ValueError:
        raise ValueError(f"'{value[:64]}' is not a valid IP address") from None


def _network(value: str) -> str:
    try:
        ipaddress.ip_interface(value.replace("%", " "))
    except ValueError:
        raise ValueError(f"'{value[:64]}' is neither an IP address nor an IP subnet") from None
    return value


def _listed(value: Any) -> Any:
    return [] if value is None else value


def _bare(value: Any) -> Any:
    return None if value == {} else value


Name = Annotated[str, Field(max_length=255), AfterValidator(_one_line)]
Description = Annotated[str, Field(max_length=1024)]
Project = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
Uuid = Annotated[str, AfterValidator(_uuid)]
Mac = Annotated[str, AfterValidator(_mac)]
Address = Annotated[str, AfterValidator(_address)]
AddressOrNetwork = Annotated[str, AfterValidator(_network)]
Cidr = Annotated[str, Field(max_length=64)]
TagText = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_one_line)]
Ipv6Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]
Number = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class Part(Body):
    """A part of a body: its keys are those of the wire alone."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class New(Part):
    """What everything may say when it is made."""

    project_id: Project | None = None
    tenant_id: Project | None = None
    description: Description = ""


class Listing(Query):
    """A list: pages, order, and the attributes wanted. All other keys are filters."""

    limit: int | None = Field(None, ge=0)
    marker: str | None = None
    page_reverse: bool = False
    sort_key: list[str] = []
    sort_dir: list[Literal["asc", "desc"]] = []
    fields: list[str] = []


class Showing(Query):
    """One thing, and the attributes of it that are wanted."""

    fields: list[str] = []


# ---- networks


class NewNetwork(New):
    """A network to be."""

    name: Name = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = Field(False, alias="router:external")
    mtu: Number | None = None
    port_security_enabled: bool = True
    network_type: str | None = Field(None, alias="provider:network_type")
    physical_network: Name | None = Field(None, alias="provider:physical_network")
    segmentation_id: Number | None = Field(None, alias="provider:segmentation_id")


class ChangedNetwork(Part):
    """What may be changed of a network."""

    name: Name = ""
    description: Description = ""
    admin_state_up: bool = True
    shared: bool = False
    external: bool = Field(False, alias="router:external")
    mtu: Annotated[int, Field(ge=68, le=65535)] = 1500
    port_security_enabled: bool = True
    network_type: str | None = Field(None, alias="provider:network_type")
    physical_network: Name | None = Field(None, alias="provider:physical_network")
    segmentation_id: Number | None = Field(None, alias="provider:segmentation_id")


class CreateNetworks(Body):
    """One network, or several."""

    network: NewNetwork | None = None
    networks: Annotated[list[NewNetwork], Field(min_length=1)] | None = None


class UpdateNetwork(Body):
    """A changed network."""

    network: ChangedNetwork


# ---- subnets


class AllocationPool(Part):
    """Addresses that are given out."""

    start: Address
    end: Address


class Route(Part):
    """Where to send what is for other networks."""

    destination: Cidr
    nexthop: Address


Pools = Annotated[list[AllocationPool], Field(max_length=1000)]
Servers = Annotated[list[Address], BeforeValidator(_listed)]
Routes = Annotated[list[Route], BeforeValidator(_listed)]


class NewSubnet(New):
    """A subnet to be."""

    network_id: Uuid
    name: Name = ""
    ip_version: Literal[4, 6] | None = None
    cidr: Cidr | None = None
    subnetpool_id: Uuid | None = None
    use_default_subnetpool: bool = False
    prefixlen: Annotated[int, Field(ge=0, le=128)] | None = None
    gateway_ip: Address | None = None
    allocation_pools: Pools | None = None
    dns_nameservers: Servers = []
    host_routes: Routes = []
    enable_dhcp: bool = True
    ipv6_ra_mode: Ipv6Mode | None = None
    ipv6_address_mode: Ipv6Mode | None = None


class ChangedSubnet(Part):
    """What may be changed of a subnet."""

    name: Name = ""
    description: Description = ""
    gateway_ip: Address | None = None
    allocation_pools: Pools = []
    dns_nameservers: Servers = []
    host_routes: Routes = []
    enable_dhcp: bool = True


class CreateSubnets(Body):
    """One subnet, or several."""

    subnet: NewSubnet | None = None
    subnets: Annotated[list[NewSubnet], Field(min_length=1)] | None = None


class UpdateSubnet(Body):
    """A changed subnet."""

    subnet: ChangedSubnet


# ---- subnet pools

Prefixes = Annotated[list[Cidr], Field(min_length=1, max_length=1000)]
Length = Annotated[int, Field(ge=0, le=128)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


class NewSubnetPool(New):
    """A subnet pool to be."""

    name: Name
    prefixes: Prefixes
    default_prefixlen: Length | None = None
    min_prefixlen: Length | None = None
    max_prefixlen: Length | None = None
    default_quota: Count | None = None
    shared: bool = False
    is_default: bool = False


class ChangedSubnetPool(Part):
    """What may be changed of a subnet pool."""

    name: Name = ""
    description: Description = ""
    prefixes: Prefixes = []
    default_prefixlen: Length = 0
    min_prefixlen: Length = 0
    max_prefixlen: Length = 0
    default_quota: Count | None = None
    is_default: bool = False


class CreateSubnetPools(Body):
    """One subnet pool, or several."""

    subnetpool: NewSubnetPool | None = None
    subnetpools: Annotated[list[NewSubnetPool], Field(min_length=1)] | None = None


class UpdateSubnetPool(Body):
    """A changed subnet pool."""

    subnetpool: ChangedSubnetPool


# ---- ports


class FixedIpPart(Part):
    """An address, by its subnet, itself, or both."""

    subnet_id: Uuid | None = None
    ip_address: Address | None = None

    @model_validator(mode="after")
    def _says_something(self) -> FixedIpPart:
        if self.subnet_id is None and self.ip_address is None:
            raise ValueError("a fixed IP needs subnet_id or ip_address")
        return self


class AddressPair(Part):
    """Another address that may be used at a port."""

    ip_address: AddressOrNetwork
    mac_address: Mac | None = None


class DhcpOption(Part):
    """An option for the DHCP server to tell."""

    opt_name: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_option)]
    opt_value: Annotated[str, Field(max_length=255), AfterValidator(_option)] | None = None
    ip_version: Literal[4, 6] = 4


FixedIps = Annotated[list[FixedIpPart], Field(max_length=1000)]
Groups = Annotated[list[Uuid], BeforeValidator(_listed), Field(max_length=1000)]
Pairs = Annotated[list[AddressPair], BeforeValidator(_listed)]
Options = Annotated[list[DhcpOption], BeforeValidator(_listed), Field(max_length=100)]
Vnic = Literal[
    "normal", "direct", "direct-physical", "macvtap", "baremetal", "virtio-forwarder", "smart-nic", "vdpa",
    "accelerator-direct", "accelerator-direct-physical", "remote-managed",
]  # fmt: skip


class NewPort(New):
    """A port to be."""

    network_id: Uuid
    name: Name = ""
    admin_state_up: bool = True
    mac_address: Mac | None = None
    fixed_ips: FixedIps | None = None
    security_groups: Groups | None = None
    device_id: Name = ""
    device_owner: Name = ""
    port_security_enabled: bool | None = None
    allowed_address_pairs: Pairs = []
    extra_dhcp_opts: Options = []
    host_id: Name | None = Field("", alias="binding:host_id")
    vnic_type: Vnic = Field("normal", alias="binding:vnic_type")
    profile: dict[str, Any] | None = Field(None, alias="binding:profile")


class ChangedPort(Part):
    """What may be changed of a port."""

    name: Name = ""
    description: Description = ""
    admin_state_up: bool = True
    mac_address: Mac = ""
    fixed_ips: Annotated[FixedIps, BeforeValidator(_listed)] = []
    security_groups: Groups = []
    device_id: Name | None = ""
    device_owner: Name | None = ""
    port_security_enabled: bool = True
    allowed_address_pairs: Pairs = []
    extra_dhcp_opts: Options = []
    host_id: Name | None = Field("", alias="binding:host_id")
    vnic_type: Vnic = Field("normal", alias="binding:vnic_type")
    profile: dict[str, Any] | None = Field(None, alias="binding:profile")


class CreatePorts(Body):
    """One port, or several."""

    port: NewPort | None = None
    ports: Annotated[list[NewPort], Field(min_length=1)] | None = None


class UpdatePort(Body):
    """A changed port."""

    port: ChangedPort


# ---- security groups


class NewSecurityGroup(New):
    """A security group to be."""

    name: Name = ""
    stateful: bool = True


class ChangedSecurityGroup(Part):
    """What may be changed of a security group."""

    name: Name = ""
    description: Description = ""
    stateful: bool = True


class CreateSecurityGroups(Body):
    """One security group, or several."""

    security_group: NewSecurityGroup | None = None
    security_groups: Annotated[list[NewSecurityGroup], Field(min_length=1)] | None = None


class UpdateSecurityGroup(Body):
    """A changed security group."""

    security_group: ChangedSecurityGroup


class NewRule(New):
    """A rule to be."""

    security_group_id: Uuid
    direction: Literal["ingress", "egress"]
    ethertype: str = "IPv4"
    protocol: Annotated[str, Field(max_length=40)] | Annotated[int, Field(ge=0, le=255)] | None = None
    port_range_min: Number | None = None
    port_range_max: Number | None = None
    remote_ip_prefix: Cidr | None = None
    remote_group_id: Name | None = None


class CreateRules(Body):
    """One rule, or several."""

    security_group_rule: NewRule | None = None
    security_group_rules: Annotated[list[NewRule], Field(min_length=1)] | None = None


# ---- routers


class GatewayInfo(Part):
    """A router's way out."""

    network_id: Uuid
    enable_snat: bool = True
    external_fixed_ips: FixedIps = []


Gateway = Annotated[GatewayInfo | None, BeforeValidator(_bare)]


class NewRouter(New):
    """A router to be."""

    name: Name = ""
    admin_state_up: bool = True
    external_gateway_info: Gateway = None


class ChangedRouter(Part):
    """What may be changed of a router."""

    name: Name = ""
    description: Description = ""
    admin_state_up: bool = True
    external_gateway_info: Gateway = None
    routes: Routes = []


class CreateRouters(Body):
    """One router, or several."""

    router: NewRouter | None = None
    routers: Annotated[list[NewRouter], Field(min_length=1)] | None = None


class UpdateRouter(Body):
    """A changed router."""

    router: ChangedRouter


class InterfaceInfo(Body):
    """What a router is to be connected with."""

    subnet_id: Uuid | None = None
    port_id: Uuid | None = None


class ExtraRoutes(Part):
    """Routes to add or to take away."""

    routes: Routes


class UpdateExtraRoutes(Body):
    """Routes of a router to add or to take away."""

    router: ExtraRoutes


# ---- floating IPs


class NewFloatingIp(New):
    """A floating IP to be."""

    floating_network_id: Uuid
    floating_ip_address: Address | None = None
    subnet_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ip_address: Address | None = None


class ChangedFloatingIp(Part):
    """What may be changed of a floating IP."""

    description: Description = ""
    port_id: Uuid | None = None
    fixed_ip_address: Address | None = None


class CreateFloatingIps(Body):
    """One floating IP, or several."""

    floatingip: NewFloatingIp | None = None
    floatingips: Annotated[list[NewFloatingIp], Field(min_length=1)] | None = None


class UpdateFloatingIp(Body):
    """A changed floating IP."""

    floatingip: ChangedFloatingIp


# ---- quotas and tags

Limit = Annotated[int, Field(ge=-1, lt=2**31)]


class Limits(Part):
    """Limits of a project; -1 is none."""

    network: Limit = -1
    subnet: Limit = -1
    subnetpool: Limit = -1
    port: Limit = -1
    router: Limit = -1
    floatingip: Limit = -1
    security_group: Limit = -1
    security_group_rule: Limit = -1
    project_id: Project | None = None
    tenant_id: Project | None = None


class UpdateQuota(Body):
    """Changed limits."""

    quota: Limits


class Tags(Body):
    """All tags of a thing."""

    tags: Annotated[list[TagText], Field(max_length=1000)]
