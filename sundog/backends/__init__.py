"""Drivers: how the control plane reaches hosts, simulated or real, through one contract.

Start with ``contract.py``: what a compute driver promises. ``conformance.py`` checks a driver against it.
``simulated/`` is the driver over the physical world of ``sundog.sim``. May import sim, runtime and core.
"""
