"""The OpenStack APIs: a folder a service, all alike, over one kit. Start at ``kit.service``.

Routes call the control plane and nothing else; what all services have in common is in ``kit``, written once.
"""
