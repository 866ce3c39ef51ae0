"""What if: hosts and requests from two files, decisions out; no scenario and no clock.

``files.py`` reads and checks, ``cloud.py`` makes a pool and requests of it, ``decide.py`` places one after the other.
"""

from sundog.scenarios.what_if.decide import Placed, place_all
from sundog.scenarios.what_if.files import HostEntry, RequestEntry, read_hosts, read_requests

__all__ = ["HostEntry", "Placed", "RequestEntry", "place_all", "read_hosts", "read_requests"]
