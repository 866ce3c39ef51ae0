"""The folder of images: a file is whole or not there."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sundog.control.image.files import BLOCK, ImageFiles
from sundog.errors import OutputError, TooLarge, Unavailable


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


def names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]


def test_what_is_received_counts_once_it_is_kept(tmp_path: Path) -> None:
    files = ImageFiles(tmp_path / "new" / "images")

    async def main() -> None:
        received = await files.receive("i", pieces(b"ab", b"", b"c" * BLOCK), inspector=None, most=BLOCK + 2)
        data = b"ab" + b"c" * BLOCK
        assert received.size == len(data)
        assert (received.md5, received.sha512) == (hashlib.md5(data).hexdigest(), hashlib.sha512(data).hexdigest())
        with pytest.raises(Unavailable):
            files.open("i")
        files.keep("i")
        with files.open("i") as file:
            assert file.read() == data

    asyncio.run(main())
    files.remove("i")
    files.remove("i")
    assert names(tmp_path) == []


def test_others_have_their_turn_while_data_arrive(tmp_path: Path) -> None:
    files = ImageFiles(tmp_path)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        other = asyncio.ensure_future(count())
        await files.receive("i", pieces(bytes(20 * BLOCK)), inspector=None, most=1 << 30)
        other.cancel()

    asyncio.run(main())
    assert turns >= 20


class Never:
    """An inspector that will not have it."""

    def feed(self, block: bytes) -> None:
        raise TooLarge("never")


def test_an_error_of_the_inspector_leaves_nothing(tmp_path: Path) -> None:
    files = ImageFiles(tmp_path)
    with pytest.raises(TooLarge, match="never"):
        asyncio.run(files.receive("i", pieces(b"x"), inspector=Never(), most=10))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    files = ImageFiles(tmp_path)
    (tmp_path / "incoming").chmod(0o500)
    with pytest.raises(Unavailable, match="cannot be used"):
        asyncio.run(files.receive("i", pieces(b"x"), inspector=None, most=10))


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        ImageFiles(tmp_path / "file" / "images")


def test_only_its_owner_may_look_into_the_folder(tmp_path: Path) -> None:
    ImageFiles(tmp_path / "images")
    assert [oct(path.stat().st_mode & 0o777) for path in sorted((tmp_path / "images").iterdir())] == ["0o700"] * 3
