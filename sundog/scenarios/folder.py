"""The folder that results go into: it appears whole or not at all, and replaces nothing but results."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sundog.errors import OutputError

if sys.platform != "win32":
    import fcntl

RUN_FILE: Final = "run.json"
"""The facts of a run, and the file by which a result folder is known."""


@contextmanager
def new_folder(out: Path, *, force: bool = False) -> Iterator[Path]:
    """A folder to fill that becomes ``out`` when the block ends well, and is removed when it does not.

    ``force`` replaces an existing result folder, at the very end; never anything else.
    Raises: OutputError if ``out`` exists, another run is writing it, it cannot be written, or the disk is full.
    """
    try:
        real = Path(os.path.realpath(out))  # a link stays a link: what it points to is written
        partial, old = real.with_name(f".{real.name}.partial"), real.with_name(f".{real.name}.old")
        replaces = check_free(out, force=force)
        real.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir(exist_ok=True)
        lock = _locked(partial, out)
    except OSError as exc:
        raise _unwritable(out, exc) from exc
    try:
        for left_behind in (*partial.iterdir(), old):  # by a run that was killed
            _remove(left_behind)
        yield partial
        if replaces:
            real.rename(old)
        partial.rename(real)
    except BaseException as exc:
        shutil.rmtree(partial, ignore_errors=True)
        if replaces and not real.exists() and old.exists():
            old.rename(real)
        cause = exc.__cause__ if isinstance(exc, OutputError) else exc
        if isinstance(cause, OSError):
            raise _unwritable(out, cause) from exc
        raise
    finally:
        os.close(lock)
    shutil.rmtree(old, ignore_errors=True)


def check_free(out: Path, *, force: bool = False) -> bool:
    """Whether there are results at ``out`` to replace.

    Raises: OutputError if something is there and ``force`` is not given, or it is not a result folder.
    """
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return False
        if not force:
            raise OutputError(f"{out} exists; choose another folder with --out, or replace it with --force")
        if not (out / RUN_FILE).is_file():
            raise OutputError(f"{out} is not a result folder (it has no {RUN_FILE}), so --force does not replace it")
    except OSError as exc:
        raise _unwritable(out, exc) from exc
    return True


def _locked(partial: Path, out: Path) -> int:
    """A handle of the folder that keeps other runs out of it until it is closed, however this one ends."""
    handle = os.open(partial, os.O_RDONLY)
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(handle), partial.stat()):
                raise BlockingIOError  # the other run was done in between
        except BlockingIOError:
            os.close(handle)
            raise OutputError(f"another run is writing to {out}; choose another folder with --out") from None
    return handle


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unwritable(out: Path, exc: OSError) -> OutputError:
    full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else exc.strerror or str(exc)
    return OutputError(f"cannot write the results to {out}: {why}; choose another place with --out")
