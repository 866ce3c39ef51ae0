"""What commands on the state folder of a cloud have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from sundog.errors import InputError

DEFAULT_STATE: Final = "~/.local/state/sundog"
"""Where a cloud is if nobody says where."""

StateOption = Annotated[str, typer.Option("--state", metavar="DIR", help="The folder that holds all the cloud knows.")]


@contextmanager
def api_packages() -> Iterator[None]:
    """Around imports of what a plain installation does not have. Raises: InputError that names what is missing."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise InputError(f"this needs more packages ({exc.name} is missing): pip install 'sundog[api]'") from exc


def folder_of(state: str) -> Path:
    """The folder, with the user's home in the place of ``~``."""
    return Path(state).expanduser()


def option_of(state: str) -> str:
    """What a command that is proposed has to say of the folder: nothing if it is the usual one."""
    return "" if state == DEFAULT_STATE else f" --state {state}"
