"""Resource classes: Placement's standard ones, custom ones, and scaled ones for fractional amounts.

The pool counts in whole *units* of int64. Most classes have one unit per VCPU, MiB or GiB. A trace with half CPUs uses
a *scaled* class, say 1,000 units per VCPU, so that nothing is ever truncated: an amount that is not a whole number of
units is refused.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import os_resource_classes

from sundog.errors import PoolError

CUSTOM_NAME = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}")  # Placement's rule, 255 characters in all

# A float is off from what was meant (0.1 is not a tenth), and more so after arithmetic: anything nearer to a whole unit
# than a billionth of itself (of one, for small amounts) is that unit.
TOLERANCE = 1e-9

_LIMIT = 2.0**63  # amounts are int64


@dataclass(frozen=True, slots=True)
class ResourceClass:
    """A kind of resource. ``scale`` units make one of it (1 VCPU = ``scale`` units).

    Raises: PoolError for a name that is neither standard nor ``CUSTOM_…``, or a scale below 1.
    """

    name: str
    scale: int = 1

    def __post_init__(self) -> None:
        if self.name not in os_resource_classes.STANDARDS and not CUSTOM_NAME.fullmatch(self.name):
            near = difflib.get_close_matches(self.name, os_resource_classes.STANDARDS, 1)
            hint = f"did you mean {near[0]}?" if near else "a class of your own is named CUSTOM_ and A-Z, 0-9, _"
            raise PoolError(f"{self.name!r} is not a resource class; {hint}", name=self.name)
        if self.scale < 1:
            raise PoolError(f"scale {self.scale} of {self.name} is below 1; it is the number of units that make one")

    def units(self, value: float) -> int:
        """Whole units in ``value`` of this class (``0.5`` VCPU at scale 1,000 is 500).

        Raises: PoolError for a negative, non-finite or non-whole number of units.
        """
        if not 0 <= value < math.inf:  # NaN is neither
            raise PoolError(f"{value!r} is not an amount of {self.name}; it must be a finite number, 0 or more")
        exact = value * self.scale
        if exact >= _LIMIT:
            raise PoolError(f"{value} {self.name} is more than can be counted in 1/{self.scale} {self.name}")
        units = round(exact)
        if abs(exact - units) > TOLERANCE * max(1.0, exact):
            raise PoolError(
                f"{value!r} {self.name} is not a whole number of 1/{self.scale} {self.name}; "
                "declare the class with a larger scale",
                name=self.name,
                value=value,
            )
        return units

    def value(self, units: int) -> float:
        """What ``units`` are worth in this class's own unit: the inverse of :meth:`units`."""
        return units if self.scale == 1 else float(Fraction(units, self.scale))


class ResourceClasses:
    """The classes a pool counts, in column order. Classes may be added; none is ever removed or reordered."""

    def __init__(self, classes: Iterable[ResourceClass | str] = ("VCPU", "MEMORY_MB", "DISK_GB")) -> None:
        self._columns: dict[str, int] = {}
        self._classes: list[ResourceClass] = []
        for item in classes:
            self.add(item)

    def add(self, item: ResourceClass | str) -> int:
        """The column of a class, adding it if it is new.

        Raises: PoolError if it exists with another scale.
        """
        new = ResourceClass(item) if isinstance(item, str) else item
        column = self._columns.get(new.name)
        if column is None:
            column = self._columns[new.name] = len(self._classes)
            self._classes.append(new)
        elif self._classes[column] != new:
            raise PoolError(f"{new.name} already counts in 1/{self._classes[column].scale}, not in 1/{new.scale}")
        return column

    def column(self, name: str) -> int:
        """The column of the class called ``name``.

        Raises: PoolError with the nearest name if there is none.
        """
        try:
            return self._columns[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._columns, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise PoolError(
                f"the pool has no resource class {name!r}; {hint}it has {', '.join(self._columns)}", name=name
            ) from None

    def amounts(self, resources: Mapping[str, float]) -> tuple[tuple[int, int], ...]:
        """``resources`` by name as the pool's amounts: (column, units) pairs by column, zeros left out.

        Raises: PoolError for an unknown class or an amount that is not a whole number of units.
        """
        pairs = ((self.column(name), self[name].units(value)) for name, value in resources.items())
        return tuple(sorted((column, units) for column, units in pairs if units))

    def values(self, amounts: Iterable[tuple[int, int]]) -> dict[str, float]:
        """Amounts by name, in each class's own unit: the inverse of :meth:`amounts`."""
        return {self._classes[column].name: self._classes[column].value(units) for column, units in amounts}

    def __getitem__(self, key: str | int) -> ResourceClass:
        return self._classes[self.column(key) if isinstance(key, str) else key]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[ResourceClass]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)
