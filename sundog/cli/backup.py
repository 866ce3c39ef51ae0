"""``sundog backup`` and ``sundog restore``: the state of a cloud as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sundog.cli.state import DEFAULT_STATE, StateOption, api_packages, folder_of, option_of


def backup(
    file: Annotated[Path, typer.Argument(help="The file to be written; it must not be there yet.")],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Write all that a cloud knows into a file, also while it is being served. The file is as secret as the folder."""
    with api_packages():
        from sundog.app.backup import backup as save
    saved = save(folder_of(state), file)
    print(f"{file}: {saved.files} files, {saved.size / 1e6:,.1f} MB")


def restore(
    file: Annotated[Path, typer.Argument(help="What sundog backup has written.")],
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Make a state folder, which must be empty or not there, of a backup."""
    with api_packages():
        from sundog import app
    restored = app.restore_cloud(file, state)
    print(f"The cloud is as it was at {restored.saved.made}.")
    if restored.to_be_audited:
        where = option_of(state)
        print("Its hosts may have gone on since then. Before it is served again, look at what they hold:")
        print(f"  sundog audit{where}          # what is not as the backup has it")
        print(f"  sundog audit --heal{where}   # lets the backup be right: what it does not know is removed from hosts")
