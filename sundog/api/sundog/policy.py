"""Who may do what: everybody may look at the clock, administrators set it."""

from sundog.api.kit.policy import ADMIN, ANYBODY, Rule

CLOCK_SHOW = Rule("sundog:clock:show", ANYBODY, "Show the clock")
CLOCK_SET = Rule("sundog:clock:set", ADMIN, "Change the clock's rate, pause it, step it")
