"""What an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass

_TIB: int = 1 << 40


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits. All but ``most_virtual_bytes``, the size of the disk that an image describes, are Glance's defaults."""

    most_bytes: int = _TIB
    most_virtual_bytes: int = 16 * _TIB
    most_properties: int = 128
    most_tags: int = 128
    most_members: int = 128
