"""The table of allocations: what a consumer holds, in order, and how little it costs."""

from __future__ import annotations

from sundog.core.pool.allocations import AllocationTable

SMALL, LARGE = ((0, 1),), ((0, 4), (1, 8))


def held(table: AllocationTable, consumer: int) -> list[tuple[int, object]]:
    return [(each.row, each.amounts) for each in table.of(consumer)]


def test_what_is_held_comes_back_in_order_and_is_popped_backwards() -> None:
    table = AllocationTable()
    for row in (5, 3, 9):
        table.add(7, row, SMALL)
    assert held(table, 7) == [(5, SMALL), (3, SMALL), (9, SMALL)]
    assert [each.row for each in table.pop(7)] == [9, 3, 5]
    assert not table.has(7)
    assert table.pop(7) == table.of(7) == []


def test_a_consumer_out_of_range_holds_nothing() -> None:
    table = AllocationTable()
    assert not table.has(-1)
    assert not table.has(10**6)
    assert table.of(10**6) == []


def test_renaming_keeps_the_order_and_reaches_far_numbers() -> None:
    table = AllocationTable()
    table.add(1, 4, SMALL)
    table.add(1, 2, LARGE)
    table.rename(1, 5000)
    assert held(table, 5000) == [(4, SMALL), (2, LARGE)]
    assert not table.has(1)
    assert table.consumers_on(4) == [5000]


def test_entries_and_amounts_given_back_are_used_again() -> None:
    table = AllocationTable()
    for consumer in range(16):
        table.add(consumer, consumer, SMALL)
    size = table.nbytes
    for turn in range(500):
        table.pop(3)
        table.add(3, 3, ((0, turn + 2),))  # amounts never seen before
    assert table.nbytes == size
    assert len(table._amounts) == 2
    assert held(table, 3) == [(3, ((0, 501),))]


def test_every_allocation_is_listed_once() -> None:
    table = AllocationTable()
    table.add(2, 0, SMALL)
    table.add(1, 0, LARGE)
    table.add(1, 1, SMALL)
    table.pop(2)
    assert sorted((consumer, each.row, each.amounts) for consumer, each in table) == [(1, 0, LARGE), (1, 1, SMALL)]
    assert table.consumers_on(0) == [1]
    assert table.consumers_on(9) == []


def test_a_hundred_thousand_servers_cost_under_forty_bytes_each() -> None:
    table = AllocationTable()
    for consumer in range(100_000):
        table.add(consumer, consumer % 300, SMALL if consumer % 2 else LARGE)
    assert table.nbytes < 100_000 * 40  # columns double as they grow
    assert len(table._amounts) == 2
