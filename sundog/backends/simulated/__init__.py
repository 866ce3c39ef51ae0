"""The driver over the physical world of ``sundog.sim``: operations take time, and go wrong when they are told to.

``driver.py`` is the contract, ``exchange.py`` how requests and replies travel, ``machine.py`` one host and what is on
it, ``timings.py`` how long things take, ``faults.py`` what can be ordered to go wrong, ``ledger.py`` what outlives the
process, ``console.py`` what guests say, ``fleet.py`` the hosts of a cloud that is served.
"""

from sundog.backends.playground import FaultKind, HostFault, OperationFault, Scope
from sundog.backends.simulated.driver import SimulatedDriver
from sundog.backends.simulated.faults import Faults, OrderedTrouble
from sundog.backends.simulated.fleet import AddedHosts, FleetPlan, SimulatedFleet, identical_hosts
from sundog.backends.simulated.ledger import FileLedger, Ledger
from sundog.backends.simulated.machine import HostSpec, hosts_of_fleet
from sundog.backends.simulated.timings import Timings, load_timings, read_timings

__all__ = [
    "AddedHosts",
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
    "SimulatedFleet",
    "Timings",
    "hosts_of_fleet",
    "identical_hosts",
    "load_timings",
    "read_timings",
]
