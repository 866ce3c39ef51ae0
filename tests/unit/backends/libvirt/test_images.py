"""Images are looked at here, before any host opens them; what leads to other files is refused."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import struct
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sundog.backends.contract import ImageReference
from sundog.backends.libvirt.images import Images, qcow2_size, to_evict
from sundog.backends.libvirt.storage import Room
from sundog.errors import BackendFailed

GIB = 2**30


def header(
    *, magic: bytes = b"QFI\xfb", version: int = 3, backing: int = 0, size: int = GIB, crypt: int = 0, features: int = 0
) -> bytes:
    fields = magic + struct.pack(">IQIIQI", version, backing, 0, 16, size, crypt)
    return fields.ljust(72, b"\0") + struct.pack(">Q", features) + bytes(24)


def test_an_ordinary_image_says_its_size() -> None:
    assert qcow2_size(header(), "i") == GIB
    assert qcow2_size(header(version=2, features=4), "i") == GIB  # version 2 has other things there


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (header(magic=b"\0\0\0\0"), "no qcow2"),
        (header()[:40], "no qcow2"),
        (header(version=9), "version 9"),
        (header(backing=512), "backing file"),
        (header(features=1 << 2), "another file"),
        (header(crypt=2), "encrypted"),
        (header(size=0), "cannot be"),
        (header(size=2**60), "cannot be"),
    ],
)
def test_an_image_that_could_harm_a_host_is_refused_with_the_reason(bad: bytes, reason: str) -> None:
    with pytest.raises(BackendFailed, match=reason):
        qcow2_size(bad, "i")


@given(st.binary(max_size=200))
def test_no_header_at_all_breaks_the_inspection(data: bytes) -> None:
    with contextlib.suppress(BackendFailed):
        assert qcow2_size(b"QFI\xfb" + data, "i") > 0


class Given:
    """An image of these bytes, which is fetched once."""

    def __init__(self, data: bytes) -> None:
        self.data, self.fetched = data, 0

    async def read(self, _image: ImageReference) -> AsyncIterator[bytes]:
        self.fetched += 1
        yield self.data[:100]
        yield self.data[100:]


needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed: qemu-utils")


def flattened(tmp_path: Path, data: bytes, disk_format: str) -> tuple[Path, int]:
    async def main() -> tuple[Path, int]:
        images = Images(Given(data), tmp_path / "images")
        try:
            return await images.local(ImageReference("an-image", len(data), disk_format))
        finally:
            images.close()

    return asyncio.run(main())


@needs_qemu_img
def test_a_raw_image_that_looks_like_qcow2_stays_raw(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_bytes(b"secret" * 1000)
    hostile = tmp_path / "hostile.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", canary, hostile, "1M"], check=True)
    path, size = flattened(tmp_path, hostile.read_bytes(), "raw")
    assert size == -(-hostile.stat().st_size // 512) * 512  # itself, and nothing by its name
    assert b"secret" not in path.read_bytes()
    assert qcow2_size(path.read_bytes(), "made") == size


@needs_qemu_img
def test_an_image_with_a_backing_file_is_never_opened_by_qemu(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_bytes(b"secret" * 1000)
    hostile = tmp_path / "hostile.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", canary, hostile, "1M"], check=True)
    with pytest.raises(BackendFailed, match="backing file"):
        flattened(tmp_path, hostile.read_bytes(), "qcow2")
    assert list((tmp_path / "images").iterdir()) == []


@needs_qemu_img
def test_what_qemu_img_cannot_read_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BackendFailed, match="could not be flattened"):
        flattened(tmp_path, header(), "qcow2")
    assert list((tmp_path / "images").iterdir()) == []


def test_a_store_that_fails_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    class Broken:
        async def read(self, _image: ImageReference) -> AsyncIterator[bytes]:
            yield b"some"
            raise OSError("the store is gone")

    async def main() -> None:
        images = Images(Broken(), tmp_path)
        with pytest.raises(BackendFailed, match="the store is gone"):
            await images.local(ImageReference("an-image", 4, "qcow2"))
        images.close()

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


@needs_qemu_img
def test_an_image_is_fetched_once_for_all_who_want_it(tmp_path: Path) -> None:
    source = Given(bytes(2**20))

    async def main() -> None:
        images = Images(source, tmp_path)
        await asyncio.gather(*(images.local(ImageReference("an-image", 2**20, "raw")) for _ in range(5)))
        images.close()

    asyncio.run(main())
    assert source.fetched == 1


@pytest.mark.parametrize(("image", "disk_format"), [("../../etc/passwd", "raw"), ("x", "vmdk"), ("", "raw")])
def test_an_image_that_no_host_can_have_is_refused_before_it_is_fetched(
    tmp_path: Path, image: str, disk_format: str
) -> None:
    source = Given(b"")

    async def main() -> None:
        images = Images(source, tmp_path)
        with pytest.raises(BackendFailed):
            await images.local(ImageReference(image, 1, disk_format))
        images.close()

    asyncio.run(main())
    assert source.fetched == 0


@dataclass
class SmallDisk:
    """A host's storage of ``size`` bytes, into which an upload goes byte by byte."""

    size: int
    files: dict[str, int] = field(default_factory=dict)

    async def room(self) -> Room:
        await asyncio.sleep(0)
        free, files = self.size - sum(self.files.values()), dict(self.files)
        await asyncio.sleep(0)  # the answer takes its time
        return Room(free, files, files)

    async def capacity(self, name: str) -> int | None:
        return self.files.get(name)

    async def create(self, name: str, _format: str, _capacity: int) -> None:
        self.files[name] = 0

    async def upload(self, name: str, _file: object, size: int) -> None:
        for _ in range(size):
            await asyncio.sleep(0)
            assert sum(self.files.values()) < self.size, "No space left on device"
            self.files[name] += 1

    async def delete(self, *names: str) -> None:
        for name in names:
            await asyncio.sleep(0)
            self.files.pop(name, None)


@dataclass
class SmallHost:
    """As much of a link as images ask for."""

    storage: SmallDisk
    name: str = "host-1"
    uuid: str = "1"


class Flat(Images):
    """Images of nine bytes that are flat already."""

    async def local(self, image: ImageReference, *, limit: float = 600.0) -> tuple[Path, int]:
        path = self.scratch(image.id)
        path.write_bytes(bytes(9))
        return path, 9


@given(st.integers(0, 4), st.integers(1, 4), st.integers(0, 20), st.lists(st.integers(0, 30), min_size=4, max_size=4))
def test_images_that_come_at_the_same_time_do_not_take_each_others_room(
    old: int, new: int, spare: int, pauses: list[int]
) -> None:
    disk = SmallDisk(9 * max(old, new) + spare, {f"base-old{n}.qcow2": 9 for n in range(old)})

    async def main(folder: Path) -> None:
        images = Flat(Given(b""), folder)

        async def bring(number: int) -> None:
            for _ in range(pauses[number]):
                await asyncio.sleep(0)
            await images.on_host(SmallHost(disk), ImageReference(f"new{number}", 9, "raw"))  # type: ignore[arg-type]

        await asyncio.gather(*(asyncio.create_task(bring(number)) for number in range(new)))
        images.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
    assert {f"base-new{number}.qcow2": 9 for number in range(new)}.items() <= disk.files.items()


@given(
    st.integers(0, 100), st.integers(0, 100),
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(st.integers(0, 50), st.integers(0, 5))),
)  # fmt: skip
def test_no_more_bases_go_than_must_and_those_that_were_wanted_longest_ago_go_first(
    need: int, free: int, bases: dict[str, tuple[int, int]]
) -> None:
    sizes, wanted = ({name: each[at] for name, each in bases.items()} for at in (0, 1))
    chosen = to_evict(need, free, sizes, wanted)
    if chosen is None:
        assert free + sum(sizes.values()) < need
        return
    assert free + sum(sizes[name] for name in chosen) >= need
    assert not chosen or free + sum(sizes[name] for name in chosen[:-1]) < need
    stay = [wanted[name] for name in sizes if name not in chosen]
    assert not stay or max((wanted[name] for name in chosen), default=0) <= min(stay)
