"""A domain is what its XML says, whatever its owner called it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.contract import ServerKey
from sundog.backends.libvirt.domain_xml import (
    NAMESPACE,
    escape,
    next_generation,
    read_domain,
    read_screen,
    read_stamp,
    restamped,
    unescape,
    write_domain,
    write_interface,
)
from sundog.backends.libvirt.records import (
    Disk,
    Domain,
    Interface,
    Stamp,
    bridge_name,
    domain_name,
    domain_uuid,
    tap_name,
)
from sundog.errors import BackendFailed
from tests.unit.backends.libvirt.domains import CLOUD, NETWORK, POOL, PORT, SERVER, make_domain

GOLDEN = Path(__file__).parent / "golden"
KEPT = make_domain(
    uuid=domain_uuid(ServerKey(SERVER, 1), kept=True),
    name=domain_name(ServerKey(SERVER, 1), kept=True),
    stamp=Stamp(SERVER, 1, "web", "a-project", kept=True, ran=True, cloud=CLOUD),
)
EXAMPLES = {
    "qemu": make_domain(),
    "kvm": make_domain(virt_type="kvm", interfaces=()),
    "hostile-name": make_domain(stamp=Stamp(SERVER, 1, "</name><disk/>&'\"\n\x00 ]]> é", "<&")),
    "kept": KEPT,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_domain_is_written_as_its_golden_file(name: str) -> None:
    assert write_domain(EXAMPLES[name]) == (GOLDEN / f"{name}.xml").read_text()


words = st.text(max_size=40)
uuids = st.uuids().map(str)
paths = st.from_regex(r"/[a-z0-9/.-]{1,30}", fullmatch=True)
stamps = st.builds(
    Stamp, uuids, st.integers(1, 10**6), words, words, st.booleans(), st.booleans(), st.booleans(),
    uuids | st.just(""), uuids | st.just(""),
)  # fmt: skip
writable = st.builds(
    Disk, st.sampled_from(["root", "ephemeral", "swap", "rescue"]), paths, st.sampled_from(["qcow2", "raw"]),
    paths | st.just(""),
)  # fmt: skip
interfaces = st.builds(
    Interface, uuids, st.from_regex(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", fullmatch=True), uuids, uuids.map(tap_name),
    st.integers(68, 65535),
)  # fmt: skip
domains = st.builds(
    Domain, uuids, words.filter(lambda text: text.isprintable() and text != ""), stamps,
    st.sampled_from(["kvm", "qemu"]), st.integers(1, 512), st.integers(1, 2**24),
    st.lists(writable, max_size=4, unique_by=lambda disk: disk.path).map(tuple),
    st.lists(interfaces, max_size=4).map(tuple), paths, st.ip_addresses(v=4).map(str),
)  # fmt: skip


@given(domains)
def test_what_was_written_is_read_again(domain: Domain) -> None:
    assert read_domain(write_domain(domain)) == domain


@given(words, words)
def test_no_name_becomes_an_element(name: str, project: str) -> None:
    plain = [each.tag for each in ET.fromstring(write_domain(make_domain())).iter()]
    named = make_domain(stamp=Stamp(SERVER, 1, name, project))
    assert [each.tag for each in ET.fromstring(write_domain(named)).iter()] == plain


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=50))
def test_any_text_is_printable_ascii_and_back(text: str) -> None:
    assert escape(text).isascii()
    assert escape(text).isprintable()
    assert unescape(escape(text)) == text


def test_a_domain_without_our_stamp_is_not_ours() -> None:
    root = ET.fromstring(write_domain(make_domain()))
    metadata = root.find("metadata")
    assert metadata is not None
    root.remove(metadata)
    theirs = ET.tostring(root, encoding="unicode")
    assert read_stamp(theirs) is None
    assert read_domain(theirs) is None


def test_a_stamp_is_read_from_the_metadata_alone() -> None:
    element = ET.fromstring(write_domain(KEPT)).find(f"metadata/{{{NAMESPACE}}}copy")
    assert element is not None
    assert read_stamp(ET.tostring(element, encoding="unicode")) == KEPT.stamp


@pytest.mark.parametrize("broken", ['generation="x"', 'name="\\x"'])
def test_a_stamp_that_somebody_broke_is_said_to_be_so(broken: str) -> None:
    text = write_domain(make_domain())
    what = broken.split("=", maxsplit=1)[0]
    old = {"generation": 'generation="1"', "name": 'name="web"'}[what]
    with pytest.raises(BackendFailed, match="stamp"):
        read_stamp(text.replace(old, broken))


def test_what_is_not_xml_is_said_to_be_so() -> None:
    with pytest.raises(BackendFailed, match="cannot be read"):
        read_domain("<domain>")


def test_what_libvirt_adds_is_skipped() -> None:
    root = ET.fromstring(write_domain(make_domain()))
    root.set("id", "7")
    devices = root.find("devices")
    assert devices is not None
    ET.SubElement(devices, "controller", type="usb")
    for each in devices:
        ET.SubElement(each, "address", type="pci", slot="0x03")
    memory = root.find("memory")
    assert memory is not None
    memory.set("unit", "KiB")
    memory.text = str(256 * 1024)
    assert read_domain(ET.tostring(root, encoding="unicode")) == make_domain()


def test_a_stamp_is_replaced_and_nothing_else() -> None:
    before = make_domain()
    after = next_generation(before, 7)
    text = restamped(write_domain(before), after)
    assert read_domain(text) == replace(before, stamp=replace(before.stamp, generation=7))
    assert text.count("generation=") == 1


def test_formats_are_always_said_and_a_chain_has_an_end() -> None:
    root = ET.fromstring(write_domain(make_domain()))
    disks = root.findall("devices/disk")
    assert [disk.find("driver").get("type") for disk in disks] == ["qcow2", "qcow2", "raw"]  # type: ignore[union-attr]
    assert disks[0].find("backingStore/format").get("type") == "qcow2"  # type: ignore[union-attr]
    assert disks[0].find("backingStore/source").get("file") == f"{POOL}/base-0001.qcow2"  # type: ignore[union-attr]
    assert all(list(disk.iter("backingStore"))[-1].attrib == {} for disk in disks)


def test_an_interface_is_plugged_as_it_is_defined() -> None:
    (interface,) = make_domain().interfaces
    assert ET.fromstring(write_interface(interface)).find("target").get("dev") == tap_name(PORT)  # type: ignore[union-attr]


def test_names_on_a_host_fit_into_linux() -> None:
    assert len(tap_name(PORT)) <= 15
    assert len(bridge_name(NETWORK)) <= 15


def test_a_kept_copy_steps_aside() -> None:
    key = ServerKey(SERVER, 1)
    assert domain_uuid(key) == SERVER
    assert domain_uuid(key, kept=True) not in (SERVER, domain_uuid(ServerKey(SERVER, 2), kept=True))
    assert domain_name(key, kept=True) != domain_name(key)


@pytest.mark.parametrize(
    ("graphics", "place"),
    [
        ("<graphics type='vnc' port='5901'><listen type='address' address='10.0.0.1'/></graphics>", ("10.0.0.1", 5901)),
        ("<graphics type='vnc' port='5901'/>", ("", 5901)),
        ("<graphics type='vnc' port='-1'><listen type='address' address='10.0.0.1'/></graphics>", None),
        ("<graphics type='spice' port='5901'/>", None),
        ("", None),
    ],
)
def test_a_screen_is_found_where_it_is_shown(graphics: str, place: tuple[str, int] | None) -> None:
    assert read_screen(f"<domain><devices>{graphics}</devices></domain>") == place
