"""Candidates that are alike, written as JSON at once.

In a large fleet without trees an answer has thousands of them. Making a record of each and of what is told beside it
takes most of the time of such a request, so one record is made of those that are alike, and its text is filled in for
each. What comes out is what the general way in ``views`` gives, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from pydantic_core import to_json

from sundog.control.placement.books import Books
from sundog.control.placement.candidates import Candidate, Column, Mask, Plain, columns, traits

_HOLE: Final = "{uuid}"
"""Where the provider stands in the text of a record. Neither a suffix nor the name of a class has braces in it."""


def answer(
    books: Books,
    plain: Plain,
    tell: Callable[[Mapping[int, str], Candidate], Mapping[str, Any]],
    *,
    classes: Iterable[str] | None,
    has_traits: bool,
    has_trees: bool,
) -> bytes:
    """What is answered if all candidates are alike. ``tell`` makes a candidate's record, by the names of rows.

    Of the providers ``classes`` are told, None for all; and where asked their traits, and their place in their tree.
    """
    if not plain.rows:
        return b'{"allocation_requests":[],"provider_summaries":{}}'
    uuids = [books.uuids[row] for row in plain.rows]
    request = _text(tell({plain.rows[0]: _HOLE}, plain[0]))
    requests = [request.replace(_HOLE, uuid) for uuid in uuids]
    every = columns(books, plain.rows, classes)
    had = traits(books, plain.rows) if has_traits else None
    texts = _texts(len(uuids), every, had, has_trees)
    numbers = [column for each in every for column in (each.capacity, each.used)]
    summaries = [
        text % told for text, told in zip(texts, zip(uuids, *numbers, *[uuids] * has_trees, strict=True), strict=True)
    ]
    return f'{{"allocation_requests":[{",".join(requests)}],"provider_summaries":{{{",".join(summaries)}}}}}'.encode()


def _texts(count: int, every: Sequence[Column], had: Sequence[tuple[str, Mask]] | None, has_trees: bool) -> list[str]:
    """For each provider the text of its summary, with places for what is its own; one text for all that are alike."""
    has = np.array([*(each.has for each in every), *(mask for _, mask in had or ())], dtype=bool).reshape(-1, count)
    kinds = [kind.tobytes() for kind in has.T]
    known = {kind: _summary(list(np.frombuffer(kind, dtype=bool)), every, had, has_trees) for kind in set(kinds)}
    return [known[kind] for kind in kinds]


def _summary(has: list[bool], every: Sequence[Column], had: Sequence[tuple[str, Mask]] | None, has_trees: bool) -> str:
    """The text of a summary with the classes and traits that ``has`` says."""
    resources, comma = "", ""
    for each, here in zip(every, has, strict=False):
        # The numbers of a class that is not told are there all the same, and take no room.
        resources += f'{comma}{_text(each.name)}:{{"capacity":%d,"used":%d}}' if here else "%.0s%.0s"
        comma = "," if here else comma
    told = f'"%s":{{"resources":{{{resources}}}'
    if had is not None:
        told += f',"traits":{_text([name for (name, _), here in zip(had, has[len(every) :], strict=True) if here])}'
    # There are no trees where candidates are alike: each provider is the root of its own.
    return told + (',"parent_provider_uuid":null,"root_provider_uuid":"%s"}' if has_trees else "}")


def _text(value: Any) -> str:
    return to_json(value).decode()
