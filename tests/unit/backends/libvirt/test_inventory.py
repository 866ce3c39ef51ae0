"""What a host says of itself becomes the contract's record; what we ask of it is written by a serializer."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from sundog.backends.contract import HostState
from sundog.backends.libvirt.host_xml import (
    HostFacts,
    NumaCell,
    read_capabilities,
    read_cpu,
    read_features,
    read_pool_path,
    write_network,
    write_pool,
    write_volume,
)
from sundog.backends.libvirt.inventory import RESERVED_MEMORY_MIB, cpu_traits, host_record
from sundog.errors import BackendFailed

CAPABILITIES = """<capabilities>
  <host>
    <uuid>8B0F1C44-7C6E-4C55-9F2A-0D8E5A3B7F10</uuid>
    <cpu><arch>x86_64</arch><model>Skylake-Server</model><feature name='avx512f'/></cpu>
    <topology><cells num='2'>
      <cell id='0'><memory unit='KiB'>8388608</memory><cpus num='2'><cpu id='0'/><cpu id='1'/></cpus></cell>
      <cell id='1'><memory unit='KiB'>4194304</memory><cpus num='2'><cpu id='2'/><cpu id='3'/></cpus></cell>
    </cells></topology>
  </host>
  <guest><os_type>hvm</os_type><arch name='i686'><domain type='qemu'/></arch></guest>
  <guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest>
</capabilities>"""
FACTS = HostFacts(
    "8b0f1c44-7c6e-4c55-9f2a-0d8e5a3b7f10", "x86_64", (NumaCell(0, 2, 8192), NumaCell(1, 2, 4096)), ("qemu", "kvm"),
    ("aes", "avx512-vpopcntdq", "fma", "no-such-feature", "sse4.1"),
)  # fmt: skip


def test_the_facts_of_a_host_are_read() -> None:
    assert read_capabilities(CAPABILITIES, FACTS.features) == FACTS
    assert (FACTS.cpus, FACTS.memory_mib) == (4, 12288)


def test_features_have_the_names_that_os_traits_gives_them() -> None:
    expected = ("HW_CPU_X86_AESNI", "HW_CPU_X86_AVX512VPOPCNTDQ", "HW_CPU_X86_FMA3", "HW_CPU_X86_SSE41")
    assert cpu_traits(FACTS.features) == expected


def test_features_of_a_cpu_leave_out_what_it_has_not() -> None:
    assert read_features("<cpu><feature name='b'/><feature name='a'/><feature name='c' policy='disable'/></cpu>") == (
        "a",
        "b",
    )


def test_a_cpu_without_a_model_cannot_be_asked_about() -> None:
    assert "Skylake" in read_cpu(CAPABILITIES)
    assert read_cpu("<capabilities><host><cpu><arch>i686</arch></cpu></host></capabilities>") == ""


@pytest.mark.parametrize(("virt_type", "has_traits"), [("kvm", True), ("qemu", False)])
def test_a_record_has_the_hosts_inventory_and_with_kvm_its_traits(virt_type: str, has_traits: bool) -> None:
    record = host_record(
        FACTS,
        "host-1",
        HostState.UP,
        virt_type=virt_type,
        disk_gib=100,
        version=7002000,
        address="192.0.2.1",  # type: ignore[arg-type]
    )
    assert record.uuid == FACTS.uuid
    assert {name: each.total for name, each in record.inventory.items()} == {
        "VCPU": 4,
        "MEMORY_MB": 12288,
        "DISK_GB": 100,
    }
    assert record.inventory["MEMORY_MB"].reserved == RESERVED_MEMORY_MIB
    assert ("HW_CPU_X86_AESNI" in record.traits) is has_traits
    assert [each.name for each in record.devices] == ["numa0", "numa1"]


def test_what_we_ask_of_a_host_is_well_formed_whatever_it_is_called() -> None:
    name = "<&'\""
    for text in (
        write_pool(name, name),
        write_volume(name, "qcow2", 2**30, backing=name),
        write_network(name, "br", 9000),
    ):
        assert ET.fromstring(text).findtext("name") == name
    assert read_pool_path(write_pool("p", "/a/b")) == "/a/b"


def test_the_format_of_a_backing_file_is_said() -> None:
    root = ET.fromstring(write_volume("v", "qcow2", 2**30, backing="/p/base.qcow2"))
    formats = [root.find("target/format"), root.find("backingStore/format")]
    assert [each.get("type") for each in formats if each is not None] == ["qcow2", "qcow2"]


def test_a_pool_that_is_no_folder_is_refused() -> None:
    with pytest.raises(BackendFailed, match="target path"):
        read_pool_path("<pool type='logical'><target/></pool>")
