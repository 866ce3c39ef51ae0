"""Simulation testing finds what is wrong, repeats itself exactly, and finds nothing in what is right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sundog.control.compute.records import Caller
from sundog.control.store import open_store
from sundog.control.store.tables import compute as tables
from sundog.control.store.tables import network as network_tables
from sundog.control.store.tables.meta import meta
from sundog.control.viewer import EVERYTHING
from sundog.errors import InputError, StoreUnavailable
from sundog.runtime.seeds import Streams
from sundog.soak.clients import Client, Deed
from sundog.soak.gates import Crashed, Gate, GatedStore, StoreTrouble
from sundog.soak.mix import Mix, load_mix, shipped
from sundog.soak.operations import OPERATIONS
from sundog.soak.plane import Life
from sundog.soak.run import run_seed
from sundog.soak.several import Job, Result, Summary, jobs_of, play_all
from tests.conftest import REPOSITORY

SMALL = Mix.model_validate(
    {
        "about": "a small one",
        "hours": 0.2,
        "cloud": {"hosts": [3, 3]},
        "clients": [{"count": [2, 2], "operations": {"create": 4, "delete": 2, "stop": 1, "start": 1, "metadata": 1}}],
        "trouble": [
            {"kind": "hosts", "every_s": 200, "lasts_s": [10, 200]},
            {"kind": "operations", "every_s": 100},
            {"kind": "store", "every_s": 100},
            {"kind": "crashes", "every_s": 100},
        ],
    }
)


def test_the_control_plane_holds() -> None:
    outcome = run_seed(SMALL, 1)
    assert outcome.violations == ()
    assert outcome.counts["crash"] > 0
    assert outcome.counts["create: done"] > 0


@pytest.mark.parametrize("name", shipped())
def test_every_mix_that_is_shipped_runs(name: str) -> None:
    assert run_seed(load_mix(name), 3, hours=0.1).violations == ()


def test_a_seed_repeats_itself_in_another_process() -> None:
    code = (
        "import json, sys; from sundog.soak.mix import Mix; from sundog.soak.run import run_seed;"
        "print(run_seed(Mix.model_validate(json.loads(sys.argv[1])), 5).digest)"
    )
    command = [sys.executable, "-c", code, json.dumps(SMALL.model_dump(mode="json"))]
    digests = {
        subprocess.run(
            command,
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert digests != {run_seed(SMALL, 6).digest + "\n"}


def lose_an_allocation(client: Client, life: Life) -> Deed | None:
    """A mistake: what a server holds is given back while it is there."""
    server = client.any_server(life)
    if server is None or not life.placement.held(server.id):
        return None
    return Deed(server.id, lambda caller, life: life.placement.delete_allocations(server.id))


def forget_what_was_acknowledged(client: Client, life: Life) -> Deed | None:
    """A mistake: a request is acknowledged, and nothing is written down."""
    server = client.any_server(life)
    return None if server is None else Deed(server.id, lambda caller, life: None, "stop")


def let_others_in(client: Client, life: Life) -> Deed | None:
    """A mistake: a client sees the servers of all."""

    def do(caller: Caller, life: Life) -> None:
        theirs = client.foreign_server(life)
        if theirs is not None and life.compute.servers.show(EVERYTHING, theirs.id):
            client.told.violation("I8 shown")

    return Deed("", do)


def leave_it_stuck(client: Client, life: Life) -> Deed | None:
    """A mistake: a server waits for something that nobody does."""
    server = client.any_server(life)

    def do(_caller: Caller, life: Life) -> None:
        with life.store.begin() as tx:
            tx.update(tables.servers, tables.servers.c.id == server.id, task_state="pausing")  # type: ignore[union-attr]

    return None if server is None or server.vm_state != "active" else Deed(server.id, do)


def forget_a_name(client: Client, life: Life) -> Deed | None:
    """A mistake: a name is acknowledged, and not written."""
    server = client.any_server(life)
    if server is None:
        return None
    return Deed(server.id, lambda _caller, life: client.writes(life, ("name", server.id, ""), "new", lambda: None))


def give_an_address_twice(client: Client, life: Life) -> Deed:
    """A mistake: all addresses are called free."""

    def do(_caller: Caller, life: Life) -> None:
        with life.store.begin() as tx:
            for row in tx.find(network_tables.free_addresses):
                spans = [[row["spans"][0][0] - 9, row["spans"][-1][1]]]
                where = network_tables.free_addresses.c.subnet_id == row["subnet_id"]
                tx.update(network_tables.free_addresses, where, spans=spans)

    return Deed("", do)


@pytest.mark.parametrize(
    ("mistake", "invariant"),
    [(forget_a_name, "I4"), (give_an_address_twice, "I7")],
)
def test_a_mistake_about_what_servers_have_is_found(mistake: object, invariant: str) -> None:
    mix = SMALL.model_copy(update={"trouble": (), "hours": 0.1})
    operations = {**OPERATIONS, "start": mistake}
    lives = (run_seed(mix, seed, operations=operations) for seed in range(2, 6))  # type: ignore[arg-type]
    assert any(each.startswith(invariant) for life in lives for each in life.violations)


def test_a_client_that_gets_no_answer_asks_again() -> None:
    part = SMALL.clients[0].model_copy(update={"loses": 1.0})
    outcome = run_seed(SMALL.model_copy(update={"clients": (part,), "trouble": ()}), 3, hours=0.1)
    assert outcome.violations == ()
    assert outcome.counts["create again: done"] > 0


@pytest.mark.parametrize(
    ("mistake", "invariant"),
    [(lose_an_allocation, "I2"), (forget_what_was_acknowledged, "I4"), (let_others_in, "I8"), (leave_it_stuck, "I9")],
)
def test_a_mistake_is_found(mistake: object, invariant: str) -> None:
    mix = SMALL.model_copy(update={"trouble": ()})
    operations = {**OPERATIONS, "start": mistake}
    lives = (run_seed(mix, seed, operations=operations) for seed in range(2, 6))  # type: ignore[arg-type]
    assert any(each.startswith(invariant) for life in lives for each in life.violations)


def test_a_violation_is_told_with_the_command_that_repeats_it() -> None:
    job = Job("mixes/my own.yaml", 7, 0.5)
    assert job.command == "sundog soak --start 7 --seeds 1 --file 'mixes/my own.yaml' --hours 0.5"


def test_a_trace_that_differs_the_second_time_is_a_violation() -> None:
    first, second = run_seed(SMALL, 1, hours=0.05), run_seed(SMALL, 2, hours=0.05)
    result = Result(Job("small", 1), first, second)
    assert result.violations == ("I11 the same seed gave two different traces",)
    summary = Summary()
    summary.add(result)
    assert summary.line().startswith("1 seeds, ")
    assert "1 replayed: 1 with violations" in summary.line()


def test_mixes_take_turns_and_some_seeds_run_twice() -> None:
    jobs = jobs_of(0, 2 * len(shipped()), None, 0.02)
    assert [job.mix for job in jobs] == [*shipped(), *shipped()]
    results = list(play_all(jobs[:2], 1))
    assert [result.replay is not None for result in results] == [True, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("about: x", "clients: Field required"),
        ("{about: x, clients: [{operations: {create: 1}, speed: 2}]}", "clients.0.speed: Extra inputs"),
        ("{about: x, clients: [{operations: {created: 1}}]}", "there is no operation 'created'"),
        ("[", "this is no YAML"),
    ],
)
def test_a_mix_that_is_wrong_is_told_where(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mix.yaml").write_text(text)
    with pytest.raises(InputError, match=told):
        load_mix(str(tmp_path / "mix.yaml"))
    with pytest.raises(InputError, match=r"there is no mix .*everyday"):
        load_mix("nowhere")


# ---------------------------------------------------------------- gates


class Called:
    """How often something happened."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.mark.parametrize(("passages", "is_there", "is_followed"), [(1, 0, 0), (2, 0, 0), (3, 1, 1), (4, 1, 1)])
def test_a_crash_leaves_a_transaction_whole_or_undone(passages: int, is_there: int, is_followed: int) -> None:
    inner, died, followed = open_store(":memory:"), Called(), Called()
    inner.migrate()
    gate = Gate(died)
    store = GatedStore(inner, gate, StoreTrouble(Streams(1).stream("x")))
    gate.light(passages)
    try:
        with store.begin() as tx:
            tx.insert(meta, key="k", value="v")
            tx.on_commit(followed)
    except Crashed:
        assert not gate.is_alive
    assert died.count == (passages < 4)
    with inner.read() as reader:
        assert reader.count(meta, meta.c.key == "k") == is_there
    assert followed.count == is_followed
    if not gate.is_alive:
        with pytest.raises(Crashed), store.read():
            pass
    inner.close()


def test_trouble_of_the_store_changes_nothing() -> None:
    inner = open_store(":memory:")
    inner.migrate()
    trouble = StoreTrouble(Streams(1).stream("x"))
    store = GatedStore(inner, Gate(Called()), trouble)
    trouble.probability = 0.5
    refused = 0
    for number in range(50):
        try:
            with store.begin() as tx:
                tx.insert(meta, key=str(number), value="v")
        except StoreUnavailable:
            refused += 1
    with inner.read() as reader:
        assert reader.count(meta, meta.c.value == "v") == 50 - refused
    assert 0 < refused < 50
    inner.close()
