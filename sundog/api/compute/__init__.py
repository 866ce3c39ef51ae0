"""OpenStack's Compute API: servers, what they are made of, and the hosts that they are on, as in Nova 2.1 to 2.104.

``service`` has the service, ``history`` its microversions, ``policy`` its rules. Schemas, views and routes have a
module for each kind of thing.
"""

from sundog.api.compute import routes
from sundog.api.compute.service import SERVICE

routes.load()

__all__ = ["SERVICE"]
