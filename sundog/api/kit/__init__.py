"""What all services have in common: versions, tokens, policy, bodies, faults, paging, links, OpenAPI.

``service`` is where to start: a service is a table of operations, and its endpoint does everything else in one order.
"""
