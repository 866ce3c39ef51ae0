"""Absolute links: they are made from the address by which the client reached us."""

from __future__ import annotations

from collections.abc import Mapping


def public_base(headers: Mapping[str, str], scheme: str) -> str:
    """``scheme://host`` of the request, or what a proxy in front says that it was."""
    proto = _first(headers.get("x-forwarded-proto", "")) or scheme
    host = _first(headers.get("x-forwarded-host", "")) or headers.get("host", "localhost")
    prefix = _first(headers.get("x-forwarded-prefix", "")).rstrip("/")
    return f"{proto}://{host}{prefix}"


def _first(value: str) -> str:
    return value.partition(",")[0].strip()
