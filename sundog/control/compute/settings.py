"""What an operator may choose about compute."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sundog.units import Seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """Deadlines of operations, in seconds, and how often to try.

    ``quick`` is for what should take seconds, ``long`` for what moves disks or memory. ``grace`` is how long a guest
    has to shut down by itself. ``build_attempts`` is on how many hosts a server is tried before it is given up, as
    Nova's ``max_attempts``. ``tries`` is how often an operation is asked whose outcome is unknown or that failed on
    the way back. ``sync_interval`` is between two comparisons of all hosts with the books; ``host_interval`` between
    two looks at which hosts there are. ``shelved_offload_time`` is how long a shelved server keeps its place; -1 is
    for ever. ``resize_to_same_host`` allows a resize to stay where it is, as Nova's ``allow_resize_to_same_host``.
    ``console_life`` is how long a token of a console is good, as Nova's ``token_ttl``.
    ``metadata_secret`` is what proxies of the metadata service sign with; empty for one that is made up and
    kept in the store.
    """

    quick: Seconds = 120.0
    long: Seconds = 3600.0
    grace: Seconds = 60.0
    build_attempts: int = 3
    tries: int = 4
    sync_interval: Seconds = 3600.0
    host_interval: Seconds = 60.0
    shelved_offload_time: Seconds = 0.0
    resize_to_same_host: bool = False
    console_life: Seconds = 600.0
    metadata_secret: str = field(default="", repr=False)


DEFAULT: Final = Settings()
