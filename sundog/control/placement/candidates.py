"""Where a request could go: allocation candidates, and the providers that a description fits.

A request is made of groups. What the group without a suffix asks for may come from several providers of one tree, and
from providers that share what they have through an aggregate; what another group asks for comes from one provider. A
candidate takes one solution of each group, all of one *anchor*: the root of a tree.

Source: OpenStack Placement, "Modeling with Provider Trees" and the specifications of its microversions 1.10 to 1.39.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from sundog.control.placement import refusals
from sundog.control.placement.books import Books, trait_order
from sundog.errors import Invalid

Mask: TypeAlias = NDArray[np.bool_]
"""``bool[rows]`` over the pool's rows."""

SHARES: Final = "MISC_SHARES_VIA_AGGREGATE"
"""The trait of a provider that lends what it has to all who have an aggregate in common with it."""

MOST_COMBINATIONS: Final = 100_000
"""So many combinations of the groups' solutions are looked at, at most: no request may keep the service from others."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of providers: of each of ``required`` and ``member_of`` one at least."""

    resources: Mapping[str, int] = field(default_factory=dict)
    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()
    member_of: tuple[frozenset[str], ...] = ()
    not_member_of: frozenset[str] = frozenset()
    in_tree: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Groups by suffix, and what is asked of the candidate as a whole.

    ``isolate``: groups with a suffix come from different providers. ``same_subtrees``: of the groups with these
    suffixes one's provider is above all others' or the same. Without ``nested`` a tree gives one provider at most.
    """

    groups: Mapping[str, Asked]
    limit: int | None = None
    isolate: bool = False
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    same_subtrees: tuple[frozenset[str], ...] = ()
    nested: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve a request: amounts by (row, class), and the rows that serve each group."""

    amounts: Mapping[tuple[int, str], int]
    mappings: Mapping[str, tuple[int, ...]]


class Plain(Sequence[Candidate]):
    """Candidates that are all alike but for the one provider that each is from; a large fleet has many of these."""

    def __init__(self, suffix: str, resources: Mapping[str, int], rows: Sequence[int]) -> None:
        self.suffix, self.resources, self.rows = suffix, resources, rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> Plain: ...
    def __getitem__(self, index: int | slice) -> Candidate | Plain:
        if isinstance(index, slice):
            return Plain(self.suffix, self.resources, self.rows[index])
        row = self.rows[index]
        return Candidate({(row, name): amount for name, amount in self.resources.items()}, {self.suffix: (row,)})


@dataclass(frozen=True, slots=True)
class Found:
    """Candidates, by anchor, and the rows of all providers of the trees that they are from."""

    candidates: Sequence[Candidate]
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told of a provider beside candidates: (capacity, used) by class, and its traits."""

    row: int
    resources: Mapping[str, tuple[int, int]]
    traits: Sequence[str]


@dataclass(frozen=True, slots=True)
class Column:
    """What is told of a class beside candidates, of several providers: which have it, what of it, and what is used."""

    name: str
    has: Mask
    capacity: Sequence[int]
    used: Sequence[int]


def columns(books: Books, rows: Sequence[int], classes: Iterable[str] | None = None) -> list[Column]:
    """What is told of these providers, of all classes or of some."""
    pool, known = books.pool, books.pool.classes
    pool.follow_classes()
    places = np.asarray(rows, dtype=np.intp)  # an empty tuple would mean all rows
    found = []
    for item in known if classes is None else (known[name] for name in classes if name in known):
        column = known.column(item.name)
        capacity, used = pool.capacity[column, places].tolist(), pool.used[column, places].tolist()
        if item.scale != 1:
            capacity, used = ([int(item.value(units)) for units in each] for each in (capacity, used))
        found.append(Column(item.name, pool.total[column, places] != 0, capacity, used))
    return found


def traits(books: Books, rows: Sequence[int]) -> list[tuple[str, Mask]]:
    """Traits in the order in which they are told, each with which of these providers have it."""
    known, places = books.pool.traits, np.asarray(rows, dtype=np.intp)
    return [(name, known.having_all([name])[places]) for name in trait_order(known.names)]


def summaries(books: Books, rows: Sequence[int], classes: Iterable[str] | None = None) -> list[Summary]:
    """What is told of these providers, of all classes or of some. Read column by column, as there may be thousands."""
    resources: list[dict[str, tuple[int, int]]] = [{} for _ in rows]
    had: list[list[str]] = [[] for _ in rows]
    for column in columns(books, rows, classes):
        for i in np.flatnonzero(column.has).tolist():
            resources[i][column.name] = column.capacity[i], column.used[i]
    for name, mask in traits(books, rows):
        for i in np.flatnonzero(mask).tolist():
            had[i].append(name)
    return [Summary(*each) for each in zip(rows, resources, had, strict=True)]


def fitting(books: Books, asked: Asked) -> Mask:
    """The providers that have all that is asked by themselves.

    Raises: Invalid for a class or a trait that is not there.
    """
    check_names(books, [asked])
    mask = _tree_mask(books, asked.in_tree) & _alone(books, asked)
    for name, amount in asked.resources.items():
        mask &= _able(books, name, amount)
    return mask


def check_names(books: Books, every: Iterable[Asked], named_traits: Iterable[str] = ()) -> None:
    """Raises: Invalid for a class or a trait that is not there."""
    for asked in every:
        for name in asked.resources:
            if not books.has_class(name):
                raise Invalid(f"Invalid resource class in resources parameter: {refusals.no_class(name)}")
        named = {*asked.forbidden, *itertools.chain(*asked.required)}
        missing = [name for name in named if not books.has_trait(name)]
        if missing:
            raise Invalid(refusals.no_traits(missing))
    missing = [name for name in named_traits if not books.has_trait(name)]
    if missing:
        raise Invalid(refusals.no_traits(missing))


def candidates(books: Books, request: Request) -> Found:
    """All ways to serve a request, in the order of their anchors' rows, or the first ``limit`` of them.

    Raises: Invalid for a class or a trait that is not there.
    """
    check_names(books, request.groups.values(), request.root_required | request.root_forbidden)
    search = _Search(books, request)
    if search.is_plain:
        plain = search.plain()
        return Found(plain, plain.rows)
    solutions = {}
    for suffix, group in request.groups.items():
        solutions[suffix] = search.solutions(suffix, group)
        if not solutions[suffix]:
            return Found((), ())
    found = list(itertools.islice(search.merged(solutions), request.limit))
    rows = search.summarised(found)
    return Found(found, rows)


# ---------------------------------------------------------------- masks


def _alive(books: Books) -> Mask:
    mask = np.zeros(books.pool.rows, dtype=bool)
    mask[list(books.uuids)] = True
    return mask


def _able(books: Books, name: str, amount: int) -> Mask:
    """Providers that could give an amount of a class."""
    pool = books.pool
    if name not in pool.classes:
        return np.zeros(pool.rows, dtype=bool)
    pool.follow_classes()
    column, units = pool.classes.column(name), pool.classes[name].units(amount)
    mask: Mask = pool.free[column] >= units
    if pool.has_units:
        mask &= (pool.min_unit[column] <= units) & (pool.max_unit[column] >= units)
        mask &= units % pool.step_size[column] == 0
    return mask


def _members(books: Books, member_of: Iterable[frozenset[str]]) -> Mask:
    """Providers that are in one of each of several sets of aggregates."""
    mask = np.ones(books.pool.rows, dtype=bool)
    for several in member_of:
        mask &= books.pool.aggregates.having_any(sorted(several))
    return mask


def _alone(books: Books, asked: Asked) -> Mask:
    """Providers that have, by themselves, the traits and aggregates that are asked."""
    pool, mask = books.pool, _alive(books) & _members(books, asked.member_of)
    for several in asked.required:
        mask &= pool.traits.having_any(sorted(several))
    mask &= ~pool.traits.having_any(sorted(asked.forbidden))
    mask &= ~pool.aggregates.having_any(sorted(asked.not_member_of))
    return mask


def _tree_mask(books: Books, uuid: str | None) -> Mask:
    """Providers of the tree that a provider is in; all, if none is named."""
    pool = books.pool
    if uuid is None:
        return np.ones(pool.rows, dtype=bool)
    standing = books.providers.get(uuid)
    if standing is None:
        return np.zeros(pool.rows, dtype=bool)
    return np.asarray(pool.root == pool.root[standing.row], dtype=bool)


# ---------------------------------------------------------------- the search


@dataclass(frozen=True, slots=True)
class _Solution:
    """How one group could be served, below one anchor: rows by class."""

    anchor: int
    amounts: tuple[tuple[tuple[int, str], int], ...]
    rows: tuple[int, ...]


class _Search:
    """One search over the pool as it is."""

    def __init__(self, books: Books, request: Request) -> None:
        self._books, self._pool, self._request = books, books.pool, request
        self._has_trees = bool((self._pool.parent >= 0).any())
        self._sharing = np.flatnonzero(self._pool.traits.having_any([SHARES])).tolist()
        self._anchors: dict[int, list[int]] = {}
        self._traits: dict[int, frozenset[str]] = {}
        self._anchor_mask = self._allowed_anchors()

    @property
    def is_plain(self) -> bool:
        """Whether there is one group, and each candidate is one host: no trees, nothing shared."""
        return len(self._request.groups) == 1 and not (self._has_trees or self._sharing)

    def plain(self) -> Plain:
        """The candidates of a plain search."""
        ((suffix, asked),) = self._request.groups.items()
        rows = np.flatnonzero(fitting(self._books, asked) & self._anchor_mask)[: self._request.limit].tolist()
        return Plain(suffix, asked.resources, rows)

    def _allowed_anchors(self) -> Mask:
        traits, request = self._pool.traits, self._request
        mask = traits.having_all(sorted(request.root_required))
        return mask & ~traits.having_any(sorted(request.root_forbidden))

    def solutions(self, suffix: str, asked: Asked) -> list[_Solution]:
        """All ways to serve one group."""
        if suffix or not (self._sharing or self._has_trees):
            return self._from_one(asked)
        return self._from_several(asked)

    def _from_one(self, asked: Asked) -> list[_Solution]:
        """Ways to serve a group from one provider, for each anchor that it can be reached from."""
        rows = np.flatnonzero(fitting(self._books, asked)).tolist()
        roots, allowed = self._pool.root[rows].tolist(), self._anchor_mask
        lenders = frozenset(self._sharing)
        found = []
        for row, root in zip(rows, roots, strict=True):
            amounts = tuple(((row, name), amount) for name, amount in asked.resources.items())
            anchors = dict.fromkeys([root, *self._borrowers(row)]) if row in lenders else (root,)
            found += [_Solution(anchor, amounts, (row,)) for anchor in anchors if allowed[anchor]]
        return found

    def _from_several(self, asked: Asked) -> list[_Solution]:
        """Ways to serve a group from providers of one tree, and from those that share with it."""
        by_class = [self._rows_by_anchor(asked, name, amount) for name, amount in asked.resources.items()]
        anchors = sorted(set.intersection(*(set(each) for each in by_class))) if by_class else []
        every = (
            (anchor, rows) for anchor in anchors for rows in itertools.product(*(each[anchor] for each in by_class))
        )
        found = []
        for anchor, rows in itertools.islice(every, MOST_COMBINATIONS):
            if self._have_traits(rows, asked):
                amounts = tuple(zip(zip(rows, asked.resources, strict=True), asked.resources.values(), strict=True))
                found.append(_Solution(anchor, amounts, tuple(sorted(set(rows)))))
        return found

    def _rows_by_anchor(self, asked: Asked, name: str, amount: int) -> dict[int, list[int]]:
        """Providers that could give an amount of a class, by the anchors they can be reached from."""
        pool = self._pool
        able = _able(self._books, name, amount) & _tree_mask(self._books, asked.in_tree)
        inside = _members(self._books, asked.member_of)
        outside = pool.aggregates.having_any(sorted(asked.not_member_of))
        rows = np.flatnonzero(able)
        pairs = list(zip(rows.tolist(), pool.root[rows].tolist(), strict=True))
        if asked.in_tree is None:
            lenders = [row for row in self._sharing if able[row] and inside[row]]
            pairs += [(row, anchor) for row in lenders for anchor in self._borrowers(row)]
        result: dict[int, list[int]] = {}
        for row, anchor in dict.fromkeys(pairs):
            is_member = (inside[row] or inside[anchor]) and not (outside[row] or outside[anchor])
            if is_member and self._anchor_mask[anchor]:
                result.setdefault(anchor, []).append(row)
        return result

    def _borrowers(self, row: int) -> list[int]:
        """The roots of all trees with a provider that has an aggregate in common with a sharing one."""
        if row not in self._anchors:
            mask = self._pool.aggregates.having_any(self._pool.aggregates.of(row))
            self._anchors[row] = np.unique(self._pool.root[mask]).tolist()
        return self._anchors[row]

    def _have_traits(self, rows: Sequence[int], asked: Asked) -> bool:
        """Whether providers together have what is required, and none what is forbidden."""
        if not asked.required and not asked.forbidden:
            return True
        had = frozenset[str]().union(*(self._traits_of(row) for row in rows))
        return not had & asked.forbidden and all(had & several for several in asked.required)

    def _traits_of(self, row: int) -> frozenset[str]:
        if row not in self._traits:
            self._traits[row] = frozenset(self._pool.traits.of(row))
        return self._traits[row]

    def merged(self, solutions: Mapping[str, Sequence[_Solution]]) -> Iterator[Candidate]:
        """Candidates of one solution for each group, each candidate once."""
        told: set[tuple[frozenset[tuple[tuple[int, str], int]], tuple[tuple[int, ...], ...]]] = set()
        by_anchor: dict[int, dict[str, list[_Solution]]] = {}
        for suffix, every in solutions.items():
            for each in every:
                by_anchor.setdefault(each.anchor, {}).setdefault(suffix, []).append(each)
        whole = (by_anchor[anchor] for anchor in sorted(by_anchor) if len(by_anchor[anchor]) == len(solutions))
        products = (itertools.product(*(mine[suffix] for suffix in solutions)) for mine in whole)
        for chosen in itertools.islice(itertools.chain.from_iterable(products), MOST_COMBINATIONS):
            mappings = {suffix: each.rows for suffix, each in zip(solutions, chosen, strict=True)}
            candidate = Candidate(_added(each.amounts for each in chosen), mappings)
            key = frozenset(candidate.amounts.items()), tuple(mappings.values())
            if key not in told and self._serves(candidate, len(chosen)):
                told.add(key)
                yield candidate

    def _serves(self, candidate: Candidate, groups: int) -> bool:
        request, rows = self._request, candidate.mappings
        if request.isolate:
            alone = [mine[0] for suffix, mine in rows.items() if suffix]
            if len(set(alone)) < len(alone):
                return False
        if not all(self._is_subtree(suffixes, rows) for suffixes in request.same_subtrees):
            return False
        if not request.nested and self._has_trees:
            taken = {row for row, _ in candidate.amounts}
            if len({int(self._pool.root[row]) for row in taken}) < len(taken):
                return False
        return groups == 1 or self._has_room(candidate)

    def _is_subtree(self, suffixes: frozenset[str], mappings: Mapping[str, tuple[int, ...]]) -> bool:
        rows = {row for suffix in suffixes for row in mappings.get(suffix, ())}
        if len(rows) == 1:
            return True
        above = [set(self._ancestors(row)) for row in rows]
        return bool(set.intersection(*above) & rows) if above else False

    def _ancestors(self, row: int) -> Iterator[int]:
        while row >= 0:
            yield row
            row = int(self._pool.parent[row])

    def _has_room(self, candidate: Candidate) -> bool:
        """Whether what several groups ask of one provider is there in all."""
        pool = self._pool
        for (row, name), amount in candidate.amounts.items():
            column, units = pool.classes.column(name), pool.classes[name].units(amount)
            if units > pool.free[column, row] or units > pool.max_unit[column, row]:
                return False
        return True

    def summarised(self, found: Sequence[Candidate]) -> list[int]:
        """The rows that are told about beside the candidates."""
        taken = dict.fromkeys(row for candidate in found for row, _ in candidate.amounts)
        if not self._request.nested and self._has_trees:
            return list(taken)
        if not self._has_trees:
            return list(taken)
        roots = dict.fromkeys(int(self._pool.root[row]) for row in taken)
        return [row for root in roots for row in self._pool.tree(root)]


def _added(several: Iterable[Iterable[tuple[tuple[int, str], int]]]) -> dict[tuple[int, str], int]:
    total: dict[tuple[int, str], int] = {}
    for amounts in several:
        for key, amount in amounts:
            total[key] = total.get(key, 0) + amount
    return total
