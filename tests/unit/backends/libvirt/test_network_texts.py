"""What hosts and the network node are told follows from records alone, and no client can make it say more."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.contract import PortSpec
from sundog.backends.libvirt import network_dnsmasq as dnsmasq
from sundog.backends.libvirt import network_links as links
from sundog.backends.libvirt.domain_xml import read_domain, write_domain, write_interface
from sundog.backends.libvirt.host_xml import write_network
from sundog.backends.libvirt.network_filters import filter_name, port_of, write_filter
from sundog.backends.libvirt.network_nft import ruleset
from sundog.backends.libvirt.plan import interface
from sundog.backends.networks import Address, DhcpOption, Rule, WiredNetwork, WiredPort
from tests.unit.backends.libvirt.domains import make_domain
from tests.unit.backends.libvirt.wiring import NETWORK, OPEN, ROUTER, RULES, SUBNET, TENANT, WEB

GOLDEN = Path(__file__).parent / "golden" / "networks"
FILES = dnsmasq.files(TENANT)
EXAMPLES = {
    "filter.xml": write_filter(WEB).xml,
    "filter-open.xml": write_filter(OPEN).xml,
    "filter-disabled.xml": write_filter(replace(WEB, enabled=False)).xml,
    "dnsmasq-command": "\n".join(dnsmasq.command(TENANT, "/run/sundog/net")) + "\n",
    "dnsmasq-hosts": FILES.hosts,
    "dnsmasq-names": FILES.names,
    "dnsmasq-options": FILES.options,
    "router.nft": ruleset(ROUTER),
    "router-closed.nft": ruleset(replace(ROUTER, outside=None, floating=())),
    "joining": links.batch(links.joining(TENANT, "eth1", (), 1430)),
    "settling-router": links.batch(links.settling(links.routing(ROUTER, {NETWORK: 1450}), links.Inside())),
    "settling-network": links.batch(links.settling(links.serving(TENANT, 1450), links.Inside())),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_text_is_as_its_golden_file(name: str) -> None:
    assert EXAMPLES[name] == (GOLDEN / name).read_text()


@pytest.mark.skipif(shutil.which("nft") is None, reason="nftables is not installed")
def test_nft_reads_the_rules_of_routers() -> None:
    for router in (ROUTER, replace(ROUTER, snat=False), replace(ROUTER, enabled=False), replace(ROUTER, outside=None)):
        done = subprocess.run(
            ["unshare", "-r", "-n", "nft", "-c", "-f", "-"], input=ruleset(router), capture_output=True, text=True
        )
        if "unshare" in done.stderr:
            pytest.skip(done.stderr)
        assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------------------- filters


def rules_of(xml: str) -> list[ET.Element]:
    return sorted(ET.fromstring(xml).iterfind("rule"), key=lambda each: int(each.get("priority", "0")))


octets = st.integers(0, 255)
macs = st.tuples(octets, octets).map(lambda pair: f"fa:16:3e:00:{pair[0]:02x}:{pair[1]:02x}")
fours = st.ip_addresses(v=4).map(str)
sixes = st.ip_addresses(v=6).map(str)
numbers = st.none() | st.integers(0, 255)


@st.composite
def group_rules(draw: st.DrawFn) -> Rule:
    version = draw(st.sampled_from((4, 6)))
    remote = draw(st.none() | st.lists(fours if version == 4 else sixes, max_size=3).map(tuple))
    low = draw(st.none() | st.integers(1, 200))
    return Rule(draw(st.sampled_from(("ingress", "egress"))), version, draw(numbers), low, low, remote)


ports = st.builds(
    WiredPort,
    st.uuids().map(str),
    macs,
    st.lists((fours | sixes).map(lambda ip: Address(SUBNET, ip)), max_size=3).map(tuple),
    rules=st.lists(group_rules(), max_size=6).map(tuple),
)


@given(ports)
def test_what_leaves_has_an_address_of_the_port_or_is_dropped(port: WiredPort) -> None:
    own = {address.ip for address in port.addresses}
    frames = [each for each in rules_of(write_filter(port).xml) if int(each.get("priority", "")) < 0]
    for rule in frames:
        if rule.get("action") == "accept" and rule.get("direction") != "in":
            said = rule[0].attrib
            assert said["srcmacaddr"] == port.mac
            source = said.get("srcipaddr") or said["arpsrcipaddr"]
            assert source in own or source in ("0.0.0.0", "::") or source.startswith("fe80:")
            if rule[0].tag == "arp":
                assert said["arpsrcmacaddr"] == port.mac
    last = [(each.get("action"), each.get("direction"), len(each)) for each in frames[-2:]]
    assert last == [("drop", "out", 0), ("drop", "in", 0)]


@given(ports)
def test_ossa_2016_009_no_guest_is_a_dhcp_server_or_a_router_to_others(port: WiredPort) -> None:
    """CVE-2016-5362: what a guest sends as one is dropped before anything that it may send is let through."""
    frames = [each for each in rules_of(write_filter(port).xml) if len(each) and each.get("direction") == "out"]
    for kind, what in (
        ("ip", {"protocol": "udp", "srcportstart": "67"}),
        ("ipv6", {"protocol": "icmpv6", "type": "134"}),
        ("ipv6", {"protocol": "udp", "srcportstart": "547"}),
    ):
        of_kind = [each for each in frames if each[0].tag == kind]
        at = next(n for n, each in enumerate(of_kind) if (each.get("action"), each[0].attrib) == ("drop", what))
        before = [each[0].attrib for each in of_kind[:at] if each.get("action") == "accept"]
        # All that comes first is that it asks for an address, from another port.
        assert [each for each in before if each.get("srcportstart") != "68"] == []


def by_rules(xml: str) -> list[ET.Element]:
    """What of a filter security groups ask for."""
    return [each for each in rules_of(xml) if each.get("priority") == "500"]


@given(ports)
def test_nothing_is_let_in_but_by_a_rule(port: WiredPort) -> None:
    made = write_filter(port)
    packets = [each for each in rules_of(made.xml) if int(each.get("priority", "")) > 0]
    begin = [each for each in by_rules(made.xml) if each[0].get("state") != "ESTABLISHED"]
    kept = [rule.remotes for rule in port.rules if rule not in made.left_out]
    fewest = [
        1 if each is None else len(list(ipaddress.collapse_addresses(map(ipaddress.ip_network, each)))) for each in kept
    ]
    assert len(begin) == sum(fewest)
    last = [(each.get("action"), each.get("direction"), each[0].tag) for each in packets[-2:]]
    assert last == [("drop", "inout", kind) for kind in ("all", "all-ipv6")]


@given(ports)
def test_a_connection_is_let_through_by_its_rule_alone_and_so_ends_with_it(port: WiredPort) -> None:
    made = write_filter(port)
    for rule in rules_of(made.xml):
        said = rule[0].attrib if len(rule) else {}
        if rule.get("action") != "accept" or int(rule.get("priority", "")) < 0:
            continue
        if rule.get("priority") != "500" and rule.get("statematch") is None:
            assert said == {"state": "RELATED"}  # errors, which go when what they are about does
        elif "ESTABLISHED" in said.get("state", ""):
            assert "type" in said  # all else libvirt tracks by itself, the direction of connections as well
    bare = write_filter(replace(port, rules=()))
    assert by_rules(bare.xml) == []


def test_an_answer_to_an_echo_is_let_through_with_it_and_goes_where_it_came_from() -> None:
    rules = (Rule("ingress", 4, 1, 8, 0, ("10.5.0.0/24",)), Rule("egress", 6, 58, 128), Rule("ingress", 4, 1, 3))
    told = [
        (each.get("direction"), dict(each[0].attrib)) for each in by_rules(write_filter(replace(WEB, rules=rules)).xml)
    ]
    assert told == [
        ("in", {"state": "NEW,ESTABLISHED", "type": "8", "code": "0", "srcipaddr": "10.5.0.0", "srcipmask": "24"}),
        ("out", {"state": "ESTABLISHED", "type": "0", "dstipaddr": "10.5.0.0", "dstipmask": "24"}),
        ("out", {"state": "NEW,ESTABLISHED", "type": "128"}),
        ("in", {"state": "ESTABLISHED", "type": "129"}),
        ("in", {"state": "NEW,ESTABLISHED", "type": "3"}),
    ]


@given(st.sets(st.integers(0, 63)))
def test_a_group_is_let_in_to_its_last_address_and_nobody_else(members: set[int]) -> None:
    rule = Rule("ingress", 4, 6, 80, 80, tuple(f"10.5.0.{number}/32" for number in sorted(members)))
    packets = [each[0].attrib for each in rules_of(write_filter(replace(WEB, rules=(rule,))).xml) if len(each)]
    nets = [ipaddress.ip_network(f"{told['srcipaddr']}/{told['srcipmask']}") for told in packets if "srcipmask" in told]
    let_in = [int(each) & 255 for net in nets if net.subnet_of(ipaddress.ip_network("10.5.0.0/26")) for each in net]
    assert sorted(let_in) == sorted(members)


def test_a_rule_that_libvirt_has_no_words_for_stays_closed_and_is_named() -> None:
    made = write_filter(WEB)
    assert made.left_out == (RULES[-1],)
    assert "gre" not in made.xml


def test_a_rule_whose_ports_libvirt_cannot_tell_apart_stays_closed() -> None:
    rules = (Rule("ingress", 4, 136, 53, 53), Rule("ingress", 4, None, 53, 53), Rule("ingress", 6, 58, 128))
    made = write_filter(replace(WEB, rules=rules))
    assert made.left_out == rules[:2]


def test_a_rule_for_a_group_without_members_lets_nobody_in() -> None:
    made = write_filter(replace(WEB, rules=(Rule("ingress", 4, 6, 80, 80, ()),)))
    assert "NEW" not in made.xml


def test_filters_are_known_again_by_their_names_and_those_of_others_are_not() -> None:
    assert port_of(filter_name(WEB.id)) == WEB.id
    assert port_of("clean-traffic") is None


def test_a_card_names_its_filter_where_hosts_have_filters_and_not_elsewhere() -> None:
    spec = PortSpec(WEB.id, NETWORK, WEB.mac)
    card = interface(spec, filtered=True)
    assert ET.fromstring(write_interface(card)).find("filterref[@filter='sundog-port-" + WEB.id + "']") is not None
    domain = make_domain(interfaces=(card,))
    assert read_domain(write_domain(domain)) == domain
    assert ET.fromstring(write_interface(interface(spec))).find("filterref") is None


# ------------------------------------------------------------------------------------------------------------- dnsmasq


def test_dnsmasq_reads_its_files_again_unless_somebody_goes_or_it_gave_somebody_a_tag() -> None:
    plain, one = (
        dnsmasq.files(replace(TENANT, ports=ports)).hosts for ports in ((OPEN, replace(WEB, dhcp_options=())), (OPEN,))
    )
    assert not dnsmasq.must_start_anew("", plain)
    assert not dnsmasq.must_start_anew(one, plain)
    assert dnsmasq.must_start_anew(plain, one)
    assert dnsmasq.must_start_anew(one, one.replace("fa:16", "fa:17"))
    assert dnsmasq.must_start_anew(FILES.hosts, FILES.hosts)


@given(st.lists(st.builds(DhcpOption, st.text(max_size=20), st.text(max_size=40)), max_size=4))
def test_ossa_2021_005_a_dhcp_option_says_itself_alone(options: list[DhcpOption]) -> None:
    """OSSA-2021-005: whatever a client calls an option, it says that one option to that one port."""
    port = replace(WEB, dhcp_options=tuple(options))
    plain = dnsmasq.files(replace(TENANT, ports=(replace(WEB, dhcp_options=()),)))
    made = dnsmasq.files(replace(TENANT, ports=(port,)))
    assert made.hosts.replace(f"set:port-{WEB.id},", "") == plain.hosts
    assert made.names == plain.names
    assert made.options.startswith(plain.options)
    more = made.options[len(plain.options) :].split("\n")[:-1]
    assert len(more) == len(options) - len(made.left_out)
    assert all(line.startswith(f"tag:port-{WEB.id},") and line.isprintable() for line in more)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bootfile-name", "x\n3,10.5.0.66"),
        ("bootfile-name\n3", "10.5.0.66"),
        ("router,10.5.0.66\ntag:x,router", "10.5.0.66"),
        ("option:router", "10.5.0.66"),
        ("0", "x"),
        ("255", "x"),
        ("bootfile-name", "x\r"),
        ("bootfile-name", "x\x00"),
        ("bootfile-name", ""),
    ],
)
def test_a_hostile_dhcp_option_is_left_out_and_named(name: str, value: str) -> None:
    option = DhcpOption(name, value)
    made = dnsmasq.files(replace(TENANT, ports=(replace(WEB, dhcp_options=(option,)),)))
    assert made.left_out == ((WEB.id, option),)
    assert "10.5.0.66" not in made.options


def test_only_ports_are_given_addresses() -> None:
    assert "--dhcp-ignore=tag:!known" in dnsmasq.command(TENANT, "/f")
    assert all(",static," in each for each in dnsmasq.command(TENANT, "/f") if each.startswith("--dhcp-range"))


@given(st.ip_addresses())
def test_every_address_has_a_name_that_is_a_name(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    name = dnsmasq.host_name(str(address))
    assert len(name) <= 63
    assert name.replace("-", "").isalnum()


# --------------------------------------------------------------------------------------------------------------- links


def test_what_is_there_already_is_not_made_again() -> None:
    first = links.joining(TENANT, "eth1", (), 1430)
    again = links.joining(TENANT, "eth1", [line.split()[2] for line in first], 1430)
    assert [line for line in again if line.startswith("link add")] == []


def test_a_namespace_loses_what_is_no_longer_wanted() -> None:
    want = links.routing(ROUTER, {})
    leg = links.leg_name(ROUTER.legs[0])
    have = links.Inside(
        {leg: links.Card(frozenset({"10.5.0.1/24", "10.5.0.77/24"}), ROUTER.legs[0].mac), "old": links.Card()},
        {"198.51.100.0/24": "10.5.0.3"},
    )
    lines = links.settling(want, have)
    assert f"address delete 10.5.0.77/24 dev {leg}" in lines
    assert f"address add 10.5.0.1/24 dev {leg}" not in lines
    assert "link delete old" in lines
    assert "route delete 198.51.100.0/24" in lines


def test_what_ip_says_is_read() -> None:
    cards = [
        {"ifname": "lo", "addr_info": []},
        {"ifname": "net", "address": "02:00:00:00:00:01", "mtu": 1430, "addr_info": [
            {"family": "inet", "local": "169.254.169.254", "prefixlen": 32, "scope": "global"},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"}]},
    ]  # fmt: skip
    routes = [
        {"dst": "default", "gateway": "10.5.0.1", "dev": "net"},
        {"dst": "10.5.0.0/24", "dev": "net", "protocol": "kernel"},
        {"dst": "10.6.0.0/24", "dev": "net"},
    ]
    inside = links.read_inside(json.dumps(cards), json.dumps(routes))
    assert inside.cards == {"net": links.Card(frozenset({"169.254.169.254/32"}), "02:00:00:00:00:01", 1430)}
    assert inside.routes == {"0.0.0.0/0": "10.5.0.1", "10.6.0.0/24": "dev net"}
    assert links.read_inside("", "") == links.Inside()


def test_links_and_namespaces_of_others_are_never_removed() -> None:
    assert links.leaving(NETWORK, ["eth0", "virbr0", "svx3c1f6a0e7d0"]) == ["link delete svx3c1f6a0e7d0"]
    names = links.read_namespaces(json.dumps([{"name": "sundog-net-a"}, {"name": "other-net-a"}, {"name": "qrouter"}]))
    assert links.Spaces().ours(names) == ["sundog-net-a"]
    assert links.Spaces("other").ours(names) == ["other-net-a"]
    cards = [{"ifname": "svxa"}, {"ifname": "svxb", "master": "sbrb"}, {"ifname": "eth0"}]
    assert links.read_loose(json.dumps(cards)) == ["svxa"]


@given(st.uuids().map(str))
def test_names_of_links_are_short_enough_for_linux(identifier: str) -> None:
    network = WiredNetwork(identifier, segment=1)
    leg = replace(ROUTER.legs[0], port_id=identifier)
    names = [links.serving_cable(identifier), links.leg_cable(leg), links.leg_name(leg)]
    names += [line.split()[2] for line in links.joining(network, "eth1", (), 1430)]
    assert all(len(name) <= 15 for name in names)


@given(st.integers(1, 2**24 - 1), st.integers(1, 2**24 - 1))
def test_every_segment_has_a_group_of_its_own_on_the_wire(one: int, other: int) -> None:
    assert ipaddress.ip_address(links.group(one)).is_link_local is False
    assert ipaddress.ip_address(links.group(one)) in ipaddress.ip_network("ff02::/16")
    assert (links.group(one) == links.group(other)) == (one == other)


def test_the_card_with_an_address_and_the_one_that_leads_to_it_are_found() -> None:
    cards = [
        {"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}]},
        {"ifname": "eth0", "addr_info": [{"local": "192.0.2.7"}, {"local": "fe80::1"}]},
        {},
    ]
    assert links.read_card(json.dumps(cards), "192.0.2.7") == "eth0"
    assert links.read_card(json.dumps(cards), "192.0.2.8") == ""
    assert links.read_way('[{"dst": "192.0.2.9", "gateway": "192.0.2.1", "dev": "br0"}]') == "br0"
    assert links.read_way('[{"dst": "192.0.2.7", "dev": "lo"}]') == ""  # it is this machine itself
    assert (links.read_card("", "192.0.2.7"), links.read_way("")) == ("", "")


def test_a_network_on_the_network_node_leaves_its_bridge_to_that() -> None:
    own, other = (ET.fromstring(write_network("sundog-a", "sbra", 1450, own=own)) for own in (True, False))
    assert (own.find("forward"), own.findtext("name")) == (None, "sundog-a")
    forward, bridge = other.find("forward"), other.find("bridge")
    assert forward is not None
    assert bridge is not None
    assert (forward.get("mode"), dict(bridge.attrib), other.find("mtu")) == ("bridge", {"name": "sbra"}, None)
