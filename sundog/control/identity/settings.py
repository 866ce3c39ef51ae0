"""What an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass

from sundog.units import Seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """How long tokens live and what a password's hash costs.

    The costs are argon2id's, by default those that OWASP's password storage cheat sheet asks for: about 20 ms of a
    processor, beside which others are served. ``argon2_at_once`` are the most at once, so that a flood of logins takes
    neither all processors nor all memory. ``kept_keys`` counts all token keys: the staged one, the primary, old ones.
    What ``remembered_tokens`` tokens mean is kept in memory, at some 3 kB each.
    """

    token_life: Seconds = 3600.0
    argon2_memory_kib: int = 19_456
    argon2_passes: int = 2
    argon2_lanes: int = 1
    argon2_at_once: int = 2
    kept_keys: int = 3
    remembered_tokens: int = 10_000
    default_domain_id: str = "default"
