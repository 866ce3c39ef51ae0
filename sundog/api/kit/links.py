"""Addresses: links are made from the one by which the client reached us; and which are this machine's own."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def public_base(headers: Mapping[str, str], scheme: str) -> str:
    """``scheme://host`` of the request, or what a proxy in front says that it was."""
    proto = _first(headers.get("x-forwarded-proto", "")) or scheme
    host = _first(headers.get("x-forwarded-host", "")) or headers.get("host", "localhost")
    prefix = _first(headers.get("x-forwarded-prefix", "")).rstrip("/")
    return f"{proto}://{host}{prefix}"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is an address of the loopback interface. A name is none: what it means may change."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _first(value: str) -> str:
    return value.partition(",")[0].strip()
