"""What a cloud cannot begin without: flavors."""

from __future__ import annotations

from typing import Final, Protocol

from sundog.control.compute.flavors import FlavorQuery, Flavors
from sundog.control.compute.records import Flavor
from sundog.control.viewer import EVERYTHING

FLAVORS: Final = (
    Flavor("1", "m1.tiny", 1, 512, 1),
    Flavor("2", "m1.small", 1, 2048, 20),
    Flavor("3", "m1.medium", 2, 4096, 40),
    Flavor("4", "m1.large", 4, 8192, 80),
    Flavor("5", "m1.xlarge", 8, 16384, 160),
)


class HasFlavors(Protocol):
    """Compute, as far as it is needed here."""

    @property
    def flavors(self) -> Flavors:
        """The flavors."""
        ...


def bootstrap(compute: HasFlavors) -> None:
    """Make ``FLAVORS`` in a cloud that has no flavors at all; whoever deleted some does not get them back."""
    if not compute.flavors.list_all(EVERYTHING, FlavorQuery(is_public=None, limit=1)):
        for flavor in FLAVORS:
            compute.flavors.create(flavor)
