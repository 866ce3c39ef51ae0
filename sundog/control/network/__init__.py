"""Networks: who is connected to what, under which addresses, as in Neutron v2.0.

``network`` is where to start: :class:`Network` has a part for each kind of thing. Nothing is awaited here: every use
case is one short transaction, so that quota, names, addresses and ports are written together or not at all. What
other services do together with their own writes is a function that takes a transaction.
"""

from sundog.control.network.bootstrap import bootstrap
from sundog.control.network.network import Network
from sundog.control.viewer import Viewer

__all__ = ["Network", "Viewer", "bootstrap"]
