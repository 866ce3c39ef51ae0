"""Where compiled code is kept between runs.

Numba looks only at the file of a function when it asks whether what it kept is still good, not at those of the
functions that it calls. So all kernels are kept in one folder, named by a digest of their sources: whatever
changes, all of them are compiled anew, once.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numba import config as _untyped_config
from numba import njit

config: Any = _untyped_config  # Numba makes its settings when it is imported, so type checkers see none

_PACKAGE: Final = Path(__file__).parents[3]
_SOURCES: Final = (
    *(Path(__file__).parent / name for name in ("block.py", "kernels.py", "slots.py")),
    _PACKAGE / "sim" / "kernels.py",
    # What kernels take from these is compiled into them: the columns of an entry, and the outcomes.
    _PACKAGE / "core" / "pool" / "allocations.py",
    _PACKAGE / "sim" / "records.py",
)


def _folder() -> Path:
    digest = hashlib.sha256(f"{sys.version_info[:3]} {numba.__version__} {np.__version__}".encode())
    for source in _SOURCES:
        digest.update(source.read_bytes())
    home = os.environ.get("SUNDOG_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sundog")
    return Path(home, "kernels", digest.hexdigest()[:16])


FOLDER: Final = _folder()
"""``$SUNDOG_CACHE/kernels/<digest>``, by default under ``~/.cache/sundog``."""


def is_warm(function: Any) -> bool:
    """Whether a kernel was compiled before, so that its first call will not take long."""
    name = f"{Path(function.py_func.__code__.co_filename).stem}.{function.py_func.__qualname__}-*.nbi"
    return bool(function.signatures) or any(FOLDER.glob(f"*/{name}"))


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Compile ``function`` when it is first called, and keep what was compiled.

    Kernels allocate nothing and borrow all arrays, so references are not counted, which took a third of the time.
    """
    before = config.CACHE_DIR
    config.CACHE_DIR = str(FOLDER)
    try:
        uncounted: dict[str, Any] = {"_nrt": False}  # an option that Numba's stubs do not have
        return njit(function, cache=True, **uncounted, **options)
    finally:
        config.CACHE_DIR = before


def reduction(function: Callable[..., Any]) -> Any:
    """A kernel that finds the largest of many numbers, none of them NaN: their order does not matter to it."""
    return kernel(function, fastmath={"nnan", "nsz"})
