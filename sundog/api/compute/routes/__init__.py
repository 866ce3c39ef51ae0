"""The operations, a module for each kind of thing. A module here is registered by being here."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Declare the operations of every module in this package."""
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
