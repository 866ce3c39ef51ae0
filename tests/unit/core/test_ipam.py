"""Addresses: nothing twice, nothing outside, and what is free plus what is taken is the pool."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.core.ipam import (
    AddressPool,
    Intervals,
    address_text,
    default_gateway,
    default_spans,
    eui64,
    is_host,
    next_subnet,
    overlapping,
    parse_address,
    parse_cidr,
    span_of,
    version_of,
)
from sundog.errors import Invalid

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda x: (x[0], x[0] + x[1])), max_size=8)


def members(intervals: Intervals) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


@given(SPANS)
def test_intervals_are_sorted_and_neither_meet_nor_overlap(spans):
    found = Intervals.of(spans)
    assert members(found) == {number for first, last in spans for number in range(first, last + 1)}
    assert all(last + 1 < first for (_, last), (first, _) in zip(found.spans, found.spans[1:], strict=False))
    assert found.size == len(members(found))


@given(SPANS, st.integers(0, 70))
def test_a_number_that_is_put_in_and_taken_out_again_is_gone_and_nothing_else_is(spans, number):
    before = Intervals.of(spans)
    within, without = before.plus(number), before.without(number)
    assert members(within) == members(before) | {number}
    assert members(without) == members(before) - {number}
    assert within == Intervals.of(within.spans)
    assert without == Intervals.of(without.spans)
    assert (number in before) is (number in members(before))


@given(SPANS, SPANS)
def test_intervals_overlap_when_they_have_a_number_in_common(one, other):
    a, b = Intervals.of(one), Intervals.of(other)
    assert a.overlaps(b) is bool(members(a) & members(b))


def test_an_interval_does_not_end_before_it_begins():
    with pytest.raises(ValueError, match="cannot end"):
        Intervals.of([(3, 2)])


@given(SPANS, st.lists(st.tuples(st.sampled_from(["next", "given", "release"]), st.integers(0, 70)), max_size=60))
def test_no_address_is_given_twice_or_from_outside_and_free_plus_taken_is_the_pool(spans, steps):
    pool, held = AddressPool.of(Intervals.of(spans)), set()
    for step, number in steps:
        if step == "next":
            taken = pool.take_next()
            if taken is None:
                assert members(pool.whole) <= held
                continue
            address, pool = taken
            assert address not in held
            assert address in pool.whole
            held.add(address)
        elif step == "given" and number not in held:
            pool = pool.take(number)
            held.add(number)
        elif step == "release" and number in held:
            pool = pool.release(number)
            held.remove(number)
        assert members(pool.free) == members(pool.whole) - held
    assert AddressPool.of(pool.whole, held) == pool


V4 = st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)).map(lambda x: ipaddress.ip_network(x, strict=False))
V6 = st.tuples(st.integers(2**96, 2**128 - 1), st.integers(48, 128)).map(
    lambda x: ipaddress.ip_network(x, strict=False)
)


@given(st.one_of(V4, V6))
def test_what_a_subnet_gives_out_is_in_it_and_not_its_gateway(net):
    gateway = default_gateway(net)
    spans = default_spans(net, gateway)
    first, last = span_of(net)
    assert spans.size >= 1
    assert all(first <= low and high <= last for low, high in spans)
    if net.max_prefixlen - net.prefixlen >= 2:
        assert parse_address(gateway) not in spans
        assert first not in spans
        assert is_host(net, spans.lowest)


def test_a_subnet_gives_out_what_neutron_gives_out():
    net = parse_cidr("10.0.0.0/29")
    assert [(address_text(a, 4), address_text(b, 4)) for a, b in default_spans(net, "10.0.0.1")] == [
        ("10.0.0.2", "10.0.0.6")
    ]
    assert default_spans(net, "10.0.0.3").size == 5
    assert default_spans(parse_cidr("10.0.0.0/31"), None).size == 2
    assert default_spans(parse_cidr("10.0.0.9/32"), None).size == 1
    assert default_spans(parse_cidr("fd00::/126"), "fd00::1").size == 2


@given(V6.filter(lambda net: net.prefixlen <= 64), st.binary(min_size=6, max_size=6))
def test_a_host_in_ipv6_has_an_address_of_the_network_from_which_its_mac_can_be_read(net, mac):
    net = ipaddress.ip_network((net.network_address, 64), strict=False)
    number = eui64(net, mac.hex(":"))
    assert ipaddress.ip_address(number) in net
    host = (number & (2**64 - 1)).to_bytes(8, "big")
    assert bytes((host[0] ^ 2, *host[1:3], *host[5:])) == mac
    assert host[3:5] == b"\xff\xfe"


def test_a_mac_gives_the_address_of_the_rfc():
    # RFC 4291, appendix A: 34-56-78-9A-BC-DE
    assert address_text(eui64(parse_cidr("fe80::/64"), "34:56:78:9a:bc:de"), 6) == "fe80::3656:78ff:fe9a:bcde"


@given(st.lists(V4, max_size=5), V4)
def test_networks_overlap_as_the_standard_library_has_it(others, net):
    found = overlapping(net, others)
    assert (found is not None) is any(net.overlaps(each) for each in others)


@given(V4.filter(lambda net: net.prefixlen <= 20), st.integers(20, 28), st.integers(1, 12))
def test_subnets_from_a_pool_are_in_it_and_never_overlap(prefix, length, count):
    taken = []
    for _ in range(count):
        net = next_subnet([prefix], taken, length)
        if net is None:
            assert len(taken) == 2 ** (length - prefix.prefixlen)
            break
        assert net.subnet_of(prefix)
        assert net.prefixlen == length
        assert overlapping(net, taken) is None
        taken.append(net)


def test_a_hole_in_a_pool_is_filled_first_and_ipv6_stays_ipv6():
    pool = parse_cidr("10.0.0.0/24")
    taken = [parse_cidr("10.0.0.0/26"), parse_cidr("10.0.0.128/26")]
    assert str(next_subnet([pool], taken, 26)) == "10.0.0.64/26"
    assert str(next_subnet([parse_cidr("::/32")], [], 64)) == "::/64"
    assert next_subnet([pool], [], 16) is None


@pytest.mark.parametrize("text", ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "x/8", "fd00::1/64", "fe80::%a/64"])
def test_what_is_no_network_is_said_to_be_none(text):
    with pytest.raises(Invalid, match="subnet"):
        parse_cidr(text)


def test_what_is_no_address_is_said_to_be_none():
    for parse in (parse_address, version_of):
        with pytest.raises(Invalid, match="not a valid IP address"):
            parse("10.0.0.256")
        with pytest.raises(Invalid, match="not a valid IP address"):
            parse("fe80::1%eth0\nanother line")
    assert version_of("fd00::/64") == 6
    assert version_of("10.0.0.1") == 4
