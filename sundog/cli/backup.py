"""``sundog backup`` and ``sundog restore``: the state of a cloud as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sundog.errors import InputError

StateOption = Annotated[str, typer.Option("--state", metavar="DIR", help="The folder that holds all the cloud knows.")]
_STATE = "~/.local/state/sundog"


def backup(
    file: Annotated[Path, typer.Argument(help="The file to be written; it must not be there yet.")],
    state: StateOption = _STATE,
) -> None:
    """Write all that a cloud knows into a file, also while it is being served. The file is as secret as the folder."""
    try:
        from sundog.app.backup import backup as save
    except ModuleNotFoundError as exc:
        raise InputError(f"this needs more packages ({exc.name} is missing): pip install 'sundog[api]'") from exc
    saved = save(Path(state).expanduser(), file)
    print(f"{file}: {saved.files} files, {saved.size / 1e6:,.1f} MB")


def restore(
    file: Annotated[Path, typer.Argument(help="What sundog backup has written.")],
    state: StateOption = _STATE,
) -> None:
    """Make a state folder, which must be empty or not there, of a backup."""
    try:
        from sundog import app
    except ModuleNotFoundError as exc:
        raise InputError(f"this needs more packages ({exc.name} is missing): pip install 'sundog[api]'") from exc
    restored = app.restore_cloud(file, state)
    print(f"The cloud is as it was at {restored.saved.made}.")
    if restored.to_be_audited:
        where = "" if state == _STATE else f" --state {state}"
        print("Its hosts may have gone on since then. Before it is served again, look at what they hold:")
        print(f"  sundog audit{where}          # what is not as the backup has it")
        print(f"  sundog audit --heal{where}   # lets the backup be right: what it does not know is removed from hosts")
