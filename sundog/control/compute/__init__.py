"""Compute: servers and what they are made of, hosts and what is on them."""

from sundog.control.compute.compute import Compute
from sundog.control.compute.records import Caller
from sundog.control.compute.settings import Settings

__all__ = ["Caller", "Compute", "Settings"]
