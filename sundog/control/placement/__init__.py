"""Placement: who may take how much of what, over the pool, with what clients see of it kept in the store.

Start reading at ``service``. ``books`` is the state in memory, ``rules`` says whether allocations fit, ``candidates``
finds where a request could go. Everything that takes from the pool while a cloud is served does so through here.
"""

from sundog.control.placement.records import Consumer, NewProvider, Provider, Wanted
from sundog.control.placement.service import Placement

__all__ = ["Consumer", "NewProvider", "Placement", "Provider", "Wanted"]
