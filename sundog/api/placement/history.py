"""Placement's microversions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sundog.api.kit.versions import History, Version
from sundog.errors import Invalid, NotAcceptable

_NUMBERS: Final = re.compile(r"(\d+)\.(\d+)", re.ASCII)

VERSIONS: Final = {
    "1.0": "Resource providers, inventories, usages, allocations",
    "1.1": "Aggregates of a provider",
    "1.2": "Custom resource classes",
    "1.3": "Providers by member_of",
    "1.4": "Providers by resources",
    "1.5": "All inventories of a provider can be deleted at once",
    "1.6": "Traits",
    "1.7": "PUT of a resource class makes it, without a body",
    "1.8": "Allocations need project_id and user_id",
    "1.9": "Usages of a project",
    "1.10": "Allocation candidates",
    "1.11": "A provider links to its allocations",
    "1.12": "Allocations are an object by provider, to read and to write",
    "1.13": "Allocations of several consumers at once",
    "1.14": "Nested providers: parent, root, in_tree",
    "1.15": "Last-Modified and Cache-Control",
    "1.16": "Candidates: limit",
    "1.17": "Candidates: required traits; traits in the summaries",
    "1.18": "Providers by required traits",
    "1.19": "Aggregates with the generation of the provider",
    "1.20": "A provider that was made is sent back",
    "1.21": "Candidates: member_of",
    "1.22": "Forbidden traits",
    "1.23": "Errors have a code",
    "1.24": "member_of several times",
    "1.25": "Candidates: numbered groups and group_policy",
    "1.26": "All of an inventory may be reserved",
    "1.27": "Summaries have all resource classes",
    "1.28": "Generations of consumers",
    "1.29": "Candidates from nested providers",
    "1.30": "The reshaper",
    "1.31": "Candidates: in_tree",
    "1.32": "Forbidden aggregates",
    "1.33": "Candidates: groups named by words",
    "1.34": "Candidates: which provider serves which group",
    "1.35": "Candidates: root_required",
    "1.36": "Candidates: same_subtree, groups without resources",
    "1.37": "A provider may get another parent, or none",
    "1.38": "Types of consumers",
    "1.39": "Any of several traits; required several times",
}


class PlacementHistory(History):
    """Versions as Placement reads them: one that is out of range is not acceptable, also before 1.0."""

    def asked(self, headers: Mapping[str, str]) -> Version:
        """The version that a request is to be served by.

        Raises: Invalid for what is no version, NotAcceptable for one that is not in the history.
        """
        text = self._text(headers)
        if text is None:
            return self.oldest
        if text == "latest":
            return self.newest
        numbers = _NUMBERS.fullmatch(text)
        if numbers is None:
            raise Invalid(f"invalid version string: {text}", version=text)
        if text not in self.versions:
            raise NotAcceptable(
                f"Unacceptable version header: {text}", minimum=str(self.oldest), maximum=str(self.newest)
            )
        return Version(int(numbers[1]), int(numbers[2]))

    def headers(self, version: Version) -> dict[str, str]:
        """What an answer says of the version it was served by."""
        return {"openstack-api-version": f"{self.service_type} {version}", "vary": "openstack-api-version"}


HISTORY: Final = PlacementHistory(VERSIONS, "placement")
