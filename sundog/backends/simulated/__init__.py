"""The driver over the physical world of ``sundog.sim``: operations take time, and go wrong when they are told to.

``driver.py`` is the contract, ``exchange.py`` how requests and replies travel, ``machine.py`` one host and what is on
it, ``timings.py`` how long things take, ``faults.py`` what can be ordered to go wrong, ``ledger.py`` what outlives the
process, ``console.py`` what guests say, ``fleet.py`` the hosts of a cloud that is served.
"""

from sundog.backends.simulated.driver import SimulatedDriver
from sundog.backends.simulated.faults import FaultKind, Faults, HostFault, OperationFault, OrderedTrouble, Scope
from sundog.backends.simulated.fleet import FleetPlan, identical_hosts, simulated_hosts
from sundog.backends.simulated.ledger import FileLedger, Ledger
from sundog.backends.simulated.machine import HostSpec, hosts_of_fleet
from sundog.backends.simulated.timings import Timings, load_timings

__all__ = [
    "FaultKind",
    "Faults",
    "FileLedger",
    "FleetPlan",
    "HostFault",
    "HostSpec",
    "Ledger",
    "OperationFault",
    "OrderedTrouble",
    "Scope",
    "SimulatedDriver",
    "Timings",
    "hosts_of_fleet",
    "identical_hosts",
    "load_timings",
    "simulated_hosts",
]
