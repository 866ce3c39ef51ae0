"""A state folder as one file, made while the cloud runs, and a state folder made of such a file.

The file is a plain tar: ``sundog-backup.json`` says what it is, ``SHA256SUMS`` at its end what must be in it. It holds
the database (keys of tokens and hashes of passwords with it), the data of images, the hosts, who changed what, and the
administrator's password: it is as secret as the folder. What can be made again is left out, such as flattened images.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import sundog
from sundog.errors import InputError, OutputError
from sundog.runtime import clock
from sundog.units import Seconds

FORMAT: Final = 1
"""The form of the file; another one is refused."""

_MANIFEST: Final = "sundog-backup.json"
_SUMS: Final = "SHA256SUMS"
_STORE: Final = "sundog.db"
_FILES: Final = ("clouds.yaml", "hosts.yaml", "network.yaml", "audit.jsonl")
_MEMBER: Final = re.compile(
    r"(sundog\.db|hosts\.db|clouds\.yaml|hosts\.yaml|network\.yaml|audit\.jsonl|images/images/[\w.-]{1,128})"
)
_PIECE: Final = 2**20
_LOCK_TIMEOUT: Final[Seconds] = 60.0


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in a backup: when it was made (ISO 8601, UTC), by which version, how many files of how many bytes."""

    made: str
    version: str
    files: int
    size: int


def backup(folder: Path, file: Path) -> Saved:
    """Write the state of a folder into ``file``, which must not be there yet. The cloud may run meanwhile.

    The state is that of one instant. Writers wait while the database is copied, and not while the rest is.
    Raises: InputError if there is no cloud; OutputError if ``file`` is there, or something cannot be written.
    """
    if not (folder / _STORE).is_file():
        raise InputError("there is no cloud in this folder; say with --state where it is", path=folder)
    if file.exists():
        raise OutputError(f"{file} exists; choose another name", path=file)
    part = file.with_name(f".{file.name}.part")
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as name:
            _collect(folder, Path(name))
            part.unlink(missing_ok=True)
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                saved = _pack(Path(name), out)
                out.flush()
                os.fsync(out.fileno())
        os.link(part, file)  # unlike a rename it refuses to replace what has come meanwhile
    except FileExistsError as exc:
        raise OutputError(f"{file} exists; choose another name", path=file) from exc
    except (OSError, sqlite3.Error) as exc:
        raise OutputError(f"the backup cannot be written: {exc}", path=file) from exc
    finally:
        part.unlink(missing_ok=True)
    return saved


def _collect(folder: Path, into: Path) -> None:
    """Everything as of one instant; data of images, which never change, as links."""
    with _held(folder / _STORE):
        for name in (_STORE, "hosts.db"):
            if (folder / name).is_file():
                _copy(folder / name, into / name)
        # An image's file is there before the database says so, and goes after: none is missing from what is copied.
        there, here = folder / "images" / "images", into / "images" / "images"
        here.mkdir(parents=True)
        for path in sorted(there.iterdir()) if there.is_dir() else ():
            os.link(path, here / path.name)
        for name in _FILES:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, into / name)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Let nobody write to a database, whoever has it open."""
    with closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def _copy(path: Path, into: Path) -> None:
    """Copy a database by a connection of its own: the one that holds it cannot."""
    with closing(sqlite3.connect(path, timeout=_LOCK_TIMEOUT)) as source, closing(sqlite3.connect(into)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it


class _Summed:
    """A file that is read once, and its hash."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sum = file, hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.sum.update(data)
        return data


def _pack(folder: Path, out: BinaryIO) -> Saved:
    made = clock.wall_utcnow().isoformat(timespec="seconds")
    manifest = {"format": FORMAT, "made": made, "sundog": sundog.__version__}
    sums, size = "", 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, _MANIFEST, json.dumps(manifest).encode())
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in paths:
            name = path.relative_to(folder).as_posix()
            with path.open("rb") as file:
                info, summed = _info(name, path.stat().st_size), _Summed(file)
                tar.addfile(info, summed)
            size += info.size
            sums += f"{summed.sum.hexdigest()}  {name}\n"
        _add(tar, _SUMS, sums.encode())
    return Saved(made, sundog.__version__, len(paths), size)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_info(name, len(data)), io.BytesIO(data))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(clock.wall_seconds())
    return info


# ---------------------------------------------------------------- and back


def restore(file: Path, folder: Path) -> Saved:
    """Make the state of ``folder``, which must be empty but for its lock, of a backup. All of it, or nothing.

    Raises: InputError for what is no backup, or not whole; OutputError if something is there already, or cannot be
    written.
    """
    there = sorted(path.name for path in folder.iterdir() if path.name != "lock")
    if there:
        raise OutputError(f"{folder} has a state already ({', '.join(there[:3])}); choose another --state", path=folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=folder) as name:
            saved = _unpack(file, Path(name))
            _check_store(Path(name) / _STORE, file)
            # The database comes last: without it there is no cloud.
            for path in sorted(Path(name).iterdir(), key=lambda each: (each.name == _STORE, each.name)):
                path.rename(folder / path.name)
    except (OSError, tarfile.TarError) as exc:
        if isinstance(exc, tarfile.TarError) or getattr(exc, "filename", None) == str(file):
            raise InputError(f"{file} cannot be read as a backup: {exc}", path=file) from exc
        raise OutputError(f"the backup cannot be put there: {exc}", path=folder) from exc
    return saved


def _unpack(file: Path, into: Path) -> Saved:
    """What is in a backup. Nothing is written but what one holds, and nowhere else."""
    found: dict[str, str] = {}
    manifest: dict[str, Any] = {}
    told, size = None, 0
    with file.open("rb") as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
        for member in tar:
            data = tar.extractfile(member) if member.isreg() else None
            if data is None:
                raise _no_backup(file, member.name)
            if member.name == _MANIFEST:
                manifest = _manifest(data.read(_PIECE), file)
            elif member.name == _SUMS:
                told = data.read().decode(errors="replace")
            elif not manifest or not _MEMBER.fullmatch(member.name) or member.name in found:
                raise _no_backup(file, member.name)
            else:
                found[member.name] = _write(data, into / member.name)
                size += member.size
    if told is None or told != "".join(f"{found[name]}  {name}\n" for name in sorted(found, key=_as_paths)):
        raise InputError(f"{file} is damaged, or was cut off; use another backup", path=file)
    return Saved(str(manifest["made"]), str(manifest["sundog"]), len(found), size)


def _as_paths(name: str) -> tuple[str, ...]:
    return tuple(name.split("/"))


def _no_backup(file: Path, name: str) -> InputError:
    return InputError(f"{file} is no backup of a cloud: {name!r} has no place in one", path=file)


def _manifest(data: bytes, file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        form = manifest["format"]
        if form == FORMAT:
            return {"made": manifest["made"], "sundog": manifest["sundog"]}
    except (ValueError, TypeError, KeyError) as exc:
        raise InputError(f"{file} is no backup of a cloud: its {_MANIFEST} cannot be read", path=file) from exc
    raise InputError(f"{file} has the form {form!r}, and this version reads {FORMAT}; upgrade it", path=file)


def _write(data: Any, path: Path) -> str:
    """Write a member; its hash."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    summed = _Summed(data)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := summed.read(_PIECE):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return summed.sum.hexdigest()


def _check_store(path: Path, file: Path) -> None:
    if not path.is_file():
        raise InputError(f"{file} is no backup of a cloud: it has no database", path=file)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            told = connection.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.Error as exc:
            told = str(exc)
    if told != "ok":
        raise InputError(f"the database in {file} is damaged ({told}); use another backup", path=file)
