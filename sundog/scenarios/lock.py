"""The lock of a run: the scenario with everything decided, and what it was made with, so that it can be repeated."""

from __future__ import annotations

import copy
import hashlib
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from ruamel.yaml import YAML

import sundog
from sundog.scenarios.schema import Loaded

POLICY_FILE: Final = "policy.name"
"""The key, among the files of a run, of the module that a ``module:Class`` policy comes from."""


def write_lock(path: Path, loaded: Loaded, files: Mapping[str, Path]) -> None:
    """The scenario with every option applied and absolute paths, and what it was run with.

    ``files`` are all that the run read, by the dotted key that names each.
    """
    document = with_paths(loaded.document, {key: each for key, each in files.items() if key != POLICY_FILE})
    document["seed"] = loaded.scenario.seed
    document["lock"] = {
        "sundog": sundog.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "files": {str(each): digest_of(each) for each in files.values()},
    }
    own = files.get(POLICY_FILE)
    if own is not None:
        # A module of a package is found from the folder that holds the package.
        depth = loaded.scenario.policy.name.partition(":")[0].count(".")
        document["lock"]["modules"] = [str(own.parents[depth])]
    yaml = YAML()
    yaml.width = 120
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)


def changed_files(loaded: Loaded) -> list[str]:
    """Files that are no longer what they were when the lock was written."""
    changed = []
    for name, digest in (loaded.scenario.lock.files if loaded.scenario.lock else {}).items():
        with suppress(OSError):
            if digest_of(Path(name)) == digest:
                continue
        changed.append(name)
    return changed


def with_paths(document: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    """A copy of ``document`` with these paths at their dotted keys."""
    result: dict[str, Any] = copy.deepcopy(dict(document))
    for key, path in files.items():
        here: Any = result
        *parents, last = key.split(".")
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here[part]
        here[last] = str(path)
    return result


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of the files of a folder, by name."""
    total = hashlib.sha256()
    paths = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    for each in paths:
        with each.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
