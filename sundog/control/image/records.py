"""What is in the books, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Image:
    """An image. ``size`` counts the bytes of its data, ``virtual_size`` those of the disk that they describe.

    ``member_id`` is whoever asked, if the image is another's and shared with them.
    """

    id: str
    status: str
    name: str | None
    owner: str | None
    visibility: str
    protected: bool
    os_hidden: bool
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    created_at: datetime
    updated_at: datetime
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    member_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to be made. Without an ``id`` it is given one."""

    owner: str | None
    id: str | None = None
    name: str | None = None
    visibility: str = "shared"
    protected: bool = False
    os_hidden: bool = False
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """That an image is shared with a project; ``status`` is what the project says to it."""

    image_id: str
    member_id: str
    status: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """An import of data into an image."""

    id: str
    image_id: str
    type: str
    status: str
    owner: str | None
    user_id: str
    request_id: str
    input: Mapping[str, Any]
    result: Mapping[str, Any] | None
    message: str
    created_at: datetime
    updated_at: datetime
