"""``sundog backup`` and ``sundog restore``: a state as one file, whole or not at all, and never over another one."""

from __future__ import annotations

import io
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sundog import app
from sundog.app.hosts import KnownHost, changing_hosts
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.store.tables.meta import meta
from sundog.errors import InputError
from tests.unit.cli.conftest import Command
from tests.unit.cli.test_audit import at_work, some_servers

CHEAP = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)


@pytest.fixture
def saved(sundog: Command, tmp_path: Path) -> Path:
    """A backup of a cloud with an image and two servers."""
    at_work(tmp_path / "state", some_servers)
    (tmp_path / "state/clouds.yaml").write_text("clouds: {}\n")
    told = sundog("backup", tmp_path / "file", "--state", tmp_path / "state")
    assert told.code == 0, told.err
    return tmp_path / "file"


def files(folder: Path) -> dict[str, bytes]:
    """What is in a state folder, but for its database, whose bytes may be ordered otherwise, and empty folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".db" and "lock" not in path.name
    }


def tampered(file: Path, change: Callable[[str, bytes], tuple[str, bytes] | None], *more: tuple[str, bytes]) -> Path:
    """The same backup with other members."""
    members = []
    with tarfile.open(file) as tar:
        for member in tar:
            data = tar.extractfile(member)
            assert data is not None
            members.append(change(member.name, data.read()))
    with tarfile.open(file.with_name("tampered"), "w") as tar:
        for name, data in [each for each in members if each is not None] + list(more):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.with_name("tampered")


def test_what_is_restored_is_what_was_saved(sundog: Command, tmp_path: Path, saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    told = sundog("restore", saved, "--state", tmp_path / "new")
    assert told.code == 0, told.err
    assert files(tmp_path / "new") == files(tmp_path / "state")
    assert len(files(tmp_path / "new")) > 1  # an image too
    assert sundog("audit", "--state", tmp_path / "new").out == "0 found\n"
    assert not list(tmp_path.rglob(".*"))


def test_a_backup_of_a_cloud_at_work_is_of_one_instant(tmp_path: Path, sundog: Command) -> None:
    at_work(tmp_path / "state", some_servers)
    with app._opened(app.Settings(state=str(tmp_path / "state"))) as state:
        with state.store.begin() as tx:
            tx.insert(meta, key="before", value="it was answered")
        assert sundog("backup", tmp_path / "file", "--state", tmp_path / "state").code == 0
        with state.store.begin() as tx:
            tx.insert(meta, key="after", value="it came later")
    sundog("restore", tmp_path / "file", "--state", tmp_path / "new")
    with sqlite3.connect(tmp_path / "new/sundog.db") as restored:
        keys = {row[0] for row in restored.execute("SELECT key FROM meta")}
    restored.close()
    assert "before" in keys
    assert "after" not in keys


def test_nothing_is_replaced(sundog: Command, tmp_path: Path, saved: Path) -> None:
    before = saved.read_bytes()
    told = sundog("backup", saved, "--state", tmp_path / "state")
    assert (told.code, saved.read_bytes()) == (4, before), told.err
    told = sundog("restore", saved, "--state", tmp_path / "state")
    assert told.code == 4
    assert "has a state already" in told.err
    with app._opened(app.Settings(state=str(tmp_path / "busy"))):
        assert "in use" in sundog("restore", saved, "--state", tmp_path / "busy").err


def test_what_is_no_backup_is_refused_and_leaves_nothing(sundog: Command, tmp_path: Path, saved: Path) -> None:
    def same(name: str, data: bytes) -> tuple[str, bytes]:
        return name, data

    def flipped(name: str, data: bytes) -> tuple[str, bytes]:
        return (name, data[:-1] + bytes([data[-1] ^ 1])) if name.startswith("images/") else (name, data)

    def without(member: str) -> Path:
        return tampered(saved, lambda name, data: None if name == member else (name, data))

    def garbage(name: str, data: bytes) -> tuple[str, bytes]:
        return (name, b"\0" * len(data)) if name == "sundog.db" else (name, data)

    cut = tmp_path / "cut"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    text = tmp_path / "text"
    text.write_text("no tar at all")
    for file, why in (
        (cut, "cannot be read as a backup"),
        (text, "cannot be read as a backup"),
        (tmp_path / "nowhere", "there is no backup"),
        (lambda: tampered(saved, flipped), "damaged"),
        (lambda: tampered(saved, garbage), "damaged"),
        (lambda: without("SHA256SUMS"), "cut off"),
        (lambda: without("sundog-backup.json"), "place"),
        (lambda: tampered(saved, same, ("../outside", b"x")), "has no place"),
        (lambda: tampered(saved, same, ("images/images/../../../outside", b"x")), "has no place"),
        (lambda: tampered(saved, same, ("sundog.db", b"x")), "has no place"),
    ):
        told = sundog("restore", file() if callable(file) else file, "--state", tmp_path / "new")
        assert told.code == 2, told
        assert why in told.err
        assert {path.name for path in (tmp_path / "new").glob("*")} <= {"lock"}
        assert not (tmp_path / "outside").exists()


def test_a_restored_cloud_of_real_hosts_is_not_served_before_it_was_audited(sundog: Command, tmp_path: Path) -> None:
    settings = app.Settings(state=str(tmp_path / "state"), backend="libvirt", identity=CHEAP)
    with app._opened(settings) as state:
        assert state.beginning.fleet is None
    host = KnownHost(name="a", uri="qemu+tcp://192.0.2.1/system", uuid="0" * 32)
    with changing_hosts(tmp_path / "state") as hosts:
        hosts.append(host)
    sundog("backup", tmp_path / "file", "--state", tmp_path / "state")
    told = sundog("restore", tmp_path / "file", "--state", tmp_path / "new")
    assert "sundog audit --heal" in told.out
    assert files(tmp_path / "new") == files(tmp_path / "state")
    new = app.Settings(state=str(tmp_path / "new"), backend="libvirt")
    with pytest.raises(InputError, match="restored from a backup"):
        app.serve_cloud(new, print)
