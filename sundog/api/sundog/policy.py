"""Who may do what: everybody may look at the clock, and ask what hosts can do.

Hosts themselves are administrators' only, as everywhere in OpenStack. Administrators of a domain have no part
in what all domains share.
"""

from sundog.api.kit.policy import ADMIN, ANYBODY, OF_PROJECTS_AND_SYSTEM, PROJECT_READER_OR_ADMIN, Rule

CLOCK_SHOW = Rule("sundog:clock:show", ANYBODY, "Show the clock")
CLOCK_SET = Rule("sundog:clock:set", ADMIN, "Change the clock's rate, pause it, step it", OF_PROJECTS_AND_SYSTEM)

FLEET_LIST = Rule("sundog:fleet:list", ADMIN, "List and show hosts and their types", OF_PROJECTS_AND_SYSTEM)
CAPABILITIES_SHOW = Rule("sundog:capabilities:show", ANYBODY, "Show what hosts can do")
FLEET_ADD = Rule("sundog:fleet:add", ADMIN, "Add simulated hosts", OF_PROJECTS_AND_SYSTEM)
FLEET_DRAIN = Rule(
    "sundog:fleet:drain", ADMIN, "Give hosts no new servers, and give them some again", OF_PROJECTS_AND_SYSTEM
)
FAULTS_LIST = Rule("sundog:faults:list", ADMIN, "List and show what is ordered to go wrong", OF_PROJECTS_AND_SYSTEM)
FAULTS_ORDER = Rule(
    "sundog:faults:order", ADMIN, "Let things go wrong on hosts, and take that back", OF_PROJECTS_AND_SYSTEM
)
WIRES_SHOW = Rule("sundog:wires:show", ADMIN, "Show what of the network is not as it is to be", OF_PROJECTS_AND_SYSTEM)
EVENTS_WATCH = Rule("sundog:events:watch", ADMIN, "Watch what happens on hosts", OF_PROJECTS_AND_SYSTEM)

PLACEMENT_EXPLAIN = Rule(
    "sundog:servers:placement", PROJECT_READER_OR_ADMIN, "Explain where a server would go", OF_PROJECTS_AND_SYSTEM
)
PLACEMENT_HOSTS = Rule(
    "sundog:servers:placement:hosts", ADMIN, "See in it the names of hosts and what they lack", OF_PROJECTS_AND_SYSTEM
)
