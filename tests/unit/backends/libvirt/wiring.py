"""A network, a router and ports as tests of wires like them."""

from __future__ import annotations

from sundog.backends.networks import (
    Address,
    DhcpOption,
    Floating,
    Pair,
    RouterLeg,
    Rule,
    WiredNetwork,
    WiredPort,
    WiredRouter,
    WiredSubnet,
)

NETWORK = "3c1f6a0e-7d0c-4a4b-9a57-6e5f1c2b3a4d"
PUBLIC = "9e8d7c6b-5a49-4382-a1b0-c9d8e7f60514"
SUBNET = "aa11bb22-cc33-4d44-8e55-ff6600770088"
SUBNET_6 = "bb22cc33-dd44-4e55-9f66-008811992200"
SERVER = "0b6f9a66-62a5-4a3b-8d3a-1f6e8f0a7b11"

RULES = (
    Rule("egress", 4),
    Rule("egress", 6),
    Rule("ingress", 4, 6, 22, 22, ("10.5.0.0/24", "203.0.113.7/32")),
    Rule("ingress", 4, 1, 8, 0),
    Rule("ingress", 6, 58, 128),
    Rule("ingress", 6, 17, 53, 99, ("fd00:5::/64",)),
    Rule("ingress", 4, 47),
)

WEB = WiredPort(
    "11111111-2222-4333-8444-555555555555",
    "fa:16:3e:00:00:01",
    (Address(SUBNET, "10.5.0.11"), Address(SUBNET_6, "fd00:5::11")),
    server_id=SERVER,
    project_id="a-project",
    pairs=(Pair("fa:16:3e:00:00:99", "10.5.0.128/25"),),
    rules=RULES,
    dhcp_options=(
        DhcpOption("bootfile-name", "pxe,linux.0"),
        DhcpOption("252", "http://proxy/"),
        DhcpOption("ntp-server", "fd00::1", 6),
    ),
)
OPEN = WiredPort(
    "66666666-7777-4888-8999-aaaaaaaaaaaa", "fa:16:3e:00:00:02", (Address(SUBNET, "10.5.0.12"),), secured=False
)
SUBNETS = (
    WiredSubnet(SUBNET, "10.5.0.0/24", "10.5.0.1", nameservers=("192.0.2.53", "2001:db8::53"),
                routes=(("192.0.2.0/24", "10.5.0.9"),)),
    WiredSubnet(SUBNET_6, "fd00:5::/64", "fd00:5::1"),
)  # fmt: skip
TENANT = WiredNetwork(NETWORK, segment=70000, subnets=SUBNETS, ports=(WEB, OPEN))
ROUTER = WiredRouter(
    "dddddddd-eeee-4fff-8000-111122223333",
    legs=(RouterLeg("22223333-4444-4555-8666-777788889999", NETWORK, "fa:16:3e:00:01:01", ("10.5.0.1/24",)),),
    outside=RouterLeg(
        "33334444-5555-4666-8777-88889999aaaa", PUBLIC, "fa:16:3e:00:01:02", ("203.0.113.20/24", "2001:db8::20/64")
    ),
    next_hop="203.0.113.1",
    routes=(("192.0.2.0/24", "10.5.0.9"),),
    floating=(Floating("203.0.113.50", "10.5.0.11"),),
)
