"""OpenStack's Placement API: resource providers, inventories, traits, aggregates, usages, allocations, candidates.

``routes`` has the operations, ``queries`` reads the query strings that are a language of their own, ``wording`` says
what is wrong in Placement's words, ``views`` makes what is sent.
"""

from sundog.api.placement.routes import SERVICE

__all__ = ["SERVICE"]
