"""Sundog: an emulated cloud with a real mode. One scheduler and resource pool, two worlds, one API.

Start reading at ``core.pool`` (what a host has), ``core.scheduler`` (where a server goes), ``sim.engine`` (the study).
"""

__version__ = "0.1.0"
