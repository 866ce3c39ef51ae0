"""Identity: who may do what. Users, projects, domains, groups, roles, tokens and the catalogue, as in Keystone v3.

``identity`` is where to start: :class:`Identity` has a part for each kind of thing. Nothing is awaited here: every use
case is one short transaction, so that its checks and its writes cannot be parted.
"""

from sundog.control.identity.bootstrap import Bootstrapped, CatalogueItem, bootstrap
from sundog.control.identity.identity import Identity
from sundog.control.identity.settings import Settings

__all__ = ["Bootstrapped", "CatalogueItem", "Identity", "Settings", "bootstrap"]
