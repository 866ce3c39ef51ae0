"""No image gets in that would make a host read its own files, or that is not what it says it is."""

from __future__ import annotations

import struct
import sys
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.control.image.files import BLOCK
from sundog.control.image.inspection import Inspection
from sundog.errors import Unsupported
from tests.unit.control.image.hostile import GIB, HONEST, HOSTILE, descriptor, iso, mbr, qcow2, vhdx, vmdk

TIB16 = 16 << 40


def inspect(data: bytes, disk_format: str, container: str = "bare", block: int = 65536) -> int | None:
    inspection = Inspection(disk_format, container, most_virtual=TIB16)
    for at in range(0, len(data), block):
        inspection.feed(data[at : at + block])
    return inspection.verdict()


@pytest.mark.parametrize("disk_format", HONEST)
def test_honest_images_get_in(disk_format: str) -> None:
    size = inspect(HONEST[disk_format], disk_format)
    expected = {"raw": 4096, "vmdk": 2048 * 512, "iso": 40 * 2048, "ami": None, "aki": None, "ari": None, "ploop": None}
    assert size == expected.get(disk_format, GIB)


@pytest.mark.parametrize(("claimed", "data"), [each[1:] for each in HOSTILE], ids=[each[0] for each in HOSTILE])
def test_hostile_images_are_refused(claimed: str, data: bytes) -> None:
    with pytest.raises(Unsupported):
        inspect(data, claimed)


@pytest.mark.parametrize("block", [1, 7, 512, 4096])
def test_how_an_image_is_cut_into_blocks_changes_nothing(block: int) -> None:
    assert inspect(qcow2()[:0x800] + bytes(0x30010 - 0x800), "qcow2", block=max(block, 64)) == GIB
    assert inspect(vmdk(), "vmdk", block=max(block, 64)) == 2048 * 512
    with pytest.raises(Unsupported):
        inspect(qcow2(backing=b"/etc/passwd", length=2048), "raw", block=block)
    with pytest.raises(Unsupported):
        inspect(descriptor(), "raw", block=block)


def test_a_disk_with_partitions_is_raw() -> None:
    assert inspect(mbr(), "raw") == 2048


def test_a_cd_that_boots_from_a_stick_is_a_cd() -> None:
    assert inspect(iso(boot_sector=mbr()[:512]), "iso") == 40 * 2048


def test_a_disk_of_the_limit_gets_in_and_one_byte_more_does_not() -> None:
    assert inspect(qcow2(TIB16), "qcow2") == TIB16
    with pytest.raises(Unsupported, match=f"the limit is {TIB16}"):
        inspect(qcow2(TIB16 + 1), "qcow2")


def test_a_sparse_stream_with_its_footer_gets_in() -> None:
    assert inspect(vmdk(descriptor("streamOptimized")), "vmdk") == 2048 * 512


@pytest.mark.parametrize("container", ["ova", "ovf", "docker", "compressed"])
def test_a_wrapped_disk_is_not_seen_and_a_bare_one_is(container: str) -> None:
    assert inspect(b"tar" * 1000, "vmdk", container) is None
    assert inspect(qcow2(), "qcow2", container) == GIB
    for claimed in ("vmdk", "raw", "qcow2"):
        with pytest.raises(Unsupported):
            inspect(qcow2(backing=b"/etc/passwd"), claimed, container)


@given(
    st.sampled_from(["qcow2", "vmdk", "vhd", "vdi", "iso"]),
    st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    st.sampled_from(["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "raw", "ami"]),
    st.one_of(st.none(), st.integers(0, 2000)),
)
def test_a_mutated_header_is_refused_or_harmless(
    base: str, changes: list[tuple[int, bytes]], claimed: str, length: int | None
) -> None:
    data = bytearray(HONEST[base])
    for at, new in changes:
        data[at : at + len(new)] = new
    try:
        size = inspect(bytes(data[:length]), claimed)
    except Unsupported:
        return
    assert size is None or 0 <= size <= TIB16
    if claimed == "qcow2":
        assert data[8:16] == bytes(8), "a backing file"
        assert not data[79] & 4 or data[4:8] == b"\0\0\0\2", "a data file"
    if claimed in ("raw", "ami"):
        assert not data.startswith((b"QFI\xfb", b"KDMV", b"conectix"))


def crowded(signature: bytes, at: int, count: int) -> bytes:
    """A VHDX with a table of entries that are none of those which are looked for."""
    data = bytearray(vhdx())
    data[at : at + len(signature)] = signature
    first = at + 16 if signature == b"regi" else at + 32
    struct.pack_into("<I" if signature == b"regi" else "<H", data, at + (8 if signature == b"regi" else 10), count)
    data[first : first + 32 * count] = bytes(32 * count)
    return bytes(data)


LABORIOUS = {
    **{f"honest {name}": data for name, data in HONEST.items()},
    **{name: data for name, _, data in HOSTILE},
    "2,047 regions": crowded(b"regi", 0x30000, 2047),
    "2,046 items": crowded(b"metadata", 0x200000, 2046),
    "a long descriptor": descriptor() + b"#x\n" * (1 << 20),
}


def blocks_of(data: bytes, size: int) -> Iterator[bytes]:
    """As an upload is cut, with zeros after the data."""
    for at in range(0, size, BLOCK):
        block = data[at : at + BLOCK]
        yield block + bytes(BLOCK - len(block))


@pytest.mark.parametrize("name", LABORIOUS)
def test_no_image_makes_much_work_or_takes_much_memory(name: str) -> None:
    calls, most = [], 0

    def count(_frame: object, event: str, _argument: object) -> None:
        calls[-1] += event == "call"

    inspection = Inspection("raw", "bare", most_virtual=TIB16)
    tracemalloc.start()
    try:
        for block in blocks_of(LABORIOUS[name], 16 << 20):
            calls.append(0)
            sys.setprofile(count)
            inspection.feed(block)
            sys.setprofile(None)
            most = max(most, tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(calls) < 20_000  # a table of 2,047 entries is read twice at most
    assert sum(calls) < 60_000 + 1000 * len(calls)
    assert max(calls[-8:]) < 1000
    assert most < 8 << 20
