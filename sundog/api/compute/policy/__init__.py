"""Who may do what: Nova's own rules with its defaults, a module for each of its files.

A module here has ``CHECKS``, by Nova's names, and is registered by being here. A target is the project and the user
that a thing belongs to (``project_id``, ``user_id``).
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from sundog.api.kit.policy import Rule


def _in_words(name: str) -> str:
    """``"os_compute_api:os-flavor-manage:create"`` is ``"Flavor manage: create"``: Nova's names say all there is."""
    subject, _, action = name.split(":", 1)[1].removeprefix("os-").partition(":")
    words = f"{subject}: {action}" if action else subject
    return words.replace("-", " ").replace("_", " ").replace(":", ", ", words.count(":") - 1).capitalize()


def _rules() -> dict[str, Rule]:
    checks: dict[str, str] = {}
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        checks |= getattr(importlib.import_module(f"{__name__}.{module}"), "CHECKS", {})
    return {name: Rule(name, check, _in_words(name)) for name, check in checks.items()}


RULES: Final = _rules()
"""All rules, by name."""
