"""Microversions: which one a request asks for, and what is said when there is no such version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sundog.errors import Invalid, NotAcceptable

STANDARD: Final = "openstack-api-version"
"""The header of all services: ``OpenStack-API-Version: compute 2.15``."""

_NUMBERS: Final = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)", re.ASCII)


class Version(NamedTuple):
    """A microversion; they compare as one expects."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse_version(text: str) -> Version:
    """``"2.15"`` as a version.

    Raises: Invalid for anything else.
    """
    match = _NUMBERS.fullmatch(text)
    if match is None:
        raise Invalid(
            f"API Version String {text!r} is of invalid format. Must be of format MajorNum.MinorNum.", version=text
        )
    return Version(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class History:
    """The versions of a service, oldest first, with what each brought; and the headers by which one is asked for.

    ``service_type`` is what stands before the number in the standard header; ``legacy_header`` has the number alone.
    """

    versions: Mapping[str, str]
    service_type: str
    legacy_header: str | None = None

    @property
    def oldest(self) -> Version:
        """The version of a request that asks for none."""
        return parse_version(next(iter(self.versions)))

    @property
    def newest(self) -> Version:
        """What ``latest`` means."""
        return parse_version(list(self.versions)[-1])

    def asked(self, headers: Mapping[str, str]) -> Version:
        """The version that a request is to be served by.

        Raises: Invalid for what is no version, NotAcceptable for one that is not in the history.
        """
        text = self._text(headers)
        if text is None:
            return self.oldest
        if text == "latest":
            return self.newest
        version = parse_version(text)
        if str(version) not in self.versions:
            low, high = self.oldest, self.newest
            raise NotAcceptable(
                f"Version {version} is not supported by the API. Minimum is {low} and maximum is {high}.",
                version=str(version), minimum=str(low), maximum=str(high),
            )  # fmt: skip
        return version

    def _text(self, headers: Mapping[str, str]) -> str | None:
        for each in headers.get(STANDARD, "").split(","):
            service, _, number = each.strip().partition(" ")
            if service.lower() == self.service_type:
                return number.strip().lower()
        if self.legacy_header is not None and self.legacy_header in headers:
            return headers[self.legacy_header].strip().lower()
        return None

    def headers(self, version: Version) -> dict[str, str]:
        """What an answer says of the version it was served by."""
        told = {"OpenStack-API-Version": f"{self.service_type} {version}", "Vary": "OpenStack-API-Version"}
        if self.legacy_header is not None:
            told[self.legacy_header] = str(version)
            told["Vary"] += f", {self.legacy_header}"
        return told
