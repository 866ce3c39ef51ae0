"""The scheduler: filters say which hosts could, a policy says which one, ``explain`` says why.

Start reading at ``scheduler.Scheduler.decide``. A request is a ``Shape`` (all that makes requests alike)
and what is its own. Infeasibility is a value, ``NoValidHost``, never an exception.
"""

from sundog.core.scheduler.check import PolicyCheck, check_policy
from sundog.core.scheduler.explain import Explanation, Scored, WhyNot, explain, host_reasons, why_not
from sundog.core.scheduler.filters import DEFAULT_FILTERS, Filter
from sundog.core.scheduler.groups import ServerGroups
from sundog.core.scheduler.hosts import Hosts, HostView
from sundog.core.scheduler.policies import BUILT_IN, ELSEWHERE, Outlook, Policy, load_policy, policy_names
from sundog.core.scheduler.request import (
    GROUP_POLICIES,
    Details,
    Devices,
    GroupPolicy,
    Request,
    ServerGroup,
    Shape,
    Variant,
    make_shape,
)
from sundog.core.scheduler.scheduler import TOO_LARGE, Decision, FilterCount, NoValidHost, Scheduler

__all__ = [
    "BUILT_IN",
    "DEFAULT_FILTERS",
    "ELSEWHERE",
    "GROUP_POLICIES",
    "TOO_LARGE",
    "Decision",
    "Details",
    "Devices",
    "Explanation",
    "Filter",
    "FilterCount",
    "GroupPolicy",
    "HostView",
    "Hosts",
    "NoValidHost",
    "Outlook",
    "Policy",
    "PolicyCheck",
    "Request",
    "Scheduler",
    "Scored",
    "ServerGroup",
    "ServerGroups",
    "Shape",
    "Variant",
    "WhyNot",
    "check_policy",
    "explain",
    "host_reasons",
    "load_policy",
    "make_shape",
    "policy_names",
    "why_not",
]
